from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dcgan_viz.analysis.forgetting.logistic import Logistic, fit_logistic
from dcgan_viz.analysis.forgetting.probe import (
    Positions,
    held_out_scores,
)


def oracle(features: np.ndarray, positive: np.ndarray, inverse: float):
    regression = LogisticRegression(C=inverse, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    return make_pipeline(StandardScaler(with_mean=False), regression).fit(features, positive)


def data(rows: int = 600, maps: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Rectified activations, some of them never active, of which a few tell."""
    random = np.random.default_rng(0)
    features = random.normal(0, random.uniform(0.1, 30, maps), (rows, maps)).clip(0)
    features[:, 3], features[:, 4] = 0.0, 7.5
    odds = 3 * features[:, 0] / features[:, 0].std() - 2 * features[:, 1] / features[:, 1].std()
    return features, random.random(rows) < 1 / (1 + np.exp(-odds))


@pytest.mark.parametrize("inverse", [1e-3, 1.0, 100.0])
def test_it_is_the_regression_of_scikit_learn(inverse: float) -> None:
    features, positive = data()
    found, expected = fit_logistic(features, positive, inverse), oracle(features, positive, inverse)
    assert np.allclose(found.scale, expected[0].scale_)
    assert found.weights == pytest.approx(expected[-1].coef_[0], abs=1e-6)
    assert found.log_odds(features) == pytest.approx(expected.decision_function(features), abs=1e-5)
    # A start that leads nowhere is left.
    far = Logistic(found.scale, 5 - found.weights, 40.0)
    assert fit_logistic(features, positive, inverse, far).weights == pytest.approx(found.weights, abs=1e-6)


def test_what_is_told_apart_without_a_fault_has_finite_weights() -> None:
    features = np.repeat([[0.0, 1.0], [1.0, 0.0]], 40, axis=0)
    positive = np.arange(80) >= 40
    for inverse in (1.0, 100.0):
        assert fit_logistic(features, positive, inverse).weights == pytest.approx(
            oracle(features, positive, inverse)[-1].coef_[0], rel=1e-3
        )


def test_the_folds_are_those_of_scikit_learn() -> None:
    features, positive = data()
    image = np.random.default_rng(1).integers(0, 37, len(features)) * 3
    expected = np.empty(len(features))
    for train, test in GroupKFold(5, shuffle=True, random_state=9).split(features, groups=image):
        expected[test] = oracle(
            features[train].astype(np.float32).astype(np.float64), positive[train], 1.0
        ).decision_function(features[test].astype(np.float32))
    found = held_out_scores(Positions(features.astype(np.float32), positive, image), 1.0, 9)
    assert found == pytest.approx(expected, abs=1e-4)
