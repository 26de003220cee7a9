from __future__ import annotations

import io
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dcgan_viz.data.images
from dcgan_viz.data.images import load_images, to_pixels, to_tensor
from dcgan_viz.errors import Notice, UserError


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def grey(value: int, height: int = 20, width: int = 20) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_pixels_survive_the_way_to_the_network_and_back() -> None:
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    images = to_tensor(pixels)
    assert images.shape == (1, 3, 16, 16)
    assert images.dtype == torch.float32
    assert (images.min(), images.max()) == (-1, 1)
    assert np.array_equal(to_pixels(images), pixels)
    assert to_pixels(torch.tensor([[[[-1.5]], [[0.0]], [[1.5]]]])).ravel().tolist() == [0, 128, 255]


def test_a_folder_is_read_in_the_order_of_names_with_all_below_it(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    for value, name in ((10, "b.png"), (20, "deeper/a.PNG"), (30, "a.bmp")):
        (tmp_path / name).write_bytes(png(grey(value)) if "png" in name.lower() else b"")
    Image.fromarray(grey(30)).save(tmp_path / "a.bmp")
    (tmp_path / ".hidden.png").write_bytes(b"not an image")
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.warns(Notice, match="3 pictures in a folder; not read: 1 hidden file, 1 .txt"):
        images = load_images(tmp_path, 16)
    assert images.names == ("a.bmp", "b.png", "deeper/a.PNG")
    assert [int(p[0, 0, 0]) for p in images.pixels] == [30, 10, 20]
    assert images.tensor(slice(None)).shape == (3, 3, 16, 16)


def test_a_zip_reads_like_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("z/2.png", png(grey(2)))
        archive.writestr("z/1.png", png(grey(1)))
        archive.writestr("__MACOSX/z/._1.png", b"resource fork")
        archive.writestr("readme.md", "no image")
    with pytest.warns(Notice, match=r"not read: 1 .md, __MACOSX/"):
        images = load_images(path, 16)
    assert images.names == ("z/1.png", "z/2.png")
    assert [int(p[0, 0, 0]) for p in images.pixels] == [1, 2]
    assert [int(p[0, 0, 0]) for p in load_images(path, 16, limit=1).pixels] == [1]


@pytest.mark.parametrize("shape", [(5, 16, 16, 3), (5, 16, 16, 1), (5, 16, 16), (5, 20, 24, 3)])
def test_arrays_of_every_shape_are_read(shape: tuple[int, ...], tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", x=array, y=np.arange(5))
    channels = shape[3] if len(shape) == 4 else 1
    first, second = load_images(tmp_path / "a.npy", 16, channels), load_images(tmp_path / "a.npz", 16, channels)
    assert first.pixels.shape == (5, 16, 16, channels)
    assert np.array_equal(first.pixels, second.pixels)
    if shape[1:3] == (16, 16):
        assert np.array_equal(first.pixels, array.reshape(first.pixels.shape))


def test_a_prepared_array_stays_on_disk(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((5, 16, 16, 3), np.uint8))
    images = load_images(tmp_path / "a.npy", 16)
    assert isinstance(images.pixels, np.memmap)
    assert len(images.names) == len(images) == 5
    assert load_images(tmp_path / "a.npy", 16, limit=2).pixels.shape == (2, 16, 16, 3)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "bomb"])
