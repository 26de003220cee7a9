from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import Deconvolution, Saliency
from torch import Tensor, nn

from dcgan_viz.analysis.attribution.methods import METHODS, MethodComparison, compare_methods
from dcgan_viz.analysis.attribution.unit_gradients import unit_gradients
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN


@pytest.fixture
def images(tiny_model: DCGAN) -> Tensor:
    return tiny_model.sample(10, seed=2)


def compare(model: DCGAN, images: Tensor, layer: int, *methods: str, seed: int = 0) -> MethodComparison:
    return compare_methods(model, images, methods, layer=layer, maps=[0, 1, 2], seed=seed)


def test_every_method_explains_every_unit_and_no_two_agree(tiny_model: DCGAN, images: Tensor) -> None:
    result = compare(tiny_model, images, 3, *METHODS)
    assert result.attributions.shape == (3, len(METHODS), 3, 16, 16)
    assert np.isfinite(result.attributions).all()
    for unit in result.attributions:
        flat = unit.reshape(len(METHODS), -1)
        assert (np.abs(flat).max(1) > 0).all()
        correlation = np.corrcoef(flat)
        np.fill_diagonal(correlation, 0)
        assert np.abs(correlation).max() < 0.9999
    assert not any(m._forward_hooks or m._backward_hooks for m in tiny_model.discriminator.modules())
    assert np.array_equal(compare(tiny_model, images, 3, *METHODS).attributions, result.attributions)


def test_guided_and_gradient_are_what_they_say(tiny_model: DCGAN, images: Tensor) -> None:
    result = compare(tiny_model, images, 2, "guided", "gradient", "input-x-gradient")
    network = tiny_model.discriminator
    guided = unit_gradients(network, 2, images, [r.unit for r in result.responses])
    assert np.allclose(result.attributions[:, 0], guided.numpy(), atol=1e-6)
    for index, response in enumerate(result.responses):
        leaf = images[response.image][None].requires_grad_()
        maps = network.layers[1](network.layers[0](leaf))
        (gradient,) = torch.autograd.grad(maps[0, response.map, response.row, response.column], leaf)
        assert np.allclose(result.attributions[index, 1], gradient[0].numpy(), atol=1e-6)
        assert np.allclose(result.attributions[index, 2], (gradient * leaf.detach())[0].numpy(), atol=1e-6)


def test_integrated_gradients_sum_to_the_activation(tiny_model: DCGAN, images: Tensor) -> None:
    result = compare(tiny_model, images, 3, "integrated-gradients")
    network = tiny_model.discriminator
    for response, attribution in zip(result.responses, result.attributions[:, 0], strict=True):
        pair = torch.stack([images[response.image], torch.zeros(3, 16, 16)])
        for module in network.layers:
            pair = module(pair)
        values = pair[:, response.map, response.row, response.column]
        assert attribution.sum() == pytest.approx(float(values[0] - values[1]), rel=0.05, abs=0.02)


def test_deconvnet_is_captums_where_captum_is_right(make_model, images: Tensor) -> None:
    """With a slope of 0 the LeakyReLU is a ReLU, which captum's deconvolution knows."""
    from dataclasses import replace

    from dcgan_viz.networks import dcgan
    from dcgan_viz.networks.spec import NetworkSpec

    spec = dcgan(16, width=4, latent_dim=8, top_layer=True)
    model = make_model(NetworkSpec(spec.generator, replace(spec.discriminator, negative_slope=0.0)))
    result = compare(model, images, 3, "deconvnet")
    layers = [[m for m in layer if not isinstance(m, nn.LeakyReLU | nn.ReLU)] for layer in model.discriminator.layers]
    network = nn.Sequential(*(nn.Sequential(*layer, nn.ReLU()) for layer in layers)).eval()
    for response, attribution in zip(result.responses, result.attributions[:, 0], strict=True):
        leaf = images[response.image][None].requires_grad_()
        target = (response.map, response.row, response.column)
        expected = Deconvolution(network).attribute(leaf, target=target)[0].detach().numpy()
        plain = Saliency(network).attribute(leaf, target=target, abs=False)[0].detach().numpy()
        assert np.allclose(attribution, expected, atol=1e-6)
        assert not np.allclose(attribution, plain, atol=1e-6)


def test_the_seed_moves_smoothgrad_alone(tiny_model: DCGAN, images: Tensor) -> None:
    first, second = (compare(tiny_model, images, 2, "smoothgrad", "gradient", seed=s).attributions for s in (0, 1))
    assert not np.array_equal(first[:, 0], second[:, 0])
    assert np.array_equal(first[:, 1], second[:, 1])


def test_wrong_methods_are_refused(tiny_model: DCGAN, images: Tensor) -> None:
    with pytest.raises(UserError, match="there is no method 'lime': choose from guided"):
        compare(tiny_model, images, 2, "lime")
    with pytest.raises(UserError, match="layer 1 has none"):
        compare(tiny_model, images, 1, "gradcam")
