"""``--dry-run`` of long commands, and what ``-v`` says."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.cli.planning import seconds_a_picture
from dcgan_viz.data.decoding import decode_square
from dcgan_viz.data.sources.opening import open_images
from dcgan_viz.networks import dcgan
from dcgan_viz.rooms.training_sets import ROOMS

TRAIN = (
    "train {photographs} --size 16 --width 4 --batch-size 8 --steps 24 --keep 2 --precision fp32 --device cpu --out run"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan_viz.training.snapshot.RECALIBRATION_SAMPLES", 16)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Dark and light pictures, 160 to learn from and 16 to test on."""
    random = np.random.default_rng(0)
    for part, count in (("train", 160), ("test", 16)):
        for number in range(count):
            folder = tmp_path / "labelled" / part / ("dark", "light")[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 80, (20, 20, 3), dtype=np.uint8) + np.uint8(150 * (number % 2))
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "labelled"


@pytest.mark.parametrize(
    "line",
    [
        TRAIN,
        "prepare {photographs} prepared.npy --size 16",
        "dedup {photographs} --out found",
        "features {model} {photographs} --out features.npy --precision fp32",
        "forget --model {model} --object window --samples 4 --blind trial",
        "memorization --model {model} --data {photographs} --held-out {photographs}",
    ],
)
def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    run, photographs: Path, tiny_folder: Path, line: str
) -> None:
    words = shlex.split(line.format(photographs=photographs, model=tiny_folder))
    before = sorted(Path().rglob("*"))
    result = run(*words, "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("would ")
    assert result.stdout.endswith("nothing was written\n")
    assert sorted(Path().rglob("*")) == before


@pytest.mark.slow
def test_loops_are_foretold_by_their_first_steps(run, labelled: Path, tiny_folder: Path) -> None:
    assert run("rooms", 70, "--size", 32, "--out", "rooms").exit_code == 0
    sides = ["--set", "looking left=3,17,42,9", "--set", "looking right=1,2,5,6,8"]
    assert run("concepts", "--model", tiny_folder, *sides, "--out", "concepts.json").exit_code == 0
    before = sorted(Path().rglob("*"))
    for line, does in {
        "train-segmenter rooms --steps 20000 --held-out 4 --out judge": "train a segmenter of .* for 20,000 steps",
        f"train-classifier {labelled}/train --size 16 --epochs 5000 --out judge": "of dark, light .* for 10,000 steps",
        f"train-encoder {labelled} --epochs 5000 --out encoder": "on 176 pictures of 2 classes .* for 5,000 steps",
        f"turn --model {tiny_folder} --concepts concepts.json --rows 1": "999 random directions",
    }.items():
        result = run(*shlex.split(line), "--dry-run", "--json")
        assert result.exit_code == 0, result.output
        plan = json.loads(result.stdout)
        assert re.search(does, plan["would"]), plan
        assert plan["seconds"] > 0
        assert 100_000 < plan["bytes"] < 10_000_000
    assert sorted(Path().rglob("*")) == before


def test_the_room_that_is_foretold_is_what_is_taken(run, photographs: Path) -> None:
    words = [*shlex.split(TRAIN.format(photographs=photographs)), "--checkpoint-every", "8"]
    plan = json.loads(run(*words, "--dry-run", "--json").stdout)
    assert "40 images" in plan["would"]
    assert plan["seconds"] > 0
    assert 0 < plan["bytes"] < plan["free_bytes"]
    assert "for 24 steps of 8, 4.8 times over all" in plan["would"]
    assert run(*words).exit_code == 0
    kept = [*Path("run/checkpoints").glob("*.safetensors"), *Path("run/model").rglob("*")]
    assert plan["bytes"] == pytest.approx(sum(file.stat().st_size for file in kept if file.is_file()), rel=0.05)
    run("prepare", photographs, "prepared.npy", "--size", 16)
    plan = json.loads(run("prepare", photographs, "other.npy", "--size", 16, "--dry-run", "--json").stdout)
    assert plan["bytes"] == pytest.approx(np.load("prepared.npy").nbytes, rel=0.05)


@pytest.mark.slow
def test_the_room_that_features_take_is_foretold(run, labelled: Path, tiny_folder: Path) -> None:
    line = f"classify {tiny_folder} {labelled} --per-class 5 --draws 2 --curve none --no-layers --centroids 16"
    plan = json.loads(run(*line.split(), "--features", "kept", "--dry-run", "--json").stdout)
    assert not Path("kept").exists()
    assert "features of 176 images" in plan["would"]
    assert "2 draws" in plan["would"]
    assert plan["place"] == "kept"
    assert "train 2 supervised networks" in plan["would"]
    done = run(*line.split(), "--features", "kept", *("--baseline", "pixels", "--baseline", "random"))
    assert done.exit_code == 0, done.output
    line += " --baseline pixels --baseline random"
    plan = json.loads(run(*line.split(), "--features", "other", "--dry-run", "--json").stdout)
    assert "train" not in plan["would"]
    kept = sum(file.stat().st_size for file in Path("kept").glob("*.npy"))
    assert plan["bytes"] == pytest.approx(kept, rel=0.05)


def test_rooms_that_are_drawn_again_are_planned_for(run, make_model, tmp_path: Path) -> None:
    model = make_model(dcgan(32, width=4, latent_dim=8))
    card = replace(model.card, training={ROOMS: {"seed": 0, "first": 0, "count": 50_000}})
    folder = replace(model, card=card).save(tmp_path / "rooms")
    plan = json.loads(run("memorization", "--model", folder, "--dry-run", "--json").stdout)
    assert "compare 2,000 samples, 2,000 other images" in plan["would"]
    assert "with 50,000 training images" in plan["would"]
    assert plan["memory_bytes"] == 50_000 * 32 * 32 * 3
    assert plan["seconds"] > 0


def test_what_the_run_itself_refuses_a_dry_run_refuses(refused, photographs: Path) -> None:
    line = TRAIN.format(photographs=photographs)
    Path("empty").mkdir()
    assert "no images" in refused(*shlex.split(line.replace(str(photographs), "empty")), "--dry-run")
    assert "leave out --resume" in refused(*shlex.split(line), "--resume", "--dry-run")


def test_verbose_says_what_ran_and_what_it_took(run, tiny_folder: Path) -> None:
    result = run("sample", "--model", tiny_folder, "--count", 2, "-v")
    assert result.exit_code == 0
    assert "torch" in result.stderr
    assert f"dcgan-viz sample --model {tiny_folder} --count 2" in result.stderr
    assert "of processor time" in result.stderr
    assert "processor" not in result.stdout


def test_pictures_are_decoded_to_know_how_long_that_takes(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def count(entry: object, size: int, channels: int) -> object:
        decoded.append(decode_square(entry, size, channels))
        return decoded[-1]

    monkeypatch.setattr("dcgan_viz.data.decoding.decode_square", count)
    (photographs / "broken.png").write_bytes(b"no picture")
    assert seconds_a_picture(open_images(photographs), 16, 3) > 0
    assert [pixels.shape for pixels, *_ in decoded] == [(16, 16, 3)] * 40
