from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcgan_viz.analysis.latent.directions import directions, move
from dcgan_viz.analysis.latent.points import locate, read_point, script, steering_directions
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, load


def sample(number: int, seed: int = 0) -> dict[str, int]:
    return {"seed": seed, "number": number}


def test_points_are_what_they_say(tiny_model: DCGAN) -> None:
    z, other = tiny_model.latents(9, 0), tiny_model.latents(3, 7)
    data = [
        sample(4),
        sample(2, seed=7),
        {"from": sample(1), "to": sample(2), "t": 0.25},
        {"sum": [[1, [sample(0), sample(1), sample(8)]], [-1, [sample(2)]], [1, [sample(2, seed=7)]]]},
    ]
    found = locate(tiny_model, [read_point(point) for point in data])
    expected = [z[4], other[2], 0.75 * z[1] + 0.25 * z[2], (z[0] + z[1] + z[8]) / 3 - z[2] + other[2]]
    assert torch.allclose(found, torch.stack(expected), atol=1e-6)


def test_moves_are_along_the_directions_of_the_command(tiny_model: DCGAN) -> None:
    steering = steering_directions(tiny_model, 3)
    assert np.allclose(steering, directions(tiny_model, count=3, samples=1).principal, atol=1e-6)
    point = read_point({"start": sample(5), "along": [[0, 1.5], [2, -0.5]]})
    step = (1.5 * steering[0] - 0.5 * steering[2]) / 3**0.5
    assert torch.allclose(locate(tiny_model, [point], steering), move(tiny_model.latents(6, 0)[5:], step, "uniform"))
    with pytest.raises(UserError, match="there are 2 directions, and none is number 2"):
        locate(tiny_model, [point], steering[:2])
    with pytest.raises(UserError, match="there are 0 directions"):
        locate(tiny_model, [point])


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"seed": 0},
        {"seed": -1, "number": 0},
        {"seed": True, "number": 0},
        {"seed": 0, "number": 10_000},
        {"seed": 0, "number": "../x"},
        {"from": sample(0), "to": sample(1), "t": 2},
        {"from": sample(0), "to": sample(1), "t": float("nan")},
        {"sum": []},
        {"sum": [[1, [sample(0)] * 17]]},
        {"sum": [[99, [sample(0)]]]},
        {"sum": [5]},
        {"start": sample(0), "along": [[0, 1e9]]},
    ],
)
def test_what_is_no_point_is_a_sentence(data) -> None:
    with pytest.raises(UserError):
        read_point(data)


def test_points_are_not_nested_without_end() -> None:
    data = sample(0)
    for _ in range(200):
        data = {"from": data, "to": sample(1), "t": 0.5}
    with pytest.raises(UserError, match="at most 4 deep"):
        read_point(data)


def test_the_script_draws_the_same_again(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [{"start": {"from": sample(1), "to": sample(2), "t": 0.5}, "along": [[1, 2]]}]
    (tmp_path / "again.py").write_text(script(str(tiny_folder), points, 2))
    monkeypatch.chdir(tmp_path)
    runpy.run_path("again.py")
    model = load(tiny_folder)
    expected = to_pixels(model.generate(locate(model, [read_point(points[0])], steering_directions(model, 2))))
    with Image.open("drawn-again.png") as image:
        drawn = np.asarray(image)
    assert np.array_equal(drawn[::4, ::4][-16 - (drawn.shape[0] // 4 - 16) // 2 :][:16, :16].shape, (16, 16, 3))
    assert any(
        np.array_equal(drawn[::4, ::4][top : top + 16, left : left + 16], expected[0])
        for top in range(5)
        for left in range(5)
    )
