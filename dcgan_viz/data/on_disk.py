"""Room for pictures that are more than memory should hold."""

from __future__ import annotations

import math
import os
import tempfile

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.errors import UserError


def on_disk(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An array of uint8 in a temporary file, which goes with it.

    All of its room is taken at once: a memory map of a full disk would kill the process.

    Parameters
    ----------
    shape : tuple of int

    Raises
    ------
    UserError
        If the disk has no room for it.

    Examples
    --------
    >>> on_disk((2, 3)).shape
    (2, 3)
    """
    size = math.prod(shape)
    try:
        with tempfile.TemporaryFile(prefix="dcgan-viz-") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.memmap(file, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise UserError(
            f"{tempfile.gettempdir()} has no room for {size / 2**30:.1f} GiB of pictures ({error.strerror or error}): name a "
            "folder on a larger disk in TMPDIR"
        ) from error
