"""Ways to rank a generator's maps by how much they have to do with an object.

To add one, write a function from `Evidence` to a score for each map and register it (`ranking_registry`); commands, figures
and dose-response curves take it from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.forgetting.ablation import draw_scaled, scaled
from dcgan_viz.analysis.forgetting.evidence import Evidence
from dcgan_viz.analysis.forgetting.ranking_registry import find_ranking
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, areas, segment
from dcgan_viz.model import SAMPLE_BATCH
from dcgan_viz.networks.layers import Layer
from dcgan_viz.statistics import stream

if TYPE_CHECKING:
    from dcgan_viz.analysis.forgetting.ranking_registry import Scores

QUANTILES = np.linspace(0.05, 0.99, 48)
MAPS_AT_ONCE = 16
CAUSAL_SAMPLES = 128
"""Samples on which each map is zeroed alone and a segmenter looks: it looks once a map and sample."""

LEARNING_STEPS, LEARNING_BATCH, LEARNING_RATE = 150, 32, 0.05
COLLATERAL, SPARSITY = 4.0, 0.3
"""What losing all of the picture's other objects, and zeroing all maps, cost a learned ablation, where removing the
whole object gains 1."""

LEARNING = 2
"""A stream of random numbers of a seed."""


def score_maps(ranking: str, evidence: Evidence) -> Scores:
    """A score for each map; the higher, the more it has to do with the object.

    Parameters
    ----------
    ranking : str
        A key of `RANKINGS`. ``regression``: weight in the logistic regression (Radford et al. 2015). ``iou``:
        intersection over union of the boxes with where the map is above a threshold, at its best threshold (GAN
        Dissection, Bau et al. 2018). ``difference``: mean activation inside the boxes minus outside, in standard
        deviations. ``causal``: what zeroing this map alone does; with a segmenter, the share of the object's pixels that
        it removes less the mean share by which it changes the other objects; without, the mean change of a pixel inside
        the boxes minus outside, in grey levels. ``learned``: by how much an ablation that was optimised through the
        segmenter scales the map down; it removes the object, keeps the other objects and leaves as many maps as it can
        (Bau et al. 2018, section 3.2).
    evidence : Evidence

    Returns
    -------
    ndarray of float64 (C,)

    Raises
    ------
    UserError
        If there is no such ranking, or it needs a segmenter and there is none.
    """
    found = find_ranking(ranking)
    if found.needs == "segmenter" and evidence.segmenter is None:
        raise UserError(
            f"the {ranking} ranking needs a segmenter that knows {evidence.label}: choose another, or give one"
        )
    return found.scores(evidence)


def regression_scores(evidence: Evidence) -> Scores:
    """The weights of the paper's regression."""
    return evidence.weights


def iou_scores(evidence: Evidence) -> Scores:
    """Intersection over union of the boxes with where each map is above its best threshold."""
    return np.array([_best_iou(evidence.maps[:, m], evidence.inside) for m in range(evidence.maps.shape[1])])


