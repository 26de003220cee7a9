"""What `torch.save` wrote, read without torch's unpickler: nothing in a file is run, and nothing is allocated on its word.

A file is a pickle that describes tensors, and their storages. Here the pickle is read by an unpickler that knows a handful
of names, each of which only notes what it is given; every other object becomes a blank that swallows its contents. Tensors
are descriptions until they are asked for, and a description that does not fit into its storage is refused.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from dcgan_viz.errors import UserError

MAXIMUM_PICKLE, MAXIMUM_STEPS = 4 * 2**20, 500_000
MAXIMUM_ENTRIES, MAXIMUM_CLASSES = 20_000, 500
"""A pair of DCGANs with its optimisers has some hundred tensors, described in 200 KB."""

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""Opens the first of the pickles in a file from before torch 1.6."""

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}


class StateDict(dict[str, Any]):
    """A mapping of a file, with what PyTorch notes about the modules of a state dict.

    `versions` holds the version of every module by its name, of those without tensors too.
    """

    def __init__(self, *pairs: Any) -> None:
        super().__init__()
        self.versions: dict[str, int] = {}
        for key, value in pairs[0] if pairs else ():
            self[key] = value

    def __setstate__(self, state: Any) -> None:
        metadata = state.get("_metadata") if isinstance(state, dict) else None
        if isinstance(metadata, dict):
            self.versions = {
                name: entry["version"]
                for name, entry in metadata.items()
                if isinstance(name, str) and isinstance(entry, dict) and isinstance(entry.get("version"), int)
            }


class Blank:
    """Stands for an object of any other class; `named` tells which."""

    named = ""

    def __new__(cls, *_: Any, **__: Any) -> Blank:
        """A blank, whatever is given."""
        return super().__new__(cls)

    def __call__(self, *_: Any, **__: Any) -> Blank:
        """Itself, whatever it is called with."""
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        """Swallow an item."""

    def extend(self, items: Any) -> None:
        """Swallow items."""

    add = append


@dataclass(frozen=True, eq=False)
class Storage:
    """Numbers of one type in a file; `read` returns their bytes."""

    dtype: torch.dtype
    size: int
    read: Callable[[], bytes]


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor as a file describes it.

    Parameters
    ----------
    storage : Storage
    dtype : torch.dtype
    offset : int
        Of its first number in the storage.
    shape, stride : tuple of int
    """

    storage: Storage
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many numbers it has."""
        total = 1
        for length in self.shape:
            total *= length
        return total

    def load(self) -> Tensor:
        """The tensor itself, contiguous, on the CPU.

        Raises
        ------
        ValueError
            If it does not fit into its storage, or repeats what is there.
        """
        whole = (*self.shape, *self.stride, self.offset)
        if len(self.shape) != len(self.stride) or not all(isinstance(n, int) and n >= 0 for n in whole):
            raise ValueError(f"a tensor of shape {self.shape} and strides {self.stride}")
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        if self.count and (last >= self.storage.size or self.count > self.storage.size):
            raise ValueError(f"a tensor of shape {self.shape} made of {self.storage.size} numbers")
        data = self.storage.read() if self.count else b""
        if not data:
            return torch.zeros(self.shape, dtype=self.dtype)
        flat = torch.frombuffer(bytearray(data), dtype=self.dtype)
        return flat.as_strided(self.shape, self.stride, self.offset).contiguous()


@dataclass(slots=True)
class _Name:
    """A function by its name: called, it notes its arguments."""

    note: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        return self.note(*arguments)


