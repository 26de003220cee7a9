from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from dcgan_viz.data.labelled import load_labelled
from dcgan_viz.errors import Notice, UserError


def picture(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (level, level, level)).save(path)


def test_classes_are_folders_below_what_all_share(tmp_path: Path) -> None:
    for name, level in (("cat", 10), ("dog", 20)):
        for k in range(2):
            picture(tmp_path / "set" / "animals" / name / f"{k}.png", level)
    found = load_labelled(tmp_path / "set", 8)
    assert found.test is None
    assert found.training.classes == ("cat", "dog")
    assert found.training.images.names[0] == "cat/0.png"
    assert [found.training.images.pixels[i, 0, 0, 0] for i in range(4)] == [10, 10, 20, 20]
    assert found.training.numbers.tolist() == [0, 0, 1, 1]


def test_folders_train_and_test_are_the_parts(tmp_path: Path) -> None:
    for part, level in (("train", 10), ("test", 20)):
        for name in ("cat", "dog"):
            picture(tmp_path / part / name / "a.png", level)
    found = load_labelled(tmp_path, 8)
    assert found.test is not None
    assert (found.training.images.pixels == 10).all()
    assert (found.test.images.pixels == 20).all()
    assert found.test.numbers.tolist() == [0, 1]


def test_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((11, 8, 8, 3), np.uint8), y=np.arange(11)[::-1])
    found = load_labelled(tmp_path / "a.npz", 8).training
    assert found.classes == tuple(map(str, range(11)))
    assert found.numbers.tolist() == list(range(11))[::-1]


def test_the_two_files_of_svhn(tmp_path: Path) -> None:
    for part, level in (("train", 10), ("test", 20)):
        digits = np.array([[10], [1], [2]], np.uint8)
        savemat(tmp_path / f"{part}_32x32.mat", {"X": np.full((32, 32, 3, 3), level, np.uint8), "y": digits})
    found = load_labelled(tmp_path, 32)
    assert found.test is not None
    assert found.training.classes == ("0", "1", "2")
    assert found.training.numbers.tolist() == [0, 1, 2]
    assert (found.test.images.pixels == 20).all()


def cifar(folder: Path, rows: dict[str, list[int]]) -> None:
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("plane\ncar\n")
    for name, classes in rows.items():
        records = np.zeros((len(classes), 3073), np.uint8)
        records[:, 0] = classes
        records[:, 1:] = 10 if "data" in name else 20
        (folder / f"{name}.bin").write_bytes(records.tobytes())


def test_batches_of_cifar_come_with_their_test(tmp_path: Path) -> None:
    cifar(tmp_path / "c", {"data_batch_1": [0, 1], "data_batch_2": [1], "test_batch": [1, 0]})
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        found = load_labelled(tmp_path / "c", 32)
    assert found.test is not None
    assert found.training.numbers.tolist() == [1, 0, 0]  # car comes before plane
    assert found.test.numbers.tolist() == [0, 1]
    assert (found.test.images.pixels == 20).all()


def test_a_table_and_pictures_that_it_does_not_name(tmp_path: Path) -> None:
    for k in range(3):
        picture(tmp_path / "set" / f"{k}.png", 10 * k)
    (tmp_path / "labels.csv").write_text("file,label\n0.png,a\n2.png,b\n")
    with pytest.warns(Notice, match="1 of 3 pictures have no class"):
        found = load_labelled(tmp_path / "set", 8, labels=str(tmp_path / "labels.csv")).training
    assert found.images.names == ("0.png", "2.png")


def test_labels_that_are_wrong_are_one_sentence(tmp_path: Path) -> None:
    x = np.zeros((4, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(3))
    with pytest.raises(UserError, match=r"a.npz holds no class for each of its 4 pictures"):
        load_labelled(tmp_path / "a.npz", 8)
    np.savez(tmp_path / "b.npz", x=x, y=np.array([0, 1, 0, 1]))
    np.savez(tmp_path / "c.npz", x=x, y=np.array([0, 2, 0, 1]))
    with pytest.raises(UserError, match=r"the classes of .*c.npz are 0, 1, 2, and those of the training 0, 1: name"):
        load_labelled(tmp_path / "b.npz", 8, test=tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", x=x, y=np.zeros(4, int))
    with pytest.raises(UserError, match="a folder for each class"):
        load_labelled(tmp_path / "d.npz", 8)
    picture(tmp_path / "flat" / "a.png", 1)
    with pytest.raises(UserError, match="a folder for each class"):
        load_labelled(tmp_path / "flat", 8)
