"""Holding pictures out without holding out copies of those that are trained on."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.data.duplicates.linked import first_linked, first_within

ALIKE = 0.95
"""Correlation of 16x16 grey pictures from which two count as one: of UTKFace's pairs above it most are the same photograph."""

SIDE = 16
BLOCK = 2048


def near_duplicates(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number the groups of pictures that are about the same photograph, mirrored ones too.

    Two pictures belong together if their grey pictures, shrunk to 16x16, correlate above 0.95; and so do chains of
    such pairs.

    Parameters
    ----------
    pixels : ndarray of uint8 (N, H, W, C)
        At least 16 pixels high and wide.

    Returns
    -------
    ndarray of int64 (N,)

    Examples
    --------
    >>> drawn = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1), dtype=np.uint8)
    >>> near_duplicates(np.concatenate([drawn, drawn[:1, :, ::-1]]))
    array([0, 1, 2, 0])
    """
    grey = torch.cat([_shrink(pixels[start : start + BLOCK]) for start in range(0, len(pixels), BLOCK)])
    count, vectors = len(grey), torch.cat([_standardise(grey), _standardise(grey.flip(2))])
    firsts = first_within(vectors, math.sqrt(2 - 2 * ALIKE))
    # A picture and its mirror image are one.
    either = first_linked(np.stack([firsts[:count], firsts[count:]], 1), 2 * count)[firsts[:count]]
    return np.unique(either, return_inverse=True)[1].astype(np.int64)


def hold_out(groups: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose whole groups at random until they make up a share of the pictures.

    Parameters
    ----------
    groups : ndarray of int64 (N,)
        From `near_duplicates`.
    share : float
    seed : int

    Returns
    -------
    ndarray of bool (N,)

    Examples
    --------
    >>> hold_out(np.array([0, 0, 1, 1]), 0.5, seed=0).sum()
    np.int64(2)
    """
    numbers, sizes = np.unique(groups, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(numbers))
    chosen = np.cumsum(sizes[order]) <= round(share * len(groups))
    return np.isin(groups, numbers[order[chosen]])


def _shrink(pixels: NDArray[np.uint8]) -> Tensor:
    """Grey float pictures (N, 16, 16)."""
    grey = torch.from_numpy(pixels.astype(np.float32).mean(-1))
    return torch.nn.functional.adaptive_avg_pool2d(grey.unsqueeze(1), SIDE).squeeze(1)


def _standardise(grey: Tensor) -> Tensor:
    """Vectors (N, 256) whose inner products are correlations."""
    centred = grey.flatten(1) - grey.flatten(1).mean(1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-6)
