"""Images of any source as one uint8 array of square pictures, and as tensors."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_viz.data.decoding import Entry, Squared, UnreadableError, decode_square, quiet_decoders
from dcgan_viz.data.on_disk import on_disk
from dcgan_viz.data.reasons import by_reason
from dcgan_viz.data.sources import Source, open_images
from dcgan_viz.data.sources.arrays import ArraySource
from dcgan_viz.errors import Notice, UserError
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.untrusted import printable

MEMORY_BUDGET = 4 * 2**30
"""Sets that take more bytes than this once they are squared are kept on disk: in a temporary file, but for an ``.npy``."""
THREADS = 4
WAITING = 4 * THREADS
"""At most so many pictures wait to be decoded, or for their turn after it."""


class Images(Protocol):
    """Images that are read or drawn only when they are asked for, so that their number does not matter."""

    def __len__(self) -> int:
        """How many."""
        ...

    def tensor(self, indices: slice | NDArray[np.int64]) -> torch.Tensor:
        """The chosen ones as float32 (n, C, H, W) in [-1, 1]."""
        ...


@dataclass(frozen=True)
class TensorImages:
    """Images that are in memory already.

    Parameters
    ----------
    images : Tensor (N, C, H, W)
        In [-1, 1].
    """

    images: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)

    def tensor(self, indices: slice | NDArray[np.int64]) -> torch.Tensor:
        """The chosen ones (n, C, H, W)."""
        return self.images[indices]


@dataclass(frozen=True)
class ImageSet:
    """Square pictures of one size.

    Parameters
    ----------
    pixels : ndarray of uint8 (N, H, W, C)
        May be memory-mapped.
    names : sequence of str
        Where each picture came from.
    """

    pixels: NDArray[np.uint8]
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.pixels)

    def tensor(self, indices: slice | NDArray[np.int64]) -> torch.Tensor:
        """The chosen pictures as float32 (n, C, H, W) in [-1, 1]."""
        return to_tensor(np.ascontiguousarray(self.pixels[indices]))


def to_tensor(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 (N, H, W, C) pictures as float32 (N, C, H, W) in [-1, 1].

    Examples
    --------
    >>> to_tensor(np.zeros((1, 2, 2, 3), np.uint8)).min().item()
    -1.0
    """
    # torch warns of a memory map, which cannot be written.
    return (
        torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
    )


def to_pixels(images: torch.Tensor) -> NDArray[np.uint8]:
    """Float (N, C, H, W) images in [-1, 1] as uint8 (N, H, W, C) pictures; values outside are clipped."""
    scaled = images.detach().float().add(1.0).mul(127.5).round().clamp(0, 255).byte()
    return scaled.permute(0, 2, 3, 1).cpu().numpy()


def load_images(
    source: str | Path,
    size: int,
    channels: int = 3,
    *,
    limit: int | None = None,
    keep_list: str | Path | None = None,
    skip_broken: bool = False,
    progress: Progress = silent,
) -> ImageSet:
    """Every picture of a source, squared to one size, in the order of the source.

    An ``.npy`` that holds pictures of this size already stays on disk, and pictures of more than `MEMORY_BUDGET` bytes are
    written to a temporary file and mapped from there. That, what else lies in the source, how many pictures are smaller and
    were enlarged, and metadata that cannot be read, is said by a `Notice`.

    Parameters
    ----------
    source : path
        Whatever `open_images` opens: a folder, an archive, an array, LSUN's LMDB, and others.
    size, channels : int
        What to make of each picture, by the rule of `dcgan_viz.data.decoding`.
    limit : int, optional
        Take at most this many, evenly spread over the source.
    keep_list : path, optional
        As of `open_images`: the names of the pictures to use.
    skip_broken : bool
        Leave out files that do not decode instead of refusing the source.
    progress : Progress

    Returns
    -------
    ImageSet

    Raises
    ------
    UserError
        If the source is missing, holds no images, there is no room for them, or (without `skip_broken`) one does not
        decode.
    """
    found = open_images(source, keep_list)
    if found.left_out:
        warnings.warn(f"{found.found}; not read: {', '.join(found.left_out)}", Notice, stacklevel=2)
    if isinstance(found, ArraySource) and limit is None and found.shape[1:] == (size, size, channels):
        return ImageSet(found.pixels, found.names)
    chosen = evenly_spaced(len(found), limit)
    pixels = _room_for(found, (len(chosen), size, size, channels))
    names: list[str] = []
    broken: list[tuple[str, str]] = []
    unturned: list[str] = []
    enlarged: list[str] = []
    with quiet_decoders():
        pictures = _decoded(found, chosen, size, channels)
        loop = progress(chosen, Stage(f"reading {found.path.name}", len(chosen), "image"))
        for index, picture in zip(loop, pictures, strict=True):
            if isinstance(picture, UnreadableError):
                broken.append((found.names[index], str(picture)))
                continue
            pixels[len(names)] = picture.pixels
            name = found.names[index]
            names.append(name)
            if picture.trouble is not None:
                unturned.append(f"{printable(name)}: {picture.trouble}")
            if picture.side < size:
                enlarged.append(f"{printable(name)} from {picture.side}x{picture.side}")
    if broken and not (skip_broken and names):
        raise UserError(
            f"{len(broken)} of {len(chosen)} images in {found.path} do not decode ({_reasons(broken)}): "
            "repair or remove them, or leave them out with `skip_broken=True`"
        )
    if broken:
        warnings.warn(f"{len(broken)} of {len(chosen)} images are left out ({_reasons(broken)})", Notice, stacklevel=2)
    if unturned:
        warnings.warn(
            f"{len(unturned)} of {len(chosen)} images have unreadable metadata and are not turned ({some(unturned)})",
            Notice,
            stacklevel=2,
        )
    if enlarged:
        warnings.warn(
            f"{len(enlarged)} of {len(chosen)} images are smaller than {size}x{size} and are enlarged ({some(enlarged)})",
            Notice,
            stacklevel=2,
        )
    return ImageSet(pixels[: len(names)], tuple(names))


