from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dcgan_viz.analysis.features.kept_trials import kept_trials
from dcgan_viz.analysis.features.svm import LinearSVM
from dcgan_viz.analysis.features.trials import Trials
from dcgan_viz.errors import UserError


def fit() -> Trials:
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(40, 6)), np.arange(40) % 3
    svm = LinearSVM(0.5).fit(features, labels)
    return Trials(svm.predict(features)[None], 0.5, ((0.1, 0.25), (0.5, 0.75)), 40, svm)


def test_what_was_kept_is_what_was_fitted_and_only_that_of_the_same_identity(tmp_path: Path) -> None:
    calls = []

    def run() -> Trials:
        calls.append(1)
        return fit()

    first = kept_trials(tmp_path, "pixels", {"seed": 1}, run)
    again = kept_trials(tmp_path, "pixels", {"seed": 1}, run)
    assert len(calls) == 1
    assert np.array_equal(first.predictions, again.predictions)
    assert (again.C, again.path, again.labels) == (first.C, first.path, first.labels)
    unseen = np.random.default_rng(1).normal(size=(30, 6))
    assert np.array_equal(first.svm.predict(unseen), again.svm.predict(unseen))
    kept_trials(tmp_path, "pixels", {"seed": 2}, run)
    assert len(calls) == 2


def test_a_damaged_file_is_a_sentence(tmp_path: Path) -> None:
    kept_trials(tmp_path, "pixels", {}, fit)
    (file,) = tmp_path.iterdir()
    with file.open("wb") as stream:
        np.savez(stream, predictions=np.zeros(3))
    with pytest.raises(UserError, match="remove it, and they are made anew"):
        kept_trials(tmp_path, "pixels", {}, fit)
