from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dcgan_viz.annotations.boxes import (
    Annotations,
    Box,
    find_annotations,
    inside_boxes,
    load_annotations,
    save_annotations,
)
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, load


@pytest.fixture
def annotations(tiny_model: DCGAN) -> Annotations:
    boxes = (Box(0, "window", 1, 2, 5, 4), Box(3, "window", 0, 0, 16, 3), Box(3, "lamp", 10.5, 9, 2, 2.5))
    return Annotations(boxes, ("window", "lamp"), 8, 11, 16, tiny_model.generator_digest(), "a tester", "by hand")


def test_coco_survives_saving_and_loading(annotations: Annotations, tmp_path: Path) -> None:
    path = save_annotations(annotations, tmp_path / "boxes.json")
    assert load_annotations(path) == annotations
    data = json.loads(path.read_text())
    assert data["annotations"][2]["bbox"] == [10.5, 9, 2, 2.5]
    assert {c["name"]: c["id"] for c in data["categories"]} == {"window": 1, "lamp": 2}
    assert len(data["images"]) == 8


def test_an_object_that_nobody_drew_lists_those_that_were(annotations: Annotations) -> None:
    assert len(annotations.of("window")) == 2
    with pytest.raises(UserError, match="choose from window, lamp"):
        annotations.of("door")


def test_boxes_of_other_weights_are_refused(annotations: Annotations, tiny_model: DCGAN) -> None:
    annotations.check_belongs_to(tiny_model)
    with pytest.raises(UserError, match="other weights"):
        replace(annotations, generator_digest="0" * 64).check_belongs_to(tiny_model)
    with pytest.raises(UserError, match="32-pixel samples"):
        replace(annotations, size=32).check_belongs_to(tiny_model)


@pytest.mark.parametrize(
    "bbox",
    [[-1, 0, 4, 4], [0, 0, 17, 4], [0, 13, 4, 4], [0, 0, 0, 4], [0, 0, 4, -1]],
)
def test_a_box_outside_its_image_is_refused(annotations: Annotations, tmp_path: Path, bbox: list[float]) -> None:
    path = save_annotations(annotations, tmp_path / "boxes.json")
    data = json.loads(path.read_text())
    data["annotations"][1]["bbox"] = bbox
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"annotation 2.*16x16 image"):
        load_annotations(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable COCO JSON"),
        ("[]", "expected an object, found a list of 0"),
        ("{}", "images is missing, and 3 more"),
        ('{"info": {"dcgan_viz": {}}, "categories": [], "images": [{}]}', r"images\[0\].id is missing, and"),
    ],
)
def test_files_that_are_not_annotations_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_annotations(path)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        load_annotations(tmp_path / "missing.json")


def test_boxes_lie_beside_the_model(annotations: Annotations, tiny_folder: Path) -> None:
    with pytest.raises(UserError, match=r"no boxes of 'window'.*`annotations`"):
        find_annotations(load(tiny_folder), "window")
    path = save_annotations(annotations, tiny_folder / "annotations" / "window.json")
    assert find_annotations(load(tiny_folder), "window") == path
    with pytest.raises(UserError, match=r"no boxes of 'door' \(it has window\)"):
        find_annotations(load(tiny_folder), "door")


def test_inside_boxes_agrees_with_a_loop_over_positions() -> None:
    random = np.random.default_rng(0)
    boxes = []
    for _ in range(60):
        left, top = random.uniform(0, 50, 2)
        width, height = random.uniform(6, 64 - np.array([left, top]))
        boxes.append(Box(int(random.integers(5)), "window", left, top, width, height))
    mask = inside_boxes(boxes, 5, image_size=64, map_size=16)
    for image in range(5):
        for row in range(16):
            for column in range(16):
                x, y = column * 4 + 2, row * 4 + 2
                expected = any(
                    b.image == image and b.left <= x <= b.left + b.width and b.top <= y <= b.top + b.height
                    for b in boxes
                )
                assert mask[image, row, column] == expected


def test_a_small_box_takes_the_position_it_lies_in() -> None:
    mask = inside_boxes([Box(0, "lamp", 4.1, 8.2, 0.5, 0.5)], 1, image_size=64, map_size=16)
    assert np.argwhere(mask).tolist() == [[0, 2, 1]]
