"""Real images made worse in known ways: whether a distance rises when it should."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dcgan_viz.data.images import Images

NOISE = (0.1, 0.2, 0.4)
BLUR = (0.5, 1.0, 2.0)
KEPT = (0.7, 0.4, 0.1)
MODES = 10


@dataclass(frozen=True)
class Noisy:
    """Images with normal noise of a standard deviation, in units of [-1, 1], drawn from a seed."""

    images: Images
    deviation: float
    seed: int

    def __len__(self) -> int:
        return len(self.images)

    def tensor(self, indices: slice | NDArray[np.int64]) -> Tensor:
        """The chosen ones (n, C, H, W), clipped to [-1, 1]; an image's noise depends on its number alone."""
        images = self.images.tensor(indices)
        numbers = np.arange(len(self))[indices]
        noise = np.stack(
            [np.random.default_rng([self.seed, n]).standard_normal(images.shape[1:], dtype=np.float32) for n in numbers]
        )
        return (images + self.deviation * torch.from_numpy(noise)).clamp(-1, 1)


@dataclass(frozen=True)
class Blurred:
    """Images blurred by a normal kernel of a standard deviation in 64ths of their side."""

    images: Images
    deviation: float

    def __len__(self) -> int:
        return len(self.images)

    def tensor(self, indices: slice | NDArray[np.int64]) -> Tensor:
        """The chosen ones (n, C, H, W)."""
        images = self.images.tensor(indices)
        deviation = self.deviation * images.shape[-1] / 64
        reach = max(int(np.ceil(3 * deviation)), 1)
        kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
        kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, -1)
        padded = functional.pad(images, (reach,) * 4, mode="replicate")
        rows = functional.conv2d(padded, kernel[:, :, :, None], groups=images.shape[1])
        return functional.conv2d(rows, kernel[:, :, None, :], groups=images.shape[1])


def drop_modes(features: NDArray[np.float32], kept: float, seed: int) -> NDArray[np.int64]:
    """Which images are left when whole clusters of their features are dropped, until a share of them is left.

    Parameters
    ----------
    features : ndarray of float32 (n, d)
    kept : float
        Share of the images to keep at least.
    seed : int

    Returns
    -------
    ndarray of int64
        Numbers of the images that are left, ascending.

    Examples
    --------
    >>> points = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    >>> 40 <= len(drop_modes(points, 0.4, seed=0)) < 100
    True
    """
    from sklearn.cluster import KMeans

    cluster = KMeans(MODES, n_init=1, random_state=seed).fit_predict(features)
    left = np.ones(len(features), bool)
    for mode in np.random.default_rng(seed).permutation(MODES):
        without = left & (cluster != mode)
        if without.sum() < kept * len(features):
            break
        left = without
    return np.flatnonzero(left)
