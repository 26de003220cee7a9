"""A number that was measured, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.statistics import Interval, bootstrap_interval


@dataclass(frozen=True)
class Estimate:
    """A measured number.

    Parameters
    ----------
    value : float
    interval : Interval
        95 %.
    """

    value: float
    interval: Interval


def mean_estimate(values: NDArray[Any], seed: int) -> Estimate:
    """The mean of independent values (n,), with its bootstrap interval.

    Examples
    --------
    >>> mean_estimate(np.ones(4), seed=0)
    Estimate(value=1.0, interval=Interval(low=1.0, high=1.0))
    """
    return Estimate(float(np.mean(values)), bootstrap_interval(values, seed=seed))
