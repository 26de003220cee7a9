"""What do a discriminator's maps detect? Ranking them by how well they find an object (Bau et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NotRequired

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.attribution.detectors import Detectors, average_precisions, compare_detectors
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.evaluation import evaluation
from dcgan_viz.networks.layers import Layer
from dcgan_viz.networks.protocol import DiscriminatorNetwork
from dcgan_viz.results import Result, Settings
from dcgan_viz.statistics import Estimate, resampled_units, stream
from dcgan_viz.words import counted

FORWARD_BATCH = 64
REPORTED = 12
"""How many of the best maps get intervals."""

SHOWN, SHOWN_WITHOUT = 6, 2
"""Images that are kept to look at, and how many of them do not show the object."""

THRESHOLDS = 99

HALVES, BOOTSTRAP = 1, 2
"""Streams of random numbers of a seed."""


@dataclass(frozen=True)
class DetectingMap:
    """How well one map finds an object, on images that neither ranked it nor chose its threshold.

    Parameters
    ----------
    map : int
        Counted from 0.
    average_precision : Estimate
        Over positions, each weighted by the area that the object covers of the square above it.
    iou : Estimate
        Intersection over union of the object with the positions above the threshold.
    threshold : float
        The activation that gave the best IoU on the images that ranked the maps.
    """

    map: int
    average_precision: Estimate
    iou: Estimate
    threshold: float


class DetectionSettings(Settings):
    """How a `Detection` was obtained."""

    images: str
    image_count: int
    images_with_object: int
    annotations: NotRequired[str]
    boxes: NotRequired[int]
    boxes_outside_crop: NotRequired[int]
    boxes_cut_by_crop: NotRequired[int]


@dataclass(frozen=True, kw_only=True)
class Detection(Result):
    """A layer's maps ranked by how well they find an object.

    Parameters
    ----------
    object : str
    layer : Layer
    prevalence : float
        Share of the area of the test images that is the object: the average precision of chance.
    best : tuple of DetectingMap
        The best maps, in the order of the images that ranked them.
    detectors : Detectors
        What else finds the object: brightness, place, networks with random weights, other layers and combinations of maps.
    ranking : ndarray of int64 (C,)
        All maps, best first.
    ranked_by, tested : ndarray of float64 (C,)
        Average precision of each map on the images that ranked them and on the others, by map number.
    pictures : ndarray of uint8 (n, S, S, C)
        Test images that show the object, and then some that do not.
    masks : ndarray of bool (n, S, S)
    activations : ndarray of float32 (n, best, h, w)
        Of the best maps on them.
    """

    settings: DetectionSettings
    object: str
    layer: Layer
    prevalence: float
    best: tuple[DetectingMap, ...]
    detectors: Detectors
    ranking: NDArray[np.int64]
    ranked_by: NDArray[np.float64]
    tested: NDArray[np.float64]
    pictures: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    activations: NDArray[np.float32]


def rank_maps(
    model: DCGAN,
    layer: Layer,
    images: Tensor,
    masks: NDArray[np.bool_],
    label: str,
    *,
    seed: int = 0,
    source: str = "images",
) -> Detection:
    """Rank a discriminator layer's maps by how well they find an object.

    A random half of the images ranks the maps by average precision and chooses each one's threshold; what is
    reported is measured on the other half, so that picking the best of many maps does not flatter it.

    Parameters
    ----------
    model : DCGAN
    layer : Layer
        Of the discriminator.
    images : Tensor (N, C, S, S)
        In [-1, 1].
    masks : ndarray of bool (N, S, S)
        Where the object is.
    label : str
        What it is.
    seed : int
        Of the split and of the bootstrap.
    source : str
        What the images are, for the caption.

    Returns
    -------
    Detection

    Raises
    ------
    UserError
        If fewer than four images show the object, so that a half of them may show none.
    """
    if masks.shape != (len(images), *images.shape[2:]):
        raise UserError(f"the masks are {masks.shape}, but the images are {tuple(images.shape)}")
    shows: NDArray[np.bool_] = np.asarray(masks.any((1, 2)))
    if shows.sum() < 4:
        raise UserError(
            f"{label!r} is on {counted(int(shows.sum()), 'image')}, and at least 4 are needed to rank and to test maps"
        )
    activations = _activations(model.discriminator, layer.number, images)
    covered = covered_shares(masks, layer.size)
    ranking_half, test_half = balanced_halves(shows, seed)
    ranked_by = _average_precisions(activations[ranking_half], covered[ranking_half])
    ranking = np.argsort(-ranked_by, kind="stable")
    tested = _average_precisions(activations[test_half], covered[test_half])
    best = tuple(
        _measure(int(m), activations[:, m], covered, ranking_half, test_half, seed) for m in ranking[:REPORTED]
    )
    # The first of those with the object and of those without it.
    others = test_half[~shows[test_half]][:SHOWN_WITHOUT]
    seen = np.concatenate([test_half[shows[test_half]][: SHOWN - len(others)], others])
    return Detection(
        settings={
            "model": model.card.name,
            "images": source,
            "image_count": len(images),
            "images_with_object": int(shows.sum()),
            "seed": seed,
        },
        object=label,
        layer=layer,
        prevalence=float(covered[test_half].mean()),
        best=best,
        detectors=compare_detectors(
            model,
            images,
            masks,
            (ranking_half, test_half),
            lambda one, its_layer: _activations(one.discriminator, its_layer.number, images),
            covered_shares,
            seed=seed,
            bootstrap_seed=stream(seed, BOOTSTRAP),
        ),
        ranking=ranking,
        ranked_by=ranked_by,
        tested=tested,
        pictures=to_pixels(images[torch.from_numpy(seen)]),
        masks=masks[seen],
        activations=activations[seen][:, ranking[:REPORTED]],
    )


def covered_shares(masks: NDArray[np.bool_], map_size: int) -> NDArray[np.float64]:
    """The share of the square above each position of a map that a mask covers.

    Parameters
    ----------
    masks : ndarray of bool (N, S, S)
    map_size : int
        Divides S.

    Returns
    -------
    ndarray of float64 (N, map_size, map_size)

    Examples
    --------
    >>> covered_shares(np.array([[[True, True], [False, True]]]), 1)
    array([[[0.75]]])
    """
    count, size, _ = masks.shape
    stride = size // map_size
    return masks.reshape(count, map_size, stride, map_size, stride).mean((2, 4))


@torch.no_grad()
def _activations(discriminator: DiscriminatorNetwork, layer: int, images: Tensor) -> NDArray[np.float32]:
    """Maps (N, C, h, w) of a layer."""
    with evaluation(discriminator):
        batches = [discriminator.activations(batch, layer).float().cpu() for batch in images.split(FORWARD_BATCH)]
    return torch.cat(batches).numpy()


def balanced_halves(shows: NDArray[np.bool_], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two halves of the images, in ascending order, with as many that show the object in each."""
    random = np.random.default_rng(stream(seed, HALVES))
    first: list[NDArray[np.int64]] = []
    second: list[NDArray[np.int64]] = []
    for group in (np.flatnonzero(shows), np.flatnonzero(~shows)):
        mixed = random.permutation(group)
        first.append(mixed[: (len(mixed) + 1) // 2])
        second.append(mixed[(len(mixed) + 1) // 2 :])
    return np.sort(np.concatenate(first)), np.sort(np.concatenate(second))


def _average_precision(scores: NDArray[np.float32], covered: NDArray[np.float64]) -> float:
    """Of one map (n, h, w); not a number where nothing is covered."""
    return float(average_precisions(scores, covered, np.ones((1, len(covered))))[0])


def _average_precisions(activations: NDArray[np.float32], covered: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([_average_precision(activations[:, m], covered) for m in range(activations.shape[1])])


def _iou(active: NDArray[np.bool_], covered: NDArray[np.float64]) -> float:
    """Intersection over union of the squares that are active with what is covered."""
    return float(covered[active].sum() / (active.sum() + covered[~active].sum()))


def _measure(
    number: int,
    scores: NDArray[np.float32],
    covered: NDArray[np.float64],
    ranking_half: NDArray[np.int64],
    test_half: NDArray[np.int64],
    seed: int,
) -> DetectingMap:
    known = scores[ranking_half]
    thresholds = np.quantile(known, np.linspace(0, 1, THRESHOLDS + 2)[1:-1])
    threshold = max(thresholds, key=lambda t: _iou(known > t, covered[ranking_half]))
    tested, share = scores[test_half], covered[test_half]

    def over_images(measure: Callable[[NDArray[np.int64]], float]) -> Estimate:
        return resampled_units(len(test_half), measure, seed=stream(seed, BOOTSTRAP), over="images", resamples=200)

    return DetectingMap(
        map=number,
        average_precision=over_images(lambda chosen: _average_precision(tested[chosen], share[chosen])),
        iou=over_images(lambda chosen: _iou(tested[chosen] > threshold, share[chosen])),
        threshold=float(threshold),
    )
