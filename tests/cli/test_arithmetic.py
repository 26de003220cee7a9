from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcgan_viz.blind.trials import load_trial
from dcgan_viz.judges.classifier import Classifier, ClassifierCard
from dcgan_viz.judges.classifier_network import ClassifierNetwork


@pytest.fixture
def named(run, tiny_folder: Path) -> Path:
    outcome = run(
        "concepts", "--model", tiny_folder, "--set", "smiling woman=3,17,42", "--set", "woman=1,2,5", "--set",
        "man=4,7,9,11", "--set", "smiling man=20-25",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    return tiny_folder


def save_classifier(folder: Path) -> None:
    torch.manual_seed(0)
    network = ClassifierNetwork(3, 2, (4, 4, 4, 4))
    Classifier(network, ClassifierCard(("man", "woman"), 16, 3, widths=(4, 4, 4, 4))).save(folder)


@pytest.mark.slow
def test_arithmetic_writes_a_whole_result(run, named: Path) -> None:
    save_classifier(named / "classifiers" / "gender")
    line = [
        "arithmetic",
        "smiling woman - woman + man",
        "--model",
        named,
        "--trials",
        5,
        "--expect",
        "man",
        "--seed",
        3,
    ]
    outcome = run(*line, "--wanted", "smiling man", "--blind", "trial", "--json")
    assert outcome.exit_code == 0, outcome.output
    printed = json.loads(outcome.stdout)
    assert printed.pop("folder") == "results/arithmetic"
    folder = Path("results/arithmetic")
    assert printed == json.loads((folder / "result.json").read_text())
    assert sorted(f.name for f in folder.iterdir()) == sorted(
        ["manifest.json", "arithmetic.png", "arrays.npz", "captions.txt", "result.json"]
    )
    assert printed["expression"] == "smiling woman − woman + man"
    assert printed["operands"][2]["exemplars"] == [4, 7, 9]
    assert [rate["pictures"] for rate in printed["measurements"][0]["rates"]] == [5, 5, 5, 5, 5, 3, 3, 4, 6, 500]
    with Image.open(folder / "arithmetic.png") as picture:
        assert min(picture.size) > 400
    trial = load_trial("trial")
    assert len(trial.pictures) == 20
    with np.load(folder / "arrays.npz") as arrays:
        shown = trial.pictures[(trial.condition == 0) & (trial.pair == 2)][0]
        assert np.array_equal(shown, arrays["trials"][2])
    outcome = run(*line, "--wanted", "smiling man")
    assert outcome.exit_code == 0, outcome.output
    assert Path("results/arithmetic-2/arrays.npz").read_bytes() == (folder / "arrays.npz").read_bytes()
    rate = printed["measurements"][0]["rates"][0]
    assert f"man, arithmetic on z: {100 * rate['share']['value']:.0f} %" in outcome.stdout


def test_concepts_and_classifier_may_lie_elsewhere(run, named: Path) -> None:
    save_classifier(Path("gender"))
    (named / "concepts.json").rename("mine.json")
    line = "arithmetic woman-man --concepts mine.json --classifier gender --expect woman --trials 2 --model"
    outcome = run(*line.split(), named)
    assert outcome.exit_code == 0, outcome.output
    assert "woman − man: the sum is" in outcome.stdout


def test_wrong_requests_are_one_sentence(refused, named: Path) -> None:
    def sentence(*arguments: object) -> str:
        return refused("arithmetic", *arguments, "--model", named)

    assert "no concept 'dog': choose from man, smiling man, smiling woman, woman" in sentence("man - dog")
    assert "a concept is missing" in sentence("man -")
    assert "no concept 'cat'" in sentence("man", "--wanted", "cat")
    assert "no classifier of 'man'" in sentence("man", "--expect", "man")
    assert "with --expect, or leave out --classifier" in sentence("man", "--classifier", "gender")
    assert "positive control" in sentence("man", "--blind", "trial")
    assert "missing.json cannot be read" in sentence("man", "--concepts", "missing.json")
    (named / "concepts.json").unlink()
    assert "comes without concepts" in sentence("man")
    assert not Path("results").exists()
