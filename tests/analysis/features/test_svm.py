from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.datasets import make_classification
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import estimator_checks_generator

from dcgan_viz.analysis.features import svm as module
from dcgan_viz.analysis.features.svm import LinearSVM, fit_path, predict_many


def problem(classes: int = 4, rows: int = 400, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    features, labels = make_classification(
        rows, 30, n_informative=12, n_redundant=0, n_classes=classes, flip_y=0.1, random_state=seed
    )
    return features, labels


def objective(weights: NDArray[Any], features: NDArray[Any], signs: NDArray[Any], c: float) -> float:
    """The formula, a row at a time."""
    total = 0.5 * float(weights @ weights)
    for row, sign in zip(features, signs, strict=True):
        total += c * max(0.0, 1 - sign * float(row @ weights[:-1] + weights[-1])) ** 2
    return total


def test_the_estimator_keeps_scikit_learns_contract() -> None:
    for estimator, check in estimator_checks_generator(LinearSVM()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(estimator)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("c", [0.01, 1.0])
def test_it_agrees_with_liblinear(classes: int, c: float) -> None:
    features, labels = problem(classes)
    ours = LinearSVM(c, tol=1e-8).fit(features, labels)
    theirs = LinearSVC(C=c, dual=False, tol=1e-8, max_iter=10_000).fit(features, labels)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-3)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=2e-3)
    assert np.mean(ours.predict(features) == theirs.predict(features)) >= 0.995
    for k, value in enumerate(ours.objective_):
        signs = np.where(labels == ours.classes_[1 if classes == 2 else k], 1.0, -1.0)
        least = objective(np.append(theirs.coef_[k], theirs.intercept_[k]), features, signs, c)
        assert value == pytest.approx(objective(np.append(ours.coef_[k], ours.intercept_[k]), features, signs, c))
        assert value <= least * (1 + 1e-4)


def test_its_minimum_is_that_of_a_general_optimiser() -> None:
    features, labels = problem(2, rows=80)
    signs = np.where(labels == 1, 1.0, -1.0)
    expected = minimize(objective, np.zeros(31), args=(features, signs, 0.5), method="BFGS").fun
    assert LinearSVM(0.5, tol=1e-8).fit(features, labels).objective_[0] == pytest.approx(expected, rel=1e-5)


def test_the_size_of_the_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = problem()
    whole = LinearSVM(0.1, tol=1e-8).fit(features, labels)
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 30 * 7)
    in_blocks = LinearSVM(0.1, tol=1e-8).fit(features, labels)
    np.testing.assert_allclose(in_blocks.coef_, whole.coef_, atol=1e-9)
    # Sums in another order: there were several blocks.
    assert not np.array_equal(in_blocks.coef_, whole.coef_)


def test_half_precision_is_read_from_disk_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = problem()
    np.save(tmp_path / "features.npy", features.astype(np.float16))
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 30 * 64)
    found = LinearSVM(0.1, tol=1e-8).fit(mapped, labels)
    expected = LinearSVM(0.1, tol=1e-8).fit(features.astype(np.float16).astype(np.float64), labels)
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-3)
    assert np.mean(found.predict(mapped) == expected.predict(features)) >= 0.995
    assert found.coef_.dtype == np.float32


def test_a_row_that_is_not_finite_is_named() -> None:
    features, labels = problem()
    features = features.astype(np.float16)
    features[123, 4] = np.inf
    with pytest.raises(ValueError, match="row 123"):
        LinearSVM().fit(features, labels)


def test_a_path_starts_each_fit_from_the_last_and_ends_where_a_fresh_one_does() -> None:
    features, labels = problem(rows=600)
    points = fit_path(features[:400], labels[:400], (features[400:], labels[400:]), (1e-3, 1e-2, 1e-1), tol=1e-7)
    fresh = LinearSVM(1e-1, tol=1e-7).fit(features[:400], labels[:400])
    np.testing.assert_allclose(points[-1].svm.objective_, fresh.objective_, rtol=1e-6)
    assert points[-1].svm.passes_ < fresh.passes_
    assert points[-1].accuracy == np.mean(points[-1].svm.predict(features[400:]) == labels[400:])


def test_classes_that_lie_far_apart_and_constants_do_no_harm() -> None:
    features = np.zeros((40, 3))
    features[:20, 0] = 1e4
    labels = np.array(["a"] * 20 + ["b"] * 20)
    svm = LinearSVM(1.0).fit(features, labels)
    assert (svm.predict(features) == labels).all()


@pytest.mark.parametrize("c", [0.0, -1.0, np.nan, np.inf])
def test_a_penalty_that_makes_no_sense_is_refused(c: float) -> None:
    with pytest.raises(ValueError, match="C must be positive"):
        LinearSVM(c).fit(*problem())


@pytest.mark.parametrize("classes", [2, 4])
def test_a_path_in_the_space_of_few_rows_is_the_same(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 300)).astype(np.float16)
    features[7] = features[8]
    labels = random.integers(0, classes, 60)
    validation = random.normal(size=(50, 300)).astype(np.float16), random.integers(0, classes, 50)
    short = fit_path(features, labels, validation, (1e-3, 1e-1), tol=1e-8)
    monkeypatch.setattr(module, "MOST_ROWS", 10)
    long = fit_path(features, labels, validation, (1e-3, 1e-1), tol=1e-8)
    for a, b in zip(short, long, strict=True):
        np.testing.assert_allclose(a.svm.coef_, b.svm.coef_, atol=1e-4)
        # It was another way.
        assert not np.array_equal(a.svm.coef_, b.svm.coef_)
        np.testing.assert_allclose(a.svm.objective_, b.svm.objective_, rtol=1e-4)
        assert np.array_equal(a.svm.predict(validation[0]), b.svm.predict(validation[0]))


@pytest.mark.parametrize("classes", [2, 4])
def test_fits_predict_together_what_each_predicts(classes: int) -> None:
    features, labels = problem(classes)
    svms = [LinearSVM(c).fit(features, labels) for c in (1e-3, 1.0)]
    expected = np.array([svm.predict(features) for svm in svms])
    assert np.array_equal(predict_many(svms, features), expected)


def test_many_rows_need_fewer_passes_and_end_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    mixed = random.normal(size=(120, 120)) * np.arange(1, 121)[:, None] ** -0.8
    features = (random.normal(size=(500, 120)) + 0.5) @ mixed
    labels = (features @ random.normal(size=(120, 3)) + random.normal(0, 2, (500, 3))).argmax(1)
    plain = LinearSVM(0.1, tol=1e-8).fit(features, labels)
    monkeypatch.setattr(module, "MOST_ROWS", 100)
    monkeypatch.setattr(module, "MANY", 100)
    monkeypatch.setattr(module, "SAMPLED", 200)
    helped = LinearSVM(0.1, tol=1e-8).fit(features, labels)
    np.testing.assert_allclose(helped.objective_, plain.objective_, rtol=1e-7)
    np.testing.assert_allclose(helped.coef_, plain.coef_, atol=1e-4)
    assert helped.passes_ < 0.7 * plain.passes_


@pytest.mark.parametrize("directions", [100, 20])
def test_few_rows_are_fitted_to_however_many_directions_they_span(directions: int) -> None:
    features = np.random.default_rng(0).normal(size=(20, directions))
    labels = np.arange(20) % 2
    assert np.array_equal(LinearSVM(10.0).fit(features, labels).predict(features), labels)
