"""The same objects on the same photographs, in the files of every tool."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.annotations.boxes import Box
from dcgan_viz.annotations.objects import load_objects
from dcgan_viz.annotations.photographs import PhotographBoxes, identify, save_photograph_boxes
from dcgan_viz.data.decoding import square
from dcgan_viz.data.sources import open_images
from dcgan_viz.errors import UserError

SIZE = 16
# Width and height the right way up, and boxes as left, top, right, bottom: whole, cut and outside of the crop.
PHOTOGRAPHS = {
    "wide.jpg": (
        (96, 48),
        [("cat", 30, 6, 60, 30), ("cat", 18, 12, 36, 45), ("cat", 0, 0, 24, 48), ("dog", 30, 0, 90, 9)],
    ),
    "tall.png": ((32, 80), [("cat", 4, 30, 20, 50)]),
    "turned.jpg": ((48, 64), [("cat", 0, 0, 48, 10), ("cat", 12, 20, 40, 44)]),
    "empty.png": ((40, 40), []),
}
NAMES = ["cat", "dog"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The photographs; one lies on its side, one more is not annotated."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, ((width, height), _) in {**PHOTOGRAPHS, "other.png": ((30, 30), [])}.items():
        picture = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        exif = Image.Exif()
        if name == "turned.jpg":
            exif[0x0112] = 6
            picture = picture.transpose(Image.Transpose.ROTATE_90)
        picture.save(folder / name, exif=exif)
    return folder


def voc(place: Path, folder: Path, scale: float = 1) -> None:
    for name, ((width, height), boxes) in PHOTOGRAPHS.items():
        objects = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{x0 * scale:g}</xmin><ymin>{y0 * scale:g}</ymin>"
            f"<xmax>{x1 * scale:g}</xmax><ymax>{y1 * scale:g}</ymax></bndbox></object>"
            for label, x0, y0, x1, y1 in boxes
        )
        size = f"<size><width>{width * scale:g}</width><height>{height * scale:g}</height></size>"
        text = f"<annotation><filename>{name}</filename>{size}{objects}</annotation>"
        (place / name).with_suffix(".xml").write_text(text)


def yolo(place: Path, folder: Path) -> None:
    for name, ((w, h), boxes) in PHOTOGRAPHS.items():
        lines = [
            f"{NAMES.index(label)} {(x0 + x1) / 2 / w:.6f} {(y0 + y1) / 2 / h:.6f} {(x1 - x0) / w:.6f} {(y1 - y0) / h:.6f}"
            for label, x0, y0, x1, y1 in boxes
        ]
        (place / name).with_suffix(".txt").write_text("\n".join(lines))
    (place / "classes.txt").write_text("\n".join(NAMES))


def labelme(place: Path, folder: Path) -> None:
    for name, ((width, height), boxes) in PHOTOGRAPHS.items():
        shapes = [
            {"label": label, "points": [[x1, y0], [x0, y1]], "shape_type": "rectangle"}
            for label, x0, y0, x1, y1 in boxes
        ]
        data = {"shapes": shapes, "imagePath": f"..\\pictures\\{name}", "imageWidth": width, "imageHeight": height}
        (place / name).with_suffix(".json").write_text(json.dumps(data))


def via(place: Path, folder: Path) -> None:
    data = {}
    for name, (_, boxes) in PHOTOGRAPHS.items():
        regions = [
            {
                "shape_attributes": {"name": "rect", "x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0},
                "region_attributes": {"kind": label},
            }
            for label, x0, y0, x1, y1 in boxes
        ]
        data[f"{name}123"] = {"filename": name, "regions": regions}
    (place / "via.json").write_text(json.dumps(data))


def coco(place: Path, folder: Path) -> None:
    images = [
        {"id": index, "file_name": f"train/{name}", "width": width, "height": height}
        for index, (name, ((width, height), _)) in enumerate(PHOTOGRAPHS.items())
    ]
    annotations = [
        {"id": 1, "image_id": i, "category_id": 10 + NAMES.index(label), "bbox": [x0, y0, x1 - x0, y1 - y0]}
        for i, (_, boxes) in enumerate(PHOTOGRAPHS.values())
        for label, x0, y0, x1, y1 in boxes
    ]
    categories = [{"id": 10 + i, "name": name} for i, name in enumerate(NAMES)]
    (place / "coco.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )


def ours(place: Path, folder: Path) -> None:
    photographs = identify(open_images(folder))
    boxes = [
        Box(index, label, x0, y0, x1 - x0, y1 - y0)
        for index, photograph in enumerate(photographs)
        for label, x0, y0, x1, y1 in PHOTOGRAPHS.get(photograph.name, ((), []))[1]
    ]
    reviewed = tuple(index for index, photograph in enumerate(photographs) if photograph.name in PHOTOGRAPHS)
    save_photograph_boxes(
        PhotographBoxes(tuple(boxes), ("cat", "dog"), photographs, "me", "", reviewed), place / "own.json"
    )


def expected(folder: Path, name: str, label: str) -> NDArray[np.bool_]:
    """Slowly: the boxes are painted on a large picture, which is squared as photographs are."""
    (width, height), boxes = PHOTOGRAPHS[name]
    page = np.zeros((height * 8, width * 8), np.uint8)
    for found, x0, y0, x1, y1 in boxes:
        if found == label:
            page[y0 * 8 : y1 * 8, x0 * 8 : x1 * 8] = 255
    return square(Image.fromarray(page), SIZE, 1)[..., 0] > 127


@pytest.fixture(params=[voc, yolo, labelme, via, coco, ours])
def place(request: pytest.FixtureRequest, tmp_path: Path, folder: Path) -> Path:
    """What a tool has written."""
    place = tmp_path / "boxes"
    place.mkdir()
    request.param(place, folder)
    files = list(place.iterdir())
    return files[0] if len(files) == 1 else place


@pytest.mark.parametrize(("label", "counts"), [("cat", (6, 1, 2)), ("dog", (1, 0, 1))])
def test_every_format_gives_the_same_masks_and_says_what_the_crop_took(
    place: Path, folder: Path, label: str, counts: tuple[int, int, int]
) -> None:
    found = load_objects(place, folder, label, SIZE)
    assert found.images.names == ("empty.png", "tall.png", "turned.jpg", "wide.jpg")
    for name, mask, picture in zip(found.images.names, found.masks, found.images.pixels, strict=True):
        assert np.array_equal(mask, expected(folder, name, label)), name
        with Image.open(folder / name) as original:
            assert np.array_equal(picture, square(original, SIZE, 3))
    assert (found.boxes, found.outside, found.cut, found.found) == (counts[0], counts[1], counts[2], 5)
    number = "1 box" if counts[0] == 1 else f"{counts[0]} boxes"
    said = f"{number} of {label} ({found.format}) on 4 of 5 photographs; {counts[1]} outside of the centre crop"
    assert str(found).startswith(said)


@pytest.mark.parametrize(("write", "number"), [(yolo, "1"), (coco, "11")])
def test_a_class_is_named_by_its_number_too(tmp_path: Path, folder: Path, write: Callable, number: str) -> None:
    place = tmp_path / "boxes"
    place.mkdir()
    write(place, folder)
    given = next(place.iterdir()) if write is coco else place
    assert np.array_equal(
        load_objects(given, folder, number, SIZE).masks, load_objects(given, folder, "dog", SIZE).masks
    )
    if write is yolo:
        (place / "classes.txt").unlink()
        assert load_objects(place, folder, "1", SIZE).masks.any()
        with pytest.raises(UserError, match=r"has no 'dog': it has '0' \(0\); '1' \(1\)"):
            load_objects(place, folder, "dog", SIZE)


def test_photographs_that_were_annotated_smaller_are_found_again(tmp_path: Path, folder: Path) -> None:
    place = tmp_path / "boxes"
    place.mkdir()
    voc(place, folder, scale=0.5)
    found = load_objects(place, folder, "cat", SIZE)
    for name, mask in zip(found.images.names, found.masks, strict=True):
        assert np.array_equal(mask, expected(folder, name, "cat")), name


def test_a_tiny_box_is_a_pixel(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "via.json"
    shape = {"name": "rect", "x": 20.2, "y": 20.2, "width": 0.5, "height": 0.5}
    region = {"shape_attributes": shape, "region_attributes": {"kind": "cat"}}
    path.write_text(json.dumps({"a": {"filename": "empty.png", "regions": [region]}}))
    mask = load_objects(path, folder, "cat", SIZE).masks[0]
    assert mask.sum() == 1
    assert mask[8, 8]


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (("wide.jpg", "gone.jpg"), r"has boxes for 1 picture not found in .* \(gone.jpg\)"),
        (("wide.jpg", "tall.png"), "has tall.png twice"),
        (("<width>96<", "<width>90<"), "wide.jpg was annotated at 90x48 pixels, but is 96x48: annotate"),
        (
            ("<width>48</width><height>64<", "<width>64</width><height>48<"),
            "48x64 as a viewer shows it: its tool did not",
        ),
        (("<xmax>60<", "<xmax>98<"), "does not lie in it: correct it"),
        (("<xmax>60<", "<xmax>30<"), "has no area: remove it"),
        (("<name>cat<", "<name>lion<"), r"has no 'cat': it has 'dog'; 'lion'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(tmp_path: Path, folder: Path, edit: tuple[str, str], sentence: str) -> None:
    place = tmp_path / "boxes"
    place.mkdir()
    voc(place, folder)
    for file in place.iterdir():
        file.write_text(file.read_text().replace(*edit))
    with pytest.raises(UserError, match=sentence):
        load_objects(place, folder, "cat", SIZE)


def test_names_that_two_photographs_have_are_refused(tmp_path: Path, folder: Path) -> None:
    place = tmp_path / "boxes"
    place.mkdir()
    yolo(place, folder)
    (folder / "wide.png").write_bytes((folder / "tall.png").read_bytes())
    with pytest.raises(UserError, match=r"whether it is about wide.jpg and wide.png: give the photographs of one"):
        load_objects(place, folder, "cat", SIZE)


def test_boxes_of_changed_photographs_are_refused(tmp_path: Path, folder: Path) -> None:
    ours(tmp_path, folder)
    Image.new("RGB", (96, 48)).save(folder / "wide.jpg")
    with pytest.raises(UserError, match=r"wide.jpg has changed"):
        load_objects(tmp_path / "own.json", folder, "cat", SIZE)


def test_polygons_of_coco_are_laid_out_as_they_are(tmp_path: Path, folder: Path) -> None:
    triangle = {"image_id": 0, "category_id": 1, "bbox": [30, 0, 40, 48], "segmentation": [[30, 0, 70, 0, 30, 48]]}
    data = {
        "images": [{"id": 0, "file_name": "wide.jpg", "width": 96, "height": 48}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, **triangle}, {"id": 2, **triangle, "bbox": [0, 0, 20, 20], "segmentation": []}],
    }
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(data))
    found = load_objects(path, folder, "cat", SIZE)
    assert (found.boxes, found.outside, found.cut) == (2, 1, 0)
    assert 0.3 < found.masks.sum() / (40 * 48 / 9) < 0.7
    assert found.masks[0, 1, 3]
    assert not found.masks[0, -2, 12]
