from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


def test_guided_backprop_writes_figure_and_numbers(run, tiny_folder) -> None:
    outcome = run("guided-backprop", "--model", tiny_folder, "--layer", 3, "--count", 20)
    assert outcome.exit_code == 0, outcome.output
    folder = Path("results/guided-backprop")
    assert sorted(f.name for f in folder.iterdir()) == ["arrays.npz", "guided-backprop.png", "result.json"]
    numbers = json.loads((folder / "result.json").read_text())
    assert numbers["maps"] == [0, 1, 2, 3, 4, 5]
    assert len(numbers["responses"]) == 6 * 4
    arrays = np.load(folder / "arrays.npz")
    assert arrays["gradients"].shape == (6, 4, 3, 16, 16)
    assert np.abs(arrays["gradients"]).max() > 0
    assert "maps of layer 3, 20 samples of the model (seed 0)" in outcome.stdout


def test_photographs_are_read_and_all_maps_fill_pages(run, tiny_folder, photographs) -> None:
    outcome = run(
        "guided-backprop", "--model", tiny_folder, "--images", photographs, "--maps", "all", "--top", 2, "--json"
    )
    assert outcome.exit_code == 0, outcome.output
    numbers = json.loads(outcome.stdout)
    assert numbers["settings"]["image_count"] == 40
    assert numbers["settings"]["images"] == "images of photographs"
    assert numbers["maps"] == list(range(8))


def test_both_rules_are_offered_and_differ(run, tiny_folder) -> None:
    gradients = []
    for rule in ("keep", "zero"):
        run("guided-backprop", "--model", tiny_folder, "--rule", rule, "--count", 8, "--out", rule)
        gradients.append(np.load(f"{rule}/arrays.npz")["gradients"])
    assert not np.allclose(*gradients)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--layer", "9"), "1"),
        (("--layer", "top"), "conv"),
        (("--maps", "0-99"), "numbered from 0 to 7: there is no map 8"),
        (("--maps", "first"), "not a list of numbers"),
        (("--images", "nowhere"), "nowhere does not exist"),
        (("--count", "3"), "3 images are too few"),
    ],
)
def test_a_wrong_request_is_one_sentence(refused, tiny_folder, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in refused("guided-backprop", "--model", tiny_folder, *arguments)
    assert not Path("results").exists()
