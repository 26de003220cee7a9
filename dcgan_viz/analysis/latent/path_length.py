"""Perceptual path length (Karras et al. 2019): how fast the picture changes along a way through the latent space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dcgan_viz.analysis.latent.spaces import Space
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.spec import Prior
from dcgan_viz.statistics import Estimate, Seed, bootstrap_estimate, stream

EPSILON, PAIRS = 1e-4, 128
BATCH = 64


@dataclass(frozen=True)
class PathLength:
    """The mean squared speed of the picture on a way from one random latent to another, the whole way taking 1.

    Parameters
    ----------
    space : {"pixels", "features"}
        Pixels: root mean square difference, in the range [-1, 1].
    mean : Estimate
        Of d(G(z(t)), G(z(t + ε)))² / ε² over random pairs of latents and t from U(0, 1).
    relative : float
        The same in units of the mean squared distance of independent samples: 1 if the picture went straight from
        one to the other at even speed.
    """

    space: str
    mean: Estimate
    relative: float


def blend(start: Tensor, end: Tensor, t: Tensor, prior: Prior) -> Tensor:
    """Latents at fractions `t` of the ways from `start` to `end`; shapes (…, latent) and (…, 1) broadcast.

    A uniform prior fills a cube, in which straight lines stay. A Gaussian's mass lies on a shell that straight lines
    cut through, so there the way is an arc (White 2016): sin((1 - t)θ)/sin θ · start + sin(tθ)/sin θ · end, with θ the
    angle between the two.

    Examples
    --------
    >>> blend(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]), torch.tensor([0.25]), "uniform")
    tensor([0.2500, 1.0000])
    """
    line = torch.lerp(start, end, t)
    if prior == "uniform":
        return line
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=-1).unsqueeze(-1)
    angle = torch.arccos(cosine.clamp(-1, 1))
    arc = (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()
    # Parallel or opposite: the arc is the line itself, or not determined.
    return torch.where(angle.sin() < 1e-4, line, arc)


@torch.no_grad()
def path_length(
    model: DCGAN, space: Space, unrelated: float, *, pairs: int = PAIRS, epsilon: float = EPSILON, seed: Seed = 0
) -> tuple[PathLength, PathLength]:
    """The perceptual path length in z, of full paths (Karras et al. 2019, section 4.1), in pixels and in features.

    The ways are those of `blend`. On the bundled model the means are those of float64 to 0.01 %, at ε = 1e-4 and to 0.1 %
    at 1e-5: so ε is small enough, and large enough for float32.

    Parameters
    ----------
    model : DCGAN
    space : Space
        The discriminator's features; independent samples lie 1 apart.
    unrelated : float
        Mean squared pixel difference of independent samples, in the range [-1, 1].
    pairs : int
    epsilon : float
    seed : int
        Of the pairs, of t and of the bootstrap.

    Returns
    -------
    tuple of PathLength
    """
    # The points are blended in float64: in float32 two of them would round to other distances than ε.
    ends = model.latents(2 * pairs, seed).double()
    t = torch.from_numpy(np.random.default_rng(stream(seed, 1)).random((pairs, 1)))
    prior = model.prior
    starts, stops = (blend(ends[::2], ends[1::2], t + step, prior).float() for step in (0.0, epsilon))
    distances: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "pixels": lambda a, b: (a - b).square().flatten(1).mean(1),
        "features": lambda a, b: (space.vectors(a) - space.vectors(b)).square().sum(1),
    }
    speeds: dict[str, list[Tensor]] = {name: [] for name in distances}
    for a, b in zip(starts.split(BATCH), stops.split(BATCH), strict=True):
        first, second = model.generate(a), model.generate(b)
        for name, distance in distances.items():
            speeds[name].append(distance(first, second).cpu().double() / epsilon**2)
    found = []
    for name, scale in (("pixels", unrelated), ("features", 1.0)):
        values = torch.cat(speeds[name]).numpy()
        mean = bootstrap_estimate(values, seed=stream(seed, 2), over="pairs")
        found.append(PathLength(name, mean, mean.value / max(scale, 1e-12)))
    return found[0], found[1]
