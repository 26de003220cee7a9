from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import dcgan_viz.data.decoding
import dcgan_viz.data.sources.selection
from dcgan_viz.data.decoding import IMAGE_ENDINGS, UnreadableError, decode_square, quiet_decoders, square
from dcgan_viz.data.images import load_images
from dcgan_viz.data.orientation import exif_orientation
from dcgan_viz.data.sources import open_images
from dcgan_viz.errors import Notice, UserError

CASES = Path(__file__).parents[1] / "cases" / "pictures"
RAMP = np.arange(32) * 255 / 31
"""What the pictures of `modes` hold, from left to right, where they are not made for something else."""

REFUSED = {
    "10in16.png": r"mode I;16 with values from 0 to 1023, where 0 to 65535 are expected",
    "12in16.png": r"mode I;16 with values from 0 to 4095",
    "sbit12.png": r"mode I;16 with values from 0 to 4095",
    "F255.tif": r"mode F with values from 0 to 255, where 0 to 1 are expected",
    "Fnan.tif": r"mode F, in which [\d,]+ of [\d,]+ values are infinite or no numbers: replace these",
    "Fneg.tif": r"mode F with values from -1 to 1",
    "I255.tif": r"mode I with values from 0 to 255",
    "I_big.tif": r"mode I with values from -1 to 2\.14748e\+09",
    "RGBA0.png": r"transparent everywhere \(mode RGBA, alpha at most 0\)",
}
OTHERWISE = {
    "1.png": np.where(np.arange(32) < 16, 0, 255),
    "1.tif": np.where(np.arange(32) < 16, 0, 255),
    "LA.png": 255 - (255 - RAMP) * 128 / 255,
    "LA1.png": 255 - (255 - RAMP) * 128 / 255,
    "Ptrans.png": np.where(np.arange(32) == 0, 255, RAMP),
    "g16trns.png": np.where(np.arange(32) == 0, 255, RAMP),
    "Ptransbytes.png": 255 - (255 - RAMP) * RAMP / 255,
    "lab.tif": np.array([0, 60, 122, 255]),
    "1x1.png": np.array([255, 0, 0]),
    "1x500.png": np.array([255, 0, 0]),
}


def exif(orientation: bytes, kind: int = 3, values: int = 1) -> bytes:
    return b"MM\0*" + struct.pack(">IHHHI", 8, 1, 0x0112, kind, values) + orientation.ljust(4, b"\0") + bytes(4)


