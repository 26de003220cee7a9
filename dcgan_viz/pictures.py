"""Pictures as pixels: tiling and saving, without a plotting library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.files import atomic_file


def tile(pixels: NDArray[np.uint8], columns: int | None = None, gap: int = 2) -> NDArray[np.uint8]:
    """Pictures side by side on white, row by row.

    Parameters
    ----------
    pixels : ndarray of uint8 (N, H, W, C)
    columns : int, optional
        Pictures a row; by default as many as make the page about square.
    gap : int
        White pixels around each picture.

    Returns
    -------
    ndarray of uint8 (rows, columns, C)

    Examples
    --------
    >>> tile(np.zeros((3, 4, 4, 3), np.uint8), columns=2, gap=0).shape
    (8, 8, 3)
    """
    count, height, width, channels = pixels.shape
    columns = columns or int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    page = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8)
    for index, picture in enumerate(pixels):
        top = gap + index // columns * (height + gap)
        left = gap + index % columns * (width + gap)
        page[top : top + height, left : left + width] = picture
    return page


def fit(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A picture (H, W, C) enlarged to fill a white square (size, size, 3), its proportions kept and its pixels sharp.

    Examples
    --------
    >>> fit(np.zeros((2, 4, 1), np.uint8), 8)[:, 0, 0]
    array([255, 255,   0,   0,   0,   0, 255, 255], dtype=uint8)
    """
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    scale = size / max(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.NEAREST)
    page = Image.new("RGB", (size, size), "white")
    page.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return np.asarray(page)


def save_picture(pixels: NDArray[np.uint8], path: str | Path, scale: int = 1) -> Path:
    """Write pixels (H, W, C), uint8, as an image file; each pixel becomes `scale` squared.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    target = Path(path)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    with atomic_file(target) as temporary:
        image.save(temporary)
    return target
