"""Numbers that were measured on a sample, with their intervals and how these were obtained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Seed = int | Sequence[int]
"""Of a stream of random numbers: a user's seed, or that seed and the number of a stream."""


def stream(seed: Seed, number: int) -> tuple[int, ...]:
    """The seed of one stream of a seed's random numbers: streams of one seed have nothing to do with each other.

    With ``seed + number`` one seed's streams would be those of the next seed.

    Examples
    --------
    >>> stream(7, 2), stream((7, 2), 1)
    ((7, 2), (7, 2, 1))
    """
    return (seed, number) if isinstance(seed, int) else (*seed, number)


RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A range of values, such as the middle 95 % of a null distribution.

    Parameters
    ----------
    low, high : float

    Examples
    --------
    >>> f"{Interval(0.1234, 0.5):.2f}", f"{Interval(-0.01, 0.5):.0%}"
    ('[0.12, 0.50]', '[-1, 50]')
    """

    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"[{_number(self.low, spec)}, {_number(self.high, spec)}]"


@dataclass(frozen=True)
class Estimate:
    """A number that was measured on a sample, with its interval.

    Formatted it is followed by the interval; a percent sign in the format gives percent, as in the examples.

    Parameters
    ----------
    value : float
    low, high : float
        Ends of the interval; NaN where there is too little to give one.
    n : int
        Independent units that it was measured on.
    how : str
        What the interval is, such as ``95 % bootstrap over samples``.

    Examples
    --------
    >>> share = share_estimate(11, 20)
    >>> f"{share:.2f}", f"{share:.0%}", f"{share:+.1%}"
    ('0.55 [0.34, 0.74]', '55 % [34, 74]', '+55.0 % [+34.2, +74.2]')
    """

    value: float
    low: float
    high: float
    n: int
    how: str

    def __format__(self, spec: str) -> str:
        unit = " %" if spec.endswith("%") else ""
        return f"{_number(self.value, spec)}{unit} {Interval(self.low, self.high):{spec}}"


def _number(value: float, spec: str) -> str:
    if spec.endswith("%"):
        value, spec = 100 * value, f"{spec[:-1]}f"
    text = f"{value:{spec}}"
    # Nothing rounds to -0.
    return f"{0.0:{spec}}" if text.startswith("-") and not text.strip("-0.") else text


def probability(value: float) -> str:
    """A p-value in words, with two significant digits; what is too small to tell is only bounded.

    Examples
    --------
    >>> probability(0.015), probability(0.895), probability(1.0), probability(0.0)
    ('p = 0.015', 'p = 0.90', 'p = 1.0', 'p < 1e-99')
    """
    return "p < 1e-99" if value < 1e-99 else f"p = {value:#.2g}"


def bootstrap_estimate(
    values: NDArray[Any],
    statistic: Callable[..., Any] = np.mean,
    *,
    seed: Seed = 0,
    over: str = "samples",
    resamples: int = RESAMPLES,
) -> Estimate:
    """A statistic of independent units with its 95 % percentile bootstrap interval (Efron 1979).

    Parameters
    ----------
    values : ndarray (n,)
        One independent unit an entry: an image, a walk, not a pixel. None, and there is no number.
    statistic : callable
        Takes an array and ``axis``, like `numpy.mean`.
    seed : int or sequence of int
    over : str
        What the units are.
    resamples : int

    Examples
    --------
    >>> f"{bootstrap_estimate(np.ones(5)):.1f}"
    '1.0 [1.0, 1.0]'
    """
    how = f"95 % bootstrap over {over}"
    if len(values) < 2:
        value = float(statistic(values, axis=0)) if len(values) else float("nan")
        return Estimate(value, float("nan"), float("nan"), len(values), how)
    units, random = np.asarray(values), np.random.default_rng(seed)
    batch = max(1, 2**24 // len(units))
    sizes = [min(batch, resamples - start) for start in range(0, resamples, batch)]
    replicates = [statistic(units[random.integers(0, len(units), (size, len(units)))], axis=-1) for size in sizes]
    # None is left out: one that is not a number makes the interval so.
    low, high = np.quantile(np.concatenate(replicates), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(statistic(units, axis=0)), float(low), float(high), len(units), how)


def resampled_means(values: NDArray[Any], *, seed: Seed = 0, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Bootstrap replicates of the means of several quantities, all over the same resampled units.

    What is computed from a row of them, a ratio or a difference, is paired by construction; `estimate_of` makes an
    estimate of it.

    Parameters
    ----------
    values : ndarray (n, ...)
        One independent unit a row.
    seed : int or sequence of int
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


def crossed_estimate(values: NDArray[Any], *, seed: Seed = 0, over: str, resamples: int = RESAMPLES) -> Estimate:
    """The mean of a table with its 95 % bootstrap interval, rows and columns resampled independently (Owen 2007).

    For numbers that vary with both, such as whether a classifier fitted to each of several draws of labels is right on each
    of the same test images: were the entries taken for independent, the interval would be far too short.

    Parameters
    ----------
    values : ndarray (rows, columns)
        With a single row only the columns are resampled.
    seed : int or sequence of int
    over : str
        What rows and columns are.
    resamples : int

    Examples
    --------
    >>> f"{crossed_estimate(np.ones((3, 5)), over='draws and images'):.1f}"
    '1.0 [1.0, 1.0]'
    """
    rows, columns = values.shape
    random = np.random.default_rng(seed)
    table = np.asarray(values, np.float32)
    over_rows = random.multinomial(rows, np.full(rows, 1 / rows), size=resamples).astype(np.float32)
    means = []
    for start in range(0, resamples, 100):
        part = over_rows[start : start + 100]
        over_columns = random.multinomial(columns, np.full(columns, 1 / columns), size=len(part))
        means.append(((part @ table) * over_columns).sum(1, dtype=np.float64) / (rows * columns))
    return estimate_of(float(table.mean(dtype=np.float64)), np.concatenate(means), rows * columns, over)


def resampled_units(
    units: int,
    statistic: Callable[[NDArray[np.int64]], float],
    *,
    seed: Seed = 0,
    over: str = "samples",
    resamples: int = RESAMPLES,
) -> Estimate:
    """A statistic of chosen units with its 95 % percentile bootstrap interval.

    Parameters
    ----------
    units : int
    statistic : callable
        Takes the numbers of units, some of them more than once.
    seed, over, resamples
        As in `bootstrap_estimate`.

    Examples
    --------
    >>> values = np.array([2.0, 2.0, 2.0])
    >>> f"{resampled_units(3, lambda chosen: values[chosen].mean()):.0f}"
    '2 [2, 2]'
    """
    random = np.random.default_rng(seed)
    replicates = [statistic(random.integers(0, units, units)) for _ in range(resamples)]
    return estimate_of(statistic(np.arange(units)), np.array(replicates), units, over)


def estimate_of(value: float, replicates: NDArray[Any], n: int, over: str = "samples") -> Estimate:
    """A number with the percentile interval of its bootstrap replicates, those that are not a number left out.

    Examples
    --------
    >>> f"{estimate_of(2.0, np.array([2.0, 2.0, np.nan]), n=7):.0f}"
    '2 [2, 2]'
    """
    found = middle(replicates)
    return Estimate(float(value), found.low, found.high, n, f"95 % bootstrap over {over}")


def middle(values: NDArray[Any]) -> Interval:
    """The middle 95 % of values (n,), those that are not a number left out.

    Examples
    --------
    >>> f"{middle(np.arange(101.0)):.1f}"
    '[2.5, 97.5]'
    """
    known = np.asarray(values)[np.isfinite(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def share_estimate(
    successes: int, trials: int, *, method: Literal["wilson", "exact"] = "wilson", over: str = "samples"
) -> Estimate:
    """A share with its 95 % interval: the score interval (Wilson 1927) or the exact one (Clopper & Pearson 1934).

    NaN without trials.

    Examples
    --------
    >>> f"{share_estimate(0, 10):.1%}", f"{share_estimate(0, 10, method='exact'):.1%}"
    ('0.0 % [0.0, 27.8]', '0.0 % [0.0, 30.8]')
    """
    how = f"95 % {method.capitalize() if method == 'wilson' else method} over {over}"
    if trials == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0, how)
    found = (_exact_interval if method == "exact" else _score_interval)(successes, trials)
    return Estimate(successes / trials, found.low, found.high, trials, how)


# Both are what `scipy.stats.binomtest` gives, which looks for the ends by bisection: that takes hundreds of times as
# long as the quantiles of a beta distribution, and most commands would import `scipy.stats` for nothing else.
def _exact_interval(successes: int, trials: int) -> Interval:
    from scipy.special import betaincinv

    tail, failures = (1 - LEVEL) / 2, trials - successes
    low = betaincinv(successes, failures + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, failures, 1 - tail) if failures else 1.0
    return Interval(float(low), float(high))


def _score_interval(successes: int, trials: int) -> Interval:
    from scipy.special import ndtri

    critical = float(ndtri((1 + LEVEL) / 2))
    share, weight = successes / trials, critical**2 / trials
    centre = (share + weight / 2) / (1 + weight)
    half = critical / (1 + weight) * math.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    return Interval(0.0 if successes == 0 else centre - half, 1.0 if successes == trials else centre + half)


def paired_difference(gained: int, lost: int, pairs: int, *, over: str = "pairs") -> Estimate:
    """The difference of two paired shares with its 95 % score interval (Tango 1998); NaN without pairs.

    A bootstrap gives [0, 0] when no pair changed, however few there are; this one does not.

    Parameters
    ----------
    gained, lost : int
        Pairs that succeed under the first condition alone, and under the second alone.
    pairs : int

    Examples
    --------
    >>> f"{paired_difference(0, 0, 38):+.1%}"
    '+0.0 % [-9.2, +9.2]'
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    how = f"95 % score (Tango) over {over}"
    if pairs == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0, how)
    value = (gained - lost) / pairs
    critical = float(ndtri((1 + LEVEL) / 2))

    def score(difference: float) -> float:
        # The restricted maximum-likelihood estimate of the share of pairs that were lost.
        b = -gained - lost + (2 * pairs - gained + lost) * difference
        c = -lost * difference * (1 - difference)
        share = (np.sqrt(max(b * b - 8 * pairs * c, 0.0)) - b) / (4 * pairs)
        variance = pairs * max(2 * share + difference * (1 - difference), 1e-15)
        return float((gained - lost - pairs * difference) / np.sqrt(variance))

    edge = 1 - 1e-9
    low = -1.0 if score(-edge) <= critical else brentq(lambda d: score(d) - critical, -edge, value)
    high = 1.0 if score(edge) >= -critical else brentq(lambda d: score(d) + critical, value, edge)
    return Estimate(value, float(low), float(high), pairs, how)
