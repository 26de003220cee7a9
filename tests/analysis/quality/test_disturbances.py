from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from dcgan_viz.analysis.quality.disturbances import Blurred, Noisy, drop_modes
from dcgan_viz.data.images import TensorImages


def test_an_images_noise_depends_on_its_number_alone() -> None:
    images = TensorImages(torch.zeros(6, 1, 8, 8))
    noisy = Noisy(images, 0.2, seed=3)
    everything = noisy.tensor(slice(0, 6))
    assert torch.equal(noisy.tensor(slice(4, 6)), everything[4:])
    assert torch.equal(noisy.tensor(np.array([2])), everything[2:3])
    assert 0.15 < float(everything.std()) < 0.25
    assert not torch.equal(everything[0], everything[1])


def test_the_blur_is_scipys() -> None:
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    expected = gaussian_filter(images.numpy(), sigma=(0, 0, 1.0, 1.0), mode="nearest", truncate=3.0)
    found = Blurred(TensorImages(images), 1.0).tensor(slice(0, 2))
    torch.testing.assert_close(found, torch.from_numpy(expected), atol=1e-4, rtol=0)


def test_modes_are_dropped_whole() -> None:
    random = np.random.default_rng(0)
    centres = 100 * random.normal(size=(10, 2))
    points = (centres[np.arange(200) % 10] + random.normal(size=(200, 2))).astype(np.float32)
    left = drop_modes(points, 0.4, seed=0)
    counts = np.bincount(left % 10, minlength=10)
    assert set(counts) == {0, 20}
    assert len(left) == 80
