from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.svm import LinearSVC

from dcgan_viz.analysis.features.protocols import GRID, Protocol, Task, make_task
from dcgan_viz.analysis.features.trials import choose_c, run_trials
from dcgan_viz.data.images import ImageSet
from dcgan_viz.data.labelled import LabelledImages, LabelledSplit


def task(protocol: Protocol, each: int = 120) -> tuple[NDArray[np.float16], Task]:
    """Three classes of points in 40 dimensions, more or less apart."""
    random = np.random.default_rng(0)
    numbers = np.repeat(np.arange(3), each)
    images = ImageSet(np.arange(3 * each, dtype=np.uint8).reshape(-1, 1, 1, 1), tuple(map(str, range(3 * each))))
    found = make_task(LabelledSplit(LabelledImages(images, ("a", "b", "c"), numbers), None), protocol)
    centres = random.normal(0, 0.5, (3, 40))
    features = centres[found.numbers] + random.normal(0, 1, (3 * each, 40))
    return features.astype(np.float16), found


def test_it_is_what_liblinear_does_draw_by_draw() -> None:
    protocol = Protocol("general", per_class=15, validation=0.2, draws=3, tuning_draws=4)
    features, problem = task(protocol)
    found = run_trials(features, problem, protocol, seed=5, exact=True, tol=1e-6)
    validation, exact = problem.validation, features.astype(np.float64)

    def fitted(rows: NDArray[np.int64], c: float) -> LinearSVC:
        return LinearSVC(C=c, dual=False, tol=1e-8, max_iter=10_000).fit(exact[rows], problem.numbers[rows])

    for c, accuracy in found.path:
        right = []
        for k in range(4):
            svm = fitted(problem.draw(15, (5, 1, k)), c)
            right.append(np.mean(svm.predict(exact[validation]) == problem.numbers[validation]))
        assert accuracy == pytest.approx(np.mean(right), abs=0.01)
    assert max(found.path, key=lambda point: point[1])[1] == dict(found.path)[found.C]
    assert found.labels == 45
    for k, predicted in enumerate(found.predictions):
        svm = fitted(problem.draw(15, (5, 0, k)), found.C)
        assert np.mean(svm.predict(exact[problem.test]) == predicted) >= 0.98


def test_all_labels_are_fitted_to_with_those_of_the_validation() -> None:
    protocol = Protocol("general", per_class=None, validation=0.2, draws=1)
    features, problem = task(protocol)
    found = run_trials(features, problem, protocol, tol=1e-6)
    rows = slice(problem.training)
    svm = LinearSVC(C=found.C, dual=False, tol=1e-8).fit(features[rows].astype(float), problem.numbers[rows])
    assert np.mean(svm.predict(features[problem.test].astype(float)) == found.predictions[0]) >= 0.98
    assert found.labels == problem.training
    assert found.predictions.shape == (1, len(problem.numbers) - problem.training)


def test_c_can_be_chosen_on_fewer_labels_than_are_fitted_to() -> None:
    protocol = Protocol("general", per_class=None, validation=0.2, draws=1, tuning_per_class=20)
    features, problem = task(protocol)
    found = run_trials(features, problem, protocol, seed=4, tol=1e-6)
    rows = problem.draw(20, (4, 1, 0))
    assert found.labels == problem.training > len(rows) == 60
    validation, exact = problem.validation, features.astype(float)
    svm = LinearSVC(C=found.C, dual=False, tol=1e-8).fit(exact[rows], problem.numbers[rows])
    right = np.mean(svm.predict(exact[validation]) == problem.numbers[validation])
    assert dict(found.path)[found.C] == pytest.approx(right, abs=0.02)


def test_the_grid_goes_on_past_its_better_end_unless_it_is_exact() -> None:
    def best_at(wanted: float) -> tuple[tuple[float, float], ...]:
        return choose_c(lambda grid: [-abs(np.log(c / wanted)) for c in grid], (1e-3, 1e-2), exact=False)

    assert max(best_at(0.5), key=lambda p: p[1])[0] == 0.5
    assert max(best_at(2e-5), key=lambda p: p[1])[0] == 2e-5
    assert [c for c, _ in best_at(3e-3)] == [1e-4, 2e-4, 5e-4, 1e-3, 1e-2]
    assert len(choose_c(lambda grid: [0.0, 1.0], (1e-3, 1e-2), exact=True)) == 2
    # Of many rows the large values, which take long, are tried only as long as that is better.
    tried: list[float] = []

    def noted(grid: tuple[float, ...], wanted: float) -> list[float]:
        tried.extend(grid)
        return [-abs(np.log(c / wanted)) for c in grid]

    for wanted, last in ((2e-4, 5e-4), (1e-3, 5e-3), (1e-2, 1e-1), (2e-5, 5e-4)):
        tried.clear()
        path = choose_c(lambda grid, wanted=wanted: noted(grid, wanted), GRID, exact=False, at_once=3)
        assert max(path, key=lambda p: p[1])[0] == wanted
        assert max(tried) == last
        assert len(set(tried)) == len(tried)
    # Where nothing is ever better the search ends.
    assert len(choose_c(lambda grid: list(grid), (1e-3, 1e-2), exact=False)) < 30
