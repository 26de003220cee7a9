from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dcgan_viz.analysis.quality.distances import kernel_estimate
from dcgan_viz.analysis.quality.monitoring import REAL_IMAGES, kernel_quality
from dcgan_viz.data.images import TensorImages


class Brightness:
    """An encoder of one number."""

    name, note, dimensions = "brightness", "", 1

    def features(self, images: Tensor) -> Tensor:
        return images.mean((1, 2, 3))[:, None]


def test_it_is_the_kernel_distance_to_images_from_all_over_the_set() -> None:
    shades = torch.linspace(-1, 1, 2 * REAL_IMAGES)[:, None, None, None].expand(-1, 1, 2, 2)
    samples = 0.5 * torch.rand(60, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    quality = kernel_quality(Brightness(), TensorImages(shades))
    brightness = samples.mean((1, 2, 3))[:, None].numpy()
    every_second = torch.linspace(-1, 1, REAL_IMAGES)[:, None].numpy()
    assert quality(samples) == pytest.approx(kernel_estimate(every_second, brightness).value, rel=1e-2)
    assert quality(samples) < quality(samples + 1)
