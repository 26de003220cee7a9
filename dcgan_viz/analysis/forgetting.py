"""Forgetting an object: find the generator's maps that draw it, and draw without them.

The experiment of Radford et al. 2015, section 6.3.1: a logistic regression tells activations inside
hand-drawn boxes from others, and the maps with positive weight are zeroed. Beside it stands a control, the
same number of maps chosen at random, and how much the picture changes inside the boxes and outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.statistics import Interval, bootstrap_interval
from dcgan_viz.data.annotations import Annotations, Box, inside_boxes
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.layers import Layer, find_layer
from dcgan_viz.networks.modules import Generator
from dcgan_viz.results import Result

FOLDS = 5

Negatives = Literal["random", "matched"]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A logistic regression on the feature maps of one layer.

    Parameters
    ----------
    weights : ndarray of float64 (C,)
        One a map, for features scaled to unit standard deviation.
    auc : float
        Area under the ROC curve over positions of images that the regression did not see (5-fold, split by
        image).
    auc_interval : Interval
        95 %, from resampling images.
    positives, negatives : int
        Positions that it was fitted on.
    """

    weights: NDArray[np.float64]
    auc: float
    auc_interval: Interval
    positives: int
    negatives: int


@dataclass(frozen=True, kw_only=True)
class Change:
    """How much an ablation changes annotated samples, inside the object's boxes and outside.

    Parameters
    ----------
    inside, outside : float
        Mean absolute change of a pixel, in 8-bit grey levels, averaged over images.
    inside_interval, outside_interval : Interval
        95 %, from resampling images.
    brightness_inside, brightness_outside : float
        Mean signed change in grey levels: what is merely darkened shows here.
    """

    inside: float
    inside_interval: Interval
    outside: float
    outside_interval: Interval
    brightness_inside: float
    brightness_outside: float

    @property
    def ratio(self) -> float:
        """Change inside over change outside: 1 is no locality at all."""
        return self.inside / self.outside


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
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    control: NDArray[np.uint8]


def second_highest_layer(model: DCGAN) -> Layer:
    """The layer of the paper's experiment: the second highest hidden convolution, 16x16 in 64x64 networks.

    Its 200 positive maps do not fit the 128 maps of the highest one at 32x32.
    """
    layers = model.generator_layers
    return layers[max(len(layers) - 3, 0)]


@torch.no_grad()
def feature_maps(generator: Generator, layer: Layer, latents: Tensor) -> Tensor:
    """Activations (N, C, h, w) of a generator's layer, after its rectifier, for latents (N, latent).

    Examples
    --------
    >>> from dcgan_viz.networks import dcgan
    >>> from dcgan_viz.networks.layers import generator_layers
    >>> spec = dcgan(16, width=4).generator
    >>> feature_maps(Generator(spec).eval(), generator_layers(spec)[0], torch.zeros(2, 100)).shape
    torch.Size([2, 8, 4, 4])
    """
    maps = latents
    for module in generator.layers[: layer.number]:
        maps = module(maps)
    return maps


@torch.no_grad()
def draw_without(
    model: DCGAN, layer: Layer, choices: Sequence[Sequence[int]], latents: Tensor, strength: float = 1.0
) -> list[Tensor]:
    """Images drawn with some maps of a layer zeroed everywhere, after their rectifier.

    The layers below are computed once for all choices.

    Parameters
    ----------
    model : DCGAN
    layer : Layer
        Of the generator.
    choices : sequence of sequences of int
        Which maps to zero; an empty one draws the image as it is.
    latents : Tensor (N, latent)
    strength : float
        The maps are multiplied by 1 - strength.

    Returns
    -------
    list of Tensor (N, channels, H, W)
        One for each choice, float32 in [-1, 1] on the CPU.
    """
    drawn: list[list[Tensor]] = [[] for _ in choices]
    for batch in latents.split(SAMPLE_BATCH):
        below = feature_maps(model.generator, layer, batch.to(model.device))
        for images, choice in zip(drawn, choices, strict=True):
            maps = below.clone()
            maps[:, list(choice)] *= 1 - strength
            for module in model.generator.layers[layer.number :]:
                maps = module(maps)
            images.append(maps.cpu())
    return [torch.cat(images) for images in drawn]


@dataclass(frozen=True)
class Positions:
    """Activations at single positions of feature maps, as examples for a regression.

    Parameters
    ----------
    activations : ndarray of float32 (n, C)
    positive : ndarray of bool (n,)
        Whether the position lies inside a box.
    image : ndarray of int64 (n,)
        Which image it is from: splits go by image.
    """

    activations: NDArray[np.float32]
    positive: NDArray[np.bool_]
    image: NDArray[np.int64]


def gather_positions(
    maps: NDArray[np.float32], inside: NDArray[np.bool_], seed: int, luminance: NDArray[np.float32] | None = None
) -> Positions:
    """Positives inside the boxes, and as many negatives from other positions of the same images.

    A regression on random negatives may find what is bright or high up rather than the object. Matched ones take that
    way out: of all pairings within an image the one with the smallest differences in luminance and height is used.

    Parameters
    ----------
    maps : ndarray of float32 (N, C, h, w)
    inside : ndarray of bool (N, h, w)
        From `inside_boxes`.
    seed : int
        Of the choice of negatives.
    luminance : ndarray of float32 (N, h, w), optional
        Of the image above each position: match the negatives; by default they are random.

    Returns
    -------
    Positions
        Of the images with a box; fewer negatives than positives where an image has no more room.
    """
    random = np.random.default_rng(seed)
    activations, positive, image = [], [], []
    for index in np.flatnonzero(inside.any((1, 2))):
        flat = inside[index].ravel()
        within, without = np.flatnonzero(flat), np.flatnonzero(~flat)
        if luminance is None:
            others = random.permutation(without)[: len(within)]
        else:
            others = without[_matched(within, without, luminance[index])]
        chosen = np.concatenate([within, others])
        activations.append(maps[index].reshape(len(maps[index]), -1)[:, chosen].T)
        positive.append(flat[chosen])
        image.append(np.full(len(chosen), index, np.int64))
    return Positions(np.concatenate(activations), np.concatenate(positive), np.concatenate(image))


