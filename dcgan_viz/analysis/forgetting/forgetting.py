"""Forgetting an object: find the generator's maps that draw it, and draw without them.

The experiment of Radford et al. 2015, section 6.3.1: a logistic regression tells activations inside hand-drawn boxes
from others, and the maps with positive weight are zeroed. Beside it stand a control, the same number of maps chosen at
random, how much the picture changes inside the boxes and outside, and, where a segmenter can read the pictures, what
happened to the object and to every other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.forgetting.ablation import (
    Change,
    draw_without,
    measure_change,
    scaled,
    second_highest_layer,
)
from dcgan_viz.analysis.forgetting.effects import Effect, measure_effects
from dcgan_viz.analysis.forgetting.probe import Negatives, fit_probe, gather_positions
from dcgan_viz.analysis.forgetting.probe_baselines import ProbeBaselines, fit_baselines
from dcgan_viz.analysis.forgetting.rankings import (
    Evidence,
    Ranking,
    choose_maps,
    maps_that_matter_more,
    matched_factors,
    random_factors,
    score_maps,
)
from dcgan_viz.annotations.boxes import Annotations, Box, inside_boxes
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, segment
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer, find_layer
from dcgan_viz.results import Result
from dcgan_viz.statistics import Interval

Where = Literal["everywhere", "object"]

MEASURED_SAMPLES = 1000
"""New samples on which a segmenter measures what an ablation did."""


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """How the maps of one object were found.

    Parameters
    ----------
    object : str
    maps : tuple of int
        Chosen for this object, most telling first.
    auc, auc_interval, positives, negatives
        As in `Probe`.
    baselines : ProbeBaselines
        What brightness and position alone find, and what is found in shuffled boxes.
    boxes, annotated_images : int
        Boxes of the object, and samples that hold at least one.
    warning : str
        What to know before the maps are believed to draw the object; empty if nothing.
    """

    object: str
    maps: tuple[int, ...]
    auc: float
    auc_interval: Interval
    positives: int
    negatives: int
    baselines: ProbeBaselines
    boxes: int
    annotated_images: int
    warning: str


@dataclass(frozen=True, kw_only=True)
class Forgetting(Result):
    """Samples with and without the maps that draw one object or several.

    Parameters
    ----------
    objects : tuple of Forgotten
        What was to be forgotten, and how its maps were found.
    layer : Layer
        Where the maps are.
    maps : tuple of int
        The maps that were zeroed: those of the first object most telling first, then those that further objects add.
    kept_maps : tuple of int
        Maps that were spared for the sake of objects to keep.
    control_maps : tuple of int
        As many as `maps`, chosen at random.
    change, control_change : Change
        What zeroing `maps` and `control_maps` does to the annotated samples.
    effects : tuple of Effect
        By a segmenter, over new samples: of the maps, of random and of activation-matched ones; empty without one.
    weights, scores : ndarray of float64 (objects, C)
        The regression's weights, and what the maps were ranked by.
    before, after, control : ndarray of uint8 (N, H, W, channels)
        New samples as drawn, without `maps`, and without `control_maps`.
    """

    objects: tuple[Forgotten, ...]
    layer: Layer
    maps: tuple[int, ...]
    kept_maps: tuple[int, ...]
    control_maps: tuple[int, ...]
    change: Change
    control_change: Change
    effects: tuple[Effect, ...]
    weights: NDArray[np.float64]
    scores: NDArray[np.float64]
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    control: NDArray[np.uint8]

    @property
    def names(self) -> str:
        """The objects in words, such as ``window and lamp``."""
        return " and ".join(found.object for found in self.objects)


def forget(
    model: DCGAN,
    annotations: Annotations,
    objects: str | Sequence[str] = "window",
    *,
    keep: Sequence[str] = (),
    layer: int | str | None = None,
    top: int | None = None,
    samples: int = 100,
    ranking: Ranking = "regression",
    negatives: Negatives = "random",
    strength: float = 1.0,
    where: Where = "everywhere",
    regularization: float = 1.0,
    segmenter: Segmenter | None = None,
    seed: int = 0,
) -> Forgetting:
    """Find the maps that draw objects, zero them, and draw new samples without them.

    Parameters
    ----------
    model : DCGAN
    annotations : Annotations
        Boxes on samples of this very generator.
    objects : str or sequence of str
        Labels of the annotations; the maps of all of them are zeroed together.
    keep : sequence of str
        Labels of objects to keep: maps to which the ranking gives a larger share of its highest score for one of these
        than for the forgotten object are spared.
    layer : int or str, optional
        Number or name of a generator layer with feature maps; the paper's by default.
    top : int, optional
        Zero the maps of the highest weights, this many for each object, instead of all with a positive weight.
    samples : int
        New samples to draw.
    ranking : {"regression", "iou", "difference", "causal", "learned"}
        How maps are chosen: by their weight in the regression, as in the paper, or as in `score_maps`; without `top`
        the others choose as many maps as the regression does, so that they can be compared.
    negatives : {"random", "matched"}
        What the regression tells the object from: random other positions, as in the paper, or positions of like
        luminance and height.
    strength : float
        Maps are multiplied by 1 - strength: 1 zeroes them, as in the paper.
    where : {"everywhere", "object"}
        Zero the maps everywhere, as in the paper, or only where a segmenter sees the objects.
    regularization : float
        As in `fit_probe`.
    segmenter : Segmenter, optional
        Reads the model's pictures: what happened to every object is then measured on 1,000 new samples.
    seed : int
        Of the new samples, the negatives, the folds, the intervals and the controls.

    Returns
    -------
    Forgetting

    Raises
    ------
    UserError
        If the boxes belong to other weights, an object is not annotated, is both forgotten and kept, the layer draws
        the image itself, `strength` is not in (0, 1], a segmenter is needed and missing, or `seed` would draw the
        annotated samples again.
    """
    labels = (objects,) if isinstance(objects, str) else tuple(dict.fromkeys(objects))
    both = set(labels) & set(keep)
    if both:
        raise UserError(f"{min(both)} cannot be forgotten and kept at once")
    if not 0 < strength <= 1:
        raise UserError(f"a strength of {strength} is out of range: choose above 0, at most 1")
    if where == "object" and segmenter is None:
        raise UserError("zeroing maps only where the object is needs a segmenter: give one with --segmenter")
    annotations.check_belongs_to(model)
    chosen_layer = second_highest_layer(model) if layer is None else find_layer(model.generator_layers, layer)
    if chosen_layer.number == len(model.generator_layers):
        raise UserError(f"layer {chosen_layer.number} is the image itself: choose a layer below it")
    if seed == annotations.seed:
        raise UserError(f"seed {seed} draws the annotated samples, not new ones: choose another")
    evidence = {
        label: gather_evidence(model, chosen_layer, annotations, label, negatives, regularization, segmenter, seed)
        for label in (*labels, *keep)
    }
    scores = {label: score_maps(ranking, found) for label, found in evidence.items()}
    spared = {label: [m for k in keep for m in maps_that_matter_more(scores[k], scores[label])] for label in labels}
    found_objects = []
    for label in labels:
        number = top
        if ranking != "regression" and top is None:
            number = len(choose_maps(evidence[label].probe.weights, excluded=spared[label]))
        chosen = choose_maps(scores[label], number, spared[label])
        found_objects.append(_forgotten(chosen, evidence[label], annotations.of(label), negatives, regularization))
    maps = tuple(dict.fromkeys(m for found in found_objects for m in found.maps))
    random = np.random.default_rng(seed)
    control = tuple(int(m) for m in random.choice(chosen_layer.channels, len(maps), replace=False))
    choices = ((), maps, control)
    latents = model.latents(samples, seed)
    places = None if where == "everywhere" else _places(model, segmenter, labels, latents, chosen_layer)
    before, after, controlled = (
        to_pixels(images) for images in draw_without(model, chosen_layer, choices, latents, strength, places)
    )
    boxes = tuple(box for label in labels for box in annotations.of(label))
    change, control_change = _changes_where_annotated(
        model, chosen_layer, choices, annotations, boxes, strength, where, seed
    )
    effects: tuple[Effect, ...] = ()
    if segmenter is not None:
        effects = _effects(model, chosen_layer, maps, segmenter, labels, strength, where, seed)
    return Forgetting(
        settings={
            "model": model.card.name,
            "generator_digest": model.generator_digest(),
            "seed": seed,
            "samples": samples,
            "measured_samples": MEASURED_SAMPLES if effects else 0,
            "annotation_seed": annotations.seed,
            "annotated_samples": annotations.count,
            "boxes_by": annotations.contributor,
            "ranking": ranking,
            "chosen_by": "those of a weight above 0"
            if top is None and ranking == "regression"
            else f"the {number} that rank highest ({ranking})",
            "kept": list(keep),
            "regression": f"L2 logistic regression, C = {regularization}, features scaled to unit standard deviation",
            "negatives": {
                "random": "random positions outside them",
                "matched": "positions outside them, matched for luminance and height within each sample",
            }[negatives],
            "ablation": f"{'zeroed' if strength == 1 else f'times {1 - strength:g}'} "
            f"{'everywhere' if where == 'everywhere' else 'where the object is'}, after the rectifier",
        },
        objects=tuple(found_objects),
        layer=chosen_layer,
        maps=maps,
        kept_maps=tuple(sorted({m for kept in spared.values() for m in kept})),
        control_maps=control,
        change=change,
        control_change=control_change,
        effects=effects,
        weights=np.stack([evidence[label].probe.weights for label in labels]),
        scores=np.stack([scores[label] for label in labels]),
        before=before,
        after=after,
        control=controlled,
    )


def gather_evidence(
    model: DCGAN,
    layer: Layer,
    annotations: Annotations,
    label: str,
    negatives: Negatives = "random",
    regularization: float = 1.0,
    segmenter: Segmenter | None = None,
    seed: int = 0,
) -> Evidence:
    """What the maps of a layer can be ranked by for one object; the parameters are those of `forget`."""
    boxes = annotations.of(label)
    annotated = model.latents(annotations.count, annotations.seed)
    maps = model.activations(annotated, layer.number).numpy()
    inside = inside_boxes(boxes, annotations.count, annotations.size, layer.size)
    grey = model.generate(annotated).mean(1, keepdim=True)
    luminance = functional.adaptive_avg_pool2d(grey, layer.size)[:, 0].numpy()
    positions = gather_positions(maps, inside, seed, luminance if negatives == "matched" else None)
    pixels = inside_boxes(boxes, annotations.count, annotations.size, annotations.size)
    shows = pixels.any((1, 2))
    return Evidence(
        model=model,
        layer=layer,
        label=label,
        latents=annotated[torch.from_numpy(shows)],
        maps=maps[shows],
        inside=inside[shows],
        inside_pixels=pixels[shows],
        luminance=luminance[shows],
        probe=fit_probe(positions, regularization, seed),
        segmenter=segmenter if segmenter is not None and label in segmenter.objects else None,
        seed=seed,
    )


def _forgotten(
    maps: tuple[int, ...], evidence: Evidence, boxes: tuple[Box, ...], negatives: Negatives, regularization: float
) -> Forgotten:
    probe = evidence.probe
    baselines = fit_baselines(
        evidence.maps,
        evidence.inside,
        evidence.luminance,
        match=negatives == "matched",
        regularization=regularization,
        seed=evidence.seed,
    )
    warning = ""
    if baselines.finds_nothing(probe):
        warning = (
            f"the {evidence.label} boxes are found no better (AUC {probe.auc:.3f}) than boxes that were moved to other "
            f"samples (up to {baselines.highest_shuffled_auc:.3f}): they may be around nothing that the maps draw"
        )
    return Forgotten(
        object=evidence.label,
        maps=maps,
        auc=probe.auc,
        auc_interval=probe.auc_interval,
        positives=probe.positives,
        negatives=probe.negatives,
        baselines=baselines,
        boxes=len(boxes),
        annotated_images=len({box.image for box in boxes}),
        warning=warning,
    )


def _changes_where_annotated(
    model: DCGAN,
    layer: Layer,
    choices: Sequence[Sequence[int]],
    annotations: Annotations,
    boxes: tuple[Box, ...],
    strength: float,
    where: Where,
    seed: int,
) -> tuple[Change, Change]:
    """The change that the maps and the control make to the annotated samples that hold the object."""
    inside = inside_boxes(boxes, annotations.count, annotations.size, annotations.size)
    both = torch.from_numpy(inside.any((1, 2)) & ~inside.all((1, 2)))
    latents = model.latents(annotations.count, annotations.seed)[both]
    places = None
    if where == "object":
        places = torch.from_numpy(inside_boxes(boxes, annotations.count, annotations.size, layer.size))[both]
    before, after, control = (
        to_pixels(images) for images in draw_without(model, layer, choices, latents, strength, places)
    )
    within = inside[both.numpy()]
    return measure_change(before, after, within, seed), measure_change(before, control, within, seed)


def _places(model: DCGAN, segmenter: Segmenter | None, labels: Sequence[str], latents: Tensor, layer: Layer) -> Tensor:
    """Positions (N, h, w) of a layer above which a segmenter sees one of the objects, and those beside them."""
    assert segmenter is not None
    found = np.isin(segment(segmenter, model.generate(latents)), [segmenter.label(label) for label in labels])
    scale = found.shape[1] // layer.size
    seen = found.reshape(len(found), layer.size, scale, layer.size, scale).any((2, 4))
    return torch.from_numpy(binary_dilation(seen, np.ones((1, 3, 3), bool)))


def _effects(
    model: DCGAN,
    layer: Layer,
    maps: tuple[int, ...],
    segmenter: Segmenter,
    labels: tuple[str, ...],
    strength: float,
    where: Where,
    seed: int,
) -> tuple[Effect, ...]:
    latents = model.latents(MEASURED_SAMPLES, seed)
    choices = {
        "chosen maps": scaled(layer.channels, maps, strength),
        "random maps": random_factors(layer.channels, len(maps), MEASURED_SAMPLES, seed, strength),
    }
    activations = model.activations(latents[:256], layer.number).mean((0, 2, 3))
    matched = matched_factors(activations.double().numpy(), maps, MEASURED_SAMPLES, seed, strength)
    if matched is not None:
        choices["activation-matched maps"] = matched
    places = None if where == "everywhere" else _places(model, segmenter, labels, latents, layer)
    return measure_effects(model, layer, choices, segmenter, labels, latents, where=places, seed=seed)
