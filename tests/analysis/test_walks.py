from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.walks import interpolate, path, walk, walk_frames
from dcgan_viz.errors import UserError
from dcgan_viz.figures.walks import walk_figure
from dcgan_viz.networks import dcgan


def slow_arc(start: list[float], end: list[float], t: float) -> list[float]:
    """Slerp by hand: turn the direction in the plane of the two, and let the length follow the formula."""
    angle = math.acos(
        sum(a * b for a, b in zip(start, end, strict=True))
        / (math.sqrt(sum(a * a for a in start)) * math.sqrt(sum(b * b for b in end)))
    )
    first, second = math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)
    return [first * a + second * b for a, b in zip(start, end, strict=True)]


def test_uniform_latents_are_joined_by_straight_lines_that_stay_in_the_cube() -> None:
    start, end = torch.rand(2, 5).mul(2).sub(1)
    way = interpolate(start, end, 7, "uniform")
    for index, point in enumerate(way):
        assert torch.allclose(point, start + (end - start) * index / 6, atol=1e-6)
    assert way.abs().max() <= 1
    assert torch.equal(way[0], start)
    assert torch.allclose(way[-1], end)


def test_gaussian_latents_are_joined_by_arcs() -> None:
    start, end = torch.randn(2, 40, generator=torch.Generator().manual_seed(0))
    way = interpolate(start, end, 5, "normal")
    for index, point in enumerate(way):
        expected = torch.tensor(slow_arc(start.tolist(), end.tolist(), index / 4))
        assert torch.allclose(point, expected, atol=1e-5)
    # The straight line's middle falls off the shell where a Gaussian's mass is; the arc's does not.
    lengths = way.norm(dim=1)
    assert lengths.min() > 0.95 * min(start.norm(), end.norm())
    assert ((start + end) / 2).norm() < lengths.min()


@pytest.mark.parametrize("factor", [1.0, -1.0])
def test_an_arc_between_parallel_latents_is_a_line(factor: float) -> None:
    start = torch.randn(6)
    way = interpolate(start, factor * start, 3, "normal")
    assert way.isfinite().all()
    assert torch.allclose(way[1], (start + factor * start) / 2)


def test_rows_lead_from_point_to_point_and_a_closed_walk_returns() -> None:
    points = torch.rand(4, 3)
    legs = path(points, 6, "uniform")
    assert legs.shape == (3, 6, 3)
    assert torch.allclose(legs[:-1, -1], legs[1:, 0])
    closed = path(points, 6, "uniform", closed=True)
    assert closed.shape == (4, 6, 3)
    assert torch.allclose(closed[-1, -1], closed[0, 0])


def test_the_changes_are_those_of_the_pictures(tiny_model) -> None:
    result = walk(tiny_model, rows=3, steps=4, seed=1)
    assert result.pictures.shape == (3, 4, 16, 16, 3)
    assert result.pictures.dtype == np.uint8
    for row in range(3):
        for step in range(3):
            a, b = result.pictures[row, step].astype(int), result.pictures[row, step + 1].astype(int)
            assert result.changes[row, step] == pytest.approx(sum(abs(a - b).ravel()) / a.size)
    assert result.largest_step == pytest.approx(np.mean([max(c) / (sum(c) / 3) for c in result.changes]))
    assert result.largest_step_interval.low <= result.largest_step <= result.largest_step_interval.high


def test_a_walk_follows_its_seed(tiny_model) -> None:
    first, again = walk(tiny_model, rows=2, steps=3, seed=5), walk(tiny_model, rows=2, steps=3, seed=5)
    assert np.array_equal(first.pictures, again.pictures)
    assert first.numbers() == again.numbers()
    assert not np.array_equal(first.pictures, walk(tiny_model, rows=2, steps=3, seed=6).pictures)


@pytest.mark.parametrize("closed", [False, True])
def test_the_film_passes_through_the_points_of_the_walk_and_sees_each_once(tiny_model, closed: bool) -> None:
    result = walk(tiny_model, rows=3, steps=3, closed=closed, seed=2)
    film = np.stack(list(walk_frames(tiny_model, rows=3, frames=30, closed=closed, seed=2)))
    assert len(film) == 90 + (not closed)
    for row in range(3):
        # Two batches add up in another order: one grey level of rounding.
        assert np.abs(film[30 * row].astype(int) - result.pictures[row, 0]).max() <= 1
    if not closed:
        assert np.abs(film[-1].astype(int) - result.pictures[-1, -1]).max() <= 1


def test_a_gaussian_model_walks_on_the_sphere(make_model) -> None:
    result = walk(make_model(dcgan(16, width=4, latent=8, prior="normal")), rows=1, steps=3)
    assert result.settings["way"] == "arcs on the sphere"
    expected = slow_arc(result.latents[0, 0].tolist(), result.latents[0, 2].tolist(), 0.5)
    assert np.allclose(result.latents[0, 1], expected, atol=1e-5)


@pytest.mark.parametrize(("rows", "steps", "closed"), [(0, 5, False), (1, 5, True), (2, 2, False)])
def test_a_walk_too_short_is_refused(tiny_model, rows: int, steps: int, closed: bool) -> None:
    with pytest.raises(UserError, match="too short"):
        walk(tiny_model, rows=rows, steps=steps, closed=closed)


@pytest.mark.parametrize("closed", [False, True])
def test_the_figure_says_what_was_done(tiny_model, closed: bool) -> None:
    result = walk(tiny_model, rows=2, steps=3, closed=closed)
    figure = walk_figure(result)
    assert len(figure.axes) == 2 * 4
    text = figure.get_supxlabel()
    assert f"{result.unrelated:.1f}" in text
    assert "straight lines" in text
    labels = [t.get_text() for axis in figure.axes for t in axis.texts]
    assert labels == (["0→1", "1→0"] if closed else ["0→1", "1→2"])
