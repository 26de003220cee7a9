"""Watching a run: has the discriminator won, have the samples collapsed?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

WON_LOSS = 0.05
"""The discriminator has won when its loss, averaged over a tick, falls below this (2 log 2 at the start)."""

COLLAPSE_RATIO = 0.5
"""Samples have collapsed when they lie closer together than this fraction of the real images' distance."""


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a run, if anything.

    Parameters
    ----------
    warnings : tuple of str
        One sentence each; empty for a healthy run.
    """

    warnings: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.warnings


def spread(images: Tensor) -> float:
    """Median root-mean-square distance per pixel between pairs of images (N, C, H, W), N at least 2.

    Examples
    --------
    >>> spread(torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)]))
    1.0
    """
    flat = images.flatten(1).float()
    return float(torch.pdist(flat).median() / flat.shape[1] ** 0.5)


def judge(discriminator_loss: float, real: float, generated: float, sample_spread: float, real_spread: float) -> Verdict:
    """Judge a tick of training.

    Parameters
    ----------
    discriminator_loss, real, generated : float
        Means over the tick of the loss, D(x) and D(G(z)).
    sample_spread, real_spread : float
        `spread` of samples and of as many real images.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> judge(1.2, 0.6, 0.4, 0.5, 0.5).healthy
    True
    """
    warnings = []
    if discriminator_loss < WON_LOSS:
        warnings.append(
            f"the discriminator has won (loss {discriminator_loss:.3f}, D(x) {real:.2f}, D(G(z)) {generated:.2f}), "
            "so the generator learns little"
        )
    if not sample_spread >= COLLAPSE_RATIO * real_spread:
        warnings.append(
            f"the samples have collapsed: they differ by {sample_spread:.3f} a pixel where photographs "
            f"differ by {real_spread:.3f}"
        )
    return Verdict(tuple(warnings))
