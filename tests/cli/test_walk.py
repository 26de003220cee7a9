from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

SHORT = ("--random-walks", 99, "--steps", 3)


def test_walk_writes_figure_numbers_and_film(run, tiny_folder) -> None:
    outcome = run("walk", "--model", tiny_folder, "--rows", 2, *SHORT, "--film", "walk.webp", "--frames", 5)
    assert outcome.exit_code == 0, outcome.output
    folder = Path("results/walk")
    assert sorted(f.name for f in folder.iterdir()) == [
        "arrays.npz",
        "captions.txt",
        "manifest.json",
        "result.json",
        "walk.png",
    ]
    numbers = json.loads((folder / "result.json").read_text())
    assert f"differ by {numbers['usual'][0]['unrelated']:.1f}" in outcome.stdout
    assert len(numbers["rows"]) == 2
    assert np.load(folder / "arrays.npz")["latents"].shape == (2, 3, 8)
    with Image.open("walk.webp") as film:
        assert film.n_frames == 11


def test_walk_prints_json_alone_on_standard_output(run, tiny_folder) -> None:
    outcome = run("walk", "--model", tiny_folder, "--rows", 2, *SHORT, "--closed", "--json", "--film", "a.gif")
    assert json.loads(outcome.stdout)["settings"]["closed"] is True
    assert Path("a.gif").exists()


def test_walk_leads_through_the_points_of_a_file(run, tiny_folder) -> None:
    run()
    np.save("points.npy", np.linspace(-1, 1, 24).reshape(3, 8))
    outcome = run("walk", "--model", tiny_folder, "--points", "points.npy", *SHORT, "--film", "w.gif", "--frames", 2)
    assert outcome.exit_code == 0, outcome.output
    numbers = json.loads(Path("results/walk/result.json").read_text())
    assert numbers["settings"]["points"] == "3 points of points.npy"
    with Image.open("w.gif") as film:
        assert film.n_frames == 5


def test_points_and_rows_exclude_each_other(refused, tiny_folder) -> None:
    assert "leave out --rows" in refused("walk", "--model", tiny_folder, "--points", "p.npy", "--rows", 2)
    assert "not a readable .npy array" in refused("walk", "--model", tiny_folder, "--points", "p.npy")


def test_a_film_of_another_kind_is_refused_before_anything_is_written(run, refused, tiny_folder) -> None:
    assert "is not a film: expected" in refused("walk", "--model", tiny_folder, "--film", "walk.avi")
    assert not Path("results").exists()


def test_a_closed_walk_of_one_row_is_refused(refused, tiny_folder) -> None:
    assert "too short" in refused("walk", "--model", tiny_folder, "--rows", 1, "--closed")
