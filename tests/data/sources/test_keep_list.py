from __future__ import annotations

import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from dcgan_viz.data.images import load_images
from dcgan_viz.data.prepare import prepare
from dcgan_viz.data.sources import open_images
from dcgan_viz.data.sources.keep_list import keep_list_text
from dcgan_viz.errors import UserError

CHOSEN = ("31.png", "04.png", "17.png")


@pytest.fixture
def keep_list(tmp_path: Path) -> Path:
    path = tmp_path / "keep.jsonl"
    path.write_text(keep_list_text(CHOSEN))
    return path


def test_the_named_pictures_are_used_in_the_order_of_the_source(
    photographs: Path, keep_list: Path, tmp_path: Path
) -> None:
    names = tuple(sorted(CHOSEN))
    source = pickle.loads(pickle.dumps(open_images(photographs, keep_list)))
    assert source.names == names
    assert "40 pictures in a folder, of which 3 are on the keep-list" in source.found
    whole = load_images(photographs, 16)
    expected = whole.pixels[[whole.names.index(name) for name in names]]
    assert np.array_equal(load_images(photographs, 16, keep_list=keep_list).pixels, expected)
    result = prepare(photographs, tmp_path / "a.npy", 16, keep_list=keep_list, workers=1)
    assert result.pictures == 3
    assert np.array_equal(np.load(tmp_path / "a.npy"), expected)


def test_an_array_keeps_the_names_it_was_prepared_with(photographs: Path, keep_list: Path, tmp_path: Path) -> None:
    prepare(photographs, tmp_path / "a.npy", 16, workers=1)
    chosen = load_images(tmp_path / "a.npy", 16, keep_list=keep_list)
    assert np.array_equal(chosen.pixels, load_images(photographs, 16, keep_list=keep_list).pixels)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('"04.png"\n"none.png"\n', r"1 of the 2 names in .* are of no picture in .*, such as none.png"),
        ('"04.png"\n04.png\n', r"line 2 of .* is not a name in quotes"),
        ('"04.png"\n3\n', r"line 2 of .* is not a name in quotes"),
        ('"04.png"\n"04.png"\n', r"has 04.png twice, again in line 2"),
        ("[" * 70_000, r"line 1 of .* is not a name in quotes"),
        ("", "names no pictures"),
    ],
)
def test_a_list_of_something_else_is_one_sentence(text: str, sentence: str, photographs: Path, keep_list: Path) -> None:
    keep_list.write_text(text)
    with pytest.raises(UserError, match=sentence):
        open_images(photographs, keep_list)


def test_pictures_of_one_name_cannot_be_told_apart(photographs: Path, keep_list: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in (*CHOSEN, CHOSEN[0]):
            archive.add(photographs / name, name)
    with pytest.raises(UserError, match="several pictures of one name"):
        open_images(tmp_path / "a.tar", keep_list)


@pytest.mark.slow
def test_the_commands_take_it(run: Callable[..., Result], photographs: Path, keep_list: Path) -> None:
    result = run("prepare", photographs, "a.npy", "--size", 16, "--keep-list", keep_list, "--workers", 1, "--json")
    assert json.loads(result.stdout)["pictures"] == 3
    trained = run(
        "train", photographs, "--keep-list", keep_list, "--out", "mine", "--size", 16, "--width", 4, "--batch-size", 2,
        "--steps", 1, "--device", "cpu", "--precision", "fp32",
    )  # fmt: skip
    assert trained.exit_code == 0, trained.output
    card = json.loads(Path("mine/model/card.json").read_text())
    assert f"--keep-list {keep_list}" in card["commands"][0]
    resumed = run("train", photographs, "--out", "mine", "--resume", "--steps", 2, "--device", "cpu")
    assert "the run to resume had other images (3, and these 40" in resumed.stderr
    Image.new("RGB", (20, 20)).save(photographs / "more.png")
    again = run("train", photographs, "--keep-list", keep_list, "--out", "mine", "--resume", "--steps", 2)
    assert again.exit_code == 0, again.output