def _matched(
    within: NDArray[np.int64], without: NDArray[np.int64], luminance: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Which of the positions outside resemble those inside most, each used once."""
    from scipy.optimize import linear_sum_assignment

    rows = np.arange(luminance.size) // luminance.shape[1] / luminance.shape[0]
    values = luminance.ravel() / max(float(luminance.std()), 1e-6)
    # A standard deviation of luminance counts as much as half the height of the picture.
    cost = np.abs(values[within, None] - values[None, without]) + 2 * np.abs(rows[within, None] - rows[None, without])
    return linear_sum_assignment(cost)[1]


def fit_probe(positions: Positions, regularization: float = 1.0, seed: int = 0) -> Probe:
    """Fit the logistic regression that tells positions inside boxes from others.

    Features are divided by their standard deviation; the penalty is L2 with scikit-learn's
    ``C = regularization``. Which weights are positive depends on both.

    Parameters
    ----------
    positions : Positions
    regularization : float
        Inverse strength of the penalty.
    seed : int
        Of the folds and of the interval.

    Raises
    ------
    UserError
        If fewer images are annotated than there are folds.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold

    images = np.unique(positions.image)
    if len(images) < FOLDS:
        raise UserError(
            f"only {len(images)} images hold a box, and {FOLDS} are needed to test the regression on images that "
            "it has not seen: annotate more"
        )
    scores = np.empty(len(positions.positive))
    folds = GroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(positions.activations, groups=positions.image):
        fold = _regression(regularization).fit(positions.activations[train], positions.positive[train])
        scores[test] = fold.decision_function(positions.activations[test])
    rows = {image: np.flatnonzero(positions.image == image) for image in images}

    def auc(chosen: NDArray[np.int64]) -> float:
        index = np.concatenate([rows[image] for image in chosen])
        return float(roc_auc_score(positions.positive[index], scores[index]))

    random = np.random.default_rng(seed)
    resampled = [auc(random.choice(images, len(images))) for _ in range(1000)]
    low, high = np.quantile(resampled, [0.025, 0.975])
    whole = _regression(regularization).fit(positions.activations, positions.positive)
    return Probe(
        weights=whole[-1].coef_[0].astype(np.float64),
        auc=auc(images),
        auc_interval=Interval(float(low), float(high)),
        positives=int(positions.positive.sum()),
        negatives=int((~positions.positive).sum()),
    )


def _regression(regularization: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(with_mean=False), LogisticRegression(C=regularization, max_iter=2000, tol=1e-6))


def choose_maps(weights: NDArray[np.float64], top: int | None = None) -> tuple[int, ...]:
    """The maps to zero, most telling first: all of positive weight, or the `top` highest.

    Raises
    ------
    UserError
        If `top` is more than there are maps, or no weight is positive.

    Examples
    --------
    >>> choose_maps(np.array([0.5, -1.0, 2.0]))
    (2, 0)
    """
    ranking = np.argsort(-weights, kind="stable")
    if top is not None:
        if not 1 <= top <= len(weights):
            raise UserError(f"--top {top} is out of range: the layer has {len(weights)} maps")
        return tuple(int(m) for m in ranking[:top])
    chosen = tuple(int(m) for m in ranking if weights[m] > 0)
    if not chosen:
        raise UserError("the regression gave no map a positive weight: zero the highest ones with --top K")
    return chosen


def measure_change(
    before: NDArray[np.uint8], after: NDArray[np.uint8], inside: NDArray[np.bool_], seed: int = 0
) -> Change:
    """How much pictures changed inside boxes and outside.

    Parameters
    ----------
    before, after : ndarray of uint8 (N, H, W, channels)
    inside : ndarray of bool (N, H, W)
        With pixels inside and outside in every picture.
    seed : int
        Of the bootstrap over pictures.
    """
    signed = after.astype(np.float64).mean(-1) - before.astype(np.float64).mean(-1)
    absolute = np.abs(after.astype(np.float64) - before.astype(np.float64)).mean(-1)

    def averages(values: NDArray[np.float64], where: NDArray[np.bool_]) -> NDArray[np.float64]:
        return (values * where).sum((1, 2)) / where.sum((1, 2))

    within, without = averages(absolute, inside), averages(absolute, ~inside)
    return Change(
        inside=float(within.mean()),
        inside_interval=bootstrap_interval(within, seed=seed),
        outside=float(without.mean()),
        outside_interval=bootstrap_interval(without, seed=seed),
        brightness_inside=float(averages(signed, inside).mean()),
        brightness_outside=float(averages(signed, ~inside).mean()),
    )


def forget(
    model: DCGAN,
    annotations: Annotations,
    object: str = "window",
    *,
    layer: int | str | None = None,
    top: int | None = None,
    samples: int = 100,
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
    chosen = choose_maps(probe.weights, top)
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
            "chosen_by": "weight > 0" if top is None else f"top {top} weights",
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
