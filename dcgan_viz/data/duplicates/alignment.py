"""Whether two small pictures show the same: their correlation once one is laid over the other.

A crop of a picture is that picture, larger and shifted. The second picture is fitted to the first by scale and shift
along both axes, which Gauss and Newton's method finds (Lucas & Kanade 1981), first in blurred pictures. Brightness and
contrast do not matter to a correlation.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

BATCH = 512
BLURRED_ROUNDS, SHARP_ROUNDS = 4, 4
WIDEST = 0.2
"""The most that a scale may differ from 1, and a shift from 0, in halves of a picture's side: crops of up to 10 %."""
FLAT = 4.0
"""Added to a picture's standard deviation, in grey levels of 255: a flat one has no contrast to bring out."""
COARSE = 32
"""Side of the pictures that `detail_correlation` looks behind."""


def aligned_correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The correlation of pairs of pictures, each after the second was fitted to the first.

    Parameters
    ----------
    first, second : ndarray of uint8 (n, S, S, C)

    Returns
    -------
    ndarray of float32 (n,)
        At most 1, of the same picture; the better of the correlations with and without the fit.

    Examples
    --------
    >>> pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    >>> aligned_correlation(pictures, pictures // 2).round(2)
    array([1., 1.], dtype=float32)
    """
    found = np.zeros(len(first), np.float32)
    with torch.no_grad():
        for start in range(0, len(first), BATCH):
            a, b = (_normalised(pictures[start : start + BATCH]) for pictures in (first, second))
            unfitted = _correlation(a, b, torch.ones_like(a[:, :1]))
            fitted = _correlation(a, *_warp(b, _fit(a, b, _unchanged(len(a)), BLURRED_ROUNDS, SHARP_ROUNDS)))
            found[start : start + BATCH] = torch.maximum(unfitted, fitted).numpy()
    # Two that are flat have no correlation, and may still be the same.
    found[(first == second).all((1, 2, 3))] = 1
    return found


def detail_correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The correlation of what in pairs of fitted pictures is finer than 32x32 pixels.

    Other photographs of one composition agree coarsely; in their details only pictures of one origin do.

    Parameters
    ----------
    first, second : ndarray of uint8 (n, S, S, C)
        S is at least 64.

    Returns
    -------
    ndarray of float32 (n,)
    """
    found = [np.zeros(0, np.float32)]
    with torch.no_grad():
        for start in range(0, len(first), BATCH // 8):
            a, b = (_normalised(pictures[start : start + BATCH // 8]) for pictures in (first, second))
            parameters = _unchanged(len(a))
            for side in (COARSE, a.shape[-1]):
                blurred = BLURRED_ROUNDS if side == COARSE else 1
                parameters = _fit(_shrunk(a, side), _shrunk(b, side), parameters, blurred, SHARP_ROUNDS)
            warped, inside = _warp(b, parameters)
            found.append(_correlation(_detail(a), _detail(warped), inside).numpy())
    return np.concatenate(found)


def _shrunk(images: Tensor, side: int) -> Tensor:
    return functional.adaptive_avg_pool2d(images, side)


def _detail(images: Tensor) -> Tensor:
    return images - functional.interpolate(_shrunk(images, COARSE), images.shape[-1], mode="bilinear")


def _normalised(pictures: NDArray[np.uint8]) -> Tensor:
    """Pictures (n, C, S, S) of mean 0 and, but for flat ones, deviation 1."""
    images = torch.from_numpy(pictures.astype(np.float32)).permute(0, 3, 1, 2)
    centred = images - images.mean((1, 2, 3), keepdim=True)
    return centred / (centred.pow(2).mean((1, 2, 3), keepdim=True).sqrt() + FLAT)


def _unchanged(count: int) -> Tensor:
    """Scale and shift along x, then along y, of a picture that is left as it is."""
    return torch.tensor([1.0, 0.0, 1.0, 0.0]).repeat(count, 1)


def _fit(first: Tensor, second: Tensor, parameters: Tensor, blurred_rounds: int, sharp_rounds: int) -> Tensor:
    """Better scales and shifts (n, 4) of the second pictures, which their grey values give."""
    first, second = first.mean(1, keepdim=True), second.mean(1, keepdim=True)
    for a, b, rounds in ((_blur(first), _blur(second), blurred_rounds), (first, second, sharp_rounds)):
        for _ in range(rounds):
            parameters = parameters + _step(a, *_warp(b, parameters))
            parameters[:, 0::2].clamp_(1 - WIDEST, 1 + WIDEST)
            parameters[:, 1::2].clamp_(-WIDEST, WIDEST)
    return parameters


def _blur(images: Tensor) -> Tensor:
    return functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def _basis(side: int) -> tuple[Tensor, Tensor]:
    """What scale and shift along x, and along y, multiply: (2, S, S) each, in `grid_sample`'s coordinates."""
    line = (2 * torch.arange(side) + 1) / side - 1
    ones = torch.ones(side, side)
    return torch.stack([line.expand(side, side), ones]), torch.stack([line[:, None].expand(side, side), ones])


def _warp(images: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """The pictures scaled and shifted, and a mask (n, 1, S, S) of where there is something of them."""
    along_x, along_y = _basis(images.shape[-1])
    x = torch.einsum("nk,kij->nij", parameters[:, :2], along_x)
    y = torch.einsum("nk,kij->nij", parameters[:, 2:], along_y)
    grid = torch.stack([x, y], -1)
    warped = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return warped, (grid.abs().amax(-1) <= 1).float()[:, None]


def _step(a: Tensor, b: Tensor, inside: Tensor) -> Tensor:
    """What to add to the parameters, so that b comes to look like a, whatever their brightness and contrast."""
    side = a.shape[-1]
    slope_x = functional.pad((b[..., 2:] - b[..., :-2]) * (side / 4), (1, 1, 0, 0), mode="replicate")
    slope_y = functional.pad((b[..., 2:, :] - b[..., :-2, :]) * (side / 4), (0, 0, 1, 1), mode="replicate")
    along_x, along_y = _basis(side)
    # Of each pixel: its change with each parameter, with contrast, with brightness.
    slopes = [slope_x * along_x[0], slope_x, slope_y * along_y[0], slope_y, b, torch.ones_like(b)]
    rows = (torch.stack(slopes, -1) * inside.unsqueeze(-1)).flatten(1, 3)
    normal = rows.transpose(1, 2) @ rows
    damped = normal + torch.diag_embed(1e-3 * normal.diagonal(dim1=1, dim2=2) + 1e-3)
    left = ((a - b) * inside).flatten(1)
    return torch.linalg.solve(damped, torch.einsum("npk,np->nk", rows, left))[:, :4]


def _correlation(a: Tensor, b: Tensor, inside: Tensor) -> Tensor:
    """Over the pixels inside, in all channels at once."""
    weight = inside.expand_as(a).flatten(1)
    total = weight.sum(1, keepdim=True)
    a, b = a.flatten(1), b.flatten(1)
    a = (a - (a * weight).sum(1, keepdim=True) / total) * weight
    b = (b - (b * weight).sum(1, keepdim=True) / total) * weight
    return (a * b).sum(1) / (a.pow(2).sum(1) * b.pow(2).sum(1)).sqrt().clamp_min(1e-6)
