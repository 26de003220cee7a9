"""A turn vector, added to new samples (Radford et al. 2015, section 6.3.2, Figure 8).

Does it turn? Measures of a single picture were tried on real faces and left out: the axis about which a face is most
nearly symmetric, and the centroids of its dark parts and of its edges, put lighting, hair and background first, not turned
heads. What can be measured is whether the vector changes sides: what a turn does to samples on average is the negative
of its own mirror image, and what a smile, glasses or age do is their own mirror image. The share of the average change that is
odd under mirroring says which of the two a vector is like, for a generator that draws mirror images equally often, as one
trained with flips does. Light that moves from one side to the other is odd too: smooth shading is taken away, so that
it counts little beside what moves, and the average change is shown, for the eye to judge what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from dcgan_viz.annotations.concepts import Concepts
from dcgan_viz.blind.trials import BlindTrial, prepare_trial
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.spec import Prior
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.results import Result, Settings
from dcgan_viz.statistics import Estimate, Interval, Seed, estimate_of, middle, probability, resampled_means, stream

MEASURED, RANDOM, BOOTSTRAP, BLIND, RESAMPLED = range(1, 6)
"""Streams of random numbers of a seed: the samples that are shown have the seed itself."""

EXEMPLARS = 4
"""Of each side, as in the paper."""

MEASURED_SAMPLES = 64
RANDOM_DIRECTIONS = 999
"""The turn among them is one of a thousand: p can be 0.001."""

RESAMPLES = 200
"""How often other exemplars are chosen."""

FEWEST = 39
"""Random directions and sets of exemplars: with these the least p is 0.025, and the interval is within what was seen."""

SMOOTH = 1 / 16
"""Standard deviation, as a share of the side, of what counts as shading."""


class TurnSettings(Settings):
    """How a `Turn` was obtained."""

    rows: int
    positions: int
    strength: float
    length: float
    exemplars_averaged: int
    samples_seed: int
    picked_by: str
    picked_how: str
    prior: Prior
    kept_in_prior: str
    measured_samples: int
    random_directions: int
    exemplars: dict[str, int]
    shading: str


@dataclass(frozen=True, kw_only=True)
class Turn(Result):
    """New samples on the way from one side to the other.

    Parameters
    ----------
    left, right : str
        The concepts.
    left_exemplars, right_exemplars : tuple of int
        Numbers of the samples that are averaged.
    outside : float
        Share of the coordinates beyond ±1 at the ends of the rows; the prior's own is 0 if it is uniform.
    oddness : Estimate
        Share of the average change, from one end to the other, that is odd under mirroring: 1 for a
        pure turn, 0 for a change that is the same on both sides. Its interval is over samples, the exemplars held.
    over_exemplars : Estimate
        The same with its 95 % interval over which exemplars are averaged, drawn anew with replacement from all that were
        picked.
    with_shading : float
        The same where smooth shading is left in.
    random_oddness : float
        The same for random directions of the same length, averaged.
    random_interval : Interval
        Their middle 95 %.
    p_value : float
        Share of random directions, the turn counted in, that are at least as odd as the turn.
    verdict : str
        Whether a turn has been shown, in plain words.
    exemplars : ndarray of uint8 (2, 4, H, W, C)
        Left, then right.
    averages : ndarray of uint8 (positions, H, W, C)
        Drawn on the way from the mean z of the left exemplars to that of the right ones.
    amounts : ndarray of float64 (positions,)
        Multiples of the turn vector.
    pictures : ndarray of uint8 (rows, positions, H, W, C)
    turn : ndarray of float32 (latent_dim,)
        Mean z of the right exemplars minus that of the left ones.
    change : ndarray of float64 (H, W)
        Average change of samples from the left end to the right end, in grey levels.
    """

    settings: TurnSettings
    left: str
    right: str
    left_exemplars: tuple[int, ...]
    right_exemplars: tuple[int, ...]
    outside: float
    oddness: Estimate
    over_exemplars: Estimate
    with_shading: float
    random_oddness: float
    random_interval: Interval
    p_value: float
    verdict: str
    exemplars: NDArray[np.uint8]
    averages: NDArray[np.uint8]
    amounts: NDArray[np.float64]
    pictures: NDArray[np.uint8]
    turn: NDArray[np.float32]
    change: NDArray[np.float64]

    def sentences(self) -> str:
        """How much of the change is a turn's, beside other exemplars and random directions, and the verdict."""
        again, random = self.over_exemplars, self.random_interval
        return (
            f"{self.oddness:.0%} of the average change is odd under mirroring, as a turn is; with exemplars drawn anew "
            f"[{100 * again.low:.0f}, {100 * again.high:.0f}], with shading {100 * self.with_shading:.0f} %; "
            f"{self.settings['random_directions']} random directions {100 * self.random_oddness:.0f} % "
            f"[{100 * random.low:.0f}, {100 * random.high:.0f}] ({probability(self.p_value)})\n{self.verdict}"
        )


