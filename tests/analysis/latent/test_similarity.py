from __future__ import annotations

import math

import numpy as np
import pytest

from dcgan_viz.analysis.latent.similarity import peak_signal_to_noise, root_mean_squares, structural_similarities


def slow_similarity(a: np.ndarray, b: np.ndarray, side: int) -> float:
    """Wang et al. 2004 with uniform windows and sample variances, window by window."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = []
    for channel in range(a.shape[2]):
        for top in range(a.shape[0] - side + 1):
            for left in range(a.shape[1] - side + 1):
                x = a[top : top + side, left : left + side, channel].astype(float).ravel()
                y = b[top : top + side, left : left + side, channel].astype(float).ravel()
                covariance = np.cov(x, y)
                found.append(
                    (2 * x.mean() * y.mean() + c1)
                    * (2 * covariance[0, 1] + c2)
                    / ((x.mean() ** 2 + y.mean() ** 2 + c1) * (covariance[0, 0] + covariance[1, 1] + c2))
                )
    return float(np.mean(found))


@pytest.mark.parametrize("side", [16, 6])
def test_structural_similarity_agrees_with_its_definition(side: int) -> None:
    random = np.random.default_rng(0)
    first = random.integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    second = (first // 2 + random.integers(0, 100, first.shape)).astype(np.uint8)
    found = structural_similarities(first, second)
    for k in range(2):
        assert found[k] == pytest.approx(slow_similarity(first[k], second[k], 7 if side == 16 else 5))


def test_errors_in_grey_levels_and_decibels() -> None:
    random = np.random.default_rng(0)
    first, second = random.integers(0, 256, (2, 3, 4, 4, 1), dtype=np.uint8)
    found = root_mean_squares(first, second)
    for k in range(3):
        squares = [(int(x) - int(y)) ** 2 for x, y in zip(first[k].ravel(), second[k].ravel(), strict=True)]
        assert found[k] == pytest.approx(math.sqrt(sum(squares) / 16))
    assert np.isfinite(peak_signal_to_noise(np.zeros(1))).all()
