"""Pictures as pixels: tiling and saving, without a plotting library."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file, refuse_existing, say_replaced

LARGEST_SIDES = {".png": 2**31 - 1, ".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
"""Pixels, by the ending of a picture's name."""

LARGEST_MEMORY = 4 * 2**30
"""Bytes that a picture may take while it is drawn."""

SHEET_PICTURES = 100
"""Pictures on a numbered sheet."""


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
    count, height, width = pixels.shape[:3]
    columns = columns or page_columns(count)
    page = np.full(page_shape(pixels.shape, columns, gap), 255, np.uint8)
    for index, picture in enumerate(pixels):
        top = gap + index // columns * (height + gap)
        left = gap + index % columns * (width + gap)
        page[top : top + height, left : left + width] = picture
    return page


def page_columns(count: int) -> int:
    """Pictures a row that make a page of `count` about square, without a hole at its end where that can be.

    Examples
    --------
    >>> [page_columns(count) for count in (1, 3, 48, 53, 64)]
    [1, 2, 8, 8, 8]
    """
    square = int(np.ceil(np.sqrt(count)))
    # Up to twice as wide as high.
    return next((n for n in range(square, int(1.4 * square) + 1) if count % n == 0), square)


def page_shape(shape: tuple[int, ...], columns: int | None = None, gap: int = 2) -> tuple[int, int, int]:
    """Rows, columns and channels of the page that `tile` makes of pixels of a shape (N, H, W, C).

    Examples
    --------
    >>> page_shape((3, 4, 4, 3), columns=2, gap=0)
    (8, 8, 3)
    """
    count, height, width, channels = shape
    columns = columns or page_columns(count)
    return -(-count // columns) * (height + gap) + gap, columns * (width + gap) + gap, channels


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
    pixels: NDArray[np.uint8], *, columns: int = 10, a_page: int = SHEET_PICTURES, size: int = 128
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


def check_picture(
    path: Path,
    shape: tuple[int, int, int] | None = None,
    scale: int = 1,
    overwrite: bool = False,
    again: bool = False,
) -> None:
    """Refuse a picture that could not be written, before anything is drawn for it.

    Parameters
    ----------
    path : Path
    shape : tuple of int, optional
        Rows, columns and channels, before it is enlarged.
    scale : int
        How many times it is enlarged.
    overwrite : bool
        Whether a file may be replaced, whoever wrote it.
    again : bool
        Whether a PNG may be replaced that was written here, which a mark in it tells, and that nobody has changed.

    Raises
    ------
    UserError
        If the ending is no picture's, the picture would be larger than the format or memory allows, or there is a file
        that was not written here, or was changed since.

    Examples
    --------
    >>> check_picture(Path("samples.tiff"))
    Traceback (most recent call last):
    dcgan_viz.errors.UserError: samples.tiff is not a picture: expected a PNG, JPEG or WebP file, whose name ends in ...
    """
    ending = path.suffix.lower()
    if ending not in LARGEST_SIDES:
        raise UserError(
            f"{path} is not a picture: expected a PNG, JPEG or WebP file, whose name ends in .png, .jpg, .jpeg or .webp"
        )
    if shape is not None:
        height, width = shape[0] * scale, shape[1] * scale
        # As it is drawn, as Pillow takes it over, and enlarged.
        needed = (scale**2 + 2) * int(np.prod(shape))
        if needed > LARGEST_MEMORY:
            raise UserError(
                f"a picture of {width}x{height} pixels needs {needed / 2**30:.1f} GiB of memory, and at most "
                f"{LARGEST_MEMORY / 2**30:.0f} are used: draw fewer samples, enlarge them less, or write single files "
                "with `each=True`"
            )
        if max(height, width) > LARGEST_SIDES[ending]:
            raise UserError(
                f"{path} would have {width}x{height} pixels, and a {ending} has at most {LARGEST_SIDES[ending]} a side: "
                "choose a name that ends in .png"
            )
    refuse_existing(path, overwrite, lambda file: again and is_our_picture(file))


def save_picture(
    pixels: NDArray[np.uint8], path: str | Path, scale: int = 1, overwrite: bool = False, again: bool = False
) -> Path:
    """Write pixels (H, W, C), uint8, as an image file; each pixel becomes `scale` squared.

    Parameters
    ----------
    pixels : ndarray of uint8 (H, W, C)
    path : path
        Its ending decides: ``.png``, ``.jpg`` or ``.webp``.
    scale : int
    overwrite : bool
        Replace a file that is there, whoever wrote it, and say so in a `Notice`.
    again : bool
        As in `check_picture`.

    Raises
    ------
    UserError
        As `check_picture`; also if the folder cannot be written or the disk is full.
    """
    target = Path(path)
    height, width, channels = pixels.shape
    check_picture(target, (height, width, channels), scale, overwrite, again)
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    if scale > 1:
        image = image.resize((width * scale, height * scale), Image.Resampling.NEAREST)
    with atomic_file(target) as temporary:
        image.save(temporary)
        if target.suffix.lower() == ".png":
            _mark(temporary)
        if overwrite:
            say_replaced(target)
    return target


def _mark(path: Path) -> None:
    """Put the SHA-256 of a PNG into it, in a last chunk of text, so that it is known again as long as it is the same."""
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest().encode()
        file.seek(-len(_END), os.SEEK_END)
        file.write(_text_chunk(digest) + _END)


def is_our_picture(path: Path) -> bool:
    """Whether a file is a PNG that `save_picture` wrote, bit by bit as it was."""
    tail = len(_text_chunk(bytes(64))) + len(_END)
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END) - tail
        if length < 0:
            return False
        state = hashlib.sha256()
        file.seek(0)
        for start in range(0, length, 2**20):
            state.update(file.read(min(2**20, length - start)))
        state.update(_END)
        return file.read() == _text_chunk(state.hexdigest().encode()) + _END


def _text_chunk(text: bytes) -> bytes:
    """A chunk of a PNG that holds text (www.w3.org/TR/png-3, section 11.3.3.2)."""
    content = b"tEXt" + b"dcgan-viz\0" + text
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
