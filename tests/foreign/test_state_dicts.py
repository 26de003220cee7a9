"""Imported networks compute what the originals do."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.state_dicts import import_discriminator, import_generator, read_state_dict
from dcgan_viz.model import load


class View(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.reshape(-1, *self.shape)


def settled(network: nn.Module, inputs: Tensor) -> nn.Module:
    """The network with statistics and gains that matter, in evaluation mode."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.3)
            nn.init.normal_(module.bias, 0, 0.3)
    network.train()
    for _ in range(5):
        network(inputs)
    return network.eval()


def tutorial_generator(bias: bool = False) -> nn.Module:
    """As in PyTorch's DCGAN tutorial."""
    return nn.Sequential(
        View(10, 1, 1),
        nn.ConvTranspose2d(10, 16, 4, 1, 0, bias=bias),
        nn.BatchNorm2d(16),
        nn.ReLU(True),
        nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=bias),
        nn.BatchNorm2d(8),
        nn.ReLU(True),
        nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=bias),
        nn.Tanh(),
    )


def tutorial_discriminator(bias: bool = False) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1, bias=bias),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(8, 16, 4, 2, 1, bias=bias),
        nn.BatchNorm2d(16),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(16, 1, 4, 1, 0, bias=bias),
        nn.Flatten(0),
    )


def linear_generator(norm: bool) -> nn.Module:
    return nn.Sequential(
        nn.Linear(10, 16 * 16),
        View(16, 4, 4),
        nn.BatchNorm2d(16) if norm else nn.Identity(),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 5, 2, 2, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 8, 3, 1, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 1, 5, 2, 2, 1),
        nn.Tanh(),
    )


@pytest.mark.parametrize("bias", [False, True])
def test_the_tutorials_networks_compute_the_same(bias: bool) -> None:
    torch.manual_seed(0)
    z, images = torch.randn(20, 10), torch.rand(20, 3, 16, 16) * 2 - 1
    generator = settled(tutorial_generator(bias), z)
    discriminator = settled(tutorial_discriminator(bias), images)
    ours = import_generator(generator.state_dict(), "normal")
    assert torch.allclose(ours(z), generator(z), atol=1e-5)
    judge = import_discriminator(discriminator.state_dict(), 16, 0.2)
    assert torch.allclose(judge(images), discriminator(images), atol=1e-5)


@pytest.mark.parametrize("norm", [False, True])
def test_linear_projections_and_3x3_layers_compute_the_same(norm: bool) -> None:
    torch.manual_seed(0)
    z = torch.randn(20, 10)
    generator = settled(linear_generator(norm), z)
    ours = import_generator(generator.state_dict(), "uniform", 16)
    assert torch.allclose(ours(z), generator(z), atol=1e-5)
    with pytest.raises(UserError, match="give the side of its images with --size"):
        import_generator(generator.state_dict(), "uniform")
    with pytest.raises(UserError, match="do not lead from 4x4 maps to 28x28"):
        import_generator(generator.state_dict(), "uniform", 28)


def test_the_command_makes_a_model_that_every_command_takes(run, tmp_path: Path) -> None:
    torch.manual_seed(0)
    z = torch.randn(20, 10)
    generator = settled(tutorial_generator(), z)
    torch.save(generator.state_dict(), "G.pth")
    torch.save({"state_dict": tutorial_discriminator().state_dict()}, "D.pt")
    outcome = run("import", "G.pth", "D.pt", "--prior", "normal", "--name", "stranger", "--out", "model")
    assert outcome.exit_code == 0, outcome.output
    model = load("model")
    assert model.card.name == "stranger"
    # Stored as fp16.
    assert torch.allclose(model.generate(z), generator(z), atol=0.02)
    assert run("guided-backprop", "--model", "model", "--count", 8).exit_code == 0
    assert run("walk", "--model", "model", "--rows", 1, "--steps", 3).exit_code == 0


class _Bomb:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("exploded"),)


def test_what_is_no_dcgan_is_refused_by_name(refused, tmp_path: Path) -> None:
    whole = tutorial_generator().state_dict()
    torch.save(whole, "G.pth")
    torch.save(tutorial_discriminator().state_dict(), "D.pth")
    Path("cut.pth").write_bytes(Path("G.pth").read_bytes()[:500])
    Path("bomb.pth").write_bytes(pickle.dumps(_Bomb()))
    torch.save({"generator": _Bomb()}, "bomb2.pth")
    torch.save({"epoch": 3}, "number.pth")
    torch.save({**whole, "attention.gamma": torch.ones(1)}, "attention.pth")

    def sentence(generator: str, discriminator: str = "D.pth") -> str:
        return refused("import", generator, discriminator, "--prior", "normal", "--out", "model")

    assert "nowhere.pth does not exist" in sentence("nowhere.pth")
    for name in ("cut.pth", "bomb.pth", "bomb2.pth"):
        assert f"{name} is not a readable file of weights alone" in sentence(name)
    save_file(whole, "G.safetensors")
    assert "lost the order of its layers" in sentence("G.safetensors")
    assert "number.pth holds no state_dict" in sentence("number.pth")
    assert "the layer attention (gamma) is none that a DCGAN has" in sentence("attention.pth")
    assert "do not fit its neighbours" in sentence("D.pth")
    assert not Path("model").exists()
    assert not Path("exploded").exists()


@pytest.mark.realdata
def test_a_strangers_checkpoint_draws_faces(realdata: Path) -> None:
    folder = realdata / "checkpoints"
    generator = import_generator(read_state_dict(folder / "efleurine__faces-dcgan__generator.pt"), "uniform")
    discriminator = import_discriminator(
        read_state_dict(folder / "efleurine__faces-dcgan__discriminator.pt"), generator.spec.image_size, 0.2
    )
    z = torch.rand(64, 100, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        images = generator(z)
        assert images.shape == (64, 3, 32, 32)
        # Faces are smooth: neighbouring pixels agree far better than distant ones.
        assert (images[..., 1:] - images[..., :-1]).abs().mean() < 0.4 * (
            images[..., 8:] - images[..., :-8]
        ).abs().mean()
        assert discriminator(images).isfinite().all()
    with pytest.raises(UserError, match="give the side"):
        import_generator(read_state_dict(folder / "dennisjooo__DCGAN-on-MNIST__models__generator.pth"), "normal")
