from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn.cluster import KMeans
from torch import Tensor

from dcgan_viz.analysis.memorization.data_copying import DataCopying, data_copying


def clouds(seed: int, count: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 1, (count, 3)).astype(np.float32))


def run(training: Tensor, held_out: Tensor, samples: Tensor, seed: int = 0) -> DataCopying | None:
    distances = [torch.cdist(x, training).amin(1).numpy() for x in (held_out, samples)]
    return data_copying(training, held_out, samples, *distances, seed=seed)


def test_it_agrees_with_scipy_cell_by_cell() -> None:
    training, held_out, samples = clouds(0, 400), clouds(1, 300), clouds(2, 350) * 1.2
    near, drawn_near = (torch.cdist(x, training).amin(1).numpy() for x in (held_out, samples))
    cells = KMeans(10, n_init=3, random_state=0).fit(training.numpy())
    total = mass = nearer = used = 0.0
    for cell in range(10):
        real = near[cells.predict(held_out.numpy()) == cell]
        drawn = drawn_near[cells.predict(samples.numpy()) == cell]
        m, n = len(real), len(drawn)
        if min(m, n) < 20:
            continue
        u = mannwhitneyu(drawn, real).statistic
        total += m * (u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12)
        nearer += m * np.mean([d < r for d, r in itertools.product(drawn, real)])
        mass, used = mass + m, used + 1
    found = run(training, held_out, samples)
    assert found is not None
    assert found.statistic.value == pytest.approx(total / mass)
    assert found.nearer.value == pytest.approx(nearer / mass)
    assert found.cells == used
    assert found.statistic.low < found.statistic.value < found.statistic.high


def test_it_has_the_sign_of_meehan() -> None:
    training, held_out = clouds(0, 1000), clouds(1, 600)
    alike = run(training, held_out, clouds(2, 600))
    copied = run(training, held_out, training[:600] + 0.01)
    far = run(training, held_out, clouds(3, 600) * 2.5)
    assert alike is not None
    assert copied is not None
    assert far is not None
    assert alike.null.low < alike.statistic.value < alike.null.high
    assert copied.statistic.value < -5
    assert copied.p_value < 0.002
    assert copied.nearer.value > 0.95
    assert far.statistic.value > 3
    assert far.p_value > 0.99
    assert run(training, held_out[:5], training[:5]) is None
    assert run(training, held_out, clouds(2, 600)) == alike


def test_the_null_and_the_interval_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples like held-out images are called too near at 5 % in about 5 of 100 trials; half is in most intervals."""
    monkeypatch.setattr("dcgan_viz.analysis.memorization.data_copying.RESAMPLES", 200)
    training = clouds(0, 200)
    found = [run(training, clouds(2 * k + 1, 400), clouds(2 * k + 2, 400), seed=k) for k in range(30)]
    assert np.mean([f is not None and f.p_value < 0.05 for f in found]) <= 0.2
    covered = [f is not None and f.nearer.low <= 0.5 <= f.nearer.high for f in found]
    assert np.mean(covered) >= 0.85
