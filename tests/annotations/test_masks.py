from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.annotations.boxes import Box
from dcgan_viz.annotations.masks import box_masks, load_coco, load_masks
from dcgan_viz.annotations.runs import decode_runs, encode_runs
from dcgan_viz.errors import UserError
from dcgan_viz.rooms.drawing import OBJECTS, draw_rooms, save_rooms


def test_boxes_cover_the_pixels_whose_centres_they_hold() -> None:
    masks = box_masks([Box(1, "a", 1, 2, 3, 1), Box(1, "a", 0.6, 0, 1, 1), Box(0, "a", 0, 0, 4, 4)], 3, 4)
    assert masks[0].all()
    assert np.argwhere(masks[1]).tolist() == [[0, 1], [2, 1], [2, 2], [2, 3]]
    assert not masks[2].any()


@pytest.fixture
def coco(tmp_path: Path) -> tuple[Path, Path]:
    """Two wide pictures with a white square each, one as a box and one as a polygon, and an empty one."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name, left in (("a.png", 40), ("b.png", 60), ("c.png", None), ("other.png", None)):
        pixels = np.zeros((64, 128, 3), np.uint8)
        if left is not None:
            pixels[16:32, left : left + 16] = 255
        Image.fromarray(pixels).save(folder / name)
    data = {
        "images": [{"id": i, "file_name": f"{n}.png", "width": 128, "height": 64} for i, n in enumerate("abc")],
        "categories": [{"id": 7, "name": "window"}, {"id": 8, "name": "bed"}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 7, "bbox": [40, 16, 16, 16]},
            {
                "id": 2,
                "image_id": 1,
                "category_id": 7,
                "bbox": [0, 0, 128, 64],
                "segmentation": [[60, 16, 75, 16, 75, 31, 60, 31]],
            },
            {"id": 3, "image_id": 2, "category_id": 8, "bbox": [0, 0, 9, 9]},
        ],
    }
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(data))
    return path, folder


def test_masks_follow_their_pictures_through_crop_and_resize(coco: tuple[Path, Path]) -> None:
    images, masks = load_coco(*coco, "window", 32)
    assert images.names == ("a.png", "b.png", "c.png")
    assert masks.shape == (3, 32, 32)
    for picture, mask in zip(images.pixels, masks, strict=True):
        assert np.array_equal(picture[..., 0] > 127, mask)
    assert [int(m.sum()) for m in masks] == [64, 64, 0]


def test_wrong_coco_is_one_sentence(coco: tuple[Path, Path]) -> None:
    path, folder = coco
    with pytest.raises(UserError, match="no category 'door': choose from window, bed"):
        load_coco(path, folder, "door", 32)
    (folder / "b.png").unlink()
    with pytest.raises(UserError, match=r"names b\.png"):
        load_coco(path, folder, "window", 32)
    path.write_text("{}")
    with pytest.raises(UserError, match=r"not readable COCO JSON \(images is missing, and 2 more\)"):
        load_coco(path, folder, "window", 32)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        load_coco(folder / "nowhere.json", folder, "window", 32)


def test_runs_are_the_masks(coco: tuple[Path, Path]) -> None:
    path, folder = coco
    random = np.random.default_rng(0)
    for mask in (random.random((7, 5)) < 0.5, np.ones((3, 4), bool), np.zeros((3, 4), bool)):
        counts = encode_runs(mask)
        assert np.array_equal(decode_runs(counts, mask.shape[1], mask.shape[0]), mask)
        value, pixels = False, []
        for count in counts:
            pixels.extend([value] * count)
            value = not value
        assert pixels == [bool(mask[row, column]) for column in range(mask.shape[1]) for row in range(mask.shape[0])]
    shape = np.zeros((64, 128), bool)
    shape[20:40, 70:90] = True
    data = json.loads(path.read_text())
    data["annotations"][0]["segmentation"] = {"size": [64, 128], "counts": encode_runs(shape)}
    path.write_text(json.dumps(data))
    _, masks = load_coco(path, folder, "window", 64)
    assert np.array_equal(masks[0], shape[:, 32:96])
    for counts, message in (("abc", "compressed"), ([1, 2], "hold 3 pixels")):
        data["annotations"][0]["segmentation"]["counts"] = counts
        path.write_text(json.dumps(data))
        with pytest.raises(UserError, match=message):
            load_coco(path, folder, "window", 64)


def test_a_folder_of_masks_is_read_whole(tmp_path: Path) -> None:
    folder = save_rooms(6, tmp_path / "rooms", 32, seed=1)
    rooms = draw_rooms(6, 32, seed=1)
    pixels, masks, names = load_masks(folder)
    assert np.array_equal(pixels, rooms.pixels)
    assert np.array_equal(masks, rooms.masks)
    assert names == OBJECTS
    (folder / "masks" / "room-000003.png").unlink()
    with pytest.raises(UserError, match=r"does not hold images/, masks/.*room-000003"):
        load_masks(folder)
