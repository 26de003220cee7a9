"""Latents on disk: a plain NumPy array of float, one point a row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.data.arrays import read_arrays
from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file, refuse_existing, say_replaced

LATENTS_FILE = "latents.npy"


def load_latents(path: str | Path, latent_dim: int) -> Tensor:
    """Points of a latent space from an ``.npy`` file.

    Parameters
    ----------
    path : path
    latent_dim : int
        Dimensions of the model's z.

    Returns
    -------
    Tensor of float32 (n, latent_dim)

    Raises
    ------
    UserError
        If it is no array of finite floats of that shape.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load_latents(save_latents(torch.zeros(2, 3), Path(folder) / "points.npy"), 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    arrays = list(read_arrays(Path(path)).values())
    if len(arrays) != 1:
        raise UserError(f"{path} holds {'several arrays' if arrays else 'no array'}: save one with numpy.save")
    (points,) = arrays
    if points.dtype.kind != "f" or points.ndim != 2 or points.shape[1] != latent_dim or len(points) == 0:
        raise UserError(
            f"{path} holds {points.dtype} {points.shape}, but points of this model are floats (n, {latent_dim})"
        )
    if not np.isfinite(points).all():
        raise UserError(f"{path} holds numbers that are not finite: every coordinate of a point must be a number")
    return torch.from_numpy(points.astype(np.float32))


def save_latents(latents: Tensor | NDArray[np.float32], path: str | Path, overwrite: bool = False) -> Path:
    """Write latents (n, latent_dim) as ``.npy``, whole or not at all.

    Raises
    ------
    UserError
        If there is a file already and `overwrite` is not set, the folder cannot be written, or the disk is full.
    """
    target = Path(path)
    refuse_existing(target, overwrite)
    with atomic_file(target) as temporary:
        np.save(temporary, np.asarray(latents, np.float32))
        say_replaced(target)
    return target