def _tensor(storage: Any, offset: int, shape: Any, stride: Any, *_: Any) -> StoredTensor:
    if not isinstance(storage, Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    return StoredTensor(storage, storage.dtype, offset, tuple(shape), tuple(stride))


def _tensor_of_type(storage: Any, offset: int, shape: Any, stride: Any, *more: Any) -> StoredTensor:
    """As torch writes types that have no storage class of their own."""
    return StoredTensor(storage, more[2], offset, tuple(shape), tuple(stride))


def _first(value: Any, *_: Any) -> Any:
    return value


def _typed(function: Any, _: Any, arguments: Any, *__: Any) -> Any:
    """A parameter or another subclass of tensors: what its own function makes of the arguments."""
    return function(*arguments) if isinstance(function, _Name) else None


@dataclass
class _Contents:
    """What an unpickling met."""

    make_storage: Callable[[tuple[Any, ...]], Storage]
    blanks: dict[str, type[Blank]] = field(default_factory=dict)


class _Reader(pickle.Unpickler):
    """Knows how tensors are described, and makes blanks of everything else."""

    def __init__(self, stream: BinaryIO, contents: _Contents) -> None:
        super().__init__(stream, encoding="utf-8", errors="replace")
        self.contents = contents

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): StateDict,
            ("torch._utils", "_rebuild_tensor"): _tensor,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_tensor_v3"): _tensor_of_type,
            ("torch._utils", "_rebuild_parameter"): _first,
            ("torch._utils", "_rebuild_parameter_with_state"): _first,
            ("torch._tensor", "_rebuild_from_type_v2"): _typed,
        }
        if (module, name) in known:
            return _Name(known[module, name])
        if module in ("torch", "torch.storage", "torch.cuda") and name in _STORAGES:
            return _Name(lambda: _STORAGES[name])
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        return self._blank(f"{module}.{name}")

    def persistent_load(self, identity: Any) -> Any:
        if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
            # Old files keep the source of a pickled model's classes here.
            return self._blank(getattr(identity[1], "named", "a class"))
        return self.contents.make_storage(identity)

    def _blank(self, named: str) -> type[Blank]:
        blanks = self.contents.blanks
        if named not in blanks and len(blanks) >= MAXIMUM_CLASSES:
            raise pickle.UnpicklingError(f"objects of more than {MAXIMUM_CLASSES} classes")
        return blanks.setdefault(named, type("Blank", (Blank,), {"named": named}))


