"""Ways to rank a generator's maps by how much they have to do with an object, and the controls beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.forgetting.ablation import draw_scaled, scaled
from dcgan_viz.analysis.forgetting.probe import Probe
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, areas, segment
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer

Ranking = Literal["regression", "iou", "difference", "causal", "learned"]
RANKINGS: tuple[Ranking, ...] = get_args(Ranking)

QUANTILES = np.linspace(0.05, 0.99, 48)
MAPS_AT_ONCE = 16
CAUSAL_SAMPLES = 128
"""Samples on which each map is zeroed alone and a segmenter looks: it looks once a map and sample."""

LEARNING_STEPS, LEARNING_BATCH, LEARNING_RATE = 150, 32, 0.05
COLLATERAL, SPARSITY = 4.0, 0.3
"""What losing all of the picture's other objects, and zeroing all maps, cost a learned ablation, where removing the
whole object gains 1."""

NEIGHBOURS = 5
"""Maps of like activation among which an activation-matched control picks."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the maps of a layer are ranked by: samples that show an object, and where.

    Parameters
    ----------
    model : DCGAN
    layer : Layer
        Of the generator.
    label : str
        The object.
    latents : Tensor (N, latent)
        Of the annotated samples that show the object.
    maps : ndarray of float32 (N, C, h, w)
        The layer's activations for them.
    inside : ndarray of bool (N, h, w)
    inside_pixels : ndarray of bool (N, H, W)
        The boxes at the resolution of the maps and of the image.
    luminance : ndarray of float32 (N, h, w)
        Of the image above each position of the maps.
    probe : Probe
        The paper's regression.
    segmenter : Segmenter, optional
        Finds the object in pictures: ``causal`` then counts its pixels, and ``learned`` needs it.
    seed : int
        Of the batches that ``learned`` sees.
    """

    model: DCGAN
    layer: Layer
    label: str
    latents: Tensor
    maps: NDArray[np.float32]
    inside: NDArray[np.bool_]
    inside_pixels: NDArray[np.bool_]
    luminance: NDArray[np.float32]
    probe: Probe
    segmenter: Segmenter | None = None
    seed: int = 0


def score_maps(ranking: Ranking, evidence: Evidence) -> NDArray[np.float64]:
    """A score for each map; the higher, the more it has to do with the object.

    Parameters
    ----------
    ranking : {"regression", "iou", "difference", "causal", "learned"}
        ``regression``: weight in the logistic regression (Radford et al. 2015). ``iou``: intersection over union of
        the boxes with where the map is above a threshold, at its best threshold (GAN Dissection, Bau et al. 2018).
        ``difference``: mean activation inside the boxes minus outside, in standard deviations. ``causal``: what zeroing
        this map alone does; with a segmenter, the share of the object's pixels that it removes less the mean share by
        which it changes the other objects; without, the mean change of a pixel inside the boxes minus outside, in grey
        levels. ``learned``: by how much an ablation that was optimised through the segmenter scales the map down; it
        removes the object, keeps the other objects and leaves as many maps as it can (Bau et al. 2018, section 3.2).
    evidence : Evidence

    Returns
    -------
    ndarray of float64 (C,)

    Raises
    ------
    UserError
        If there is no such ranking, or it needs a segmenter and there is none.
    """
    if ranking not in RANKINGS:
        raise UserError(f"there is no ranking {ranking!r}: choose from {', '.join(RANKINGS)}")
    if ranking == "regression":
        return evidence.probe.weights
    if ranking == "iou":
        return np.array([_best_iou(evidence.maps[:, m], evidence.inside) for m in range(evidence.maps.shape[1])])
    if ranking == "difference":
        return _difference(evidence.maps, evidence.inside)
    if ranking == "causal":
        return _effect_on_pixels(evidence) if evidence.segmenter is None else _effect_on_object(evidence)
    return _learned(evidence)


def _best_iou(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    best = 0.0
    for threshold in np.unique(np.quantile(values, QUANTILES)):
        active = values > threshold
        best = max(best, float((active & inside).sum() / (active | inside).sum()))
    return best


def _difference(maps: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    flat = maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1).astype(np.float64)
    within = inside.ravel()
    spread = np.maximum(flat.std(1), np.finfo(np.float32).tiny)
    difference: NDArray[np.float64] = (flat[:, within].mean(1) - flat[:, ~within].mean(1)) / spread
    return difference


def _effect_on_pixels(evidence: Evidence) -> NDArray[np.float64]:
    inside, layer = evidence.inside_pixels, evidence.layer
    before = to_pixels(evidence.model.generate(evidence.latents)).astype(np.float64)
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


def _learned(evidence: Evidence) -> NDArray[np.float64]:
    segmenter, layer = evidence.segmenter, evidence.layer
    if segmenter is None:
        raise UserError("the learned ranking needs a segmenter: choose another, or give one with --segmenter")
    label = segmenter.label(evidence.label)
    generator = evidence.model.generator
    random = np.random.default_rng(evidence.seed)
    # The share that is left of each map is a sigmoid of this; all begin almost whole.
    logits = torch.full((layer.channels,), 2.0, device=evidence.model.device, requires_grad=True)
    optimiser = torch.optim.Adam([logits], LEARNING_RATE)
    for _ in range(LEARNING_STEPS):
        chosen = torch.from_numpy(random.integers(0, len(evidence.latents), LEARNING_BATCH))
        with torch.no_grad():
            below = generator.activations(evidence.latents[chosen], layer.number)
        factors = torch.sigmoid(logits)
        before = _expected_pixels(segmenter, generator.draw_from(below, layer.number)).detach()
        after = _expected_pixels(segmenter, generator.draw_from(below * factors[:, None, None], layer.number))
        left = after[label] / before[label]
        others = torch.tensor([k for k in range(len(before)) if k != label], device=before.device)
        # In shares of the whole picture: a change of a small object costs little, of a large one much.
        collateral = (after[others] - before[others]).clamp(max=0).abs().sum() / before.sum()
        loss = left + COLLATERAL * collateral + SPARSITY * (1 - factors).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    result: NDArray[np.float64] = (1 - torch.sigmoid(logits)).detach().cpu().double().numpy()
    return result


def _expected_pixels(segmenter: Segmenter, images: Tensor) -> Tensor:
    """Expected number of pixels (classes,) of each label in pictures."""
    probabilities: Tensor = segmenter.network(images).softmax(1).sum((0, 2, 3))
    return probabilities


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
            kept = f" of which {len(excluded)} are kept" if excluded else ""
            raise UserError(f"--top {top} is out of range: the layer has {len(weights)} maps{kept}")
        return tuple(ranking[:top])
    chosen = tuple(m for m in ranking if weights[m] > 0)
    if not chosen:
        raise UserError("the regression gave no map a positive weight: zero the highest ones with --top K")
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


def random_factors(channels: int, count: int, samples: int, seed: int, strength: float = 1.0) -> Tensor:
    """Factors (samples, channels) that scale down `count` random maps, other ones for every sample.

    A control whose samples are independent: it averages over choices of maps, not only over pictures.
    """
    order = np.random.default_rng(seed).random((samples, channels)).argsort(1)
    factors = torch.ones(samples, channels)
    return factors.scatter_(1, torch.from_numpy(order[:, :count].copy()), 1 - strength)


def matched_factors(
    activations: NDArray[np.float64], chosen: Sequence[int], samples: int, seed: int, strength: float = 1.0
) -> Tensor | None:
    """Factors (samples, C) that scale down, for each chosen map, an unchosen one of like mean activation.

    Each sample gets other maps: for every chosen one, a random one of the five nearest that are not taken yet.

    Parameters
    ----------
    activations : ndarray of float64 (C,)
        Mean of each map.
    chosen : sequence of int
    samples, seed : int
    strength : float

    Returns
    -------
    Tensor, optional
        None if more than half of the maps are chosen: too few are left.
    """
    others = np.setdiff1d(np.arange(len(activations)), chosen)
    if len(others) < len(chosen):
        return None
    random = np.random.default_rng(seed)
    factors = torch.ones(samples, len(activations))
    nearest = {m: others[np.argsort(np.abs(activations[others] - activations[m]), kind="stable")] for m in chosen}
    for sample in range(samples):
        taken: set[int] = set()
        for m in random.permutation(np.asarray(chosen, np.int64)):
            free = [o for o in nearest[int(m)] if int(o) not in taken][:NEIGHBOURS]
            taken.add(int(random.choice(free)))
        factors[sample, sorted(taken)] = 1 - strength
    return factors
