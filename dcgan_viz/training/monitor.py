"""Watching a run for a discriminator that has won, samples that have collapsed, and a quality that no longer rises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from dcgan_viz.errors import UserError
from dcgan_viz.training.step import StepMeans
from dcgan_viz.untrusted import EXACT, validate

WON_LOSS = 0.05
"""The discriminator has won when its loss, averaged over a tick, falls below this (2 log 2 at the start)."""

COLLAPSE_RATIO = 0.5
"""Samples have collapsed when they lie closer together than this fraction of the real images' distance."""

WARM_UP_IMAGES = 50_000
"""Samples start as one grey; only a generator that has seen this many images, or has drawn varied ones, collapses."""

RECOVERED = 5
"""A warning stands until so many checkpoints in a row do without it."""

STALLED = 5
"""After so many checkpoints without a better one it is said that there was none."""

Kind = Literal["won", "collapsed"]

_OVER: Mapping[Kind, str] = {
    "won": "the discriminator no longer wins",
    "collapsed": "the samples are varied again",
}


@dataclass(frozen=True)
class Warned:
    """A warning that stands.

    Parameters
    ----------
    sentence : str
        As the newest checkpoint that it is about has it.
    clear : int
        Checkpoints since then.
    """

    __pydantic_config__: ClassVar = EXACT

    sentence: str
    clear: int = 0


@dataclass(frozen=True)
class Changes:
    """What a checkpoint has to say, one sentence each: warnings that have begun to stand, and the end of others."""

    begun: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()


@dataclass(frozen=True)
class Health:
    """What a run's monitor remembers from one checkpoint to the next.

    Parameters
    ----------
    last_healthy : int, optional
        The newest checkpoint that is healthy as its neighbours are: there is no warning at it, the one before it or the
        one after it, and none stands at the latter.
    varied : bool
        Whether samples have once been as varied as a healthy run's.
    best, best_quality : int, float, optional
        The checkpoint with the lowest quality number, and that number.
    since_best : int
        Checkpoints measured since then.
    candidate : int, optional
        The newest checkpoint if there is no warning at it: the next one decides whether it is healthy.
    standing : mapping of Kind to Warned
        Warnings that stand.
    """

    __pydantic_config__: ClassVar = EXACT

    last_healthy: int | None = None
    varied: bool = False
    best: int | None = None
    best_quality: float | None = None
    since_best: int = 0
    candidate: int | None = None
    standing: Mapping[Kind, Warned] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Any) -> Health:
        """What ``dataclasses.asdict`` made of it, here or in an earlier version.

        Raises
        ------
        UserError
            If it is something else.
        """
        try:
            return validate(data, cls)
        except UserError as error:
            raise UserError(f"the checkpoint does not say how the run was: {error}") from error


def diversity(images: Tensor) -> float:
    """Median root-mean-square distance per pixel between pairs of images (N, C, H, W), N at least 2.

    Examples
    --------
    >>> diversity(torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)]))
    1.0
    """
    flat = images.flatten(1).float()
    return float(torch.pdist(flat).median() / flat.shape[1] ** 0.5)


def diagnose(
    health: Health, step: int, images_seen: int, means: StepMeans, sample_diversity: float, real_diversity: float
) -> tuple[Health, Changes]:
    """Judge a run at a checkpoint.

    Runs that fail waver about a threshold: a warning is said when it begins to stand, and stands until `RECOVERED`
    checkpoints in a row do without it. Until then the last healthy checkpoint is the one before it.

    Parameters
    ----------
    health : Health
        Of the run so far.
    step, images_seen : int
        How far it is.
    means : StepMeans
        Losses, D(x) and D(G(z)) of the last tick.
    sample_diversity, real_diversity : float
        `diversity` of samples and of as many real images.

    Returns
    -------
    Health
        With this checkpoint taken in.
    Changes
        What is to be said.

    Examples
    --------
    >>> health, _ = diagnose(Health(), 500, 64_000, StepMeans(1.2, 0.9, 0.6, 0.4), 0.5, 0.5)
    >>> health, _ = diagnose(health, 1000, 128_000, StepMeans(1.2, 0.9, 0.6, 0.4), 0.5, 0.5)
    >>> health.last_healthy, health.candidate
    (500, 1000)
    >>> health, changes = diagnose(health, 1500, 192_000, StepMeans(1.2, 0.9, 0.6, 0.4), 0.1, 0.5)
    >>> health.last_healthy, changes.begun
    (500, ('step 1500: the samples have collapsed: ...',))
    """
    alike = not sample_diversity >= COLLAPSE_RATIO * real_diversity
    found: dict[Kind, str] = {}
    if means.loss_d < WON_LOSS:
        found["won"] = (
            f"step {step}: the discriminator has won (loss {means.loss_d:.3f}, D(x) {means.d_real:.2f}, "
            f"D(G(z)) {means.d_generated:.2f}), so the generator learns little"
        )
    if alike and (health.varied or images_seen >= WARM_UP_IMAGES):
        found["collapsed"] = (
            f"step {step}: the samples have collapsed: they differ by {sample_diversity:.3f} a pixel where photographs "
            f"differ by {real_diversity:.3f}"
        )
    watched = replace(_take_in(health, step, found), varied=health.varied or not alike)
    return watched, Changes(
        tuple(sentence for kind, sentence in found.items() if kind not in health.standing),
        tuple(
            f"step {step}: {_OVER[kind]}: the last {RECOVERED} checkpoints were without that warning"
            for kind in health.standing
            if kind not in watched.standing
        ),
    )


def _take_in(health: Health, step: int, found: Mapping[Kind, str]) -> Health:
    """What is remembered after a checkpoint at which warnings were found, by their kind."""
    waiting = {
        kind: replace(warned, clear=warned.clear + 1)
        for kind, warned in health.standing.items()
        if warned.clear + 1 < RECOVERED
    }
    standing = {**waiting, **{kind: Warned(sentence) for kind, sentence in found.items()}}
    confirmed = None if standing else health.candidate
    return replace(
        health,
        last_healthy=health.last_healthy if confirmed is None else confirmed,
        candidate=None if found else step,
        standing=standing,
    )


def rank(health: Health, step: int, quality: float) -> tuple[Health, str | None]:
    """Take in how good a checkpoint's samples are.

    Parameters
    ----------
    health : Health
        Of the run so far.
    step : int
        Of the checkpoint.
    quality : float
        The lower the better, such as a distance of samples to real images.

    Returns
    -------
    Health
        With this checkpoint taken in.
    str, optional
        A sentence when none has been better for long.

    Examples
    --------
    >>> rank(Health(best=100, best_quality=0.3), 200, 0.2)[0].best
    200
    """
    if not math.isnan(quality) and (health.best_quality is None or quality < health.best_quality):
        return replace(health, best=step, best_quality=quality, since_best=0), None
    since = health.since_best + 1
    sentence = None
    if health.best is not None and since % STALLED == 0:
        sentence = (
            f"the quality has stopped falling: {quality:.4g} now, and none of the last {since} checkpoints was better than "
            f"step {health.best} ({health.best_quality:.4g})"
        )
    return replace(health, since_best=since), sentence
