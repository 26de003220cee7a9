from __future__ import annotations

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.features.kmeans import kmeans_extractor, random_patches, triangle_features, whitening
from dcgan_viz.data.images import TensorImages
from dcgan_viz.errors import UserError


def images(count: int, side: int = 12) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_features_are_as_published_patch_by_patch() -> None:
    pictures = images(3)
    random = np.random.default_rng(0)
    mean, whiten = random.normal(0, 0.1, 108).astype(np.float32), random.normal(0, 0.3, (108, 108)).astype(np.float32)
    centres = random.normal(0, 1, (5, 108)).astype(np.float32)
    found = triangle_features(pictures, *map(torch.from_numpy, (mean, whiten, centres)))
    for picture, row in zip(pictures.numpy(), found.numpy(), strict=True):
        maps = np.zeros((5, 7, 7))
        for i in range(7):
            for j in range(7):
                patch = 127.5 * (picture[:, i : i + 6, j : j + 6].ravel() + 1)
                patch = (patch - patch.mean()) / np.sqrt(patch.var() + 10)
                z = np.linalg.norm((patch - mean) @ whiten - centres, axis=1)
                maps[:, i, j] = np.maximum(0, z.mean() - z)
        expected = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(maps), 4).flatten()
        np.testing.assert_allclose(row, expected, atol=1e-3)


def test_patches_are_whitened_and_features_standardised() -> None:
    pictures = TensorImages(images(60))
    patches = random_patches(pictures, np.random.default_rng(0))
    mean, whiten = whitening(patches)
    covariance = np.cov(((patches - mean) @ whiten).numpy(), rowvar=False)
    values = np.linalg.eigvalsh(np.cov(patches.numpy(), rowvar=False))
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance), values / (values + 0.1), atol=1e-3)
    features = kmeans_extractor(pictures, centroids=6).compute(pictures.images)
    assert features.shape == (60, 96)
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-4)


def test_the_seed_decides() -> None:
    pictures = TensorImages(images(20))
    assert kmeans_extractor(pictures, 4, seed=1).digest == kmeans_extractor(pictures, 4, seed=1).digest
    assert kmeans_extractor(pictures, 4, seed=1).digest != kmeans_extractor(pictures, 4, seed=2).digest


def test_pictures_without_room_for_the_grid_are_refused() -> None:
    with pytest.raises(UserError, match="images of 8 pixels are too small"):
        kmeans_extractor(TensorImages(images(4, 8)), 4)
