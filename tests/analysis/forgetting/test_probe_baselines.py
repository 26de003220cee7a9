from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from dcgan_viz.analysis.forgetting.probe import (
    fit_probe,
    gather_positions,
    held_out_scores,
)
from dcgan_viz.analysis.forgetting.probe_baselines import brightness_and_position, fit_baselines


def scene(bright: bool) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
    """Maps of which the first finds the boxes, which are bright or not."""
    random = np.random.default_rng(0)
    inside = np.zeros((40, 8, 8), bool)
    for k, (top, left) in enumerate(random.integers(0, 6, (40, 2))):
        inside[k, top : top + 3, left : left + 3] = True
    maps = random.normal(size=(40, 3, 8, 8)).astype(np.float32)
    maps[:, 0] += 2 * inside
    luminance = random.normal(size=(40, 8, 8)).astype(np.float32)
    if bright:
        luminance = maps[:, 0].copy()
    return maps, inside, luminance


def test_maps_that_know_more_than_brightness_gain_and_others_do_not() -> None:
    maps, inside, luminance = scene(bright=False)
    found = fit_baselines(maps, inside, luminance)
    assert found.brightness_auc.value < 0.75
    assert found.gain.low > 0.1
    maps, inside, luminance = scene(bright=True)
    found = fit_baselines(maps, inside, luminance)
    assert abs(found.gain.value) < 0.05


def test_the_gain_is_the_difference_of_the_two_regressions() -> None:
    maps, inside, luminance = scene(bright=False)
    found = fit_baselines(maps, inside, luminance, seed=3)
    plain = gather_positions(brightness_and_position(luminance), inside, 3)
    expected = roc_auc_score(plain.positive, held_out_scores(plain, seed=3))
    assert found.brightness_auc.value == pytest.approx(expected)
    assert found.gain.value == pytest.approx(fit_probe(gather_positions(maps, inside, 3), seed=3).auc.value - expected)


def test_boxes_around_nothing_are_found_no_better_than_shuffled_ones() -> None:
    maps, inside, luminance = scene(bright=False)
    real = fit_probe(gather_positions(maps, inside, 0))
    assert not fit_baselines(maps, inside, luminance).finds_nothing(real)
    nothing = maps[np.random.default_rng(1).permutation(len(maps))]
    probe = fit_probe(gather_positions(nothing, inside, 0))
    assert fit_baselines(nothing, inside, luminance).finds_nothing(probe)


def test_brightness_and_position_are_told_to_the_regression_as_they_are() -> None:
    luminance = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    found = brightness_and_position(luminance)
    np.testing.assert_array_equal(found[:, 0], luminance)
    assert found[0, 1, 0, 0] == -1
    assert found[0, 1, 2, 4] == 1
    assert found[0, 2, 0, 4] == 1
    np.testing.assert_allclose(found[:, 4], luminance * found[:, 1])
