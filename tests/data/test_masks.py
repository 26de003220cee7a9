from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.data.annotations import Box
from dcgan_viz.data.masks import box_masks, load_coco
from dcgan_viz.errors import UserError


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
    with pytest.raises(UserError, match="not readable COCO JSON: KeyError 'images'"):
        load_coco(path, folder, "window", 32)
    with pytest.raises(UserError, match="not readable COCO JSON"):
        load_coco(folder / "nowhere.json", folder, "window", 32)