def test_an_image_that_does_not_decode_is_named_or_left_out(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = png(noise)
    if damage == "bomb":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    (tmp_path / "good.png").write_bytes(png(grey(1)))
    (tmp_path / "bad.png").write_bytes(
        {"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"hello", "bomb": whole}[damage]
    )
    with pytest.raises(UserError, match=r"1 of 2 images in .* do not decode \(bad.png: .+\).*`skip_broken=True`"):
        load_images(tmp_path, 16)
    with pytest.warns(Notice, match="1 of 2 images are left out"):
        assert load_images(tmp_path, 16, skip_broken=True).names == ("good.png",)


def test_pictures_that_are_smaller_are_counted_and_named(tmp_path: Path) -> None:
    for name, height, width in (("a.png", 20, 30), ("b.png", 9, 40), ("c.png", 16, 16), ("d.png", 1, 1)):
        (tmp_path / name).write_bytes(png(grey(7, height, width)))
    with pytest.warns(Notice) as said:
        assert len(load_images(tmp_path, 16)) == 4
    expected = "2 of 4 images are smaller than 16x16 and are enlarged (b.png from 9x9; d.png from 1x1)"
    assert [str(notice.message) for notice in said] == [expected]
    np.save(tmp_path / "small.npy", np.zeros((3, 8, 8, 3), np.uint8))
    with pytest.warns(Notice, match="3 of 3 images are smaller than 16x16"):
        load_images(tmp_path / "small.npy", 16)


def test_a_set_of_broken_images_is_refused_even_when_skipping(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    with pytest.raises(UserError, match="1 of 1 images"):
        load_images(tmp_path, 16, skip_broken=True)


class _Bomb:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("exploded"),)


def test_sources_that_are_none_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04half")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY")
    np.save("floats.npy", np.zeros((2, 16, 16, 3)))
    np.save("channels.npy", np.zeros((2, 16, 16, 5), np.uint8))
    np.savez("two.npz", a=np.zeros((1, 2, 2, 3), np.uint8), b=np.zeros((1, 2, 2, 3), np.uint8))
    np.save("first.npy", np.zeros((2, 3, 16, 16), np.uint8))
    np.save("bomb.npy", np.array([_Bomb()], dtype=object), allow_pickle=True)
    for name, sentence in {
        "nowhere": "does not exist",
        "empty": "holds no images",
        "notes.txt": "neither a folder, a readable zip nor",
        "cut.zip": "damaged or cut off",
        "cut.npy": "not a readable .npy array",
        "floats.npy": r"one uint8 array .* holds float64 \(2, 16, 16, 3\): scale and round what are pictures, and save",
        "two.npz": r"holds uint8 \(1, 2, 2, 3\), uint8 \(1, 2, 2, 3\): choose one of them, and save it alone",
        "channels.npy": r"shape is \(2, 16, 16, 5\): drop what is neither grey nor red, green and blue",
        "first.npy": r"shape is \(2, 3, 16, 16\): move the channels to the end, as by np.moveaxis\(pictures, 1, -1\)",
        "bomb.npy": "not a readable .npy array",
    }.items():
        with pytest.raises(UserError, match=sentence) as refusal:
            load_images(tmp_path / name, 16)
        assert name in str(refusal.value)
    assert not Path("exploded").exists()


def test_only_a_set_that_is_too_large_for_memory_is_kept_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(3):
        (tmp_path / f"{index}.png").write_bytes(png(grey(index)))
    monkeypatch.setattr(dcgan_viz.data.images, "MEMORY_BUDGET", 2 * 16 * 16 * 3)
    with pytest.warns(Notice, match=r"3 pictures of 16x16 take .* GiB, .* dcgan-viz prepare .* OUT.npy --size 16"):
        assert isinstance(load_images(tmp_path, 16).pixels, np.memmap)
    assert not isinstance(load_images(tmp_path, 16, limit=2).pixels, np.memmap)


def test_loading_in_several_threads_leaves_the_filters_of_warnings_as_they_were(tmp_path: Path) -> None:
    for index in range(20):
        (tmp_path / f"{index}.png").write_bytes(png(grey(index)))
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        assert {len(images) for images in pool.map(lambda _: load_images(tmp_path, 16), range(8))} == {20}
    assert list(warnings.filters) == before


@pytest.mark.realdata
def test_real_photographs_are_read(realdata: Path) -> None:
    images = load_images(realdata / "lsun_bedrooms_10k.zip", 64, limit=32)
    assert images.pixels.shape == (32, 64, 64, 3)
    assert 60 < images.pixels.mean() < 180
