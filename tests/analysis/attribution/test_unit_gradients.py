from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.attribution.guided_gradient import Rule, guided_gradient
from dcgan_viz.analysis.attribution.unit_gradients import Unit, unit_gradients
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.modules import Discriminator

RULES: tuple[Rule, ...] = ("keep", "zero")


def slow_guided_gradient(network: Discriminator, image: Tensor, layer: int, unit: Unit, rule: Rule) -> Tensor:
    """One unit, one image, float64, layer by layer: the rule applied by hand to the vector of each layer."""
    network = network.double().eval()
    inputs, below = [], []
    maps = image[None].double()
    for module in network.layers[:layer]:
        inputs.append(maps)
        before = module.convolution(maps)
        before = module.norm(before) if hasattr(module, "norm") else before
        below.append(before)
        maps = functional.leaky_relu(before, network.spec.negative_slope)
    gradient = torch.zeros_like(maps)
    gradient[0, unit.map, unit.row, unit.column] = 1
    for module, entered, before in zip(
        reversed(network.layers[:layer]), reversed(inputs), reversed(below), strict=True
    ):
        guided = torch.zeros_like(gradient)
        for index in torch.nonzero(gradient):
            place = tuple(index.tolist())
            g, x = gradient[place], before[place]
            if rule == "zero":
                guided[place] = g if g > 0 and x > 0 else 0
            else:
                guided[place] = (g if g > 0 else 0) * (1 if x > 0 else network.spec.negative_slope)
        leaf = entered.detach().requires_grad_()
        linear = module.convolution(leaf)
        linear = module.norm(linear) if hasattr(module, "norm") else linear
        (gradient,) = torch.autograd.grad(linear, leaf, guided)
    network.float()
    return gradient[0].float()


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


@pytest.fixture
def images(tiny_model: DCGAN) -> Tensor:
    return tiny_model.sample(12, seed=3)


@pytest.mark.parametrize("rule", RULES)
def test_both_ways_agree_with_the_slow_one_at_every_layer(tiny_model: DCGAN, images: Tensor, rule: Rule) -> None:
    network = tiny_model.discriminator
    random = np.random.default_rng(0)
    for layer in (1, 2, 3):
        side, channels = (8, 4, 4)[layer - 1], (4, 8, 8)[layer - 1]
        units = [
            Unit(int(random.integers(12)), int(random.integers(channels)), *map(int, random.integers(0, side, 2)))
            for _ in range(8)
        ]
        units += [Unit(0, 0, 0, 0), Unit(1, 1, side - 1, side - 1)]
        fast = unit_gradients(network, layer, images, units, rule)
        assert fast.shape == (10, 3, 16, 16)
        assert fast.dtype == torch.float32
        for unit, gradient in zip(units, fast, strict=True):

            def target(x: Tensor, unit: Unit = unit, layer: int = layer) -> Tensor:
                for module in network.layers[:layer]:
                    x = module(x)
                return x[:, unit.map, unit.row, unit.column]

            slow = slow_guided_gradient(network, images[unit.image], layer, unit, rule)
            hooked = guided_gradient(network, images[unit.image][None], target, rule)[0]
            if slow.abs().max() == 0:
                assert gradient.abs().max() == hooked.abs().max() == 0
                continue
            assert relative(gradient, slow) < 1e-5
            assert relative(hooked, slow) < 1e-5
