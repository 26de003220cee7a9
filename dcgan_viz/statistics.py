"""Intervals for what was measured on a sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from dcgan_viz.untrusted import EXACT


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Parameters
    ----------
    low, high : float
    """

    __pydantic_config__: ClassVar = EXACT

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


def resampled_means(values: NDArray[Any], *, seed: int = 0, resamples: int = 2000) -> NDArray[np.float64]:
    """Bootstrap replicates of the means of several quantities, all over the same resampled units.

    What is computed from a row of them, a ratio or a difference, is paired by construction.

    Parameters
    ----------
    values : ndarray (n, ...)
        One independent unit a row.
    seed : int
    resamples : int

    Returns
    -------
    ndarray of float64 (resamples, ...)

    Examples
    --------
    >>> resampled_means(np.ones((5, 2)), resamples=3).shape
    (3, 2)
    """
    units = len(values)
    counts = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=resamples)
    means = counts.astype(np.float64) @ np.asarray(values, np.float64).reshape(units, -1) / units
    return means.reshape(resamples, *values.shape[1:])


def interval_of(replicates: NDArray[Any], level: float = 0.95) -> Interval:
    """The percentile interval of bootstrap replicates (n,), those that are not a number left out.

    Examples
    --------
    >>> interval_of(np.array([2.0, 2.0, np.nan]))
    Interval(low=2.0, high=2.0)
    """
    known = replicates[np.isfinite(replicates)]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def wilson_interval(successes: int, trials: int) -> Interval:
    """The 95 % score interval of a share (Wilson 1927); NaN without trials.

    Examples
    --------
    >>> interval = wilson_interval(0, 10)
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.0, 0.278)
    """
    if trials == 0:
        return Interval(np.nan, np.nan)
    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return Interval(float(interval.low), float(interval.high))
