"""Every analysis of a wrapped model gives the numbers of the model itself, in the library and on the command line."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import dcgan_viz
from dcgan_viz.analysis.attribution.detection import rank_maps
from dcgan_viz.analysis.attribution.methods import compare_methods
from dcgan_viz.analysis.attribution.sanity import check_layer
from dcgan_viz.analysis.forgetting.insertion import insert
from dcgan_viz.analysis.quality.evaluation import evaluate
from dcgan_viz.annotations.boxes import Annotations, Box, save_annotations
from dcgan_viz.annotations.concepts import Concepts, save_concepts
from dcgan_viz.data.images import TensorImages
from dcgan_viz.judges.encoder import Encoder, EncoderCard
from dcgan_viz.judges.encoder_network import EncoderNetwork
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import DCGAN
from dcgan_viz.results import Result


@pytest.fixture
def live(tiny_model: DCGAN) -> DCGAN:
    return wrapped(tiny_model)


def wrapped(model: DCGAN) -> DCGAN:
    """A model's own modules, as if they were somebody's."""
    return dcgan_viz.wrap(
        model.generator,
        model.discriminator,
        latent=(model.latent_dim,),
        prior=model.prior,
        generator_layers=[layer.name for layer in model.generator_layers[:-1]],
        discriminator_layers=[layer.name for layer in model.discriminator_layers],
        name=model.card.name,
    )


def boxes(model: DCGAN) -> Annotations:
    drawn = tuple(Box(i, "window", 1, 1 + i % 3, 6, 5) for i in range(0, 20, 2))
    return Annotations(
        drawn, ("window",), 20, 11, model.image_shape[1], model.generator_digest(), "a tester", "by hand"
    )


def concepts(model: DCGAN) -> Concepts:
    picked = {"left": (7, 2, 5, 30, 31), "right": (1, 3, 4, 8), "hat": (11, 12, 13)}
    return Concepts(11, 40, model.generator_digest(), "a tester", "by hand", picked)


def noise(model: DCGAN, count: int) -> TensorImages:
    random = torch.Generator().manual_seed(0)
    return TensorImages(torch.rand(count, *model.image_shape, generator=random) * 2 - 1)


class Averages:
    """Stands in for an encoder: the mean colour of each quarter of a picture."""

    name, note, dimensions = "averages", "not trained", 12

    def features(self, images: Tensor) -> Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


def detection(model: DCGAN) -> Result:
    images = noise(model, 24).images
    masks = np.zeros((24, *model.image_shape[1:]), bool)
    masks[::2, 2:9, 3:9] = True
    return rank_maps(model, model.discriminator_layers[0], images, masks, "square")


ANALYSES: dict[str, Callable[[DCGAN], Result]] = {
    "walk": lambda m: dcgan_viz.walk(m, rows=2, steps=3, random_walks=99),
    "invert": lambda m: dcgan_viz.invert(m, noise(m, 2).images, starts=1, steps=6, samples=64, own=1),
    "memorization": lambda m: dcgan_viz.memorization(m, noise(m, 150), noise(m, 120), samples=100),
    "forget": lambda m: dcgan_viz.forget(m, "window", annotations=boxes(m), samples=4),
    "arithmetic": lambda m: dcgan_viz.arithmetic(m, concepts(m), "left - right + hat", trials=3, wanted="hat"),
    "turn": lambda m: dcgan_viz.turn(m, concepts(m), left="left", right="right", rows=1, positions=3, directions=39),
    "directions": lambda m: dcgan_viz.directions(m, count=2, samples=1),
    "guided, keep": lambda m: dcgan_viz.guided_backprop(m, m.sample(12), layer=2, maps=[0, 1], top=2),
    "guided, zero": lambda m: dcgan_viz.guided_backprop(m, m.sample(12), layer=2, maps=[0, 1], top=2, rule="zero"),
    "every method": lambda m: compare_methods(m, m.sample(6), layer=2, maps=[0]),
    "sanity": lambda m: check_layer(m, m.sample(12), layer=2, maps=3),
    "detection": detection,
    "evaluate": lambda m: evaluate(m, noise(m, 400), Averages(), samples=200),
}


def same(ours: Any, theirs: Any, where: str = "") -> None:
    """Whether plain data agree, but for how layers describe themselves."""
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), where
        for key in ours.keys() - {"kind", "activation", "versions"}:
            same(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), where
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            same(one, other, f"{where}[{number}]")
    elif isinstance(ours, float):
        assert theirs == pytest.approx(ours, rel=2e-3, abs=2e-3), where
    else:
        assert ours == theirs, where


def compare(ours: Result, theirs: Result) -> None:
    same(ours.numbers(), theirs.numbers())
    found = theirs.arrays()
    for name, array in ours.arrays().items():
        # Other orders of addition round pixels differently by a grey level.
        bound = 1 if array.dtype == np.uint8 else 1e-3 * max(float(np.abs(array).max(initial=0)), 1e-6)
        difference = np.abs(array.astype(float) - found[name].astype(float))
        assert not (difference > bound).any(), f"{name}: {difference.max()} of {np.abs(array).max()}"


@pytest.mark.parametrize("name", ANALYSES)
def test_a_wrapped_model_has_the_numbers_of_the_model_itself(tiny_model: DCGAN, live: DCGAN, name: str) -> None:
    compare(ANALYSES[name](tiny_model), ANALYSES[name](live))


def test_forgetting_by_a_segmenter_has_them_too(tiny_model: DCGAN, live: DCGAN, tiny_segmenter: Segmenter) -> None:
    assert live.generator_digest() == tiny_model.generator_digest()
    # The learned ablation goes through gradients of what is drawn from maps.
    found = [
        dcgan_viz.forget(m, "window", samples=4, segmenter=tiny_segmenter, ranking="learned", where="object")
        for m in (tiny_model, live)
    ]
    compare(*found)
    parts = [insert(f.evidence[0], f.maps, samples=20, shown=2) for f in found]
    compare(*parts)


class Tutorial(nn.Module):
    """A pair's upper half as PyTorch's tutorial has it, cut to 16 pixels; for one of three labels if there is one."""

    def __init__(self, labels: int = 0) -> None:
        super().__init__()
        self.label = nn.Embedding(labels, 8) if labels else None
        self.main = nn.Sequential(
            nn.ConvTranspose2d(8, 8, 4, 1, 0, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(True),
            nn.ConvTranspose2d(8, 6, 4, 2, 1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(True),
            nn.ConvTranspose2d(6, 3, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, label: int | None = None) -> Tensor:
        if self.label is not None:
            z = z * self.label.weight[label][:, None, None]
        return self.main(z)


class Residual(nn.Module):
    """A linear layer, then maps that are upsampled, convolved, and added to what was upsampled."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(8, 8 * 16), nn.Unflatten(1, (8, 4, 4)), nn.LeakyReLU(0.2, inplace=True))
        self.up = nn.Upsample(scale_factor=2)
        self.convolve = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(8, 8, 3, 1, 1), nn.InstanceNorm2d(8, affine=True), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1)
            )
            for _ in range(2)
        )
        self.joined = nn.ModuleList(nn.PReLU() for _ in range(2))
        self.last = nn.Conv2d(8, 3, 3, 1, 1)

    def forward(self, z: Tensor) -> Tensor:
        maps = self.fc(z)
        for convolve, joined in zip(self.convolve, self.joined, strict=True):
            maps = self.up(maps)
            maps = joined(maps + convolve(maps))
        return torch.tanh(self.last(maps))


