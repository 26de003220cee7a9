from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from dcgan_viz.analysis.forgetting.probe import (
    Positions,
    auc,
    fit_all,
    fit_probe,
    gather_positions,
    resampled_aucs,
)


def test_the_area_is_scikit_learns_with_and_without_ties() -> None:
    random = np.random.default_rng(0)
    for values in (random.normal(size=300), random.integers(0, 5, 300).astype(float)):
        positive = random.random(300) < 0.3
        assert auc(values, positive) == pytest.approx(roc_auc_score(positive, values), abs=1e-12)


def test_resampled_areas_are_those_of_the_images_drawn() -> None:
    random = np.random.default_rng(0)
    positions = Positions(np.zeros((60, 1), np.float32), random.random(60) < 0.5, np.repeat(np.arange(10), 6))
    scores = random.normal(size=60)
    found = resampled_aucs(scores, positions, seed=4)
    counts = np.random.default_rng([4, 1]).multinomial(10, np.full(10, 0.1), size=1000)
    for replicate in (0, 999):
        rows = np.concatenate(
            [np.flatnonzero(positions.image == k) for k in np.repeat(np.arange(10), counts[replicate])]
        )
        assert found[replicate] == pytest.approx(roc_auc_score(positions.positive[rows], scores[rows]), abs=1e-12)


def test_positions_agree_with_a_loop() -> None:
    random = np.random.default_rng(0)
    maps = random.random((4, 3, 5, 5), dtype=np.float32)
    inside = np.zeros((4, 5, 5), bool)
    inside[1, 1:3, 2:4] = True
    inside[3, 0, :] = True
    positions = gather_positions(maps, inside, seed=0)
    positives = [maps[i, :, r, c] for i, r, c in np.argwhere(inside)]
    assert np.array_equal(positions.activations[positions.positive], np.array(positives))
    outside = {maps[i, :, r, c].tobytes() for i, r, c in np.argwhere(~inside) if i in (1, 3)}
    negatives = [row.tobytes() for row in positions.activations[~positions.positive]]
    assert len(set(negatives)) == len(negatives) == len(positives)
    assert set(negatives) <= outside
    assert set(positions.image) == {1, 3}
    again = gather_positions(maps, inside, seed=1)
    assert not np.array_equal(again.activations, positions.activations)


def test_matched_negatives_are_the_best_pairing_of_all() -> None:
    from itertools import permutations

    random = np.random.default_rng(0)
    inside = np.zeros((1, 3, 3), bool)
    inside[0, 0, 1:] = True
    luminance = random.random((1, 3, 3)).astype(np.float32)
    # Each position is known by its number, so that the ones taken can be told.
    maps = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    positions = gather_positions(maps, inside, 0, luminance)
    taken = positions.activations[~positions.positive][:, 0].astype(int)

    def cost(pairing: tuple[int, ...]) -> float:
        return sum(
            abs(luminance[0].ravel()[p] - luminance[0].ravel()[n]) / luminance.std() + 2 * abs(p // 3 - n // 3) / 3
            for p, n in zip((1, 2), pairing, strict=True)
        )

    outside = [k for k in range(9) if k not in (1, 2)]
    best = min(permutations(outside, 2), key=cost)
    assert sorted(taken) == sorted(best)


def test_matching_takes_brightness_from_the_regression() -> None:
    random = np.random.default_rng(0)
    inside = np.zeros((30, 8, 8), bool)
    inside[:, 1:3, 1:3] = True
    # A map of brightness alone; the object is bright, and so is as much of the rest.
    luminance = random.random((30, 8, 8)).astype(np.float32) * 0.2
    luminance[:, 1:3, 1:3] += 1
    luminance[:, 1:3, 5:7] += 1
    maps = np.stack([luminance, random.random((30, 8, 8)).astype(np.float32)], axis=1)
    assert fit_probe(gather_positions(maps, inside, 0)).auc.value > 0.9
    assert fit_probe(gather_positions(maps, inside, 0, luminance)).auc.value < 0.65


def test_the_probe_finds_the_map_that_knows_and_splits_by_image() -> None:
    random = np.random.default_rng(0)
    # At another place in every image: boxes of other images are then around nothing.
    inside = np.zeros((30, 6, 6), bool)
    for image, (row, column) in enumerate(random.integers(0, 4, (30, 2))):
        inside[image, row : row + 3, column : column + 3] = True
    maps = random.random((30, 4, 6, 6)).astype(np.float32)
    maps[:, 2] += 0.5 * inside
    probe = fit_probe(gather_positions(maps, inside, 0))
    assert fit_all(gather_positions(maps, inside, 0)).weights.argmax() == 2
    assert 0.8 < probe.auc.value <= 1
    assert probe.auc.low < probe.auc.value < probe.auc.high
    assert probe.positives == probe.negatives == 30 * 9
    # A map that merely names the image is no help on an image that was not seen.
    noise = random.random((30, 4, 6, 6)).astype(np.float32)
    noise += random.random((30, 4, 1, 1)).astype(np.float32) * 10
    chance = fit_probe(gather_positions(noise, inside, 0))
    assert abs(chance.auc.value - 0.5) < 0.1


def test_the_probes_auc_agrees_with_a_slow_one() -> None:
    """Fold by fold with the objective written out, and the AUC as a count of ordered pairs."""
    from scipy.optimize import minimize

    random = np.random.default_rng(1)
    inside = np.zeros((12, 4, 4), bool)
    inside[:, 0:2, 1:3] = True
    maps = random.random((12, 3, 4, 4)).astype(np.float32) + 0.4 * inside[:, None]
    positions = gather_positions(maps, inside, 0)
    x, y = positions.activations.astype(float), positions.positive
    scores = np.empty(len(y))
    for train, test in GroupKFold(5, shuffle=True, random_state=0).split(x, groups=positions.image):
        scale = x[train].std(0)
        features, signs = x[train] / scale, np.where(y[train], 1.0, -1.0)

        def objective(w: np.ndarray, features=features, signs=signs) -> float:
            return 0.5 * w[:-1] @ w[:-1] + np.logaddexp(0, -signs * (features @ w[:-1] + w[-1])).sum()

        w = minimize(objective, np.zeros(4)).x
        scores[test] = x[test] / scale @ w[:-1] + w[-1]
    wins = [(p > n) + 0.5 * (p == n) for p in scores[y] for n in scores[~y]]
    assert fit_probe(positions).auc.value == pytest.approx(np.mean(wins), abs=0.002)
