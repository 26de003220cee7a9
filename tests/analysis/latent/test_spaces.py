from __future__ import annotations

import pytest
import torch

from dcgan_viz.analysis.latent.spaces import Space, feature_space, pixel_space


def spaces(model) -> dict[str, Space]:
    samples = model.sample(64, 1)
    return {"features": feature_space(model.discriminator, samples), "pixels": pixel_space(samples)}


@pytest.mark.parametrize("name", ["features", "pixels"])
def test_independent_samples_lie_one_apart(tiny_model, name: str) -> None:
    vectors = spaces(tiny_model)[name].vectors(tiny_model.sample(64, 1))
    assert (vectors[::2] - vectors[1::2]).square().sum(1).mean().item() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("name", ["features", "pixels"])
def test_a_vector_does_not_depend_on_its_batch_mates(tiny_model, name: str) -> None:
    images = tiny_model.sample(7, 5)
    space = spaces(tiny_model)[name]
    assert torch.allclose(space.vectors(images)[2:3], space.vectors(images[2:3]), atol=1e-5)


@pytest.mark.parametrize("name", ["features", "pixels"])
def test_distances_have_gradients_and_modes_stay(tiny_model, name: str) -> None:
    tiny_model.discriminator.train()
    images = tiny_model.sample(2, 5).requires_grad_()
    spaces(tiny_model)[name].vectors(images).square().sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert tiny_model.discriminator.training


def test_pixels_are_compared_at_every_scale_down_to_four(tiny_model) -> None:
    a, b = tiny_model.sample(2, 7).split(1)
    space = spaces(tiny_model)["pixels"]
    expected = 0.0
    for factor, scale in zip((1, 2, 4), space.scales, strict=True):
        small = [
            torch.stack([i[..., r::factor, c::factor] for r in range(factor) for c in range(factor)]).mean(0)
            for i in (a, b)
        ]
        expected += float((small[0] - small[1]).square().mean()) / scale**2 / 3
    assert (space.vectors(a) - space.vectors(b)).square().sum().item() == pytest.approx(expected, rel=1e-4)


def test_maps_that_never_differ_add_nothing(tiny_model) -> None:
    space = feature_space(tiny_model.discriminator, torch.zeros(4, 3, 16, 16))
    assert space.scales == (1.0,) * len(space.scales)
    assert space.vectors(torch.zeros(1, 3, 16, 16)).isfinite().all()
