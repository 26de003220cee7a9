"""Zips are read as `zipfile` reads them, in a fraction of its memory."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dcgan_viz.data.sources import open_images
from dcgan_viz.data.sources.names import Names, superseded
from dcgan_viz.data.sources.zip_directory import DamagedError, find_directory, members, read_member
from dcgan_viz.errors import UserError

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


class Unseekable(io.RawIOBase):
    """A pipe: sizes are then written behind the members."""

    def __init__(self, file: io.BytesIO) -> None:
        self.file = file

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        return self.file.write(data)


def make(seed: int, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A zip of some members of every kind."""
    random = np.random.default_rng(seed)
    if seed % 4 == 3:
        # From here on zipfile writes what only files beyond 4 GiB would need.
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 40)
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    file = io.BytesIO(b"#!/bin/sh\n" * int(seed % 2)) if seed % 2 else io.BytesIO()
    file.seek(0, 2)
    target = Unseekable(file) if seed % 3 == 2 else file
    with zipfile.ZipFile(target, "w") as archive:
        for index in range(int(random.integers(1, 9))):
            name = "/".join(random.choice(["b", "ä", "桌", "c d"], random.integers(1, 4))) + f"{index}.png"
            size = int(random.choice([0, 1, 100, 70_000]))
            data = bytes(random.integers(0, int(random.choice([2, 256])), size, dtype=np.uint8))
            member = zipfile.ZipInfo(name if random.random() < 0.8 else name + "/")
            member.comment, member.extra = b"said" * int(random.integers(0, 3)), struct.pack("<HH2s", 77, 2, b"xx")
            archive.writestr(member, b"" if member.is_dir() else data, METHODS[random.integers(0, 4)])
        archive.comment = b"as it was said" if seed % 5 == 1 else b""
    return file.getvalue()


@pytest.mark.parametrize("seed", range(24))
def test_every_member_is_what_zipfile_reads(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO(make(seed, monkeypatch))
    with zipfile.ZipFile(file) as archive:
        expected = {member.filename: archive.read(member) for member in archive.infolist()}
    found = {}
    directory = find_directory(file)
    for _, member in members(file, directory):
        place = file.tell()
        found[member.name] = read_member(file, member)
        file.seek(place)
    assert found == expected


def test_a_member_takes_few_bytes_and_a_name_that_is_out_of_order_finds_its_place(tmp_path: Path) -> None:
    count = 5000
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for index in reversed(range(count)):
            archive.writestr(f"{index:040x}.jpg", b"%d" % index)
    source = open_images(tmp_path / "a.zip")
    # zipfile's own objects take 2 KB each.
    assert len(pickle.dumps(source)) < 70 * count
    assert [source.entry(index) for index in (0, 7, count - 1)] == [b"0", b"7", b"%d" % (count - 1)]


@pytest.mark.parametrize("place", range(-22, 0))
def test_a_damaged_end_is_a_sentence_or_says_nothing(place: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", b"picture")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[place] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(data)
    try:
        found = open_images(tmp_path / "a.zip").entry(0)
    except UserError as error:
        assert f"{tmp_path / 'a.zip'} is" in str(error) or "cannot be read" in str(error)  # noqa: PT017
    else:
        # Counts, which nothing is read by, and the length of a comment.
        assert found == b"picture"


def test_an_end_that_is_missing_or_somewhere_else_is_said() -> None:
    for data in (b"", b"PK\x05\x06", b"x" * 100):
        with pytest.raises(DamagedError, match="no end of its directory"):
            find_directory(io.BytesIO(data))


def test_names_are_those_that_were_given() -> None:
    names = ["", "a", "\udce4.png", "桌", "a", "a"]
    kept = Names(names)
    assert kept == names
    assert kept[1:3] == ("a", "\udce4.png")
    assert kept != names[:-1]
    assert pickle.loads(pickle.dumps(kept)) == kept
    assert superseded(kept) == {1, 4}
    with pytest.raises(IndexError):
        kept[6]
