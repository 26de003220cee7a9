from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from dcgan_viz.analysis.attribution.detection import Detection, balanced_halves, covered_shares, rank_maps
from dcgan_viz.analysis.attribution.detectors import COMBINATION, MAP, RANDOM, TRAINED, average_precisions
from dcgan_viz.analysis.attribution.randomisation import randomised
from dcgan_viz.model import DCGAN


def rank(model: DCGAN, scenes: tuple[Tensor, np.ndarray], seed: int = 0) -> Detection:
    return rank_maps(model, model.discriminator_layers[0], *scenes, "square", seed=seed)


def activations(model: DCGAN, images: Tensor) -> np.ndarray:
    with torch.no_grad():
        return model.discriminator.layers[0](images).numpy()


def test_weighted_average_precision_is_that_of_repeated_images() -> None:
    random = np.random.default_rng(0)
    scores, share = random.integers(0, 6, (7, 3, 3)).astype(float), random.random((7, 3, 3))
    counts = random.integers(0, 3, (4, 7))
    for count, found in zip(counts, average_precisions(scores, share, counts), strict=True):
        chosen = np.repeat(np.arange(7), count)
        labels, covered = np.repeat([1, 0], 9 * len(chosen)), share[chosen].ravel()
        expected = average_precision_score(
            labels, np.tile(scores[chosen].ravel(), 2), sample_weight=np.concatenate([covered, 1 - covered])
        )
        assert found == pytest.approx(expected)


def test_baselines_and_combinations_are_those_of_a_loop(tiny_model: DCGAN, scenes) -> None:
    images, masks = scenes
    result = rank(tiny_model, scenes)
    halves = balanced_halves(masks.any((1, 2)), 0)
    grey = images.mean(1).double().numpy()
    covered = masks.astype(float)
    maps = activations(tiny_model, images).astype(float)
    features = {
        ("luminance", "", 0): (np.stack([grey, grey**2], -1), covered),
        (COMBINATION, TRAINED, 1): (maps.transpose(0, 2, 3, 1), covered_shares(masks, 8)),
    }
    for key, (x, y) in features.items():
        best: tuple[float, Ridge | None] = (-1.0, None)
        fold = np.arange(len(halves[0])) % 4
        for penalty in (0.001, 0.01, 0.1, 1.0):

            def fit(chosen: np.ndarray, penalty: float = penalty, x: np.ndarray = x, y: np.ndarray = y):
                flat = x[chosen].reshape(-1, x.shape[-1])
                model = make_pipeline(StandardScaler(), Ridge(penalty * len(flat)))
                return model.fit(flat, y[chosen].ravel())

            scores = np.empty(y[halves[0]].shape)
            for k in range(4):
                model = fit(halves[0][fold != k])
                inside = x[halves[0][fold == k]]
                scores[fold == k] = model.predict(inside.reshape(-1, x.shape[-1])).reshape(inside.shape[:3])
                # What is added to all scores of a fold is no part of the ranking of the others.
                scores[fold == k] -= model.predict(np.zeros((1, x.shape[-1])))
            value = average_precisions(scores, y[halves[0]], np.ones((1, len(fold))))[0]
            best = max(best, (float(value), fit(halves[0])), key=lambda found: found[0])
        inside = x[halves[1]]
        scores = best[1].predict(inside.reshape(-1, x.shape[-1])).reshape(inside.shape[:3])
        expected = average_precisions(scores, y[halves[1]], np.ones((1, len(halves[1]))))[0]
        row = result.detectors.of(*key)
        assert row.chosen_by == pytest.approx(best[0], abs=1e-4)
        assert row.average_precision.value == pytest.approx(expected, abs=1e-4)
    place = np.broadcast_to(covered_shares(masks, 8)[halves[0]].mean(0), (len(halves[1]), 8, 8))
    expected = average_precisions(place, covered_shares(masks, 8)[halves[1]], np.ones((1, len(halves[1]))))[0]
    assert result.detectors.of("position").average_precision.value == pytest.approx(expected)
    random = randomised(tiny_model.discriminator, range(1, 4), images, 0)
    with torch.no_grad():
        drawn = random.layers[0](images).numpy()
    row = result.detectors.of(MAP, RANDOM, 1)
    expected = average_precisions(drawn[halves[1]][:, row.map], covered_shares(masks, 8)[halves[1]], np.ones((1, 20)))[
        0
    ]
    assert row.average_precision.value == pytest.approx(expected, abs=1e-6)


def test_it_is_said_that_brightness_does_as_well(tiny_model: DCGAN, scenes) -> None:
    found = rank(tiny_model, scenes).detectors
    # The squares are bright, and nothing else is.
    assert found.of("luminance").average_precision.value > 0.9
    assert "is not shown to beat" in found.sentences()
    assert found.map_gain.value == pytest.approx(
        found.best_map.average_precision.value - found.best_baseline.average_precision.value
    )
