"""Moving pictures: WebP and GIF by Pillow, MP4 by PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file

MAXIMUM_FRAMES_IN_MEMORY = 3000
"""Pillow holds all frames of a WebP or GIF before it writes one; an MP4 streams."""


def save_film(
    frames: Iterable[NDArray[np.uint8]], path: str | Path, *, frames_per_second: int = 24, scale: int = 4
) -> Path:
    """Write a film that repeats forever (WebP, GIF) or plays once (MP4).

    Parameters
    ----------
    frames : iterable of ndarray of uint8 (H, W, C)
        Consumed one by one.
    path : path
        Its ending decides: ``.webp`` (true colours), ``.gif`` (256 colours), ``.mp4`` (needs the extra ``film``).
    frames_per_second : int
    scale : int
        Each pixel becomes `scale` squared.

    Raises
    ------
    UserError
        If the ending is another, the extra is missing, there are no frames or too many to hold, or the file cannot
        be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_film([np.zeros((8, 8, 3), np.uint8)] * 3, Path(folder) / "black.webp").name
    'black.webp'
    """
    target = Path(path)
    check_film(target)
    enlarged = (_enlarge(frame, scale) for frame in frames)
    with atomic_file(target) as temporary:
        if target.suffix.lower() == ".mp4":
            _save_mp4(enlarged, temporary, frames_per_second)
        else:
            _save_with_pillow(enlarged, temporary, frames_per_second)
    return target


def check_film(path: Path) -> None:
    """Refuse a film that could not be written, before anything is drawn for it.

    Raises
    ------
    UserError
        If the ending is not a film's, or MP4 is asked for and PyAV is not installed.
    """
    ending = path.suffix.lower()
    if ending not in (".webp", ".gif", ".mp4"):
        raise UserError(f"{path} is no film: its name must end in .webp, .gif or .mp4")
    if ending == ".mp4":
        try:
            import av  # noqa: F401
        except ImportError as error:
            raise UserError(
                "MP4 needs PyAV: pip install 'dcgan-viz[film]', or choose a name that ends in .webp"
            ) from error


def _enlarge(frame: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    colour = np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame
    return colour.repeat(scale, axis=0).repeat(scale, axis=1)


def _save_with_pillow(frames: Iterator[NDArray[np.uint8]], path: Path, frames_per_second: int) -> None:
    pictures: list[Image.Image] = []
    for frame in frames:
        if len(pictures) == MAXIMUM_FRAMES_IN_MEMORY:
            raise UserError(f"more than {MAXIMUM_FRAMES_IN_MEMORY} frames do not fit in {path.suffix}: write an .mp4")
        picture = Image.fromarray(frame)
        # Median cut, Pillow's default, flickers from frame to frame and is far slower.
        pictures.append(
            picture.quantize(method=Image.Quantize.FASTOCTREE) if path.suffix.lower() == ".gif" else picture
        )
    if not pictures:
        raise UserError("a film needs at least one frame")
    duration = round(1000 / frames_per_second)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=duration, loop=0, quality=85, method=4)


def _save_mp4(frames: Iterator[NDArray[np.uint8]], path: Path, frames_per_second: int) -> None:
    import av

    first = next(frames, None)
    if first is None:
        raise UserError("a film needs at least one frame")
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
