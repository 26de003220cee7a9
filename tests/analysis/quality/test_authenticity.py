from __future__ import annotations

import math

import numpy as np
import pytest

from dcgan_viz.analysis.quality.authenticity import authenticity


def test_it_agrees_with_a_loop() -> None:
    random = np.random.default_rng(0)
    real, generated = (random.normal(size=(n, 3)).astype(np.float32) for n in (30, 25))
    authentic = 0
    for sample in generated.tolist():
        distances = [math.dist(sample, image) for image in real.tolist()]
        nearest = int(np.argmin(distances))
        own = min(math.dist(real[nearest], image) for k, image in enumerate(real.tolist()) if k != nearest)
        authentic += distances[nearest] > own
    assert authenticity(real, generated).value == pytest.approx(authentic / 25)


def test_it_is_near_a_half_for_one_distribution() -> None:
    random = np.random.default_rng(0)
    real, generated = (random.normal(size=(500, 3)).astype(np.float32) for _ in range(2))
    assert 0.4 < authenticity(real, generated).value < 0.6
