"""How much an ablation changes annotated samples inside the boxes and outside, beside other choices of as many maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.forgetting.ablation import Ablation
from dcgan_viz.analysis.forgetting.controls import random_choices
from dcgan_viz.analysis.forgetting.draws import draw_choices, draw_scaled_maps, rewrite_sums
from dcgan_viz.analysis.forgetting.evidence import Evidence
from dcgan_viz.data.images import to_pixels
from dcgan_viz.model import SAMPLE_BATCH
from dcgan_viz.statistics import (
    RESAMPLES,
    Estimate,
    Seed,
    bootstrap_estimate,
    estimate_of,
    middle,
    resampled_means,
    stream,
)

DRAWS = 200
"""Of random maps."""

CONTROL_IMAGES = 8
"""Annotated samples on which every draw is measured. Eight of 95 bedrooms give nearly the distribution over draws that
all of them give, its mean to ±0.14 where its standard deviation is 0.43, in a twelfth of the time."""

LEAST_SHARE = 0.04
"""Of a picture that boxes cover, to be seen in a figure."""

FOLDS, REPEATS = 5, 3

_CHANGE, _IMAGES, _OTHERS, _ALL, _CROSS = range(1, 6)

Source = Literal["other maps", "all maps"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """How much an ablation changes annotated samples, inside the object's boxes and outside.

    Parameters
    ----------
    inside, outside : Estimate
        Mean absolute change of a pixel, in 8-bit grey levels, averaged over images.
    ratio : Estimate
        Inside over outside: 1 is no locality at all. Where it could be drawn, the interval contains what the maps that
        other places outside the boxes lead to would change.
    brightness_inside, brightness_outside : Estimate
        Mean signed change in grey levels: what is merely darkened shows here.
    """

    inside: Estimate
    outside: Estimate
    ratio: Estimate
    brightness_inside: Estimate
    brightness_outside: Estimate


@dataclass(frozen=True, kw_only=True)
class RatioControl:
    """The ratio of the change inside to that outside for as many maps drawn at random, many times.

    Parameters
    ----------
    source : {"other maps", "all maps"}
        What the maps are drawn from: those that were not chosen, or all of the layer.
    ratio : Estimate
        Mean over draws, with their middle 95 %.
    chosen : float
        Of the chosen maps on the same images.
    percentile : float
        Share of the draws that are below it, in percent.
    images : int
    """

    source: Source
    ratio: Estimate
    chosen: float
    percentile: float
    images: int


def change_of_images(
    before: NDArray[np.uint8], after: NDArray[np.uint8], inside: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Mean absolute and signed change of a pixel inside and outside for each picture (N, 4), in grey levels.

    Parameters
    ----------
    before, after : ndarray of uint8 (N, H, W, channels)
    inside : ndarray of bool (N, H, W)
        With pixels inside and outside in every picture.
    """
    difference = after.astype(np.float32) - before.astype(np.float32)
    kinds = (np.abs(difference).mean(-1), difference.mean(-1))
    return np.stack(
        [(values * where).sum((1, 2)) / where.sum((1, 2)) for values in kinds for where in (inside, ~inside)], axis=1
    ).astype(np.float64)


def measure_change(
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    seed: Seed = 0,
    redrawn: Sequence[NDArray[np.float64]] = (),
) -> Change:
    """How much pictures changed inside boxes and outside.

    Parameters
    ----------
    before, after, inside
        As in `change_of_images`.
    seed : int or sequence of int
        Of the bootstrap over pictures.
    redrawn : sequence of ndarray of float64 (N, 4)
        What other ablations that might as well have been chosen do to the same pictures, as `change_of_images`: the
        interval of the ratio is of resampled pictures in a random one of these or the ablation itself.
    """
    values = change_of_images(before, after, inside)
    within, without, brighter_within, brighter_without = (
        bootstrap_estimate(column, seed=seed, over="annotated samples") for column in values.T
    )
    over = "annotated samples and negatives" if redrawn else "annotated samples"
    return Change(
        inside=within,
        outside=without,
        ratio=estimate_of(_ratio(values), _resampled_ratios([values, *redrawn], seed), len(values), over),
        brightness_inside=brighter_within,
        brightness_outside=brighter_without,
    )


