from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dcgan_viz.analysis.quality.coverage import coverage


def clouds(seed: int, count: int, shift: float = 0.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(shift, 1, (count, 3)).astype(np.float32))


def test_it_agrees_with_a_loop() -> None:
    real, generated = clouds(0, 25), clouds(1, 30, 0.7)
    points, drawn = [p.tolist() for p in real], [p.tolist() for p in generated]

    def radius(everything: list[list[float]], k: int) -> float:
        return sorted(math.dist(everything[k], p) for p in everything)[5]

    inside = [[math.dist(r, g) < radius(points, i) for g in drawn] for i, r in enumerate(points)]
    recalled = [any(math.dist(r, g) < radius(drawn, j) for j, g in enumerate(drawn)) for r in points]
    found = coverage(real, generated)
    assert found.precision.value == pytest.approx(np.mean(np.any(inside, axis=0)))
    assert found.density.value == pytest.approx(np.sum(inside) / 5 / 30)
    assert found.coverage.value == pytest.approx(np.mean(np.any(inside, axis=1)))
    assert found.recall.value == pytest.approx(np.mean(recalled))
    assert found.density.low < found.density.value < found.density.high


def test_alike_and_apart() -> None:
    alike, apart = coverage(clouds(0, 400), clouds(1, 400)), coverage(clouds(0, 400), clouds(1, 400, 50))
    assert min(alike.precision.value, alike.recall.value, alike.coverage.value) > 0.9
    assert 0.8 < alike.density.value < 1.2
    assert (apart.precision.value, apart.recall.value, apart.density.value, apart.coverage.value) == (0, 0, 0, 0)
