from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.errors import Notice, UserError
from dcgan_viz.media.pictures import check_picture, is_our_picture, page_shape, save_picture, tile

RANDOM = np.random.default_rng(0).integers(0, 256, (9, 8, 6, 3), dtype=np.uint8)


@pytest.mark.parametrize("ending", [".png", ".PNG", ".jpg", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_written_and_read_again(ending: str, channels: int, tmp_path: Path) -> None:
    pixels = RANDOM[0, :, :, :channels]
    path = save_picture(pixels, tmp_path / f"a{ending}", scale=3)
    with Image.open(path) as image:
        assert image.size == (18, 24)
        if ending.lower() == ".png":
            image.load()
            assert np.array_equal(np.asarray(image).reshape(24, 18, channels)[::3, ::3], pixels)
            assert len(image.text["dcgan-viz"]) == 64


def test_a_png_is_known_again_until_a_byte_of_it_changes(tmp_path: Path) -> None:
    path = save_picture(RANDOM[0], tmp_path / "a.png")
    assert is_our_picture(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert not is_our_picture(path)
    for length in (0, 11, 97, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert not is_our_picture(path)
    path.write_bytes(whole)
    with Image.open(path) as image:
        image.load()
        image.save(path, pnginfo=None)
    assert not is_our_picture(path)
    with pytest.raises(UserError, match="already exists"):
        save_picture(RANDOM[1], path, again=True)
    with pytest.warns(Notice, match="replaced"):
        save_picture(RANDOM[1], path, overwrite=True)
    with pytest.raises(UserError, match="already exists"):
        save_picture(RANDOM[2], path)
    save_picture(RANDOM[2], path, again=True)


@pytest.mark.parametrize("ending", [".jpg", ".webp"])
def test_other_pictures_carry_no_mark_and_are_never_replaced_unasked(ending: str, tmp_path: Path) -> None:
    path = save_picture(RANDOM[0], tmp_path / f"a{ending}")
    with pytest.raises(UserError, match=f"a{ending} already exists"):
        save_picture(RANDOM[0], path)


def test_a_page_has_the_shape_that_was_foretold() -> None:
    for count in range(1, 10):
        for columns in (None, 1, 4):
            assert tile(RANDOM[:count], columns, gap=1).shape == page_shape((count, 8, 6, 3), columns, gap=1)


def test_what_no_format_or_memory_holds_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a picture: expected a PNG, JPEG or WebP file"):
        check_picture(tmp_path / "samples")
    with pytest.raises(UserError, match=r"105632x105632 pixels needs 31\.4 GiB of memory, .* `each=True`"):
        check_picture(tmp_path / "a.png", page_shape((10_000, 64, 64, 3)), 16)
    with pytest.raises(UserError, match=r"a \.webp has at most 16383 a side: choose a name that ends in \.png"):
        check_picture(tmp_path / "a.webp", (20_000, 100, 3))
    check_picture(tmp_path / "a.png", (20_000, 100, 3))
