"""Every map of a layer, of either network: what excites it, which object it agrees with, and what goes when it is zeroed.

GAN Dissection (Bau et al. 2018) made such tables of generators. Here the threshold of a map and the object that it agrees
with best are chosen on one half of the samples, and the agreement is measured on the other; beside it stands the same
with the objects' places taken from other samples.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.attribution.detection import covered_shares
from dcgan_viz.analysis.attribution.unit_gradients import Unit, unit_gradients
from dcgan_viz.analysis.forgetting.ablation import draw_scaled, scaled
from dcgan_viz.data.arrays import read_arrays
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, areas, segment
from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.evaluation import evaluation
from dcgan_viz.networks.layers import Layer
from dcgan_viz.networks.protocol import TorchModule
from dcgan_viz.networks.weights import network_tensors
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.results import ARRAYS_FILE, RESULT_FILE, Result, Settings
from dcgan_viz.statistics import Seed, stream

SAMPLES = 192
"""On which maps are compared with objects."""

ZEROED_SAMPLES = 16
"""On which each map is zeroed alone: a segmenter looks once a map and sample."""

TOP = 4
THRESHOLDS = 48
RESAMPLES = 200
MAPS_AT_ONCE = 16

_ZEROED, _BOOTSTRAP = 1, 2

_ARRAYS = (
    "strongest",
    "rows",
    "columns",
    "activation",
    "threshold",
    "iou",
    "chance_iou",
    "best",
    "effect",
    "low",
    "high",
)


class DissectionSettings(Settings):
    """How a `Dissection` was obtained."""

    generator_digest: str
    samples: int
    zeroed_samples: int
    threshold_and_object: str
    chance: str


@dataclass(frozen=True, kw_only=True)
class Dissection(Result):
    """A layer's maps, each with what excites it, what it agrees with, and what zeroing it does.

    Parameters
    ----------
    layer : Layer
    objects : tuple of str
        Those of the segmenter; none without one.
    effects : tuple of str
        What zeroing a map changes: ``pixels`` (mean absolute change in grey levels) and for each object the share of its
        pixels that go; of a discriminator ``logit``, the mean change of its verdict.
    strongest, rows, columns : ndarray of int64 (C, 4)
        The samples that excite a map most, strongest first, and where in the map.
    activation : ndarray of float32 (C, 4)
    threshold : ndarray of float64 (C,)
        Above which the map agrees best with its object; its 99 % quantile without a segmenter.
    iou, chance_iou : ndarray of float64 (C, objects)
        Intersection over union with each object on the half of the samples that did not choose the threshold, and the
        same where the objects are those of other samples.
    best : ndarray of int64 (C,)
        The object with which each map agrees most beyond chance, by the half that chose; -1 without a segmenter.
    effect, low, high : ndarray of float64 (C, effects)
        Of zeroing the map alone, with 95 % intervals over samples; NaN where the samples hardly show an object.
    """

    settings: DissectionSettings
    layer: Layer
    objects: tuple[str, ...]
    effects: tuple[str, ...]
    strongest: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    activation: NDArray[np.float32]
    threshold: NDArray[np.float64]
    iou: NDArray[np.float64]
    chance_iou: NDArray[np.float64]
    best: NDArray[np.int64]
    effect: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@torch.no_grad()
def dissect(
    model: DCGAN,
    layer: Layer,
    segmenter: Segmenter | None,
    *,
    samples: int = SAMPLES,
    zeroed_samples: int = ZEROED_SAMPLES,
    seed: int = 0,
    progress: Progress = silent,
) -> Dissection:
    """Look at every map of a layer of the generator or the discriminator.

    Parameters
    ----------
    model : DCGAN
    layer : Layer
        Of either network; of the generator one below the image.
    segmenter : Segmenter, optional
        Says where objects are in the model's samples.
    samples, zeroed_samples : int
        How many samples maps are compared with objects on, and how many each is zeroed on.
    seed : int
    progress : Progress

    Returns
    -------
    Dissection

    Raises
    ------
    UserError
        If the layer draws the image itself, or there are fewer than eight samples.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> model = load("rooms")
    >>> found = dissect(model, model.discriminator_layers[0], None, samples=8, zeroed_samples=2)
    >>> found.effects, found.strongest.shape
    (('logit',), (64, 4))
    """
    if layer.side == "generator" and layer.number == len(model.generator_layers):
        raise UserError(f"layer {layer.number} is the image itself: choose a layer below it")
    if samples < 8:
        raise UserError(f"too few samples ({samples}) to choose on one half and measure on the other: draw at least 8")
    latents = model.latents(samples, seed)
    images = model.generate(latents)
    maps = read_maps(model, layer, latents, images)
    flat = maps.reshape(samples, layer.channels, -1)
    where = flat.argmax(2)
    peaks = np.take_along_axis(flat, where[..., None], 2)[..., 0]
    strongest = np.argsort(-peaks, axis=0, kind="stable")[:TOP].T
    places = np.take_along_axis(where.T, strongest, 1)
    objects = () if segmenter is None else segmenter.objects
    if segmenter is None:
        every = flat.transpose(1, 0, 2).reshape(layer.channels, -1).astype(np.float64)
        threshold, best = np.quantile(every, 0.99, axis=1), None
        iou = chance = np.zeros((layer.channels, 0))
    else:
        seen = segment(segmenter, images)
        covered = np.stack([covered_shares(seen == k, layer.size) for k in range(1, len(objects) + 1)], axis=-1)
        # The same objects, but of other samples.
        elsewhere = np.roll(covered, samples // 4, axis=0)
        thresholds, chosen, ious = _agreement(flat, covered)
        _, by_chance, chance = _agreement(flat, elsewhere)
        # By how much it agrees beyond chance: a map that is always on agrees well with whatever is large.
        best = (chosen - by_chance).argmax(1)
        threshold, iou = thresholds[np.arange(layer.channels), best], ious
    zeroed = model.latents(zeroed_samples, stream(seed, _ZEROED))
    if layer.side == "generator":
        names, (effect, low, high) = _zeroed_in_generator(model, layer, segmenter, zeroed, seed, progress)
    else:
        names, (effect, low, high) = _zeroed_in_discriminator(model, layer, zeroed, seed, progress)
    return Dissection(
        settings={
            "model": model.card.name,
            "generator_digest": model.generator_digest(),
            "samples": samples,
            "zeroed_samples": zeroed_samples,
            "seed": seed,
            "threshold_and_object": "chosen on the first half of the samples, IoU measured on the second",
            "chance": f"objects' places taken from the sample {samples // 4} numbers away",
        },
        layer=layer,
        objects=objects,
        effects=names,
        strongest=strongest,
        rows=places // layer.size,
        columns=places % layer.size,
        activation=np.take_along_axis(peaks.T, strongest, 1),
        threshold=threshold,
        iou=iou,
        chance_iou=chance,
        best=np.full(layer.channels, -1) if best is None else best,
        effect=effect,
        low=low,
        high=high,
    )


@torch.no_grad()
def read_maps(model: DCGAN, layer: Layer, latents: Tensor, images: Tensor) -> NDArray[np.float32]:
    """Feature maps (N, C, h, w) of a layer of either network for samples, given as latents and as images."""
    if layer.side == "generator":
        return model.activations(latents, layer.number).float().numpy()
    with evaluation(model.discriminator):
        batches = [model.discriminator.activations(b, layer.number).float().cpu() for b in images.split(SAMPLE_BATCH)]
    return torch.cat(batches).numpy()


def _agreement(
    flat: NDArray[np.float32], covered: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Best threshold of each map for each object on the first half of the samples, IoU there and on the second half."""
    half, channels, objects = len(flat) // 2, flat.shape[1], covered.shape[-1]
    parts = covered.reshape(len(flat), -1, objects)
    first, second = parts[:half].reshape(-1, objects), parts[half:].reshape(-1, objects)
    thresholds, ious = np.empty((channels, objects)), np.empty((channels, objects))
    chosen_ious = np.empty((channels, objects))
    for m in range(channels):
        values, others = flat[:half, m].ravel(), flat[half:, m].ravel()
        steps = np.unique(np.quantile(values, np.linspace(0.05, 0.995, THRESHOLDS))).astype(np.float64)
        curve = _ious(values, first, steps)
        at = curve.argmax(0)
        thresholds[m], chosen_ious[m] = steps[at], curve.max(0)
        ious[m] = [_ious(others, second[:, o : o + 1], thresholds[m, o : o + 1])[0, 0] for o in range(objects)]
    return thresholds, chosen_ious, ious


