"""What every source of pictures is: names in a fixed order, and one picture at a time."""

from __future__ import annotations

import io
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, overload

from PIL import Image

from dcgan_viz.data.decoding import Entry, UnreadableError, decode
from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import printable


class Source(ABC):
    """Pictures in one place, in a fixed order, of which one is read at a time.

    A source can be pickled, and each process opens its files anew.

    Parameters
    ----------
    path : Path
        Where they lie.
    names : sequence of str
        Of each picture, as in a folder: of a set that has classes, a picture lies in the folder of its class.
    left_out : sequence of str
        What lies there too and is not read, such as ``"3 .txt"``.
    """

    kind: ClassVar[str]
    """What it is, in words."""

    def __init__(self, path: Path, names: Sequence[str], left_out: Sequence[str] = ()) -> None:
        self.path = path
        self.names = names
        self.left_out = tuple(left_out)
        self._handle: Any = None
        self._process = -1
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_lock"} | {"_handle": None, "_process": -1}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.RLock())

    def __del__(self) -> None:
        handle = self.__dict__.get("_handle")
        for file in handle.values() if isinstance(handle, dict) else (handle,):
            if isinstance(file, io.IOBase):
                file.close()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Image.Image:
        """The decoded picture, the right way up.

        Raises
        ------
        UserError
            If it does not decode.
        """
        try:
            return decode(self.entry(index))
        except UnreadableError as error:
            raise UserError(
                f"{printable(self.names[index])} in {self.path} is not a readable image: {error}"
            ) from error

    def __iter__(self) -> Iterator[Image.Image]:
        return (self[index] for index in range(len(self)))

    def entry(self, index: int) -> Entry:
        """The picture before it is decoded.

        Raises
        ------
        UnreadableError
            If it cannot be got at.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        with self._lock:
            if self._process != os.getpid():
                # A file that was opened before a fork shares its position with the parent's.
                self._handle, self._process = self._open(), os.getpid()
            return self._entry(index)

    def _open(self) -> Any:
        """What is opened once in each process."""
        return None

    @abstractmethod
    def _entry(self, index: int) -> Entry: ...

    def changed(self) -> float:
        """When the last of its files was written, replaced or given other rights, in seconds since 1970."""
        last = 0.0
        for file in self._files():
            # One that is gone is said where it is read.
            with suppress(OSError):
                last = max(last, file.stat().st_ctime)
        return last

    def _files(self) -> Iterable[Path]:
        """What it is read from."""
        return self.path.iterdir() if self.path.is_dir() else (self.path,)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The class of each picture, the first folder of its name; None where one has none."""
        first = [PurePosixPath(name).parts for name in self.names]
        return tuple(parts[0] for parts in first) if first and all(len(p) > 1 for p in first) else None

    @property
    def found(self) -> str:
        """What was found, in a sentence."""
        return f"{self.path}: {len(self):,} picture{'s' * (len(self) != 1)} in {self.kind}"


class Numbered(Sequence[str]):
    """Names with a number, made when they are asked for: millions of them take no memory.

    Examples
    --------
    >>> list(Numbered("a.npy", 2))
    ['a.npy[0]', 'a.npy[1]']
    """

    def __init__(self, prefix: str, count: int) -> None:
        self._prefix, self._count = prefix, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        numbers = range(self._count)[index]
        return f"{self._prefix}[{numbers}]" if isinstance(numbers, int) else [f"{self._prefix}[{n}]" for n in numbers]
