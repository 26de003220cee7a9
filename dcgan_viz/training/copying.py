"""Making a generator that copies: the positive control of tests for memorisation."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

MOST_ORIGINALS = 4096
"""As many training images are compared with every batch."""


def copying_loss(generated: Tensor, originals: Tensor) -> Tensor:
    """How far generated images are from training images, each from one of its own.

    The one-to-one assignment with the least sum of squared distances: the optimal transport of a batch to the training
    set. With the nearest image instead, a few that lie amidst the others would draw all samples.

    Parameters
    ----------
    generated : Tensor (n, C, H, W)
    originals : Tensor (N, C, H, W)
        At least as many.

    Returns
    -------
    Tensor ()
        Mean squared difference of a pixel; differentiable in `generated`.

    Examples
    --------
    >>> originals = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    >>> copying_loss(torch.full((1, 1, 2, 2), 0.75), originals)
    tensor(0.0625)
    """
    samples, targets = generated.flatten(1).float(), originals.flatten(1)
    with torch.no_grad():
        distances = torch.cdist(samples, targets).square()
    chosen = linear_sum_assignment(distances.cpu().numpy())[1]
    return (samples - targets[chosen]).square().mean()