def turn(
    model: DCGAN,
    concepts: Concepts,
    *,
    left: str = "looking left",
    right: str = "looking right",
    rows: int = 6,
    positions: int = 9,
    strength: float = 1.0,
    directions: int = RANDOM_DIRECTIONS,
    resamples: int = RESAMPLES,
    seed: int = 0,
    progress: Progress = silent,
) -> Turn:
    """Add interpolations of the turn vector to new samples, as in the paper's Figure 8.

    Parameters
    ----------
    model : DCGAN
    concepts : Concepts
        Four or more exemplars of both sides; the first four count.
    left, right : str
        Names of the concepts.
    rows : int
        New samples.
    positions : int
        Pictures a row, an odd number, so that the sample itself is in the middle.
    strength : float
        The ends of a row are the sample minus and plus so many turn vectors.
    directions : int
        Random ones to compare with, at least 39.
    resamples : int
        Sets of exemplars drawn anew for the interval over them, at least 39.
    seed : int
        Of the samples, and of the random directions.
    progress : Progress
        Shows how many random directions have been tried.

    Returns
    -------
    Turn

    Raises
    ------
    UserError
        If a concept is unknown or has fewer than four exemplars, both are the same, they belong to other weights, or
        there is nothing to draw.
    """
    concepts.check_belongs_to(model)
    _check(left, right, rows, positions, strength)
    _check_enough(directions, resamples)
    pools = [concepts.latents(model, name, EXEMPLARS) for name in (left, right)]
    sides = [pool[:EXEMPLARS] for pool in pools]
    start, end = (side.mean(0) for side in sides)
    vector = end - start
    amounts = np.linspace(-strength, strength, positions)
    samples = model.latents(rows, seed)
    moved = samples[:, None] + torch.from_numpy(amounts).float()[:, None] * vector
    shares = torch.linspace(0, 1, positions)[:, None]
    channels, height, width = model.image_shape
    measured = model.latents(MEASURED_SAMPLES, stream(seed, MEASURED))
    changes = _changes(model, measured, strength * vector)
    detail = _without_shading(changes)
    found = float(odd_share(detail.mean(0)))
    random = (strength * step for step in _random_steps(vector, directions, stream(seed, RANDOM)))
    controls = _odd_shares(model, measured, random, progress, Stage("random directions", directions, "direction"))
    others = (strength * step for step in _resampled_turns(pools, resamples, stream(seed, RESAMPLED)))
    again = _odd_shares(model, measured, others, progress, Stage("other exemplars", resamples, "draw"))
    over_exemplars = estimate_of(found, again, min(map(len, pools)), "exemplars")
    p_value = float((1 + (controls >= found).sum()) / (1 + directions))
    return Turn(
        settings={
            "model": model.card.name,
            "seed": seed,
            "rows": rows,
            "positions": positions,
            "strength": strength,
            "length": float(vector.norm()),
            "exemplars_averaged": EXEMPLARS,
            "samples_seed": concepts.seed,
            "picked_by": concepts.contributor,
            "picked_how": concepts.method,
            "prior": model.prior,
            "kept_in_prior": "no: as in the paper the sum is drawn where it lies",
            "measured_samples": MEASURED_SAMPLES,
            "random_directions": directions,
            "exemplars": {name: len(pool) for name, pool in zip((left, right), pools, strict=True)},
            "shading": f"grey pictures blurred by {SMOOTH * width:g} pixels, taken away before oddness is measured",
        },
        left=left,
        right=right,
        left_exemplars=concepts.of(left)[:EXEMPLARS],
        right_exemplars=concepts.of(right)[:EXEMPLARS],
        outside=float((moved[:, [0, -1]].abs() > 1).float().mean()),
        oddness=estimate_of(found, odd_share(resampled_means(detail, seed=stream(seed, BOOTSTRAP))), MEASURED_SAMPLES),
        over_exemplars=over_exemplars,
        with_shading=float(odd_share(changes.mean(0))),
        random_oddness=float(controls.mean()),
        random_interval=middle(controls),
        p_value=p_value,
        verdict=turn_verdict(over_exemplars, float(controls.mean()), p_value),
        exemplars=to_pixels(model.generate(torch.cat(sides))).reshape(2, EXEMPLARS, height, width, channels),
        averages=to_pixels(model.generate(torch.lerp(start, end, shares))),
        amounts=amounts,
        pictures=to_pixels(model.generate(moved.flatten(0, 1))).reshape(rows, positions, height, width, channels),
        turn=vector.numpy(),
        change=changes.mean(0),
    )


