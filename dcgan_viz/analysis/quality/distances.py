"""Distances between two sets of features: Fréchet (Heusel et al. 2017) and kernel (Bińkowski et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from dcgan_viz.statistics import Estimate

BLOCKS = 20
"""Of the jackknife: each is left out once. Twenty leave the interval's width itself uncertain by a sixth."""

EVERYTHING = np.ones(BLOCKS, bool)

KERNEL_SCALE = 1000.0
"""Kernel distances are small numbers, and are everywhere given in thousandths."""


def frechet_distance(real: NDArray[np.floating], generated: NDArray[np.floating]) -> float:
    """The Fréchet distance between normal distributions with the means and covariances of two sets.

    ``|m₁ - m₂|² + tr(C₁ + C₂ - 2 (C₁ C₂)^½)``. It falls with the number of vectors, to its limit from above, so two
    distances compare only at equal numbers.

    Parameters
    ----------
    real, generated : ndarray (n, d), (m, d)
        More than one vector each.

    Returns
    -------
    float
        Not negative; 0 when means and covariances agree.

    Examples
    --------
    >>> points = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(frechet_distance(points, points + [2.0, 0.0, 0.0]), 6)
    4.0
    """
    first, second = (np.asarray(x, np.float64) for x in (real, generated))
    covariances = [np.atleast_2d(np.cov(x, rowvar=False)) for x in (first, second)]
    # The trace of the root is the sum of the roots of the product's eigenvalues, which are those of a positive
    # semi-definite matrix: this needs no matrix root, and none of the jitter that makes one exist.
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    between = np.linalg.eigvalsh(root @ covariances[1] @ root)
    shift = first.mean(0) - second.mean(0)
    trace = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.sqrt(np.clip(between, 0, None)).sum()
    return float(max(shift @ shift + trace, 0.0))


def frechet_estimate(real: NDArray[np.floating], generated: NDArray[np.floating]) -> Estimate:
    """The Fréchet distance with its 95 % interval, over which real and generated vectors it was computed from.

    Examples
    --------
    >>> points = np.random.default_rng(0).normal(size=(200, 3))
    >>> estimate = frechet_estimate(points[:100], points[100:])
    >>> estimate.low < estimate.value < estimate.high
    True
    """
    blocks = _blocks(len(real)), _blocks(len(generated))

    def without(block: int) -> float:
        return frechet_distance(real[blocks[0] != block], generated[blocks[1] != block])

    return _jackknife(frechet_distance(real, generated), without, len(generated))


def kernel_estimate(real: NDArray[np.floating], generated: NDArray[np.floating]) -> Estimate:
    """The kernel distance, thousandfold, with its 95 % interval: the unbiased squared maximum mean discrepancy.

    With the kernel ``(x·y / d + 1)³`` over all pairs. Its expectation does not depend on the number of vectors, and is 0
    for two sets of one distribution: an estimate may be negative.

    Parameters
    ----------
    real, generated : ndarray (n, d), (m, d)
        At least two vectors a block of the jackknife.

    Examples
    --------
    >>> points = np.random.default_rng(0).normal(size=(400, 3))
    >>> estimate = kernel_estimate(points[:200], points[200:])
    >>> estimate.low < 0 < estimate.high
    True
    """
    distance = _kernel_distance(real, generated)
    return _jackknife(distance(EVERYTHING), lambda block: distance(np.arange(BLOCKS) != block), len(generated))


def kernel_difference(
    real: NDArray[np.floating], first: NDArray[np.floating], second: NDArray[np.floating]
) -> Estimate:
    """How much farther, thousandfold, one set is from real vectors than another, with its 95 % interval.

    Both are compared with the same real vectors, and the jackknife leaves out the same block of all three: what the two
    distances share through them is not counted as uncertainty of their difference.

    Parameters
    ----------
    real, first, second : ndarray (n, d), (m, d), (m, d)
        Entry k of the first and of the second belong together, such as samples of one latent.

    Examples
    --------
    >>> points = np.random.default_rng(0).normal(size=(400, 3))
    >>> estimate = kernel_difference(points[:200], points[200:] + 1, points[200:])
    >>> estimate.low > 0
    True
    """
    farther, nearer = _kernel_distance(real, first), _kernel_distance(real, second)

    def difference(kept: NDArray[np.bool_]) -> float:
        return farther(kept) - nearer(kept)

    return _jackknife(difference(EVERYTHING), lambda block: difference(np.arange(BLOCKS) != block), len(first))


def _kernel_distance(
    real: NDArray[np.floating], generated: NDArray[np.floating]
) -> Callable[[NDArray[np.bool_]], float]:
    """The kernel distance, thousandfold, as a function of the blocks (BLOCKS,) that are kept."""
    first, second = _blocks(len(real)), _blocks(len(generated))
    within = _pair_sums(real, real, first, first)
    # A vector with itself is no pair of two.
    within[np.arange(BLOCKS), np.arange(BLOCKS)] -= _self_sums(real, first)
    among = _pair_sums(generated, generated, second, second)
    among[np.arange(BLOCKS), np.arange(BLOCKS)] -= _self_sums(generated, second)
    between = _pair_sums(real, generated, first, second)
    sizes = np.bincount(first, minlength=BLOCKS), np.bincount(second, minlength=BLOCKS)

    def distance(kept: NDArray[np.bool_]) -> float:
        n, m = (float(size[kept].sum()) for size in sizes)
        both = np.ix_(kept, kept)
        squared = within[both].sum() / (n * (n - 1)) + among[both].sum() / (m * (m - 1))
        return float(KERNEL_SCALE * (squared - 2 * between[both].sum() / (n * m)))

    return distance


def _blocks(count: int) -> NDArray[np.int64]:
    """The block of each of `count` vectors, dealt out in turn."""
    return np.arange(count) % BLOCKS


def _kernel(products: NDArray[np.float64], dimensions: int) -> NDArray[np.float64]:
    cubed: NDArray[np.float64] = (products / dimensions + 1) ** 3
    return cubed


def _pair_sums(
    first: NDArray[np.floating], second: NDArray[np.floating], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Sums of the kernel over the pairs of every two blocks (BLOCKS, BLOCKS), a block of rows at a time."""
    sums = np.empty((BLOCKS, BLOCKS))
    for block in range(BLOCKS):
        # Products in float32 are fast, and their rounding averages out; sums in float64.
        products = np.asarray(first[rows == block], np.float32) @ np.asarray(second, np.float32).T
        column_sums = _kernel(products.astype(np.float64), first.shape[1]).sum(0)
        sums[block] = np.bincount(columns, column_sums, BLOCKS)
    return sums


def _self_sums(vectors: NDArray[np.floating], blocks: NDArray[np.int64]) -> NDArray[np.float64]:
    squares = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)
    sums: NDArray[np.float64] = np.bincount(blocks, _kernel(squares, vectors.shape[1]), BLOCKS).astype(np.float64)
    return sums


def _jackknife(value: float, without: Callable[[int], float], images: int) -> Estimate:
    """A statistic with its delete-a-block jackknife interval (Efron & Stein 1981), by Student's t."""
    left_out = np.array([without(block) for block in range(BLOCKS)])
    error = np.sqrt((BLOCKS - 1) / BLOCKS * ((left_out - left_out.mean()) ** 2).sum())
    reach = float(student.ppf(0.975, BLOCKS - 1) * error)
    return Estimate(value, value - reach, value + reach, images, f"95 % jackknife over {BLOCKS} blocks of images")