def critic() -> nn.Module:
    """Pools, normalises by groups, adds, and ends in a sigmoid."""

    class Judge(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Sequential(
                nn.utils.spectral_norm(nn.Conv2d(3, 6, 3, 1, 1)), nn.LeakyReLU(0.2, True), nn.AvgPool2d(2)
            )
            self.around = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1), nn.GroupNorm(2, 6), nn.PReLU(), nn.Dropout(0.3))
            self.second = nn.Sequential(nn.PReLU(), nn.MaxPool2d(2))
            self.score = nn.Sequential(nn.Flatten(), nn.Linear(96, 1), nn.Sigmoid())

        def forward(self, images: Tensor) -> Tensor:
            maps = self.first(images)
            return self.score(self.second(maps + self.around(maps)))

    return Judge()


def strange(kind: str) -> DCGAN:
    torch.manual_seed(4)
    networks: dict[str, Callable[[], Any]] = {
        "tutorial": Tutorial,
        "residual": Residual,
        "conditional": lambda: functools.partial(Tutorial(3), label=1),
    }
    latent, layers = {"residual": ((8,), ["fc", "joined.0", "joined.1"])}.get(kind, ((8, 1, 1), ["main.2", "main.5"]))
    network = networks[kind]()
    module = network.func if isinstance(network, functools.partial) else network
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    return dcgan_viz.wrap(
        network,
        critic(),
        latent=latent,
        generator_layers=layers,
        discriminator_layers=["first", "second"],
        name=kind,
    )


