from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

import dcgan_viz.data.prepare
from dcgan_viz.analysis.features.extraction import Extractor, extract_features, merge_features
from dcgan_viz.data.images import load_images
from dcgan_viz.data.parts import Part, parts_of
from dcgan_viz.data.prepare import merge_prepared, prepare
from dcgan_viz.errors import UserError


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dcgan_viz.data.prepare, "SHARD", 4)


def test_parts_make_the_whole_and_are_even() -> None:
    for count in (7, 8, 100):
        for of in (1, 3, 7):
            rows = [list(Part(number, of).rows(count)) for number in range(1, of + 1)]
            assert [row for part in rows for row in part] == list(range(count))
            assert max(map(len, rows)) - min(map(len, rows)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "a/3", "1", "1/999999", "-1/3", ""])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"no part|is not a part"):
        Part.parse(text)


def test_joined_parts_are_what_is_prepared_at_once(photographs: Path, tmp_path: Path) -> None:
    (photographs / "07.png").write_bytes(b"")
    prepare(photographs, tmp_path / "whole.npy", 16, workers=1)
    for number in (3, 1, 2):
        prepare(photographs, tmp_path / "a.npy", 16, part=Part(number, 3), workers=1)
    joined = merge_prepared(tmp_path / "a.npy")
    assert (joined.pictures, joined.broken[0].name) == (39, "07.png")
    for ending in (".npy", ".names.jsonl"):
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"whole{ending}").read_bytes()
    about, whole = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("a", "whole"))
    assert {**about, "path": None} == {**whole, "path": None}
    # The whole is taken for what it is: nothing is decoded again.
    again = prepare(photographs, tmp_path / "a.npy", 16, reuse=True, workers=1)
    assert again.pictures == 39


def test_parts_that_do_not_belong_together_are_refused(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.npy"
    with pytest.raises(UserError, match=r"there are no parts of .*, such as a.1-of-8.npy"):
        merge_prepared(out)
    prepare(photographs, out, 16, part=Part(1, 2), workers=1)
    with pytest.raises(UserError, match=r"1 of the 2 parts of .* are missing, such as a.2-of-2.npy"):
        merge_prepared(out)
    prepare(photographs, out, 20, part=Part(2, 2), workers=1)
    with pytest.raises(UserError, match=r"a.2-of-2.npy is a part of something else than a.1-of-2.npy"):
        merge_prepared(out)
    prepare(photographs, out, 16, part=Part(2, 2), workers=1, overwrite=True)
    second = Part(2, 2).path(out)
    pixels = bytearray(second.read_bytes())
    pixels[-1] ^= 1
    second.write_bytes(pixels)
    with pytest.raises(UserError, match=r"a.2-of-2.npy has been changed since"):
        merge_prepared(out)
    assert not out.exists()
    prepare(photographs, out, 16, part=Part(1, 3), workers=1)
    with pytest.raises(UserError, match="parts of 2 and of 3"):
        merge_prepared(out)
    with pytest.raises(UserError, match="too few for 41 parts"):
        prepare(photographs, out, 16, part=Part(1, 41), workers=1)


def test_joined_features_are_those_of_one_machine(photographs: Path, tmp_path: Path) -> None:
    images = load_images(photographs, 16)
    means = Extractor("means", {"rows": 48}, "means", lambda batch: batch.mean(3).flatten(1))
    whole = extract_features(means, images, tmp_path / "whole.npy", digest="x")
    for number in (1, 2, 3):
        extract_features(means, images, tmp_path / "f.npy", digest="x", part=Part(number, 3))
    joined = merge_features(tmp_path / "f.npy")
    assert np.array_equal(joined.values, whole.values)
    assert (tmp_path / "f.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert extract_features(means, images, tmp_path / "f.npy", digest="x").first == 40
    (tmp_path / "f.npy").unlink()
    Part(2, 3).path(tmp_path / "f.json").write_text("[]")
    with pytest.raises(UserError, match=r"f.2-of-3.json does not say what f.2-of-3.npy holds"):
        merge_features(tmp_path / "f.npy")
    (tmp_path / "other").mkdir()
    for number, digest in ((1, "x"), (2, "y")):
        extract_features(means, images, tmp_path / "other" / "f.npy", digest=digest, part=Part(number, 2))
    with pytest.raises(UserError, match="is a part of something else"):
        merge_features(tmp_path / "other" / "f.npy")


@pytest.mark.slow
def test_the_commands_divide_the_work(run: Callable[..., Result], photographs: Path, tiny_folder: Path) -> None:
    assert run("prepare", photographs, "whole.npy", "--size", 16, "--workers", 1).exit_code == 0
    for shard in ("1/2", "2/2"):
        assert run("prepare", photographs, "a.npy", "--size", 16, "--workers", 1, "--shard", shard).exit_code == 0
        assert run("features", tiny_folder, "whole.npy", "--out", "f.npy", "--shard", shard).exit_code == 0
        done = run("dedup", photographs, "--out", "d", "--workers", 1, "--shard", shard)
        assert "dcgan-viz merge d/crops.npy" in done.stdout
    assert "40 pictures of 2 parts joined in a.npy" in run("merge", "a.npy").stdout
    assert json.loads(run("merge", "f.npy", "--json").stdout)["rows"] == 40
    assert np.array_equal(np.load("a.npy"), np.load("whole.npy"))
    assert run("merge", "d/crops.npy").exit_code == 0
    assert len(parts_of(Path("d/crops.npy"))) == 2
    written = Path("d/crops.npy").stat().st_mtime_ns
    # The crops are those that it would have made.
    found = run("dedup", photographs, "--out", "d", "--radius", 0, "--workers", 1)
    assert found.exit_code == 0, found.output
    assert Path("d/crops.npy").stat().st_mtime_ns == written
    assert "already exists" in run("merge", "a.npy").stderr
