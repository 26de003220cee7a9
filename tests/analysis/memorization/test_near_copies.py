from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.stats import binomtest, fisher_exact

from dcgan_viz.analysis.memorization.near_copies import NEAR, SIGNIFICANCE, detectable_share, near_copies


def distances(near: int, count: int) -> np.ndarray:
    return np.concatenate([np.full(near, NEAR / 2), np.full(count - near, 0.9)]).astype(np.float32)


def test_near_samples_are_counted_and_tested_exactly() -> None:
    found = near_copies("pixels", distances(12, 200), distances(3, 150), distances(4, 150))
    interval = binomtest(12, 200).proportion_ci(0.95, method="exact")
    assert (found.samples.near, found.samples.images, found.samples.share.value) == (12, 200, 0.06)
    assert (found.samples.share.low, found.samples.share.high) == pytest.approx((interval.low, interval.high))
    # The reference that explains more of it counts.
    expected = fisher_exact([[12, 188], [4, 146]], alternative="greater").pvalue
    assert found.p_value == pytest.approx(expected)
    assert found.usual.near == 4
    none, alike = (near_copies("pixels", distances(k, 50), distances(k, 50), distances(k, 50)) for k in (0, 50))
    assert (none.samples.share.value, none.samples.share.low, none.p_value) == (0, 0, 1)
    assert (alike.samples.share.value, alike.samples.share.high, alike.p_value) == (1, 1, 1)


def test_the_verdict_is_seldom_false() -> None:
    """Samples that are near as often as the reference are called copies in less than 1 of 100 trials."""

    @cache
    def is_called(near: int, usual: int) -> bool:
        return near_copies("pixels", distances(near, 500), distances(usual, 400), distances(0, 400)).copies

    random = np.random.default_rng(0)
    for share in (0.005, 0.03):
        called = [is_called(*random.binomial([500, 400], share).tolist()) for _ in range(1000)]
        assert np.mean(called) < SIGNIFICANCE


@pytest.mark.parametrize(("references", "near_references", "recognised"), [(500, 0, 1.0), (500, 4, 1.0), (64, 0, 0.7)])
def test_the_power_is_what_planted_copies_show(references: int, near_references: int, recognised: float) -> None:
    """Over sets of references of which as many may be near as these let one expect."""
    share = detectable_share(600, references, near_references, recognised)
    assert share is not None
    random = np.random.default_rng(0)

    @cache
    def is_called(near: int, usual: int) -> bool:
        reference = distances(usual, references)
        return near_copies("pixels", distances(near, 600), reference, reference).copies

    def found(planted: float) -> float:
        near = random.binomial(600, planted * recognised, 400)
        usual = random.beta(near_references + 0.5, references - near_references + 0.5, 400)
        others = random.binomial(references, usual)
        return float(np.mean([is_called(int(k), int(o)) for k, o in zip(near, others, strict=True)]))

    assert found(share) == pytest.approx(0.8, abs=0.05)
    assert found(share / 2) < 0.5
    assert found(2 * share) > 0.9


def test_copies_that_could_never_be_found_have_no_share() -> None:
    assert detectable_share(100, 1, 0) is None
    assert detectable_share(100, 100, 100) is None
    assert detectable_share(100, 100, 0, recognised=0.0) is None
    assert detectable_share(100, 100, 0, recognised=0.01) is None


def test_of_few_training_images_what_is_near_by_chance_counts() -> None:
    samples, usual = distances(36, 400), distances(14, 400)
    assert near_copies("features", samples, usual, usual).copies
    sets = [distances(near, 400) for near in (11, 30, 12)]
    among = near_copies("features", samples, usual, usual, sets)
    assert among.by_chance is not None
    assert among.usual == among.by_chance
    assert (among.by_chance.near, among.by_chance.images, among.copies) == (30, 400, False)
    assert near_copies("features", distances(300, 400), usual, usual, sets).copies
    # Without any such sets, of 64 references none is near, and up to 4 might be.
    none = distances(0, 64)
    assert near_copies("features", samples, none, none).copies
    cautious = near_copies("features", samples, none, none, [])
    assert cautious.by_chance is not None
    assert (cautious.by_chance.near, cautious.by_chance.images, cautious.copies) == (4, 64, False)
    assert near_copies("features", distances(300, 400), none, none, []).copies
