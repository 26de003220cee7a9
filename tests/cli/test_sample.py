from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.data.images import to_pixels
from dcgan_viz.model import DCGAN, load


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing is an error."""

    def draw(*_: object) -> None:
        raise AssertionError("something was drawn")

    monkeypatch.setattr(DCGAN, "generate", draw)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["samples", "s.xyz", "s.npy", "folder.d/s"])
def test_a_name_that_is_no_pictures_is_refused_before_anything_is_drawn(name: str, refused, tiny_folder: Path) -> None:
    assert "is not a picture: expected a PNG, JPEG or WebP file" in refused(
        "sample", "--model", tiny_folder, "--out", name
    )


@pytest.mark.usefixtures("undrawn")
def test_a_page_that_memory_does_not_hold_is_refused_before_anything_is_drawn(refused, make_model) -> None:
    from dcgan_viz.networks import dcgan

    folder = make_model(dcgan(64, width=2, latent_dim=4)).save("wide")
    sentence = refused("sample", "--model", folder, "--count", 10_000, "--scale", 16)
    assert "105632x105632 pixels needs 31.4 GiB of memory" in sentence
    assert "--each" in sentence


@pytest.mark.usefixtures("undrawn")
def test_a_holiday_picture_is_refused_before_anything_is_drawn(refused, tiny_folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "holiday.png")
    before = (tmp_path / "holiday.png").read_bytes()
    assert "holiday.png already exists" in refused("sample", "--model", tiny_folder, "--out", "holiday.png")
    assert (tmp_path / "holiday.png").read_bytes() == before


def test_a_linked_place_is_followed(run, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "disk" / "grid.png")
    for further in ((), ("--overwrite",)):
        outcome = run("sample", "--model", tiny_folder, "--count", 4, "--out", "link.png", *further)
        assert outcome.exit_code == 0, outcome.output
    assert (tmp_path / "link.png").is_symlink()
    with Image.open(tmp_path / "disk" / "grid.png") as image:
        assert image.size == (76, 76)


def test_each_sample_is_the_one_on_the_page(run, tiny_folder: Path) -> None:
    model = load(tiny_folder)
    outcome = run("sample", "--model", tiny_folder, "--count", 70, "--seed", 3, "--scale", 2, "--each")
    assert outcome.exit_code == 0, outcome.output
    files = sorted(Path("samples").glob("sample-*.png"))
    assert len(files) == 70
    pixels = to_pixels(model.sample(70, seed=3))
    for index in (0, 63, 64, 69):
        with Image.open(files[index]) as image:
            assert np.array_equal(np.asarray(image)[::2, ::2], pixels[index])
    said = json.loads(Path("samples/samples.json").read_text())
    assert (said["count"], said["seed"], said["scale"]) == (70, 3, 2)
    assert said["generator_digest"] == model.generator_digest()


def test_a_second_drawing_of_fewer_leaves_no_old_ones_but_what_was_edited(run, tiny_folder: Path) -> None:
    line = ("sample", "--model", tiny_folder, "--each", "--out", "drawn", "--count")
    assert run(*line, 6).exit_code == 0
    Path("drawn/sample-0005.png").write_text("retouched")
    assert run(*line, 3, "--overwrite").exit_code == 0
    assert sorted(f.name for f in Path("drawn").glob("*.png")) == [
        *(f"sample-000{k}.png" for k in range(3)),
        "sample-0005.png",
    ]


def test_maps_are_zeroed_by_hand(run, tiny_folder: Path) -> None:
    line = ("sample", "--model", tiny_folder, "--count", 4, "--scale", 1, "--each")
    assert run(*line, "--out", "drawn").exit_code == 0
    outcome = run(*line, "--out", "without", "--zero-maps", "1:2,5", "--zero-maps", "2:0")
    assert outcome.exit_code == 0, outcome.output
    assert (
        "2 maps of generator layer 1 zeroed everywhere, 1 map of generator layer 2 zeroed everywhere" in outcome.stdout
    )
    told = json.loads(run(*line, "--out", "told", "--zero-maps", "1:2,5", "--json").stdout)
    assert (told["path"], told["zeroed"]) == ("told", [{"layer": 1, "maps": [2, 5]}])
    generator = load(tiny_folder).generator
    maps = generator.activations(load(tiny_folder).latents(4, 0), 1)
    maps[:, [2, 5]] = 0
    # Layer 2 by its module, as nothing else in the package does it.
    below = generator.layers[1](maps)
    below[:, 0] = 0
    expected = to_pixels(generator.draw_from(below, 2))
    for index in range(4):
        with Image.open(f"without/sample-000{index}.png") as image:
            assert np.abs(np.asarray(image).astype(int) - expected[index]).max() <= 1
    said = [json.loads(Path(f"{name}/samples.json").read_text())["generator_digest"] for name in ("drawn", "without")]
    assert said[0] != said[1]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("zeroed", "sentence"),
    [
        ("5,17", "'5,17' is not a layer and its maps, like 3:5,17"),
        ("1:all", "is not a layer and its maps"),
        ("1:99", "there is no 99"),
        ("9:1", "the generator has no layer 9"),
        ("3:0", "layer 3 is the image itself"),
    ],
)
def test_maps_that_are_not_there_are_refused(zeroed: str, sentence: str, refused, tiny_folder: Path) -> None:
    assert sentence in refused("sample", "--model", tiny_folder, "--zero-maps", zeroed)
