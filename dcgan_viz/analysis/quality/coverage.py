"""Fidelity and variety of samples: precision, recall, density and coverage."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dcgan_viz.statistics import Estimate, bootstrap_estimate

NEIGHBOURS = 5


@dataclass(frozen=True)
class Coverage:
    """Precision and recall of Kynkäänniemi et al. 2019, density and coverage of Naeem et al. 2020, with 5 neighbours.

    Each with its 95 % bootstrap interval over the images that it is an average of, the others held.

    Parameters
    ----------
    precision : Estimate
        Share of generated images within the ball, to its fifth neighbour, of a real one.
    recall : Estimate
        Share of real images within the ball of a generated one.
    density : Estimate
        Balls of real images that a generated one is in, over 5; 1 when alike.
    coverage : Estimate
        Share of real images with a generated one in their ball.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def coverage(real: Tensor, generated: Tensor, seed: int = 0) -> Coverage:
    """Precision, recall, density and coverage of two sets of vectors (n, d) and (m, d), at least 6 of each.

    Examples
    --------
    >>> points = torch.rand(50, 2)
    >>> coverage(points, points + 5).precision.value
    0.0
    """
    real_radius = torch.cdist(real, real).kthvalue(NEIGHBOURS + 1, dim=1).values
    generated_radius = torch.cdist(generated, generated).kthvalue(NEIGHBOURS + 1, dim=1).values
    between = torch.cdist(real, generated)
    inside = between < real_radius[:, None]

    def estimate(values: Tensor) -> Estimate:
        return bootstrap_estimate(values.double().numpy(), seed=seed, over="images")

    return Coverage(
        precision=estimate(inside.any(0)),
        recall=estimate((between < generated_radius[None]).any(1)),
        density=estimate(inside.double().sum(0) / NEIGHBOURS),
        coverage=estimate(between.min(1).values < real_radius),
    )
