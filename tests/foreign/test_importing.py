"""Imports as users type them: what is asked, what is refused, and what lies in the folder afterwards."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.candidates import UndecidedError
from dcgan_viz.foreign.containers import read_weights
from dcgan_viz.foreign.importing import import_pair
from dcgan_viz.foreign.knowledge import Knowledge, Wishes
from dcgan_viz.foreign.weights import Weights
from dcgan_viz.model import load
from tests.foreign.strangers import View, settled, tutorial_discriminator, tutorial_generator
from tests.foreign.synthetic import FAMILIES, trained

Run = Callable[..., object]


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[nn.Module, nn.Module]:
    """The tutorial's networks, saved as G.pth and D.pth in an empty folder."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    batches = [torch.randn(100, 12) for _ in range(6)]
    generator = settled(tutorial_generator(), batches)
    with torch.no_grad():
        critic = settled(tutorial_discriminator(), [generator(z) for z in batches])
    torch.save(generator.state_dict(), "G.pth")
    torch.save(critic.state_dict(), "D.pth")
    return generator, critic


def of(network: nn.Module) -> Weights:
    return Weights({n: t.float() for n, t in network.state_dict().items()}, "here")


def test_the_command_makes_a_model_that_every_command_takes(run, pair: tuple[nn.Module, nn.Module]) -> None:
    outcome = run("import", "G.pth", "D.pth", "--name", "stranger", "--out", "model")
    assert outcome.exit_code == 0, outcome.output
    assert "decided by its statistics: z from N(0, 1), ReLU, normalisation before it" in outcome.stderr
    assert "taken for granted: epsilon 1e-05, tanh at the end" not in outcome.stderr
    model = load("model")
    z = torch.randn(20, 12)
    with torch.no_grad():
        images = model.generate(z)
        assert torch.allclose(images, pair[0](z), atol=1e-5)
        assert torch.allclose(torch.sigmoid(model.discriminator(images)), pair[1](images), atol=1e-5)
    assert model.card.name == "stranger"
    assert set(model.card.training["imported"]["files"]) == {"G.pth", "D.pth"}
    assert model.card.training["imported"]["statistics"]["generator"]["1"]["distance"] < 0.1
    assert "imported.files.G.pth" in Path("model/README.md").read_text()
    assert run("guided-backprop", "--model", "model", "--count", 8).exit_code == 0


def test_a_generator_alone_draws_and_says_what_it_lacks(run, refused, pair: tuple[nn.Module, nn.Module]) -> None:
    assert run("import", "G.pth", "--out", "model").exit_code == 0
    assert run("sample", "--model", "model", "--count", 4, "--out", "s.png").exit_code == 0
    assert run("info", "model").exit_code == 0
    assert "needs a discriminator, and the model has none" in refused(
        "guided-backprop", "--model", "model", "--count", 8
    )
    model = load("model")
    assert model.networks.discriminator is None
    with torch.no_grad():
        z = torch.randn(4, 12)
        assert torch.allclose(model.generate(z), pair[0](z), atol=1e-5)


def test_pairs_of_inputs_and_outputs_prove_an_import(run, refused, pair: tuple[nn.Module, nn.Module]) -> None:
    z = torch.randn(8, 12)
    with torch.no_grad():
        images = pair[0](z)
        scores = pair[1](images)
    np.savez("pairs.npz", z=z[:, :, None, None].numpy(), images=images.numpy(), scores=scores.numpy())
    outcome = run("import", "G.pth", "D.pth", "--check", "pairs.npz", "--out", "model")
    assert outcome.exit_code == 0, outcome.output
    assert "checked: images differ" in outcome.stderr
    assert "checked: scores differ" in outcome.stderr
    # All else is given: otherwise the wrong activation would be refused for its statistics.
    geometry = ("--prior", "normal", "--strides", "1,2,2", "--paddings", "0,1,1", "--norm", "before", "--eps", "1e-5")
    arguments = ("import", "G.pth", "D.pth", "--check", "pairs.npz", "--out", "other", *geometry)
    arguments = (*arguments, "--projection", "activated")
    assert "the images in pairs.npz differ" in refused(*arguments, "--activation", "leaky-relu")
    assert "the scores in pairs.npz differ" in refused(*arguments, "--discriminator-activation", "relu")
    np.savez("wrong.npz", x=z.numpy())
    assert "needs the arrays" in refused("import", "G.pth", "D.pth", "--check", "wrong.npz", "--out", "other")
    assert not Path("other").exists()


