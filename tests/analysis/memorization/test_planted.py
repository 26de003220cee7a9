from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from dcgan_viz.analysis.memorization.planted import ALTERATIONS, NOISE, blur, shift
from dcgan_viz.data.images import to_tensor
from dcgan_viz.rooms.drawing import draw_rooms


def test_blur_is_a_gaussian() -> None:
    images = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    expected = gaussian_filter(images.numpy(), (0, 0, 1.5, 1.5), mode="nearest", radius=(0, 0, 5, 5))
    assert np.allclose(blur(images, 1.5), expected, atol=1e-5)


def test_shift_moves_right_and_down() -> None:
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert shift(image, 1)[0, 0].tolist() == [[0, 0, 1], [0, 0, 1], [3, 3, 4]]


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_alterations_keep_shape_and_range_and_repeat(kind: str) -> None:
    images = to_tensor(draw_rooms(4).pixels)
    altered = ALTERATIONS[kind](images)
    assert altered.shape == images.shape
    assert altered.abs().max() <= 1
    assert torch.equal(altered, ALTERATIONS[kind](images))
    assert torch.equal(altered, images) == (kind == "exact")
    if "noise" in kind:
        inside = images.abs() < 0.5
        assert (altered - images)[inside].std().item() == pytest.approx(NOISE, rel=0.03)
