from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor

from dcgan_viz.analysis.memorization import (
    copying_statistic,
    coverage,
    detectable_share,
    feature_vectors,
    memorization,
    near_copies,
    nearest,
    pixel_vectors,
    two_sample_test,
)
from dcgan_viz.data.images import TensorImages
from dcgan_viz.errors import UserError
from dcgan_viz.figures.memorization import memorization_figure
from dcgan_viz.model import DCGAN, load


def clouds(seed: int, count: int, shift: float = 0.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(shift, 1, (count, 3)).astype(np.float32))


def distance(a: Tensor, b: Tensor) -> float:
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


def test_nearest_agrees_with_a_loop_in_any_blocks() -> None:
    queries, references = clouds(0, 15), clouds(1, 40)
    own = np.full(15, -1)
    own[3] = 7
    references[7] = queries[3]
    for size in (1, 7, 40):
        distances, numbers = nearest(queries, references.split(size), own)
        for k, query in enumerate(queries):
            others = [(distance(query, r), i) for i, r in enumerate(references) if i != own[k]]
            expected = min(others)
            assert distances[k].item() == pytest.approx(expected[0], abs=1e-3)
            assert int(numbers[k]) == expected[1]


def test_vectors_measure_what_they_say(tiny_model: DCGAN) -> None:
    a, b = tiny_model.sample(2).split(1)
    large = torch.nn.functional.interpolate(torch.cat([a, b]), size=64)
    first, second = pixel_vectors(large)
    small = torch.nn.functional.avg_pool2d(large, 2)
    assert (first - second).norm().item() == pytest.approx(
        (small[0] - small[1]).square().mean().sqrt().item(), rel=1e-4
    )
    features = feature_vectors(tiny_model.discriminator, torch.cat([a, b]))
    maps = a
    for module in tiny_model.discriminator.layers:
        maps = module(maps)
    quarters = [maps[0, :, r : r + 2, c : c + 2].mean((1, 2)) for r in (0, 2) for c in (0, 2)]
    assert torch.allclose(features[0], torch.stack(quarters, 1).flatten(), atol=1e-6)


def test_near_copies_are_counted_with_exact_intervals() -> None:
    references = np.arange(1, 1001, dtype=np.float32)
    samples = np.concatenate([np.full(6, 0.5), np.full(194, 600)]).astype(np.float32)
    near = near_copies("pixels", samples, references)
    expected = binomtest(6, 200, 0.01, alternative="greater")
    interval = binomtest(6, 200).proportion_ci(0.95, method="exact")
    assert near.share == 0.03
    assert near.p_value == pytest.approx(expected.pvalue)
    assert (near.interval.low, near.interval.high) == pytest.approx((interval.low, interval.high))
    none, all_near = (near_copies("pixels", np.full(50, v, np.float32), references) for v in (900, 0))
    assert (none.share, none.interval.low, none.p_value) == (0, 0, 1)
    assert (all_near.share, all_near.interval.high) == (1, 1)


def test_the_power_is_what_planted_copies_show() -> None:
    samples = 500
    share = detectable_share(samples)
    random = np.random.default_rng(0)
    references = random.normal(10, 1, 20_000).astype(np.float32)

    def found(planted: float) -> float:
        detected = 0
        for _ in range(200):
            drawn = random.normal(10, 1, samples)
            drawn[random.random(samples) < planted] = 0
            detected += near_copies("pixels", drawn.astype(np.float32), references).p_value < 0.005
        return detected / 200

    assert found(0) < 0.03
    assert 0.65 < found(share) < 0.95
    assert found(2 * share) > 0.95


def test_the_two_sample_test_agrees_with_a_loop_and_knows_copies() -> None:
    real, generated = clouds(0, 30), clouds(1, 30, 1.0)
    both = [*real, *generated]
    own = []
    for i, a in enumerate(both):
        j = min((k for k in range(60) if k != i), key=lambda k, a=a: distance(a, both[k]))
        own.append((i < 30) == (j < 30))
    test = two_sample_test(real, generated)
    assert (test.real, test.generated) == pytest.approx((np.mean(own[:30]), np.mean(own[30:])))
    alike = two_sample_test(clouds(2, 500), clouds(3, 500))
    assert 0.4 < alike.real < 0.6
    copied = two_sample_test(real, real + 1e-4)
    assert copied.real == copied.generated == 0
    apart = two_sample_test(real, generated + 100)
    assert apart.real == apart.generated == 1