def test_pairs_are_of_what_the_original_read(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    generator = settled(tutorial_generator(), [torch.rand(100, 12) for _ in range(6)])
    torch.save(generator.state_dict(), "G.pth")
    z = torch.rand(8, 12)
    with torch.no_grad():
        np.savez("pairs.npz", z=z.numpy(), images=generator(z).numpy())
    outcome = run(
        "import", "G.pth", "--prior", "unit", "--activation", "relu", "--check", "pairs.npz", "--out", "model"
    )
    assert outcome.exit_code == 0, outcome.output
    assert "checked: images differ" in outcome.stderr


def test_statistics_that_a_file_keeps_stay(run, pair: tuple[nn.Module, nn.Module]) -> None:
    Path("photographs").mkdir()
    for number in range(4):
        Image.new("RGB", (16, 16), (60 * number, 9, 200)).save(f"photographs/{number}.png")
    outcome = run("import", "G.pth", "D.pth", "--images", "photographs", "--out", "model")
    assert outcome.exit_code == 0, outcome.output
    assert "keeps its running statistics, which stay" in outcome.stderr
    with torch.no_grad():
        images = pair[0](torch.randn(4, 12))
        assert torch.allclose(torch.sigmoid(load("model").discriminator(images)), pair[1](images), atol=1e-5)


def test_a_discriminator_that_nothing_explains_is_taken_to_be_usual(run, pair: tuple[nn.Module, nn.Module]) -> None:
    stored = torch.load("D.pth", weights_only=True)
    for name in [name for name in stored if name.endswith("running_var")]:
        stored[name] *= 1 + 9 * torch.rand(stored[name].shape)
    torch.save(stored, "D.pth")
    outcome = run("import", "G.pth", "D.pth", "--out", "model")
    assert outcome.exit_code == 0, outcome.output
    assert "and the most usual one is taken, which is a guess" in outcome.stderr
    assert "settle it by --discriminator-strides" in outcome.stderr
    assert "taken for granted: LeakyReLU 0.2, normalisation before it, epsilon 1e-05, strides 2,2" in outcome.stderr
    assert any("is a guess" in weakness for weakness in load("model").card.weaknesses)


def test_what_the_user_knows_settles_it(run, refused, pair: tuple[nn.Module, nn.Module]) -> None:
    given = (
        "import",
        "G.pth",
        "--prior",
        "normal",
        "--strides",
        "1,2,2",
        "--paddings",
        "0,1,1",
        "--activation",
        "relu",
    )
    outcome = run(*given, "--norm", "before", "--eps", 1e-5, "--out", "model")
    assert outcome.exit_code == 0, outcome.output
    given_words = "z from N(0, 1), ReLU, normalisation before it, epsilon 1e-05, strides 1,2,2 and paddings 0,1,1"
    assert f"given: {given_words}" in outcome.stderr
    assert "--strides gives 2 numbers, but the network has 3 convolutions" in refused(
        "import", "G.pth", "--strides", "1,2", "--out", "other"
    )
    assert "lead through kernels 4, 4, 4 to 500x500 pictures" in refused(
        "import", "G.pth", "--size", 500, "--out", "other"
    )
    assert "'2,x' is not a list of numbers" in refused("import", "G.pth", "--strides", "2,x", "--out", "other")


def test_what_nothing_tells_is_asked_beside_a_sheet(
    run, refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """32 pixels or 64: the last convolution of upsampling generators may read maps as they are, or enlarged."""
    monkeypatch.chdir(tmp_path)
    network = trained(replace(FAMILIES["PyTorch-GAN, ReLU"], widths=(16, 12, 8), latent=16))
    torch.save(network.state_dict(), "G.pth")
    sentence = refused("import", "G.pth", "--out", "model")
    assert "its pictures may be 32x32 or 64x64 pixels: the weights do not tell, give --size" in sentence
    assert "are drawn in model-candidates.png" in sentence
    with Image.open("model-candidates.png") as sheet:
        assert sheet.height > 300
    assert not Path("model").exists()
    # Ours, and so replaced.
    refused("import", "G.pth", "--out", "model")
    assert run("import", "G.pth", "--size", 32, "--out", "model").exit_code == 0
    assert {"candidates.png", "fit-generator.png"} <= {file.name for file in Path("model").iterdir()}


class Listed(nn.Module):
    """Registers its convolutions first, then its normalisations, the wrong way round."""

    def __init__(self, swapped: bool) -> None:
        super().__init__()
        self.swapped = swapped
        self.conv1 = nn.ConvTranspose2d(12, 8, 4, 1, 0)
        self.conv2 = nn.ConvTranspose2d(8, 8, 4, 2, 1)
        self.conv3 = nn.ConvTranspose2d(8, 3, 4, 2, 1)
        self.bn1 = nn.BatchNorm2d(8)
        self.bn2 = nn.BatchNorm2d(8)

    def forward(self, z: Tensor) -> Tensor:
        first, second = (self.bn2, self.bn1) if self.swapped else (self.bn1, self.bn2)
        maps = torch.relu(first(self.conv1(z.view(-1, 12, 1, 1))))
        return torch.tanh(self.conv3(torch.relu(second(self.conv2(maps)))))


@pytest.mark.parametrize("swapped", [False, True])
def test_the_statistics_pair_normalisations_with_layers(swapped: bool) -> None:
    torch.manual_seed(0)
    network = settled(Listed(swapped), [torch.randn(200, 12) for _ in range(4)])
    # Eight maps are too few to tell ReLU from LeakyReLU 0.01.
    known = Knowledge(activation="rectifier", slope=0.0, eps=1e-5)
    ours = import_pair(of(network), generator_known=known).generator
    z = torch.randn(4, 12)
    with torch.no_grad():
        assert torch.allclose(ours(z), network(z), atol=1e-5)


def test_pairings_that_nothing_tells_are_asked() -> None:
    torch.manual_seed(0)
    network = Listed(False)
    tensors = dict(of(network).tensors)
    tensors["bn2.weight"] = torch.full((8,), 0.5)
    for name in ("bn1", "bn2"):
        tensors[f"{name}.num_batches_tracked"] = torch.tensor(0.0)
    # Statistics that no layer produced, alike in both.
    with pytest.raises(UserError, match=r"which normalisation follows which layer.*`order`"):
        import_pair(Weights(tensors, "here"), source="normal")
    order = ("conv1", "bn2", "conv2", "bn1", "conv3")
    wishes = Wishes(size=16, strides=(1, 2, 2), paddings=(0, 1, 1))
    known = Knowledge(wishes, order, "rectifier", 0.0, norm_first=True, first_activated=True, eps=1e-5)
    ours = import_pair(Weights(tensors, "here"), source="normal", generator_known=known)
    norm = ours.generator.layers[1].get_submodule("norm")
    assert torch.equal(norm.get_parameter("weight"), tensors["bn1.weight"])
    with pytest.raises(UserError, match="must name every module once"):
        import_pair(Weights(tensors, "here"), source="normal", generator_known=Knowledge(order=order[1:]))


def test_without_statistics_the_prior_is_asked() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        View(12, 1, 1), nn.ConvTranspose2d(12, 8, 4), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh()
    )
    with pytest.raises(UserError, match="`prior=normal` or `prior=uniform`"):
        import_pair(of(network))
    imported = import_pair(of(network), source="uniform", output="sigmoid")
    assert "keeps no running statistics" in imported.told["generator"].statistics
    assert any(what.startswith("ReLU (with LeakyReLU") for what in imported.told["generator"].granted)


def test_a_network_that_never_ran_is_said_to_be_untrained() -> None:
    torch.manual_seed(0)
    with pytest.raises(
        UserError, match=r"means of its normalisations are 0 .* as before the first batch: .* never trained"
    ):
        import_pair(of(tutorial_generator()))
    wishes = Wishes(strides=(1, 2, 2), paddings=(0, 1, 1))
    known = Knowledge(wishes, (), "rectifier", 0.0, norm_first=True, first_activated=True, eps=1e-5)
    network = tutorial_generator().eval()
    ours, z = import_pair(of(network), source="normal", generator_known=known).generator, torch.randn(4, 12)
    with torch.no_grad():
        assert torch.allclose(ours(z), network(z), atol=1e-5)


def test_statistics_that_nothing_produces_are_said_not_to_fit() -> None:
    torch.manual_seed(0)
    network = settled(tutorial_generator(), [torch.randn(100, 12) for _ in range(3)])
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 3 * module.running_var.sqrt()
    with pytest.raises(UndecidedError, match=r"no way to read these weights gives their running statistics.*`norm`"):
        import_pair(of(network), source="normal")
    wishes = Wishes(strides=(1, 2, 2), paddings=(0, 1, 1))
    known = Knowledge(wishes, (), "rectifier", 0.0, norm_first=True, first_activated=True, eps=1e-5)
    told = import_pair(of(network), source="normal", generator_known=known).told["generator"]
    assert "no reading of its weights produces its running statistics" in told.statistics
    assert not told.decided


class Padded(nn.Module):
    """Ordinary convolutions throughout, the first of a padded 1x1 map, the others of enlarged maps."""

    def __init__(self) -> None:
        super().__init__()
        self.linear_bn = nn.Sequential(nn.Conv2d(12, 8, 4, 1, 3, bias=False), nn.BatchNorm2d(8))
        self.upconv1 = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(8, 6, 5, 1, 2), nn.BatchNorm2d(6))
        self.upconv2 = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(6, 3, 5, 1, 2))

    def forward(self, z: Tensor) -> Tensor:
        maps = torch.relu(self.upconv1(torch.relu(self.linear_bn(z.view(-1, 12, 1, 1)))))
        return torch.tanh(self.upconv2(maps))


