"""The data-copying test of Meehan, Chaudhuri & Dasgupta (2020), with the null distribution of its statistic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from dcgan_viz.statistics import Estimate, Interval, estimate_of, middle

CELLS = 10
SMALLEST_CELL = 20
RESAMPLES = 1000

Distances = NDArray[np.float32]


@dataclass(frozen=True)
class DataCopying:
    """Whether samples lie nearer to training images than held-out images do, cell by cell of a partition.

    It cannot tell copies from samples that are merely smoother than photographs: whatever is blurred lies nearer.

    Parameters
    ----------
    statistic : Estimate
        C_T: the Mann-Whitney U of the distances of samples and held-out images, z-scored in each cell and averaged by
        held-out mass. Far below 0 samples lie too near, far above 0 too far. 95 % bootstrap over the images of each cell.
    null : Interval
        95 % of C_T when samples and held-out images of a cell are permuted.
    p_value : float
        Of a C_T as low, by permutation, one-sided.
    nearer : Estimate
        Probability that a sample lies nearer to a training image than a held-out image of its cell does; 0.5 when
        alike, whatever their number.
    cells : int
        With at least 20 samples and 20 held-out images; the others are left out.
    """

    statistic: Estimate
    null: Interval
    p_value: float
    nearer: Estimate
    cells: int


def data_copying(
    training: Tensor,
    held_out: Tensor,
    samples: Tensor,
    held_out_distances: Distances,
    sample_distances: Distances,
    seed: int,
) -> DataCopying | None:
    """Test whether samples lie nearer to training images than held-out images do.

    Parameters
    ----------
    training : Tensor (n, d)
        Vectors that the cells are found on by k-means: 10, or one for 20 of them if these are fewer.
    held_out, samples : Tensor (m, d), (k, d)
    held_out_distances, sample_distances : ndarray of float32 (m,), (k,)
        To the nearest training image.
    seed : int

    Returns
    -------
    DataCopying or None
        None if no cell holds enough images.
    """
    from sklearn.cluster import KMeans

    count = max(min(CELLS, len(training) // SMALLEST_CELL), 1)
    means = KMeans(count, n_init=3, random_state=seed).fit(training.numpy())
    real_cells, sample_cells = means.predict(held_out.numpy()), means.predict(samples.numpy())
    cells = [(held_out_distances[real_cells == c], sample_distances[sample_cells == c]) for c in range(count)]
    cells = [(real, drawn) for real, drawn in cells if min(len(real), len(drawn)) >= SMALLEST_CELL]
    if not cells:
        return None
    random = np.random.default_rng(seed)
    mass = np.array([len(real) for real, _ in cells]) / sum(len(real) for real, _ in cells)
    found = np.array([_u(real, drawn) for real, drawn in cells])
    permuted = np.stack([_permuted_u(real, drawn, random) for real, drawn in cells], axis=1)
    resampled = np.stack([_resampled_u(real, drawn, random) for real, drawn in cells], axis=1)
    pairs = np.array([len(real) * len(drawn) for real, drawn in cells])
    deviation = np.sqrt(pairs * np.array([len(real) + len(drawn) + 1 for real, drawn in cells]) / 12)

    def statistic(u: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((u - pairs / 2) / deviation) @ mass

    def nearer(u: NDArray[np.float64]) -> NDArray[np.float64]:
        return (1 - u / pairs) @ mass

    null = statistic(permuted)
    value = float(statistic(found))
    return DataCopying(
        statistic=estimate_of(value, statistic(resampled), len(sample_distances), "the images of each cell"),
        null=middle(null),
        p_value=float((1 + np.sum(null <= value + 1e-9)) / (1 + RESAMPLES)),
        nearer=estimate_of(float(nearer(found)), nearer(resampled), len(sample_distances), "the images of each cell"),
        cells=len(cells),
    )


def _u(real: Distances, drawn: Distances) -> float:
    """Pairs in which the sample lies farther; half of those that are equal."""
    ranks = rankdata(np.concatenate([drawn, real]))
    return float(ranks[: len(drawn)].sum() - len(drawn) * (len(drawn) + 1) / 2)


def _permuted_u(real: Distances, drawn: Distances, random: np.random.Generator) -> NDArray[np.float64]:
    ranks = rankdata(np.concatenate([drawn, real]))
    sums = [random.permutation(ranks)[: len(drawn)].sum() for _ in range(RESAMPLES)]
    return np.array(sums) - len(drawn) * (len(drawn) + 1) / 2


def _resampled_u(real: Distances, drawn: Distances, random: np.random.Generator) -> NDArray[np.float64]:
    m, n = len(real), len(drawn)
    ordered = np.sort(real)
    below, not_above = np.searchsorted(ordered, drawn, "left"), np.searchsorted(ordered, drawn, "right")
    found = np.empty(RESAMPLES)
    for k in range(RESAMPLES):
        # How often each image is drawn again, and how many held-out ones then lie below a place.
        real_times = np.bincount(random.integers(0, m, m), minlength=m)
        drawn_times = np.bincount(random.integers(0, n, n), minlength=n)
        before = np.concatenate([[0], np.cumsum(real_times)])
        found[k] = drawn_times @ (before[below] + before[not_above]) / 2
    return found
