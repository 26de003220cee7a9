from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dcgan_viz.analysis.attribution.guided_backprop import guided_backprop
from dcgan_viz.analysis.attribution.methods import METHODS, compare_methods
from dcgan_viz.analysis.attribution.sanity import check_layer
from dcgan_viz.analysis.attribution.unit_gradients import Unit, unit_gradients
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer
from dcgan_viz.networks.receptive_field import ReceptiveField


class Stranger(nn.Module):
    """A network that is none of ours, behind the verbs that analyses ask for: it computes what another one does."""

    def __init__(self, known: nn.Module) -> None:
        super().__init__()
        self.inside = known

    @property
    def numbered_layers(self) -> tuple[Layer, ...]:
        return self.inside.numbered_layers

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.inside.image_shape

    def forward(self, images: Tensor) -> Tensor:
        return self.inside(images)

    def activations(self, inputs: Tensor, layer: int) -> Tensor:
        return self.inside.activations(inputs, layer)

    def all_activations(self, inputs: Tensor, last: int | None = None) -> list[Tensor]:
        return self.inside.all_activations(inputs, last)

    def logits_from(self, maps: Tensor, layer: int) -> Tensor:
        return self.inside.logits_from(maps, layer)

    def receptive_field(self, layer: int) -> ReceptiveField:
        return self.inside.receptive_field(layer)

    def redrawn(self, layers: Iterable[int], seed: int) -> Stranger:
        return Stranger(self.inside.redrawn(layers, seed))


@pytest.fixture
def strange(tiny_model: DCGAN) -> DCGAN:
    return DCGAN(tiny_model.generator, Stranger(tiny_model.discriminator).eval(), tiny_model.card)


def test_the_verbs_of_a_generator_are_steps_of_its_forward_pass(tiny_model: DCGAN) -> None:
    generator, z = tiny_model.generator, tiny_model.latents(3, seed=0)
    everything = generator.all_activations(z)
    assert len(everything) == len(generator.numbered_layers)
    for layer, maps in zip(generator.numbered_layers, everything, strict=True):
        assert maps.shape[1:] == (layer.channels, layer.size, layer.size)
        assert torch.equal(generator.activations(z, layer.number), maps)
        assert torch.allclose(generator.draw_from(maps, layer.number), generator(z), atol=1e-6)
    assert torch.equal(everything[-1], generator(z))
    assert len(generator.all_activations(z, 2)) == 2


def test_the_verbs_of_a_discriminator_are_steps_of_its_forward_pass(tiny_model: DCGAN) -> None:
    discriminator, images = tiny_model.discriminator, tiny_model.sample(3)
    for layer, maps in zip(discriminator.numbered_layers, discriminator.all_activations(images), strict=True):
        assert maps.shape[1:] == (layer.channels, layer.size, layer.size)
        assert torch.equal(discriminator.activations(images, layer.number), maps)
        assert torch.allclose(discriminator.logits_from(maps, layer.number), discriminator(images), atol=1e-6)


def test_verbs_take_other_floating_types_and_let_gradients_through(tiny_model: DCGAN) -> None:
    z = tiny_model.latents(2, seed=0).double().requires_grad_()
    maps = tiny_model.generator.activations(z, 1)
    tiny_model.discriminator.activations(tiny_model.generator.draw_from(maps, 1), 2).sum().backward()
    assert z.grad is not None
    assert z.grad.abs().sum() > 0


@pytest.mark.parametrize("side", ["generator", "discriminator"])
def test_a_layer_that_does_not_exist_is_refused_with_those_that_do(tiny_model: DCGAN, side: str) -> None:
    network = getattr(tiny_model, side)
    inputs = tiny_model.latents(1, seed=0) if side == "generator" else tiny_model.sample(1)
    for number in (0, -1, len(network.numbered_layers) + 1):
        with pytest.raises(UserError, match="choose from 1: "):
            network.activations(inputs, number)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_folded_weights_do_what_the_layer_does_before_its_rectifier(tiny_model: DCGAN, layer: int) -> None:
    images = tiny_model.sample(4)
    below = images if layer == 1 else tiny_model.discriminator.activations(images, layer - 1)
    other = below.flip(0)
    module = tiny_model.discriminator.layers[layer - 1]
    expected = module[:-1](below) - module[:-1](other)
    convolution = module.convolution
    # An affine map: its bias goes in the difference.
    folded = functional.conv2d(
        below - other,
        tiny_model.discriminator.folded_weight(layer),
        stride=convolution.stride,
        padding=convolution.padding,
    )
    assert torch.allclose(folded, expected, atol=1e-4)