def enlarged_before_transposed() -> nn.Module:
    """Enlarged maps, read by fractionally-strided convolutions of stride 1."""
    return nn.Sequential(
        View(12, 1, 1),
        nn.ConvTranspose2d(12, 8, 4, 1, 0),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(8, 6, 3, 1, 1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(6, 3, 3, 1, 1),
        nn.Tanh(),
    )


def cropped(*last: int) -> nn.Module:
    """Digits' 28 pixels, cut out of 32 by the padding of the last layer."""
    doubled = [nn.ConvTranspose2d(6, 6, 4, 2, 1)] * (last[0] == 1)
    return nn.Sequential(
        View(12, 1, 1),
        nn.ConvTranspose2d(12, 8, 8, 1, 0),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 6, 4, 2, 1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        *doubled,
        *[part for _ in doubled for part in (nn.BatchNorm2d(6), nn.ReLU())],
        nn.ConvTranspose2d(6, 1, *last),
        nn.Tanh(),
    )


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (Padded, 16),
        (enlarged_before_transposed, 16),
        (lambda: cropped(4, 2, 3), 28),
        (lambda: cropped(1, 1, 2), 28),
    ],
)
def test_what_courses_and_digits_do_to_sides_is_read(make: Callable[[], nn.Module], size: int) -> None:
    torch.manual_seed(0)
    network = settled(make(), [torch.randn(200, 12) for _ in range(4)])
    known = Knowledge(Wishes(size=size), (), "rectifier", 0.0, norm_first=True, first_activated=True, eps=1e-5)
    ours, z = import_pair(of(network), source="normal", generator_known=known).generator, torch.randn(4, 12)
    with torch.no_grad():
        torch.testing.assert_close(ours(z), network(z), atol=1e-5, rtol=0)


