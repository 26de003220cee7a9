from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from skimage.data import astronaut

import dcgan_viz.data.faces.faces as module
from dcgan_viz.annotations.coco import Coco
from dcgan_viz.data.faces import cut_faces
from dcgan_viz.data.faces.detection import Detection, cascade_detector, yunet_detector
from dcgan_viz.data.faces.faces import EYELESS, NONE, OUTSIDE, SMALL, crop_face
from dcgan_viz.data.sources import open_images
from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import parse_json

cv2 = pytest.importorskip("cv2")

WIDE = (400, 300)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k in range(3):
        Image.new("RGB", WIDE, (40 * k, 90, 120)).save(folder / f"{k}.png")
    (folder / "broken.png").write_bytes(b"")
    return folder


@pytest.fixture
def detections(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first picture a good face and a small one, in the second one at the edge and one without eyes."""
    answers = {
        0: [Detection(100, 80, 90, 100, 2.0, 10.0, True), Detection(300, 80, 50, 50, 1.0, 0.0, True)],
        40: [Detection(0, 80, 90, 90, 2.0, 0.0, True), Detection(150, 80, 90, 90, 2.0)],
        80: [],
    }
    monkeypatch.setattr(module, "cascade_detector", lambda: lambda picture, least: answers[int(picture[0, 0, 0])])


@pytest.mark.usefixtures("detections")
def test_what_is_cut_out_and_why_the_rest_is_not(pictures: Path, tmp_path: Path) -> None:
    result = cut_faces(pictures, tmp_path / "out", size=48)
    assert (result.pictures, result.faces) == (4, 1)
    assert result.skipped == {SMALL: 1, OUTSIDE: 1, EYELESS: 1, NONE: 1, "not readable": 1}
    skipped = [json.loads(line) for line in (tmp_path / "out" / "skipped.jsonl").read_text().splitlines()]
    assert {"name": "broken.png", "reason": "the file is empty", "box": None} in skipped
    assert {"name": "0.png", "reason": SMALL, "box": [300.0, 80.0, 50.0, 50.0]} in skipped
    coco = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert coco["images"] == [{"id": 0, "file_name": "0.png", "width": 400, "height": 300}]
    face = coco["annotations"][0]
    assert (face["bbox"], face["area"], face["roll"]) == ([100.0, 80.0, 90.0, 100.0], 9000.0, 10.0)
    with Image.open(tmp_path / "out" / face["crop"]) as crop:
        assert crop.size == (48, 48)
    assert open_images(tmp_path / "out" / "faces").names == ("00000000-0.png",)
    assert cut_faces(pictures, tmp_path / "all", eyes=False).faces == 2


@pytest.mark.usefixtures("detections")
def test_the_boxes_are_coco(pictures: Path, tmp_path: Path) -> None:
    cut_faces(pictures, tmp_path / "out")
    coco = parse_json((tmp_path / "out" / "annotations.json").read_text(), Coco)
    assert coco.categories[0].name == "face"
    assert coco.annotations[0].image_id == coco.images[0].id


@pytest.mark.usefixtures("detections")
def test_large_pictures_are_looked_at_smaller_and_boxes_are_in_their_own_pixels(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST", 200)
    with pytest.raises(UserError, match=r"no face in .* gives a crop"):
        cut_faces(pictures, tmp_path / "out")
    monkeypatch.setattr(
        module, "cascade_detector", lambda: lambda picture, least: [Detection(60, 50, 45, 45, 2.0, 0.0, True)]
    )
    cut_faces(pictures, tmp_path / "out")
    coco = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert coco["annotations"][0]["bbox"] == [120.0, 100.0, 90.0, 90.0]


def test_a_crop_turns_the_head_upright() -> None:
    """Two eyes on a tilted line come to lie on one row, where they belong."""
    array = np.zeros((200, 200), np.uint8)
    roll, distance = 20.0, 40
    step = distance / 2 * np.array([math.cos(math.radians(roll)), math.sin(math.radians(roll))])
    for sign in (-1, 1):
        x, y = np.array([100, 100]) + sign * step
        rows, columns = np.mgrid[:200, :200]
        array[(rows - y) ** 2 + (columns - x) ** 2 < 16] = 255
    crop = np.asarray(crop_face(Image.fromarray(array), Detection(60, 60, 80, 80, 1, roll, True), 100, 0.125)).astype(
        float
    )
    rows, columns = np.mgrid[:100, :100]
    left = columns < 50
    centres = [
        ((rows * crop * half).sum() / (crop * half).sum(), (columns * crop * half).sum() / (crop * half).sum())
        for half in (left, ~left)
    ]
    assert abs(centres[0][0] - centres[1][0]) < 0.5
    # 100 pixels show 100 pixels of the picture.
    assert abs(centres[1][1] - centres[0][1] - distance) < 0.5
    assert abs(centres[0][0] - 49.5) < 0.6


def test_yunet_is_read_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "yunet.onnx"
    with pytest.raises(UserError, match="does not exist: give YuNet's ONNX file"):
        yunet_detector(weights)
    weights.write_bytes(b"nothing")
    with pytest.raises(UserError, match="is not YuNet's ONNX file"):
        yunet_detector(weights)
    rows = np.zeros((2, 15), np.float32)
    # The box, the right eye, the left eye, nose and corners of the mouth, the score.
    rows[0, :8], rows[0, -1] = (10, 20, 80, 90, 30, 40, 70, 50), 0.9
    rows[1, :8], rows[1, -1] = (10, 120, 20, 20, 12, 125, 25, 125), 0.8
    network = SimpleNamespace(setInputSize=lambda size: None, detect=lambda picture: (1, rows))
    monkeypatch.setattr(cv2, "FaceDetectorYN", SimpleNamespace(create=lambda *_: network))
    (face,) = yunet_detector(weights)(np.zeros((200, 200, 3), np.uint8), 64)
    assert (face.left, face.width, face.eyes) == (10, 80, True)
    assert face.roll == pytest.approx(math.degrees(math.atan2(10, 40)))


def test_without_opencv_it_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(UserError, match=r"pip install 'dcgan-viz\[faces\]'"):
        cascade_detector()


def test_the_command_says_that_there_is_none_and_refuses_others_files(
    run: Callable[..., Result], refused: Callable[..., str], pictures: Path
) -> None:
    assert "gives a crop (3 no face, 1 not readable)" in refused("faces", pictures, "out")
    assert not Path("out").exists()
    Path("out").mkdir()
    Path("out/annotations.json").write_text("mine")
    assert "was not written by this command" in refused("faces", pictures, "out")
    assert "sides from 8 to 1024" not in run("faces", "--help").output


def test_a_photograph_of_an_astronaut_has_one_face(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    picture = Image.fromarray(astronaut())
    picture.save(tmp_path / "in" / "upright.png")
    picture.rotate(-12, Image.Resampling.BICUBIC).save(tmp_path / "in" / "turned.png")
    cut_faces(tmp_path / "in", tmp_path / "out", eyes=False)
    turned, upright = json.loads((tmp_path / "out" / "annotations.json").read_text())["annotations"]
    left, top, width, height = upright["bbox"]
    # Her nose is at 225, 125.
    assert left < 225 < left + width
    assert top < 125 < top + height
    assert turned["roll"] - upright["roll"] == pytest.approx(12, abs=6)


@pytest.mark.slow
@pytest.mark.realdata
def test_pasted_faces_are_found_and_turned(realdata: Path, tmp_path: Path) -> None:
    rooms, people = open_images(realdata / "lsun_bedrooms_10k.zip"), open_images(realdata / "utkface_9780.zip")
    (tmp_path / "in").mkdir()
    for k in range(12):
        room = rooms[100 * k].convert("RGB").resize((480, 360))
        room.paste(people[500 * k].convert("RGB").resize((140, 140)), (170, 110))
        room.save(tmp_path / "in" / f"{k:02}.png")
    result = cut_faces(tmp_path / "in", tmp_path / "out")
    coco = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert result.faces >= 8
    for face in coco["annotations"]:
        left, top, width, height = face["bbox"]
        assert abs(left + width / 2 - 240) < 35
        assert abs(top + height / 2 - 180) < 35


@pytest.mark.parametrize(
    ("face", "advice"),
    [
        (Detection(2, 2, 90, 90, 2.0, 0.0, True), "a smaller `margin`"),
        (Detection(60, 50, 40, 40, 2.0, 0.0, True), "a smaller `least`"),
        (Detection(60, 50, 90, 90, 2.0, 0.0, False), "`without_eyes=True`"),
    ],
)
def test_what_is_advised_helps(
    face: Detection, advice: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "cascade_detector", lambda: lambda picture, least: [face])
    with pytest.raises(UserError, match=advice):
        cut_faces(pictures, tmp_path / "out")
