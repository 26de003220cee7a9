"""The directory and the members of a zip, of which only places are kept in memory.

`zipfile` makes an object of some 2 KB of every member, in every process that reads from the zip, and takes as long to begin
with a small picture as half its decoding takes. A member's record is read anew here, whenever the member is. The format is
that of PKWARE's APPNOTE.TXT.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol

STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
ENCRYPTED, UTF8 = 0x1, 0x800
LONGEST_COMMENT = 2**16
USUALLY = 256
"""Bytes that are read beyond a record's own, for a name and more: mostly one reading is enough."""

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_RECORD = struct.Struct("<4s6H3L5H2L")
_HEADER = struct.Struct("<4s5H3L2H")


class DamagedError(ValueError):
    """What a zip holds where something else should be."""


@dataclass(frozen=True)
class Directory:
    """Where the directory of a zip lies.

    Parameters
    ----------
    start, size : int
        Of its bytes.
    shift : int
        Bytes that somebody has put before the zip, and that its own offsets do not count.
    """

    start: int
    size: int
    shift: int


class Member(NamedTuple):
    """A record of the directory, which takes a fraction of a dataclass's time to make.

    Attributes
    ----------
    raw, name : bytes, str
        Its name as it is stored, and as it is read.
    flags, method, crc, packed, size : int
        As the format has them.
    header : int
        Where it lies.
    length : int
        Bytes of the record.
    """

    raw: bytes
    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    header: int
    length: int


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def find_directory(file: BinaryIO) -> Directory:
    """Where the directory lies, by the record at the end.

    Raises
    ------
    DamagedError
        If there is none, or it is in several files.
    """
    length = file.seek(0, 2)
    tail = max(0, length - _END.size - LONGEST_COMMENT)
    file.seek(tail)
    data = file.read(length - tail)
    place = data.rfind(b"PK\x05\x06")
    if place < 0 or len(data) - place < _END.size:
        raise DamagedError("it has no end of its directory")
    _, disk, _, _, _, size, offset, _ = _END.unpack_from(data, place)
    end = tail + place
    if end >= _LOCATOR.size:
        file.seek(end - _LOCATOR.size)
        magic, _, _, disks = _LOCATOR.unpack(_exactly(file, _LOCATOR.size))
        if magic == b"PK\x06\x07":
            end -= _LOCATOR.size + _END_64.size
            file.seek(max(end, 0))
            magic, *_, size, offset = _END_64.unpack(_exactly(file, _END_64.size))
            if magic != b"PK\x06\x06" or disks > 1:
                raise DamagedError("the end of its directory is damaged, or it has several parts")
            disk = 0
    if disk:
        raise DamagedError("it is one of several parts")
    shift = end - size - offset
    if shift < 0 or size > end:
        raise DamagedError("its directory lies beyond its end")
    return Directory(end - size, size, shift)


def members(file: BinaryIO, directory: Directory) -> Iterator[tuple[int, Member]]:
    """The records of a directory, each with its place.

    Raises
    ------
    DamagedError
        If one is.
    """
    place, end = directory.start, directory.start + directory.size
    file.seek(place)
    while place < end:
        member = read_record(file, directory)
        yield place, member
        place += member.length
        file.seek(place)


def read_record(file: BinaryIO, directory: Directory) -> Member:
    """The record that begins where the file stands.

    Raises
    ------
    DamagedError
        If it is none.
    """
    data = file.read(_RECORD.size + USUALLY)
    if len(data) < _RECORD.size:
        raise DamagedError("its directory is cut off")
    magic, _, _, flags, method, _, _, crc, packed, size, name, extra, comment, _, _, _, header = _RECORD.unpack_from(
        data
    )
    if magic != b"PK\x01\x02":
        raise DamagedError("no member begins where one should")
    begin, end = _RECORD.size + name, _RECORD.size + name + extra
    if len(data) < end:
        data += _exactly(file, end - len(data))
    size, packed, header = _wide(data[begin:end], size, packed, header)
    raw = data[_RECORD.size : begin]
    text = raw.decode("utf-8" if flags & UTF8 else "cp437").partition("\0")[0]
    return Member(raw, text, flags, method, crc, packed, size, header + directory.shift, end + comment)


def _wide(extra: bytes, *values: int) -> list[int]:
    """Values of 32 bits, and those of 64 bits in an extra field where they did not fit."""
    place = 0
    wide: list[int] = []
    while place + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, place)
        if kind == 1 and place + 4 + size <= len(extra):
            wide = list(struct.unpack_from(f"<{size // 8}Q", extra, place + 4))
            break
        place += 4 + size
    found = []
    for value in values:
        if value == 0xFFFFFFFF:
            if not wide:
                raise DamagedError("a member's size or place is missing")
            value = wide.pop(0)
        found.append(value)
    return found


def read_member(file: BinaryIO, member: Member) -> bytes:
    """The bytes of a member, never more than its record says, whose method and sizes the caller has checked.

    Raises
    ------
    DamagedError, zlib.error, lzma.LZMAError, OSError
        If it is damaged.
    """
    file.seek(member.header)
    data = file.read(_HEADER.size + len(member.raw) + USUALLY + member.packed)
    if len(data) < _HEADER.size:
        raise DamagedError("it is cut off")
    magic, *_, name, extra = _HEADER.unpack_from(data)
    if magic != b"PK\x03\x04":
        raise DamagedError("no member begins where one should")
    if data[_HEADER.size : _HEADER.size + name] != member.raw:
        raise DamagedError("the name in its directory and that of the member differ")
    begin = _HEADER.size + name + extra
    if extra > USUALLY:
        file.seek(member.header + begin)
        data, begin = file.read(member.packed), 0
    packed = data[begin : begin + member.packed]
    if len(packed) != member.packed:
        raise DamagedError("it is cut off")
    if member.method == STORED:
        data = packed
    else:
        if member.method == LZMA:
            decompressor, packed = _lzma(packed, member.size)
        else:
            decompressor = zlib.decompressobj(-15) if member.method == DEFLATED else bz2.BZ2Decompressor()
        # Of zlib 0 means no limit.
        data = decompressor.decompress(packed, max(member.size, 1))
    if len(data) != member.size or zlib.crc32(data) != member.crc:
        raise DamagedError("what it unpacks to is not what was packed")
    return data


def _lzma(packed: bytes, size: int) -> tuple[_Decompressor, bytes]:
    """What decompresses bytes, and these without what stands before them."""
    _, length = struct.unpack_from("<HH", packed)
    properties, dictionary = struct.unpack_from("<BL", packed, 4)
    # No more is ever looked back at than there is.
    filters = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": max(min(dictionary, size), 4096),
        "lc": properties % 9,
        "lp": properties // 9 % 5,
        "pb": properties // 45,
    }
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[filters]), packed[4 + length :]


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise DamagedError(f"it is cut off: {count:,} bytes are missing or fewer")
    return data
