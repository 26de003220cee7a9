from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dcgan_viz.blind.trials import load_trial


@pytest.fixture
def named(run, tiny_folder: Path) -> Path:
    sets = ["--set", "looking left=3,17,42,9", "--set", "looking right=1,2,5,6,8", "--set", "few=1,2,3"]
    assert run("concepts", "--model", tiny_folder, *sets).exit_code == 0
    return tiny_folder


@pytest.mark.slow
def test_turn_writes_a_whole_result(run, named: Path) -> None:
    line = [
        "turn",
        "--model",
        named,
        "--rows",
        2,
        "--positions",
        3,
        "--directions",
        39,
        "--seed",
        4,
        "--blind",
        "trial",
    ]
    outcome = run(*line)
    assert outcome.exit_code == 0, outcome.output
    folder = Path("results/turn")
    assert sorted(f.name for f in folder.iterdir()) == sorted(
        ["manifest.json", "arrays.npz", "captions.txt", "result.json", "turn.png"]
    )
    numbers = json.loads((folder / "result.json").read_text())
    assert numbers["right_exemplars"] == [1, 2, 5, 6]
    assert f"{100 * numbers['oddness']['value']:.0f} % [" in outcome.stdout
    assert np.load(folder / "arrays.npz")["pictures"].shape == (2, 3, 16, 16, 3)
    assert len(load_trial("trial").pictures) == 90
    printed = json.loads(run(*line[:-2], "--from", "looking right", "--to", "looking left", "--json").stdout)
    assert printed["left"] == "looking right"
    assert printed["settings"]["seed"] == 4


def test_wrong_requests_are_one_sentence(refused, named: Path) -> None:
    assert "odd number" in refused("turn", "--model", named, "--positions", 4)
    assert "has 3 exemplars and needs at least 4" in refused("turn", "--model", named, "--from", "few")
    assert "no concept 'up'" in refused("turn", "--model", named, "--to", "up")
    assert not Path("results").exists()
