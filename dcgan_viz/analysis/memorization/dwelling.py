"""Whether walks through the latent space dwell at training images.

That walks are smooth is the paper's argument against memorisation, but a generator that has memorised its images and
blends them is smooth too. It gives itself away by where it is fast: it stays on an image that it knows and hurries to
the next, so that the picture changes faster the farther it is from any training image. What else makes unusual pictures
change faster shows as well, only much less, and so this is a reason to look and no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.networks.spec import Prior
from dcgan_viz.statistics import Estimate, Interval, bootstrap_estimate, middle

PERMUTATIONS = 2000


@dataclass(frozen=True)
class Dwelling:
    """Where closed walks are slow.

    Parameters
    ----------
    contrast : Estimate
        Relative distance to the nearest training image on the faster half of a walk's steps minus that on the slower
        half, averaged over walks; 0 if speed and nearness have nothing to do with each other, above 0 if walks dwell
        at training images. 95 % bootstrap over walks.
    null : Interval
        95 % of it when each walk's distances are shifted along the walk by a random number of steps.
    p_value : float
        Of one as high, one-sided.
    near : float
        Share of the walks' pictures that are near a training image.
    visited : float
        Different nearest training images on a walk, on average.
    largest_step : Estimate
        Largest step over mean step of a walk: what its smoothness alone says. 95 % bootstrap over walks.
    walks, steps : int
    """

    contrast: Estimate
    null: Interval
    p_value: float
    near: float
    visited: float
    largest_step: Estimate
    walks: int
    steps: int


def closed_walks(walks: int, steps: int, latent_dim: int, prior: Prior, seed: int) -> Tensor:
    """Latents on closed walks each of whose points is distributed as any sample's latent is.

    A straight line through the cube passes nearer its middle than samples lie. Here two Gaussian vectors span a circle,
    every point of which is Gaussian again; for a uniform prior its distribution function makes it uniform.

    Returns
    -------
    Tensor (walks, steps, latent_dim)

    Examples
    --------
    >>> closed_walks(2, 8, 5, "uniform", seed=0).abs().max() <= 1
    tensor(True)
    """
    random = np.random.default_rng(seed)
    start, side = torch.from_numpy(random.standard_normal((2, walks, 1, latent_dim), dtype=np.float32))
    angle = (torch.arange(steps) * (2 * torch.pi / steps))[:, None]
    circle = angle.cos() * start + angle.sin() * side
    return circle if prior == "normal" else 2 * torch.special.ndtr(circle) - 1


def dwelling(
    relative: NDArray[np.float32],
    numbers: NDArray[np.int64],
    changes: NDArray[np.float32],
    threshold: float,
    seed: int = 0,
) -> Dwelling:
    """Compare distances to the nearest training image with how fast closed walks change.

    Parameters
    ----------
    relative : ndarray of float32 (walks, steps)
        Relative distance of each picture to its nearest training image, see `Nearest`.
    numbers : ndarray of int64 (walks, steps)
        Which one that is.
    changes : ndarray of float32 (walks, steps)
        From each picture to the next; from the last to the first.
    threshold : float
        Below which a picture is near.
    seed : int

    Returns
    -------
    Dwelling
    """
    walks, steps = relative.shape
    between = (relative + np.roll(relative, -1, axis=1)) / 2
    fast = changes.argsort(axis=1, kind="stable").argsort(axis=1) >= steps - steps // 2
    slow = ~fast
    # The contrast of every walk for every shift of its distances, none first.
    contrasts = np.stack(
        [
            (shifted * fast).sum(1) / fast.sum(1) - (shifted * slow).sum(1) / slow.sum(1)
            for shifted in (np.roll(between, k, axis=1) for k in range(steps))
        ],
        axis=1,
    )
    random = np.random.default_rng(seed)
    chosen = random.integers(0, steps, (PERMUTATIONS, walks))
    null = contrasts[np.arange(walks), chosen].mean(1)
    contrast = bootstrap_estimate(contrasts[:, 0], seed=seed, over="walks")
    largest = changes.max(1) / np.maximum(changes.mean(1), np.finfo(np.float32).tiny)
    return Dwelling(
        contrast=contrast,
        null=middle(null),
        p_value=float((1 + np.sum(null >= contrast.value - 1e-9)) / (1 + PERMUTATIONS)),
        near=float((relative < threshold).mean()),
        visited=float(np.mean([len(np.unique(row)) for row in numbers])),
        largest_step=bootstrap_estimate(largest, seed=seed, over="walks"),
        walks=walks,
        steps=steps,
    )
