"""Intervals for what was measured on a sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Parameters
    ----------
    low, high : float
    """

    low: float
    high: float


def bootstrap_interval(
    values: NDArray[Any],
    statistic: Callable[..., Any] = np.mean,
    *,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """The percentile bootstrap interval of a statistic (Efron 1979).

    Parameters
    ----------
    values : ndarray (n,)
        One independent unit an entry: an image, a walk, not a pixel.
    statistic : callable
        Takes an array and ``axis``, like `numpy.mean`.
    seed : int
    level : float
        Coverage, between 0 and 1.
    resamples : int

    Returns
    -------
    Interval

    Examples
    --------
    >>> bootstrap_interval(np.ones(5))
    Interval(low=1.0, high=1.0)
    """
    random = np.random.default_rng(seed)
    chosen = random.integers(0, len(values), (resamples, len(values)))
    resampled = statistic(np.asarray(values)[chosen], axis=1)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
