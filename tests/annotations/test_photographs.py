from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.annotations.boxes import Box, load_annotations
from dcgan_viz.annotations.photographs import (
    PhotographBoxes,
    identify,
    load_photograph_boxes,
    locate,
    save_photograph_boxes,
)
from dcgan_viz.data.sources import open_images
from dcgan_viz.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures of which one lies on its side and one in a folder below."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, (width, height), turn in (
        ("a.png", (30, 20), 1),
        ("b.jpg", (40, 24), 6),
        ("below/c.png", (16, 16), 1),
        ("d.jpg", (24, 36), 1),
    ):
        exif = Image.Exif()
        exif[0x0112] = turn
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name, **({"exif": exif} if turn > 1 else {}))
    return folder


@pytest.fixture
def boxes(folder: Path) -> PhotographBoxes:
    photographs = identify(open_images(folder))
    names = [p.name for p in photographs]
    drawn = (Box(names.index("a.png"), "cat", 1, 2, 3, 4.5), Box(names.index("b.jpg"), "cat", 0, 30, 24, 10))
    return PhotographBoxes(drawn, ("cat", "dog"), photographs, "me", "by hand", (0, 1))


def test_boxes_and_photographs_come_back(boxes: PhotographBoxes, tmp_path: Path) -> None:
    path = save_photograph_boxes(boxes, tmp_path / "boxes.json")
    assert load_photograph_boxes(path) == boxes
    # It is COCO, for other tools.
    data = json.loads(path.read_text())
    assert {i["file_name"]: (i["width"], i["height"]) for i in data["images"]} == {
        "a.png": (30, 20),
        "b.jpg": (24, 40),
        "below/c.png": (16, 16),
        "d.jpg": (24, 36),
    }
    assert [a["bbox"] for a in data["annotations"]] == [[1, 2, 3, 4.5], [0, 30, 24, 10]]


def test_photographs_are_found_by_what_they_hold(boxes: PhotographBoxes, folder: Path, tmp_path: Path) -> None:
    source = open_images(folder)
    assert [source.names[place] for place in locate(boxes.photographs, source)] == [p.name for p in boxes.photographs]
    # Renamed, moved and packed, among others.
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for number, name in enumerate(("d.jpg", "below/c.png", "b.jpg", "a.png")):
            archive.write(folder / name, f"new/{number}{Path(name).suffix}")
        archive.write(folder / "a.png", "a.jpg")
    packed = open_images(tmp_path / "all.zip")
    found = [packed.entry(place) for place in locate(boxes.photographs, packed)]
    assert found == [(folder / p.name).read_bytes() for p in boxes.photographs]


def test_other_photographs_are_refused(boxes: PhotographBoxes, folder: Path) -> None:
    Image.new("RGB", (30, 20)).save(folder / "a.png")
    (folder / "d.jpg").unlink()
    with pytest.raises(UserError, match=r"2 of the 4 .* \(a.png has changed; d.jpg is not there\): boxes hold for"):
        locate(boxes.photographs, open_images(folder))


def test_some_are_taken_evenly(folder: Path) -> None:
    assert len(identify(open_images(folder), 2)) == 2
    (folder / "e.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"e.png in .* is not a readable image"):
        identify(open_images(folder))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"images": [], "annotations": []}, "images are numbered from 0"),
        ({"annotations": [{"image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1]}]}, "there is no image 9"),
        ({"annotations": [{"image_id": 0, "category_id": 1, "bbox": [0, 0, 31, 1]}]}, "does not lie in its photograph"),
        ({"annotations": [{"image_id": 0, "category_id": 1, "bbox": [0, 0, 0, 1]}]}, "does not lie in its photograph"),
        ({"annotations": [{"image_id": 0, "category_id": 1}]}, "has no bbox"),
        ({"info": {"contributor": "me", "dcgan_viz": {"seed": 1}}}, "photographs is missing"),
        ({"info": {}}, "is missing"),
    ],
)
def test_damaged_files_are_refused(boxes: PhotographBoxes, tmp_path: Path, change: dict, sentence: str) -> None:
    path = save_photograph_boxes(boxes, tmp_path / "boxes.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=sentence):
        load_photograph_boxes(path)


def test_boxes_on_photographs_and_on_samples_are_not_taken_for_each_other(
    boxes: PhotographBoxes, tmp_path: Path
) -> None:
    path = save_photograph_boxes(replace(boxes, boxes=()), tmp_path / "boxes.json")
    with pytest.raises(UserError, match="is not readable COCO JSON of boxes on a model's samples"):
        load_annotations(path)