def read_torch_file(path: Path) -> tuple[Any, tuple[str, ...]]:
    """The object in a file of `torch.save`, with descriptions for tensors and blanks for what is no plain data.

    Parameters
    ----------
    path : Path

    Returns
    -------
    object
        Of dicts, lists, tuples, numbers, strings, `StateDict`, `StoredTensor` and `Blank`.
    tuple of str
        Names of the classes that became blanks.

    Raises
    ------
    UserError
        If it is no such file, is damaged, or describes more than a pair of DCGANs has.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(4) == b"PK\x03\x04":
                return _read_archive(path)
            stream.seek(0)
            return _read_legacy(path, stream)
    except UserError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        # A damaged pickle fails wherever its bytes lead, with any error of the standard library.
        raise UserError(f"{path} is damaged ({type(error).__name__}: {error}): copy or download it again") from error


def _check_steps(data: bytes, path: Path) -> None:
    """Refuse pickles that would keep the unpickler busy, or make it room for memo places that nothing is put into."""
    for steps, (operation, argument, _) in enumerate(pickletools.genops(data)):
        if steps > MAXIMUM_STEPS:
            raise UserError(f"{path} describes more than a pair of DCGANs has: save the state_dict alone")
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT") and (argument or 0) > MAXIMUM_STEPS:
            raise pickle.UnpicklingError(f"a memo place {argument}")


def _unpickle(stream: io.BytesIO, contents: _Contents, path: Path) -> Any:
    start = stream.tell()
    rest = stream.getbuffer()[start:].tobytes()
    _check_steps(rest, path)
    return _Reader(stream, contents).load()


def _read_archive(path: Path) -> tuple[Any, tuple[str, ...]]:
    _check_directory(path)
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if any(name.startswith("code/") for name in entries):
            raise UserError(
                f"{path} is a TorchScript program, whose code would have to be run: load it with torch.jit.load and save "
                "its state_dict()"
            )
        described = entries.get("data.pkl")
        if described is None:
            raise UserError(f"{path} is a zip archive, but not one of torch.save: give a file of weights")
        if any(info.compress_type or info.flag_bits & 1 for info in entries.values()):
            raise UserError(f"{path} is compressed, which torch.save never does: unpack it")
        if described.file_size > MAXIMUM_PICKLE:
            raise UserError(f"{path} describes more than a pair of DCGANs has: save the state_dict alone")

    def read(name: str) -> bytes:
        with zipfile.ZipFile(path) as archive:
            return archive.read(entries[name])

    def make_storage(identity: tuple[Any, ...]) -> Storage:
        _, dtype, key, _, count = identity[:5]
        dtype = dtype()
        width = torch.empty(0, dtype=dtype).element_size()
        size = entries[f"data/{key}"].file_size // width
        if count != size:
            raise pickle.UnpicklingError(f"the storage {key} has {size} numbers instead of {count}")
        return Storage(dtype, size, lambda: read(f"data/{key}"))

    contents = _Contents(make_storage)
    stream = io.BytesIO(read("data.pkl"))
    return _unpickle(stream, contents, path), tuple(contents.blanks)


def _check_directory(path: Path) -> None:
    """Refuse archives of very many entries before zipfile makes an object of each."""
    with path.open("rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(size - 2**16 - 22, 0))
        tail = stream.read()
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) < found + 22:
        raise UserError(f"{path} is cut off, or was never written to its end: copy or download it again")
    _, _, _, _, entries, directory, *_ = struct.unpack("<4s4H2LH", tail[found : found + 22])
    if entries > MAXIMUM_ENTRIES or directory > 256 * MAXIMUM_ENTRIES:
        raise UserError(
            f"{path} has {entries:,} or more entries: that is not a pair of DCGANs; save the state_dict alone"
        )


def _read_legacy(path: Path, file: BinaryIO) -> tuple[Any, tuple[str, ...]]:
    """Several pickles in a row (magic number, version, system, the object, the order of storages), then the storages."""
    head = file.read(MAXIMUM_PICKLE)
    total = path.stat().st_size
    stream = io.BytesIO(head)
    places: dict[str, tuple[int, int]] = {}

    def read(key: str, width: int) -> bytes:
        start, count = places[key]
        with path.open("rb") as again:
            again.seek(start)
            return again.read(count * width)

    storages: dict[str, tuple[torch.dtype, int]] = {}

    def make_storage(identity: tuple[Any, ...]) -> Storage:
        _, named, key, _, count = identity[:5]
        dtype, key = named(), str(key)
        if not isinstance(count, int) or not 0 <= count <= total or (len(identity) > 5 and identity[5] is not None):
            raise pickle.UnpicklingError(f"a storage of {count} numbers")
        width = torch.empty(0, dtype=dtype).element_size()
        storages[key] = (dtype, count)
        return Storage(dtype, count, lambda: read(key, width))

    contents = _Contents(make_storage)
    magic = _unpickle(stream, contents, path)
    if magic != LEGACY_MAGIC:
        return magic, tuple(contents.blanks)
    for _ in range(2):
        _unpickle(stream, contents, path)
    loaded = _unpickle(stream, contents, path)
    position = _locate(_unpickle(stream, contents, path), storages, places, stream, path)
    if position > total:
        raise UserError(f"{path} is cut off, or was never written to its end: copy or download it again")
    return loaded, tuple(contents.blanks)


def _locate(
    keys: Any,
    storages: Mapping[str, tuple[torch.dtype, int]],
    places: dict[str, tuple[int, int]],
    stream: io.BytesIO,
    path: Path,
) -> int:
    """Note where every storage of a legacy file begins, after its count; returns where the last ends."""
    position = stream.tell()
    with path.open("rb") as file:
        for key in map(str, keys):
            file.seek(position)
            (count,) = struct.unpack("<q", file.read(8))
            dtype, expected = storages[key]
            if count != expected:
                raise pickle.UnpicklingError(f"the storage {key} has {count} numbers instead of {expected}")
            places[key] = (position + 8, count)
            position += 8 + count * torch.empty(0, dtype=dtype).element_size()
    return position
