from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from numpy.typing import NDArray
from PIL import Image

import dcgan_viz.data.duplicates.near
from dcgan_viz.data.duplicates import Duplicates, find_duplicates
from dcgan_viz.data.duplicates.alignment import aligned_correlation, detail_correlation
from dcgan_viz.data.duplicates.autoencoder import encode, train_autoencoder
from dcgan_viz.data.duplicates.duplicates import OriginCheck, cut_crops
from dcgan_viz.data.duplicates.near import collisions, near_pairs
from dcgan_viz.data.images import load_images
from dcgan_viz.data.parts import Part
from dcgan_viz.data.sources import open_images
from dcgan_viz.errors import UserError
from dcgan_viz.report.duplicates import duplicates_page

STEPS = 60


def scene(random: np.random.Generator, side: int = 128) -> Image.Image:
    """Soft shapes with fine noise on them: no two are alike in either."""
    coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((side, side), Image.BICUBIC)
    fine = random.normal(0, 30, (side // 2, side // 2, 3)).repeat(2, 0).repeat(2, 1)
    return Image.fromarray(np.clip(np.asarray(coarse) * 0.7 + 40 + fine, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty scenes; of the first four there are copies: recompressed, smaller, cropped, darker; of the first two of each."""
    path = tmp_path_factory.mktemp("scenes")
    random = np.random.default_rng(0)
    for k in range(40):
        picture = scene(random)
        picture.save(path / f"{k:02}.png")
        if k == 0:
            picture.save(path / "z0-recompressed.jpg", quality=50)
            picture.save(path / "z0-same.png")
        if k == 1:
            picture.resize((80, 80), Image.BICUBIC).save(path / "z1-smaller.png")
        if k == 2:
            picture.crop((1, 4, 124, 127)).save(path / "z2-cropped.png")
        if k == 3:
            picture.point(lambda value: round(0.8 * value)).save(path / "z3-darker.png")
    (path / "broken.png").write_bytes(b"")
    return path


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dcgan_viz.data.duplicates.duplicates.CONTROLS", 40)
        yield


EXPECTED = [
    ["00.png", "z0-recompressed.jpg", "z0-same.png"],
    ["01.png", "z1-smaller.png"],
    ["02.png", "z2-cropped.png"],
    ["03.png", "z3-darker.png"],
]


@pytest.fixture(scope="module")
def result(folder: Path) -> Duplicates:
    return find_duplicates(folder, steps=STEPS, workers=1)


@pytest.mark.slow
def test_copies_of_every_kind_are_found_and_nothing_else(result: Duplicates) -> None:
    assert [[result.names[i] for i in members] for members in result.members()] == EXPECTED
    assert (result.pictures, result.broken, result.groups, result.removed) == (45, 1, 4, 5)
    kept = {result.names[i] for i in result.kept()}
    assert kept == {f"{k:02}.png" for k in range(40)}
    assert result.stages[-1].false.value == 0


def test_the_keep_list_is_what_load_images_takes(result: Duplicates, folder: Path, tmp_path: Path) -> None:
    result.save(tmp_path / "found", {}, {"duplicates": duplicates_page(result)})
    groups = [json.loads(line) for line in (tmp_path / "found" / "groups.jsonl").read_text().splitlines()]
    assert groups == EXPECTED
    images = load_images(folder, 16, keep_list=tmp_path / "found" / "keep.jsonl")
    assert images.names == tuple(f"{k:02}.png" for k in range(40))
    page = (tmp_path / "found" / "duplicates.html").read_text()
    assert page.count("<article") == 4
    assert page.count("data:image/webp") == 9
    assert "<script" not in page


@pytest.mark.slow
def test_equal_codes_alone_find_fewer(result: Duplicates, folder: Path) -> None:
    alone = find_duplicates(folder, radius=0, steps=STEPS, workers=1)
    assert (alone.distances == 0).all()
    assert 0 < alone.removed < result.removed
    assert alone.stages[0].pairs == result.stages[0].pairs


@pytest.mark.slow
def test_the_same_seed_finds_the_same(result: Duplicates, folder: Path) -> None:
    again = find_duplicates(folder, steps=STEPS, workers=1)
    for name, array in result.arrays().items():
        assert np.array_equal(array, again.arrays()[name]), name


def test_a_set_without_duplicates_and_one_of_equal_pictures(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    np.save(tmp_path / "a.npy", np.stack([np.asarray(scene(random, 32)) for _ in range(9)]))
    different = find_duplicates(tmp_path / "a.npy", steps=2, workers=1)
    assert (different.groups, different.removed, len(different.kept())) == (0, 0, 9)
    assert "There are none" in duplicates_page(different)
    np.save(tmp_path / "b.npy", np.zeros((9, 32, 32, 3), np.uint8))
    equal = find_duplicates(tmp_path / "b.npy", steps=2, workers=1)
    assert (equal.groups, equal.removed, equal.kept().tolist()) == (1, 8, [0])


def test_cells_find_nearly_all_pairs_and_none_that_differ_more(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 256, (3000, 16), dtype=np.uint8)
    for number in range(1500):
        flipped = np.zeros(128, np.uint8)
        flipped[random.permutation(128)[: number % 25]] = 1
        codes[1500 + number] = codes[number] ^ np.packbits(flipped)
    every = set(map(tuple, near_pairs(codes, 24).tolist()))
    assert every == {(k, 1500 + k) for k in range(1500) if k % 25}
    monkeypatch.setattr(dcgan_viz.data.duplicates.near, "EXHAUSTIVE", 0)
    found = set(map(tuple, near_pairs(codes, 24).tolist()))
    assert found <= every
    # Codes of pictures lie in clusters, these do not: nothing is harder.
    assert len(found) > 0.8 * len(every)


@pytest.mark.slow
def test_crops_that_are_there_are_used_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = find_duplicates(folder, tmp_path / "out", steps=2, workers=1)
    written = (tmp_path / "out" / "crops.npy").stat().st_mtime_ns
    monkeypatch.setattr("dcgan_viz.data.prepare.ProcessPoolExecutor", None)
    again = find_duplicates(folder, tmp_path / "out", radius=3, steps=2, workers=1)
    assert (tmp_path / "out" / "crops.npy").stat().st_mtime_ns == written
    assert (again.names, again.broken) == (first.names, 1)
    (tmp_path / "out" / "crops.npy").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"crops.npy already exists"):
        find_duplicates(folder, tmp_path / "out", steps=2, workers=1)


def test_pictures_that_were_repaired_or_replaced_are_cut_again(tmp_path: Path) -> None:
    pictures, random = tmp_path / "pictures", np.random.default_rng(0)
    pictures.mkdir()
    for name in "abc":
        scene(random).save(pictures / f"{name}.png")
    (pictures / "d.png").write_bytes(b"cut off")
    assert find_duplicates(pictures, tmp_path / "found", steps=2, workers=1).broken == 1
    about = tmp_path / "found" / "crops.json"
    os.utime(about, (about.stat().st_mtime - 1,) * 2)
    shutil.copy(pictures / "a.png", pictures / "d.png")
    result = find_duplicates(pictures, tmp_path / "found", steps=2, workers=1)
    assert (result.broken, result.groups) == (0, 1)


def test_parts_that_are_not_joined_are_not_cut_anew_without_a_word(folder: Path, tmp_path: Path) -> None:
    cut_crops(folder, tmp_path, part=Part(1, 2), workers=1)
    with pytest.raises(
        UserError, match=r"parts of the crops: join them with dcgan-viz merge .*crops\.npy, or remove them"
    ):
        find_duplicates(folder, tmp_path)
    assert not (tmp_path / "crops.npy").exists()


def test_a_source_whose_name_is_no_text_has_its_page(tmp_path: Path) -> None:
    pictures, random = tmp_path / os.fsdecode(b"p\xfe"), np.random.default_rng(0)
    pictures.mkdir()
    for name in "abc":
        scene(random).save(pictures / f"{name}.png")
    result = find_duplicates(pictures, steps=2, workers=1)
    result.save(tmp_path / "found", {}, {"duplicates": duplicates_page(result)})
    assert r"p\udcfe" in (tmp_path / "found" / "duplicates.html").read_text(encoding="utf-8")


def test_one_picture_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    scene(np.random.default_rng(0)).save(tmp_path / "one" / "a.png")
    with pytest.raises(UserError, match="one holds one picture, which has no duplicates: give more"):
        find_duplicates(tmp_path / "one", tmp_path / "found")
    assert not (tmp_path / "found").exists()


def test_pairs_of_codes_are_those_of_a_loop() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 4, (60, 2), dtype=np.uint8)
    bits = np.unpackbits(codes, axis=1).astype(int)
    for radius in (1, 2, 3):
        expected = [(a, b) for a, b in combinations(range(60), 2) if 0 < np.abs(bits[a] - bits[b]).sum() <= radius]
        assert [tuple(pair) for pair in near_pairs(codes, radius).tolist()] == expected
    equal = {frozenset(members.tolist()) for members in collisions(codes)}
    classes = [frozenset(np.flatnonzero((codes == code).all(1)).tolist()) for code in codes]
    assert equal == {members for members in classes if len(members) > 1}


def test_blocks_change_nothing_and_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(0).integers(0, 4, (60, 2), dtype=np.uint8)
    whole = near_pairs(codes, 2)
    monkeypatch.setattr(dcgan_viz.data.duplicates.near, "BLOCK", 7)
    assert np.array_equal(near_pairs(codes, 2), whole)
    monkeypatch.setattr(dcgan_viz.data.duplicates.near, "MOST_PAIRS", 5)
    with pytest.raises(UserError, match="more than 5 pairs of codes differ in 2 bits or fewer"):
        near_pairs(codes, 2)


def test_without_faiss_equal_codes_can_be_had(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(UserError, match=r"pip install 'dcgan-viz\[dedup\]', or .* `radius=0`"):
        find_duplicates(folder, steps=2, workers=1)
    assert find_duplicates(folder, radius=0, steps=2, workers=1).pictures == 45


def pixels(picture: Image.Image, side: int = 32) -> NDArray[np.uint8]:
    return np.asarray(picture.resize((side, side), Image.LANCZOS))


def test_a_fitted_crop_correlates_whatever_stands_beside_it() -> None:
    random = np.random.default_rng(2)
    pictures = [scene(random) for _ in range(6)]
    first = np.stack([pixels(picture) for picture in pictures])
    cropped = np.stack([pixels(picture.crop((6, 2, 126, 122))) for picture in pictures])
    others = np.roll(first, 1, 0)
    unfitted = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first, cropped, strict=True)]
    fitted = aligned_correlation(first, cropped)
    assert min(unfitted) < 0.9 < 0.95 < fitted.min()
    assert aligned_correlation(first, others).max() < 0.8
    assert np.allclose(
        [aligned_correlation(first[k : k + 1], cropped[k : k + 1])[0] for k in range(6)], fitted, atol=1e-4
    )
    assert aligned_correlation(first[:0], first[:0]).shape == (0,)


def test_details_tell_pictures_of_one_composition_apart() -> None:
    random = np.random.default_rng(3)
    picture = scene(random)
    array = pixels(picture, 64)
    # As coarse as the picture, with other details.
    coarse = np.asarray(picture.resize((32, 32), Image.BOX).resize((64, 64), Image.BICUBIC)).astype(float)
    noise = random.normal(0, 30, (64, 64, 3))
    impostor = np.clip(coarse + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    picture.crop((2, 3, 125, 126)).save(file, "JPEG", quality=90)
    copy = pixels(Image.open(file), 64)
    found = detail_correlation(np.stack([array, array]), np.stack([copy, impostor]))
    assert aligned_correlation(pixels(picture)[None], pixels(Image.fromarray(impostor))[None])[0] > 0.9
    assert found[0] > 0.6
    assert abs(found[1]) < 0.2


def test_a_code_is_the_sign_of_the_units_whatever_the_brightness() -> None:
    random = np.random.default_rng(4)
    crops = np.stack([np.asarray(scene(random, 32)) for _ in range(20)])
    network = train_autoencoder(crops, steps=5)
    codes = encode(network, crops)
    row = crops[3].reshape(-1) / 255.0
    row = (row - row.mean()) / (row.std(ddof=1) + 0.02)
    units = network.encoder.weight.double().numpy() @ row + network.encoder.bias.double().numpy()
    clear = np.abs(units) > 1e-4
    assert np.array_equal(np.unpackbits(codes[3])[clear], (units > 0)[clear])
    assert np.array_equal(encode(network, crops[3:4])[0], codes[3])
    darker = encode(network, (crops * 0.7).astype(np.uint8))
    assert np.unpackbits(codes ^ darker, axis=1).sum(1).mean() < 4


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"radius": 64}, "choose a radius below 64"), ({"threshold": 1.5}, "lies between 0 and 1")],
)
def test_what_makes_no_sense_is_refused(options: dict, sentence: str, folder: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        find_duplicates(folder, **options)


@pytest.mark.slow
def test_the_command_writes_a_folder_and_goes_on_in_it(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(find_duplicates.__kwdefaults__, "steps", STEPS)
    said = run("dedup", folder, "--out", "found", "--workers", 1)
    assert said.exit_code == 0, said.output
    assert "45 pictures, 4 groups of duplicates: 5 can be left out, and the keep-list has 40" in said.stdout
    assert "it has none of 1 picture that cannot be decoded" in said.stdout
    again = run("dedup", folder, "--out", "found", "--workers", 1, "--radius", 0, "--json", "--overwrite")
    assert json.loads(again.stdout)["stages"][1]["pairs"] == 0
    Path("found/keep.jsonl").write_text("mine")
    refused = run("dedup", folder, "--out", "found", "--workers", 1)
    assert refused.exit_code == 2
    assert Path("found/keep.jsonl").read_text() == "mine"


def test_pairs_of_a_small_set_are_not_measured_by_pairs_like_them(tmp_path: Path) -> None:
    """Of so few pictures many pairs are duplicates: what any two have in common must not be taken from these."""
    random = np.random.default_rng(1)
    for k in range(4):
        picture = scene(random)
        picture.save(tmp_path / f"{k}a.png")
        picture.save(tmp_path / f"{k}b.png")
    source, pairs = open_images(tmp_path), np.arange(8).reshape(4, 2)
    check = OriginCheck(source, np.arange(8), np.repeat(np.arange(4), 2), seed=0)
    assert check.search("equal codes", pairs).false.value == 0
    assert check.search("others", pairs[:3] + np.array([0, 1])).false.n == 3
    one_group = OriginCheck(source, np.arange(2), np.zeros(2, np.int64), seed=0)
    assert one_group.search("equal codes", pairs[:1]).false.n == 0


@pytest.mark.slow
@pytest.mark.realdata
def test_planted_copies_of_photographs_are_found(realdata: Path, tmp_path: Path) -> None:
    source = open_images(realdata / "lsun_bedrooms_10k.zip")
    for k in range(60):
        entry = source.entry(150 * k)
        assert isinstance(entry, bytes)
        (tmp_path / f"{k:03}.jpg").write_bytes(entry)
        if k < 12:
            picture = Image.open(io.BytesIO(entry)).convert("RGB")
            width, height = picture.size
            picture.crop((0, 0, round(0.96 * width), round(0.96 * height))).save(tmp_path / f"z{k:03}.jpg", quality=60)
    found = find_duplicates(tmp_path, steps=100, workers=1)
    groups = [[found.names[i] for i in members] for members in found.members()]
    expected = [[f"{k:03}.jpg", f"z{k:03}.jpg"] for k in range(12)]
    assert len([group for group in groups if group in expected]) >= 11
    assert len([group for group in groups if group not in expected]) <= 1