def _ious(
    values: NDArray[np.float32], covered: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """IoU (thresholds, objects) of what is above a threshold (n,) with what objects cover (n, objects), in area."""
    # Above threshold k is what falls into a bin beyond k.
    bins = np.searchsorted(thresholds, values, side="left")
    count = len(thresholds) + 1
    active = np.bincount(bins, minlength=count)[::-1].cumsum()[::-1][1:, None]
    inside = np.stack(
        [np.bincount(bins, weights=column, minlength=count)[::-1].cumsum()[::-1][1:] for column in covered.T], axis=1
    )
    return inside / np.maximum(active + covered.sum(0) - inside, 1e-12)


def _zeroed_in_generator(
    model: DCGAN, layer: Layer, segmenter: Segmenter | None, latents: Tensor, seed: Seed, progress: Progress
) -> tuple[tuple[str, ...], tuple[NDArray[np.float64], ...]]:
    before = model.generate(latents)
    pixels = to_pixels(before).astype(np.float32)
    names = () if segmenter is None else segmenter.objects
    area = None if segmenter is None else areas(segment(segmenter, before), len(names))
    changed, covered = [], []
    groups = range(0, layer.channels, MAPS_AT_ONCE)
    stage = Stage(f"zeroing maps of generator layer {layer.number}", len(groups), "group of maps")
    for start in progress(groups, stage):
        numbers = range(start, min(start + MAPS_AT_ONCE, layer.channels))
        factors = [scaled(layer.channels, [m]) for m in numbers]
        for _, drawn in draw_scaled(model, layer, factors, latents):
            changed += [np.abs(to_pixels(images) - pixels).mean((1, 2, 3)) for images in drawn]
            if segmenter is not None:
                seen = segment(segmenter, torch.cat(drawn))
                covered += list(areas(seen, len(names)).reshape(len(drawn), len(latents), -1))
    random = np.random.default_rng(stream(seed, _BOOTSTRAP))
    picks = random.integers(0, len(latents), (RESAMPLES, len(latents)))
    change = np.stack(changed).astype(np.float64)
    value, replicates = change.mean(1)[:, None], change[:, picks].mean(2)[..., None]
    if area is not None:
        after = np.stack(covered)
        shown = area.sum(0) > 0.001 * len(latents)
        lost = np.where(shown, 1 - after.sum(1) / np.maximum(area.sum(0), 1e-12), np.nan)
        sums = np.maximum(area[picks].sum(1), 1e-12)
        again = np.where(shown, 1 - after[:, picks].sum(2) / sums, np.nan)
        value, replicates = np.concatenate([value, lost], 1), np.concatenate([replicates, again], 2)
    return ("pixels", *names), (value, *_middle(replicates))


def _zeroed_in_discriminator(
    model: DCGAN, layer: Layer, latents: Tensor, seed: Seed, progress: Progress
) -> tuple[tuple[str, ...], tuple[NDArray[np.float64], ...]]:
    network = model.discriminator
    with evaluation(network):
        maps = network.activations(model.generate(latents), layer.number)
        before = network.logits_from(maps, layer.number)
        changes = []
        stage = Stage(f"zeroing maps of discriminator layer {layer.number}", layer.channels, "map")
        for number in progress(range(layer.channels), stage):
            kept = maps[:, number].clone()
            maps[:, number] = 0
            changes.append((network.logits_from(maps, layer.number) - before).cpu().double().numpy())
            maps[:, number] = kept
    random = np.random.default_rng(stream(seed, _BOOTSTRAP))
    picks = random.integers(0, len(latents), (RESAMPLES, len(latents)))
    change = np.stack(changes)
    return ("logit",), (change.mean(1)[:, None], *_middle(change[:, picks].mean(2)[..., None]))


def _middle(replicates: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the middle 95 % of replicates (C, resamples, effects) begin and end."""
    low, high = np.quantile(replicates, [0.025, 0.975], axis=1)
    return low, high


def dissection_digest(model: DCGAN, segmenter: Segmenter | None) -> str:
    """SHA-256 of the weights of both networks and of the segmenter: what dissections belong to."""
    digest = hashlib.sha256()
    networks: list[TorchModule] = [model.generator, model.discriminator]
    for network in [*networks, *([] if segmenter is None else [segmenter.network])]:
        for name, tensor in sorted(network_tensors(network).items()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def load_dissection(folder: str | Path, layer: Layer) -> Dissection:
    """A dissection of a layer that `Dissection.save` wrote.

    Raises
    ------
    UserError
        If it is missing, damaged, or of another layer.
    """
    path = Path(folder)
    try:
        said: dict[str, Any] = json.loads((path / RESULT_FILE).read_text(encoding="utf-8"))
        read = read_arrays(path / ARRAYS_FILE)
        arrays: dict[str, Any] = {name: read[name] for name in _ARRAYS}
        objects, effects = tuple(map(str, said["objects"])), tuple(map(str, said["effects"]))
        fits = said["layer"]["side"] == layer.side and said["layer"]["number"] == layer.number
        settings = cast(DissectionSettings, dict(said["settings"]))
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise UserError(f"{path} holds no table of maps that can be read: {error}") from error
    sizes = {len(array) for array in arrays.values()}
    if not fits or sizes != {layer.channels} or arrays["effect"].shape[1:] != (len(effects),):
        raise UserError(f"{path} is of another layer than {layer}")
    return Dissection(settings=settings, layer=layer, objects=objects, effects=effects, **arrays)


@dataclass(frozen=True)
class ExcitingPictures:
    """The samples that excite a map most.

    Parameters
    ----------
    pictures : ndarray of uint8 (n, H, W, C)
    active : ndarray of bool (n, H, W)
        Where the map is above its threshold.
    gradients : ndarray of float32 (n, C, H, W), optional
        Guided gradients of its strongest units; of discriminators alone.
    """

    pictures: NDArray[np.uint8]
    active: NDArray[np.bool_]
    gradients: NDArray[np.float32] | None


@torch.no_grad()
def exciting_pictures(model: DCGAN, found: Dissection, number: int) -> ExcitingPictures:
    """Draw the samples that excite a map most, mark where, and explain it where it is the discriminator's.

    Parameters
    ----------
    model : DCGAN
        The one that was dissected.
    found : Dissection
    number : int
        Of the map.

    Raises
    ------
    UserError
        If there is no such map.
    """
    layer = found.layer
    if not 0 <= number < layer.channels:
        raise UserError(f"layer {layer.number} has maps 0 to {layer.channels - 1}: there is no {number}")
    chosen = found.strongest[number]
    latents = model.latents(int(found.settings["samples"]), int(found.settings["seed"]))[torch.from_numpy(chosen)]
    images = model.generate(latents)
    active = read_maps(model, layer, latents, images)[:, number] > found.threshold[number]
    scale = model.image_shape[1] // layer.size
    gradients = None
    if layer.side == "discriminator":
        places = zip(found.rows[number].tolist(), found.columns[number].tolist(), strict=True)
        units = [Unit(k, number, row, column) for k, (row, column) in enumerate(places)]
        gradients = unit_gradients(model.discriminator, layer.number, images, units).numpy()
    return ExcitingPictures(to_pixels(images), active.repeat(scale, 1).repeat(scale, 2), gradients)
