"""Batch-norm statistics weigh every image alike, however the images are split into batches."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dcgan_viz.errors import UserError
from dcgan_viz.networks import dcgan
from dcgan_viz.networks.modules import Discriminator, Generator
from dcgan_viz.networks.statistics import recalibrate

SPEC = dcgan(16, width=4, latent_dim=8, top_layer=True)


def images(count: int) -> Tensor:
    """Pictures whose brightness drifts from the first to the last, so that batches differ."""
    noise = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return (noise * 0.5 + torch.linspace(-1, 0.5, count).view(-1, 1, 1, 1)).clamp(-1, 1)


def statistics(network: nn.Module) -> dict[str, Tensor]:
    return {name: t.clone() for name, t in network.state_dict().items() if "running" in name}


def plain_discriminator_statistics(network: Discriminator, batch: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Mean and variance before every batch-norm, of all images at once, by their formulas in float64."""
    maps, found = batch.double(), []
    for layer in copy.deepcopy(network).double().layers:
        maps = layer.convolution(maps)
        norm = getattr(layer, "norm", None)
        if norm is not None:
            mean = maps.sum((0, 2, 3)) / (maps.numel() / maps.shape[1])
            spread = maps - mean[:, None, None]
            variance = spread.square().sum((0, 2, 3)) / (maps.numel() / maps.shape[1])
            found.append((mean, variance))
            maps = spread / (variance + norm.eps).sqrt()[:, None, None]
            maps = maps * norm.weight[:, None, None] + norm.bias[:, None, None]
        maps = torch.where(maps > 0, maps, 0.2 * maps)
    return found


@pytest.mark.parametrize("split", [130, 128, 64, 1, [2, 128], [1, 100, 29]], ids=str)
def test_they_are_those_of_all_images_at_once_for_any_split(split: int | list[int]) -> None:
    """Once, a last batch of 2 weighed as much as one of 128."""
    torch.manual_seed(0)
    network = Discriminator(SPEC.discriminator)
    expected = plain_discriminator_statistics(network, images(130))
    assert recalibrate(network, images(130).split(split)) == 130
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm, (mean, variance) in zip(norms, expected, strict=True):
        assert torch.allclose(norm.running_mean.double(), mean, rtol=1e-4, atol=1e-6)
        assert torch.allclose(norm.running_var.double(), variance, rtol=1e-4)


def test_a_generator_then_draws_as_it_does_on_one_batch_of_all_latents() -> None:
    torch.manual_seed(0)
    generator = Generator(SPEC.generator)
    latents = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (50, 8)).astype(np.float32))
    with torch.no_grad():
        expected = copy.deepcopy(generator).train()(latents)
        recalibrate(generator, latents.split(48))
        assert not generator.training
        assert torch.allclose(generator(latents), expected, atol=1e-5)


def test_what_the_running_averages_held_before_does_not_matter() -> None:
    torch.manual_seed(0)
    network = Discriminator(SPEC.discriminator)
    recalibrate(network, images(40).split(16))
    first = statistics(network)
    with torch.no_grad():
        network.train()(torch.rand(8, 3, 16, 16))
    recalibrate(network, images(40).split(16))
    assert all(torch.equal(first[name], tensor) for name, tensor in statistics(network).items())


def test_only_the_statistics_change_and_no_hook_stays() -> None:
    torch.manual_seed(0)
    network = Discriminator(SPEC.discriminator)
    before = {name: p.clone() for name, p in network.named_parameters()}
    recalibrate(network, images(8).split(4))
    assert all(torch.equal(before[name], p) for name, p in network.named_parameters())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_norms_are_measured_as_they_are_reached_and_may_lack_a_gain() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.BatchNorm1d(1, affine=False)
            self.first = nn.BatchNorm1d(1, affine=False, track_running_stats=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(3 * self.first(x) + 1)

    network = Backwards()
    recalibrate(network, [torch.tensor([[0.0], [2.0]]), torch.tensor([[4.0]])])
    assert network.first.running_mean == pytest.approx(2)
    assert network.last.running_mean == pytest.approx(1)
    assert network.last.running_var == pytest.approx(9, rel=1e-4)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_examples_are_refused(count: int) -> None:
    with pytest.raises(UserError, match=f"2 examples or more, not on {count}"):
        recalibrate(nn.Sequential(nn.BatchNorm1d(1)), [torch.zeros(count, 1)])
