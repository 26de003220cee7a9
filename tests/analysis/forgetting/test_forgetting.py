from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from dcgan_viz.analysis.forgetting.ablation import draw_with
from dcgan_viz.analysis.forgetting.automatic_boxes import automatic_boxes
from dcgan_viz.analysis.forgetting.change import AnnotatedSamples, Change
from dcgan_viz.analysis.forgetting.effects import DIMMED, PAPER
from dcgan_viz.analysis.forgetting.forgetting import NEGATIVES, blind_trial, forget
from dcgan_viz.analysis.forgetting.ranking_registry import RANKINGS
from dcgan_viz.analysis.forgetting.rankings import choose_maps, maps_that_matter_more
from dcgan_viz.annotations.boxes import Annotations, merge_annotations
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.figures.forgetting.forgetting import forgetting_figure
from dcgan_viz.figures.forgetting.replacements import replacements_figure
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import find_layer
from dcgan_viz.statistics import Seed
from tests.analysis.forgetting.windows import draw_without, window_boxes


@pytest.fixture
def annotations(tiny_model: DCGAN) -> Annotations:
    return window_boxes(tiny_model)


def test_strength_scales_the_maps(tiny_model: DCGAN, annotations: Annotations) -> None:
    z = tiny_model.latents(5, 3)
    layer = find_layer(tiny_model.generator_layers, 2)
    (half,) = draw_without(tiny_model, layer, [(1, 3)], z, 0.5)
    maps = tiny_model.activations(z, layer.number)
    maps[:, 1] /= 2
    maps[:, 3] /= 2
    assert torch.allclose(half, tiny_model.generator.layers[2](maps), atol=1e-5)
    result = forget(tiny_model, annotations=annotations, layer=2, samples=2, strength=0.5, negatives="matched")
    assert result.ablation.done == "multiplied by 0.5 everywhere"
    assert result.settings["negatives"] == "matched"
    for strength in (0.0, 1.5):
        with pytest.raises(UserError, match="out of range"):
            forget(tiny_model, annotations=annotations, strength=strength)


def test_forgetting_holds_together_and_reproduces(tiny_model: DCGAN, annotations: Annotations) -> None:
    result = forget(tiny_model, annotations=annotations, layer=2, samples=10, seed=5)
    again = forget(tiny_model, annotations=annotations, layer=2, samples=10, seed=5)
    assert result.numbers() == again.numbers()
    for name, array in result.arrays().items():
        assert np.array_equal(array, again.arrays()[name])
    assert result.maps == choose_maps(result.weights[0])
    assert all(result.weights[0, list(result.maps)] > 0)
    assert len(result.control_maps) == len(set(result.control_maps)) == len(result.maps)
    assert result.before.shape == (10, 16, 16, 3)
    assert result.before.dtype == np.uint8
    assert (result.objects[0].boxes, result.objects[0].annotated_images) == (10, 10)
    assert result.effects == ()
    layer = find_layer(tiny_model.generator_layers, 2)
    drawn = draw_without(tiny_model, layer, [result.maps], tiny_model.latents(10, 5))[0]
    assert np.abs(((drawn + 1) * 127.5).permute(0, 2, 3, 1).numpy() - result.after).max() <= 0.51
    assert not any(m._forward_hooks for m in tiny_model.generator.modules())
    assert forget(tiny_model, annotations=annotations, layer=2, top=1, samples=2, seed=5).maps == result.maps[:1]


@pytest.mark.parametrize("ranking", ["iou", "difference", "causal"])
def test_other_rankings_choose_as_many_maps(tiny_model: DCGAN, annotations: Annotations, ranking: str) -> None:
    paper = forget(tiny_model, annotations=annotations, layer=1, samples=2)
    other = forget(tiny_model, annotations=annotations, layer=1, samples=2, ranking=ranking)
    assert len(other.maps) == len(paper.maps)
    assert other.objects[0].auc == paper.objects[0].auc
    scores = other.scores[0]
    assert list(scores[list(other.maps)]) == sorted(scores, reverse=True)[: len(other.maps)]
    assert other.score_axis == RANKINGS[ranking].axis
    assert f"rank highest by {ranking}" in forgetting_figure(other).said.replace("\n", " ")
    assert forgetting_figure(other).axes[-2].get_ylabel() != forgetting_figure(paper).axes[-2].get_ylabel()