def test_digits_that_may_be_cropped_are_asked_about() -> None:
    """A 1x1 kernel at the end: 32 pixels, or 28 by its padding."""
    torch.manual_seed(0)
    network = settled(cropped(1, 1, 2), [torch.randn(200, 12) for _ in range(4)])
    known = Knowledge(Wishes(), (), "rectifier", 0.0, norm_first=True, first_activated=True, eps=1e-5)
    with pytest.raises(UndecidedError, match=r"28x28 or 32x32 pixels: .* give `size`"):
        import_pair(of(network), source="normal", generator_known=known)


def test_a_discriminator_that_is_no_chain_leaves_its_generator_importable() -> None:
    critic = {"0.weight": torch.ones(8, 3, 4, 4), "1.weight": torch.ones(8), "1.bias": torch.ones(8)}
    with pytest.raises(
        UserError, match=r"is an instance.*Without this discriminator the generator can be imported alone"
    ):
        import_pair(of(tutorial_generator()), Weights(critic, "D.pth"))


def test_a_projection_without_a_rectifier_and_norms_without_gains_draw_right() -> None:
    """Once the gains came from the global generator, and the rectifier from nowhere."""
    torch.manual_seed(0)
    network = settled(
        nn.Sequential(
            nn.Linear(12, 8 * 16),
            View(8, 4, 4),
            nn.ConvTranspose2d(8, 8, 4, 2, 1),
            nn.BatchNorm2d(8, affine=False),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 3, 4, 2, 1),
            nn.Tanh(),
        ),
        [torch.randn(200, 12) for _ in range(4)],
    )
    z = torch.randn(4, 12)
    for seed in (1, 2):
        torch.manual_seed(seed)
        known = Knowledge(activation="rectifier", slope=0.0, eps=1e-5)
        ours = import_pair(of(network), generator_known=known).generator
        with torch.no_grad():
            assert torch.allclose(ours(z), network(z), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"attention.gamma": torch.ones(1)}, "the layer attention .* is not one that a plain DCGAN has"),
        ({"prelu.weight": torch.ones(1)}, "prelu is a PReLU"),
        ({"norm.weight": torch.ones(8), "norm.bias": torch.zeros(8)}, "an instance, group or layer normalisation"),
        ({"label_emb.weight": torch.ones(10, 12)}, "looks like an embedding of labels.*conditional"),
        ({"extra.weight": torch.ones(5, 7)}, "do not follow one another"),
        ({"conv.weight": torch.ones(3, 3, 3, 5)}, r"has weights \(3, 3, 3, 5\)"),
        ({"2.running_mean": torch.zeros(4)}, "do not fit together"),
        ({"2.running_var": -torch.ones(16)}, "negative variances"),
    ],
)
def test_what_is_no_plain_chain_is_refused_by_name(change: dict[str, Tensor], sentence: str) -> None:
    tensors = {n: t.float() for n, t in tutorial_generator().state_dict().items()}
    with pytest.raises(UserError, match=f"^here.*{sentence}"):
        import_pair(Weights({**tensors, **change}, "here"))


