from __future__ import annotations

import numpy as np
import pytest
import torch

from dcgan_viz.training.augment import POLICIES, augment


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_policy_is_seeded_shaped_and_differentiable(policy: str, channels: int) -> None:
    images = torch.rand(6, channels, 16, 16) * 2 - 1
    images.requires_grad_()
    changed = augment(images, (policy,), np.random.default_rng(0))
    again = augment(images, (policy,), np.random.default_rng(0))
    other = augment(images, (policy,), np.random.default_rng(1))
    assert changed.shape == images.shape
    assert changed.dtype == images.dtype
    assert torch.equal(changed, again)
    assert not torch.equal(changed, other)
    changed.square().sum().backward()
    assert images.grad is not None
    assert images.grad.abs().amax((1, 2, 3)).min() > 0


def test_no_policy_changes_nothing() -> None:
    images = torch.rand(2, 3, 16, 16)
    assert augment(images, (), np.random.default_rng(0)) is images


def test_translation_moves_whole_pixels_by_at_most_an_eighth() -> None:
    images = torch.zeros(200, 1, 16, 16)
    images[:, 0, 8, 8] = 1
    moved = augment(images, ("translation",), np.random.default_rng(0))
    assert torch.equal(moved.sum((1, 2, 3)), torch.ones(200))
    places = moved[:, 0].flatten(1).argmax(1)
    rows, columns = places // 16 - 8, places % 16 - 8
    assert set(rows.tolist()) == set(columns.tolist()) == {-2, -1, 0, 1, 2}


def test_translation_moves_zeros_in() -> None:
    moved = augment(torch.ones(50, 1, 16, 16), ("translation",), np.random.default_rng(0))
    assert set(moved.unique().tolist()) == {0, 1}


def test_cutout_removes_a_square_of_half_the_side() -> None:
    holes = augment(torch.ones(300, 1, 16, 16), ("cutout",), np.random.default_rng(0)) == 0
    heights, widths = holes.any(3).sum((1, 2)), holes.any(2).sum((1, 2))
    assert torch.equal(holes.sum((1, 2, 3)), heights * widths)
    assert heights.max() == widths.max() == 8
    # A hole may leave the picture by at most half of its side.
    assert heights.min() >= 4
    assert widths.min() >= 4


def test_color_is_brightness_saturation_and_contrast() -> None:
    images = torch.rand(40, 3, 8, 8) * 2 - 1
    changed = augment(images, ("color",), np.random.default_rng(0))
    random = np.random.default_rng(0)
    brightness, saturation, contrast = (torch.from_numpy(random.random((40, 1, 1, 1), dtype=np.float32)) for _ in "bsc")
    for index in range(40):
        picture = images[index] + (brightness[index] - 0.5)
        grey = picture.mean(0)
        picture = torch.stack([grey + (c - grey) * 2 * saturation[index, 0] for c in picture])
        level = picture.mean()
        expected = level + (picture - level) * (0.5 + contrast[index])
        assert torch.allclose(changed[index], expected, atol=1e-5)