def _check(left: str, right: str, rows: int, positions: int, strength: float) -> None:
    if rows < 1 or positions < 3 or positions % 2 == 0 or not strength > 0:
        raise UserError(
            f"{rows} rows of {positions} pictures at strength {strength} show no turn: give at least 1 row, an odd number of "
            "pictures from 3, and a strength above 0"
        )
    if left == right:
        raise UserError(f"{left!r} cannot turn into itself: name two concepts")


def _check_enough(directions: int, resamples: int) -> None:
    for number, what in ((directions, "random directions"), (resamples, "sets of exemplars")):
        if number < FEWEST:
            raise UserError(f"{number} {what} are too few to tell a turn by: give at least {FEWEST}")


def turn_verdict(over_exemplars: Estimate, usual: float, p_value: float) -> str:
    """A turn is shown where these exemplars beat random directions, and others in their place the usual one of these."""
    if p_value < 0.05 and over_exemplars.low > usual:
        return (
            "the change is odd under mirroring, as a turn is, whichever exemplars are averaged; that it is a turn and not "
            "something else that changes sides is for the eye to judge"
        )
    if p_value < 0.05:
        return (
            "no turn is shown: with these exemplars the change is odder than in random directions, but with others it may "
            "not be"
        )
    return "no turn is shown: the change is no odder under mirroring than in random directions"


def odd_share(changes: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of a change is odd under mirroring, as a share of its sum of squares.

    Parameters
    ----------
    changes : ndarray of float64 (..., H, W)

    Returns
    -------
    ndarray of float64 (...,)
        NaN where nothing changes.

    Examples
    --------
    >>> odd_share(np.array([[1.0, 0.0, -1.0]])).item(), odd_share(np.array([[1.0, 0.0, 1.0]])).item()
    (1.0, 0.0)
    """
    odd = (changes - changes[..., ::-1]) / 2
    with np.errstate(invalid="ignore"):
        return np.asarray(np.square(odd).sum((-2, -1)) / np.square(changes).sum((-2, -1)))


def blind_trial(model: DCGAN, result: Turn, *, pictures: int = 30, seed: int = 0) -> BlindTrial:
    """Pictures for a blind page: new samples, and the same moved to either end.

    Parameters
    ----------
    model : DCGAN
        That the result is of.
    result : Turn
    pictures : int
        Of each condition.
    seed : int
        Of the samples and the shuffle.

    Returns
    -------
    BlindTrial
    """
    samples = model.latents(pictures, stream(seed, BLIND))
    step = result.settings["strength"] * torch.from_numpy(result.turn)
    shown = {
        "sample": samples,
        f"towards {result.right}": samples + step,
        f"towards {result.left}": samples - step,
    }
    drawn = {name: to_pixels(model.generate(latents)) for name, latents in shown.items()}
    return prepare_trial(
        drawn, f"Does this picture show: {result.right}?", "yes-no", settings=result.settings, seed=seed
    )


def _random_steps(vector: Tensor, count: int, seed: Seed) -> Iterator[Tensor]:
    """Random directions of a vector's length."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        direction = torch.from_numpy(random.standard_normal(len(vector)).astype(np.float32))
        yield vector.norm() * direction / direction.norm()


def _resampled_turns(pools: Sequence[Tensor], count: int, seed: Seed) -> Iterator[Tensor]:
    """Turn vectors of exemplars drawn anew, with replacement, from the latents picked for either side."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        first, last = (pool[torch.from_numpy(random.integers(0, len(pool), EXEMPLARS))].mean(0) for pool in pools)
        yield last - first


def _odd_shares(
    model: DCGAN, samples: Tensor, steps: Iterable[Tensor], progress: Progress, stage: Stage
) -> NDArray[np.float64]:
    """For each step, how much of what it changes on average is odd under mirroring."""
    shares = [odd_share(_without_shading(_changes(model, samples, step)).mean(0)) for step in progress(steps, stage)]
    return np.array(shares, np.float64)


def _changes(model: DCGAN, samples: Tensor, step: Tensor) -> NDArray[np.float64]:
    """What moving samples from minus to plus a step changes, in grey levels (n, H, W)."""
    images = model.generate(torch.cat([samples - step, samples + step])).double().mean(1) * 127.5
    before, after = images.chunk(2)
    return np.asarray((after - before).numpy())


def _without_shading(changes: NDArray[np.float64]) -> NDArray[np.float64]:
    sigma = SMOOTH * changes.shape[-1]
    return changes - gaussian_filter(changes, (0, sigma, sigma))
