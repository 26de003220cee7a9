from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from dcgan_viz.judges import disturbance
from dcgan_viz.judges.disturbance import disturb


@pytest.fixture
def pictures() -> tuple[Tensor, np.ndarray]:
    """One in four shows a white square, label 2."""
    images, labels = torch.full((40, 3, 24, 24), -0.5), np.zeros((40, 24, 24), np.uint8)
    images[::4, :, 6:18, 6:18] = 0.9
    labels[::4, 6:18, 6:18] = 2
    return images, labels


def test_pictures_stay_pictures_and_labels_follow_them(pictures) -> None:
    images, labels = pictures
    before, masks = images.clone(), labels.copy()
    disturbed, moved = disturb(images, labels, np.random.default_rng(0))
    assert torch.equal(images, before)
    assert np.array_equal(labels, masks)
    assert disturbed.shape == images.shape
    assert disturbed.abs().max() <= 1
    assert moved.dtype == np.uint8
    assert set(np.unique(moved)) == {0, 2}
    assert not moved[1::4].any()
    changed = (moved != labels).any((1, 2))
    assert 0 < changed.sum() < 10, "some are bent"
    # Where the square is has moved alike in both.
    bright = disturbed.mean(1).numpy()[::4]
    for picture, mask in zip(bright, moved[::4] == 2, strict=True):
        assert picture[mask].mean() > picture[~mask].mean() + 0.5
    again, same = disturb(images, labels, np.random.default_rng(0))
    assert torch.equal(again, disturbed)
    assert np.array_equal(same, moved)


def test_blur_agrees_with_sums_over_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disturbance, "BLURS", (1.0,))
    images = torch.rand(1, 2, 9, 9)
    soft = disturbance.blur_each(images, np.random.default_rng(0))
    weights = np.exp(-(np.arange(-3, 4) ** 2) / 2)
    weights /= weights.sum()
    around = np.pad(images[0].numpy(), ((0, 0), (3, 3), (3, 3)), mode="reflect")
    expected = [
        [
            [
                sum(weights[a] * weights[b] * around[c, i + a, j + b] for a in range(7) for b in range(7))
                for j in range(9)
            ]
            for i in range(9)
        ]
        for c in range(2)
    ]
    assert np.allclose(soft[0].numpy(), expected, atol=1e-5)


def test_grey_pictures_are_disturbed_too() -> None:
    images, _ = disturb(torch.zeros(20, 1, 16, 16), np.zeros((20, 16, 16), np.uint8), np.random.default_rng(0))
    assert images.shape == (20, 1, 16, 16)
