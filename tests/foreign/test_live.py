"""Live modules give what the networks themselves give, and are left as they were."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import dcgan_viz
from dcgan_viz.analysis.attribution.guided_backprop import guided_backprop
from dcgan_viz.analysis.attribution.unit_gradients import Unit, unit_gradients
from dcgan_viz.analysis.forgetting.ablation import Ablation, draw_with, edited
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, load


def hooks(model: DCGAN) -> int:
    modules = [*model.generator.modules(), *model.discriminator.modules()]
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in modules)


@pytest.fixture
def live(tiny_model: DCGAN) -> DCGAN:
    """The tiny model's own modules, wrapped as if they were somebody's."""
    named = {s: [layer.name for layer in getattr(tiny_model, f"{s}_layers")] for s in ("generator", "discriminator")}
    return dcgan_viz.wrap(
        tiny_model.generator,
        tiny_model.discriminator,
        latent=(tiny_model.latent_dim,),
        prior=tiny_model.prior,
        generator_layers=named["generator"][:-1],
        discriminator_layers=named["discriminator"],
    )


def test_a_wrapped_model_gives_the_models_own_numbers(tiny_model: DCGAN, live: DCGAN) -> None:
    images = tiny_model.sample(12)
    assert torch.allclose(live.sample(12), images, atol=1e-6)
    z = tiny_model.latents(4, seed=1)
    for layer in tiny_model.generator_layers[:-1]:
        maps = tiny_model.activations(z, layer.number)
        assert torch.allclose(live.activations(z, layer.number), maps, atol=1e-6)
        assert torch.allclose(live.generator.draw_from(maps, layer.number), tiny_model.generate(z), atol=1e-6)
        ours, theirs = (m.generator_layers[layer.number - 1] for m in (tiny_model, live))
        assert (ours.channels, ours.size) == (theirs.channels, theirs.size)
    for layer in tiny_model.discriminator_layers:
        own, other = (m.discriminator.receptive_field(layer.number) for m in (tiny_model, live))
        for position in range(layer.size):
            assert own.window(position, 0) == other.window(position, 0)
        maps = tiny_model.discriminator.activations(images, layer.number)
        logits = tiny_model.discriminator(images)
        assert torch.allclose(live.discriminator.logits_from(maps, layer.number), logits, atol=1e-5)
    units = [Unit(0, 1, 1, 1), Unit(2, 0, 0, 1)]
    mine, found = (unit_gradients(m.discriminator, 3, images, units) for m in (tiny_model, live))
    assert torch.allclose(mine, found, atol=1e-5 * float(mine.abs().max()))
    redrawn = [m.discriminator.redrawn([2], 5)(images) for m in (tiny_model, live)]
    assert torch.allclose(*redrawn, atol=1e-5)
    assert hooks(live) == 0


def test_analyses_of_a_wrapped_model_agree(tiny_model: DCGAN, live: DCGAN) -> None:
    images = tiny_model.sample(12)
    ours, theirs = (guided_backprop(m, images, layer=2, maps=[0, 1], top=2) for m in (tiny_model, live))
    assert ours.responses == theirs.responses
    z = tiny_model.latents(3, seed=0)
    chosen = [Ablation(m.generator_layers[0], (0, 2)) for m in (tiny_model, live)]
    drawn = [draw_with(m, [a, a.of(())], z) for m, a in zip((tiny_model, live), chosen, strict=True)]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*drawn, strict=True))
    changed = [edited(m, a).generate(z) for m, a in zip((tiny_model, live), chosen, strict=True)]
    assert torch.allclose(*changed, atol=1e-6)
    assert torch.allclose(live.generate(z), tiny_model.generate(z), atol=1e-6)
    assert hooks(live) == 0
    with pytest.raises(UserError, match="are live modules"):
        _ = live.networks


def test_hooks_are_gone_after_a_failure_and_modes_are_restored(tiny_model: DCGAN, live: DCGAN) -> None:
    tiny_model.generator.train()
    with pytest.raises(RuntimeError):
        live.generator(torch.zeros(2, 5))
    assert hooks(live) == 0
    live.sample(2)
    assert tiny_model.generator.training


class Residual(nn.Module):
    """Maps go through two convolutions and around them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.ConvTranspose2d(6, 8, 4), nn.ReLU())
        self.inner = nn.Sequential(
            nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, 1, 1)
        )
        self.joined = nn.ReLU()
        self.last = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(8, 3, 3, 1, 1), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        maps = self.first(z)
        return self.last(self.joined(maps + self.inner(maps)))


