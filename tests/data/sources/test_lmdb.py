from __future__ import annotations

import io
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.data.sources import open_images
from dcgan_viz.data.sources.lmdb import LmdbSource
from dcgan_viz.errors import UserError

lmdb = pytest.importorskip("lmdb")


def webp(value: int, format: str = "WEBP") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (24, 20), (value, value, value)).save(file, format, lossless=True)
    return file.getvalue()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """Several levels of pages, small and large values, as many transactions, some entries deleted again."""
    folder = tmp_path_factory.mktemp("lsun") / "bedroom_train_lmdb"
    numbers = random.Random(0)
    entries: dict[str, bytes] = {}
    with lmdb.open(str(folder), map_size=2**28) as environment:
        for _ in range(4):
            with environment.begin(write=True) as transaction:
                for _ in range(150):
                    key, value = (
                        f"{numbers.getrandbits(160):040x}",
                        numbers.randbytes(numbers.choice([9, 1500, 2500])),
                    )
                    entries[key] = value
                    transaction.put(key.encode(), value)
        with environment.begin(write=True) as transaction:
            for key in sorted(entries)[::7]:
                transaction.delete(key.encode())
                del entries[key]
    return folder, entries


def test_it_reads_what_liblmdb_wrote_in_the_order_of_the_keys(database: tuple[Path, dict[str, bytes]]) -> None:
    folder, entries = database
    source = open_images(folder)
    assert isinstance(source, LmdbSource)
    assert source.names == tuple(sorted(entries))
    copy = pickle.loads(pickle.dumps(source))
    assert all(copy.entry(index) == entries[name] for index, name in enumerate(source.names))
    with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as transaction:
        assert [key.decode() for key, _ in transaction.cursor()] == list(source.names)


def test_nothing_is_written_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "lsun"
    with lmdb.open(str(folder), map_size=2**20) as environment, environment.begin(write=True) as transaction:
        for value, format in ((10, "WEBP"), (20, "JPEG")):
            transaction.put(f"{value:040x}".encode(), webp(value, format))
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert [int(np.asarray(image)[0, 0, 0]) for image in open_images(folder)] == [10, 20]
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    # The file alone is enough.
    assert open_images(folder / "data.mdb").names == open_images(folder).names


def test_a_download_that_was_cut_off_is_named(database: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    data = (database[0] / "data.mdb").read_bytes()
    for length in (0, 10, 5000, len(data) // 2, len(data) - 4096):
        (tmp_path / "data.mdb").write_bytes(data[:length])
        with pytest.raises(UserError, match="damaged or cut off"):
            open_images(tmp_path)


def test_damage_anywhere_is_an_error_or_other_bytes(database: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    numbers = random.Random(1)
    path = tmp_path / "data.mdb"
    original = (database[0] / "data.mdb").read_bytes()
    refused = 0
    for trial in range(60):
        shutil.copyfile(database[0] / "data.mdb", path)
        with path.open("r+b") as file:
            for _ in range(30):
                # Half of the damage goes to the headers of pages, where the tree is.
                page = numbers.randrange(2 if trial % 3 == 0 else len(original) // 4096) * 4096
                file.seek(page + numbers.randrange(200 if trial % 2 else 4096))
                file.write(bytes([numbers.randrange(256)]))
        try:
            source = open_images(path)
            for index in range(len(source)):
                source.entry(index)
        except UserError:
            refused += 1
    assert refused > 15


def test_databases_of_another_kind_are_refused(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path / "a"), map_size=2**20, max_dbs=2) as environment:
        inner = environment.open_db(b"inner")
        with environment.begin(write=True) as transaction:
            transaction.put(b"k", b"v", db=inner)
    with pytest.raises(UserError, match="it is none of LSUN's"):
        open_images(tmp_path / "a")
    lmdb.open(str(tmp_path / "b"), map_size=2**20).close()
    with pytest.raises(UserError, match="holds no images"):
        open_images(tmp_path / "b")
