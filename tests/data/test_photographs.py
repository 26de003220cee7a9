from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.data.images import load_images
from dcgan_viz.data.photographs import load_photographs
from dcgan_viz.errors import Notice, UserError


def test_files_and_folders_are_read_in_the_order_given(photographs: Path) -> None:
    folder = load_images(photographs, 16)
    found = load_photographs([photographs / "03.png", photographs], 16, limit=4)
    assert found.names == ("03.png", *(folder.names[i] for i in (0, 13, 26, 39)))
    for picture, number in zip(found.pixels, (3, 0, 13, 26, 39), strict=True):
        assert np.array_equal(picture, folder.pixels[number])


def test_what_does_not_decode_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"broken\.jpg is not a readable image"):
        load_photographs([tmp_path / "broken.jpg"], 16)
    with pytest.raises(UserError, match="does not exist"):
        load_photographs([tmp_path / "nowhere"], 16)
    with pytest.raises(UserError, match="no photographs"):
        load_photographs([], 16)


def test_too_large_a_picture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UserError, match=r"large\.png"):
        load_photographs([tmp_path / "large.png"], 16)


@pytest.mark.parametrize("side", [1, 3])
def test_a_picture_of_a_few_pixels_is_said_to_be_enlarged(side: int, tmp_path: Path) -> None:
    Image.new("RGB", (side, 30), "red").save(tmp_path / "few.png")
    with pytest.warns(Notice, match=rf"few\.png was enlarged from {side}x{side} to 16x16 pixels"):
        load_photographs([tmp_path / "few.png"], 16)


def test_a_quarter_of_the_size_is_not_too_few_pixels(tmp_path: Path) -> None:
    Image.new("RGB", (4, 30), "red").save(tmp_path / "enough.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_photographs([tmp_path / "enough.png"], 16)
