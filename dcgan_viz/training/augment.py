"""Differentiable augmentation (Zhao et al. 2020, arXiv 2006.10738)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

POLICIES = ("color", "translation", "cutout")


def augment(images: Tensor, policies: tuple[str, ...], random: np.random.Generator) -> Tensor:
    """Images changed at random in ways that gradients pass through.

    Applied to every image that the discriminator sees, real or generated, in both updates, so that it
    cannot memorise a small training set and the generator does not learn the changes.

    Parameters
    ----------
    images : Tensor (N, C, H, W)
        In [-1, 1].
    policies : tuple of {"color", "translation", "cutout"}
        ``color``: brightness, saturation and contrast; ``translation``: by up to an eighth of the side,
        zeros moving in; ``cutout``: a square of half the side set to zero.
    random : numpy Generator
        What the changes are drawn from, whatever the device.

    Returns
    -------
    Tensor (N, C, H, W)

    Examples
    --------
    >>> augment(torch.zeros(2, 3, 8, 8), ("translation",), np.random.default_rng(0)).shape
    torch.Size([2, 3, 8, 8])
    """
    for policy in policies:
        images = _FUNCTIONS[policy](images, random)
    return images


def _uniform(images: Tensor, random: np.random.Generator) -> Tensor:
    values = torch.from_numpy(random.random((len(images), 1, 1, 1), dtype=np.float32))
    return values.to(images.device, images.dtype)


def _color(images: Tensor, random: np.random.Generator) -> Tensor:
    images = images + (_uniform(images, random) - 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (2 * _uniform(images, random))
    level = images.mean((1, 2, 3), keepdim=True)
    return level + (images - level) * (0.5 + _uniform(images, random))


def _offsets(images: Tensor, low: int, high: int, random: np.random.Generator) -> Tensor:
    """Whole-pixel offsets (N, 2, 1), rows and columns, from `low` to `high` inclusive."""
    offsets = torch.from_numpy(random.integers(low, high + 1, (len(images), 2, 1)))
    return offsets.to(images.device)


def _translation(images: Tensor, random: np.random.Generator) -> Tensor:
    size = images.shape[-1]
    reach = size // 8
    offsets = _offsets(images, -reach, reach, random) + reach
    padded = functional.pad(images, (reach,) * 4)
    # One gather: rows and columns of the padded image that each output pixel reads.
    positions = torch.arange(size, device=images.device) + offsets
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[batch, positions[:, 0, :, None], positions[:, 1, None, :]]
    return moved.permute(0, 3, 1, 2)


def _cutout(images: Tensor, random: np.random.Generator) -> Tensor:
    size = images.shape[-1]
    side = size // 2
    centres = _offsets(images, 0, size - 1 + (1 - side % 2), random)
    distance = torch.arange(size, device=images.device) - centres + side // 2
    inside = (distance >= 0) & (distance < side)
    hole = inside[:, 0, :, None] & inside[:, 1, None, :]
    return images * ~hole[:, None]


_FUNCTIONS = {"color": _color, "translation": _translation, "cutout": _cutout}