def test_folded_weights_of_a_generator_scale_what_is_written(tiny_model: DCGAN) -> None:
    z = tiny_model.latents(2, seed=0)
    projection = tiny_model.generator.layers[0]
    expected = (projection.norm(projection.linear(z)) - projection.norm(projection.linear(z.flip(0)))).detach()
    assert torch.allclose((z - z.flip(0)) @ tiny_model.generator.folded_weight(1).T, expected, atol=1e-4)
    module = tiny_model.generator.layers[1]
    folded = tiny_model.generator.folded_weight(2)
    gain = module.norm.weight / (module.norm.running_var + module.norm.eps).sqrt()
    for channel in range(folded.shape[1]):
        assert torch.allclose(folded[:, channel], module.convolution.weight[:, channel] * gain[channel])


def test_a_copy_with_scaled_maps_draws_as_scaled_maps_do(tiny_model: DCGAN) -> None:
    generator, z = tiny_model.generator, tiny_model.latents(2, seed=0)
    before = generator(z)
    factors = torch.linspace(0, 2, generator.numbered_layers[1].channels)
    expected = generator.draw_from(generator.activations(z, 2) * factors[:, None, None], 2)
    assert torch.allclose(generator.with_scaled_maps(2, factors)(z), expected, atol=1e-5)
    assert torch.equal(generator(z), before)


def test_redrawn_layers_are_others_and_the_rest_are_the_same(tiny_model: DCGAN) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_model.discriminator.state_dict().items()}
    state = torch.random.get_rng_state()
    both, one = (tiny_model.discriminator.redrawn(layers, seed=3).state_dict() for layers in ([2, 3], [3]))
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, tensor in tiny_model.discriminator.state_dict().items():
        assert torch.equal(tensor, before[name])
    convolution = "layers.{}.convolution.weight"
    assert torch.equal(both[convolution.format(0)], before[convolution.format(0)])
    assert not torch.equal(both[convolution.format(1)], before[convolution.format(1)])
    assert torch.equal(one[convolution.format(1)], before[convolution.format(1)])
    assert torch.equal(both[convolution.format(2)], one[convolution.format(2)])


@pytest.mark.parametrize("rule", ["keep", "zero"])
def test_units_of_a_network_that_is_not_ours_are_explained_by_autograd(
    tiny_model: DCGAN, strange: DCGAN, rule: str
) -> None:
    images = tiny_model.sample(4)
    units = [Unit(k % 4, k % 3, k % 2, 1) for k in range(9)]
    ours = unit_gradients(tiny_model.discriminator, 3, images, units, rule)
    theirs = unit_gradients(strange.discriminator, 3, images, units, rule)
    assert torch.allclose(ours, theirs, atol=1e-5 * float(ours.abs().max()))
    assert unit_gradients(strange.discriminator, 3, images, [], rule).shape == (0, 3, 16, 16)


def test_a_chain_that_normalises_after_its_rectifiers_is_explained_by_autograd(
    tiny_model: DCGAN, make_model: Callable[..., DCGAN]
) -> None:
    networks = tiny_model.networks
    model = make_model(replace(networks, discriminator=replace(networks.discriminator, norm_first=False)))
    with pytest.raises(UserError, match="discriminator layer 2 does not follow a linear map"):
        model.discriminator.folded_weight(2)
    units, images = [Unit(1, 2, 3, 0), Unit(0, 1, 1, 1)], model.sample(2)
    own = unit_gradients(model.discriminator, 2, images, units)
    assert torch.equal(own, unit_gradients(Stranger(model.discriminator), 2, images, units))
    assert own.abs().sum() > 0


def test_attributions_of_a_network_that_is_not_ours(tiny_model: DCGAN, strange: DCGAN) -> None:
    images = tiny_model.sample(12)
    ours, theirs = (guided_backprop(model, images, layer=2, maps=[0, 1], top=2) for model in (tiny_model, strange))
    assert ours.responses == theirs.responses
    for first, second in zip(ours.arrays().values(), theirs.arrays().values(), strict=True):
        assert first == pytest.approx(second, rel=1e-4, abs=1e-6)
    compared = [compare_methods(model, images, tuple(METHODS), layer=2, maps=[0]) for model in (tiny_model, strange)]
    assert compared[0].attributions == pytest.approx(compared[1].attributions, rel=1e-3, abs=1e-5)
    checks = [check_layer(model, images, layer=2, maps=3) for model in (tiny_model, strange)]
    assert checks[0].cascading == pytest.approx(checks[1].cascading, abs=1e-3)
