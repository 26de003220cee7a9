from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

QUICK = ("--starts", 1, "--steps", 4, "--samples", 64, "--own", 2)


@pytest.mark.slow
def test_photographs_can_be_walked_between(run, tiny_folder, photographs) -> None:
    files = sorted(photographs.iterdir())[:2]
    outcome = run("invert", *files, "--images", photographs, "--count", 3, "--model", tiny_folder, *QUICK)
    assert outcome.exit_code == 0, outcome.output
    folder = Path("results/invert")
    assert sorted(f.name for f in folder.iterdir()) == [
        "arrays.npz",
        "captions.txt",
        "inversion.png",
        "latents.npy",
        "manifest.json",
        "result.json",
    ]
    numbers = json.loads((folder / "result.json").read_text())
    assert [i["name"] for i in numbers["inverted"]][:2] == ["00.png", "01.png"]
    assert len(numbers["inverted"]) == 5
    assert numbers["verdict"] in outcome.stdout
    assert np.load(folder / "latents.npy").shape == (5, 8)
    walked = run("walk", "--points", folder / "latents.npy", "--model", tiny_folder, "--steps", 3, "--random-walks", 99)
    assert walked.exit_code == 0, walked.output


def test_invert_prints_json_alone_on_standard_output(run, tiny_folder, photographs) -> None:
    outcome = run("invert", "--images", photographs, "--count", 1, "--model", tiny_folder, *QUICK, "--json")
    assert json.loads(outcome.stdout)["settings"]["starts"] == 1


def test_nothing_to_invert_is_refused(refused, tiny_folder, tmp_path) -> None:
    assert "name photographs, or give --images" in refused("invert", "--model", tiny_folder)
    assert "no.jpg is not a readable image" in refused("invert", "no.jpg", "--model", tiny_folder)
    assert "does not exist" in refused("invert", "--images", "nowhere", "--model", tiny_folder)