@pytest.mark.parametrize("kind", ["tutorial", "residual", "conditional"])
def test_every_analysis_takes_what_no_specification_describes(kind: str) -> None:
    model = strange(kind)
    for name, analysis in ANALYSES.items():
        result = analysis(model)
        assert all(np.isfinite(a).all() for a in result.arrays().values() if a.dtype.kind == "f"), name
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.generator.modules())


def test_what_is_drawn_for_another_label_is_of_another_digest() -> None:
    torch.manual_seed(0)
    network = Tutorial(3)
    models = [
        dcgan_viz.wrap(functools.partial(network, label=k), latent=(8, 1, 1), generator_layers=["main.2"])
        for k in (0, 0, 2)
    ]
    one, same_label, other = (m.generator_digest() for m in models)
    assert one == same_label != other


def test_directions_of_a_live_module_are_those_of_its_weight() -> None:
    model = strange("tutorial")
    module = model.generator.module
    convolution, norm = module.main[0], module.main[1]
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    expected = (convolution.weight * gain[:, None, None]).flatten(1).T
    torch.testing.assert_close(model.generator.folded_weight(1), expected.detach(), atol=1e-5, rtol=1e-4)
    # A label that is multiplied to z is part of the map.
    assert strange("conditional").generator.folded_weight(1).shape == (128, 8)
    curved = nn.Sequential(nn.Softmax(1), nn.Unflatten(1, (8, 1, 1)), Tutorial())
    model = dcgan_viz.wrap(curved, latent=(8,), generator_layers=["2.main.2"])
    with pytest.raises(dcgan_viz.UserError, match=r"nothing in the layer 2\.main\.2 is linear in z"):
        dcgan_viz.directions(model)


CODE = """
from tests.foreign.test_live_analyses import strange

def make_model():
    return strange("residual")
"""

COMMANDS = (
    "sample --count 4 --out s.png",
    "walk --rows 1 --steps 3 --random-walks 99",
    "invert {w}/pictures.npy --count 1 --starts 1 --steps 4 --samples 64 --own 1",
    "memorization --data {w}/pictures.npy --samples 100",
    "forget --object window --annotations {w}/boxes.json --samples 2 --maps",
    "arithmetic left-right+hat --concepts {w}/concepts.json --trials 2",
    "turn --from left --to right --concepts {w}/concepts.json --rows 1 --positions 3",
    "directions --count 1 --samples 1",
    "guided-backprop --layer 2 --maps 0 --count 4 --top 1 --rule zero --sanity --method all",
    "evaluate --data {w}/pictures.npy --samples 200 --encoder {w}/encoder",
    "concepts --set new=1,2 --out {w}/new.json",
)


def test_every_command_takes_a_function_of_a_file(
    run: Callable[..., Any], refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    model = strange("residual")
    np.save(tmp_path / "pictures.npy", np.random.default_rng(0).integers(0, 256, (400, 16, 16, 3), dtype=np.uint8))
    save_annotations(boxes(model), tmp_path / "boxes.json")
    save_concepts(concepts(model), tmp_path / "concepts.json")
    Encoder(EncoderNetwork(3, 2, (4, 6, 8)), EncoderCard("tiny", ("a", "b"), widths=(4, 6, 8))).save(
        tmp_path / "encoder"
    )
    for command in COMMANDS:
        done = run(*command.format(w=tmp_path).split(), "--model", "mine.py:make_model")
        assert done.exit_code == 0, f"{command}: {done.output}"
    numbers = json.loads((tmp_path / "results" / "forget" / "result.json").read_text())
    assert numbers["settings"]["generator_digest"] == model.generator_digest()
    kept = (
        "forget",
        "--annotations",
        "boxes.json",
        "--samples",
        2,
        "--save-as",
        "kept",
        "--model",
        "mine.py:make_model",
    )
    assert "are live modules" in refused(*kept)
