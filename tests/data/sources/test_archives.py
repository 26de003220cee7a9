from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dcgan_viz.data.sources.archives
from dcgan_viz.data.images import load_images
from dcgan_viz.data.sources import open_images
from dcgan_viz.errors import Notice, UserError

ZIPS = Path(__file__).parents[2] / "cases" / "pictures" / "zips"


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (16, 16), value).save(file, "png")
    return file.getvalue()


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:" + {".gz": "gz", ".bz2": "bz2", ".xz": "xz"}.get(path.suffix, "")) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def values(path: Path) -> list[int]:
    return [int(np.asarray(image)[0, 0]) for image in open_images(path)]


@pytest.mark.parametrize(
    ("name", "count", "broken", "reasons"),
    [
        ("bomb.zip", 9, 1, ["bomb.png: it unpacks to 300 MiB, and 256 are allowed"]),
        ("crc.zip", 16, 1, ["000.png: the zip is damaged here (what it unpacks to is not what was packed)"]),
        ("deflate.zip", 16, 1, ["000.png: the zip is damaged here (Error -3"]),
        ("dup.zip", 4, 3, ["a.png and 2 more: the archive holds a later file of the same name"]),
        ("enc.zip", 16, 1, ["003.png: it is encrypted"]),
        ("localname.zip", 16, 1, ["000.png: the zip is damaged here (the name in its directory and that"]),
        ("method.zip", 16, 1, ["000.png: it is compressed by method 99, which is not known here"]),
        ("offset.zip", 16, 1, ["000.png: the zip is damaged here (it is cut off)"]),
        ("pix2.zip", 9, 1, ["zz.png: it claims more pixels than the 50 megapixels that are read"]),
        ("trav.zip", 4, 3, ["../../outside.png and 2 more: its name leads out of the archive"]),
    ],
)
def test_damaged_members_are_named_with_the_reason_and_can_be_skipped(
    name: str, count: int, broken: int, reasons: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"{broken} of {count} images in .*`skip_broken=True`") as refusal:
        load_images(ZIPS / name, 8)
    for reason in reasons:
        assert reason in str(refusal.value)
    with pytest.warns(Notice, match=f"{broken} of {count} images are left out") as notices:
        assert len(load_images(ZIPS / name, 8, skip_broken=True)) == count - broken
    assert reasons[0] in str(notices[-1].message)
    assert not list(tmp_path.iterdir())


