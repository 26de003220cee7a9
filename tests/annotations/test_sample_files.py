from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.annotations.boxes import Annotations, Box, load_annotations, save_annotations
from dcgan_viz.annotations.sample_files import ExportedSamples, export_samples, find_samples, import_boxes, load_samples
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN


@pytest.fixture
def folder(tiny_model: DCGAN, tmp_path: Path) -> Path:
    """Five 16-pixel samples, eight times as large."""
    return export_samples(tiny_model, tmp_path / "samples", count=5, seed=3, scale=8)


@pytest.fixture
def samples(folder: Path) -> ExportedSamples:
    return find_samples(folder)


def coco(path: Path, boxes: dict[str, list[list[float]]], side: float = 128) -> Path:
    """COCO as another tool writes it, with boxes by the name of their picture."""
    data = {
        "images": [
            {"id": number, "file_name": name, "width": side, "height": side} for number, name in enumerate(boxes)
        ],
        "annotations": [
            {"id": f"{number}-{k}", "image_id": number, "category_id": 4, "bbox": box}
            for number, found in enumerate(boxes.values())
            for k, box in enumerate(found)
        ],
        "categories": [{"id": 4, "name": "window"}],
    }
    path.write_text(json.dumps(data))
    return path


def test_samples_are_written_as_the_model_draws_them(tiny_model: DCGAN, folder: Path, tmp_path: Path) -> None:
    pixels = to_pixels(tiny_model.sample(5, seed=3))
    plain = export_samples(tiny_model, tmp_path / "plain", count=5, seed=3)
    assert sorted(f.name for f in plain.iterdir()) == [
        "manifest.json",
        *(f"sample-000{k}.png" for k in range(5)),
        "samples.json",
    ]
    for index in range(5):
        name = f"sample-{index:04}.png"
        assert np.array_equal(np.asarray(Image.open(plain / name)), pixels[index])
        large = Image.open(folder / name)
        assert large.size == (128, 128)
        small = np.asarray(large.resize((16, 16), Image.Resampling.BOX)).astype(int)
        # Smoothing keeps places and light; a picture moved by a pixel would not.
        likeness = [np.corrcoef(small.ravel(), np.roll(pixels[index], k, (0, 1)).ravel())[0, 1] for k in (0, 1, -1)]
        assert likeness[0] > max(0.9, *likeness[1:])
    assert load_samples(folder / "samples.json") == ExportedSamples("tiny", tiny_model.generator_digest(), 5, 3, 16, 8)


def test_a_folder_that_holds_annotations_is_left_alone(tiny_model: DCGAN, folder: Path) -> None:
    (folder / "sample-0000.xml").write_text("hours of work")
    with pytest.raises(UserError, match="already holds files, perhaps annotations"):
        export_samples(tiny_model, folder)
    assert (folder / "sample-0000.xml").read_text() == "hours of work"


def test_grey_samples_are_written(make_model, tmp_path: Path) -> None:
    from dcgan_viz.networks import dcgan

    model = make_model(dcgan(16, width=4, latent_dim=8, channels=1))
    assert Image.open(export_samples(model, tmp_path / "grey", count=1, scale=2) / "sample-0000.png").mode == "L"