def test_a_residual_generator_is_cut_where_its_connections_end(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    model = dcgan_viz.wrap(Residual(), latent=(6, 1, 1))
    assert "generator layers: first.1, inner.2, joined" in capsys.readouterr().err
    z = model.latents(3, seed=0)
    for number in (1, 3):
        maps = model.activations(z, number)
        assert torch.allclose(model.generator.draw_from(maps, number), model.generate(z), atol=1e-6)
    with pytest.raises(UserError, match=r"a connection leads around layer 2 \(inner.2\)"):
        model.generator.draw_from(model.activations(z, 2), 2)
    with pytest.raises(UserError, match="needs a discriminator"):
        _ = model.discriminator_layers


class Conditional(nn.Module):
    """Upsamples and convolves, for one of three labels; draws in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.labels = nn.Embedding(3, 6)
        self.maps = nn.Sequential(nn.Linear(6, 8 * 16), nn.Unflatten(1, (8, 4, 4)), nn.LeakyReLU(0.2))
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(8, 1, 3, 1, 1), nn.Sigmoid())

    def forward(self, z: Tensor, label: int) -> Tensor:
        return self.up(self.maps(z * self.labels.weight[label]))


def test_a_conditional_generator_draws_with_its_label_bound() -> None:
    torch.manual_seed(0)
    network = Conditional()
    models = [
        dcgan_viz.wrap(functools.partial(network, label=k), latent=(6,), generator_layers=["maps"], output="sigmoid")
        for k in (0, 2)
    ]
    z = models[0].latents(3, seed=0)
    for model, label in zip(models, (0, 2), strict=True):
        with torch.no_grad():
            assert torch.allclose(model.generate(z), 2 * network(z, label) - 1)
    assert not torch.allclose(models[0].generate(z), models[1].generate(z))


def test_what_cannot_be_wrapped_is_refused_by_name() -> None:
    network = Residual()
    with pytest.raises(UserError, match="has no module nothing: choose from first"):
        dcgan_viz.wrap(network, latent=(6, 1, 1), generator_layers=["nothing"])
    with pytest.raises(UserError, match="is not a torch module"):
        dcgan_viz.wrap(lambda z: z, latent=(6,))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="should return square images"):
        dcgan_viz.wrap(nn.Sequential(nn.Linear(6, 8), nn.ReLU()), latent=(6,), generator_layers=["1"])
    shared = nn.ReLU()
    twice = nn.Sequential(nn.ConvTranspose2d(6, 8, 4), shared, nn.ConvTranspose2d(8, 3, 4, 2, 1), shared)
    with pytest.raises(UserError, match="the module 1 runs more than once"):
        dcgan_viz.wrap(twice, latent=(6, 1, 1), generator_layers=["1"])


CODE = """
import dcgan_viz
from torch import nn

def make_model():
    upper = nn.Sequential(nn.ConvTranspose2d(6, 8, 4), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh())
    return dcgan_viz.wrap(upper, latent=(6, 1, 1), generator_layers=["1"])

def nothing():
    return 3
"""


def test_the_command_line_takes_a_function_of_a_file(run, refused, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    assert run("sample", "--model", "mine.py:make_model", "--count", 4, "--out", "s.png").exit_code == 0
    assert "returned an object of type int" in refused("sample", "--model", "mine.py:nothing", "--out", "t.png")
    assert "has no function other" in refused("sample", "--model", "mine.py:other", "--out", "t.png")
    assert "there is no file none.py" in refused("sample", "--model", "none.py:make", "--out", "t.png")
    assert load(tmp_path / "mine.py:make_model").image_shape == (3, 8, 8)


def test_such_a_file_imports_what_lies_beside_it(tmp_path: Path) -> None:
    path = list(sys.path)
    (tmp_path / "beside_mine.py").write_text(CODE)
    (tmp_path / "mine.py").write_text(
        "def make_model():\n    from beside_mine import make_model as make\n    return make()\n"
    )
    assert load(tmp_path / "mine.py:make_model").image_shape == (3, 8, 8)
    assert sys.path == path
