"""Guided gradients of wrapped discriminators of every kind of module, beside networks whose rectifiers are written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, spectral_norm

import dcgan_viz
from dcgan_viz.analysis.attribution.guided_backprop import guided_backprop
from dcgan_viz.analysis.attribution.guided_gradient import Rule, deconvnet_gradient
from dcgan_viz.analysis.attribution.unit_gradients import Unit, unit_gradients
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN


class Guided(torch.autograd.Function):
    """f(x) forwards; backwards max(g, 0) times a derivative that is handed in."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, outputs: Tensor, derivative: Tensor) -> Tensor:
        ctx.save_for_backward(derivative)
        return outputs.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return torch.where(gradients[0] > 0, gradients[0], 0) * ctx.saved_tensors[0], None, None


class WrittenOut(nn.Module):
    """An activation module with its value and derivative below zero as formulas."""

    def __init__(self, module: nn.Module, rule: Rule) -> None:
        super().__init__()
        self.module, self.rule = module, rule

    def forward(self, x: Tensor) -> Tensor:
        below, slope = self.below(x.detach())
        outputs = torch.where(x.detach() > 0, x.detach() * self.above, below)
        derivative = torch.where(x.detach() > 0, torch.tensor(self.above), slope if self.rule == "keep" else 0 * slope)
        return Guided.apply(x, outputs, derivative)

    @property
    def above(self) -> float:
        return 1.0507009873554805 if isinstance(self.module, nn.SELU) else 1.0

    def below(self, x: Tensor) -> tuple[Tensor, Tensor]:
        m = self.module
        if isinstance(m, nn.PReLU):
            slope = m.weight.detach().view(1, -1, 1, 1).expand_as(x)
            return slope * x, slope
        if isinstance(m, nn.LeakyReLU):
            return m.negative_slope * x, torch.full_like(x, m.negative_slope)
        if isinstance(m, nn.RReLU):
            mean = (m.lower + m.upper) / 2
            return mean * x, torch.full_like(x, mean)
        if isinstance(m, nn.SELU):
            return self.above * 1.6732632423543772 * (x.exp() - 1), self.above * 1.6732632423543772 * x.exp()
        if isinstance(m, nn.CELU):
            return m.alpha * ((x / m.alpha).exp() - 1), (x / m.alpha).exp()
        if isinstance(m, nn.ELU):
            return m.alpha * (x.exp() - 1), m.alpha * x.exp()
        return 0 * x, 0 * x


ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.RReLU)


def written_out(network: nn.Module, rule: Rule) -> nn.Module:
    for name, child in network.named_children():
        if isinstance(child, ACTIVATIONS):
            setattr(network, name, WrittenOut(child, rule))
        else:
            written_out(child, rule)
    return network.eval()


class Residual(nn.Module):
    """Maps through two convolutions, and around them."""

    def __init__(self, act: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.inner = nn.Sequential(act(), nn.Conv2d(6, 6, 3, 1, 1), act(), nn.Conv2d(6, 6, 3, 1, 1))
        self.around = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(6, 6, 1))

    def forward(self, maps: Tensor) -> Tensor:
        return self.around(maps) + functional.avg_pool2d(self.inner(maps), 2)


def network(*parts: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Conv2d(3, 6, 4, 2, 1), *parts, nn.Flatten(), nn.LazyLinear(1))


def norms(norm: nn.Module) -> Callable[[], nn.Module]:
    return network(norm, nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(6, 6, 3, 1, 1), nn.LeakyReLU(0.2))


