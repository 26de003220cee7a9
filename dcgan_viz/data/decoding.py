"""One picture, of any format, mode and size, as what a person sees in a viewer: square, 8 bits, grey or RGB.

The rule. The first page or frame; turned as its metadata say; transparency laid on white; CMYK, YCbCr, Lab and palettes
converted, colour profiles not applied. 16-bit values are divided by 256; integers of 32 bits are taken for 16-bit
values, and floats for values from 0 to 1. Grey values outside of that range, or that fill less than a quarter of it,
would become white or black: they are refused, with what they are, unless `bits` says how many bits they fill. So is
what is wholly transparent, and what would take more than `MAXIMUM_PIXELS` to decode.
"""

from __future__ import annotations

import io
import math
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.data.orientation import TURNS, orientation
from dcgan_viz.errors import UserError

ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
"""Endings of files, in small letters, by Pillow's name of their format; no other format is tried on their bytes."""
HEIF_ENDINGS = frozenset(ENDINGS["HEIF"])
IMAGE_ENDINGS = frozenset(ending for endings in ENDINGS.values() for ending in endings) - HEIF_ENDINGS
MAXIMUM_FILE_BYTES = 256 * 2**20
"""A file, or a member of an archive, of more than this is refused."""
MAXIMUM_PIXELS = 50_000_000
"""A picture that takes more than this to decode is refused. libjpeg decodes large JPEGs smaller than they are."""
LARGE_PIXELS = 4_000_000
"""Pictures above this are decoded one at a time, so that threads do not multiply their memory."""
PIXELS_A_BYTE = 2000
"""A large picture of more pixels a byte of its file is refused: it is empty, or made to take time and memory."""
SCALED_DECODING = 3
"""libjpeg decodes at 1/2, 1/4 or 1/8 as long as that leaves this many times the wanted side: photographs then differ by less
than half a grey level on average."""
SEEN = 8
"""Alpha below this, of 255, everywhere: nothing is to be seen."""

Entry: TypeAlias = bytes | Path | NDArray[np.uint8]
"""A picture before it is decoded: the bytes of a file, its path, or pixels (H, W, C)."""

Decoded = TypeVar("Decoded")

_one_large = threading.Lock()
_quiet_lock = threading.Lock()
_quiet = ExitStack()
_quiet_users = 0


@dataclass(frozen=True)
class _Stored:
    """What a loaded picture does not tell of its file: its whole size, and whether its colour has 16 bits."""

    size: tuple[int, int]
    deep_colour: bool = False


class Squared(NamedTuple):
    """A picture that was squared.

    Parameters
    ----------
    pixels : ndarray of uint8 (size, size, channels)
    trouble : str or None
        What is wrong with its metadata, so that it was not turned.
    side : int
        Of the square that was cut from it, in its own pixels: smaller than `size` where it was enlarged.
    """

    pixels: NDArray[np.uint8]
    trouble: str | None
    side: int


class UnreadableError(Exception):
    """A picture that cannot be read, with the reason in words."""


