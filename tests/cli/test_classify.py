from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """A bright and a dark class of 30 pictures each."""
    random = np.random.default_rng(0)
    for name, level in (("day", 150), ("night", 60)):
        folder = tmp_path / "animals" / name
        folder.mkdir(parents=True)
        for k in range(30):
            pixels = np.clip(level + random.normal(0, 40, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{k:02}.png")
    return tmp_path / "animals"


@pytest.mark.slow
def test_classes_of_a_folder(run: Callable[..., Result], tiny_folder: Path, animals: Path) -> None:
    options = ("--per-class", 5, "--draws", 3, "--baseline", "pixels", "--curve", "2", "--features", "kept")
    done = run("classify", tiny_folder, animals, *options, "--out", "found")
    assert done.exit_code == 0, done.output
    assert "10 labels of animals, 3 draws, 18 test images of 2 classes" in done.stdout
    assert "raw pixels" in done.stdout
    assert {"classify.png", "looks.png", "result.json"} <= {path.name for path in Path("found").iterdir()}
    assert len(list(Path("kept").glob("*.npy"))) == 2
    told = json.loads(run("classify", tiny_folder, animals, *options, "--json").stdout)
    assert [score["method"] for score in told["scores"]] == ["discriminator", "pixels"]
    assert told["scores"][0]["draws"] == 3


def test_requests_that_cannot_be_met(refused: Callable[..., str], tiny_folder: Path, animals: Path) -> None:
    def says(*options: object) -> str:
        return refused("classify", tiny_folder, animals, *options)

    assert "needs the official training and test images" in says("--protocol", "svhn-1000")
    assert "fixes how labels are drawn" in says("--protocol", "svhn-1000", "--draws", 3)
    assert "5,000 of the training images are for validation" in says("--protocol", "cifar10")
    assert "all labels can be drawn once only" in says("--draws", 3)
    assert "labels of each class are drawn, and" in says("--per-class", 40)
    assert "none goes with no other" in says("--baseline", "none", "--baseline", "pixels")
    assert "not a list of numbers like 0-5,9 or none" in says("--curve", "few")
    Path("labels.csv").write_text("file,label\nday/00.png,a\nsomewhere.png,b\n")
    assert "names 1 picture not found there (somewhere.png)" in says("--labels", "labels.csv")
    Path("labels.csv").write_bytes(b"\xff\xfe\x00")
    assert "labels.csv" in says("--labels", "labels.csv")
    assert not Path("results").exists()
