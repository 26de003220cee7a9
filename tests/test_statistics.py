from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest

from dcgan_viz.statistics import (
    Estimate,
    Interval,
    bootstrap_estimate,
    crossed_estimate,
    estimate_of,
    middle,
    paired_difference,
    probability,
    resampled_means,
    resampled_units,
    share_estimate,
    stream,
)

CRITICAL = 1.959964


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (57, 300)])
def test_wilsons_interval_is_where_the_score_test_does_not_reject(successes: int, trials: int) -> None:
    shares = np.linspace(0, 1, 200_001)
    distance = np.abs(successes / trials - shares)
    accepted = shares[distance <= CRITICAL * np.sqrt(shares * (1 - shares) / trials)]
    found = share_estimate(successes, trials)
    assert (found.value, found.n) == (successes / trials, trials)
    assert (found.low, found.high) == pytest.approx((accepted.min(), accepted.max()), abs=2e-5)


@pytest.mark.parametrize("method", ["wilson", "exact"])
def test_intervals_of_shares_are_those_of_scipy(method: Literal["wilson", "exact"]) -> None:
    for successes, trials in [(0, 1), (1, 1), (0, 10), (3, 10), (9, 10), (10, 10), (57, 300), (9999, 10_000)]:
        expected = binomtest(successes, trials).proportion_ci(0.95, method=method)
        found = share_estimate(successes, trials, method=method)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("gained", "lost", "pairs"), [(0, 0, 38), (9, 2, 40), (0, 5, 20), (12, 12, 50), (5, 0, 5), (0, 7, 7), (1, 0, 1)]
)
def test_the_paired_interval_is_where_the_score_test_does_not_reject(gained: int, lost: int, pairs: int) -> None:
    """The restricted likelihood is maximised numerically at every difference."""

    def score(difference: float) -> float:
        def against(share_lost: float) -> float:
            cells = [share_lost + difference, share_lost, 1 - difference - 2 * share_lost]
            return -sum(
                count * np.log(max(cell, 1e-300))
                for count, cell in zip((gained, lost, pairs - gained - lost), cells, strict=True)
            )

        bounds = (max(0.0, -difference), (1 - difference) / 2)
        share = minimize_scalar(against, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x
        return (gained - lost - pairs * difference) / np.sqrt(pairs * (2 * share + difference * (1 - difference)))

    found = paired_difference(gained, lost, pairs)
    differences = np.linspace(-1, 1, 1001)[1:-1]
    accepted = differences[[abs(score(d)) <= CRITICAL for d in differences]]
    assert found.value == (gained - lost) / pairs
    assert (found.low, found.high) == pytest.approx((accepted.min(), accepted.max()), abs=0.005)
    assert found.low < found.high


def test_turned_around_a_paired_difference_changes_its_sign() -> None:
    first, second = paired_difference(9, 2, 40), paired_difference(2, 9, 40)
    assert (first.low, first.high) == pytest.approx((-second.high, -second.low), abs=1e-9)


def test_the_bootstrap_of_a_mean_is_that_of_a_loop() -> None:
    values = np.random.default_rng(0).exponential(size=60)
    found = bootstrap_estimate(values, seed=1, over="walks")
    random = np.random.default_rng(2)
    slow = [np.mean([values[random.integers(60)] for _ in range(60)]) for _ in range(3000)]
    assert found.value == values.mean()
    assert (found.low, found.high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.03)
    assert (found.n, found.how) == (60, "95 % bootstrap over walks")
    again = estimate_of(values.mean(), resampled_means(values[:, None], seed=3)[:, 0], 60)
    assert (again.low, again.high) == pytest.approx((found.low, found.high), abs=0.03)
    units = resampled_units(60, lambda chosen: float(values[chosen].mean()), seed=4)
    assert (units.low, units.high) == pytest.approx((found.low, found.high), abs=0.03)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_values_have_no_interval(count: int) -> None:
    found = bootstrap_estimate(np.full(count, 3.0))
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(found.value) if count == 0 else found.value == 3
    assert np.isnan(share_estimate(0, 0).value)
    assert np.isnan(paired_difference(0, 0, 0).low)


def test_what_is_no_number_is_left_out_of_the_middle() -> None:
    assert middle(np.array([np.nan, 1.0, 1.0])) == Interval(1.0, 1.0)
    assert np.isnan(middle(np.array([np.nan])).low)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (".2f", "0.12 [-0.00, 0.25]"),
        (".1f", "0.1 [0.0, 0.3]"),
        (".0%", "12 % [0, 25]"),
        ("+.1%", "+12.3 % [-0.3, +25.4]"),
        (".3g", "0.123 [-0.0034, 0.254]"),
    ],
)
def test_an_estimate_is_written_with_its_interval(spec: str, text: str) -> None:
    written = format(Estimate(0.123, -0.0034, 0.254, 9, "how"), spec)
    assert written == text.replace("-0.00,", "0.00,")


def test_streams_of_neighbouring_seeds_have_nothing_in_common() -> None:
    seeds = {stream(seed, number) for seed in range(5) for number in range(5)}
    drawn = {np.random.default_rng(seed).random() for seed in seeds}
    assert len(drawn) == len(seeds) == 25


def test_a_table_is_resampled_in_both_directions() -> None:
    random = np.random.default_rng(0)
    effects, images = random.normal(0, 1, 20), random.normal(0, 1, 400)
    found = crossed_estimate(effects[:, None] + images, over="draws and images")
    # The standard error is that of the mean of 20 rows and that of 400 columns, however many entries there are.
    expected = 1.96 * np.sqrt(effects.var() / 20 + images.var() / 400)
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.08)
    alone = crossed_estimate(images[None], over="images")
    assert (alone.high - alone.low) / 2 == pytest.approx(1.96 * images.std() / 20, rel=0.08)
    assert found == crossed_estimate(effects[:, None] + images, over="draws and images")


def test_p_values_are_written_in_one_place_with_two_significant_digits() -> None:
    values = (1.0, 0.895, 0.015, 0.0025, 1e-12, 0.0)
    assert [probability(value) for value in values] == [
        "p = 1.0", "p = 0.90", "p = 0.015", "p = 0.0025", "p = 1.0e-12", "p < 1e-99",
    ]  # fmt: skip
    root = Path(__file__).parents[1]
    sources = [file for folder in ("dcgan_viz", "cli") for file in (root / folder).rglob("*.py")]
    assert len(sources) > 100
    formatted = re.compile(r"\{[\w.]*\bp_(value|with_unclear)\b[^{}]*:|p = \{")
    found = [str(file) for file in sources if formatted.search(file.read_text(encoding="utf-8"))]
    assert found == [str(root / "dcgan_viz" / "statistics.py")]