def test_the_interval_of_the_ratio_contains_other_negatives(
    tiny_model: DCGAN, annotations: Annotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The choices that are drawn beside the ablation are those of scikit-learn on negatives that are drawn here."""
    seen: list[list[tuple[int, ...]]] = []
    real = AnnotatedSamples.change

    def change(self: AnnotatedSamples, seed: Seed, redrawn: list[tuple[int, ...]]) -> Change:
        seen.append(redrawn)
        return real(self, seed, redrawn)

    monkeypatch.setattr(AnnotatedSamples, "change", change)
    result = forget(tiny_model, annotations=annotations, layer=2, samples=2, seed=5)
    (redrawn,) = seen
    evidence = result.evidence[0]
    for number, maps in enumerate(redrawn):
        random = np.random.default_rng((5, NEGATIVES, number, 1))
        rows, labels = [], []
        for image, inside in zip(evidence.maps, evidence.inside, strict=True):
            places = [(y, x) for y in range(len(inside)) for x in range(len(inside))]
            within = [place for place in places if inside[place]]
            without = np.array([y * len(inside) + x for y, x in places if not inside[y, x]])
            others = [places[k] for k in random.permutation(without)[: len(within)]]
            rows += [image[:, y, x] for y, x in within + others]
            labels += [True] * len(within) + [False] * len(others)
        features = np.array(rows, np.float64)
        deviation = features.std(0)
        deviation[deviation == 0] = 1
        weights = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(features / deviation, labels).coef_[0]
        assert set(maps) == set(np.flatnonzero(weights > 0).tolist())
    assert len({frozenset(maps) for maps in redrawn} | {frozenset(result.maps)}) > 1
    assert result.change.ratio.how == "95 % bootstrap over annotated samples and negatives"
    # Matched negatives are always the same.
    matched = forget(tiny_model, annotations=annotations, layer=2, samples=2, negatives="matched")
    assert matched.change.ratio.how == "95 % bootstrap over annotated samples"


def test_the_boxed_samples_go_from_the_most_to_the_least_changed(tiny_model: DCGAN, annotations: Annotations) -> None:
    result = forget(tiny_model, annotations=annotations, layer=1, top=3, samples=2)
    assert list(result.boxed_changes) == sorted(result.boxed_changes, reverse=True)
    latents = tiny_model.latents(annotations.count, annotations.seed)
    before, after = (to_pixels(p) for p in draw_with(tiny_model, [result.ablation.of(()), result.ablation], latents))
    changes = {}
    for box in annotations.boxes:
        rows = slice(int(box.top), int(box.top + box.height))
        columns = slice(int(box.left), int(box.left + box.width))
        difference = after[box.image].astype(float) - before[box.image]
        changes[box.image] = np.abs(difference[rows, columns]).mean()
    order = sorted(changes.values(), reverse=True)
    assert result.boxed_changes[[0, -1]] == pytest.approx([order[0], order[-1]], abs=0.2)
    figure = forgetting_figure(result)
    said = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert [words for words in said if words.startswith("inside")] == [
        f"inside {change:.0f} / 255" for change in result.boxed_changes
    ]


@pytest.mark.slow
def test_several_objects_and_some_to_keep(
    tiny_model: DCGAN, tiny_segmenter: Segmenter, annotations: Annotations
) -> None:
    boxes = automatic_boxes(tiny_model, tiny_segmenter, count=40, seed=11)
    window, bed, both = (
        forget(tiny_model, objects, annotations=boxes, layer=1, top=3, samples=2)
        for objects in ("window", "bed", ("window", "bed"))
    )
    assert both.maps == tuple(dict.fromkeys((*window.maps, *bed.maps)))
    assert both.names == "window and bed"
    assert both.scores.shape == (2, 8)
    kept = forget(tiny_model, "window", annotations=boxes, keep=["bed"], layer=1, samples=2)
    expected = maps_that_matter_more(bed.scores[0], window.scores[0])
    assert kept.kept_maps == expected
    assert expected
    assert not set(kept.maps) & set(expected)
    assert set(kept.maps) == {m for m in range(8) if window.scores[0, m] > 0 and m not in expected}
    forgetting_figure(both)
    with pytest.raises(UserError, match="forgotten and kept at once"):
        forget(tiny_model, "window", annotations=boxes, keep=["window"])
    parts = [replace(boxes, boxes=boxes.of(label), looked_for=(label,)) for label in ("window", "bed")]
    assert set(merge_annotations(parts).boxes) == set(boxes.boxes)
    with pytest.raises(UserError, match="on other samples"):
        merge_annotations([parts[0], replace(parts[1], seed=12)])


def test_what_ranks_does_not_measure_where_there_is_a_judge(
    tiny_model: DCGAN, tiny_segmenter: Segmenter, annotations: Annotations
) -> None:
    options = {
        "measured_samples": 40,
        "annotations": annotations,
        "layer": 1,
        "top": 2,
        "samples": 2,
        "ranking": "causal",
        "segmenter": tiny_segmenter,
    }
    alone = forget(tiny_model, **options)
    assert alone.settings["measured_by"] == "the same segmenter that the maps were chosen with"
    # A judge that calls everything what the first calls it, but is another.
    judged = forget(tiny_model, **options, judge=replace(tiny_segmenter))
    assert judged.settings["measured_by"] == "a segmenter that had no part in the choice"
    assert judged.effects == alone.effects
    ignorant = replace(tiny_segmenter, card=replace(tiny_segmenter.card, objects=("lamp", "bed")))
    with pytest.raises(UserError, match="knows no 'window'"):
        forget(tiny_model, **options, judge=ignorant)


@pytest.mark.slow
def test_a_segmenter_measures_what_was_done(
    tiny_model: DCGAN, tiny_segmenter: Segmenter, annotations: Annotations
) -> None:
    options = {"layer": 1, "top": 3, "samples": 4, "measured_samples": 90}
    result = forget(tiny_model, annotations=annotations, segmenter=tiny_segmenter, **options)
    paper = tuple(m for m in np.argsort(-result.weights[0]) if result.weights[0][m] > 0)
    assert [effect.choice for effect in result.effects] == [
        "chosen maps",
        "random maps",
        "activation-matched maps",
        *([PAPER] if set(paper) != set(result.maps) else []),
        DIMMED,
    ]
    assert [effect.maps for effect in result.effects if effect.choice == PAPER] == [len(paper)]
    assert result.seen == ("background", "window", "bed")
    assert result.settings["measured_by"] == "a segmenter that had no part in the choice"
    assert result.replacements("window").startswith("where window was: ")
    replacements_figure(result)
    # The random maps of a blind trial are others in each picture.
    assert not np.array_equal(result.controls_drawn, result.control)
    trial = blind_trial(result)
    shown = trial.pictures[trial.condition == 2][np.argsort(trial.pair[trial.condition == 2])]
    assert np.array_equal(shown, result.controls_drawn)
    assert result.effects[0].margin.value == 0
    there = forget(
        tiny_model, annotations=annotations, layer=1, top=3, samples=4, segmenter=tiny_segmenter, where="object"
    )
    assert there.ablation.done == "zeroed where the object is"
    # Fewer positions are zeroed, so less changes.
    assert there.effects[0].feature_distance.value < result.effects[0].feature_distance.value
    assert there.change.outside.value < result.change.outside.value
    forgetting_figure(result)
    with pytest.raises(UserError, match="needs a segmenter"):
        forget(tiny_model, annotations=annotations, where="object")


def test_what_cannot_be_done_is_refused(tiny_model: DCGAN, annotations: Annotations) -> None:
    with pytest.raises(UserError, match="other weights"):
        forget(tiny_model, annotations=replace(annotations, generator_digest="0" * 64))
    with pytest.raises(UserError, match="choose from window"):
        forget(tiny_model, "door", annotations=annotations)
    with pytest.raises(UserError, match="is the image itself"):
        forget(tiny_model, annotations=annotations, layer=3)
    with pytest.raises(UserError, match=r"no layer 9: choose from 1: project"):
        forget(tiny_model, annotations=annotations, layer=9)
    with pytest.raises(UserError, match="seed 11 draws the annotated samples"):
        forget(tiny_model, annotations=annotations, seed=11)
    with pytest.raises(UserError, match="has 4 maps"):
        forget(tiny_model, annotations=annotations, layer=2, top=5)
    with pytest.raises(UserError, match="annotate more"):
        forget(tiny_model, annotations=replace(annotations, boxes=annotations.boxes[:4]))
    with pytest.raises(UserError, match="no map a positive weight"):
        choose_maps(np.array([-1.0, 0.0]))
