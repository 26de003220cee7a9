"""NumPy files from anywhere: their headers are looked at before memory is asked for, and nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dcgan_viz.errors import UserError

MAXIMUM_ARRAY = 4 * 2**30
"""An array of an ``.npz`` that claims more bytes than this is not read: an ``.npy`` is memory-mapped instead."""

HIGHEST_RATIO, HARMLESS = 200, 64 * 2**20
"""An array is not unpacked to more than so many times the bytes of its file, if it is larger than so many bytes: pictures of
two colours shrink to a hundredth, zeros to a thousandth."""


@dataclass(frozen=True)
class Header:
    """What an array says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    bytes_before: int

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


def read_header(file: IO[bytes]) -> Header:
    """The header of an ``.npy`` file.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        version = npy.read_magic(file)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, _, dtype = read(file)
    except Exception as error:  # NumPy evaluates the header as a literal of Python, which fails in many ways.
        raise ValueError(f"its header is damaged ({error})") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not unpickled")
    if any(length < 0 for length in shape):
        raise ValueError(f"its shape is {shape}")
    return Header(tuple(int(length) for length in shape), dtype, file.tell())


def check_unpacked(path: Path, unpacked: int) -> None:
    """Refuse to unpack a file to more bytes than pictures or weights come to, before memory is asked for.

    Raises
    ------
    ValueError
    """
    if unpacked > MAXIMUM_ARRAY:
        raise ValueError(f"it holds more than {MAXIMUM_ARRAY // 2**30} GiB: save it as .npy, which stays on disk")
    packed = path.stat().st_size
    if unpacked > max(HARMLESS, HIGHEST_RATIO * packed):
        raise ValueError(
            f"its {packed:,} bytes would be unpacked to {unpacked:,}, as no pictures or weights are: save it as .npy, which "
            "stays on disk"
        )


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npy`` (one, named "", memory-mapped) or an ``.npz`` (in memory).

    Raises
    ------
    UserError
        If the file is damaged, or claims more than `check_unpacked` lets through.
    """
    try:
        if path.suffix.lower() == ".npz":
            return _read_npz(path)
        with path.open("rb") as file:
            header = read_header(file)
        if header.bytes_before + header.nbytes > path.stat().st_size:
            raise ValueError(f"it says that it holds {header}, and is cut off")
        if header.nbytes == 0:
            return {"": np.empty(header.shape, header.dtype)}
        return {"": np.load(path, mmap_mode="r", allow_pickle=False)}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UserError(f"{path} is not a readable {path.suffix or '.npy'} array: {reason}") from error


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    arrays = {}
    total = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".npy"):
                    continue
                with archive.open(member) as file:
                    header = read_header(file)
                    total += header.nbytes
                    if header.bytes_before + header.nbytes > member.file_size:
                        raise ValueError(f"{member.filename} says that it holds {header}, and is cut off")
                check_unpacked(path, total)
                with archive.open(member) as file:
                    arrays[member.filename.removesuffix(".npy")] = npy.read_array(file, allow_pickle=False)
    except (OSError, ValueError):
        raise
    except Exception as error:  # zipfile and zlib raise a dozen kinds of errors for damaged bytes.
        raise ValueError(f"{error} ({type(error).__name__})") from error
    return arrays
