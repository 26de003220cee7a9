from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from skimage.metrics import structural_similarity

from dcgan_viz.analysis.latent.spaces import feature_space
from dcgan_viz.analysis.latent.walks import (
    COMPARED,
    FALSE_ALARMS,
    MEASURES,
    UNRELATED,
    UNRELATED_PAIRS,
    Walk,
    compare_row,
    compare_while_undecided,
    interpolate,
    jump_p_value,
    jump_ratios,
    leg_distances,
    path,
    random_distances,
    walk,
    walk_frames,
)
from dcgan_viz.errors import UserError
from dcgan_viz.figures.latent.walks import walk_figure
from dcgan_viz.model import DCGAN
from dcgan_viz.networks import dcgan
from dcgan_viz.statistics import stream


def short_walk(model: DCGAN, points: torch.Tensor | None = None, **settings: object) -> Walk:
    """A walk compared with the fewest random walks."""
    return walk(model, points, random_walks=99, **settings)


def pairs(model: DCGAN, walks: int, seed: int) -> torch.Tensor:
    """The ends of random walks, no two with a point in common."""
    return model.latents(2 * walks, seed).unflatten(0, (walks, 2))


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


def test_the_steps_are_those_of_the_pictures(tiny_model) -> None:
    result = short_walk(tiny_model, rows=3, steps=4, seed=1)
    assert result.pictures.shape == (3, 4, 16, 16, 3)
    assert result.pictures.dtype == np.uint8
    strangers = tiny_model.sample(2 * UNRELATED_PAIRS, stream(1, UNRELATED))
    scales = slow_scales(tiny_model, strangers)
    images = tiny_model.generate(torch.from_numpy(result.latents).flatten(0, 1)).unflatten(0, (3, 4))
    for row in range(3):
        for step in range(3):
            a, b = result.pictures[row, step].astype(int), result.pictures[row, step + 1].astype(int)
            assert result.rows[row].steps[0][step] == pytest.approx(math.sqrt(sum((a - b).ravel() ** 2) / a.size))
            similarity = structural_similarity(
                result.pictures[row, step], result.pictures[row, step + 1], channel_axis=-1, data_range=255
            )
            assert result.rows[row].steps[1][step] == pytest.approx(1 - similarity)
            expected = slow_feature_distance(tiny_model, images[row, step], images[row, step + 1], scales)
            assert result.rows[row].steps[2][step] == pytest.approx(expected, rel=1e-3)
        for k, usual in enumerate(result.usual):
            assert result.rows[row].largest[k] == pytest.approx(max(result.rows[row].steps[k]) / usual.unrelated)


def slow_scales(model: DCGAN, samples: torch.Tensor) -> list[float]:
    """For each layer, the mean squared difference of successive pairs."""
    squares: list[float] = []
    maps = samples
    for layer in model.discriminator.layers:
        maps = layer(maps)
        squares.append(float(np.mean([(maps[i] - maps[i + 1]).square().mean() for i in range(0, len(maps), 2)])))
    return squares


def slow_feature_distance(model: DCGAN, a: torch.Tensor, b: torch.Tensor, scales: list[float]) -> float:
    """Layer by layer, in units of the scales."""
    a, b, parts = a[None], b[None], []
    for layer, scale in zip(model.discriminator.layers, scales, strict=True):
        a, b = layer(a), layer(b)
        parts.append(float((a - b).square().mean()) / scale)
    return math.sqrt(sum(parts) / len(parts))


def test_the_spread_is_that_of_many_random_walks(tiny_model) -> None:
    result = short_walk(tiny_model, rows=1, steps=3, seed=4)
    ends = tiny_model.latents(198, stream(4, COMPARED))
    steps = []
    for k in range(99):
        a, b = ends[2 * k], ends[2 * k + 1]
        pictures = tiny_model.generate(torch.stack([a, (a + b) / 2, b])).add(1).mul(127.5).round()
        steps.append([float((p - q).square().mean().sqrt()) for p, q in pairwise(pictures)])
    low, median, high = np.quantile(steps, [0.025, 0.5, 0.975], axis=0)
    usual = result.usual[0]
    assert np.allclose(usual.low, low, atol=0.05)
    assert np.allclose(usual.median, median, atol=0.05)
    assert np.allclose(usual.high, high, atol=0.05)
    assert usual.measure == MEASURES[0]