def _reasons(broken: Sequence[tuple[str, str]]) -> str:
    return some([str(reason) for reason in by_reason(broken)])


def _room_for(source: Source, shape: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    needed = math.prod(shape)
    if needed <= MEMORY_BUDGET:
        return np.empty(shape, np.uint8)
    warnings.warn(
        f"{shape[0]:,} pictures of {shape[1]}x{shape[2]} take {needed / 2**30:.1f} GiB, and {MEMORY_BUDGET / 2**30:.0f} GiB are "
        f"held in memory at most: they are kept in {tempfile.gettempdir()} until the end; dcgan-viz prepare {source.path} "
        f"OUT.npy --size {shape[1]} writes them once for all",
        Notice,
        stacklevel=3,
    )
    return on_disk(shape)


def evenly_spaced(count: int, limit: int | None) -> list[int]:
    """The indices of all, or of `limit` that are evenly spread.

    Examples
    --------
    >>> evenly_spaced(9, 3)
    [0, 4, 8]
    """
    if limit is None or limit >= count:
        return list(range(count))
    return [int(index) for index in np.linspace(0, count - 1, limit).round()]


CALIBRATION_IMAGES = 2048
"""At most so many images, evenly spread over all, are enough for batch-norm statistics."""


def spread_over(images: Images, limit: int = CALIBRATION_IMAGES) -> torch.Tensor:
    """At most so many images (n, C, H, W), evenly spread over all.

    Examples
    --------
    >>> spread_over(TensorImages(torch.arange(9.0).reshape(9, 1, 1, 1)), 3).flatten()
    tensor([0., 4., 8.])
    """
    return images.tensor(np.array(evenly_spaced(len(images), limit), np.int64))


def some(items: Sequence[str], shown_items: int = 3) -> str:
    """The first few of a list, and how many more there are.

    Examples
    --------
    >>> some(["a", "b", "c", "d", "e"])
    'a; b; c; and 2 more'
    """
    more = len(items) - shown_items
    return "; ".join([*items[:shown_items], *([f"and {more} more"] if more > 0 else [])])


Decoded: TypeAlias = Squared | UnreadableError


def _decoded(source: Source, chosen: Sequence[int], size: int, channels: int) -> Iterator[Decoded]:
    """The chosen pictures in their order: read here, one after another, and decoded in threads.

    Pillow releases the interpreter's lock while it decodes, so threads are enough.
    """

    def decoded(entry: Entry) -> Decoded:
        try:
            return decode_square(entry, size, channels)
        except UnreadableError as error:
            return error

    waiting: deque[Future[Decoded] | UnreadableError] = deque()
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        for index in chosen:
            try:
                waiting.append(pool.submit(decoded, source.entry(index)))
            except UnreadableError as error:
                waiting.append(error)
            if len(waiting) > WAITING:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())


def _result(waiting: Future[Decoded] | UnreadableError) -> Decoded:
    return waiting if isinstance(waiting, UnreadableError) else waiting.result()
