"""Sanity checks for attributions, which ask whether they depend on what the network has learned.

Adebayo et al. 2018 (arXiv 1810.03292): the weights are randomised, layer by layer, and the attribution of
the same unit on the same image is compared with the one of the trained network. An attribution that stays the
same shows the image and the architecture, not what was learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from skimage.feature import hog
from skimage.metrics import structural_similarity
from torch import Tensor

from dcgan_viz.analysis.attribution.guided_gradient import Rule
from dcgan_viz.analysis.attribution.randomisation import randomised
from dcgan_viz.analysis.attribution.responses import ask, collect, strongest_responses
from dcgan_viz.analysis.attribution.unit_gradients import Unit, unit_gradients
from dcgan_viz.data.images import Images
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.protocol import DiscriminatorNetwork
from dcgan_viz.results import Result
from dcgan_viz.statistics import Estimate, bootstrap_estimate, stream

MEASURES = ("spearman", "spearman_absolute", "ssim", "hog")

BOOTSTRAP = 100
"""The stream of random numbers after those of the layers, each of which has its own."""

Randomisation = Literal["cascading", "independent"]


@dataclass(frozen=True)
class Similarity:
    """How like the trained network's attributions are those of a randomised one, over attributions.

    Parameters
    ----------
    measure : {"spearman", "spearman_absolute", "ssim", "hog"}
    mean : Estimate
        1 for identical attributions.
    """

    measure: str
    mean: Estimate


@dataclass(frozen=True)
class RandomisedDepth:
    """One row of a sanity check.

    Parameters
    ----------
    randomisation : {"cascading", "independent"}
        All layers from the explained one down to `layer`, or `layer` alone.
    layer : int
        The (lowest) layer whose weights were drawn anew.
    similarities : tuple of Similarity
        One a measure.
    """

    randomisation: Randomisation
    layer: int
    similarities: tuple[Similarity, ...]


@dataclass(frozen=True)
class Baseline:
    """What attributions resemble even where nothing, or not the unit, has been learned.

    Parameters
    ----------
    name : str
        ``next map``: the map after the unit's, at the same place of the same image. ``statistics``: the same unit in
        the trained network, with nothing but its batch-norm statistics measured anew.
    similarities : tuple of Similarity
        To the trained network's attribution of the unit, one a measure.
    """

    name: str
    similarities: tuple[Similarity, ...]


@dataclass(frozen=True, kw_only=True)
class SanityCheck(Result):
    """Similarity of attributions to the trained network's, by depth of randomisation.

    Parameters
    ----------
    explained_layer : int
        The layer whose units are explained; those above it do not matter.
    depths : tuple of RandomisedDepth
    unrelated_mean : tuple of Similarity
        The same between different units on different images: what "no longer alike" looks like.
    baselines : tuple of Baseline
        The next map, then statistics alone.
    warning : str
        That a unit's picture hardly depends on the unit, where it does not; empty otherwise.
    cascading, independent : ndarray of float64 (layers, measures, N)
        Every single similarity: row 0 is for the explained layer, the last for layer 1.
    unrelated, next_map, statistics : ndarray of float64 (measures, N)
    """

    explained_layer: int
    depths: tuple[RandomisedDepth, ...]
    unrelated_mean: tuple[Similarity, ...]
    baselines: tuple[Baseline, ...]
    warning: str
    cascading: NDArray[np.float64]
    independent: NDArray[np.float64]
    unrelated: NDArray[np.float64]
    next_map: NDArray[np.float64]
    statistics: NDArray[np.float64]

    def sentences(self) -> str:
        """What becomes of the pictures as layers are drawn anew, beside what is alike without it."""
        number = self.explained_layer
        own, all_layers = self.depths[0].similarities[0], self.depths[number - 1].similarities[0]
        next_map, statistics = (baseline.similarities[0].mean for baseline in self.baselines)
        said = (
            f"Spearman's correlation with the trained network's is {own.mean:.2f} when layer {number} is drawn anew, "
            f"{all_layers.mean.value:.2f} when all layers are; of the next map at the same place {next_map:.2f}, with nothing "
            f"but batch-norm statistics measured anew {statistics.value:.2f}, between units on different images "
            f"{self.unrelated_mean[0].mean.value:.2f}"
        )
        return f"{said}\n{self.warning}" if self.warning else said


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
    discriminator: DiscriminatorNetwork,
    layer: int,
    images: Tensor,
    units: Sequence[Unit],
    *,
    rule: Rule = "keep",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> SanityCheck:
    """Compare the guided gradients of units with those in networks whose weights were drawn anew.

    Only a unit's receptive field is compared. Layers above the units' do not matter to them; those from it down to
    the image are randomised, cascading (Adebayo et al. 2018, section 3.1) and one by one (section 3.2).

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
    layer : int
        Of the units, counted from 1.
    images : Tensor (N, C, H, W)
        Also what batch-norm statistics of randomised networks are measured on.
    units : sequence of Unit
        At least two, so that different ones can be compared.
    rule : {"keep", "zero"}
    seed : int
        Of the new weights and of the bootstrap.
    settings : mapping, optional
        What else the result should record.

    Returns
    -------
    SanityCheck

    Raises
    ------
    UserError
        If there are fewer than two units.
    """
    if len(units) < 2:
        raise UserError("a sanity check compares different units: give at least two maps")
    field = discriminator.receptive_field(layer)
    windows = [field.window(unit.row, unit.column) for unit in units]

    def explain(network: DiscriminatorNetwork, units: Sequence[Unit] = units) -> list[NDArray[np.float32]]:
        gradients = unit_gradients(network, layer, images, units, rule).numpy()
        return [g[:, w.top : w.bottom, w.left : w.right] for g, w in zip(gradients, windows, strict=True)]

    trained = explain(discriminator)
    order = range(layer, 0, -1)
    plans: dict[Randomisation, list[range]] = {
        "cascading": [range(number, layer + 1) for number in order],
        "independent": [range(number, number + 1) for number in order],
    }
    table = {
        kind: np.stack([_compare(trained, explain(randomised(discriminator, layers, images, seed))) for layers in plan])
        for kind, plan in plans.items()
    }
    depths = tuple(
        RandomisedDepth(kind, number, _summary(row, seed))
        for kind, rows in table.items()
        for number, row in zip(order, rows, strict=True)
    )
    # Two units on two images: their windows are brought to one size by leaving out what sticks out.
    shapes = [
        (slice(None), slice(min(a.shape[1], b.shape[1])), slice(min(a.shape[2], b.shape[2])))
        for a, b in zip(trained, _rolled(trained), strict=True)
    ]
    unrelated = _compare(
        [a[shape] for a, shape in zip(trained, shapes, strict=True)],
        [b[shape] for b, shape in zip(_rolled(trained), shapes, strict=True)],
    )
    maps = discriminator.numbered_layers[layer - 1].channels
    next_map = _compare(trained, explain(discriminator, [replace(u, map=(u.map + 1) % maps) for u in units]))
    statistics = _compare(trained, explain(randomised(discriminator, range(0), images, seed)))
    baselines = tuple(
        Baseline(name, _summary(row, seed)) for name, row in (("next map", next_map), ("statistics", statistics))
    )
    return SanityCheck(
        baselines=baselines,
        warning=_warning(layer, baselines[0], depths[0]),
        next_map=next_map,
        statistics=statistics,
        settings={**(settings or {}), "rule": rule, "seed": seed, "units": len(units)},
        explained_layer=layer,
        depths=depths,
        unrelated_mean=_summary(unrelated, seed),
        unrelated=unrelated,
        **table,
    )


def check_layer(
    model: DCGAN,
    images: Tensor | Images,
    *,
    layer: int | str | None = None,
    maps: int = 64,
    rule: Rule = "keep",
    seed: int = 0,
    source: str = "images",
) -> SanityCheck:
    """`sanity_check` of a layer's first maps, each at the strongest unit over the images.

    Parameters
    ----------
    model : DCGAN
    images : Tensor (N, C, S, S) or Images
    layer : int or str, optional
        The last by default.
    maps : int
        How many, if the layer has as many; few leave wide intervals.
    rule, seed
        As in `sanity_check`.
    source : str
        What the images are, for the caption.

    Returns
    -------
    SanityCheck
    """
    channels = ask(model, images, layer, None).layer.channels
    question = ask(model, images, layer, range(min(maps, channels)))
    number = question.layer.number
    responses = strongest_responses(model.discriminator, number, question.images, question.maps, 1)
    needed, units = collect(question.images, responses)
    settings = {"model": model.card.name, "images": source}
    return sanity_check(model.discriminator, number, needed, units, rule=rule, seed=seed, settings=settings)


def _warning(layer: int, next_map: Baseline, redrawn: RandomisedDepth) -> str:
    """Whether another map's picture is as like as the picture of the map's own redrawn weights."""
    other, own = next_map.similarities[0].mean, redrawn.similarities[0].mean
    if other.value < 0.5:
        return ""
    how = "hardly depends on the unit" if other.value >= 0.75 else "depends on the unit only in part"
    return (
        f"at layer {layer} the picture {how}: the next map's at the same place correlates by "
        f"{other:.2f} with it, beside which {own.value:.2f} after drawing the layer anew is to be read"
    )


def _rolled(items: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    return [*items[1:], items[0]]


def _compare(first: Sequence[NDArray[np.float32]], second: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    return np.stack([similarities(a, b) for a, b in zip(first, second, strict=True)], axis=1)


def _summary(row: NDArray[np.float64], seed: int) -> tuple[Similarity, ...]:
    return tuple(
        Similarity(measure, bootstrap_estimate(values, seed=stream(seed, BOOTSTRAP), over="units"))
        for measure, values in zip(MEASURES, row, strict=True)
    )