def encoded(picture: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "mode", ["RGB", "L", "RGBA", "P", "1", "CMYK", "LA", "La", "PA", "I;16", "F", "I", "YCbCr", "HSV"]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_becomes_a_square(mode: str, channels: int) -> None:
    picture = Image.new("RGBA", (30, 20), "red").convert(mode) if mode in ("RGBA", "PA") else Image.new(mode, (30, 20))
    if mode in ("LA", "La"):
        picture.putalpha(255)
    pixels = square(picture, 16, channels)
    assert pixels.shape == (16, 16, channels)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("name", sorted(path.name for path in (CASES / "modes").iterdir()))
def test_what_a_viewer_shows_or_a_refusal_that_states_mode_and_range(name: str) -> None:
    path = CASES / "modes" / name
    if name in REFUSED:
        with pytest.raises(UnreadableError, match=REFUSED[name]):
            decode_square(path, 32, 3)
        return
    pixels, trouble, side = decode_square(path, 32, 3)
    assert trouble is None
    assert side >= 1
    expected = OTHERWISE.get(name, RAMP)
    if name.startswith("1x"):
        assert (pixels == expected).all()
        return
    row = pixels[4].mean(-1)
    if name == "lab.tif":
        row = row[[0, 8, 16, 31]]
    assert np.abs(row - expected).max() <= 2
    assert np.abs(decode_square(path, 32, 1)[0][4, :, 0] - pixels[4].mean(-1)).max() <= 2


@pytest.mark.parametrize(("name", "bits"), [("10in16.png", 10), ("12in16.png", 12), ("I255.tif", 8), ("F255.tif", 8)])
def test_depth_that_is_stated_is_taken(name: str, bits: int) -> None:
    assert np.abs(decode_square(CASES / "modes" / name, 32, 1, bits=bits)[0][4, :, 0] - RAMP).max() <= 2
    if bits > 8:
        with pytest.raises(UnreadableError, match="where 0 to 511 are expected"):
            decode_square(CASES / "modes" / name, 32, 1, bits=9)


def test_deep_colour_of_which_the_upper_bits_are_empty_is_refused() -> None:
    values = np.tile((np.arange(32) * 4095 // 31).astype(">u2")[None, :, None], (32, 1, 3))
    header = struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        png += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    with pytest.raises(UnreadableError, match="mode RGB of 16 bits a channel with values up to 4095"):
        decode_square(png, 32, 3)


def test_the_centre_is_kept() -> None:
    pixels = np.zeros((16, 40, 3), np.uint8)
    pixels[:, 12:28] = 255
    assert square(Image.fromarray(pixels), 16, 3).min() == 255


def test_transparency_lies_on_white_and_sixteen_bits_keep_the_upper_eight() -> None:
    half = Image.new("RGBA", (16, 16), (0, 0, 0, 128))
    assert np.unique(square(half, 16, 3)).tolist() == [127]
    deep = Image.fromarray(np.full((16, 16), 0x80FF, np.uint16))
    assert square(deep, 16, 1).max() == 0x80


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_pictures_are_turned_as_pillow_turns_them(orientation: int, format: str) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8, :4] = 255
    tag = Image.Exif()
    tag[0x0112] = orientation
    file = encoded(Image.fromarray(pixels), format, exif=tag)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB"))
    assert np.abs(decode_square(file, 16, 3)[0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.glob("exif_*")))
def test_unreadable_metadata_cost_the_orientation_at_most(case: str) -> None:
    file = next((CASES / case).iterdir())
    upright = np.asarray(Image.open(file).resize((8, 8), Image.Resampling.LANCZOS)).astype(int)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pixels = load_images(CASES / case, 8).pixels[0].astype(int)
    turned = np.rot90(upright, -1)
    if caught:
        assert len(caught) == 1
        assert str(caught[0].message).startswith(
            f"1 of 1 images have unreadable metadata and are not turned ({file.name}: "
        )
        assert np.abs(pixels - upright).max() <= 1
    else:
        assert min(np.abs(pixels - turned).max(), np.abs(pixels - upright).max()) <= 1
    # Where the tag itself is whole, damage elsewhere costs nothing.
    whole = {
        "exif_ok6",
        "exif_float_nan",
        "exif_short_overflow_extra",
        "exif_makernote",
        "exif_gps_bad",
        "exif_png_xmp_6",
    }
    assert case not in whole or np.abs(pixels - turned).max() <= 1


def test_damaged_exif_says_how() -> None:
    assert exif_orientation(exif(b"\0\x06")) == 6
    assert exif_orientation(exif(b"\0\0")) == 1
    assert exif_orientation(b"Exif\0\0" + exif(b"\0\0\0\x08", kind=4)) == 8
    for data, reason in (
        (b"", "does not begin"),
        (exif(b"\0\x06")[:14], "cut off"),
        (exif(b"\0\x09"), "orientation is 9"),
        (exif(b"6", kind=2), "1 value of type 2"),
        (exif(b"\0\x06", values=2**31), "2,147,483,648 values"),
    ):
        with pytest.raises(ValueError, match=reason):
            exif_orientation(data)


def test_endings_of_cameras_and_browsers_are_read(tmp_path: Path) -> None:
    picture = Image.new("RGB", (20, 20), (10, 200, 30))
    for name, format in (("a.jfif", "JPEG"), ("b.avif", "AVIF"), ("c.apng", "PNG"), ("d.dib", "DIB"), ("e.pnm", "PPM")):
        picture.save(tmp_path / name, format)
    images = load_images(tmp_path, 16)
    assert len(images) == 5
    assert np.abs(images.pixels.mean((1, 2)) - (10, 200, 30)).max() < 4


def test_heic_is_read_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    picture = Image.new("RGB", (20, 20), (10, 200, 30))
    pillow_heif.from_pillow(picture).save(tmp_path / "a.HEIC")
    picture.save(tmp_path / "b.png")
    images = load_images(tmp_path, 16)
    assert np.abs(images.pixels.mean((1, 2)) - (10, 200, 30)).max() < 4
    monkeypatch.setattr(dcgan_viz.data.sources.selection, "readable_endings", lambda: IMAGE_ENDINGS)
    with pytest.warns(Notice, match=r"1 \.heic \(dcgan-viz\[heic\] reads them\)"):
        assert load_images(tmp_path, 16).names == ("b.png",)


def test_what_is_installed_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(5):
        (tmp_path / f"{k}.png").touch()
    asked: list[str] = []
    monkeypatch.setattr(dcgan_viz.data.decoding, "find_spec", asked.append)
    dcgan_viz.data.decoding.readable_endings.cache_clear()
    assert len(open_images(tmp_path)) == 5
    dcgan_viz.data.decoding.readable_endings.cache_clear()
    assert len(asked) == 1


def test_large_jpegs_are_decoded_smaller_without_a_visible_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = np.random.default_rng(0).integers(0, 256, (27, 40, 3), dtype=np.uint8)
    smooth = Image.fromarray(shapes).resize((640, 427), Image.Resampling.BICUBIC)
    sharp = Image.fromarray(shapes).resize((640, 427), Image.Resampling.NEAREST)
    photograph = Image.blend(smooth, sharp, 0.5)
    tag = Image.Exif()
    tag[0x0112] = 6
    file = encoded(photograph, "JPEG", quality=95, exif=tag)
    scaled = decode_square(file, 32, 3)[0].astype(int)
    monkeypatch.setattr(Image.Image, "draft", lambda *_: None)
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.draft", lambda *_: None)
    whole = decode_square(file, 32, 3)[0].astype(int)
    assert 0 < np.abs(scaled - whole).max() <= 12
    assert np.abs(scaled - whole).mean() < 1


def test_no_header_makes_it_take_memory() -> None:
    code = f"""
import resource
from pathlib import Path
from dcgan_viz.data.decoding import UnreadableError, decode_square
from dcgan_viz.data.sources import open_images
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in ("pix", "pix2", "bomb"):
    source = open_images(Path({str(CASES / "zips")!r}) / (name + ".zip"))
    for index in range(len(source)):
        try:
            decode_square(source.entry(index), 16, 3)
        except UnreadableError as error:
            print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert "9000x9900 pixels are more than the 50 megapixels" in done.stdout
    assert int(done.stdout.split()[-1]) < 100


def test_small_files_cannot_claim_large_pictures() -> None:
    file = encoded(Image.new("1", (5000, 4000)), "PNG")
    with pytest.raises(UnreadableError, match=r"bytes claim to hold 5000x4000 pixels"):
        decode_square(file, 16, 1)
    assert decode_square(encoded(Image.new("1", (2000, 1500)), "PNG"), 16, 1)[0].max() == 0
    for side in (15_000, 100_000):  # Pillow warns of the first, and refuses the second in words of its own.
        header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + file[33:]
        with quiet_decoders(), pytest.raises(UnreadableError, match=r"50 megapixels that are read: make it smaller"):
            decode_square(bomb, 16, 1)


def test_reasons_are_words(tmp_path: Path) -> None:
    shutil.copy(CASES / "exif_ok6" / "a.jpg", tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:700])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "link.png").symlink_to("nowhere.png")
    (tmp_path / "text.webp").write_text("hello")
    with pytest.raises(UserError) as refusal:
        load_images(tmp_path, 16)
    for part in ("cut.jpg: ", "empty.png: the file is empty", "link.png: No such file", "and 1 more"):
        assert part in str(refusal.value)
