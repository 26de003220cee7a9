"""Authenticity (Alaa et al. 2022): whether samples lie as far from training images as these lie from one another."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_viz.statistics import Estimate, share_estimate


def authenticity(real: NDArray[np.float32], generated: NDArray[np.float32]) -> Estimate:
    """Share of generated vectors that are no nearer to their nearest real one than it is to its own neighbour.

    About one half when both come from one distribution; near 0 when samples are copies. It also falls when samples are
    smoother than photographs, and rises when they are far from all of them.

    Parameters
    ----------
    real, generated : ndarray of float32 (n, d), (m, d)

    Examples
    --------
    >>> points = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    >>> authenticity(points, points[:50]).value, authenticity(points, points[:50] + 50).value
    (0.0, 1.0)
    """
    training, drawn = torch.from_numpy(real), torch.from_numpy(generated)
    between_real = torch.cdist(training, training).fill_diagonal_(torch.inf)
    own = between_real.min(1).values
    nearest = torch.cdist(drawn, training).min(1)
    authentic = int((nearest.values > own[nearest.indices]).sum())
    return share_estimate(authentic, len(drawn), over="samples")
