"""LSUN's LMDB as it is distributed, read without liblmdb.

liblmdb maps the file and trusts it: a download that was cut off ends the process with a bus error, a damaged page with
a segmentation fault. Reading needs only a walk over the tree's leaves, once, and then the place of each value, which is
what this does, with every place checked. Nothing is written beside the database, no lock and no cache of its keys.

The format (lmdb.h and mdb.c of OpenLDAP): pages begin with a header of 16 bytes, then an array of 16-bit offsets of
their nodes. Pages 0 and 1 are meta pages, of which the one with the higher transaction counts. A node of a branch holds
the page below; one of a leaf a key with its value, or the first overflow page of a large value.
"""

from __future__ import annotations

import mmap
import struct
from array import array
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from dcgan_viz.data.decoding import MAXIMUM_FILE_BYTES, Entry, UnreadableError
from dcgan_viz.data.sources.names import Names
from dcgan_viz.data.sources.source import Source
from dcgan_viz.errors import UserError

DATA_FILE = "data.mdb"
BRANCH, LEAF, OVERFLOW, META = 0x01, 0x02, 0x04, 0x08
BIG_VALUE, SEVERAL_VALUES = 0x01, 0x06
MAGIC, VERSION = 0xBEEFC0DE, 1
PAGE_HEADER = 16
MAXIMUM_DEPTH, MAXIMUM_KEY = 32, 511

_META = struct.Struct("<16x2I16x")
_MAIN = struct.Struct("<I2H5Q")
_NODE = struct.Struct("<4H")


class LmdbSource(Source):
    """The pictures of an LMDB, in the order of its keys, which are their names.

    Raises
    ------
    UserError
        If it is damaged or cut off.
    """

    kind = "an LMDB"

    def __init__(self, path: Path) -> None:
        self.file = path / DATA_FILE if path.is_dir() else path
        self.offset, self.size = array("q"), array("q")
        try:
            with self.file.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                names = self._walk(data)
        except (OSError, ValueError, struct.error) as error:
            raise UserError(
                f"{self.file} is not an LMDB, damaged or cut off ({error}); copy or download it again"
            ) from error
        super().__init__(path, names)

    def _walk(self, data: mmap.mmap) -> Names:
        page_size, root, entries = _newest(data)
        names = Names()
        waiting = [] if root == 2**64 - 1 else [(root, 0)]
        pages = len(data) // page_size
        visited = bytearray(pages)
        while waiting:
            number, depth = waiting.pop()
            if number >= pages or depth > MAXIMUM_DEPTH or visited[number]:
                raise ValueError(f"page {number} is out of place")
            visited[number] = 1
            start = number * page_size
            flags, lower = struct.unpack_from("<10x2H", data, start)
            if not flags & (BRANCH | LEAF) or not PAGE_HEADER <= lower <= page_size:
                raise ValueError(f"page {number} is neither a branch nor a leaf")
            nodes = np.frombuffer(data[start + PAGE_HEADER : start + lower], "<u2").tolist()
            if flags & BRANCH:
                below = [self._below(data, start + node) for node in nodes]
                waiting.extend((child, depth + 1) for child in reversed(below))
            else:
                for node in nodes:
                    names.append(self._value(data, start, node, page_size))
        if len(names) != entries:
            raise ValueError(f"it says that it holds {entries} entries, and {len(names)} are found")
        return names

    def _below(self, data: mmap.mmap, node: int) -> int:
        low, middle, high, _ = _NODE.unpack_from(data, node)
        return int(low | middle << 16 | high << 32)

    def _value(self, data: mmap.mmap, start: int, node: int, page_size: int) -> str:
        """The key of a leaf's node; where its value lies is noted."""
        low, high, flags, key_size = _NODE.unpack_from(data, start + node)
        size, key = low | high << 16, start + node + _NODE.size
        offset = key + key_size
        if flags & SEVERAL_VALUES or key_size > MAXIMUM_KEY:
            raise ValueError("it holds databases within, or several values a key: it is none of LSUN's")
        if flags & BIG_VALUE:
            (page,) = struct.unpack_from("<Q", data, offset)
            offset = page * page_size + PAGE_HEADER
        if offset + size > len(data):
            raise ValueError("it is shorter than its entries")
        self.offset.append(offset)
        self.size.append(size)
        return data[key : key + key_size].decode("utf-8", "backslashreplace")

    def _open(self) -> BinaryIO:
        return self.file.open("rb", buffering=0)

    def _entry(self, index: int) -> Entry:
        if self.size[index] > MAXIMUM_FILE_BYTES:
            raise UnreadableError(f"it takes more than {MAXIMUM_FILE_BYTES // 2**20} MiB")
        self._handle.seek(self.offset[index])
        return cast(bytes, self._handle.read(self.size[index]))


def _newest(data: mmap.mmap) -> tuple[int, int, int]:
    """Page size, root page and number of entries, by the newer of the two meta pages."""
    found = []
    (page_size,) = struct.unpack_from("<I", data, PAGE_HEADER + 24)
    if page_size not in {2**k for k in range(9, 17)}:
        raise ValueError(f"its pages are {page_size} bytes")
    for start in (0, page_size):
        magic, version = struct.unpack_from("<II", data, start + PAGE_HEADER)
        if magic != MAGIC or version != VERSION:
            raise ValueError("it does not begin as an LMDB does")
        _, _, _, _, _, _, entries, root = _MAIN.unpack_from(data, start + PAGE_HEADER + 24 + 48)
        last_page, transaction = struct.unpack_from("<QQ", data, start + PAGE_HEADER + 24 + 96)
        found.append((transaction, last_page, root, entries))
    _, last_page, root, entries = max(found)
    if (last_page + 1) * page_size > len(data):
        raise ValueError(f"it is cut off: {len(data):,} bytes of {(last_page + 1) * page_size:,}")
    return page_size, root, entries