@cache
def readable_endings() -> frozenset[str]:
    """Endings of files that can be read here, in small letters: HEIC only where pillow-heif is installed."""
    return IMAGE_ENDINGS | HEIF_ENDINGS if find_spec("pillow_heif") else IMAGE_ENDINGS


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keeps Pillow's own warnings, which name no file, from the user.

    The filters of warnings belong to the whole process, and each thread would put back what it found: so the first one
    in sets the filter, and the last one out takes it away.
    """
    global _quiet_users
    with _quiet_lock:
        if _quiet_users == 0:
            _quiet.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _quiet_users += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_users -= 1
            if _quiet_users == 0:
                _quiet.close()


@cache
def _formats() -> tuple[str, ...]:
    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(name for name in ENDINGS if name in Image.OPEN)


def square(picture: Image.Image, size: int, channels: int, *, bits: int | None = None) -> NDArray[np.uint8]:
    """A picture of any size and mode, centre-cropped to a square, resized and converted by the rule of this module.

    Parameters
    ----------
    picture : PIL image
    size, channels : int
        What to make of it.
    bits : int, optional
        How many bits the values of 16- or 32-bit grey fill, 8 to 32.

    Returns
    -------
    ndarray of uint8 (size, size, channels)

    Raises
    ------
    UnreadableError
        If its values would become white or black, or nothing of it is to be seen.

    Examples
    --------
    >>> square(Image.new("L", (30, 20), 7), 16, 3).shape
    (16, 16, 3)
    """
    return _square(picture, _Stored(picture.size), size, channels, bits).pixels


def read_square(name: str | Path, entry: Entry, size: int, channels: int, *, bits: int | None = None) -> Squared:
    """A picture, opened and squared as by `square`.

    Parameters
    ----------
    name : str or path
        What to call it where it does not decode.
    entry : bytes, path or ndarray of uint8 (H, W, C)
    size, channels : int
        What to make of it.
    bits : int, optional
        As for `square`.

    Returns
    -------
    Squared

    Raises
    ------
    UserError
        If it does not decode.
    """
    try:
        return decode_square(entry, size, channels, bits=bits)
    except UnreadableError as error:
        raise UserError(f"{name} is not a readable image: {error}") from error


def decode_square(entry: Entry, size: int, channels: int, *, bits: int | None = None) -> Squared:
    """As `read_square`, with the bare reason where it does not decode.

    Raises
    ------
    UnreadableError
        If it does not decode.
    """
    return _decode(
        entry, lambda picture, stored: _square(picture, stored, size, channels, bits), size * SCALED_DECODING
    )


def decode(entry: Entry) -> Image.Image:
    """A picture at its own size, turned as its metadata say, in the mode it was saved in.

    Raises
    ------
    UnreadableError
        If it does not decode.
    """
    return _decode(entry, lambda picture, _: _upright(picture, picture)[0])


def as_seen(entry: Entry, longest: int) -> Image.Image:
    """A whole picture as a viewer shows it, by the rule of this module: RGB, turned, and no larger than asked for.

    Parameters
    ----------
    entry : bytes, path or ndarray of uint8 (H, W, C)
    longest : int
        What its longer side has at most, in pixels.

    Raises
    ------
    UnreadableError
        If it does not decode.
    """

    def use(picture: Image.Image, stored: _Stored) -> Image.Image:
        scale = min(1.0, longest / max(stored.size))
        size = (max(1, round(stored.size[0] * scale)), max(1, round(stored.size[1] * scale)))
        seen = _visible(picture, stored, 3, None).resize(size, Image.Resampling.LANCZOS)
        return _upright(seen, picture)[0]

    return _decode(entry, use, longest * 2)


def upright_size(entry: Entry) -> tuple[int, int]:
    """Width and height of a picture, turned as its metadata say; only its head is read.

    Raises
    ------
    UnreadableError
        If it is no picture.
    """
    if isinstance(entry, np.ndarray):
        return int(entry.shape[1]), int(entry.shape[0])
    try:
        with Image.open(io.BytesIO(entry) if isinstance(entry, bytes) else entry, formats=_formats()) as picture:
            width, height = picture.size
            with suppress(ValueError):
                if orientation(picture) >= 5:
                    return height, width
            return width, height
    except Exception as error:  # As in `_decode`.
        raise UnreadableError(_reason(error)) from error


def _decode(entry: Entry, use: Callable[[Image.Image, _Stored], Decoded], least_side: int | None = None) -> Decoded:
    """What `use` makes of a picture and of what its file said.

    Decoders of bytes from anywhere raise whatever they like, so all is caught here.
    """
    if isinstance(entry, np.ndarray):
        picture = Image.fromarray(entry[..., 0] if entry.shape[-1] == 1 else entry)
        return use(picture, _Stored(picture.size))
    try:
        length = len(entry) if isinstance(entry, bytes) else entry.stat().st_size
        if length == 0:
            raise UnreadableError("the file is empty")
        if length > MAXIMUM_FILE_BYTES:
            raise UnreadableError(f"the file is larger than {MAXIMUM_FILE_BYTES // 2**20} MiB")
        with Image.open(io.BytesIO(entry) if isinstance(entry, bytes) else entry, formats=_formats()) as picture:
            full = picture.size
            if least_side is not None:
                picture.draft(None, (least_side, least_side))
            # Progressive JPEGs keep all coefficients, however small they are decoded.
            pixels = math.prod(full if picture.info.get("progressive") else picture.size)
            if pixels > MAXIMUM_PIXELS:
                raise UnreadableError(
                    f"{full[0]}x{full[1]} pixels are more than the {MAXIMUM_PIXELS // 10**6} megapixels that are read: "
                    "make it smaller"
                )
            if pixels > max(LARGE_PIXELS, PIXELS_A_BYTE * length):
                raise UnreadableError(
                    f"{length:,} bytes claim to hold {full[0]}x{full[1]} pixels: it is empty or hostile"
                )
            stored = _Stored(full, not picture.mode.startswith("I") and any(";16" in str(t[3]) for t in picture.tile))
            with _one_large if pixels > LARGE_PIXELS else nullcontext():
                picture.load()
                return use(picture, stored)
    except UnreadableError:
        raise
    except Exception as error:
        raise UnreadableError(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "its contents are not a picture of a known format"
    if isinstance(error, Image.DecompressionBombError):
        return f"it claims more pixels than the {MAXIMUM_PIXELS // 10**6} megapixels that are read: make it smaller"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, OSError | ValueError) and str(error):
        return str(error)
    return f"its decoder fails ({type(error).__name__}: {error})"


def _square(picture: Image.Image, stored: _Stored, size: int, channels: int, bits: int | None) -> Squared:
    opened, picture = picture, _visible(picture, stored, channels, bits)
    width, height = stored.size
    side = min(stored.size)
    # libjpeg decodes at a whole fraction and rounds the size up: the crop is that of the whole picture.
    fraction = round(width / picture.width)
    left, top = (width - side) // 2 / fraction, (height - side) // 2 / fraction
    box = (left, top, min(left + side / fraction, picture.width), min(top + side / fraction, picture.height))
    resized, trouble = _upright(picture.resize((size, size), Image.Resampling.LANCZOS, box=box), opened)
    return Squared(np.asarray(resized, np.uint8).reshape(size, size, channels), trouble, side)


def _visible(picture: Image.Image, stored: _Stored, channels: int, bits: int | None) -> Image.Image:
    """What is seen of a picture, in 8 bits, RGB or grey."""
    if stored.deep_colour:
        _check_deep_colour(picture, bits)
    picture = _opaque(_shallow(picture, bits))
    if picture.mode == "LAB":
        # Pillow converts it to RGB only.
        picture = picture.convert("RGB")
    return picture.convert("RGB" if channels == 3 else "L")


def _upright(picture: Image.Image, original: Image.Image) -> tuple[Image.Image, str | None]:
    """The picture turned as the metadata of the one that was opened say, and what is wrong with them."""
    try:
        turn = TURNS.get(orientation(original))
    except ValueError as error:
        return picture, str(error)
    return (picture if turn is None else picture.transpose(turn)), None


def _shallow(picture: Image.Image, bits: int | None) -> Image.Image:
    """16- and 32-bit grey in 8 bits."""
    if picture.mode != "F" and not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture)
    grey = Image.fromarray(_scaled(values, picture.mode, bits))
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def _scaled(values: NDArray[Any], mode: str, bits: int | None) -> NDArray[np.uint8]:
    low, high = values.min(), values.max()
    full = 2**bits - 1 if bits is not None else 1 if mode == "F" else 65535
    if not np.isfinite([low, high]).all():
        missing = np.count_nonzero(~np.isfinite(values))
        raise UnreadableError(
            f"mode {mode}, in which {missing:,} of {values.size:,} values are infinite or no numbers: replace these, and save it "
            "as 8 bits"
        )
    inside = low >= 0 and high <= full
    if not inside or (bits is None and 0 < high < full / 4):
        raise UnreadableError(
            f"mode {mode} with values from {low:g} to {high:g}, where 0 to {full} are expected: {_with_bits(low, high)}"
        )
    if mode == "F":
        return (values.astype(np.float64) * (255 / full)).round().astype(np.uint8)
    return (values.astype(np.int64) >> ((bits or 16) - 8)).astype(np.uint8)


DEPTHS = (8, 10, 12, 14, 16, 24, 32)
"""Bits that the values of grey pictures usually fill."""


def _with_bits(low: float, high: float) -> str:
    """What to do about grey values out of the range that was taken for theirs."""
    if math.isfinite(low) and low >= 0 and 64 <= high < 2 ** DEPTHS[-1]:
        depth = next(depth for depth in DEPTHS if high < 2**depth)
        return f"say how many bits they fill, such as `prepare(bits={depth})`"
    return "convert it to 8 bits"


def _check_deep_colour(picture: Image.Image, bits: int | None) -> None:
    """Refuse colour of 16 bits a channel that does not fill them: Pillow has dropped the lower 8."""
    highest = max(_highest(picture.getchannel(band)) for band in picture.getbands() if band != "A")
    if bits in (None, 16) and (highest >= 64 or highest == 0):
        return
    raise UnreadableError(
        f"mode {picture.mode} of 16 bits a channel with values up to {highest * 256 + 255}, where 0 to 65535 are expected, "
        "and only their upper 8 bits are read: convert it to 8 bits a channel"
    )


def _highest(channel: Image.Image) -> int:
    extrema: Any = channel.getextrema()
    return int(extrema[1])


def _opaque(picture: Image.Image) -> Image.Image:
    """The picture on white."""
    if not {"A", "a"} & set(picture.getbands()) and "transparency" not in picture.info:
        return picture
    if picture.mode == "La":
        # Pillow converts it to LA only.
        picture = picture.convert("LA")
    picture = picture.convert("RGBA")
    alpha = picture.getchannel("A")
    if _highest(alpha) < SEEN:
        raise UnreadableError(
            f"it is transparent everywhere (mode RGBA, alpha at most {_highest(alpha)}): nothing of it is seen"
        )
    page = Image.new("RGB", picture.size, "white")
    page.paste(picture, mask=alpha)
    return page
