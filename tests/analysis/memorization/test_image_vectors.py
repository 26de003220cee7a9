from __future__ import annotations

import pytest
import torch

from dcgan_viz.analysis.memorization.image_vectors import fit_features, pixel_vectors, quarter_features
from dcgan_viz.model import DCGAN


def test_pixels_are_averaged_centred_and_scaled() -> None:
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    small = [
        image[c, 8 * r : 8 * r + 8, 8 * k : 8 * k + 8].mean() for c in range(3) for r in range(8) for k in range(8)
    ]
    channels = torch.stack(small).view(3, 64)
    expected = (channels - channels.mean(1, keepdim=True)).flatten()
    assert torch.allclose(pixel_vectors(image[None])[0], expected / expected.norm(), atol=1e-5)
    # A cast of colour does not count.
    tinted = image + torch.tensor([0.1, 0.0, -0.2])[:, None, None]
    assert torch.allclose(pixel_vectors(tinted[None]), pixel_vectors(image[None]), atol=1e-5)
    assert pixel_vectors(torch.full((1, 1, 28, 28), 0.3)).norm() < 0.01
    assert pixel_vectors(torch.rand(2, 1, 28, 28)).norm(dim=1) == pytest.approx([1, 1])


def test_features_are_the_last_layers_quarters(tiny_model: DCGAN) -> None:
    images = tiny_model.sample(3)
    features = quarter_features(tiny_model.discriminator, images)
    maps = images[:1]
    for module in tiny_model.discriminator.layers:
        maps = module(maps)
    quarters = [maps[0, :, r : r + 2, c : c + 2].mean((1, 2)) for r in (0, 2) for c in (0, 2)]
    assert torch.allclose(features[0], torch.stack(quarters, 1).flatten(), atol=1e-6)
    assert torch.allclose(features, torch.cat([quarter_features(tiny_model.discriminator, x) for x in images.split(1)]))


def test_the_feature_space_is_a_rotation_of_standardised_features(
    tiny_model: DCGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all components, the cosine of two images is that of their standardised features."""
    images = tiny_model.sample(100)
    features = quarter_features(tiny_model.discriminator, images)
    space = fit_features(tiny_model.discriminator, features)
    standard = (features - features.mean(0)) / features.std(0)
    standard = standard / standard.norm(dim=1, keepdim=True)
    vectors = space.vectors(images)
    assert torch.allclose(vectors @ vectors.T, standard @ standard.T, atol=1e-4)
    monkeypatch.setattr("dcgan_viz.analysis.memorization.image_vectors.COMPONENTS", 5)
    few = fit_features(tiny_model.discriminator, features)
    assert few.components.shape == (features.shape[1], 5)
    assert few.vectors(images).norm(dim=1) == pytest.approx([1] * 100, abs=1e-4)
