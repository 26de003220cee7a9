"""How much of an object goes, and how much of everything else, when more and more maps are zeroed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.analysis.forgetting.ablation import draw_scaled, scaled
from dcgan_viz.analysis.forgetting.controls import matched_factors, random_factors
from dcgan_viz.analysis.forgetting.evidence import Evidence
from dcgan_viz.analysis.forgetting.ranking_registry import RANKINGS
from dcgan_viz.analysis.forgetting.rankings import score_maps
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, areas, segment
from dcgan_viz.model import SAMPLE_BATCH
from dcgan_viz.networks.layers import Layer
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.results import Result, Settings
from dcgan_viz.statistics import Estimate, estimate_of, resampled_means, stream

RANDOM, MATCHED = "random", "activation-matched"

_RANDOM, _MATCHED, _BOOTSTRAP = range(1, 4)


@dataclass(frozen=True)
class BestDose:
    """The most of an object that a ranking removes while it leaves another as it is.

    The dose is chosen on one half of the samples and measured on the other.

    Parameters
    ----------
    ranking : str
    maps : int
        The dose: how many maps of the ranking are zeroed.
    removed, spared_loss : Estimate
        Share of the pixels of the object, and of the spared one, that are gone.
    margin_over_random : Estimate
        Share of the object's pixels that it removes beyond as many random maps, paired over samples.
    """

    ranking: str
    maps: int
    removed: Estimate
    spared_loss: Estimate
    margin_over_random: Estimate


class DoseResponseSettings(Settings):
    """How a `DoseResponse` was obtained."""

    generator_digest: str
    samples: int
    controls: str
    matched_to: str
    segmenter: dict[str, float]
    measured_by: str


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

    settings: DoseResponseSettings
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

    def sentences(self) -> str:
        """The best dose of every ranking, one a line."""
        lines = [f"most {self.object} gone while {self.spared} changes by no more than {self.allowed_loss:.0%}:"]
        lines += [
            f"  {dose.ranking}: {dose.maps} maps, {dose.removed:.0%} of {self.object} gone, {dose.spared_loss:.0%} of "
            f"{self.spared}; {dose.margin_over_random:+.0%} beside as many random maps"
            for dose in self.best
        ]
        return "\n".join(lines)


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
    evidence: Evidence,
    scores: Mapping[str, NDArray[np.float64]] | None = None,
    *,
    spared: str | None = None,
    allowed_loss: float = 0.1,
    doses: Sequence[int] | int = 12,
    samples: int = 1000,
    judge: Segmenter | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> DoseResponse:
    """Zero 0 to all maps of a layer, ranked in several ways and at random, and count what is left of every object.

    The layers below are computed once a sample and reused for all rankings and doses.

    Parameters
    ----------
    evidence : Evidence
        Of the object that is to go, with a segmenter; `forget` returns it.
    scores : mapping of str to ndarray (C,), optional
        By name of the ranking; those of every registered ranking by default.
    spared : str, optional
        The object whose loss limits the best dose; by default the one that covers most of the pictures.
    allowed_loss : float
        Of the spared object's pixels; as many more of them count alike.
    doses : sequence of int, or int
        Numbers of maps to zero, or how many such numbers; see `even_doses`.
    samples : int
        New samples.
    judge : Segmenter, optional
        Counts instead of the segmenter of the evidence, by which some rankings are made.
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
        If there is no segmenter, it does not know an object, a dose is out of range, or the samples never show the
        object.
    """
    segmenter, layer, label = judge or evidence.reading_segmenter(), evidence.layer, evidence.label
    index = segmenter.label(label) - 1
    numbers = even_doses(layer.channels, doses) if isinstance(doses, int) else tuple(sorted({0, *doses}))
    if numbers[0] < 0 or numbers[-1] > layer.channels:
        raise UserError(f"a dose of {numbers[-1]} is out of range: the layer has {layer.channels} maps")
    if samples < 2:
        raise UserError("a dose-response curve needs at least 2 samples")
    by_ranking = {name: score_maps(name, evidence) for name in RANKINGS} if scores is None else scores
    orders = {name: np.argsort(-values, kind="stable") for name, values in by_ranking.items()}
    area = _areas_by_dose(evidence, segmenter, orders, numbers, samples, seed, progress)
    if area[:, 0, 0, index].sum() == 0:
        raise UserError(f"none of the {samples} samples shows a {label}: nothing can be forgotten")
    removed, low, high = _shares_gone(area, seed)
    if spared is None:
        covered = np.delete(np.arange(len(segmenter.objects)), index)
        spared = segmenter.objects[covered[area[:, 0, 0, covered].mean(0).argmax()]]
    chance = area[:, len(orders)]
    best = tuple(
        best_dose(area[:, row], chance, name, numbers, index, segmenter.label(spared) - 1, allowed_loss, seed)
        for row, name in enumerate((*orders, RANDOM))
    )
    return DoseResponse(
        settings={
            "model": evidence.model.card.name,
            "generator_digest": evidence.model.generator_digest(),
            "seed": seed,
            "samples": samples,
            "controls": "other maps for every sample",
            "matched_to": next(iter(orders)),
            "segmenter": dict(segmenter.card.held_out_iou),
            "measured_by": "the segmenter of the evidence" if judge is None else "a judge that ranked nothing",
        },
        object=label,
        layer=layer,
        doses=numbers,
        rankings=(*orders, RANDOM, MATCHED),
        objects=segmenter.objects,
        best=best,
        spared=spared,
        allowed_loss=allowed_loss,
        removed=removed,
        removed_low=low,
        removed_high=high,
        orders=np.stack(list(orders.values())).astype(np.int64),
    )


def _areas_by_dose(
    evidence: Evidence,
    segmenter: Segmenter,
    orders: Mapping[str, NDArray[np.int64]],
    doses: tuple[int, ...],
    samples: int,
    seed: int,
    progress: Progress,
) -> NDArray[np.float64]:
    """What each object covers (samples, rankings and two controls, doses, objects); NaN where there is no control."""
    model, layer = evidence.model, evidence.layer
    latents = model.latents(samples, seed)
    activations = model.activations(latents[:256], layer.number).mean((0, 2, 3)).double().numpy()
    factors = [scaled(layer.channels, order[:k].tolist()) for order in orders.values() for k in doses]
    factors += [random_factors(layer.channels, k, samples, stream(seed, _RANDOM)) for k in doses]
    reference = next(iter(orders.values()))
    for k in doses:
        matched = matched_factors(activations, reference[:k].tolist(), samples, stream(seed, _MATCHED))
        factors += [] if matched is None else [matched]
    objects = len(segmenter.objects)
    area = np.full((samples, (len(orders) + 2) * len(doses), objects), np.nan)
    batches = draw_scaled(model, layer, factors, latents)
    for batch, drawn in progress(batches, Stage("dose-response", -(-samples // SAMPLE_BATCH), "batch")):
        for k, images in enumerate(drawn):
            area[batch, k] = areas(segment(segmenter, images), objects)
    return area.reshape(samples, len(orders) + 2, len(doses), objects)


def _shares_gone(area: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], ...]:
    """Share of every object's pixels that is gone, and the ends of its interval (rankings, doses, objects)."""
    means, replicates = area.mean(0), resampled_means(area, seed=stream(seed, _BOOTSTRAP))
    with np.errstate(divide="ignore", invalid="ignore"):
        removed = 1 - means / means[:, :1]
        again = 1 - replicates / replicates[:, :, :1]
    low, high = np.quantile(again, [0.025, 0.975], axis=0)
    return removed, low, high


def best_dose(
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
    means, replicates = pair.mean(0), resampled_means(pair, seed=stream(seed, _BOOTSTRAP))
    gone, gone_again = lost(means, dose, index), lost(replicates, dose, index)
    return BestDose(
        ranking=ranking,
        maps=doses[dose],
        removed=estimate_of(float(gone[0]), gone_again[:, 0], len(pair)),
        spared_loss=estimate_of(float(lost(means[0], dose, spared)), lost(replicates[:, 0], dose, spared), len(pair)),
        margin_over_random=estimate_of(float(gone[0] - gone[1]), gone_again[:, 0] - gone_again[:, 1], len(pair)),
    )
