from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dcgan_viz.data.images
from dcgan_viz.data.images import load_images, square, to_pixels, to_tensor
from dcgan_viz.errors import UserError


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


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "CMYK", "LA", "I;16", "F", "I"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_becomes_a_square(mode: str, channels: int) -> None:
    picture = Image.new(mode, (30, 20))
    pixels = square(picture, 16, channels)
    assert pixels.shape == (16, 16, channels)
    assert pixels.dtype == np.uint8


def test_the_centre_is_kept() -> None:
    pixels = np.zeros((16, 40, 3), np.uint8)
    pixels[:, 12:28] = 255
    assert square(Image.fromarray(pixels), 16, 3).min() == 255


def test_exif_rotation_is_applied() -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8] = 255
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(file, "png", exif=exif)
    turned = square(Image.open(file), 16, 3)
    assert turned[:, 8:].min() == 255
    assert turned[:, :8].max() == 0


def test_transparency_lies_on_white_and_sixteen_bits_keep_the_upper_eight() -> None:
    clear = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    assert square(clear, 16, 3).min() == 255
    deep = Image.fromarray(np.full((16, 16), 0x80FF, np.uint16))
    assert square(deep, 16, 1).max() == 0x80


def test_a_folder_is_read_in_the_order_of_names_with_all_below_it(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    for value, name in ((10, "b.png"), (20, "deeper/a.PNG"), (30, "a.bmp")):
        (tmp_path / name).write_bytes(png(grey(value)) if "png" in name.lower() else b"")
    Image.fromarray(grey(30)).save(tmp_path / "a.bmp")
    (tmp_path / ".hidden.png").write_bytes(b"not an image")
    (tmp_path / "notes.txt").write_text("not an image")
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
    with pytest.raises(UserError, match=r"1 of 2 images in .* do not decode \(bad.png\).*--skip-broken"):
        load_images(tmp_path, 16)
    assert load_images(tmp_path, 16, skip_broken=True).names == ("good.png",)


def test_a_zip_member_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(2000))
    monkeypatch.setattr(dcgan_viz.data.images, "MAXIMUM_FILE_BYTES", 1000)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(UserError, match="do not decode"):
        load_images(tmp_path / "bomb.zip", 16)


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
    np.save("bomb.npy", np.array([_Bomb()], dtype=object), allow_pickle=True)
    for name, sentence in {
        "nowhere": "does not exist",
        "empty": "holds no images",
        "notes.txt": "neither a folder, a readable zip nor",
        "cut.zip": "neither a folder, a readable zip nor",
        "cut.npy": "not a readable NumPy array",
        "floats.npy": r"one uint8 array .* holds float64 \(2, 16, 16, 3\)",
        "channels.npy": r"shape is \(2, 16, 16, 5\)",
        "bomb.npy": "not a readable NumPy array",
    }.items():
        with pytest.raises(UserError, match=sentence) as refusal:
            load_images(tmp_path / name, 16)
        assert name in str(refusal.value)
    assert not Path("exploded").exists()


@pytest.mark.realdata
def test_real_photographs_are_read(realdata: Path) -> None:
    images = load_images(realdata / "lsun_bedrooms_10k.zip", 64, limit=32)
    assert images.pixels.shape == (32, 64, 64, 3)
    assert 60 < images.pixels.mean() < 180
