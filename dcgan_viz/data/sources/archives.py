"""Pictures in a zip, a tar, or the tars of a WebDataset."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import tarfile
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from dcgan_viz.data.decoding import MAXIMUM_FILE_BYTES, Entry, UnreadableError
from dcgan_viz.data.sources.names import Names, ascending, superseded
from dcgan_viz.data.sources.selection import SPECIAL, LeftOut, select
from dcgan_viz.data.sources.source import Source
from dcgan_viz.data.sources.zip_directory import (
    BZIP2,
    DEFLATED,
    ENCRYPTED,
    LZMA,
    STORED,
    find_directory,
    members,
    read_member,
    read_record,
)
from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import as_text
from dcgan_viz.words import counted

ZIP_METHODS = frozenset({STORED, DEFLATED, BZIP2, LZMA})
MAXIMUM_SHARDS, MAXIMUM_CLASS, MAXIMUM_HEADER = 100_000, 256, 2**20
SHARDS = re.compile(r"(.*)\{(\d{1,9})\.\.(\d{1,9})\}(.*\.(?:tar|tgz|tar\.gz))")
"""Several tars by a range of numbers, such as ``train-{000..146}.tar``."""


class ZipSource(Source):
    """The pictures in a zip, in the order of their names.

    Raises
    ------
    UserError
        If its directory cannot be read.
    """

    kind = "a zip"

    def __init__(self, path: Path) -> None:
        names, places = Names(), array("q")
        try:
            with path.open("rb") as file:
                self.directory = find_directory(file)
                for place, member in members(file, self.directory):
                    if not member.name.endswith("/"):
                        names.append(member.name)
                        places.append(place)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path} is damaged or cut off: its directory cannot be read ({error}); copy or download it again"
            ) from error
        left_out = LeftOut()
        # Of several of one name unpacking leaves the last: sorting keeps their order.
        order = ascending(names, select(names, left_out))
        # An array is in order already: if it has all of them, nothing is to be copied.
        if len(order) < len(names) or not isinstance(order, array):
            places = array("q", (places[index] for index in order))
            # In another order most names would open a block of their own.
            every = names if isinstance(order, array) else list(names)
            names = Names(every[index] for index in order)
        self.places, self.refused = places, _refused(names)
        super().__init__(path, names, left_out.sentences())

    def _open(self) -> FileIO:
        return self.path.open("rb", buffering=0)

    def _entry(self, index: int) -> Entry:
        if index in self.refused:
            raise UnreadableError(self.refused[index])
        try:
            self._handle.seek(self.places[index])
            member = read_record(self._handle, self.directory)
            if member.flags & ENCRYPTED:
                raise UnreadableError("it is encrypted")
            if member.method not in ZIP_METHODS:
                raise UnreadableError(f"it is compressed by method {member.method}, which is not known here")
            _check_size(member.size)
            _check_size(member.packed)
            return read_member(self._handle, member)
        except UnreadableError:
            raise
        except Exception as error:  # The decompressors raise what they like.
            raise UnreadableError(f"the zip is damaged here ({error})") from error


class TarSource(Source):
    """The pictures in a tar, compressed or not, or in several, in the order in which they lie there.

    A compressed tar is read forwards only: reading a picture that lies before the last one begins again. Where each
    picture has a file ``.cls`` with its class beside it, as in WebDatasets, it lies in the folder of that class.

    Parameters
    ----------
    path : Path
    shards : sequence of Path, optional
        Several tars that make one set.

    Raises
    ------
    UserError
        If a tar is damaged.
    """

    kind = "a tar"

    def __init__(self, path: Path, shards: Sequence[Path] = ()) -> None:
        self.shards = tuple(shards) or (path,)
        self.shard, self.offset, self.size = array("l"), array("q"), array("q")
        self.refused: dict[int, str] = {}
        left_out = LeftOut()
        names = Names()
        for number in range(len(self.shards)):
            for name in self._index(number, left_out):
                names.append(name)
        super().__init__(path, names, left_out.sentences())

    def _index(self, number: int, left_out: LeftOut) -> Iterator[str]:
        """The names in a shard; where its pictures lie is noted."""
        files = _list(self.shards[number], left_out)
        chosen = select(files.names, left_out)
        names = Names(files.names[index] for index in chosen)
        self.refused.update({len(self.shard) + index: why for index, why in _refused(names).items()})
        self.shard.extend(number for _ in chosen)
        self.offset.extend(files.offset[index] for index in chosen)
        self.size.extend(files.size[index] for index in chosen)
        prefix = f"{as_text(self.shards[number].name)}/" if len(self.shards) > 1 else ""
        classes = files.classes if all(_key(name) in files.classes for name in names) else None
        return (f"{prefix}{name}" if classes is None else f"{classes[_key(name)]}/{prefix}{name}" for name in names)

    def _files(self) -> Sequence[Path]:
        return self.shards

    def _open(self) -> dict[int, BinaryIO]:
        return {}

    def _entry(self, index: int) -> Entry:
        if index in self.refused:
            raise UnreadableError(self.refused[index])
        _check_size(self.size[index])
        number = self.shard[index]
        try:
            if number not in self._handle:
                # One shard is open at a time.
                for file in self._handle.values():
                    file.close()
                self._handle.clear()
                self._handle[number] = _tar_bytes(self.shards[number])
            file = self._handle[number]
            file.seek(self.offset[index])
            return cast(bytes, file.read(self.size[index]))
        except Exception as error:
            raise UnreadableError(f"the tar is damaged here ({error})") from error


def expand_shards(pattern: str) -> list[Path]:
    """The files that a pattern with a range names, as WebDataset writes them.

    Raises
    ------
    UserError
        If the range is empty or too long.

    Examples
    --------
    >>> [str(path) for path in expand_shards("a-{008..010}.tar")]
    ['a-008.tar', 'a-009.tar', 'a-010.tar']
    """
    before, first, last, after = cast(re.Match[str], re.fullmatch(SHARDS, pattern)).groups()
    count = int(last) - int(first) + 1
    if not 1 <= count <= MAXIMUM_SHARDS:
        raise UserError(f"{pattern} names {max(count, 0)} files: a range goes up, over at most {MAXIMUM_SHARDS}")
    return [Path(f"{before}{number:0{len(first)}}{after}") for number in range(int(first), int(last) + 1)]


@dataclass
class _Files:
    """The files of a tar, and the classes by key."""

    names: Names = field(default_factory=Names)
    offset: array[int] = field(default_factory=lambda: array("q"))
    size: array[int] = field(default_factory=lambda: array("q"))
    classes: dict[str, str] = field(default_factory=dict)


def _list(shard: Path, left_out: LeftOut) -> _Files:
    files = _Files()
    try:
        with _tar_bytes(shard) as file, tarfile.TarFile(fileobj=cast(IO[bytes], _Bounded(file))) as archive:
            while (member := archive.next()) is not None:
                # tarfile remembers every member, a kilobyte each.
                archive.members.clear()  # type: ignore[attr-defined]
                if member.isreg() and member.name.endswith(".cls") and member.size < MAXIMUM_CLASS:
                    file.seek(member.offset_data)
                    files.classes[_key(as_text(member.name))] = (
                        file.read(member.size).decode().strip().replace("/", "_")
                    )
                elif member.isreg() and not member.issparse():
                    files.names.append(as_text(member.name))
                    files.offset.append(member.offset_data)
                    files.size.append(member.size)
                elif not member.isdir():
                    left_out.endings[SPECIAL] += 1
            # tarfile takes a damaged header for the end.
            file.seek(archive.offset)
            if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
                raise tarfile.ReadError("no entry begins where one should")
    except Exception as error:
        raise UserError(
            f"{shard} is damaged or cut off after {counted(len(files.names), 'file')} ({error}); copy or download it again"
        ) from error
    return files


def _tar_bytes(path: Path) -> BinaryIO:
    """The bytes of a tar, decompressed while they are read."""
    with path.open("rb") as file:
        start = file.read(6)
    for magic, opener in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open)):
        if start.startswith(magic):
            return cast(BinaryIO, opener(path, "rb"))
    return path.open("rb")


class _Bounded:
    """A file of which no header can make one read too much at once."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self._read = file.seek, file.tell, file.read

    def read(self, count: int) -> bytes:
        if not 0 <= count <= MAXIMUM_HEADER:
            raise tarfile.ReadError(f"a header claims {count} bytes")
        return self._read(count)


def _key(name: str) -> str:
    """What the files of one sample of a WebDataset share: all before the first dot of the file's name."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0] or path.name))


def _refused(names: Sequence[str]) -> dict[int, str]:
    """Which of an archive's pictures are not read because of their names, and why."""
    refused = dict.fromkeys(superseded(names), "the archive holds a later file of the same name")
    for index, name in enumerate(names):
        if name.startswith("/") or (".." in name and ".." in PurePosixPath(name).parts):
            refused[index] = "its name leads out of the archive"
    return refused


def _check_size(size: int) -> None:
    if size > MAXIMUM_FILE_BYTES:
        raise UnreadableError(f"it unpacks to {size / 2**20:,.0f} MiB, and {MAXIMUM_FILE_BYTES // 2**20} are allowed")
