"""Forgetting an object: find the generator's maps that draw it, and draw without them.

The experiment of Radford et al. 2015, section 6.3.1: a logistic regression tells activations inside
hand-drawn boxes from others, and the maps with positive weight are zeroed. Beside it stands a control, the
same number of maps chosen at random, and how much the picture changes inside the boxes and outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from dcgan_viz.analysis.ablation import Change, draw_without, feature_maps, measure_change, second_highest_layer
from dcgan_viz.analysis.probe import Negatives, fit_probe, gather_positions
from dcgan_viz.analysis.rankings import Ranking, choose_maps, rank_maps_by
from dcgan_viz.analysis.statistics import Interval
from dcgan_viz.data.annotations import Annotations, Box, inside_boxes
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.layers import Layer, find_layer
from dcgan_viz.results import Result


@dataclass(frozen=True, kw_only=True)
class Forgetting(Result):
    """Samples with and without the maps that draw an object.

    Parameters
    ----------
    object : str
        What was to be forgotten.
    layer : Layer
        Where the maps are.
    maps : tuple of int
        The maps that were zeroed, most telling first.
    control_maps : tuple of int
        As many, chosen at random.
    auc, auc_interval, positives, negatives
        As in `Probe`.
    boxes, annotated_images : int
        Boxes of the object, and samples that hold at least one.
    change, control_change : Change
        What zeroing `maps` and `control_maps` does to the annotated samples.
    weights : ndarray of float64 (C,)
        The regression's weights.
    scores : ndarray of float64 (C,)
        What the maps were ranked by.
    before, after, control : ndarray of uint8 (N, H, W, channels)
        New samples as drawn, without `maps`, and without `control_maps`.
    """

    object: str
    layer: Layer
    maps: tuple[int, ...]
    control_maps: tuple[int, ...]
    auc: float
    auc_interval: Interval
    positives: int
    negatives: int
    boxes: int
    annotated_images: int
    change: Change
    control_change: Change
    weights: NDArray[np.float64]
    scores: NDArray[np.float64]
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    control: NDArray[np.uint8]


def forget(
    model: DCGAN,
    annotations: Annotations,
    object: str = "window",
    *,
    layer: int | str | None = None,
    top: int | None = None,
    samples: int = 100,
    ranking: Ranking = "regression",
    negatives: Negatives = "random",
    strength: float = 1.0,
    regularization: float = 1.0,
    seed: int = 0,
) -> Forgetting:
    """Find the maps that draw an object, zero them, and draw new samples without them.

    Parameters
    ----------
    model : DCGAN
    annotations : Annotations
        Boxes on samples of this very generator.
    object : str
        A label of the annotations.
    layer : int or str, optional
        Number or name of a generator layer with feature maps; the paper's by default.
    top : int, optional
        Zero the maps of the highest weights, this many, instead of all with a positive weight.
    samples : int
        New samples to draw.
    ranking : {"regression", "iou", "difference", "causal"}
        How maps are chosen: by their weight in the regression, as in the paper, or as in `rank_maps_by`; without `top`
        the others choose as many maps as the regression does, so that they can be compared.
    negatives : {"random", "matched"}
        What the regression tells the object from: random other positions, as in the paper, or positions of like
        luminance and height.
    strength : float
        Maps are multiplied by 1 - strength: 1 zeroes them, as in the paper.
    regularization : float
        As in `fit_probe`.
    seed : int
        Of the new samples, the negatives, the folds, the intervals and the control.

    Returns
    -------
    Forgetting

    Raises
    ------
    UserError
        If the boxes belong to other weights, the object is not annotated, the layer draws the image itself,
        `strength` is not in (0, 1], or `seed` would draw the annotated samples again.
    """
    if not 0 < strength <= 1:
        raise UserError(f"a strength of {strength} is out of range: choose above 0, at most 1")
    annotations.check_belongs_to(model)
    boxes = annotations.of(object)
    chosen_layer = second_highest_layer(model) if layer is None else find_layer(model.generator_layers, layer)
    if chosen_layer.number == len(model.generator_layers):
        raise UserError(f"layer {chosen_layer.number} is the image itself: choose a layer below it")
    if seed == annotations.seed:
        raise UserError(f"seed {seed} draws the annotated samples, not new ones: choose another")
    annotated = model.latents(annotations.count, annotations.seed)
    maps = torch.cat(
        [
            feature_maps(model.generator, chosen_layer, batch.to(model.device)).cpu()
            for batch in annotated.split(SAMPLE_BATCH)
        ]
    ).numpy()
    inside = inside_boxes(boxes, annotations.count, annotations.size, chosen_layer.size)
    luminance = None
    if negatives == "matched":
        grey = model.generate(annotated).mean(1, keepdim=True)
        luminance = functional.adaptive_avg_pool2d(grey, chosen_layer.size)[:, 0].numpy()
    probe = fit_probe(gather_positions(maps, inside, seed, luminance), regularization, seed)
    scores = probe.weights
    if ranking != "regression":
        pixels = inside_boxes(boxes, annotations.count, annotations.size, annotations.size)
        shows = pixels.any((1, 2))
        scores = rank_maps_by(
            ranking, model, chosen_layer, annotated[torch.from_numpy(shows)], maps[shows], inside[shows], pixels[shows]
        )
        top = top or len(choose_maps(probe.weights))
    chosen = choose_maps(scores, top)
    random = np.random.default_rng(seed)
    control = tuple(int(m) for m in random.choice(chosen_layer.channels, len(chosen), replace=False))
    choices = ((), chosen, control)
    before, after, controlled = (
        to_pixels(images)
        for images in draw_without(model, chosen_layer, choices, model.latents(samples, seed), strength)
    )
    change, control_change = _changes_where_annotated(model, chosen_layer, choices, annotations, boxes, strength, seed)
    return Forgetting(
        settings={
            "model": model.card.name,
            "generator_digest": model.generator_digest(),
            "seed": seed,
            "samples": samples,
            "annotation_seed": annotations.seed,
            "annotated_samples": annotations.count,
            "ranking": ranking,
            "chosen_by": "weight > 0" if top is None else f"top {top} by {ranking}",
            "regression": f"L2 logistic regression, C = {regularization}, features scaled to unit standard deviation",
            "negatives": {
                "random": "random positions outside them",
                "matched": "positions outside them, matched for luminance and height within each sample",
            }[negatives],
            "ablation": f"{'zeroed' if strength == 1 else f'times {1 - strength:g}'} everywhere, after the rectifier",
        },
        object=object,
        layer=chosen_layer,
        maps=chosen,
        control_maps=control,
        auc=probe.auc,
        auc_interval=probe.auc_interval,
        positives=probe.positives,
        negatives=probe.negatives,
        boxes=len(boxes),
        annotated_images=len({box.image for box in boxes}),
        change=change,
        control_change=control_change,
        weights=probe.weights,
        scores=scores,
        before=before,
        after=after,
        control=controlled,
    )


def _changes_where_annotated(
    model: DCGAN,
    layer: Layer,
    choices: Sequence[Sequence[int]],
    annotations: Annotations,
    boxes: tuple[Box, ...],
    strength: float,
    seed: int,
) -> tuple[Change, Change]:
    """The change that the maps and the control make to the annotated samples that hold the object."""
    inside = inside_boxes(boxes, annotations.count, annotations.size, annotations.size)
    both = inside.any((1, 2)) & ~inside.all((1, 2))
    latents = model.latents(annotations.count, annotations.seed)[torch.from_numpy(both)]
    before, after, control = (to_pixels(images) for images in draw_without(model, layer, choices, latents, strength))
    return (
        measure_change(before, after, inside[both], seed),
        measure_change(before, control, inside[both], seed),
    )
