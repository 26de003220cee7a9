"""Images from a folder, a zip or an array, as one uint8 array of square pictures."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dcgan_viz.errors import UserError
from dcgan_viz.progress import Progress, Stage, silent

IMAGE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
MAXIMUM_FILE_BYTES = 256 * 2**20
"""A zip member that claims to unpack to more than this is refused."""


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
    names : tuple of str
        Where each picture came from.
    """

    pixels: NDArray[np.uint8]
    names: tuple[str, ...]

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
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def to_pixels(images: torch.Tensor) -> NDArray[np.uint8]:
    """Float (N, C, H, W) images in [-1, 1] as uint8 (N, H, W, C) pictures; values outside are clipped."""
    scaled = images.detach().float().add(1.0).mul(127.5).round().clamp(0, 255).byte()
    return scaled.permute(0, 2, 3, 1).cpu().numpy()


def square(picture: Image.Image, size: int, channels: int) -> NDArray[np.uint8]:
    """A picture of any size and mode, centre-cropped to a square, resized and converted.

    EXIF rotation is applied, transparency is laid on white and 16-bit grey is scaled to 8.

    Returns
    -------
    ndarray of uint8 (size, size, channels)
    """
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB" if channels == 3 else "L")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    box = (left, top, left + side, top + side)
    resized = picture.resize((size, size), Image.Resampling.LANCZOS, box=box)
    return np.asarray(resized, np.uint8).reshape(size, size, channels)


def read_square(
    name: str | Path, open_picture: Callable[[], Image.Image], size: int, channels: int
) -> NDArray[np.uint8]:
    """A picture, opened and squared as by `square`.

    Parameters
    ----------
    name : str or path
        What to call it where it does not decode.
    open_picture : callable
        Opens it.
    size, channels : int
        What to make of it.

    Returns
    -------
    ndarray of uint8 (size, size, channels)

    Raises
    ------
    UserError
        If it does not decode.
    """
    try:
        with warnings.catch_warnings():
            # Pillow only warns of pictures over 89 megapixels: they are refused like broken ones.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with open_picture() as picture:
                return square(picture, size, channels)
    except (
        OSError,
        ValueError,
        SyntaxError,
        zipfile.BadZipFile,
        EOFError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise UserError(f"{name} is not a readable image: {error}") from error


def load_images(
    source: str | Path,
    size: int,
    channels: int = 3,
    *,
    limit: int | None = None,
    skip_broken: bool = False,
    progress: Progress = silent,
) -> ImageSet:
    """Every picture of a source, squared to one size, in the order of their names.

    Parameters
    ----------
    source : path
        A folder (searched recursively), a zip of images, or an ``.npy``/``.npz`` array of uint8
        pictures (N, H, W, C) or (N, H, W).
    size, channels : int
        What to make of each picture.
    limit : int, optional
        Take at most this many, evenly spread over the source.
    skip_broken : bool
        Leave out files that do not decode instead of refusing the source.
    progress : Progress
        Shows how many have been read.

    Returns
    -------
    ImageSet

    Raises
    ------
    UserError
        If the source is missing, holds no images, or (without `skip_broken`) one does not decode.
    """
    path = Path(source)
    if not path.exists():
        raise UserError(f"{path} does not exist: give a folder, a zip of images or an .npy array")
    if path.suffix in (".npy", ".npz"):
        array = _Array(path)
        if limit is None and array.pixels.shape[1:] == (size, size, channels):
            # Prepared already: an .npy stays on disk, memory-mapped.
            return ImageSet(array.pixels, tuple(array.names))
        reader: _Folder | _Zip | _Array = array
    elif path.is_dir():
        reader = _Folder(path)
    elif zipfile.is_zipfile(path):
        reader = _Zip(path)
    else:
        raise UserError(f"{path} is neither a folder, a readable zip nor an .npy array")
    if not reader.names:
        raise UserError(f"{path} holds no images (looked for {', '.join(sorted(IMAGE_ENDINGS))})")
    chosen = list(range(len(reader.names)))
    if limit is not None and limit < len(chosen):
        chosen = [int(i) for i in np.linspace(0, len(chosen) - 1, limit).round()]

    def read(index: int) -> NDArray[np.uint8] | None:
        try:
            return read_square(reader.names[index], lambda: reader.open(index), size, channels)
        except UserError:
            return None

    pixels = np.empty((len(chosen), size, size, channels), np.uint8)
    names: list[str] = []
    broken: list[str] = []
    # Pillow releases the interpreter's lock while it decodes, so threads are enough.
    with ThreadPoolExecutor(max_workers=4) as pool:
        pictures = pool.map(read, chosen)
        loop = progress(chosen, Stage(f"reading {path.name}", len(chosen), "image"))
        for index, picture in zip(loop, pictures, strict=True):
            if picture is None:
                broken.append(reader.names[index])
            else:
                pixels[len(names)] = picture
                names.append(reader.names[index])
    if broken and not (skip_broken and names):
        shown = ", ".join(broken[:3]) + (f" and {len(broken) - 3} more" if len(broken) > 3 else "")
        raise UserError(
            f"{len(broken)} of {len(chosen)} images in {path} do not decode ({shown}): "
            "repair or remove them, or leave them out with --skip-broken"
        )
    return ImageSet(pixels[: len(names)], tuple(names))


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        files = (f for f in path.rglob("*") if f.suffix.lower() in IMAGE_ENDINGS and f.is_file())
        self.names = sorted(str(f.relative_to(path)) for f in files if not f.name.startswith("."))

    def open(self, index: int) -> Image.Image:
        return Image.open(self.path / self.names[index])


class _Zip:
    def __init__(self, path: Path) -> None:
        self.path = path
        with zipfile.ZipFile(path) as archive:
            self.names = sorted(
                name
                for name in archive.namelist()
                if Path(name).suffix.lower() in IMAGE_ENDINGS
                and not name.startswith("__MACOSX")
                and not Path(name).name.startswith(".")
            )
        self.archive = zipfile.ZipFile(path)

    def open(self, index: int) -> Image.Image:
        name = self.names[index]
        if self.archive.getinfo(name).file_size > MAXIMUM_FILE_BYTES:
            raise ValueError(f"{name} unpacks to more than {MAXIMUM_FILE_BYTES} bytes")
        return Image.open(io.BytesIO(self.archive.read(name)))


class _Array:
    def __init__(self, path: Path) -> None:
        self.pixels = _read_array(path)
        self.names = [f"{path.name}[{i}]" for i in range(len(self.pixels))]

    def open(self, index: int) -> Image.Image:
        pixels = self.pixels[index]
        return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _read_array(path: Path) -> NDArray[np.uint8]:
    try:
        # allow_pickle stays off: an array of objects could run code.
        loaded = np.load(path, mmap_mode="r" if path.suffix == ".npy" else None, allow_pickle=False)
        arrays = [loaded] if isinstance(loaded, np.ndarray) else [loaded[name] for name in loaded.files]
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{path} is not a readable NumPy array: {error}") from error
    pictures = [a for a in arrays if a.dtype == np.uint8 and a.ndim in (3, 4)]
    if len(pictures) != 1:
        shapes = ", ".join(f"{a.dtype} {a.shape}" for a in arrays)
        raise UserError(f"{path} should hold one uint8 array (N, H, W, C) of pictures, but holds {shapes}")
    array: NDArray[np.uint8] = pictures[0] if pictures[0].ndim == 4 else pictures[0][..., None]
    if array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise UserError(f"{path} should hold pictures (N, H, W, 1 or 3), but its shape is {array.shape}")
    return array