# Each is read at the last of the layers that are named.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "ReLU, in place": (network(nn.ReLU(inplace=True), nn.Conv2d(6, 6, 3, 1, 1), nn.ReLU(inplace=True)), "3"),
    "PReLU": (network(nn.PReLU(), nn.Conv2d(6, 6, 3, 1, 1), nn.PReLU(6, 0.4)), "3"),
    "PReLU that slopes down": (network(nn.PReLU(6, -0.3), nn.Conv2d(6, 6, 3, 1, 1), nn.PReLU()), "3"),
    "ELU": (network(nn.ELU(0.7), nn.Conv2d(6, 6, 3, 1, 1), nn.ELU(inplace=True)), "3"),
    "CELU": (network(nn.CELU(1.5), nn.Conv2d(6, 6, 3, 1, 1), nn.CELU()), "3"),
    "SELU": (network(nn.SELU(), nn.Conv2d(6, 6, 3, 1, 1), nn.SELU(inplace=True)), "3"),
    "RReLU": (network(nn.RReLU(), nn.Conv2d(6, 6, 3, 1, 1), nn.RReLU()), "3"),
    "batch norm": (norms(nn.BatchNorm2d(6)), "4"),
    "instance norm": (norms(nn.InstanceNorm2d(6)), "4"),
    "instance norm with gains": (norms(nn.InstanceNorm2d(6, affine=True, track_running_stats=True)), "4"),
    "group norm": (norms(nn.GroupNorm(3, 6)), "4"),
    "layer norm": (norms(nn.LayerNorm([6, 8, 8])), "4"),
    "spectral norm": (
        network(nn.LeakyReLU(0.2), spectral_norm(nn.Conv2d(6, 6, 3, 1, 1)), nn.LeakyReLU(0.2)),
        "3",
    ),
    "spectral norm, parametrised": (
        network(nn.LeakyReLU(0.2), parametrizations.spectral_norm(nn.Conv2d(6, 6, 3, 1, 1)), nn.LeakyReLU(0.2)),
        "3",
    ),
    "pooling": (
        network(nn.LeakyReLU(0.2), nn.MaxPool2d(2), nn.Conv2d(6, 6, 3, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2)),
        "4",
    ),
    "dropout": (network(nn.LeakyReLU(0.2), nn.Dropout2d(0.5), nn.Conv2d(6, 6, 3, 1, 1), nn.LeakyReLU(0.2)), "4"),
    "upsampling": (network(nn.ReLU(), nn.Upsample(scale_factor=2), nn.ConvTranspose2d(6, 6, 4, 2, 1), nn.ReLU()), "4"),
    "residual": (lambda: nn.Sequential(nn.Conv2d(3, 6, 3, 1, 1), Residual(nn.ReLU), Residual(nn.ELU), nn.LeakyReLU(0.1),
                                       nn.Flatten(), nn.LazyLinear(1)), "3"),
}  # fmt: skip


