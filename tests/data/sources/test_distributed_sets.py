"""CIFAR, SVHN and Hugging Face's datasets, in the very form in which they are distributed."""

from __future__ import annotations

import pickle
import shutil
import struct
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from dcgan_viz.data.images import load_images
from dcgan_viz.data.labels import read_labels
from dcgan_viz.data.sources import open_images
from dcgan_viz.data.sources.plain_pickle import read_pickle
from dcgan_viz.errors import UserError

CLASSES = ["airplane", "automobile", "bird"]


def python2_text(text: bytes) -> bytes:
    """A str of Python 2 in protocol 2, as cPickle writes it."""
    return (b"U" + bytes([len(text)]) if len(text) < 256 else b"T" + struct.pack("<i", len(text))) + text


def python2_batch(pixels: np.ndarray, labels: list[int], key: bytes = b"labels") -> bytes:
    """A batch as in ``cifar-10-python.tar.gz``: a dictionary that cPickle of Python 2 wrote, with memos."""
    rows, columns = pixels.shape
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x06cnumpy\nndarray\nq\x07K\x00\x85U\x01b\x87Rq\x08(K\x01"
        + b"M" + struct.pack("<H", rows) + b"M" + struct.pack("<H", columns) + b"\x86"
        + b"cnumpy\ndtype\nq\x09U\x02u1K\x00K\x01\x87Rq\x0a(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + python2_text(pixels.tobytes()) + b"tb"
    )  # fmt: skip
    numbers = b"]q\x04(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    items = python2_text(b"batch_label") + b"q\x02" + python2_text(b"training batch 1 of 5") + b"q\x03"
    return b"\x80\x02}q\x01(" + items + python2_text(key) + numbers + python2_text(b"data") + array + b"u."


@pytest.fixture
def records() -> tuple[np.ndarray, list[int]]:
    return np.random.default_rng(0).integers(0, 256, (5, 3072), dtype=np.uint8), [2, 0, 1, 1, 2]


