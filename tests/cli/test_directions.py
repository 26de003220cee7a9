from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def test_directions_are_saved_to_be_applied(run, tiny_folder) -> None:
    outcome = run("directions", "--model", tiny_folder, "--count", 2, "--samples", 1)
    assert outcome.exit_code == 0, outcome.output
    folder = Path("results/directions")
    assert sorted(f.name for f in folder.iterdir()) == sorted(
        ["manifest.json", "arrays.npz", "captions.txt", "directions.png", "result.json"]
    )
    arrays = np.load(folder / "arrays.npz")
    assert arrays["principal"].shape == arrays["factorised"].shape == (2, 8)
    numbers = json.loads((folder / "result.json").read_text())
    assert [d["method"] for d in numbers["found"]] == ["principal"] * 2 + ["factorised"] * 2
    assert f"{numbers['found'][0]['changes'][0]['distance']['value']:.1f}" in outcome.stdout


def test_more_directions_than_dimensions_are_refused(refused, tiny_folder) -> None:
    assert "give 1 to 8" in refused("directions", "--model", tiny_folder, "--count", 9)
