"""Pictures as pixels: tiling and saving, without a plotting library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

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


def numbered_sheets(
    pixels: NDArray[np.uint8], *, columns: int = 10, a_page: int = 100, size: int = 128
) -> list[NDArray[np.uint8]]:
    """Enlarged pictures with their numbers beneath, page by page, to be chosen from.

    Parameters
    ----------
    pixels : ndarray of uint8 (N, H, W, C)
    columns, a_page : int
        Pictures a row, and a page.
    size : int
        Side of each, in pixels.

    Returns
    -------
    list of ndarray of uint8 (rows, columns, 3)

    Examples
    --------
    >>> [page.shape for page in numbered_sheets(np.zeros((3, 4, 4, 1), np.uint8), columns=2, a_page=2)]
    [(164, 280, 3), (164, 280, 3)]
    """
    gap, label = 8, 20
    font = ImageFont.load_default(16)
    pages = []
    for first in range(0, len(pixels), a_page):
        shown = pixels[first : first + a_page]
        rows = -(-len(shown) // columns)
        width, height = columns * (size + gap) + gap, rows * (size + gap + label) + gap
        page = Image.new("RGB", (width, height), "white")
        draw = ImageDraw.Draw(page)
        for index, picture in enumerate(shown):
            left, top = gap + index % columns * (size + gap), gap + index // columns * (size + gap + label)
            image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).convert("RGB")
            # Smooth: blocks of sharp pixels hide what a face does.
            page.paste(image.resize((size, size), Image.Resampling.BICUBIC), (left, top))
            draw.text((left + size // 2, top + size + 2), str(first + index), fill="black", font=font, anchor="ma")
        pages.append(np.asarray(page))
    return pages


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
