from __future__ import annotations

import numpy as np
import pytest
import torch

from dcgan_viz.training.monitor import Health, judge, spread
from dcgan_viz.training.step import StepMeans

FINE = StepMeans(1.0, 1.0, 0.6, 0.4)


def test_the_spread_is_the_median_distance_of_pairs() -> None:
    images = torch.rand(5, 3, 4, 4)
    distances = [
        np.sqrt(np.mean((images[i].numpy() - images[j].numpy()) ** 2)) for i in range(5) for j in range(i + 1, 5)
    ]
    assert spread(images) == pytest.approx(sorted(distances)[4], abs=1e-3)


def test_a_won_discriminator_is_named_with_its_numbers() -> None:
    health, warnings = judge(Health(100, True), 200, 10**6, StepMeans(0.01, 9, 0.99, 0.01), 0.5, 0.5)
    assert health == Health(100, True)
    assert len(warnings) == 1
    assert "discriminator has won (loss 0.010" in warnings[0]


def test_a_young_run_of_grey_samples_has_not_collapsed() -> None:
    health, warnings = judge(Health(), 100, 6_400, FINE, 0.05, 0.5)
    assert warnings == ()
    assert health == Health(100, False)


def test_samples_that_were_varied_and_are_alike_have_collapsed() -> None:
    varied, _ = judge(Health(), 100, 6_400, FINE, 0.4, 0.5)
    assert varied == Health(100, True)
    health, warnings = judge(varied, 200, 12_800, FINE, 0.05, 0.5)
    assert health == varied
    assert "collapsed: they differ by 0.050 a pixel where photographs differ by 0.500" in warnings[0]


@pytest.mark.parametrize("sample_spread", [0.05, float("nan")])
def test_samples_that_never_became_varied_have_collapsed_too(sample_spread: float) -> None:
    assert judge(Health(), 1000, 64_000, FINE, sample_spread, 0.5)[1]
