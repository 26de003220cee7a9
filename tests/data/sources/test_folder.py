from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.blind.trials import PICTURES_FOLDER, TRIAL_FILE
from dcgan_viz.data.faces.faces import SKIPPED, SUMMARY
from dcgan_viz.data.images import load_images
from dcgan_viz.data.sources import open_images
from dcgan_viz.data.sources.source import Source
from dcgan_viz.errors import Notice, UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.rooms.drawing import save_rooms


def picture(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (16, 16), value).save(path)


def left_out(source: Source) -> set[str]:
    return set(source.left_out)


def test_what_machines_put_beside_photographs_is_left_out_and_said(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png")
    for folder in (".ipynb_checkpoints", "@eaDir", "__MACOSX", "a/.thumbnails", "a/deeper/#recycle"):
        picture(tmp_path / folder / "1.png")
    for name in ("._1.png", "notes.txt", "raw.cr2", "raw2.CR2", "README"):
        (tmp_path / name).write_bytes(b"")
    source = open_images(tmp_path)
    assert source.names == ("a/1.png",)
    assert left_out(source) == {
        "2 .cr2", "1 .txt", "1 hidden file", "1 file without an ending",
        ".ipynb_checkpoints/", "@eaDir/", "__MACOSX/", "a/.thumbnails/", "a/deeper/#recycle/",
    }  # fmt: skip
    assert source.found == f"{tmp_path}: 1 picture in a folder"


def test_folders_that_hold_our_results_are_left_out(tmp_path: Path, tiny_model: DCGAN) -> None:
    picture(tmp_path / "photographs" / "1.png")
    tiny_model.save(tmp_path / "tiny")
    picture(tmp_path / "tiny" / "preview.png")
    for name, marks in {
        "walk": ("result.json", "arrays.npz"),
        "run": ("metrics.jsonl", "checkpoints/x.safetensors"),
        "drawn": ("samples.json", "manifest.json"),
    }.items():
        for mark in marks:
            (tmp_path / name / mark).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / mark).write_text("{}")
        picture(tmp_path / name / "samples" / "1.png")
    # A file of a common name alone marks nothing.
    picture(tmp_path / "theirs" / "2.png")
    (tmp_path / "theirs" / "result.json").write_text("{}")
    source = open_images(tmp_path)
    assert source.names == ("photographs/1.png", "theirs/2.png")
    assert left_out(source) == {
        "1 .json",
        "run/ (a training run)",
        "tiny/ (a model)",
        "walk/ (a result)",
        "drawn/ (samples of a model)",
    }
    with pytest.raises(UserError, match="run is a training run that dcgan-viz wrote: give the folder that holds"):
        open_images(tmp_path / "run")
    assert open_images(tmp_path / "run" / "samples").names == ("1.png",)
    assert open_images(tmp_path / "drawn").names == ("samples/1.png",)


def test_faces_that_were_cut_and_trials_are_left_out_below_the_photographs(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    for folder, file in (("people", SUMMARY), ("people", SKIPPED), ("trial", TRIAL_FILE)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / file).write_text("{}")
    picture(tmp_path / "people" / "faces" / "2.png")
    picture(tmp_path / "trial" / PICTURES_FOLDER / "3.png")
    source = open_images(tmp_path)
    assert source.names == ("1.png",)
    assert left_out(source) == {"people/ (faces that were cut out)", "trial/ (a blind trial)"}
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in sorted(tmp_path.rglob("*.*")):
            if file.suffix != ".zip":
                archive.write(file, file.relative_to(tmp_path))
    assert open_images(tmp_path / "all.zip").names == ("1.png",)
    assert open_images(tmp_path / "people").names == ("faces/2.png",)


def test_masks_beside_photographs_are_no_photographs(tmp_path: Path) -> None:
    save_rooms(3, tmp_path / "rooms", 32)
    picture(tmp_path / "voc" / "JPEGImages" / "1.png")
    for folder in ("SegmentationClass", "SegmentationObject"):
        picture(tmp_path / "voc" / folder / "1.png")
    # Alone, a folder of that name is one like any other.
    picture(tmp_path / "carnival" / "masks" / "1.png")
    with pytest.warns(Notice, match=r"3 pictures in a folder; not read: 2 \.json, masks/ \(labels of images/\)"):
        assert len(load_images(tmp_path / "rooms", 32)) == 3
    source = open_images(tmp_path)
    rooms = [f"rooms/images/room-{number:06}.png" for number in range(3)]
    assert list(source.names) == ["carnival/masks/1.png", *rooms, "voc/JPEGImages/1.png"]
    of_voc = {f"voc/{folder}/ (labels of JPEGImages/)" for folder in ("SegmentationClass", "SegmentationObject")}
    assert left_out(source) - {"2 .json"} == of_voc | {"rooms/masks/ (labels of images/)"}
    # Whoever asks for them gets them.
    assert len(open_images(tmp_path / "rooms" / "masks")) == 3


def test_linked_folders_are_followed_once_and_loops_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    picture(tmp_path / "elsewhere" / "cats" / "1.png", 1)
    picture(data / "dogs" / "1.png", 2)
    (data / "cats").symlink_to(tmp_path / "elsewhere" / "cats")
    (data / "again").symlink_to(data / "dogs")
    (data / "dogs" / "link.png").symlink_to(data / "dogs" / "1.png")
    source = open_images(data)
    assert source.names == ("again/1.png", "again/link.png", "cats/1.png")
    assert source.labels == ("again", "again", "cats")
    assert source.left_out == ("dogs/ (the same folder as again/)",)
    (data / "dogs" / "up").symlink_to(data)
    with pytest.raises(UserError, match=r"up is a link back to .*data, in which it lies: remove the link"):
        open_images(data)


def test_doubling_links_do_not_multiply(tmp_path: Path) -> None:
    for depth in range(40):
        folder = tmp_path / f"{depth:02}"
        folder.mkdir()
        for name in "ab":
            (folder / name).symlink_to(tmp_path / f"{depth + 1:02}")
    picture(tmp_path / "40" / "1.png")
    assert len(open_images(tmp_path)) == 1


def test_pipes_do_not_stop_it_and_dangling_links_are_broken_pictures(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to("nowhere")
    source = open_images(tmp_path)
    assert source.names == ("1.png", "gone.png")
    assert source.left_out == ("1 special file",)
    with pytest.raises(UserError, match=r"gone.png in .* is not a readable image: No such file"):
        source[1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    (tmp_path / "private").mkdir(mode=0)
    assert open_images(tmp_path).left_out == ("private/ (Permission denied)",)


def test_names_that_are_no_text_can_be_said(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\x1b[2J.png")
    (tmp_path / name).write_bytes(b"")
    picture(tmp_path / "1.png")
    with pytest.warns(Notice) as notices:
        load_images(tmp_path, 16, skip_broken=True)
    assert r"\udcff\x1b[2J.png: the file is empty" in str(notices[0].message)
    str(notices[0].message).encode()


def test_a_source_goes_through_a_pickle_and_reads_as_before(tmp_path: Path) -> None:
    for value in range(3):
        picture(tmp_path / f"{value}.png", value)
    source = pickle.loads(pickle.dumps(open_images(tmp_path)))
    assert [int(np.asarray(image)[0, 0]) for image in source] == [0, 1, 2]
    assert len(source) == 3
    assert source.labels is None
    with pytest.raises(IndexError, match="picture 3 of 3"):
        source[3]
