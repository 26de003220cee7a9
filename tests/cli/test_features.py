from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from click.testing import Result


def test_the_features_of_a_folder(run: Callable[..., Result], tiny_folder: Path, photographs: Path) -> None:
    command = ("features", tiny_folder, photographs, "--out", "f.npy")
    done = run(*command)
    assert done.exit_code == 0, done.output
    assert "320 features of 40 images" in done.stdout
    assert np.load("f.npy").shape == (40, 320)
    assert "stays as it is" in run(*command).stdout
    told = json.loads(run(*command, "--json").stdout)
    assert told["parts"] == {"layer 1": 64, "layer 2": 128, "layer 3": 128}
    assert json.loads(Path("f.json").read_text())["command"].startswith("dcgan-viz features ")


def test_statistics_of_the_images_give_other_features(
    run: Callable[..., Result], tiny_folder: Path, photographs: Path
) -> None:
    for out, option in (("a.npy", ()), ("b.npy", ("--remeasure",))):
        assert run("features", tiny_folder, photographs, "--out", out, *option).exit_code == 0
    a, b = np.load("a.npy").astype(float), np.load("b.npy").astype(float)
    assert np.array_equal(a[:, :64], b[:, :64])  # the first layer has no batch-norm
    assert not np.allclose(a[:, 64:], b[:, 64:], atol=0.05)


def test_requests_that_cannot_be_met(refused: Callable[..., str], tiny_folder: Path, photographs: Path) -> None:
    assert ".npy" in refused("features", tiny_folder, photographs, "--out", "f.txt")
    Path("f.npy").write_bytes(b"mine")
    assert "already exists" in refused("features", tiny_folder, photographs, "--out", "f.npy")
    assert "does not exist" in refused("features", tiny_folder, "nowhere", "--out", "g.npy")
