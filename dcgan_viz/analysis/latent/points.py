"""Points of the latent space told by how they come about, so that what a page shows can be drawn again anywhere.

A point is a sample by seed and number, a point between two others, or a weighted sum of means of points, such as
A - B + C; each can then be moved along principal directions.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dcgan_viz.analysis.latent.directions import ACTIVATIONS, DRAWN, move, principal_directions
from dcgan_viz.analysis.latent.path_length import blend
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.spec import PRIOR_DEVIATION
from dcgan_viz.statistics import stream

MAXIMUM_SEED, MAXIMUM_NUMBER = 2**31 - 1, 10_000
"""Seeds up to the first; of each as many samples as ``dcgan-viz sample`` draws."""

MAXIMUM_DEPTH, MAXIMUM_PARTS = 4, 16
MAXIMUM_WEIGHT = 10.0


@dataclass(frozen=True)
class Sample:
    """A sample by its seed and its number among those of the seed, counted from 0."""

    seed: int
    number: int


@dataclass(frozen=True)
class Between:
    """A point on the way from one to another: a line for a uniform prior, an arc for a Gaussian."""

    start: Point
    end: Point
    t: float


@dataclass(frozen=True)
class Term:
    """A weight, and the points whose mean it multiplies."""

    weight: float
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Sum:
    """A weighted sum of means, such as the paper's arithmetic; it may leave the prior."""

    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Moved:
    """A point moved along principal directions and kept in the prior.

    Parameters
    ----------
    start : Point
    steps : tuple of (int, float)
        Directions, counted from 0, and how far, in standard deviations of z.
    """

    start: Point
    steps: tuple[tuple[int, float], ...]


Point = Sample | Between | Sum | Moved


def read_point(data: Any, depth: int = 0) -> Point:
    """A point from plain data, such as a page sends.

    Parameters
    ----------
    data : object
        ``{"seed": 0, "number": 12}``, ``{"from": point, "to": point, "t": 0.3}``,
        ``{"sum": [[1, [point, …]], [-1, [point]]]}`` or ``{"start": point, "along": [[direction, deviations], …]}``.

    Raises
    ------
    UserError
        If it is none of these, or out of bounds.

    Examples
    --------
    >>> read_point({"from": {"seed": 0, "number": 1}, "to": {"seed": 0, "number": 2}, "t": 0.5}).t
    0.5
    """
    if depth > MAXIMUM_DEPTH:
        raise UserError(f"a point is made of points at most {MAXIMUM_DEPTH} deep")
    keys = set(data) if isinstance(data, dict) else set()
    if keys == {"seed", "number"}:
        return Sample(_whole(data["seed"], MAXIMUM_SEED), _whole(data["number"], MAXIMUM_NUMBER - 1))
    if keys == {"from", "to", "t"}:
        return Between(read_point(data["from"], depth + 1), read_point(data["to"], depth + 1), _real(data["t"], 0, 1))
    if keys == {"sum"}:
        return Sum(tuple(_read_term(term, depth) for term in _some(data["sum"])))
    if keys == {"start", "along"}:
        steps = tuple((_whole(k, 10**4), _real(a, -50, 50)) for k, a in map(_pair, _some(data["along"])))
        return Moved(read_point(data["start"], depth + 1), steps)
    raise UserError(f"that is not a point of the latent space: {json.dumps(data)[:80]}")


def _read_term(data: Any, depth: int) -> Term:
    weight, points = _pair(data)
    return Term(
        _real(weight, -MAXIMUM_WEIGHT, MAXIMUM_WEIGHT), tuple(read_point(point, depth + 1) for point in _some(points))
    )


def _some(data: Any) -> list[Any]:
    if not isinstance(data, list) or not 1 <= len(data) <= MAXIMUM_PARTS:
        raise UserError(f"a point is made of 1 to {MAXIMUM_PARTS} parts")
    return data


def _pair(data: Any) -> tuple[Any, Any]:
    if not isinstance(data, list) or len(data) != 2:
        raise UserError("a part of a point is a pair")
    return data[0], data[1]


