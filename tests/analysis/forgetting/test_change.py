from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.forgetting.ablation import Ablation, draw_with
from dcgan_viz.analysis.forgetting.change import (
    AnnotatedSamples,
    change_of_images,
    cross_fitted_ratio,
    measure_change,
    ratio_controls,
)
from dcgan_viz.analysis.forgetting.evidence import Evidence, gather_evidence
from dcgan_viz.data.images import to_pixels
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import find_layer
from tests.analysis.forgetting.windows import window_boxes


@pytest.fixture
def evidence(tiny_model: DCGAN) -> Evidence:
    layer = find_layer(tiny_model.generator_layers, 1)
    return gather_evidence(tiny_model, layer, window_boxes(tiny_model), "window", seed=3)


@pytest.mark.parametrize("where", ["everywhere", "object"])
def test_changes_are_those_of_drawing_every_choice_anew(evidence: Evidence, where: str) -> None:
    samples = AnnotatedSamples([evidence], Ablation(evidence.layer, (0, 3), 0.5, where))
    choices, images = [(0, 3), (1,), (2, 5, 7)], np.array([1, 4, 7])
    found = [samples.changes(maps, images) for maps in choices]
    places = torch.from_numpy(evidence.inside)
    (before,) = draw_with(evidence.model, [Ablation(evidence.layer, ())], evidence.latents)
    for maps, changes in zip(choices, found, strict=True):
        ablation = Ablation(evidence.layer, maps, 0.5, where)
        (after,) = draw_with(evidence.model, [ablation], evidence.latents, places)
        slow = change_of_images(to_pixels(before), to_pixels(after), evidence.inside_pixels)
        assert changes == pytest.approx(slow[images], abs=0.05)
    # Many choices at once take another way to the same ratio.
    ratios = [changes[:, 0].mean() / changes[:, 1].mean() for changes in found]
    assert samples.ratios(choices, images) == pytest.approx(ratios, rel=1e-4)


def test_the_controls_are_draws_of_the_right_maps(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = (1, 4, 6)
    samples = AnnotatedSamples([evidence], Ablation(evidence.layer, chosen))
    asked: list[list[list[int]]] = []
    real = samples.ratios
    monkeypatch.setattr(samples, "ratios", lambda choices, images: asked.append(list(choices)) or real(choices, images))
    controls, ratios = ratio_controls(samples, draws=30, images=4, seed=1)
    ((own, *random),) = asked
    others, everything = random[:30], random[30:]
    assert own == chosen
    assert len(everything) == 30
    assert all(len(set(draw)) == 3 and not set(draw) & set(chosen) for draw in others)
    assert {m for draw in everything for m in draw} == set(range(8))
    assert [control.source for control in controls] == ["other maps", "all maps"]
    for control, row in zip(controls, ratios, strict=True):
        assert control.ratio.value == pytest.approx(row.mean())
        assert control.percentile == pytest.approx(100 * (row < control.chosen).mean())
        assert (control.ratio.n, control.images) == (30, 4)
    # Of five chosen from eight, three others are too few.
    few, _ = ratio_controls(AnnotatedSamples([evidence], Ablation(evidence.layer, (0, 1, 2, 3, 4))), draws=3, images=2)
    assert [control.source for control in few] == ["all maps"]


def test_cross_fitted_maps_are_never_chosen_on_the_samples_they_are_tried_on(evidence: Evidence) -> None:
    samples = AnnotatedSamples([evidence], Ablation(evidence.layer, (0, 1)))
    seen: list[set[int]] = []
    tried: list[set[int]] = []
    real = samples.changes

    def choose(part: Evidence) -> tuple[int, ...]:
        seen.append(set(part.numbers.tolist()))
        return (0, 1)

    def changes(maps, images):
        tried.append(set(evidence.numbers[images].tolist()))
        return real(maps, images)

    samples.changes = changes  # type: ignore[method-assign]
    found = cross_fitted_ratio(samples, evidence, choose, repeats=2)
    assert len(seen) == len(tried) == 10
    assert all(not a & b and a | b == set(evidence.numbers.tolist()) for a, b in zip(seen, tried, strict=True))
    # The same maps in every fold: the ratio is that of all samples together.
    whole = real((0, 1)).mean(0)
    assert found.value == pytest.approx(whole[0] / whole[1])
    assert found.low < found.value < found.high


def test_samples_of_several_objects_are_united(evidence: Evidence) -> None:
    other = replace(
        evidence.part(np.array([0, 1]), 0), label="bed", inside_pixels=np.roll(evidence.inside_pixels[:2], 6, 2)
    )
    samples = AnnotatedSamples([evidence, other], Ablation(evidence.layer, (0,)))
    assert len(samples) == len(evidence.numbers)
    assert np.array_equal(samples.inside[0], evidence.inside_pixels[0] | other.inside_pixels[0])
    assert np.array_equal(samples.inside[5], evidence.inside_pixels[5])


def test_change_agrees_with_a_loop() -> None:
    random = np.random.default_rng(0)
    before, after = random.integers(0, 256, (2, 6, 8, 8, 3), dtype=np.uint8)
    inside = random.random((6, 8, 8)) < 0.3
    change = measure_change(before, after, inside)
    within, without, signed = [], [], []
    for i in range(6):
        difference = after[i].astype(int) - before[i].astype(int)
        within.append(np.abs(difference[inside[i]]).mean())
        without.append(np.abs(difference[~inside[i]]).mean())
        signed.append(difference[inside[i]].mean())
    assert change.inside.value == pytest.approx(np.mean(within))
    assert change.outside.value == pytest.approx(np.mean(without))
    assert change.brightness_inside.value == pytest.approx(np.mean(signed))
    assert change.inside.low < change.inside.value < change.inside.high
    assert change.ratio.value == pytest.approx(np.mean(within) / np.mean(without))


def test_the_ratio_of_redrawn_choices_is_that_of_drawing_them_anew(evidence: Evidence) -> None:
    """Choices that differ by few maps from the ablation's are drawn from what it leaves."""
    own, others = (0, 1, 2, 3, 4), [(0, 1, 2, 3, 6), (5,), (0, 1, 2, 3, 4, 7)]
    samples = AnnotatedSamples([evidence], Ablation(evidence.layer, own))
    (before,) = draw_with(evidence.model, [Ablation(evidence.layer, ())], evidence.latents)
    tables = []
    for maps in (own, *others):
        (after,) = draw_with(evidence.model, [Ablation(evidence.layer, maps)], evidence.latents)
        tables.append(change_of_images(to_pixels(before), to_pixels(after), evidence.inside_pixels))
        assert samples.changes(maps) == pytest.approx(tables[-1], abs=0.05)
    change = samples.change(3, others)
    assert change.ratio.value == pytest.approx(tables[0][:, 0].mean() / tables[0][:, 1].mean(), rel=1e-3)
    # Slowly: a random one of the choices, and random samples, many times over.
    random, replicates = np.random.default_rng(7), []
    for _ in range(20_000):
        table = tables[random.integers(len(tables))]
        drawn = table[random.integers(0, len(table), len(table))]
        replicates.append(drawn[:, 0].mean() / drawn[:, 1].mean())
    low, high = np.quantile(replicates, [0.025, 0.975])
    assert (change.ratio.low, change.ratio.high) == pytest.approx((low, high), rel=0.05)
    alone = samples.change(3)
    assert alone.ratio.value == change.ratio.value
    assert (change.ratio.low, change.ratio.high) != (alone.ratio.low, alone.ratio.high)
    assert "negatives" in change.ratio.how
    assert "negatives" not in alone.ratio.how