def test_a_jump_is_a_step_beside_its_neighbours() -> None:
    random = np.random.default_rng(0)
    distances, unrelated = random.random((2, 3, 6)), np.array([1.0, 2.0])
    ratios = jump_ratios(distances, unrelated)
    for measure in range(2):
        for row in range(3):
            for step in range(6):
                beside = [distances[measure, row, n] for n in (step - 1, step + 1) if 0 <= n < 6]
                expected = distances[measure, row, step] / max(np.mean(beside), 1e-3 * unrelated[measure])
                assert ratios[measure, row, step] == pytest.approx(expected)
    still = np.array([[[0.0, 0.0, 0.5, 0.0]]])
    assert jump_ratios(still, np.array([1.0])).max() == pytest.approx(500)
    assert not jump_ratios(np.zeros((1, 1, 3)), np.array([1.0])).any()


def test_the_p_value_is_the_share_of_walks_with_as_good_a_best_rank() -> None:
    random = np.random.default_rng(1)
    jumps, others = random.random(3), random.random((3, 20))
    everyone = [jumps, *others.T]
    best = [min(sum(o[m] >= one[m] for o in everyone) for m in range(3)) for one in everyone]
    assert jump_p_value(jumps, others)[0] == pytest.approx(np.mean([b <= best[0] for b in best]))
    assert jump_p_value(np.array([0.5, 2.0, 0.5]), others)[1] == 1
    assert jump_p_value(np.full(3, 2.0), others) == (pytest.approx(1 / 21), 0)


def test_random_walks_are_drawn_for_as_long_as_a_row_leads_them(tiny_model) -> None:
    calm = walk(tiny_model, rows=1, steps=3, seed=4)
    fewest = short_walk(tiny_model, rows=1, steps=3, seed=4)
    assert calm.settings["random_walks"] == 99
    assert calm.rows == fewest.rows
    assert calm.usual == fewest.usual
    # One row whose largest step leads in the first measure alone, and is one of a hundred among 299 only.
    random = np.random.default_rng(0)
    walks, unrelated = random.random((3, 299, 4)) + 1, np.ones(3)
    jumps = np.array([[9.0], [1.2], [1.2]])
    for most, drawn, sudden in ((99, 99, False), (299, 299, True)):
        found = compare_while_undecided(jumps, lambda part: walks[:, part], unrelated, most)
        assert np.array_equal(found, walks[:, :drawn])
        assert (jump_p_value(jumps[:, 0], jump_ratios(found, unrelated).max(2))[0] <= FALSE_ALARMS) == sudden
    # The 121st overtakes the row, and the first 139 are drawn.
    walks[0, 120] = [1.0, 10.0, 1.0, 1.0]
    assert compare_while_undecided(jumps, lambda part: walks[:, part], unrelated, 299).shape == (3, 139, 4)


def test_no_row_is_sudden_that_was_not_compared_with_all_walks() -> None:
    """Whatever the order of the walks: ordinary rows that stop the drawing early have a p-value above 1 %."""
    random, unrelated = np.random.default_rng(3), np.ones(3)
    stopped = 0
    for _ in range(150):
        # Three measures that are nearly one, so that one walk may lead in all of them, and a row ahead of most.
        walks = np.exp(random.normal(size=(1, 300, 3)) + 0.05 * random.normal(size=(3, 300, 3)))
        walks[:, 0, 1] *= 4
        jumps = jump_ratios(walks[:, :1], unrelated).max(2)
        found = compare_while_undecided(jumps, lambda part, w=walks: w[:, 1:][:, part], unrelated, 299)
        if found.shape[1] < 299:
            stopped += found.shape[1] > 99
            assert jump_p_value(jumps[:, 0], jump_ratios(found, unrelated).max(2))[0] > FALSE_ALARMS
    assert stopped


@pytest.mark.slow
def test_ordinary_rows_are_called_sudden_as_rarely_as_stated(tiny_model) -> None:
    """Fresh random walks, none of which calibrated; the stated rate is 1 %."""
    strangers = tiny_model.sample(128, 1)
    space = feature_space(tiny_model.discriminator, strangers)
    unrelated = np.array([50.0, 0.5, 1.0])
    calibrating = jump_ratios(random_distances(tiny_model, space, pairs(tiny_model, 399, 10), 5), unrelated).max(2)
    fresh = random_distances(tiny_model, space, pairs(tiny_model, 600, 11), 5)
    flagged = sum(compare_row(fresh[:, k], unrelated, calibrating).sudden for k in range(600))
    assert binomtest(flagged, 600, 0.01, alternative="greater").pvalue > 0.01
    assert (
        0.04 < np.mean([jump_p_value(r, calibrating)[0] <= 0.1 for r in jump_ratios(fresh, unrelated).max(2).T]) < 0.17
    )


