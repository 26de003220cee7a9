from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

import dcgan_viz.data.prepare
from dcgan_viz.data.decoding import decode_square, read_square
from dcgan_viz.data.images import load_images
from dcgan_viz.data.labels import read_labels
from dcgan_viz.data.parts import Part
from dcgan_viz.data.prepare import merge_prepared, prepare
from dcgan_viz.data.sources import open_images
from dcgan_viz.errors import Notice, UserError
from dcgan_viz.progress import Stage

PARTS = (".a.npy.journal", ".a.npy.partial")


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dcgan_viz.data.prepare, "SHARD", 4)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of 19 noisy pictures together, of several sizes."""
    random = np.random.default_rng(0)
    for k in range(19):
        folder = tmp_path / "pictures" / "ab"[k % 2]
        folder.mkdir(parents=True, exist_ok=True)
        shape = (*random.integers(16, 60, 2), 3)
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{k:02}.png")
    return tmp_path / "pictures"


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_processes_writes_what_load_images_reads(workers: int, pictures: Path, tmp_path: Path) -> None:
    result = prepare(pictures, tmp_path / "a.npy", 16, workers=workers)
    expected = load_images(pictures, 16)
    assert result.pictures == 19
    assert result.broken == result.unturned == ()
    assert np.array_equal(np.load(tmp_path / "a.npy"), expected.pixels)
    images = load_images(tmp_path / "a.npy", 16)
    assert isinstance(images.pixels, np.memmap)
    assert images.names == expected.names
    assert read_labels(None, images.names).classes == ("a", "b")
    assert not any((tmp_path / part).exists() for part in PARTS)
    np.save(tmp_path / "b.npy", expected.pixels)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_where_nothing_decodes_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"none")
    for _ in range(2):
        with pytest.raises(UserError, match="of 1 image none decodes"):
            prepare(tmp_path / "pictures", tmp_path / "a.npy", 16, workers=1)
        assert [file.name for file in tmp_path.iterdir()] == ["pictures"]


@pytest.mark.usefixtures("small_shards")
def test_smaller_pictures_are_counted_in_parts_and_afterwards(pictures: Path, tmp_path: Path) -> None:
    smaller = 0
    for file in pictures.rglob("*.png"):
        with Image.open(file) as picture:
            smaller += min(picture.size) < 32
    assert 0 < smaller < 19
    whole = prepare(pictures, tmp_path / "a.npy", 32, workers=1)
    assert whole.enlarged == prepare(pictures, tmp_path / "a.npy", 32, overwrite=True).enlarged == smaller
    assert json.loads((tmp_path / "a.json").read_text())["enlarged"] == smaller
    for number in (1, 2):
        prepare(pictures, tmp_path / "b.npy", 32, part=Part(number, 2), workers=1)
    assert merge_prepared(tmp_path / "b.npy").enlarged == smaller


@pytest.mark.usefixtures("small_shards")
def test_broken_pictures_are_listed_with_their_reasons_or_end_it(pictures: Path, tmp_path: Path) -> None:
    (pictures / "a" / "05.png").write_bytes(b"")
    (pictures / "b" / "cut.png").write_bytes((pictures / "b" / "01.png").read_bytes()[:200])
    (pictures / "notes.txt").write_text("")
    with pytest.raises(UserError, match=r"a/05.png does not decode: the file is empty; .* or leave out `strict=True`"):
        prepare(pictures, tmp_path / "a.npy", 16, strict=True)
    result = prepare(pictures, tmp_path / "a.npy", 16)
    assert (result.broken[0].name, result.broken[0].reason) == ("a/05.png", "the file is empty")
    assert len(result.broken) == 2
    assert result.pictures == len(np.load(tmp_path / "a.npy")) == 19
    about = json.loads((tmp_path / "a.json").read_text())
    assert about["broken"][1]["name"] == "b/cut.png"
    assert about["left_out"] == ["1 .txt"]
    assert about["prepared"]["size"] == 16
    for file in pictures.rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(UserError, match=r"of 21 images none decodes, such as a/00.png: the file is empty"):
        prepare(pictures, tmp_path / "b.npy", 16)
    assert not (tmp_path / "b.npy").exists()


KILLED = """
import os, signal, sys
import dcgan_viz.data.prepare as module
module.SHARD = 4
def progress(shards, stage):
    for number, shard in enumerate(shards):
        if number == 3:
            print(os.getpid(), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        yield shard
module.prepare(sys.argv[1], sys.argv[2], 16, workers=2, progress=progress)
"""


@pytest.mark.usefixtures("small_shards")
def test_a_killed_preparation_goes_on_without_redoing_what_was_written(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepare(pictures, tmp_path / "whole.npy", 16)
    (pictures / "a" / "00.png").touch()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, pictures, tmp_path / "a.npy"], capture_output=True, check=False
    )
    assert done.returncode == -9, done.stderr
    assert not (tmp_path / "a.npy").exists()
    # A line that was cut off, and pixels that were not noted, are dropped.
    journal, partial = (tmp_path / part for part in PARTS)
    with journal.open("ab") as file:
        file.write(b'{"names": ["cut o')
    with partial.open("ab") as file:
        file.write(b"\x07" * 1000)
    firsts = []

    def watch(shards: Iterable, stage: Stage) -> Iterable:
        firsts.append((stage.first, stage.total))
        return shards

    result = prepare(pictures, tmp_path / "a.npy", 16, progress=watch)
    assert firsts == [(3, 5)]
    assert result.pictures == whole.pictures
    for ending in (".npy", ".names.jsonl"):
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"whole{ending}").read_bytes()
    assert not journal.exists()


@pytest.mark.usefixtures("small_shards")
def test_names_without_their_array_are_never_left(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise RuntimeError("killed here")

    with monkeypatch.context() as patched:
        patched.setattr(dcgan_viz.data.prepare, "digest_of", dies)
        with pytest.raises(RuntimeError, match="killed here"):
            prepare(pictures, tmp_path / "a.npy", 16, workers=1)
    assert not (tmp_path / "a.names.jsonl").exists()
    assert prepare(pictures, tmp_path / "a.npy", 16, workers=1, reuse=True).pictures


def test_it_goes_on_only_with_the_same_source_and_settings(pictures: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, pictures, tmp_path / "a.npy"], capture_output=True, check=False)
    with pytest.raises(UserError, match="is being prepared from another source or with other settings"):
        prepare(pictures, tmp_path / "a.npy", 17)
    (pictures / "a" / "00.png").rename(pictures / "a" / "zz.png")
    with pytest.raises(UserError, match="another source"):
        prepare(pictures, tmp_path / "a.npy", 16)


def test_nobody_elses_files_are_replaced(pictures: Path, tmp_path: Path) -> None:
    for name in ("a.npy", "a.json", "a.names.jsonl"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(UserError, match=f"{name} already exists"):
            prepare(pictures, tmp_path / "a.npy", 16)
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    for name in PARTS:
        (tmp_path / name).write_text("mine")
        with pytest.raises(UserError, match="is in the way, and was not written here: move it"):
            prepare(pictures, tmp_path / "a.npy", 16)
        assert (tmp_path / name).read_text() == "mine"
        for part in PARTS:
            (tmp_path / part).unlink(missing_ok=True)
    prepare(pictures, tmp_path / "a.npy", 16)
    with pytest.raises(UserError, match=r"a.npy already exists"):
        prepare(pictures, tmp_path / "a.npy", 16)
    prepare(pictures, tmp_path / "a.npy", 20, overwrite=True)
    assert np.load(tmp_path / "a.npy").shape == (19, 20, 20, 3)


def test_one_process_at_a_time(pictures: Path, tmp_path: Path) -> None:
    def second(shards: Iterable, stage: Stage) -> Iterable:
        with pytest.raises(UserError, match="another process is preparing"):
            prepare(pictures, tmp_path / "a.npy", 16)
        return shards

    prepare(pictures, tmp_path / "a.npy", 16, workers=1, progress=second)


def test_depth_is_taken_as_stated(tmp_path: Path) -> None:
    folder = tmp_path / "x-rays"
    folder.mkdir()
    Image.fromarray(np.full((16, 16), 2048, np.uint16)).save(folder / "1.png")
    with pytest.raises(UserError, match="mode I;16 with values from 2048 to 2048"):
        prepare(folder, tmp_path / "a.npy", 16, 1)
    prepare(folder, tmp_path / "b.npy", 16, 1, bits=12)
    assert (np.load(tmp_path / "b.npy") == 128).all()


def test_the_command_says_what_came_out(run: Callable[..., Result], pictures: Path) -> None:
    (pictures / "a" / "bad.png").write_bytes(b"")
    result = run("prepare", pictures, "a.npy", "--size", 16, "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "19 pictures of 16x16 written to a.npy" in result.stdout
    assert "1 left out:\n  a/bad.png: the file is empty\n" in result.stdout
    assert "listed in a.json" in result.stdout
    again = run("prepare", pictures, "b.npy", "--size", 16, "--workers", 1, "--json")
    assert json.loads(again.stdout)["pictures"] == 19
    refused = run("prepare", pictures, "c.npz")
    assert refused.exit_code == 2
    assert "should end in .npy" in refused.stderr


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_names_that_are_no_text_are_prepared_divided_and_found_again(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"f\xfe")
    folder.mkdir()
    for value, name in enumerate((b"a.png", b"b\xff.png", b"c\xff.png", b"d.png")):
        Image.new("L", (16, 16), value).save(folder / os.fsdecode(name))
    (folder / os.fsdecode(b"e\xff.jpg")).write_bytes(b"")
    source = folder
    if kind == "tar":
        source = tmp_path / os.fsdecode(b"f\xfe.tar")
        with tarfile.open(source, "w") as archive:
            for path in sorted(folder.iterdir()):
                archive.add(path, path.name)
    whole = prepare(source, tmp_path / "a.npy", 16, workers=1)
    assert [picture.name for picture in whole.broken] == [r"e\udcff.jpg"]
    assert np.load(whole.path)[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    for number in (1, 2):
        prepare(source, tmp_path / "b.npy", 16, part=Part(number, 2), workers=1)
    assert merge_prepared(tmp_path / "b.npy").path.read_bytes() == whole.path.read_bytes()
    (tmp_path / "keep.jsonl").write_text('"a.png"\n"c\\udcff.png"\n')
    for kept in (source, whole.path):
        assert [np.asarray(picture)[0, 0].max() for picture in open_images(kept, tmp_path / "keep.jsonl")] == [0, 2]


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 32, 32, 3), np.uint8))
    (tmp_path / "link.npy").symlink_to("a.npy")
    before = (tmp_path / "a.npy").read_bytes()
    for name in ("a.npy", "link.npy"):
        with pytest.raises(UserError, match=rf"{name} is what is read, and would be lost: choose another name"):
            prepare(tmp_path / "a.npy", tmp_path / name, 16, overwrite=True)
    assert (tmp_path / "a.npy").read_bytes() == before


def test_what_is_replaced_is_said(pictures: Path, tmp_path: Path) -> None:
    prepare(pictures, tmp_path / "a.npy", 16, workers=1)
    with pytest.warns(Notice, match=r"a\.npy replaced: it was there before"):
        prepare(pictures, tmp_path / "a.npy", 16, workers=1, overwrite=True)
    for number in (1, 2):
        prepare(pictures, tmp_path / "b.npy", 16, part=Part(number, 2), workers=1)
    merge_prepared(tmp_path / "b.npy")
    with pytest.warns(Notice, match=r"b\.npy replaced: it was there before"):
        merge_prepared(tmp_path / "b.npy", overwrite=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are watched there otherwise")
def test_processes_end_with_their_parent(pictures: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, pictures, tmp_path / "a.npy"], capture_output=True, timeout=60, check=False
    )
    # Its children hold the same standard output: that `run` has returned says that they are gone.
    assert done.returncode == -9


@pytest.mark.realdata
def test_real_photographs_are_the_same_from_a_folder_as_from_a_zip(realdata: Path, tmp_path: Path) -> None:
    source = open_images(realdata / "lsun_bedrooms_10k.zip")
    chosen = range(0, len(source), 500)
    (tmp_path / "photographs").mkdir()
    for index in chosen:
        entry = source.entry(index)
        assert isinstance(entry, bytes)
        (tmp_path / "photographs" / source.names[index]).write_bytes(entry)
    prepare(tmp_path / "photographs", tmp_path / "a.npy", 64)
    expected = [decode_square(source.entry(index), 64, 3)[0] for index in chosen]
    assert np.array_equal(np.load(tmp_path / "a.npy"), expected)


def twelve_bits(file: Path, highest: int = 4095) -> Path:
    file.parent.mkdir(exist_ok=True)
    Image.fromarray(np.linspace(0, highest, 256).astype(np.uint16).reshape(16, 16)).save(file)
    return file


def test_what_is_left_out_is_counted_by_reason_with_what_to_do(run: Callable[..., Result], tmp_path: Path) -> None:
    for name in ("twelve.png", "twelve too.png"):
        twelve_bits(tmp_path / "odd" / name, 4095 - len(name))
    twelve_bits(tmp_path / "odd" / "ten.png", 1023)
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / "odd" / name).touch()
    Image.new("L", (16, 16), 99).save(tmp_path / "odd" / "fine.png")
    said = run("prepare", "odd", "odd.npy", "--size", 16, "--workers", 1).stdout
    assert "6 left out:\n  a.png and 2 more: the file is empty\n  twelve too.png and 1 more: mode I;16" in said
    assert "such as --bits 12\n" in said
    assert "such as --bits 10\n" in said
    found = json.loads(run("prepare", "odd", "b.npy", "--size", 16, "--workers", 1, "--json").stdout)
    assert [(reason["pictures"], reason["example"]) for reason in found["reasons"]] == [
        (3, "a.png"), (2, "twelve too.png"), (1, "ten.png"),
    ]  # fmt: skip
    assert found["reasons"][1]["reason"].endswith("such as --bits 12")
    assert found["broken"][-1]["reason"].endswith("such as --bits 12")
    taken = json.loads(run("prepare", "odd", "c.npy", "--size", 16, "--workers", 1, "--bits", 12, "--json").stdout)
    assert (taken["pictures"], taken["reasons"][0]["pictures"]) == (4, 3)


def test_commands_without_bits_name_the_one_that_takes_them(
    refused: Callable[..., str], run: Callable[..., Result], tiny_folder: Path, tmp_path: Path
) -> None:
    picture = twelve_bits(tmp_path / "odd" / "twelve.png")
    advice = "say how many bits they fill, such as dcgan-viz prepare SRC OUT.npy --bits 12"
    words = ("guided-backprop", "--model", tiny_folder, "--layer", 1, "--unit", "0,1,1", "--image")
    assert advice in refused(*words, picture)
    assert advice in refused("train", "odd", "--out", "run")
    # What is advised works, and for a single picture.
    assert run("prepare", picture, "twelve.npy", "--size", 16, "--bits", 12, "--workers", 1).exit_code == 0
    assert run(*words, "twelve.npy").exit_code == 0


@pytest.mark.parametrize(("highest", "bits"), [(0.2, None), (40, None), (-1, None), (255, 8), (256, 10), (70_000, 24)])
def test_bits_are_advised_only_where_they_help(highest: float, bits: int | None, tmp_path: Path) -> None:
    Image.fromarray(np.linspace(min(highest, 0), abs(highest), 256, dtype=np.float32).reshape(16, 16)).save(
        tmp_path / "a.tif"
    )
    advice = "convert it to 8 bits" if bits is None else rf"`prepare\(bits={bits}\)`"
    with pytest.raises(UserError, match=advice):
        read_square("a.tif", tmp_path / "a.tif", 16, 1)
    if bits is not None:
        read_square("a.tif", tmp_path / "a.tif", 16, 1, bits=bits)