def _whole(value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise UserError(f"a whole number from 0 to {most:,} is needed")
    return value


def _real(value: Any, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UserError(f"a number from {least:g} to {most:g} is needed")
    return float(value)


def steering_directions(model: DCGAN, count: int, seed: int = 0) -> Tensor:
    """Principal directions (count, latent) of length 1, the very ones of `directions` with the same seed.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> steering_directions(load("rooms"), 2).shape
    torch.Size([2, 100])
    """
    drawn = model.latents(ACTIVATIONS, stream(seed, DRAWN))
    return torch.from_numpy(principal_directions(model.generator, drawn, count, seed)[0]).float()


def locate(model: DCGAN, points: Sequence[Point], directions: Tensor | None = None) -> Tensor:
    """The latents (N, latent_dim) of points.

    Parameters
    ----------
    model : DCGAN
    points : sequence of Point
    directions : Tensor (n, latent_dim), optional
        From `steering_directions`, for points that are moved.

    Raises
    ------
    UserError
        If a point is moved along a direction that is not there.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> model = load("rooms")
    >>> locate(model, [Sample(seed=0, number=2)]).equal(model.latents(3, 0)[2:])
    True
    """
    last: defaultdict[int, int] = defaultdict(int)
    for sample in _samples(points):
        last[sample.seed] = max(last[sample.seed], sample.number)
    drawn = {seed: model.latents(number + 1, seed) for seed, number in last.items()}

    def latent(point: Point) -> Tensor:
        match point:
            case Sample(seed, number):
                return drawn[seed][number]
            case Between(start, end, t):
                return blend(latent(start), latent(end), torch.tensor([t]), model.prior)
            case Sum(terms):
                means = [term.weight * torch.stack([latent(p) for p in term.points]).mean(0) for term in terms]
                return torch.stack(means).sum(0)
            case Moved(start, steps):
                known = 0 if directions is None else len(directions)
                total = torch.zeros(model.latent_dim)
                for number, amount in steps:
                    if number >= known or directions is None:
                        raise UserError(f"there are {known} directions, and none is number {number}")
                    total = total + amount * PRIOR_DEVIATION[model.prior] * directions[number]
                return move(latent(start)[None], total, model.prior)[0]

    return torch.stack([latent(point) for point in points])


def _samples(points: Sequence[Point]) -> Iterator[Sample]:
    for point in points:
        match point:
            case Sample():
                yield point
            case Between(start, end):
                yield from _samples([start, end])
            case Sum(terms):
                yield from _samples([p for term in terms for p in term.points])
            case Moved(start):
                yield from _samples([start])


def is_moved(point: Point) -> bool:
    """Whether directions are needed to locate a point.

    Examples
    --------
    >>> is_moved(Between(Sample(0, 1), Moved(Sample(0, 2), ((0, 1.0),)), 0.5))
    True
    """
    match point:
        case Sample():
            return False
        case Between(start, end):
            return is_moved(start) or is_moved(end)
        case Sum(terms):
            return any(is_moved(p) for term in terms for p in term.points)
        case Moved():
            return True


def script(model: str, points: Sequence[Any], directions: int = 0) -> str:
    """A Python program that draws points again, from the plain data that `read_point` takes.

    Parameters
    ----------
    model : str
        As `load` takes it.
    points : sequence of plain data
    directions : int
        How many principal directions there are to move along.

    Returns
    -------
    str
    """
    moved = any(is_moved(read_point(point)) for point in points)
    steered = f"steering_directions(model, {directions})" if moved else "None"
    imports = "locate, read_point, steering_directions" if moved else "locate, read_point"
    listing = ",\n".join(f"    {json.dumps(point)}" for point in points)
    return f'''"""Draws again what was seen in the studio."""

from dcgan_viz import load
from dcgan_viz.analysis.latent.points import {imports}
from dcgan_viz.data.images import to_pixels
from dcgan_viz.media.pictures import save_picture, tile

model = load({model!r})
points = [
{listing},
]
latents = locate(model, [read_point(point) for point in points], {steered})
save_picture(tile(to_pixels(model.generate(latents))), "drawn-again.png", scale=4)
'''
