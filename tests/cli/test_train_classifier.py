from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.judges.classifier import load_classifier


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for number in range(160):
        name = ("dark", "light")[number % 2]
        folder = tmp_path / "animals" / name
        folder.mkdir(parents=True, exist_ok=True)
        low = 20 if name == "dark" else 150
        pixels = random.integers(low, low + 80, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "animals"


def test_a_folder_for_each_class_trains_a_classifier(run, animals: Path) -> None:
    line = ["train-classifier", animals, "--size", 16, "--epochs", 4, "--terms", "mine", "--out", "runs/animals"]
    outcome = run(*line, "--seed", 1)
    assert outcome.exit_code == 0, outcome.output
    card = load_classifier("runs/animals").card
    assert card.classes == ("dark", "light")
    assert (card.terms, card.size, card.training["seed"]) == ("mine", 16, 1)
    assert card.training["command"].startswith(f"dcgan-viz train-classifier {animals} --size 16")
    accuracy = card.accuracies[0]
    assert f"all: {100 * accuracy.share:.1f} %" in outcome.stdout
    assert accuracy.pictures == 32
    printed = json.loads(run(*line, "--json", "--overwrite").stdout)
    assert printed["accuracies"][0]["pictures"] == 32


def test_a_table_names_classes_and_subsets(run, animals: Path) -> None:
    rows = [f"{p.relative_to(animals)},{p.parent.name},{'ab'[i % 2]}" for i, p in enumerate(animals.rglob("*.png"))]
    Path("labels.csv").write_text("\n".join(["file,label,subset", *rows]))
    outcome = run(
        "train-classifier",
        animals,
        "--labels",
        "labels.csv",
        "--size",
        16,
        "--channels",
        1,
        "--epochs",
        1,
        "--out",
        "c",
    )
    assert outcome.exit_code == 0, outcome.output
    assert [a.subset for a in load_classifier("c").card.accuracies] == ["all", "a", "b"]
    assert load_classifier("c").card.channels == 1


def test_wrong_requests_are_one_sentence(refused, animals: Path) -> None:
    line = ["train-classifier", animals, "--size", 16, "--out", "c"]
    assert "not named like UTKFace's" in refused(*line, "--labels", "utkface")
    assert "missing.csv cannot be read" in refused(*line, "--labels", "missing.csv")
    assert "do not lie in a folder for each class" in refused("train-classifier", animals / "dark", "--out", "c")
    assert "does not exist" in refused("train-classifier", "nothing", "--out", "c")
    assert not Path("c").exists()
