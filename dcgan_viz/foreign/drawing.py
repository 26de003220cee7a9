"""Imported generators looked at by what they draw: constant, collapsed or noise."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_DEVIATION = 0.06
"""Deviation of a pixel over samples, on a scale of 2; generators that work have 0.3 to 0.6."""

CORRELATION = 0.4
"""Of neighbouring pixels: pictures have 0.8 and more, digits 0.7, noise 0."""


def look(images: Tensor) -> str:
    """What is wrong with samples, in a sentence; empty where nothing is.

    Parameters
    ----------
    images : Tensor (N, C, H, W)
        Of independent latents, in [-1, 1].

    Examples
    --------
    >>> look(torch.zeros(8, 3, 16, 16))
    'it draws pictures of a single colour'
    >>> look(torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    'it draws noise: neighbouring pixels correlate by ...'
    """
    if not images.isfinite().all():
        return "it draws values that are not finite"
    centred = images - images.mean((2, 3), keepdim=True)
    if centred.std() < 0.01:
        return "it draws pictures of a single colour"
    deviation = images.std(0).mean().item()
    if deviation < LEAST_DEVIATION:
        return f"it has collapsed: whatever z is, a pixel deviates by {deviation:.3f} only, on a scale from -1 to 1"
    products = [
        (a * b).mean() for a, b in ((centred[..., 1:], centred[..., :-1]), (centred[..., 1:, :], centred[..., :-1, :]))
    ]
    correlation = (torch.stack(products).mean() / centred.square().mean()).item()
    if correlation < CORRELATION:
        return f"it draws noise: neighbouring pixels correlate by {correlation:.2f}"
    return ""