class AnnotatedSamples:
    """Annotated samples that hold pixels inside the boxes and outside, and how ablations change them.

    Parameters
    ----------
    evidence : sequence of Evidence
        Of every object that is forgotten; the boxes of all count as inside.
    ablation : Ablation
        Its strength and place are those of every choice of maps that is tried.
    """

    def __init__(self, evidence: Sequence[Evidence], ablation: Ablation) -> None:
        self.model, self.ablation = evidence[0].model, ablation
        # Of several objects' samples each counts once.
        _, first = np.unique(np.concatenate([found.numbers for found in evidence]), return_index=True)
        pixels, places = _united(evidence)
        both = pixels.any((1, 2)) & ~pixels.all((1, 2))
        chosen = first[both]
        maps, self.before = (
            np.concatenate(arrays)[chosen] for arrays in zip(*((e.maps, e.pictures) for e in evidence), strict=True)
        )
        written = [found.written for found in evidence if found.written is not None]
        self.written = torch.cat(written)[torch.from_numpy(chosen)] if len(written) == len(evidence) else None
        self.below, self.inside, self.places = torch.from_numpy(maps), pixels[both], torch.from_numpy(places[both])

    def __len__(self) -> int:
        """How many samples."""
        return len(self.below)

    def changes(self, maps: Sequence[int], images: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """What scaling some maps down does to some of the samples, all by default: (n, 4), as `change_of_images`."""
        chosen = np.arange(len(self)) if images is None else images
        return change_of_images(self.before[chosen], self.drawn(maps, chosen), self.inside[chosen])

    @cached_property
    def after(self) -> NDArray[np.uint8]:
        """All samples (N, H, W, channels), drawn with the ablation's own maps scaled down."""
        return self._draw(self.ablation.factors, np.arange(len(self)))

    def drawn(self, maps: Sequence[int], images: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Some of the samples (n, H, W, channels), drawn with some maps scaled down."""
        if tuple(maps) == self.ablation.maps:
            return self.after[images]
        return self._draw(self.ablation.of(maps).factors, images)

    def _draw(self, factors: Tensor, images: NDArray[np.int64]) -> NDArray[np.uint8]:
        own, layer = self.ablation.factors, self.ablation.layer.number
        # Of many maps that were chosen otherwise, most are the ablation's own: then these stay away, and the others come.
        written, before = self.written, torch.ones_like(factors)
        if self.written is not None and (factors != own).sum() < (factors != 1).sum():
            written, before = self._written_after, own
        drawn = [
            draw_scaled_maps(
                self.model.generator,
                self.below[some],
                None if written is None else written[some],
                layer,
                factors,
                self._where(some),
                before,
            )
            for some in torch.from_numpy(images).split(SAMPLE_BATCH)
        ]
        return to_pixels(torch.cat(drawn))

    @cached_property
    def _written_after(self) -> Tensor:
        """What the next convolution writes with the ablation's own maps scaled down."""
        generator, written = self.model.generator, cast(Tensor, self.written)
        own, layer = self.ablation.factors, self.ablation.layer.number
        unscaled = torch.ones_like(own)
        parts = torch.arange(len(self)).split(SAMPLE_BATCH)
        sums = [
            rewrite_sums(generator, self.below[some], written[some], layer, unscaled, own, self._where(some))
            for some in parts
        ]
        return torch.cat(sums).cpu()

    def _where(self, some: Tensor) -> Tensor | None:
        """Where the maps of some samples are scaled down, if not everywhere."""
        return self.places[some] if self.ablation.where == "object" else None

    def from_most_to_least(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """At most so many samples, from the one that the ablation changes most inside the boxes to the least changed.

        They are evenly spread over the order of the changes, which come with them, in grey levels. Boxes that are too small
        to be looked at do not count where there are others.
        """
        large = np.flatnonzero(self.inside.mean((1, 2)) >= LEAST_SHARE)
        seen = large if len(large) >= count else np.arange(len(self))
        changes = self.changes(self.ablation.maps, seen)[:, 0]
        order = np.argsort(-changes, kind="stable")
        chosen = order[np.unique(np.linspace(0, len(seen) - 1, min(count, len(seen))).round().astype(np.int64))]
        return seen[chosen], changes[chosen]

    def ratios(self, choices: Sequence[Sequence[int]], images: NDArray[np.int64]) -> NDArray[np.float64]:
        """The ratio of the change inside to that outside (choices,) of many choices of maps, on some of the samples.

        What `changes` gives, in a fraction of the time: see `draw_choices`.
        """
        factors = torch.stack([self.ablation.of(maps).factors for maps in choices])
        inside = self.inside[images].reshape(len(images), -1)
        weights = np.stack([side / side.sum(1, keepdims=True) for side in (inside, ~inside)], axis=2).astype(np.float32)
        before = self.before[images].astype(np.float32)
        # Sums over images of the mean change of a pixel inside and outside.
        changed = np.zeros((len(choices), 2))
        some = torch.from_numpy(images)
        layer = self.ablation.layer.number
        for image, part, drawn in draw_choices(
            self.model.generator, self.below[some], layer, factors, self._where(some)
        ):
            difference = to_pixels(drawn).astype(np.float32)
            difference -= before[image]
            np.abs(difference, out=difference)
            changed[part] += difference.mean(-1).reshape(len(drawn), -1) @ weights[image]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(changed[:, 1] > 0, changed[:, 0] / changed[:, 1], np.nan)

    def change(self, seed: Seed, redrawn: Sequence[Sequence[int]] = ()) -> Change:
        """What the ablation's own maps do to all of them, with an interval that contains other choices of maps."""
        return measure_change(self.before, self.after, self.inside, seed, [self.changes(maps) for maps in redrawn])


def _united(evidence: Sequence[Evidence]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where any of the objects is in the samples that show one, in pixels and in positions of the maps."""
    numbers = np.unique(np.concatenate([found.numbers for found in evidence]))
    pixels = np.zeros((len(numbers), *evidence[0].inside_pixels.shape[1:]), bool)
    places = np.zeros((len(numbers), *evidence[0].inside.shape[1:]), bool)
    for found in evidence:
        rows = np.searchsorted(numbers, found.numbers)
        pixels[rows] |= found.inside_pixels
        places[rows] |= found.inside
    return pixels, places


def _ratio(values: NDArray[np.float64]) -> float:
    """Inside over outside of changes (N, 4)."""
    inside, outside = values[:, :2].mean(0)
    return float(inside / outside) if outside > 0 else float("nan")


def ratio_controls(
    samples: AnnotatedSamples, *, draws: int = DRAWS, images: int = CONTROL_IMAGES, seed: Seed = 0
) -> tuple[tuple[RatioControl, ...], NDArray[np.float64]]:
    """The ratio for as many random maps as were chosen: from the other maps, and from all.

    Parameters
    ----------
    samples : AnnotatedSamples
    draws : int
        Of each source.
    images : int
        How many of the samples every draw is measured on.
    seed : int or sequence of int

    Returns
    -------
    tuple of RatioControl
        Without the other maps where these are fewer than the chosen ones.
    ndarray of float64 (controls, draws)
        The ratios.
    """
    chosen, channels = samples.ablation.maps, samples.ablation.layer.channels
    total = len(samples)
    which = np.sort(np.random.default_rng(stream(seed, _IMAGES)).permutation(total)[:images])
    others = np.setdiff1d(np.arange(channels), chosen)
    controls, ratios = [], []
    sources: tuple[tuple[Source, NDArray[np.int64], int], ...] = (
        ("other maps", others, _OTHERS),
        ("all maps", np.arange(channels), _ALL),
    )
    possible = [source for source in sources if len(source[1]) >= len(chosen)]
    picked = [random_choices(maps.tolist(), len(chosen), draws, stream(seed, number)) for _, maps, number in possible]
    own, *drawn = samples.ratios([chosen, *np.concatenate(picked).tolist()], which)
    for (source, _, _), found in zip(possible, np.reshape(drawn, (len(possible), draws)), strict=True):
        between = middle(found)
        ratio = Estimate(float(np.nanmean(found)), between.low, between.high, draws, "the middle 95 % of random draws")
        controls.append(
            RatioControl(
                source=source,
                ratio=ratio,
                chosen=float(own),
                percentile=float(100 * (found < own).mean()),
                images=len(which),
            )
        )
        ratios.append(found)
    return tuple(controls), np.stack(ratios)


def cross_fitted_ratio(
    samples: AnnotatedSamples,
    evidence: Evidence,
    choose: Callable[[Evidence], Sequence[int]],
    *,
    repeats: int = REPEATS,
    seed: Seed = 0,
) -> Estimate:
    """The ratio on samples that had no part in choosing the maps.

    The samples are split in five; maps are chosen on four parts and zeroed on the fifth, and all of it is done anew with
    other folds and other negatives. The interval is of resampled samples in a random one of the repeats, so that it
    contains what another seed would give.

    Parameters
    ----------
    samples : AnnotatedSamples
        Of the evidence alone.
    evidence : Evidence
    choose : callable
        From evidence to maps.
    repeats : int
    seed : int or sequence of int
    """
    held = np.flatnonzero(evidence.inside_pixels.any((1, 2)) & ~evidence.inside_pixels.all((1, 2)))
    tables = []
    for repeat in range(repeats):
        way = stream(stream(seed, _CROSS), repeat)
        fold = np.random.default_rng(way).permutation(len(held)) % FOLDS
        table = np.empty((len(held), 4))
        for number in range(FOLDS):
            test = np.flatnonzero(fold == number)
            maps = choose(evidence.part(held[fold != number], stream(way, number)))
            table[test] = samples.changes(maps, test)
        tables.append(table)
    value = float(np.mean([_ratio(table) for table in tables]))
    ratios = _resampled_ratios(tables, stream(stream(seed, _CROSS), repeats))
    return estimate_of(value, ratios, len(held), "annotated samples, folds and negatives")


def _resampled_ratios(tables: Sequence[NDArray[np.float64]], seed: Seed) -> NDArray[np.float64]:
    """Bootstrap replicates of the ratio: of resampled images in each of several tables of changes (N, 4) as often."""
    each = -(-RESAMPLES // len(tables))
    seeds = [seed, *(stream(seed, k) for k in range(1, len(tables)))]
    replicates = np.concatenate(
        [resampled_means(table[:, :2], seed=its, resamples=each) for table, its in zip(tables, seeds, strict=True)]
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: NDArray[np.float64] = replicates[:, 0] / replicates[:, 1]
    return ratios
