"""What else finds an object as well as a discriminator's maps do: brightness, place, and networks that learned nothing.

Beside single maps stand linear combinations of all maps of a layer, and every layer of the network. What is chosen, a
map, a layer, the strength of a penalty, is chosen on one half of the images, and what is reported is measured on the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.attribution.randomisation import randomised
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer
from dcgan_viz.statistics import Estimate, estimate_of

PENALTIES = (0.001, 0.01, 0.1, 1.0)
"""Of ridge regression, a position and a map of unit variance."""

FOLDS = 4
RESAMPLES = 200
TRAINED, RANDOM = "trained", "random weights"
MAP, COMBINATION = "best map", "combination of all maps"

Scores = NDArray[np.float64]
Halves = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class Detector:
    """One way to find an object.

    Parameters
    ----------
    name : str
        ``luminance``, ``position``, ``luminance and position``, ``best map`` or ``combination of all maps``.
    network : str
        ``trained``, ``random weights``, or empty where there is none.
    layer : int
        Of the discriminator; 0 where there is none.
    map : int
        Of the best map; -1 where there is none.
    chosen_by : float
        Average precision on the images that choose; of what is fitted, cross-validated among them.
    average_precision : Estimate
        On the other images.
    """

    name: str
    network: str
    layer: int
    map: int
    chosen_by: float
    average_precision: Estimate

    @property
    def words(self) -> str:
        """What it is, in words."""
        what = self.name if self.map < 0 else f"map {self.map}"
        return f"{what} of layer {self.layer}, {self.network}" if self.network else what


@dataclass(frozen=True)
class Detectors:
    """All that was tried, and whether a trained network's maps are worth more than what needs none.

    Parameters
    ----------
    rows : tuple of Detector
    best_map, best_combination, best_baseline : Detector
        Of the trained network, over its layers; and of all that needs no training of it. Chosen by `chosen_by`.
    map_gain, combination_gain : Estimate
        Average precision of the first and of the second less that of the third, over the same resampled images.
    """

    rows: tuple[Detector, ...]
    best_map: Detector
    best_combination: Detector
    best_baseline: Detector
    map_gain: Estimate
    combination_gain: Estimate

    def of(self, name: str, network: str = "", layer: int = 0) -> Detector:
        """One of the rows."""
        return next(row for row in self.rows if (row.name, row.network, row.layer) == (name, network, layer))

    def sentences(self) -> str:
        """Whether anything beats the baselines, in plain words."""
        base = self.best_baseline
        lines = []
        for row, gain, what in (
            (self.best_map, self.map_gain, "map of any layer"),
            (self.best_combination, self.combination_gain, "combination of the maps of one layer"),
        ):
            verdict = f"beats {base.words}" if gain.low > 0 else f"is not shown to beat {base.words}"
            lines.append(
                f"The best {what}, {row.words}, has {row.average_precision:.2f} and {verdict} "
                f"({base.average_precision:.2f}): {gain:+.2f}"
            )
        return "\n".join(lines)


def compare_detectors(
    model: DCGAN,
    images: Tensor,
    masks: NDArray[np.bool_],
    halves: Halves,
    activations: Callable[[DCGAN, Layer], NDArray[np.float32]],
    covered_shares: Callable[[NDArray[np.bool_], int], NDArray[np.float64]],
    *,
    seed: int = 0,
    bootstrap_seed: tuple[int, ...] = (0,),
) -> Detectors:
    """Measure every way to find an object on images that chose nothing.

    Parameters
    ----------
    model : DCGAN
    images : Tensor (N, C, S, S)
    masks : ndarray of bool (N, S, S)
        Where the object is.
    halves : tuple of ndarray of int64
        Images that choose, and images that measure.
    activations : callable
        Maps (N, C, h, w) of a model's layer on the images.
    covered_shares : callable
        The share of each square of a map that masks cover.
    seed : int
        Of the random weights.
    bootstrap_seed : tuple of int

    Returns
    -------
    Detectors
    """
    choosing, measuring = halves
    counts = np.random.default_rng(bootstrap_seed).multinomial(
        len(measuring), np.full(len(measuring), 1 / len(measuring)), RESAMPLES
    )
    rows: list[Detector] = []
    replicates: list[NDArray[np.float64]] = []

    def add(name: str, network: str, layer: int, number: int, chosen_by: float, scores: Scores, share: Scores) -> None:
        found = average_precisions(scores, share, np.vstack([np.ones(len(measuring)), counts]))
        rows.append(
            Detector(
                name, network, layer, number, chosen_by, estimate_of(found[0], found[1:], len(measuring), "images")
            )
        )
        replicates.append(found[1:])

    for name, features, size in _plain_features(images):
        covered = covered_shares(masks, size)
        add(name, "", 0, -1, *_combine(features, covered, halves), covered[measuring])
    place = max(layer.size for layer in model.discriminator_layers)
    covered = covered_shares(masks, place)
    usual, share = covered[choosing], covered[measuring]
    folds = np.arange(len(choosing)) % FOLDS
    unseen = np.stack([usual[folds != fold].mean(0) for fold in folds])
    known = float(average_precisions(unseen, usual, np.ones((1, len(choosing))))[0])
    add("position", "", 0, -1, known, np.broadcast_to(usual.mean(0), share.shape), share)

    whole = range(1, len(model.discriminator_layers) + 1)
    fresh = DCGAN(model.generator, randomised(model.discriminator, whole, images, seed), model.card)
    for network, one in ((TRAINED, model), (RANDOM, fresh)):
        for layer in model.discriminator_layers:
            maps, covered = activations(one, layer), covered_shares(masks, layer.size)
            ones, share = np.ones((1, len(choosing))), covered[measuring]
            ranked = [
                float(average_precisions(maps[choosing, m], covered[choosing], ones)[0]) for m in range(maps.shape[1])
            ]
            best = int(np.argmax(ranked))
            add(MAP, network, layer.number, best, ranked[best], maps[measuring, best].astype(np.float64), share)
            add(COMBINATION, network, layer.number, -1, *_combine(maps.astype(np.float64), covered, halves), share)

    def first(found: Callable[[Detector], bool]) -> int:
        return max((k for k, row in enumerate(rows) if found(row)), key=lambda k: rows[k].chosen_by)

    base = first(lambda row: row.network != TRAINED)

    def gain(k: int) -> Estimate:
        value = rows[k].average_precision.value - rows[base].average_precision.value
        return estimate_of(value, replicates[k] - replicates[base], len(measuring), "images")

    single = first(lambda row: (row.network, row.name) == (TRAINED, MAP))
    mixed = first(lambda row: (row.network, row.name) == (TRAINED, COMBINATION))
    return Detectors(tuple(rows), rows[single], rows[mixed], rows[base], gain(single), gain(mixed))


def average_precisions(
    scores: NDArray[np.floating], share: NDArray[np.float64], counts: NDArray[np.floating | np.integer]
) -> NDArray[np.float64]:
    """Average precision (R,) of scores where each image counts as often as each of R rows says.

    A position that is covered by a third counts as a third of a positive and two thirds of a negative, which is what every
    pixel on its own would give with the score of the position that it lies in. Not a number where nothing is covered.

    Parameters
    ----------
    scores, share : ndarray (n, h, w)
        Of positions: how likely the object is there, and which share of it the object covers.
    counts : ndarray (R, n)

    Examples
    --------
    >>> average_precisions(np.array([[[0.9, 0.1]]]), np.array([[[1.0, 0.0]]]), np.ones((1, 1)))
    array([1.])
    """
    flat = np.asarray(scores).reshape(-1)
    order = np.argsort(-flat, kind="stable")
    # Positions of one score are taken together, whatever their order.
    ends = np.flatnonzero(np.append(np.diff(flat[order]) != 0, True))
    image, covered = order // (flat.size // len(share)), share.reshape(-1)[order]
    found = np.empty(len(counts))
    for k, count in enumerate(counts):
        weight = count[image].astype(np.float64)
        hit, taken = np.cumsum(weight * covered)[ends], np.cumsum(weight)[ends]
        gained = np.diff(hit, prepend=0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            found[k] = np.nansum(gained * hit / taken) / hit[-1] if hit[-1] > 0 else np.nan
    return found


def _plain_features(images: Tensor) -> Iterator[tuple[str, Scores, int]]:
    """What needs no network: each feature (N, c, size, size), of pixels."""
    grey = images.mean(1).double().numpy()
    size = grey.shape[-1]
    yield "luminance", np.stack([grey, grey**2], 1), size
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, size),) * 2, indexing="ij")
    place = np.stack([rows, columns, rows**2, columns**2, rows * columns])
    both = np.concatenate([np.stack([grey, grey**2], 1), np.broadcast_to(place, (len(grey), *place.shape))], 1)
    yield "luminance and position", both, size


def _combine(features: Scores, covered: Scores, halves: Halves) -> tuple[float, Scores]:
    """Ridge regression of coverage on features: its cross-validated average precision, and scores (n, h, w) of the others."""
    choosing, measuring = halves
    folds = np.arange(len(choosing)) % FOLDS
    x, y = features[choosing].transpose(0, 2, 3, 1), covered[choosing]
    ones = np.ones((1, len(choosing)))
    # Sums over images, from which every fold's regression is solved.
    products = [_sums(x[folds == fold], y[folds == fold]) for fold in range(FOLDS)]
    total = [np.sum([part[k] for part in products], axis=0) for k in range(5)]
    best = (-1.0, PENALTIES[0])
    for penalty in PENALTIES:
        scores = np.empty_like(y)
        for fold in range(FOLDS):
            rest = [whole - part for whole, part in zip(total, products[fold], strict=True)]
            scores[folds == fold] = x[folds == fold] @ _ridge(rest, penalty)
        best = max(best, (float(average_precisions(scores, y, ones)[0]), penalty))
    weights = _ridge(total, best[1])
    return best[0], features[measuring].transpose(0, 2, 3, 1) @ weights


def _sums(x: Scores, y: Scores) -> list[NDArray[np.float64]]:
    flat, target = x.reshape(-1, x.shape[-1]), y.reshape(-1)
    return [np.array(float(len(flat))), flat.sum(0), flat.T @ flat, flat.T @ target, np.array(target.sum())]


def _ridge(sums: list[NDArray[np.float64]], penalty: float) -> NDArray[np.float64]:
    """Weights (c,) of features as they are, penalised as if each had unit variance; the intercept changes no rank."""
    count, total, products, with_target, target = sums
    mean = total / count
    covariance = products / count - np.outer(mean, mean)
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    standard = covariance / np.outer(scale, scale) + penalty * np.eye(len(mean))
    correlation = (with_target / count - mean * target / count) / scale
    return np.asarray(np.linalg.solve(standard, correlation) / scale)
