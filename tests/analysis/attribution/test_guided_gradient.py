from __future__ import annotations

import pytest
import torch
from captum.attr import GuidedBackprop as CaptumGuidedBackprop
from captum.attr import NeuronGuidedBackprop
from torch import Tensor, nn
from torch.nn import functional

from dcgan_viz.analysis.attribution.guided_gradient import Rule, guided_gradient
from dcgan_viz.analysis.attribution.responses import strongest_responses
from dcgan_viz.analysis.attribution.unit_gradients import Unit, unit_gradients
from dcgan_viz.data.images import TensorImages
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN

RULES: tuple[Rule, ...] = ("keep", "zero")


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def hooks(network: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(m, kind)) for m in network.modules() for kind in kinds)


@pytest.fixture
def images(tiny_model: DCGAN) -> Tensor:
    return tiny_model.sample(12, seed=3)


@pytest.mark.parametrize("rule", RULES)
def test_it_is_never_the_plain_gradient(tiny_model: DCGAN, images: Tensor, rule: Rule) -> None:
    network = tiny_model.discriminator
    leaf = images.clone().requires_grad_()
    (plain,) = torch.autograd.grad(network(leaf).sum(), leaf)
    guided = guided_gradient(network, images, network, rule)
    for a, b in zip(guided, plain, strict=True):
        assert relative(a, b) > 0.05
    keep, zero = (guided_gradient(network, images, network, r) for r in RULES)
    assert relative(keep, zero) > 0.05


@pytest.fixture
def relu_network(tiny_model: DCGAN) -> nn.Sequential:
    """The tiny discriminator with ReLUs: captum's rule applies to it."""
    torch.manual_seed(1)
    layers = tiny_model.discriminator.layers
    parts = [part for layer in layers for part in (layer.convolution, getattr(layer, "norm", None), nn.ReLU()) if part]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(128, 3)).eval()


@pytest.mark.parametrize("rule", RULES)
def test_it_equals_captum_on_relu_networks(relu_network: nn.Sequential, images: Tensor, rule: Rule) -> None:
    ours = guided_gradient(relu_network, images, lambda x: relu_network(x)[:, 1], rule)
    theirs = CaptumGuidedBackprop(relu_network).attribute(images.clone().requires_grad_(), target=1)
    assert relative(ours, theirs) < 1e-5
    neuron = NeuronGuidedBackprop(relu_network, relu_network[7])
    theirs = neuron.attribute(images.clone().requires_grad_(), (5, 1, 2))
    ours = guided_gradient(relu_network, images, lambda x: relu_network[:8](x)[:, 5, 1, 2], rule)
    assert relative(ours, theirs) < 1e-5


class Residual(nn.Module):
    """Rectifiers in every awkward form, the same network each time."""

    def __init__(self, form: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.form = form
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.one, self.two = nn.ReLU(), nn.ReLU()
        self.inplace = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        def rectify(y: Tensor, module: nn.Module) -> Tensor:
            return {
                "modules": module,
                "reused": self.one,
                "inplace": self.inplace,
                "functional": functional.relu,
                "functional inplace": lambda v: functional.relu(v, inplace=True),
                "torch": torch.relu,
                "method": lambda v: v.relu(),
                "method inplace": lambda v: v.relu_(),
                "leaky": lambda v: functional.leaky_relu(v, 0.0),
            }[self.form](y)

        y = rectify(self.first(x), self.one)
        y = rectify(self.second(y) + y, self.two)
        return y.mean((1, 2, 3))


FORMS = ["reused", "inplace", "functional", "functional inplace", "torch", "method", "method inplace", "leaky"]


@pytest.mark.parametrize("form", FORMS)
def test_awkward_rectifiers_are_guided_like_modules(form: str, images: Tensor) -> None:
    plain, awkward = Residual("modules"), Residual(form)
    expected = CaptumGuidedBackprop(plain).attribute(images.clone().requires_grad_())
    assert relative(guided_gradient(plain, images, plain), expected) < 1e-5
    assert relative(guided_gradient(awkward, images, awkward), expected) < 1e-5


@pytest.mark.parametrize("module", [nn.GELU(), nn.ReLU6(), nn.SiLU(), nn.Hardtanh()])
def test_other_rectifiers_are_refused_by_name(module: nn.Module, images: Tensor) -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(2, 2, 3), module))
    with pytest.raises(UserError, match=rf"{type(module).__name__}.*, which the module 2\.1 uses"):
        guided_gradient(network, images, lambda x: network(x).sum((1, 2, 3)))
    assert hooks(network) == 0


def test_a_clamp_that_acts_as_a_rectifier_is_refused(images: Tensor) -> None:
    class Clamped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.clamp(min=0).sum((1, 2, 3))

    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), Clamped())
    with pytest.raises(UserError, match="clamp, which the module 2 uses"):
        guided_gradient(network, images, network)


@pytest.mark.slow
def test_networks_that_would_give_the_plain_gradient_are_refused(images: Tensor) -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(768, 1))
    with pytest.raises(UserError, match="no ReLU or LeakyReLU"):
        guided_gradient(linear, images, lambda x: linear(x)[:, 0])
    inner = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
    traced = nn.Sequential(torch.jit.trace(inner, images))
    with pytest.raises(UserError, match="module 0 is compiled"):
        guided_gradient(traced, images, lambda x: traced(x).sum((1, 2, 3)))
    compiled = torch.compile(inner)
    with pytest.raises(UserError, match="compiled"):
        guided_gradient(compiled, images, lambda x: compiled(x).sum((1, 2, 3)))
    with pytest.raises(UserError, match="choose keep or zero"):
        guided_gradient(inner, images, lambda x: inner(x).sum((1, 2, 3)), rule="abs")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"should return \(12,\) numbers"):
        guided_gradient(inner, images, inner)


def test_the_network_is_left_as_it_was(tiny_model: DCGAN, images: Tensor) -> None:
    network = tiny_model.discriminator
    network.train()
    network.layers[1].norm.eval()
    before = {n: t.clone() for n, t in network.state_dict().items()}
    modules = list(network.modules())

    def broken(x: Tensor) -> Tensor:
        network(x)
        raise RuntimeError("a failure half-way")

    guided_gradient(network, images, network)
    unit_gradients(network, 2, images, [Unit(0, 0, 1, 1)])
    strongest_responses(network, 2, TensorImages(images), [0], 2)
    with pytest.raises(RuntimeError, match="half-way"):
        guided_gradient(network, images, broken)
    with pytest.raises(IndexError):
        unit_gradients(network, 2, images, [Unit(0, 99, 0, 0)])
    assert hooks(network) == 0
    assert list(network.modules()) == modules
    assert network.training
    assert not network.layers[1].norm.training
    assert network.layers[2].norm.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not any(p.grad is not None for p in network.parameters())


def test_an_attribution_does_not_depend_on_batch_mates(tiny_model: DCGAN, images: Tensor) -> None:
    network = tiny_model.discriminator.train()
    together = guided_gradient(network, images, network)
    alone = torch.cat([guided_gradient(network, x, network) for x in images.split(1)])
    assert relative(together, alone) < 1e-5
    units = [Unit(i, i % 8, i % 4, 3 - i % 4) for i in range(12)]
    at_once = unit_gradients(network, 3, images, units)
    singly = torch.cat([unit_gradients(network, 3, images, [unit]) for unit in units])
    assert relative(at_once, singly) < 1e-5