def test_coverage_agrees_with_a_loop() -> None:
    real, generated = clouds(0, 25), clouds(1, 25, 0.7)

    def radius(points: Tensor, k: int) -> float:
        return sorted(distance(points[k], p) for p in points)[5]

    real_radii = [radius(real, k) for k in range(25)]
    generated_radii = [radius(generated, k) for k in range(25)]
    inside = [[distance(r, g) < real_radii[i] for g in generated] for i, r in enumerate(real)]
    found = coverage(real, generated)
    assert found.precision == pytest.approx(np.mean(np.any(inside, axis=0)))
    assert found.density == pytest.approx(np.sum(inside) / 5 / 25)
    assert found.coverage == pytest.approx(np.mean(np.any(inside, axis=1)))
    recalled = [any(distance(r, g) < generated_radii[j] for j, g in enumerate(generated)) for r in real]
    assert found.recall == pytest.approx(np.mean(recalled))


def test_the_copying_statistic_has_the_sign_of_meehan() -> None:
    training, held_out = clouds(0, 1000), clouds(1, 600)

    def statistic(samples: Tensor) -> float:
        to_training = [nearest(x, [training])[0] for x in (held_out, samples)]
        return copying_statistic(training, held_out, samples, *to_training, seed=0)

    assert abs(statistic(clouds(2, 600))) < 2
    assert statistic(training[:600] + 0.01) < -5
    assert statistic(clouds(3, 600) * 2.5) > 3
    assert math.isnan(copying_statistic(training, held_out[:5], training[:5], torch.ones(5), torch.ones(5), 0))


def test_a_generator_that_draws_its_training_set_copies_and_one_that_does_not_does_not(tiny_model: DCGAN) -> None:
    """The training set is what it draws with this very seed, or with another."""
    drawn, others = tiny_model.sample(400, seed=0), tiny_model.sample(400, seed=1)
    fresh = TensorImages(tiny_model.sample(400, seed=2))
    for held_out in (None, fresh):
        copying = memorization(tiny_model, TensorImages(torch.cat([others[:200], drawn])), held_out, samples=400)
        assert copying.copies
        assert copying.verdict.startswith("The generator copies")
        assert (copying.sample_distances < 0.02).mean() > 0.95
        assert np.abs(copying.pictures.astype(int) - copying.nearest_in_pixels).max() <= 1
        honest = memorization(tiny_model, TensorImages(others), held_out, samples=400)
        assert not honest.copies
        assert honest.verdict.startswith("No sign of copying")
        assert ("cannot be concluded" in honest.verdict) == (held_out is None)
        assert (honest.copying_statistic is None) == (held_out is None)
        if held_out is not None:
            assert copying.copying_statistic < -5
            assert abs(honest.copying_statistic) < 3
        assert abs(honest.two_sample.real - 0.5) < 0.1


def test_mirrored_copies_count_where_training_mirrored(tiny_model: DCGAN) -> None:
    mirrored = TensorImages(tiny_model.sample(200, seed=0).flip(-1))
    assert not memorization(tiny_model, mirrored, samples=200).copies
    flipping = replace(tiny_model, card=replace(tiny_model.card, training={"settings": {"flip": True}}))
    assert memorization(flipping, mirrored, samples=200).copies


def test_it_repeats_with_its_seed(tiny_model: DCGAN) -> None:
    training = TensorImages(tiny_model.sample(150, seed=1))
    first, again, other = (memorization(tiny_model, training, samples=120, seed=s) for s in (0, 0, 4))
    assert first.numbers() == again.numbers()
    assert not np.array_equal(first.sample_distances, other.sample_distances)


def test_too_few_images_are_refused(tiny_model: DCGAN) -> None:
    few, many = TensorImages(tiny_model.sample(20)), TensorImages(tiny_model.sample(120))
    with pytest.raises(UserError, match="20 training images are too few"):
        memorization(tiny_model, few)
    with pytest.raises(UserError, match="20 held-out images are too few"):
        memorization(tiny_model, many, few)
    with pytest.raises(UserError, match="50 samples are too few"):
        memorization(tiny_model, many, samples=50)


def test_the_figure_tells_the_verdict(tiny_model: DCGAN) -> None:
    figure = memorization_figure(memorization(tiny_model, TensorImages(tiny_model.sample(120, seed=1)), samples=120))
    assert figure.get_suptitle().endswith("No sign of copying")
    assert "cannot be concluded" in figure.get_supxlabel().replace("\n", " ")


def test_the_command_gives_the_verdict(run, tiny_folder: Path, tmp_path: Path) -> None:
    from dcgan_viz.data.images import to_pixels

    model = load(tiny_folder)
    np.save(tmp_path / "training.npy", to_pixels(model.sample(150, seed=1)))
    np.save(tmp_path / "others.npy", to_pixels(model.sample(150, seed=2)))
    line = f"memorization --model {tiny_folder} --data training.npy --samples 150"
    outcome = run(*line.split())
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.startswith("No sign of copying")
    outcome = run(*line.split(), "--held-out", "others.npy")
    assert "C_T" in outcome.stdout
    assert sorted(f.name for f in Path("results/memorization").iterdir()) == [
        "arrays.npz",
        "memorization.png",
        "result.json",
    ]
