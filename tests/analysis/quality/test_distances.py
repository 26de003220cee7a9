from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from dcgan_viz.analysis.quality.distances import BLOCKS, frechet_distance, frechet_estimate, kernel_estimate


def clouds(seed: int, count: int, shift: float = 0.0) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return random.normal(size=(count, 4)) @ random.normal(size=(4, 4)) + shift


def test_the_frechet_distance_is_that_of_the_formula_with_a_matrix_root() -> None:
    real, generated = clouds(0, 60), clouds(1, 50, 0.5)
    first, second = np.cov(real.T), np.cov(generated.T)
    shift = real.mean(0) - generated.mean(0)
    expected = shift @ shift + np.trace(first + second - 2 * np.real(sqrtm(first @ second)))
    assert frechet_distance(real, generated) == pytest.approx(expected, rel=1e-9)


def test_the_frechet_distance_of_a_set_to_itself_is_nothing_even_where_features_never_vary() -> None:
    points = clouds(0, 30)
    points[:, 2] = 1.0
    assert frechet_distance(points, points) == pytest.approx(0, abs=1e-6)


def plain_kernel_distance(real: NDArray[np.float64], generated: NDArray[np.float64]) -> float:
    def kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    def within(points: NDArray[np.float64]) -> float:
        pairs = [kernel(x, y) for i, x in enumerate(points) for j, y in enumerate(points) if i != j]
        return float(np.mean(pairs))

    between = np.mean([kernel(x, y) for x in real for y in generated])
    return 1000 * (within(real) + within(generated) - 2 * float(between))


def test_the_kernel_distance_and_its_interval_are_those_of_loops() -> None:
    real, generated = clouds(0, 45), clouds(1, 50, 0.5)
    found = kernel_estimate(real, generated)
    assert found.value == pytest.approx(plain_kernel_distance(real, generated), rel=1e-4)
    left_out = np.array(
        [
            plain_kernel_distance(
                np.delete(real, slice(k, None, BLOCKS), axis=0), np.delete(generated, slice(k, None, BLOCKS), axis=0)
            )
            for k in range(BLOCKS)
        ]
    )
    error = np.sqrt((BLOCKS - 1) / BLOCKS * ((left_out - left_out.mean()) ** 2).sum())
    # 2.093 is the 97.5 % point of Student's t with 19 degrees of freedom.
    assert found.high - found.value == pytest.approx(2.093 * error, rel=1e-3)


def test_the_kernel_distances_interval_holds_nothing_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        interval = kernel_estimate(random.normal(size=(100, 4)), random.normal(size=(100, 4)))
        held += interval.low < 0 < interval.high
    assert 180 <= held <= 199


def test_both_distances_rise_with_the_shift() -> None:
    near, far = (clouds(0, 100), clouds(0, 100) + 0.3), (clouds(0, 100), clouds(0, 100) + 1)
    assert frechet_estimate(*near).value < frechet_estimate(*far).value
    assert kernel_estimate(*near).value < kernel_estimate(*far).value
