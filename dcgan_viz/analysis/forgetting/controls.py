"""Other maps than the chosen ones: at random, or of like activation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.statistics import Seed

NEIGHBOURS = 5
"""Maps of like activation among which an activation-matched control picks."""


def random_choices(maps: Sequence[int], count: int, draws: int, seed: Seed) -> NDArray[np.int64]:
    """Draws of `count` of the maps at random (draws, count), each without repetition.

    Examples
    --------
    >>> random_choices([4, 7, 9], 2, 50, seed=0).shape
    (50, 2)
    """
    order = np.random.default_rng(seed).random((draws, len(maps))).argsort(1)[:, :count]
    return np.asarray(maps, np.int64)[order]


def random_factors(channels: int, count: int, samples: int, seed: Seed, strength: float = 1.0) -> Tensor:
    """Factors (samples, channels) that scale down `count` random maps, other ones for every sample.

    A control whose samples are independent: it averages over choices of maps, not only over pictures.
    """
    chosen = random_choices(range(channels), count, samples, seed)
    return torch.ones(samples, channels).scatter_(1, torch.from_numpy(chosen), 1 - strength)


def matched_factors(
    activations: NDArray[np.float64], chosen: Sequence[int], samples: int, seed: Seed, strength: float = 1.0
) -> Tensor | None:
    """Factors (samples, C) that scale down, for each chosen map, an unchosen one of like mean activation.

    Each sample gets other maps: for every chosen one, a random one of the five nearest that are not taken yet.

    Parameters
    ----------
    activations : ndarray of float64 (C,)
        Mean of each map.
    chosen : sequence of int
    samples : int
    seed : int or sequence of int
    strength : float

    Returns
    -------
    Tensor, optional
        None if more than half of the maps are chosen: too few are left.
    """
    others = np.setdiff1d(np.arange(len(activations)), chosen)
    if len(others) < len(chosen):
        return None
    random = np.random.default_rng(seed)
    factors = torch.ones(samples, len(activations))
    nearest = {m: others[np.argsort(np.abs(activations[others] - activations[m]), kind="stable")] for m in chosen}
    for sample in range(samples):
        taken: set[int] = set()
        for m in random.permutation(np.asarray(chosen, np.int64)):
            free = [o for o in nearest[int(m)] if int(o) not in taken][:NEIGHBOURS]
            taken.add(int(random.choice(free)))
        factors[sample, sorted(taken)] = 1 - strength
    return factors