def test_of_two_files_of_one_name_the_last_is_read() -> None:
    with pytest.warns(Notice):
        kept = load_images(ZIPS / "dup.zip", 8, skip_broken=True)
    with zipfile.ZipFile(ZIPS / "dup.zip") as archive:
        last = Image.open(io.BytesIO(archive.read("a.png"))).resize((8, 8), Image.Resampling.LANCZOS)
    assert np.array_equal(kept.pixels[0], np.asarray(last))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("empty.zip", "holds no images: give"),
        ("nested.zip", "holds no images among 1 .zip"),
        ("trunc.zip", "trunc.zip is damaged or cut off: .*; copy or download it again"),
    ],
)
def test_zips_without_pictures_say_what_they_hold(name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load_images(ZIPS / name, 8)


def test_names_in_other_alphabets_are_read() -> None:
    assert load_images(ZIPS / "cp437.zip", 8).names == ("Küche.png", "桌.JPG")


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_a_tar_reads_in_its_own_order_with_the_same_left_out(name: str, tmp_path: Path) -> None:
    files = {"z/2.png": png(2), "z/1.png": png(1), "z/._1.png": b"", "z/notes.txt": b"", "__MACOSX/3.png": png(3)}
    path = write_tar(tmp_path / name, files | {"a/4.PNG": png(4)})
    source = open_images(path)
    assert source.names == ("z/2.png", "z/1.png", "a/4.PNG")
    assert set(source.left_out) == {"1 hidden file", "1 .txt", "__MACOSX/"}
    assert values(path) == [2, 1, 4]
    copy = pickle.loads(pickle.dumps(source))
    # Backwards too, although a compressed tar is then read anew.
    assert [int(np.asarray(copy[i])[0, 0]) for i in (2, 0, 1)] == [4, 2, 1]


def test_damaged_tars_are_refused_and_bad_members_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tar(tmp_path / "a.tar", {f"{k}.png": png(k) for k in range(4)})
    data = bytearray(path.read_bytes())
    (tmp_path / "cut.tar").write_bytes(data[:1200])
    data[2 * 1024 : 2 * 1024 + 100] = b"\xff" * 100
    (tmp_path / "hit.tar").write_bytes(data)
    (tmp_path / "cut.tar.gz").write_bytes(gzip.compress(path.read_bytes())[:-60])
    for name in ("cut.tar", "hit.tar", "cut.tar.gz"):
        with pytest.raises(UserError, match=f"{name} is damaged or cut off after [1234] files?"):
            open_images(tmp_path / name)
    (tmp_path / "no.tar").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(UserError, match=r"no.tar is damaged or cut off after 0 files"):
        open_images(tmp_path / "no.tar")
    bad = write_tar(tmp_path / "bad.tar", {"../1.png": png(1), "2.png": png(2), "3.png": png(3), "2.png ": png(4)})
    with pytest.raises(UserError, match=r"1 of 3 images .*\.\./1.png: its name leads out of the archive"):
        load_images(bad, 8)
    monkeypatch.setattr(dcgan_viz.data.sources.archives, "MAXIMUM_FILE_BYTES", 10)
    with pytest.raises(UserError, match="it unpacks to"):
        load_images(bad, 8)


def test_links_in_a_tar_are_counted_and_never_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("passwd.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        member = tarfile.TarInfo("1.png")
        member.size = len(png(1))
        archive.addfile(member, io.BytesIO(png(1)))
    assert open_images(path).names == ("1.png",)
    assert open_images(path).left_out == ("1 special file",)


def test_a_header_of_a_compressed_tar_cannot_claim_memory(tmp_path: Path) -> None:
    longname = tarfile.TarInfo("././@LongLink")
    longname.type, longname.size = tarfile.GNUTYPE_LONGNAME, 2**30
    with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=1) as file:
        file.write(longname.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(2**21))
    with pytest.raises(UserError, match="a header claims"):
        open_images(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("as_range", [True, False])
def test_shards_of_a_webdataset_are_one_set_with_classes(as_range: bool, tmp_path: Path) -> None:
    for shard in range(3):
        files = {}
        for k in range(4):
            files |= {f"{k:04}.cls": str(k % 2).encode(), f"{k:04}.json": b"{}", f"{k:04}.png": png(10 * shard + k)}
        write_tar(tmp_path / f"train-{shard:03}.tar", files)
    path = tmp_path / "train-{000..002}.tar" if as_range else tmp_path
    source = open_images(path)
    assert len(source) == 12
    assert source.names[1] == "1/train-000.tar/0001.png"
    assert source.labels == ("0", "1") * 6
    assert source.left_out == ("12 .json",)
    assert values(path) == [10 * shard + k for shard in range(3) for k in range(4)]
    if as_range:
        with pytest.raises(UserError, match=r"1 of 4 shards of .* do not exist, such as .*train-003.tar"):
            open_images(tmp_path / "train-{000..003}.tar")
        with pytest.raises(UserError, match="a range goes up, over at most"):
            open_images(tmp_path / "train-{000..999999999}.tar")


def test_our_own_folders_in_a_zip_are_left_out_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("photos/1.png", "run/model/card.json", "run/model/weights.safetensors", "run/model/2.png"):
            archive.writestr(name, png(1))
    source = open_images(tmp_path / "a.zip")
    assert source.names == ("photos/1.png",)
    assert source.left_out == ("run/model/ (a model)",)


def test_masks_beside_photographs_in_a_zip_are_left_out_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("set/images/train/1.png", "set/masks/train/1.png", "set/masks/1.png", "other/masks/1.png"):
            archive.writestr(name, png(1))
    source = open_images(tmp_path / "a.zip")
    assert source.names == ("other/masks/1.png", "set/images/train/1.png")
    assert source.left_out == ("set/masks/ (labels of images/)",)
