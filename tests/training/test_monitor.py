from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch

from dcgan_viz.errors import UserError
from dcgan_viz.training.monitor import RECOVERED, STALLED, Changes, Health, Warned, diagnose, diversity, rank
from dcgan_viz.training.step import StepMeans

FINE = StepMeans(1.0, 1.0, 0.6, 0.4)
LOST = StepMeans(0.01, 9, 0.99, 0.01)


def test_the_spread_is_the_median_distance_of_pairs() -> None:
    images = torch.rand(5, 3, 4, 4)
    distances = [
        np.sqrt(np.mean((images[i].numpy() - images[j].numpy()) ** 2)) for i in range(5) for j in range(i + 1, 5)
    ]
    assert diversity(images) == pytest.approx(sorted(distances)[4], abs=1e-3)


def test_a_won_discriminator_is_named_with_its_numbers() -> None:
    health, changes = diagnose(Health(100, True), 200, 10**6, LOST, 0.5, 0.5)
    (sentence,) = changes.begun
    assert sentence.startswith("step 200: the discriminator has won (loss 0.010, D(x) 0.99, D(G(z)) 0.01)")
    assert health == Health(100, True, standing={"won": Warned(sentence)})


def test_a_young_run_of_grey_samples_has_not_collapsed() -> None:
    health, changes = diagnose(Health(), 100, 6_400, FINE, 0.05, 0.5)
    assert changes == Changes()
    assert health == Health(candidate=100)


def test_samples_that_were_varied_and_are_alike_have_collapsed() -> None:
    varied, _ = diagnose(Health(), 100, 6_400, FINE, 0.4, 0.5)
    assert varied == Health(varied=True, candidate=100)
    health, changes = diagnose(varied, 200, 12_800, FINE, 0.05, 0.5)
    assert health.last_healthy is None
    assert "collapsed: they differ by 0.050 a pixel where photographs differ by 0.500" in changes.begun[0]


@pytest.mark.parametrize("sample_diversity", [0.05, float("nan")])
def test_samples_that_never_became_varied_have_collapsed_too(sample_diversity: float) -> None:
    assert diagnose(Health(), 1000, 64_000, FINE, sample_diversity, 0.5)[1].begun


def history(found: list[str], health: Health | None = None, every: int = 100) -> list[tuple[Health, Changes]]:
    """A run judged at every checkpoint: w where the discriminator has won, c where the samples have collapsed."""
    health, judged = health or Health(varied=True), []
    for number, kinds in enumerate(found, 1):
        means, spread = LOST if "w" in kinds else FINE, 0.01 if "c" in kinds else 0.5
        judged.append(diagnose(health, every * number, 10**6, means, spread, 0.5))
        health = judged[-1][0]
    return judged


def test_a_checkpoint_between_two_warnings_is_not_healthy() -> None:
    judged = history(["", "", "", "c", "c", "", "c", "", "", "c"])
    assert [health.last_healthy for health, _ in judged] == [None, 100, *[200] * 8]
    # What changes nothing is not said again.
    assert [number for number, (_, changes) in enumerate(judged, 1) if changes != Changes()] == [4]


def test_a_warning_is_over_after_several_checkpoints_without_it_and_that_is_said() -> None:
    judged = history(["", "", "c", "wc", "c", *[""] * RECOVERED, "", "c"])
    said = {100 * n: (changes.begun, changes.ended) for n, (_, changes) in enumerate(judged, 1) if changes != Changes()}
    assert list(said) == [300, 400, 900, 1000, 1200]
    assert said[400][0][0].startswith("step 400: the discriminator has won")
    assert said[900] == (
        (),
        (f"step 900: the discriminator no longer wins: the last {RECOVERED} checkpoints were without that warning",),
    )
    assert said[1000][1][0].startswith("step 1000: the samples are varied again: the last 5 checkpoints")
    assert said[1200][0][0].startswith("step 1200: the samples have collapsed")
    assert [health.last_healthy for health, _ in judged][-4:] == [100, 900, 1000, 1000]
    # What stands is told with its newest numbers.
    assert judged[4][0].standing["collapsed"].sentence.startswith("step 500:")


def stands(found: list[str], kind: str) -> list[bool]:
    """Whether a warning stands after each checkpoint: one of the last few has it, or it stood and did not end yet."""
    return [any(kind in kinds for kinds in found[max(0, n - RECOVERED + 1) : n + 1]) for n in range(len(found))]


@pytest.mark.parametrize("seed", range(20))
def test_the_monitor_agrees_with_the_whole_history(seed: int) -> None:
    random = np.random.default_rng(seed)
    chances = [0.85, 0.06, 0.06, 0.03] if seed % 2 else [0.6, 0.1, 0.2, 0.1]
    found = [str(kinds) for kinds in random.choice(["", "w", "c", "wc"], 60, p=chances)]
    judged = history(found)
    standing = {kind: stands(found, kind[0]) for kind in ("won", "collapsed")}
    healthy: int | None = None
    for n, (health, changes) in enumerate(judged):
        assert set(health.standing) == {kind for kind, flags in standing.items() if flags[n]}
        begun = sum(flags[n] and not (n and flags[n - 1]) for flags in standing.values())
        ended = sum(not flags[n] and n > 0 and flags[n - 1] for flags in standing.values())
        assert (len(changes.begun), len(changes.ended)) == (begun, ended)
        calm = not any(found[max(0, n - 2) : n + 1]) and not health.standing
        healthy = 100 * n if calm and n else healthy
        assert health.last_healthy == healthy


def test_what_is_remembered_survives_a_checkpoint() -> None:
    for health, _ in history(["", "", "wc", "c", "", ""]):
        assert Health.from_dict(asdict(health)) == health


def test_the_lowest_quality_is_the_best_and_a_standstill_is_said_once_in_five() -> None:
    health, said = Health(), []
    for number, quality in enumerate([0.5, float("nan"), 0.3, 0.3, 0.4, 0.4, 0.4, 0.35, *[0.4] * 5, 0.2, 0.2], 1):
        health, sentence = rank(health, 100 * number, quality)
        if sentence is not None:
            said.append((number, sentence))
    assert (health.best, health.best_quality, health.since_best) == (1400, 0.2, 1)
    assert [number for number, _ in said] == [3 + STALLED, 3 + 2 * STALLED]
    assert "0.35 now, and none of the last 5 checkpoints was better than step 300 (0.3)" in said[0][1]


def test_judging_keeps_what_is_known_of_the_best() -> None:
    health, _ = diagnose(Health(best=100, best_quality=0.3, since_best=2), 200, 10**6, FINE, 0.5, 0.5)
    assert health == Health(None, True, 100, 0.3, 2, 200)


@pytest.mark.parametrize("data", [None, {"best": "x"}, {"unknown": 1}, [1], {"standing": {"lost": {"sentence": "x"}}}])
def test_what_a_checkpoint_says_of_its_health_is_checked(data: object) -> None:
    with pytest.raises(UserError, match="does not say how the run was"):
        Health.from_dict(data)
