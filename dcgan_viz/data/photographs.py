"""A user's own photographs: single files beside folders, zips and arrays."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.data.decoding import quiet_decoders, read_square, readable_endings
from dcgan_viz.data.images import ImageSet, load_images
from dcgan_viz.errors import Notice, UserError

ENLARGED = 4
"""A picture that is enlarged more than this many times shows next to nothing."""


def load_photographs(
    sources: Sequence[str | Path], size: int, channels: int = 3, *, limit: int | None = None
) -> ImageSet:
    """The pictures of several sources, squared to one size, in the order given.

    Parameters
    ----------
    sources : sequence of path
        Image files, and whatever `load_images` reads.
    size, channels : int
        What to make of each picture.
    limit : int, optional
        Take at most this many of each folder, zip or array, evenly spread over it.

    Returns
    -------
    ImageSet

    Raises
    ------
    UserError
        If a source is missing, holds no images, or one does not decode.
    """
    pixels: list[NDArray[np.uint8]] = []
    names: list[str] = []
    for source in map(Path, sources):
        if source.suffix.lower() in readable_endings() and not source.is_dir():
            with quiet_decoders():
                picture = read_square(source, source, size, channels)
            if picture.trouble is not None:
                warnings.warn(
                    f"{source} has unreadable metadata and is not turned: {picture.trouble}", Notice, stacklevel=2
                )
            _say_enlarged(source, picture.side, size)
            pixels.append(picture.pixels[None])
            names.append(source.name)
        else:
            found = load_images(source, size, channels, limit=limit)
            pixels.append(found.pixels)
            names.extend(found.names)
    if not pixels:
        raise UserError("there are no photographs: give image files, a folder, a zip or an .npy array")
    return ImageSet(np.concatenate(pixels), tuple(names))


def _say_enlarged(source: Path, side: int, size: int) -> None:
    if side * ENLARGED < size:
        warnings.warn(
            f"{source} was enlarged from {side}x{side} to {size}x{size} pixels and shows little: give a larger picture",
            Notice,
            stacklevel=3,
        )
