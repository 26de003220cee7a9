from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dcgan_viz.analysis.memorization.two_sample import two_sample_test


def clouds(seed: int, count: int, shift: float = 0.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(shift, 1, (count, 3)).astype(np.float32))


def test_it_agrees_with_a_loop() -> None:
    real, generated = clouds(0, 30), clouds(1, 30, 1.0)
    both = [p.tolist() for p in (*real, *generated)]
    own = []
    for i, a in enumerate(both):
        j = min((k for k in range(60) if k != i), key=lambda k, a=a: math.dist(a, both[k]))
        own.append((i < 30) == (j < 30))
    test = two_sample_test(real, generated)
    assert (test.real.value, test.generated.value) == pytest.approx((np.mean(own[:30]), np.mean(own[30:])))
    assert test.real.low < test.real.value < test.real.high


def test_alike_copied_and_apart() -> None:
    real, other = clouds(0, 200), clouds(1, 200)
    alike = two_sample_test(real, other)
    assert alike.null.low < alike.real.value < alike.null.high
    assert alike.p_value > 0.05
    copied = two_sample_test(real, real + 1e-4)
    assert copied.real.value == copied.generated.value == 0
    apart = two_sample_test(real, other + 100)
    assert apart.real.value == apart.generated.value == 1
    assert copied.p_value < 0.001
    assert apart.p_value < 0.001


def test_the_null_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal distributions are told apart at 5 % in about 5 of 100 trials, and the null covers about 95 accuracies."""
    monkeypatch.setattr("dcgan_viz.analysis.memorization.two_sample.PERMUTATIONS", 200)
    tests = [two_sample_test(clouds(2 * k, 60), clouds(2 * k + 1, 60)) for k in range(100)]
    assert np.mean([t.p_value < 0.05 for t in tests]) <= 0.12
    assert 0.88 <= np.mean([t.null.low <= t.generated.value <= t.null.high for t in tests])
    assert two_sample_test(clouds(0, 60), clouds(1, 60)) == tests[0]