def test_normalisations_that_keep_nothing_are_noticed(tmp_path: Path) -> None:
    network = nn.Sequential(
        nn.ConvTranspose2d(12, 8, 4), nn.InstanceNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1)
    )
    torch.save(network.state_dict(), tmp_path / "G.pth")
    with pytest.raises(UserError, match="the module 1 is a normalisation that keeps nothing"):
        import_pair(read_weights(tmp_path / "G.pth"))


def test_generator_and_discriminator_exchanged_are_noticed(refused, pair: tuple[nn.Module, nn.Module]) -> None:
    assert "these are a discriminator's weights" in refused("import", "D.pth", "G.pth", "--out", "model")


def test_collapsed_generators_are_said_to_be() -> None:
    torch.manual_seed(0)
    network = settled(tutorial_generator(), [torch.randn(100, 12) for _ in range(3)])
    with torch.no_grad():
        network[7].weight.zero_()
    imported = import_pair(of(network))
    assert imported.looks == "it draws pictures of a single colour"
    assert any("single colour" in weakness for weakness in imported.weaknesses)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "prior", "size", "endings"),
    [
        ("dennisjooo__DCGAN-on-MNIST__models__{}.pth", "normal", 28, ("LeakyReLU 0.2", "LeakyReLU 0.2")),
        ("efleurine__faces-dcgan__{}.pt", "uniform", 32, ("ReLU", "LeakyReLU 0.2")),
        ("ensaremirerol__pytorch-anigan__{}.pt", "normal", 32, ("ReLU", None)),
    ],
)
def test_strangers_checkpoints_draw(
    realdata: Path, name: str, prior: str, size: int, endings: tuple[str, str | None]
) -> None:
    folder = realdata / "checkpoints"
    imported = import_pair(
        read_weights(folder / name.format("generator")), read_weights(folder / name.format("discriminator"))
    )
    assert imported.generator.spec.prior == prior
    assert imported.generator.image_shape[1] == size
    assert imported.looks == ""
    # On few latents an epsilon of 0.8 once seemed to fit one of them better, by chance.
    assert imported.generator.spec.norm_eps == 1e-5
    told = imported.told["generator"]
    assert any(what.startswith("epsilon 1e-05") for what in (*told.granted, *told.decided))
    for side, ending in zip(("generator", "discriminator"), endings, strict=True):
        if ending is not None:
            verdict = imported.verdicts[side]
            assert verdict.distance is not None
            assert verdict.distance < 0.03
            assert ending in imported.told[side].decided
    assert imported.discriminator is not None
    with torch.no_grad():
        images = imported.generator(torch.randn(8, 100) if prior == "normal" else torch.rand(8, 100) * 2 - 1)
        assert imported.discriminator(images).isfinite().all()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("attribute", "has the entries w, running_mean"),
        ("key", "6.weight holds bool numbers"),
        ("runtime", "do not fit together"),
    ],
)
def test_mutated_files_are_refused_in_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        import_pair(read_weights(Path(__file__).parent / "cases" / f"{name}.pth"))


def test_mutations_of_a_file_give_weights_or_a_sentence(tmp_path: Path) -> None:
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    file, state = tmp_path / "G.pth", nn.Sequential(nn.ConvTranspose2d(4, 3, 2), nn.BatchNorm2d(3)).state_dict()
    for new in (True, False):
        torch.save(state, file, _use_new_zipfile_serialization=new)
        whole = np.frombuffer(file.read_bytes(), np.uint8)
        for _ in range(300):
            mutated = whole.copy()
            mutated[random.integers(0, len(whole), 3)] = random.integers(0, 256, 3)
            end = random.integers(1, len(whole)) if random.random() < 0.2 else len(whole)
            file.write_bytes(mutated[:end].tobytes())
            # Anything but the one error that is meant for users goes through, and fails the test.
            with suppress(UserError):
                read_weights(file)
