from __future__ import annotations

import numpy as np
import pytest
import torch

from dcgan_viz.errors import UserError
from dcgan_viz.training.monitor import STALLED, Health, diagnose, diversity, rank
from dcgan_viz.training.step import StepMeans

FINE = StepMeans(1.0, 1.0, 0.6, 0.4)


def test_the_spread_is_the_median_distance_of_pairs() -> None:
    images = torch.rand(5, 3, 4, 4)
    distances = [
        np.sqrt(np.mean((images[i].numpy() - images[j].numpy()) ** 2)) for i in range(5) for j in range(i + 1, 5)
    ]
    assert diversity(images) == pytest.approx(sorted(distances)[4], abs=1e-3)


def test_a_won_discriminator_is_named_with_its_numbers() -> None:
    health, warnings = diagnose(Health(100, True), 200, 10**6, StepMeans(0.01, 9, 0.99, 0.01), 0.5, 0.5)
    assert health == Health(100, True)
    assert len(warnings) == 1
    assert "discriminator has won (loss 0.010" in warnings[0]


def test_a_young_run_of_grey_samples_has_not_collapsed() -> None:
    health, warnings = diagnose(Health(), 100, 6_400, FINE, 0.05, 0.5)
    assert warnings == ()
    assert health == Health(100, False)


def test_samples_that_were_varied_and_are_alike_have_collapsed() -> None:
    varied, _ = diagnose(Health(), 100, 6_400, FINE, 0.4, 0.5)
    assert varied == Health(100, True)
    health, warnings = diagnose(varied, 200, 12_800, FINE, 0.05, 0.5)
    assert health == varied
    assert "collapsed: they differ by 0.050 a pixel where photographs differ by 0.500" in warnings[0]


@pytest.mark.parametrize("sample_spread", [0.05, float("nan")])
def test_samples_that_never_became_varied_have_collapsed_too(sample_spread: float) -> None:
    assert diagnose(Health(), 1000, 64_000, FINE, sample_spread, 0.5)[1]


def test_the_lowest_quality_is_the_best_and_a_standstill_is_said_once_in_five() -> None:
    health, said = Health(), []
    for number, quality in enumerate([0.5, float("nan"), 0.3, 0.3, 0.4, 0.4, 0.4, 0.35, *[0.4] * 5, 0.2, 0.2], 1):
        health, sentence = rank(health, 100 * number, quality)
        if sentence is not None:
            said.append((number, sentence))
    assert (health.best, health.best_quality, health.since_best) == (1400, 0.2, 1)
    assert [number for number, _ in said] == [3 + STALLED, 3 + 2 * STALLED]
    assert "0.35 now, and none of the last 5 checkpoints was better than step 300 (0.3)" in said[0][1]


def test_judging_keeps_what_is_known_of_the_best() -> None:
    health, _ = diagnose(Health(best=100, best_quality=0.3, since_best=2), 200, 10**6, FINE, 0.5, 0.5)
    assert health == Health(200, True, 100, 0.3, 2)


@pytest.mark.parametrize("data", [None, {"best": "x"}, {"unknown": 1}, [1]])
def test_what_a_checkpoint_says_of_its_health_is_checked(data: object) -> None:
    with pytest.raises(UserError, match="does not say how the run was"):
        Health.from_dict(data)
