"""How alike two pictures look: structural similarity, and errors in grey levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

WINDOW = 7
"""Side of the window of structural similarity in pixels, where the picture is as large."""


def structural_similarities(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The structural similarity (Wang et al. 2004) of each pair of pictures, averaged over channels.

    Parameters
    ----------
    first, second : ndarray of uint8 (n, H, W, C)

    Returns
    -------
    ndarray of float64 (n,)
        1 for equal pictures, about 0 for unrelated texture.

    Examples
    --------
    >>> pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    >>> structural_similarities(pictures, pictures).tolist()
    [1.0, 1.0]
    """
    window = min(WINDOW, min(first.shape[1:3]) - 1 + min(first.shape[1:3]) % 2)
    return np.array(
        [
            structural_similarity(a, b, channel_axis=-1, data_range=255, win_size=window)
            for a, b in zip(first, second, strict=True)
        ]
    )


def root_mean_squares(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The root mean square difference of each pair of pictures (n, H, W, C), in grey levels of 255.

    Examples
    --------
    >>> black, grey = np.zeros((1, 2, 2, 1), np.uint8), np.full((1, 2, 2, 1), 7, np.uint8)
    >>> root_mean_squares(black, grey).tolist()
    [7.0]
    """
    return np.sqrt(np.square(first.astype(np.float64) - second).mean(axis=(1, 2, 3)))


def peak_signal_to_noise(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square errors (grey levels) in decibels below 255; errors under half a level are pixels alike.

    Examples
    --------
    >>> peak_signal_to_noise(np.array([25.5])).round(6).tolist()
    [20.0]
    """
    return 20 * np.log10(255 / np.maximum(errors, 0.01))
