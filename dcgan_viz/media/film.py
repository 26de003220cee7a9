"""Moving pictures, written frame by frame: WebP and GIF by Pillow, MP4 by PyAV."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file, refuse_existing, say_replaced

LARGEST_WEBP = 2**32 - 10
"""Bytes: a WebP's length is a number of 32 bits."""


def save_film(
    frames: Iterable[NDArray[np.uint8]],
    path: str | Path,
    *,
    frames_per_second: int = 24,
    scale: int = 4,
    overwrite: bool = False,
) -> Path:
    """Write a film that repeats forever (WebP, GIF) or plays once (MP4).

    Each frame is on disk before the next is taken, so that a film may be of any length.

    Parameters
    ----------
    frames : iterable of ndarray of uint8 (H, W, C)
        Consumed one by one.
    path : path
        Its ending decides: ``.webp`` (true colours), ``.gif`` (256 colours), ``.mp4`` (needs the extra ``film``).
    frames_per_second : int
    scale : int
        Each pixel becomes `scale` squared.
    overwrite : bool
        Replace a file that is there.

    Raises
    ------
    UserError
        As `check_film`; also if there are no frames, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_film([np.zeros((8, 8, 3), np.uint8)] * 3, Path(folder) / "black.webp").name
    'black.webp'
    """
    target = Path(path)
    check_film(target, overwrite)
    enlarged = (_enlarge(frame, scale) for frame in frames)
    save = _WRITERS[target.suffix.lower()]
    with atomic_file(target) as temporary:
        first = next(enlarged, None)
        if first is None:
            raise UserError("a film needs at least one frame")
        save(first, enlarged, temporary, frames_per_second)
        say_replaced(target)
    return target


def check_film(path: Path, overwrite: bool = False) -> None:
    """Refuse a film that could not be written, before anything is drawn for it.

    Raises
    ------
    UserError
        If the ending is not a film's, MP4 is asked for and PyAV is not installed, or there is a file already that is
        not to be overwritten.
    """
    ending = path.suffix.lower()
    if ending not in _WRITERS:
        raise UserError(
            f"{path} is not a film: expected a WebP, GIF or MP4 file, whose name ends in .webp, .gif or .mp4"
        )
    if ending == ".mp4":
        try:
            import av  # noqa: F401
        except ImportError as error:
            raise UserError(
                "MP4 needs PyAV: pip install 'dcgan-viz[film]', or choose a name that ends in .webp"
            ) from error
    refuse_existing(path, overwrite)


def _enlarge(frame: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    colour = np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame
    return colour.repeat(scale, axis=0).repeat(scale, axis=1)


def _save_webp(
    first: NDArray[np.uint8], frames: Iterator[NDArray[np.uint8]], path: Path, frames_per_second: int
) -> None:
    """An animated WebP (developers.google.com/speed/webp/docs/riff_container).

    Pillow writes stills and whole animations, for which it holds all frames: 64 MiB for 240 of 256x256 pixels, where this
    takes 4 MiB however long the film is. Here its stills become the frames, without what Pillow saves between frames that
    are nearly alike: a slow fade is 12 times as large (1.0 MiB, not 85 KiB), while in a walk hardly a pixel stays as it is.
    """
    height, width = first.shape[:2]
    sides = _three_bytes(width - 1) + _three_bytes(height - 1)
    duration = _three_bytes(round(1000 / frames_per_second))
    animated, overwrite = 0x02, b"\x02"

    def encode(pixels: NDArray[np.uint8]) -> bytes:
        still = io.BytesIO()
        Image.fromarray(pixels).save(still, "WEBP", quality=85, method=4)
        # Beyond the 12 bytes of its header a still is one chunk, the picture.
        return _chunk(b"ANMF", bytes(6) + sides + duration + overwrite + still.getvalue()[12:])

    with path.open("wb") as file:
        file.write(b"RIFF" + bytes(4) + b"WEBP")
        file.write(_chunk(b"VP8X", bytes([animated, 0, 0, 0]) + sides))
        file.write(_chunk(b"ANIM", bytes(4) + struct.pack("<H", 0)))
        file.write(encode(first))
        for frame in frames:
            if file.tell() > LARGEST_WEBP - 2 * frame.nbytes:
                raise UserError("a WebP holds 4 GB and this film is longer: write an .mp4")
            file.write(encode(frame))
        length = file.tell() - 8
        file.seek(4)
        file.write(struct.pack("<I", length))


def _three_bytes(number: int) -> bytes:
    return struct.pack("<I", number)[:3]


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _save_gif(
    first: NDArray[np.uint8], frames: Iterator[NDArray[np.uint8]], path: Path, frames_per_second: int
) -> None:
    """An animated GIF (www.w3.org/Graphics/GIF/spec-gif89a.txt), each frame with its own 256 colours."""
    height, width = first.shape[:2]
    forever = b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
    timing = b"!\xf9\x04" + struct.pack("<BHBB", 0, round(100 / frames_per_second), 0, 0)

    def encode(pixels: NDArray[np.uint8]) -> bytes:
        still = io.BytesIO()
        # Median cut, Pillow's default, flickers from frame to frame and is far slower.
        Image.fromarray(pixels).quantize(method=Image.Quantize.FASTOCTREE).save(still, "GIF")
        data = still.getvalue()
        # A still is a header of 13 bytes, its colours, and the picture, whose own header of 10 ends in a byte of flags.
        depth = data[10] & 7
        picture = 13 + 3 * 2 ** (depth + 1)
        own_colours = bytes([0x80 | depth]) + data[13:picture]
        return timing + data[picture : picture + 9] + own_colours + data[picture + 10 : -1]

    with path.open("wb") as file:
        file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0) + forever)
        file.write(encode(first))
        for frame in frames:
            file.write(encode(frame))
        file.write(b";")


def _save_mp4(
    first: NDArray[np.uint8], frames: Iterator[NDArray[np.uint8]], path: Path, frames_per_second: int
) -> None:
    import av

    height, width = first.shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(frames_per_second), options={"crf": "18"})
        # Every player knows 4:2:0, which halves the colour planes: odd sizes get one more row or column.
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        padding = ((0, height % 2), (0, width % 2), (0, 0))

        def encode(pixels: NDArray[np.uint8]) -> None:
            padded = np.ascontiguousarray(np.pad(pixels, padding, mode="edge"))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(padded, format="rgb24")))

        encode(first)
        for frame in frames:
            encode(frame)
        container.mux(stream.encode())


_WRITERS: dict[str, Callable[[NDArray[np.uint8], Iterator[NDArray[np.uint8]], Path, int], None]] = {
    ".webp": _save_webp,
    ".gif": _save_gif,
    ".mp4": _save_mp4,
}
