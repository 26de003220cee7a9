from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dcgan_viz.data.images import to_pixels
from dcgan_viz.model import load
from dcgan_viz.networks import dcgan
from dcgan_viz.rooms.training_sets import ROOMS


@pytest.mark.slow
def test_the_verdict_its_rule_and_the_files(run, tiny_folder: Path, tmp_path: Path) -> None:
    model = load(tiny_folder)
    np.save(tmp_path / "training.npy", to_pixels(model.sample(150, seed=1)))
    np.save(tmp_path / "others.npy", to_pixels(model.sample(150, seed=2)))
    line = f"memorization --model {tiny_folder} --data training.npy --samples 150"
    outcome = run(*line.split())
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.startswith("No sign of copying")
    assert "Without held-out images" in outcome.stdout
    assert "C_T" not in outcome.stdout
    outcome = run(*line.split(), "--held-out", "others.npy")
    assert "C_T" in outcome.stdout
    assert "rule: Training images that are nearly the same count as one" in outcome.stdout
    assert sorted(f.name for f in Path("results/memorization").iterdir()) == [
        "arrays.npz",
        "captions.txt",
        "manifest.json",
        "memorization.png",
        "nearest.png",
        "result.json",
    ]
    numbers = json.loads(Path("results/memorization-2/result.json").read_text())
    assert numbers["copies"] is False
    assert len(numbers["near"]) == 2
    assert len(numbers["shown"]) == 16


@pytest.mark.slow
def test_copies_are_called_so(run, tiny_folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "training.npy", to_pixels(load(tiny_folder).sample(150, seed=0)))
    outcome = run("memorization", "--model", tiny_folder, "--data", "training.npy", "--samples", 150, "--json")
    assert json.loads(outcome.stdout)["copies"] is True


@pytest.mark.slow
def test_models_of_procedural_rooms_need_no_data(run, make_model, tmp_path: Path) -> None:
    model = make_model(dcgan(32, width=4, latent_dim=8))
    card = replace(model.card, training={ROOMS: {"seed": 0, "first": 0, "count": 40}})
    folder = replace(model, card=card).save(tmp_path / "rooms")
    outcome = run("memorization", "--model", folder, "--samples", 100)
    assert outcome.exit_code == 0, outcome.output
    assert "of 100 held-out images" in outcome.stdout
    settings = json.loads(Path("results/memorization/result.json").read_text())["settings"]
    assert (settings["training_images"], settings["held_out_images"]) == (40, 100)


def test_missing_data_are_asked_for(refused, tiny_folder: Path) -> None:
    assert "give them with --data" in refused("memorization", "--model", tiny_folder)