def check(path: Path, records: tuple[np.ndarray, list[int]], classes: list[str]) -> None:
    pixels, labels = records
    images = load_images(path, 32)
    assert np.array_equal(images.pixels, pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    assert open_images(path).labels == tuple(classes[label] for label in labels)
    assert read_labels(None, images.names).classes == tuple(sorted(classes))


def test_cifar_for_python_is_read_without_unpickling(
    records: tuple[np.ndarray, list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, labels = records
    for number in (1, 2):
        part = slice(0, 3) if number == 1 else slice(3, 5)
        (tmp_path / f"data_batch_{number}").write_bytes(python2_batch(pixels[part], labels[part]))
    (tmp_path / "test_batch").write_bytes(python2_batch(pixels, labels))
    meta = b"\x80\x02}q\x01(" + python2_text(b"label_names") + b"]q\x02("
    meta += b"".join(python2_text(name.encode()) for name in CLASSES) + b"eu."
    (tmp_path / "batches.meta").write_bytes(meta)
    # What was written by hand is what Python itself would read.
    assert np.array_equal(pickle.loads((tmp_path / "test_batch").read_bytes(), encoding="bytes")[b"data"], pixels)
    monkeypatch.setattr(pickle, "load", lambda *_: pytest.fail("unpickled"))
    monkeypatch.setattr(pickle, "loads", lambda *_: pytest.fail("unpickled"))
    check(tmp_path, records, CLASSES)
    check(tmp_path / "test_batch", records, CLASSES)
    assert open_images(tmp_path).left_out == ("test_batch (give the file for the test pictures)",)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_batches_that_python_3_wrote_are_read_too(
    protocol: int, records: tuple[np.ndarray, list[int]], tmp_path: Path
) -> None:
    data = pickle.dumps({"data": records[0], "fine_labels": records[1]}, protocol)
    (tmp_path / "train").write_bytes(data)
    if protocol == 2:
        # Bytes are a call of a codec there.
        with pytest.raises(UserError, match="it would import _codecs encode"):
            open_images(tmp_path / "train")
        return
    check(tmp_path / "train", records, ["0", "1", "2"])


class _Bomb:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("exploded"),)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pickle.dumps({"data": _Bomb()}), "it would import pathlib"),
        (pickle.dumps({"data": np.zeros(3), "labels": []}, 2), "it would import _codecs"),
        (pickle.dumps({"data": np.zeros(3), "labels": []}, 4), "an array of something else than bytes"),
        (pickle.dumps([1]), "it holds no dictionary"),
        (pickle.dumps({"data": 1, "labels": 2}), "not a batch of CIFAR"),
        (b"", "not a batch of plain data"),
        (b"\x80\x02}q\x01(", "not a batch of plain data"),
        (b"cposix\nsystem\n(S'touch exploded'\ntR.", "it would import posix system"),
        (b"e.", "not a batch of plain data"),
        (b"(tcnumpy\nndarray\n\x81.", "it holds the instruction NEWOBJ"),
        (b"\x80\x02}(U\x04data" + b"h\x09u.", "not a batch of plain data"),
    ],
)
def test_pickles_of_anything_else_are_refused(
    data: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data_batch_1").write_bytes(data)
    with pytest.raises(UserError, match=reason):
        open_images("data_batch_1")
    assert not Path("exploded").exists()


def test_a_pickle_that_is_damaged_anywhere_is_refused_or_read(
    records: tuple[np.ndarray, list[int]], tmp_path: Path
) -> None:
    whole = python2_batch(records[0][:1], [1])
    random = np.random.default_rng(0)
    path = tmp_path / "data_batch_1"
    for _ in range(300):
        damaged = bytearray(whole)
        for place in random.integers(0, 220, 3):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        with suppress(UserError):
            read_pickle(path)


@pytest.mark.parametrize("coarse", [False, True])
def test_cifar_in_its_binary_version(coarse: bool, records: tuple[np.ndarray, list[int]], tmp_path: Path) -> None:
    pixels, labels = records
    name = "train.bin" if coarse else "data_batch_1.bin"
    before = b"\x07" if coarse else b""
    rows = b"".join(before + bytes([label]) + row.tobytes() for label, row in zip(labels, pixels, strict=True))
    (tmp_path / name).write_bytes(rows)
    (tmp_path / ("fine_label_names.txt" if coarse else "batches.meta.txt")).write_text("\n".join(CLASSES) + "\n\n")
    check(tmp_path, records, CLASSES)
    (tmp_path / name).write_bytes(rows[:-1])
    with pytest.raises(UserError, match="no whole number of CIFAR's records"):
        open_images(tmp_path)


def test_svhn_as_matlab_and_as_npz_with_labels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    digits = np.array([10, 1, 2, 10, 9, 5], np.uint8)
    savemat(
        tmp_path / "train_32x32.mat", {"X": pixels.transpose(1, 2, 3, 0), "y": digits[:, None]}, do_compression=True
    )
    np.savez(tmp_path / "svhn.npz", x=pixels, y=digits % 10)
    for name in ("train_32x32.mat", "svhn.npz"):
        images = load_images(tmp_path / name, 32)
        assert np.array_equal(images.pixels, pixels)
        assert open_images(tmp_path / name).labels == ("0", "1", "2", "0", "9", "5")
        assert images.names[4] == f"9/{name}[4]"
    data = bytearray((tmp_path / "train_32x32.mat").read_bytes())
    for cut in (100, 200, len(data) - 50):
        (tmp_path / "cut.mat").write_bytes(data[:cut])
        with pytest.raises(UserError, match=r"cut.mat is not SVHN's file of cropped digits"):
            open_images(tmp_path / "cut.mat")
    savemat(tmp_path / "other.mat", {"X": np.zeros((3, 3)), "y": 1})
    with pytest.raises(UserError, match="not SVHN's"):
        open_images(tmp_path / "other.mat")


def test_a_hugging_face_dataset_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    pictures = [Image.new("RGB", (20, 20), (value, value, value)) for value in (10, 20, 30)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog/wolf"])})
    rows = datasets.Dataset.from_dict({"image": pictures, "label": [0, 1, 0]}, features=features)
    # A selection is kept as indices beside the data.
    rows.select([2, 0, 1]).save_to_disk(str(tmp_path / "set"))
    source = open_images(tmp_path / "set")
    assert source.labels == ("cat", "cat", "dog_wolf")
    assert [int(np.asarray(image)[0, 0, 0]) for image in pickle.loads(pickle.dumps(source))] == [30, 10, 20]
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(str(tmp_path / "splits"))
    with pytest.raises(UserError, match=r"several splits: give one of the folders test, train"):
        open_images(tmp_path / "splits")
    assert len(open_images(tmp_path / "splits" / "test")) == 3
    shutil.rmtree(tmp_path / "splits" / "test")
    assert len(open_images(tmp_path / "splits")) == 3
    shutil.rmtree(tmp_path / "splits" / "train")
    with pytest.raises(UserError, match=r"names splits in dataset_dict.json, but holds none: copy or save it again"):
        open_images(tmp_path / "splits")
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(str(tmp_path / "text"))
    with pytest.raises(UserError, match=r"has 0 \(.*text.*\): give another dataset, or save it with the column"):
        open_images(tmp_path / "text")
    next((tmp_path / "set").glob("*.arrow")).write_bytes(b"damaged")
    with pytest.raises(UserError, match="not a readable Hugging Face dataset"):
        open_images(tmp_path / "set")
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'dcgan-viz\[huggingface\]'"):
        open_images(tmp_path / "set")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (("bedroom_val_lmdb/data.mdb", "bedroom_val_lmdb/lock.mdb"), "give .*/bedroom_val_lmdb, which lies in it"),
        (
            ("cifar-10-batches-py/batches.meta", "cifar-10-batches-py/data_batch_1"),
            "give .*/cifar-10-batches-py, which lies in it",
        ),
        (("train_32x32.mat", "test_32x32.mat"), "give .*/test_32x32.mat, or another of 2 sets in it"),
    ],
)
def test_sets_that_lie_deeper_or_are_packed_are_pointed_to(
    files: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed, tarfile.open(tmp_path / "set.tar.gz", "w:gz") as tar:
        for name in files:
            file = tmp_path / "set" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"")
            packed.write(file, name)
            tar.add(file, name)
    with pytest.raises(UserError, match=f"set holds no images .*: {sentence}"):
        open_images(tmp_path / "set")
    for name in ("set.zip", "set.tar.gz"):
        with pytest.raises(UserError, match=f"{name} holds no images among .*: unpack it, and give what lies in it"):
            open_images(tmp_path / name)
