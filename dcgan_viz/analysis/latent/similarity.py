"""How alike two pictures look: structural similarity, and errors in grey levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    inner = slice(window // 2, -(window // 2) or None)
    # As many at once as stay in the processor's cache.
    parts = (slice(k, k + 8) for k in range(0, len(first), 8))
    local = (local_similarity(first[part], second[part], window)[:, inner, inner] for part in parts)
    return np.concatenate([np.zeros(0), *(found.mean(axis=(1, 2, 3)) for found in local)])


def local_similarity(first: NDArray[Any], second: NDArray[Any], window: int = WINDOW) -> NDArray[np.float64]:
    """The structural similarity of each pair of pictures around each pixel, as `skimage.metrics` defines it.

    Parameters
    ----------
    first, second : ndarray (n, H, W) or (n, H, W, C)
        In grey levels of 255.
    window : int
        Side of the window around a pixel, odd.

    Returns
    -------
    ndarray of float64
        In the shape of the pictures.
    """
    # Late: it takes as long to import as NumPy itself.
    from scipy.ndimage import uniform_filter

    size = (1, window, window, 1)[: first.ndim]

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = uniform_filter(values, size)
        return found

    a, b = first.astype(np.float64), second.astype(np.float64)
    mean_a, mean_b = mean(a), mean(b)
    # The variances of a sample.
    unbiased = window**2 / (window**2 - 1)
    variances = unbiased * (mean(a * a + b * b) - mean_a**2 - mean_b**2)
    covariance = unbiased * (mean(a * b) - mean_a * mean_b)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    numerator = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return numerator / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))


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