def _best_iou(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    best = 0.0
    for threshold in np.unique(np.quantile(values, QUANTILES)):
        active = values > threshold
        best = max(best, float((active & inside).sum() / (active | inside).sum()))
    return best


def difference_scores(evidence: Evidence) -> Scores:
    """Mean activation inside the boxes minus outside, in standard deviations of the map."""
    flat = evidence.maps.transpose(1, 0, 2, 3).reshape(evidence.maps.shape[1], -1).astype(np.float64)
    within = evidence.inside.ravel()
    spread = np.maximum(flat.std(1), np.finfo(np.float32).tiny)
    difference: NDArray[np.float64] = (flat[:, within].mean(1) - flat[:, ~within].mean(1)) / spread
    return difference


def causal_scores(evidence: Evidence) -> Scores:
    """What zeroing each map alone does to the object, or, without a segmenter, to the pixels inside the boxes."""
    return _effect_on_pixels(evidence) if evidence.segmenter is None else _effect_on_object(evidence)


def _effect_on_pixels(evidence: Evidence) -> NDArray[np.float64]:
    inside, layer = evidence.inside_pixels, evidence.layer
    before = evidence.pictures.astype(np.float64)
    effects = []
    for factors in _single_maps(layer):
        changes: list[list[NDArray[np.float64]]] = [[] for _ in factors]
        for batch, drawn in draw_scaled(evidence.model, layer, factors, evidence.latents):
            for change, images in zip(changes, drawn, strict=True):
                change.append(np.abs(to_pixels(images) - before[batch]).mean(-1))
        for change in changes:
            whole = np.concatenate(change)
            effects.append(whole[inside].mean() - whole[~inside].mean())
    return np.array(effects)


def _effect_on_object(evidence: Evidence) -> NDArray[np.float64]:
    segmenter, layer, latents = evidence.segmenter, evidence.layer, evidence.latents[:CAUSAL_SAMPLES]
    assert segmenter is not None
    index = segmenter.label(evidence.label) - 1
    objects = len(segmenter.objects)
    effects = []
    for factors in _single_maps(layer):
        totals = np.zeros((len(factors) + 1, objects))
        for _, drawn in draw_scaled(evidence.model, layer, [torch.ones(layer.channels), *factors], latents):
            totals += [areas(segment(segmenter, images), objects).sum(0) for images in drawn]
        lost = 1 - totals[1:] / np.maximum(totals[0], 1e-6)
        # An object that the samples hardly show says nothing.
        others = np.delete(np.arange(objects), index)[np.delete(totals[0] > 0.001 * len(latents), index)]
        collateral = np.abs(lost[:, others]).mean(1) if len(others) else 0.0
        effects.append(lost[:, index] - collateral)
    return np.concatenate(effects)


def _single_maps(layer: Layer) -> list[list[Tensor]]:
    """Factors that zero one map each, so many at a time that the layers below are computed seldom."""
    one = [scaled(layer.channels, [m]) for m in range(layer.channels)]
    return [one[start : start + MAPS_AT_ONCE] for start in range(0, len(one), MAPS_AT_ONCE)]


def learn_ablation(evidence: Evidence, *, steps: int = LEARNING_STEPS, rate: float = LEARNING_RATE) -> Scores:
    """Optimise an ablation through the segmenter: the ``learned`` ranking of `score_maps`.

    Parameters
    ----------
    evidence : Evidence
        With a segmenter that knows the object.
    steps : int
        Of the optimiser; fewer tell the highest maps from the lowest, and leave those between undecided.
    rate : float
        Learning rate: twice the rate comes as far in half the steps, less exactly.

    Returns
    -------
    ndarray of float64 (C,)
        By how much each map is scaled down, from 0 to 1.
    """
    segmenter, layer = evidence.reading_segmenter(), evidence.layer
    label, generator = segmenter.label(evidence.label), evidence.model.generator
    maps = torch.from_numpy(evidence.maps).to(evidence.model.device)
    with torch.no_grad():
        drawn = (generator.draw_from(batch, layer.number) for batch in maps.split(SAMPLE_BATCH))
        whole = torch.cat([_expected_pixels(segmenter, images) for images in drawn])
    others = torch.tensor([k for k in range(whole.shape[1]) if k != label], device=whole.device)
    random = np.random.default_rng(stream(evidence.seed, LEARNING))
    # The share that is left of each map is a sigmoid of this; all begin almost whole.
    logits = torch.full((layer.channels,), 2.0, device=whole.device, requires_grad=True)
    optimiser = torch.optim.Adam([logits], rate)
    for _ in range(steps):
        chosen = torch.from_numpy(random.integers(0, len(maps), LEARNING_BATCH)).to(maps.device)
        factors = torch.sigmoid(logits)
        before = whole[chosen].sum(0)
        images = generator.draw_from(maps[chosen] * factors[:, None, None], layer.number)
        after = _expected_pixels(segmenter, images).sum(0)
        left = after[label] / before[label]
        # In shares of the whole picture: a change of a small object costs little, of a large one much.
        collateral = (after[others] - before[others]).clamp(max=0).abs().sum() / before.sum()
        loss = left + COLLATERAL * collateral + SPARSITY * (1 - factors).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    result: NDArray[np.float64] = (1 - torch.sigmoid(logits)).detach().cpu().double().numpy()
    return result


def _expected_pixels(segmenter: Segmenter, images: Tensor) -> Tensor:
    """Expected number of pixels (N, classes) of each label in pictures."""
    scores = segmenter.fused_network(images.contiguous(memory_format=torch.channels_last))
    probabilities: Tensor = scores.softmax(1).sum((2, 3))
    return probabilities


def positive_maps(weights: Scores, excluded: Sequence[int] = ()) -> tuple[int, ...]:
    """All maps of positive weight, most telling first; there may be none.

    Examples
    --------
    >>> positive_maps(np.array([0.5, -1.0, 2.0]))
    (2, 0)
    """
    return tuple(int(m) for m in np.argsort(-weights, kind="stable") if weights[m] > 0 and m not in excluded)


def choose_maps(weights: NDArray[np.float64], top: int | None = None, excluded: Sequence[int] = ()) -> tuple[int, ...]:
    """The maps to zero, most telling first: all of positive weight, or the `top` highest.

    Parameters
    ----------
    weights : ndarray of float64 (C,)
    top : int, optional
    excluded : sequence of int
        Maps that are never chosen.

    Raises
    ------
    UserError
        If `top` is more than there are maps, or no weight is positive.

    Examples
    --------
    >>> choose_maps(np.array([0.5, -1.0, 2.0]))
    (2, 0)
    """
    ranking = [int(m) for m in np.argsort(-weights, kind="stable") if m not in excluded]
    if top is not None:
        if not 1 <= top <= len(ranking):
            kept = f", of which {len(excluded)} are kept" if excluded else ""
            raise UserError(f"the top {top} maps are out of range: the layer has {len(weights)} maps{kept}")
        return tuple(ranking[:top])
    chosen = positive_maps(weights, excluded)
    if not chosen:
        raise UserError("the regression gave no map a positive weight: zero some of the highest ones (top)")
    return chosen


def maps_that_matter_more(kept: NDArray[np.float64], forgotten: NDArray[np.float64]) -> tuple[int, ...]:
    """The maps that a ranking gives a larger share of its highest score for one object than for another.

    Examples
    --------
    >>> maps_that_matter_more(np.array([1.0, 0.2, -1.0]), np.array([1.0, 3.0, 2.0]))
    (0,)
    """
    share = kept / max(float(kept.max()), 1e-12)
    other = forgotten / max(float(forgotten.max()), 1e-12)
    return tuple(int(m) for m in np.flatnonzero((share > 0) & (share > other)))
