"""Sanity checks for attributions, which ask whether they depend on what the network has learned.

Adebayo et al. 2018 (arXiv 1810.03292): the weights are randomised, layer by layer, and the attribution of
the same unit on the same image is compared with the one of the trained network. An attribution that stays the
same shows the image and the architecture, not what was learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from skimage.feature import hog
from skimage.metrics import structural_similarity
from torch import Tensor

from dcgan_viz.analysis.randomisation import randomised
from dcgan_viz.analysis.statistics import Interval, bootstrap_interval
from dcgan_viz.networks.modules import Discriminator
from dcgan_viz.results import Result

MEASURES = ("spearman", "spearman_absolute", "ssim", "hog")

Randomisation = Literal["cascading", "independent"]


@dataclass(frozen=True)
class Similarity:
    """How like the trained network's attributions are those of a randomised one, over attributions.

    Parameters
    ----------
    measure : {"spearman", "spearman_absolute", "ssim", "hog"}
    mean : float
        1 for identical attributions.
    interval : Interval
        95 %, from resampling attributions.
    """

    measure: str
    mean: float
    interval: Interval


@dataclass(frozen=True)
class RandomisedDepth:
    """One row of a sanity check.

    Parameters
    ----------
    randomisation : {"cascading", "independent"}
        All layers from the explained one down to `layer`, or `layer` alone.
    layer : int
        The (lowest) layer whose weights were drawn anew; 0 for the trained network itself.
    similarities : tuple of Similarity
        One a measure.
    """

    randomisation: Randomisation
    layer: int
    similarities: tuple[Similarity, ...]


@dataclass(frozen=True, kw_only=True)
class SanityCheck(Result):
    """Similarity of attributions to the trained network's, by depth of randomisation.

    Parameters
    ----------
    explained_layer : int
        The layer whose units are explained; those above it do not matter.
    depths : tuple of RandomisedDepth
    cascading, independent : ndarray of float64 (layers, measures, N)
        Every single similarity: row 0 is for the explained layer, the last for layer 1.
    """

    explained_layer: int
    depths: tuple[RandomisedDepth, ...]
    cascading: NDArray[np.float64]
    independent: NDArray[np.float64]


def similarities(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """The four similarities of Adebayo et al. between two attributions of one image.

    Parameters
    ----------
    first, second : ndarray of float32 (C, H, W)
        Colour channels are averaged first.

    Returns
    -------
    ndarray of float64 (4,)
        Spearman's rank correlation, the same of absolute values, SSIM of both scaled to [-1, 1], and Pearson's
        correlation of histograms of oriented gradients. 0 where an attribution is constant.

    Examples
    --------
    >>> picture = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    >>> similarities(picture, picture).round(6).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    a, b = (picture.astype(np.float64).mean(0) for picture in (first, second))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.zeros(len(MEASURES))
    scaled_a, scaled_b = a / np.abs(a).max(), b / np.abs(b).max()
    window = min(7, min(a.shape) - 1 + min(a.shape) % 2)
    cell = max(min(a.shape) // 4, 2)
    histograms = [hog(s, pixels_per_cell=(cell, cell), cells_per_block=(2, 2)) for s in (scaled_a, scaled_b)]
    return np.array(
        [
            _correlation(rankdata(a), rankdata(b)),
            _correlation(rankdata(np.abs(a)), rankdata(np.abs(b))),
            structural_similarity(scaled_a, scaled_b, data_range=2.0, win_size=window),
            _correlation(*histograms),
        ]
    )


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else 0.0


def sanity_check(
    discriminator: Discriminator,
    attribute: Callable[[Discriminator], NDArray[np.float32]],
    layer: int,
    images: Tensor,
    *,
    seed: int = 0,
    settings: dict[str, object] | None = None,
) -> SanityCheck:
    """Compare attributions of the trained discriminator with those of randomised ones.

    Parameters
    ----------
    discriminator : Discriminator
    attribute : callable
        Takes a discriminator, returns the attributions (N, C, H, W) of the same units on the same images.
    layer : int
        The layer of those units: layers from here down to the image are randomised, cascading and one by one.
    images : Tensor (N, C, H, W)
        What batch-norm statistics of randomised networks are measured on.
    seed : int
        Of the new weights and of the bootstrap.
    settings : dict, optional
        What else the result should record.

    Returns
    -------
    SanityCheck
    """
    trained = attribute(discriminator)
    order = range(layer, 0, -1)
    plans: dict[Randomisation, list[range]] = {
        "cascading": [range(number, layer + 1) for number in order],
        "independent": [range(number, number + 1) for number in order],
    }
    table = {
        kind: np.stack(
            [_compare(trained, attribute(randomised(discriminator, layers, images, seed))) for layers in plan]
        )
        for kind, plan in plans.items()
    }
    depths = tuple(
        RandomisedDepth(kind, number, _summary(row, seed))
        for kind, rows in table.items()
        for number, row in zip(order, rows, strict=True)
    )
    return SanityCheck(
        settings={**(settings or {}), "seed": seed, "attributions": len(trained)},
        explained_layer=layer,
        depths=depths,
        **table,
    )


def _compare(trained: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.stack([similarities(a, b) for a, b in zip(trained, other, strict=True)], axis=1)


def _summary(row: NDArray[np.float64], seed: int) -> tuple[Similarity, ...]:
    return tuple(
        Similarity(measure, float(values.mean()), bootstrap_interval(values, seed=seed))
        for measure, values in zip(MEASURES, row, strict=True)
    )