def test_boxes_are_scaled_back_and_survive_saving(
    tiny_model: DCGAN, samples: ExportedSamples, folder: Path, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    drawn: dict[str, list[list[float]]] = {}
    for index in (0, 1, 4):
        corners = np.sort(random.uniform(0, 128, (200, 2, 2)), axis=2)
        corners[:20, :, 1] = 128
        drawn[f"sample-{index:04}.png"] = [
            [x0, y0, x1 - x0, y1 - y0] for (x0, x1), (y0, y1) in corners if min(x1 - x0, y1 - y0) > 1
        ]
    annotations = import_boxes(coco(folder / "c.json", drawn), "window", samples, tiny_model, contributor="me")
    assert annotations.reviewed == (0, 1, 4)
    assert (annotations.count, annotations.seed, annotations.size, annotations.contributor) == (5, 3, 16, "me")
    assert annotations.method == "drawn with another tool on samples enlarged 8 times, imported from COCO"
    for index in range(5):
        boxes = [(b.left, b.top, b.width, b.height) for b in annotations.boxes if b.image == index]
        expected = drawn.get(f"sample-{index:04}.png", [])
        assert len(boxes) == len(expected)
        if expected:
            apart = np.abs(np.array(boxes)[:, None] * 8 - np.array(expected)).max(2)
            assert max(apart.min(0).max(), apart.min(1).max()) < 0.04
    # Reading checks that each box lies in its image, to the last bit.
    assert load_annotations(save_annotations(annotations, tmp_path / "boxes.json")) == annotations


def test_an_edge_may_lie_a_pixel_outside(tiny_model: DCGAN, samples: ExportedSamples, folder: Path) -> None:
    path = coco(folder / "c.json", {"sample-0002.png": [[-1, 3.5, 130, 125.5]]})
    assert import_boxes(path, "window", samples, tiny_model).boxes == (Box(2, "window", 0, 0.4375, 16, 15.5625),)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (
            {"sample-0002.png": [[-1.5, 0, 9, 9]]},
            r"from -1.5, 0 to 7.5, 9 on sample-0002.png does not lie in its 128x128",
        ),
        ({"sample-0002.png": [[100, 0, 30, 9]]}, "does not lie in"),
        ({"sample-0002.png": [[0, float("nan"), 30, 9]]}, r"bbox\[1\]: expected a finite number, found NaN"),
        ({"sample-0002.png": [[0, 0, float("inf"), 9]]}, "expected a finite number, found Infinity"),
        ({"sample-0002.png": [[10, 10, 0, 9]]}, "has no area"),
        ({"sample-0002.png": [[10, 10, -4, 9]]}, "has no area"),
        ({"sample-0002.png": [[128, 10, 1, 9]]}, "has no area"),
        (
            {"sample-0005.png": []},
            r"'sample-0005.png', which is none of the 5 samples \(sample-0000.png to sample-0004",
        ),
        ({"sample-002.png": []}, "which is none of the 5 samples"),
        ({"sample-00002.png": []}, "which is none of the 5 samples"),
        ({"sample-0002.jpg": []}, "which is none of the 5 samples"),
        ({"cat.png": [[1, 1, 2, 2]]}, "'cat.png', which is none of"),
        ({"a/sample-0002.png": [], "b/sample-0002.png": []}, "has sample-0002.png twice"),
    ],
)
def test_what_is_not_on_the_samples_is_refused(
    tiny_model: DCGAN, samples: ExportedSamples, folder: Path, boxes: dict[str, list[list[float]]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        import_boxes(coco(folder / "c.json", boxes), "window", samples, tiny_model)


def test_pictures_of_another_size_are_refused(tiny_model: DCGAN, samples: ExportedSamples, folder: Path) -> None:
    path = coco(folder / "c.json", {"sample-0000.png": [[1, 1, 2, 2]]}, side=16)
    with pytest.raises(UserError, match=r"sample-0000.png at 16x16 pixels, but it was written 128x128 \(16 enlarged 8"):
        import_boxes(path, "window", samples, tiny_model)


def test_an_object_that_nobody_drew_lists_those_that_were(
    tiny_model: DCGAN, samples: ExportedSamples, folder: Path
) -> None:
    with pytest.raises(UserError, match="has no 'Window': it has 'window'"):
        import_boxes(coco(folder / "c.json", {}), "Window", samples, tiny_model)


def test_samples_of_other_weights_are_refused(tiny_model: DCGAN, samples: ExportedSamples, folder: Path) -> None:
    with pytest.raises(UserError, match="other weights"):
        import_boxes(folder, "window", replace(samples, generator_digest="0" * 64), tiny_model)


def test_samples_are_found_above_the_annotations(folder: Path, tmp_path: Path) -> None:
    (folder / "labels" / "train").mkdir(parents=True)
    assert find_samples(folder / "labels" / "train").count == 5
    assert find_samples(coco(folder / "c.json", {})).count == 5
    with pytest.raises(UserError, match=r"no samples.json with .*annotate --export-samples"):
        find_samples(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"count": 0},
        {"seed": -1},
        {"scale": 1.5},
        {"size": True},
        {"generator_digest": 3},
        {"extra": 1},
        {"model": None},
    ],
)
def test_damaged_descriptions_of_samples_are_refused(folder: Path, change: dict[str, object]) -> None:
    file = folder / "samples.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(UserError, match="is damaged"):
        load_samples(file)
    file.write_text("[]")
    with pytest.raises(UserError, match="is damaged"):
        load_samples(file)


def test_what_is_written_is_coco_as_its_page_defines_it(tmp_path: Path) -> None:
    boxes = (Box(0, "window", 1, 2, 5.5, 4), Box(2, "window", 0, 0, 16, 3))
    annotations = Annotations(boxes, ("window",), 4, 11, 16, "0" * 64, "me", "by hand", reviewed=(0, 2))
    data = json.loads(save_annotations(annotations, tmp_path / "boxes.json").read_text())
    assert {"info", "licenses", "images", "categories", "annotations"} == data.keys()
    images = {image["id"]: image for image in data["images"]}
    categories = {category["id"]: category for category in data["categories"]}
    assert len(images) == len(data["images"])
    for image in images.values():
        assert (type(image["id"]), type(image["width"]), type(image["height"])) == (int, int, int)
        assert image["file_name"] == f"sample-{image['id']:04}.png"
    for category in categories.values():
        assert type(category["id"]) is int
        assert category["id"] > 0
        assert {"name", "supercategory"} < category.keys()
    assert len({entry["id"] for entry in data["annotations"]}) == 2
    for entry, box in zip(data["annotations"], boxes, strict=True):
        assert type(entry["id"]) is int
        assert entry["image_id"] in images
        assert entry["category_id"] in categories
        assert entry["bbox"] == [box.left, box.top, box.width, box.height]
        assert entry["area"] == box.width * box.height
        assert entry["iscrowd"] in (0, 1)
        # Boxes alone: no polygon, in the form of a list of polygons.
        assert entry["segmentation"] == []
