from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from dcgan_viz.analysis.forgetting.ablation import Ablation, draw_scaled, draw_with, edited, paper_layer, scaled
from dcgan_viz.analysis.forgetting.controls import random_factors
from dcgan_viz.model import DCGAN
from dcgan_viz.networks import dcgan
from dcgan_viz.networks.layers import Layer, find_layer


def draw_without(model: DCGAN, layer: Layer, choices: list, latents: torch.Tensor, strength: float = 1.0) -> list:
    """Pictures without each of several choices of maps."""
    return draw_with(model, [Ablation(layer, tuple(maps), strength) for maps in choices], latents)


def test_the_papers_layer_is_the_16x16_one(make_model: Callable[..., DCGAN]) -> None:
    layer = paper_layer(make_model(dcgan(64, width=4)))
    assert (layer.number, layer.size, layer.channels) == (3, 16, 8)


def test_ablation_equals_a_forward_hook_that_zeroes(tiny_model: DCGAN) -> None:
    """The independent way: leave the network whole and overwrite the layer's output."""
    z = tiny_model.latents(70, 3)
    layer = find_layer(tiny_model.generator_layers, 2)
    untouched, without, empty = draw_without(tiny_model, layer, [(), (1, 3), (0, 1, 2, 3)], z)

    def zero(_module: torch.nn.Module, _inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        for image in range(len(output)):
            for index in (1, 3):
                output[image, index] = torch.zeros_like(output[image, index])
        return output

    handle = tiny_model.generator.layers[1].register_forward_hook(zero)
    with torch.no_grad():
        expected = tiny_model.generator(z)
    handle.remove()
    assert torch.allclose(without, expected, atol=1e-5)
    assert torch.allclose(untouched, tiny_model.generate(z), atol=1e-5)
    assert not torch.allclose(without, untouched, atol=1e-2)
    # With every map of the layer gone nothing of z is left: all images are the same.
    assert torch.allclose(empty, empty[:1].expand_as(empty), atol=1e-5)


def test_feature_maps_are_those_after_the_rectifier(tiny_model: DCGAN) -> None:
    z = tiny_model.latents(4, 0)
    for layer in tiny_model.generator_layers:
        seen: list[torch.Tensor] = []
        module = tiny_model.generator.get_submodule(layer.name)
        handle = module.register_forward_hook(lambda *args, seen=seen: seen.append(args[2]))
        tiny_model.generator(z)
        handle.remove()
        maps = tiny_model.activations(z, layer.number)
        assert torch.equal(maps, seen[0])
        assert maps.shape[1:] == (layer.channels, layer.size, layer.size)
        assert layer.activation == "tanh" or maps.min() >= 0


@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_a_model_without_maps_draws_as_the_ablation_does(tiny_model: DCGAN, strength: float) -> None:
    z = tiny_model.latents(9, 3)
    before = tiny_model.generate(z)
    for layer in tiny_model.generator_layers[:-1]:
        (expected,) = draw_without(tiny_model, layer, [(0, 2)], z, strength)
        changed = edited(tiny_model, Ablation(layer, (0, 2), strength))
        assert torch.allclose(changed.generate(z), expected, atol=1e-5)
        assert "maps of generator layer" in changed.card.weaknesses[-1]
        assert changed.generator_digest() != tiny_model.generator_digest()
    assert torch.equal(tiny_model.generate(z), before)


def test_factors_for_every_sample_and_only_at_places(tiny_model: DCGAN) -> None:
    z = tiny_model.latents(70, 3)
    layer = find_layer(tiny_model.generator_layers, 2)
    own = random_factors(layer.channels, 2, 70, seed=1, strength=0.7)
    where = torch.rand(70, 8, 8) < 0.4
    everywhere = torch.cat([d[0] for _, d in draw_scaled(tiny_model, layer, [own], z)])
    at_places = torch.cat([d[0] for _, d in draw_scaled(tiny_model, layer, [own], z, where)])
    for k in (0, 5, 69):
        maps = tiny_model.activations(z[k : k + 1], layer.number)
        at = maps.clone()
        for m in range(layer.channels):
            if own[k, m] != 1:
                maps[0, m] *= 0.3
                for row, column in where[k].nonzero():
                    at[0, m, row, column] *= 0.3
        assert torch.allclose(everywhere[k : k + 1], tiny_model.generator.layers[2](maps), atol=1e-5)
        assert torch.allclose(at_places[k : k + 1], tiny_model.generator.layers[2](at), atol=1e-5)
    assert ((own < 1).sum(1) == 2).all()
    assert torch.equal(own, random_factors(layer.channels, 2, 70, seed=1, strength=0.7))
    # All maps are chosen about as often.
    often = (random_factors(8, 2, 4000, seed=0) == 0).float().mean(0)
    assert (often - 0.25).abs().max() < 0.03
    assert torch.equal(scaled(3, [1], 0.25), torch.tensor([1, 0.75, 1]))