class Upper(nn.Module):
    """A generator to go with them."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(nn.ConvTranspose2d(5, 6, 4), nn.ReLU(), nn.ConvTranspose2d(6, 3, 8, 4, 2), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        return self.main(z)


def wrapped(judge: nn.Module, layer: str) -> DCGAN:
    return dcgan_viz.wrap(Upper(), judge, latent=(5, 1, 1), generator_layers=["main.1"], discriminator_layers=[layer])


@pytest.mark.parametrize("rule", ["keep", "zero"])
@pytest.mark.parametrize("name", NETWORKS)
def test_guided_gradients_are_those_of_rectifiers_that_are_written_out(name: str, rule: Rule) -> None:
    torch.manual_seed(2)
    make, layer = NETWORKS[name]
    judge = make()
    images = torch.randn(5, 3, 16, 16).clamp(-1, 1)
    judge.train()(images)
    model = wrapped(judge, layer)
    maps = model.discriminator.activations(images, 1).detach()
    # The strongest place of an image: where a rectifier is silent there is nothing to explain.
    units = [Unit(k, *(int(i) for i in np.unravel_index(int(maps[k].argmax()), maps.shape[1:]))) for k in range(5)]
    found = unit_gradients(model.discriminator, 1, images, units, rule)

    written_out(judge, rule)
    inputs = images.clone().requires_grad_()
    output = inputs
    for number, module in enumerate(judge.children()):
        output = module(output)
        if str(number) == layer:
            break
    torch.testing.assert_close(output, maps, atol=1e-5, rtol=1e-5)
    explained = torch.stack([output[u.image, u.map, u.row, u.column] for u in units])
    (expected,) = torch.autograd.grad(explained.sum(), inputs)
    assert expected.abs().max() > 0
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)


@pytest.mark.parametrize(
    ("module", "named"),
    [(nn.GELU(), "GELU"), (nn.SiLU(), "SiLU"), (nn.Softplus(), "Softplus"), (nn.ReLU6(), "Hardtanh"), (nn.Mish(), "Mish")],
)  # fmt: skip
def test_activations_without_a_rule_are_refused_by_their_module(module: nn.Module, named: str) -> None:
    model = wrapped(network(nn.ReLU(), nn.Conv2d(6, 6, 3, 1, 1), module)(), "3")
    with pytest.raises(UserError, match=rf"not defined for {named}.*, which the module (module\.)?3 uses"):
        guided_backprop(model, model.sample(4), layer=1, maps=[0])


class ByHand(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * (x > 0),
        lambda x: torch.where(x > 0, x, 0.1 * x),
        lambda x: (x + x.abs()) / 2,
        lambda x: torch.max(x, 0.2 * x),
        lambda x: x.clamp(min=0),
    ],
)
def test_rectifiers_that_are_written_by_hand_are_refused(function: Callable[[Tensor], Tensor]) -> None:
    model = wrapped(network(nn.ReLU(), nn.Conv2d(6, 6, 3, 1, 1), ByHand(function))(), "3")
    with pytest.raises(UserError, match=r"is not defined for .*, which the module (module\.)?3 uses"):
        guided_backprop(model, model.sample(4), layer=1, maps=[0])


def test_a_deconvnet_exchanges_learned_slopes_and_refuses_what_is_curved() -> None:
    prelu = nn.PReLU(1, 0.3)
    x = torch.tensor([[3.0, -1.0]])
    signs = torch.tensor([-1.0, 1.0])
    found = deconvnet_gradient(prelu, x, lambda x: (prelu(x) * signs).sum(1))
    torch.testing.assert_close(found, torch.tensor([[-0.3, 1.0]]))
    with pytest.raises(UserError, match="a deconvnet is not defined for ELU"):
        deconvnet_gradient(elu := nn.ELU(), x, lambda x: elu(x).sum(1))


@pytest.mark.parametrize(
    "norm", [lambda c: c, spectral_norm, parametrizations.spectral_norm, parametrizations.weight_norm, nn.utils.weight_norm]
)  # fmt: skip
def test_weights_are_drawn_anew_beneath_their_norms(norm: Callable[[nn.Module], nn.Module]) -> None:
    torch.manual_seed(0)
    judge = network(nn.PReLU(), norm(nn.Conv2d(6, 6, 3, 1, 1, bias=False)), nn.LeakyReLU(0.2))().eval()
    model = dcgan_viz.wrap(
        Upper(), judge, latent=(5, 1, 1), generator_layers=["main.1"], discriminator_layers=["1", "3"]
    )
    images = model.sample(4)
    one, other, twice = (model.discriminator.redrawn([2], seed) for seed in (1, 2, 1))
    # A norm of the older kind writes the weight when its layer runs.
    one(images)
    kernels = [n.get_submodule("module.2").weight.detach().flatten(1) for n in (model.discriminator, one)]
    assert kernels[1].std() != pytest.approx(float(kernels[0].std()), rel=1e-6)
    if "spectral" in getattr(norm, "__name__", ""):
        assert float(torch.linalg.matrix_norm(kernels[1], 2)) == pytest.approx(1, rel=1e-2)
    else:
        assert float(kernels[1].std()) == pytest.approx(0.02, rel=0.2)
    assert torch.equal(one(images), twice(images))
    assert not torch.allclose(one.activations(images, 2), other.activations(images, 2), atol=1e-4)
    assert torch.equal(one.activations(images, 1), model.discriminator.activations(images, 1))