def test_two_walks_glued_together_are_sudden_where_they_meet(tiny_model) -> None:
    strangers = tiny_model.sample(128, 1)
    space = feature_space(tiny_model.discriminator, strangers)
    unrelated = np.array([50.0, 0.5, 1.0])
    calibrating = jump_ratios(random_distances(tiny_model, space, pairs(tiny_model, 99, 10), 8), unrelated).max(2)
    legs = path(tiny_model.latents(21, 5), 8, "uniform")[::2]
    for first, second in pairwise(legs):
        images = tiny_model.generate(torch.cat([first[:4], second[4:]]))
        row = compare_row(leg_distances(space, images[None])[:, 0], unrelated, calibrating)
        assert row.sudden
        assert row.at == 4


def test_a_walk_follows_its_seed(tiny_model) -> None:
    first, again = (short_walk(tiny_model, rows=2, steps=3, seed=5) for _ in range(2))
    assert np.array_equal(first.pictures, again.pictures)
    assert first.numbers() == again.numbers()
    other = short_walk(tiny_model, rows=2, steps=3, seed=6)
    assert not np.array_equal(first.pictures, other.pictures)
    assert first.usual != other.usual


@pytest.mark.parametrize("closed", [False, True])
def test_a_walk_leads_through_given_points(tiny_model, closed: bool) -> None:
    points = tiny_model.latents(3, 9)
    result = short_walk(tiny_model, points, steps=4, closed=closed, source="points of mine.npy")
    assert torch.equal(torch.from_numpy(result.latents[:, 0]), points[: 2 + closed])
    assert result.settings["points"] == "3 points of mine.npy"
    assert result.settings["outside_prior"] == 0
    film = list(walk_frames(tiny_model, points, frames=2, closed=closed))
    assert len(film) == 2 * (2 + closed) + (not closed)


def test_points_outside_the_prior_are_counted(tiny_model) -> None:
    points = torch.zeros(2, 8)
    points[0, :4] = 1.5
    result = short_walk(tiny_model, points, steps=3)
    assert result.settings["outside_prior"] == 0.25
    assert "25.0 % of their coordinates lie outside" in walk_figure(result).said.replace("\n", " ")


@pytest.mark.parametrize("shape", [(1, 8), (3, 7), (8,)])
def test_points_of_another_model_are_refused(tiny_model, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"too short|have shape \(n, 8\)"):
        walk(tiny_model, torch.zeros(shape))


@pytest.mark.parametrize("closed", [False, True])
def test_the_film_passes_through_the_points_of_the_walk_and_sees_each_once(tiny_model, closed: bool) -> None:
    result = short_walk(tiny_model, rows=3, steps=3, closed=closed, seed=2)
    film = np.stack(list(walk_frames(tiny_model, rows=3, frames=30, closed=closed, seed=2)))
    assert len(film) == 90 + (not closed)
    for row in range(3):
        # Two batches add up in another order: one grey level of rounding.
        assert np.abs(film[30 * row].astype(int) - result.pictures[row, 0]).max() <= 1
    if not closed:
        assert np.abs(film[-1].astype(int) - result.pictures[-1, -1]).max() <= 1


def test_a_gaussian_model_walks_on_the_sphere(make_model) -> None:
    result = short_walk(make_model(dcgan(16, width=4, latent_dim=8, prior="normal")), rows=1, steps=3)
    assert result.settings["way"] == "arcs on the sphere"
    expected = slow_arc(result.latents[0, 0].tolist(), result.latents[0, 2].tolist(), 0.5)
    assert np.allclose(result.latents[0, 1], expected, atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{"rows": 0}, {"rows": 1, "closed": True}, {"rows": 2, "steps": 2}, {"random_walks": 98}]
)
def test_a_walk_too_short_is_refused(tiny_model, settings: dict[str, int]) -> None:
    with pytest.raises(UserError, match=r"too short|at least 99"):
        walk(tiny_model, **settings)
