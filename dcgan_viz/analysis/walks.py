"""Walks through the latent space (Radford et al. 2015, section 6.1), and how evenly the picture changes on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.statistics import Interval, bootstrap_interval
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.spec import Prior
from dcgan_viz.results import Result

UNRELATED_PAIRS = 256
"""Pairs of independent samples that a walk's steps are measured against."""


def interpolate(start: Tensor, end: Tensor, steps: int, prior: Prior) -> Tensor:
    """Latents on the way from one to another, both ends included.

    A uniform prior fills a cube, in which straight lines stay. A Gaussian's mass lies on a shell that straight lines
    cut through, so there the way is an arc (White 2016): sin((1 - t)θ)/sin θ · start + sin(tθ)/sin θ · end, with θ the
    angle between the two.

    Parameters
    ----------
    start, end : Tensor (latent,)
    steps : int
        At least 2.
    prior : {"uniform", "normal"}

    Returns
    -------
    Tensor (steps, latent)

    Examples
    --------
    >>> interpolate(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.5]), 3, "uniform")
    tensor([[0.0000, 0.0000],
            [0.5000, 0.2500],
            [1.0000, 0.5000]])
    """
    t = torch.linspace(0, 1, steps).unsqueeze(1)
    if prior == "uniform":
        return torch.lerp(start, end, t)
    cosine = torch.dot(start, end) / (start.norm() * end.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    if angle.sin() < 1e-4:
        # Parallel or opposite: the arc is the line itself, or not determined.
        return torch.lerp(start, end, t)
    return (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()


def path(points: Tensor, steps: int, prior: Prior, *, closed: bool = False) -> Tensor:
    """The legs between successive points.

    Parameters
    ----------
    points : Tensor (N, latent)
        At least 2.
    steps : int
        Latents a leg, both its ends included.
    prior : {"uniform", "normal"}
        Decides between lines and arcs, see `interpolate`.
    closed : bool
        Add a leg from the last point back to the first.

    Returns
    -------
    Tensor (legs, steps, latent)

    Examples
    --------
    >>> path(torch.rand(5, 8), 10, "uniform").shape
    torch.Size([4, 10, 8])
    """
    ends = torch.cat([points[1:], points[:1]]) if closed else points[1:]
    return torch.stack([interpolate(a, b, steps, prior) for a, b in zip(points, ends, strict=False)])


@dataclass(frozen=True, kw_only=True)
class Walk(Result):
    """A walk through a series of random points.

    Parameters
    ----------
    latents : ndarray of float32 (rows, steps, latent)
        Each row ends where the next begins.
    pictures : ndarray of uint8 (rows, steps, H, W, C)
    changes : ndarray of float64 (rows, steps - 1)
        Mean absolute difference between neighbours, in grey levels of 255 a pixel.
    unrelated : float
        The same between pairs of independent samples: what a jump to another picture costs.
    largest_step : float
        Largest change on a row over the row's mean change, averaged over rows; 1 for perfectly even steps,
        ``steps - 1`` for one jump between still pictures.
    largest_step_interval : Interval
        Its 95 % bootstrap interval over rows.
    """

    latents: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    changes: NDArray[np.float64]
    unrelated: float
    largest_step: float
    largest_step_interval: Interval


def walk(model: DCGAN, *, rows: int = 8, steps: int = 10, closed: bool = False, seed: int = 0) -> Walk:
    """Walk between random points of the latent space, as in the paper's Figure 4.

    Row r leads from point r of a random series to point r + 1.

    Parameters
    ----------
    model : DCGAN
    rows : int
    steps : int
        Pictures a row, both ends included; at least 3.
    closed : bool
        Let the last row lead back to the first point.
    seed : int
        Of the points.

    Returns
    -------
    Walk

    Raises
    ------
    UserError
        If there are too few rows or steps.

    Examples
    --------
    >>> from dcgan_viz import load, walk
    >>> walk(load("bedrooms"), rows=2, steps=5).pictures.shape
    (2, 5, 64, 64, 3)
    """
    if rows < (2 if closed else 1) or steps < 3:
        raise UserError(
            f"a walk of {rows} rows with {steps} pictures is too short: give at least {2 if closed else 1} and 3"
        )
    latents = path(_points(model, rows, closed, seed), steps, model.networks.generator.prior, closed=closed)
    images = model.generate(latents.flatten(0, 1))
    pictures = to_pixels(images).reshape(rows, steps, *_picture_shape(model))
    changes = _difference(pictures[:, 1:], pictures[:, :-1])
    strangers = to_pixels(model.sample(2 * UNRELATED_PAIRS, seed=seed + 1))
    unevenness = changes.max(1) / np.maximum(changes.mean(1), np.finfo(float).tiny)
    return Walk(
        settings={
            "model": model.card.name,
            "seed": seed,
            "rows": rows,
            "steps": steps,
            "closed": closed,
            "way": "arcs on the sphere" if model.networks.generator.prior == "normal" else "straight lines",
            "unrelated_pairs": UNRELATED_PAIRS,
        },
        latents=latents.numpy(),
        pictures=pictures,
        changes=changes,
        unrelated=float(_difference(strangers[::2], strangers[1::2]).mean()),
        largest_step=float(unevenness.mean()),
        largest_step_interval=bootstrap_interval(unevenness, seed=seed),
    )


def walk_frames(
    model: DCGAN, *, rows: int = 8, frames: int = 24, closed: bool = False, seed: int = 0
) -> Iterator[NDArray[np.uint8]]:
    """The pictures of a film through the same points as `walk`, drawn a batch at a time.

    Parameters
    ----------
    model : DCGAN
    rows, closed, seed
        As in `walk`.
    frames : int
        Pictures from one point to the next.

    Yields
    ------
    ndarray of uint8 (H, W, C)
        ``rows * frames`` of them; an open walk has one more, its last point.
    """
    points = _points(model, rows, closed, seed)
    legs = path(points, frames + 1, model.networks.generator.prior, closed=closed)
    # Each leg ends where the next begins, and that point is to be seen once.
    latents = legs[:, :-1].flatten(0, 1)
    if not closed:
        latents = torch.cat([latents, points[-1:]])
    for batch in latents.split(SAMPLE_BATCH):
        yield from to_pixels(model.generate(batch))


def _points(model: DCGAN, rows: int, closed: bool, seed: int) -> Tensor:
    return model.latents(rows if closed else rows + 1, seed)


def _picture_shape(model: DCGAN) -> tuple[int, int, int]:
    channels, height, width = model.networks.image_shape
    return height, width, channels


def _difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean absolute difference of pictures (…, H, W, C), in grey levels."""
    return np.abs(a.astype(np.float64) - b).mean(axis=(-3, -2, -1))
