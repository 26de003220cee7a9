"""How much of an object goes, and how much of everything else, when more and more maps are zeroed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_viz.analysis.forgetting.ablation import draw_scaled, scaled
from dcgan_viz.analysis.forgetting.rankings import matched_factors, random_factors
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, areas, segment
from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.layers import Layer
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.results import Result
from dcgan_viz.statistics import Interval, middle, resampled_means

RANDOM, MATCHED = "random", "activation-matched"


@dataclass(frozen=True)
class BestDose:
    """The most of an object that a ranking removes while it leaves another as it is.

    The dose is chosen on one half of the samples and measured on the other.

    Parameters
    ----------
    ranking : str
    maps : int
        The dose: how many maps of the ranking are zeroed.
    removed, spared_loss : float
        Share of the pixels of the object, and of the spared one, that are gone.
    removed_interval, spared_loss_interval : Interval
        95 %, from resampling samples.
    margin_over_random : float
        Share of the object's pixels that it removes beyond as many random maps.
    margin_interval : Interval
        Paired over samples.
    """

    ranking: str
    maps: int
    removed: float
    removed_interval: Interval
    spared_loss: float
    spared_loss_interval: Interval
    margin_over_random: float
    margin_interval: Interval


@dataclass(frozen=True, kw_only=True)
class DoseResponse(Result):
    """What is removed at every dose, for several rankings and two controls.

    Parameters
    ----------
    object : str
    layer : Layer
    doses : tuple of int
        Numbers of maps that are zeroed.
    rankings : tuple of str
        The rankings, then ``random`` and ``activation-matched``.
    objects : tuple of str
        Every object that the segmenter knows.
    best : tuple of BestDose
        One for each ranking, and for random maps.
    spared : str
    allowed_loss : float
        Of the spared object, at the best dose.
    removed : ndarray of float64 (rankings, doses, objects)
        Share of each object's pixels that are gone; NaN where there is no activation-matched control.
    removed_low, removed_high : ndarray of float64 (rankings, doses, objects)
        95 %, from resampling samples.
    orders : ndarray of int64 (rankings without controls, C)
        The maps, most telling first.
    """

    object: str
    layer: Layer
    doses: tuple[int, ...]
    rankings: tuple[str, ...]
    objects: tuple[str, ...]
    best: tuple[BestDose, ...]
    spared: str
    allowed_loss: float
    removed: NDArray[np.float64]
    removed_low: NDArray[np.float64]
    removed_high: NDArray[np.float64]
    orders: NDArray[np.int64]


def even_doses(channels: int, count: int) -> tuple[int, ...]:
    """Doses from 0 to all maps, dense where they are small.

    Examples
    --------
    >>> even_doses(128, 8)
    (0, 3, 10, 24, 42, 65, 94, 128)
    """
    steps = np.linspace(0, 1, count) ** 2
    return tuple(int(k) for k in np.unique(np.round(steps * channels).astype(int)))


def dose_response(
    model: DCGAN,
    layer: Layer,
    scores: Mapping[str, NDArray[np.float64]],
    segmenter: Segmenter,
    label: str,
    *,
    spared: str | None = None,
    allowed_loss: float = 0.1,
    doses: Sequence[int] | int = 12,
    samples: int = 1000,
    seed: int = 0,
    progress: Progress = silent,
) -> DoseResponse:
    """Zero 0 to all maps of a layer, ranked in several ways and at random, and count what is left of every object.

    The layers below are computed once a sample and reused for all rankings and doses.

    Parameters
    ----------
    model : DCGAN
    layer : Layer
        Of the generator.
    scores : mapping of str to ndarray (C,)
        By name of the ranking, as `score_maps` gives them.
    segmenter : Segmenter
    label : str
        The object that is to go.
    spared : str, optional
        The object whose loss limits the best dose; by default the one that covers most of the pictures.
    allowed_loss : float
        Of the spared object's pixels; as many more of them count alike.
    doses : sequence of int, or int
        Numbers of maps to zero, or how many such numbers; see `even_doses`.
    samples : int
        New samples.
    seed : int
        Of the samples, the controls and the bootstrap.
    progress : Progress
        Shows how many batches of samples have been drawn.

    Returns
    -------
    DoseResponse

    Raises
    ------
    UserError
        If the segmenter does not know an object, a dose is out of range, or the samples never show the object.
    """
    index = segmenter.label(label) - 1
    numbers = even_doses(layer.channels, doses) if isinstance(doses, int) else tuple(sorted({0, *doses}))
    if numbers[0] < 0 or numbers[-1] > layer.channels:
        raise UserError(f"a dose of {numbers[-1]} is out of range: the layer has {layer.channels} maps")
    if samples < 2:
        raise UserError("a dose-response curve needs at least 2 samples")
    latents = model.latents(samples, seed)
    orders = {name: np.argsort(-values, kind="stable") for name, values in scores.items()}
    reference = orders[next(iter(orders))]
    activations = _mean_activations(model, layer, latents[: min(samples, 256)])
    factors: list[torch.Tensor] = []
    for order in orders.values():
        factors.extend(scaled(layer.channels, order[:k].tolist()) for k in numbers)
    factors.extend(random_factors(layer.channels, k, samples, seed) for k in numbers)
    matched = [matched_factors(activations, reference[:k].tolist(), samples, seed) for k in numbers]
    factors.extend(f for f in matched if f is not None)
    objects = len(segmenter.objects)
    area = np.empty((samples, len(factors), objects))
    batches = draw_scaled(model, layer, factors, latents)
    for batch, drawn in progress(batches, Stage("dose-response", -(-samples // SAMPLE_BATCH), "batch")):
        for k, images in enumerate(drawn):
            area[batch, k] = areas(segment(segmenter, images), objects)
    names = (*orders, RANDOM, MATCHED)
    shape = (len(names), len(numbers), objects)
    whole = np.full((samples, *shape), np.nan)
    whole.reshape(samples, -1, objects)[:, : len(factors)] = area
    if whole[:, 0, 0, index].sum() == 0:
        raise UserError(f"none of the {samples} samples shows a {label}: nothing can be forgotten")
    means, replicates = whole.mean(0), resampled_means(whole, seed=seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        removed = 1 - means / means[:, :1]
        removed_replicates = 1 - replicates / replicates[:, :, :1]
    low, high = np.quantile(removed_replicates, [0.025, 0.975], axis=0)
    if spared is None:
        others = [k for k in range(objects) if k != index]
        spared = segmenter.objects[max(others, key=lambda k: means[0, 0, k])]
    spared_index = segmenter.label(spared) - 1
    best = tuple(
        _best_dose(whole[:, row], whole[:, len(orders)], name, numbers, index, spared_index, allowed_loss, seed)
        for row, name in enumerate((*orders, RANDOM))
    )
    return DoseResponse(
        settings={
            "model": model.card.name,
            "generator_digest": model.generator_digest(),
            "seed": seed,
            "samples": samples,
            "controls": "other maps for every sample",
            "matched to": next(iter(orders)),
            "segmenter": dict(segmenter.card.held_out_iou),
        },
        object=label,
        layer=layer,
        doses=numbers,
        rankings=names,
        objects=segmenter.objects,
        best=best,
        spared=spared,
        allowed_loss=allowed_loss,
        removed=removed,
        removed_low=low,
        removed_high=high,
        orders=np.stack(list(orders.values())).astype(np.int64),
    )


def _mean_activations(model: DCGAN, layer: Layer, latents: torch.Tensor) -> NDArray[np.float64]:
    maps = model.activations(latents, layer.number)
    return maps.mean((0, 2, 3)).double().numpy()


def _best_dose(
    area: NDArray[np.float64],
    control: NDArray[np.float64],
    ranking: str,
    doses: tuple[int, ...],
    index: int,
    spared: int,
    allowed_loss: float,
    seed: int,
) -> BestDose:
    """From areas (samples, doses, objects) of a ranking and of random maps."""
    half = len(area) // 2

    def lost(values: NDArray[np.float64], dose: int, which: int) -> NDArray[np.float64]:
        with np.errstate(divide="ignore", invalid="ignore"):
            share: NDArray[np.float64] = 1 - values[..., dose, which] / values[..., 0, which]
        return share

    first = area[:half].mean(0)
    # Up to the first dose that costs too much, not beyond it; what turns into the spared object has changed it too.
    costly = [k for k in range(len(doses)) if abs(lost(first, k, spared)) > allowed_loss]
    allowed = range(costly[0] if costly else len(doses))
    dose = max(allowed, key=lambda k: float(lost(first, k, index)))
    pair = np.stack([area[half:], control[half:]], axis=1)
    means, replicates = pair.mean(0), resampled_means(pair, seed=seed)
    return BestDose(
        ranking=ranking,
        maps=doses[dose],
        removed=float(lost(means[0], dose, index)),
        removed_interval=middle(lost(replicates[:, 0], dose, index)),
        spared_loss=float(lost(means[0], dose, spared)),
        spared_loss_interval=middle(lost(replicates[:, 0], dose, spared)),
        margin_over_random=float(lost(means[0], dose, index) - lost(means[1], dose, index)),
        margin_interval=middle(lost(replicates[:, 0], dose, index) - lost(replicates[:, 1], dose, index)),
    )
