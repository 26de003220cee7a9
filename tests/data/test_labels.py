from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from dcgan_viz.data.labels import read_labels
from dcgan_viz.errors import UserError

UTKFACE_NAMES = ["16_1_0_2017.jpg", "part1/15_0_4_2018.jpg.chip.jpg", "61_1_2017.jpg", "30_2_0_2017.jpg", "x.jpg"]


def test_folders_are_classes() -> None:
    labels = read_labels(None, ["b/x/1.png", "a/2.png", "b/3.png", "loose.png"])
    assert labels.classes == ("a", "b")
    assert labels.numbers.tolist() == [1, 0, 1, -1]
    assert labels.subsets == ("", "", "", "")


def test_utkface_names_are_read_and_those_that_lack_a_field_skipped() -> None:
    labels = read_labels("utkface", UTKFACE_NAMES)
    assert labels.classes == ("man", "woman")
    assert labels.numbers.tolist() == [1, 0, -1, -1, -1]
    assert labels.subsets[:2] == ("aged 16 or more", "aged under 16")


def test_a_table_names_labels_and_subsets(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("\ufefffile,label,subset\n1.png,cat,old\n3.png, dog ,\n2.png,,young\n", encoding="utf-8")
    labels = read_labels(str(path), ["1.png", "2.png", "3.png", "4.png"])
    assert labels.classes == ("cat", "dog")
    assert labels.numbers.tolist() == [0, -1, 1, -1]
    assert labels.subsets == ("old", "", "", "")
    path.write_text("file,label\n1.png,cat\n3.png,dog\n")
    assert read_labels(str(path), ["1.png", "3.png"]).numbers.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\n1.png,cat\n", "not a readable table"),
        ("file,label\n1.png\n", "not a readable table"),
        ("file,label\nother.png,cat\n", r"1 picture not found there \(other.png\)"),
        ("file,label\n1.png,cat\n2.png,cat\n", "fewer than two classes"),
        ("", "fewer than two classes"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_labels(str(path), ["1.png", "2.png"])


def test_what_has_no_labels_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give a table as `labels`"):
        read_labels(None, ["1.png", "2.png"])
    with pytest.raises(UserError, match="not named like UTKFace"):
        read_labels("utkface", ["1.png", "2.png"])
    with pytest.raises(UserError, match="or the word utkface"):
        read_labels(str(tmp_path / "missing.csv"), ["1.png"])


@pytest.mark.realdata
def test_almost_all_real_names_hold_a_gender(realdata: Path) -> None:
    with zipfile.ZipFile(realdata / "utkface_9780.zip") as archive:
        labels = read_labels("utkface", archive.namelist())
    assert (labels.numbers >= 0).sum() == 9778
