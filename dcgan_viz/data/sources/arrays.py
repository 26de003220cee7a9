"""Pictures in NumPy arrays, and in the MATLAB files of SVHN."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.data.arrays import check_unpacked, read_arrays
from dcgan_viz.data.decoding import Entry
from dcgan_viz.data.sources.names import Names
from dcgan_viz.data.sources.source import Numbered, Source
from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import as_text

LONGEST_NAME = 2**16


class ArraySource(Source):
    """Pictures (N, H, W, C) of uint8 in an ``.npy``, which stays on disk, or an ``.npz``.

    An ``.npz`` may hold a whole number for each picture too: its class.

    Raises
    ------
    UserError
        If the file is damaged or holds something else.
    """

    kind = "an array"

    def __init__(self, path: Path) -> None:
        arrays = read_arrays(path)
        self._pixels: NDArray[np.uint8] | None = _pictures(path, arrays)
        self.shape = self._pixels.shape
        self._mapped = isinstance(self._pixels, np.memmap)
        super().__init__(path, _names(path, len(self._pixels), arrays))

    def __getstate__(self) -> dict[str, Any]:
        # A memory map would be pickled with all that it holds.
        return super().__getstate__() | ({"_pixels": None} if self._mapped else {})

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """All pictures, uint8 (N, H, W, C)."""
        if self._pixels is None:
            self._pixels = _pictures(self.path, read_arrays(self.path))
        return self._pixels

    def _entry(self, index: int) -> Entry:
        return np.asarray(self.pixels[index])


class MatSource(Source):
    """The 32×32 crops of SVHN in a ``.mat``: ``X`` (32, 32, 3, N) and ``y``, in which 10 stands for the digit 0.

    Raises
    ------
    UserError
        If the file is damaged or holds something else.
    """

    kind = "a MATLAB file"

    def __init__(self, path: Path) -> None:
        from scipy.io import loadmat, whosmat

        try:
            # Of what y holds the class says nothing certain: at most 8 bytes a number.
            sizes = {name: (1 if name == "X" else 8) * math.prod(shape) for name, shape, _ in whosmat(path)}
            check_unpacked(path, sizes.get("X", 0) + sizes.get("y", 0))
            loaded = loadmat(path, variable_names=["X", "y"])
            pixels, digits = loaded["X"], loaded["y"].ravel()
            if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[2] != 3 or len(digits) != pixels.shape[3]:
                raise ValueError(f"X is {pixels.dtype} {pixels.shape}, y {digits.shape}")
        except Exception as error:  # SciPy raises a dozen kinds of errors for damaged bytes.
            raise UserError(
                f"{path} is not SVHN's file of cropped digits, uint8 X (32, 32, 3, N) with y: {error}"
            ) from error
        self.pixels = np.ascontiguousarray(pixels.transpose(3, 0, 1, 2))
        file = as_text(path.name)
        super().__init__(path, [f"{digit % 10}/{file}[{i}]" for i, digit in enumerate(digits.tolist())])

    def _entry(self, index: int) -> Entry:
        pixels: NDArray[np.uint8] = self.pixels[index]
        return pixels


def _pictures(path: Path, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    pictures = [a for a in arrays.values() if a.dtype == np.uint8 and a.ndim in (3, 4)]
    if len(pictures) != 1:
        remedy = "scale and round what are pictures" if not pictures else "choose one of them"
        shapes = ", ".join(f"{a.dtype} {a.shape}" for a in list(arrays.values())[:8])
        raise UserError(
            f"{path} should hold one uint8 array (N, H, W, C) of pictures, with values from 0 to 255, but holds "
            f"{shapes or 'nothing'}: {remedy}, and save it alone, as uint8"
        )
    array: NDArray[np.uint8] = pictures[0] if pictures[0].ndim == 4 else pictures[0][..., None]
    if array.shape[-1] not in (1, 3) or 0 in array.shape:
        remedy = "drop what is neither grey nor red, green and blue"
        if 0 in array.shape:
            remedy = "it holds no pixels"
        elif array.shape[1] in (1, 3):
            remedy = "move the channels to the end, as by np.moveaxis(pictures, 1, -1)"
        raise UserError(f"{path} should hold pictures (N, H, W, 1 or 3), but its shape is {array.shape}: {remedy}")
    return array


def names_file(array: Path) -> Path:
    """Where ``dcgan-viz prepare`` puts the names of the pictures in an array: a JSON string a line."""
    return array.with_suffix(".names.jsonl")


def _names(path: Path, count: int, arrays: Mapping[str, NDArray[Any]]) -> Sequence[str]:
    classes = [a for a in arrays.values() if a.dtype.kind in "iu" and a.shape in ((count,), (count, 1))]
    if len(classes) == 1:
        return [f"{label}/{as_text(path.name)}[{i}]" for i, label in enumerate(classes[0].ravel().tolist())]
    return _prepared_names(names_file(path), count) or Numbered(as_text(path.name), count)


def _prepared_names(file: Path, count: int) -> Sequence[str]:
    """The names beside an array; none where they are missing or those of another one."""
    names = Names()
    try:
        with file.open("rb") as lines:
            while len(names) <= count and (line := lines.readline(LONGEST_NAME)):
                names.append(as_text(str(json.loads(line))))
    except (OSError, ValueError, RecursionError):
        return ()
    return names if len(names) == count else ()
