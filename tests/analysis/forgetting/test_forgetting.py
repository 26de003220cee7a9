from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.forgetting.ablation import Ablation, draw_scaled, draw_with, edited, paper_layer, scaled
from dcgan_viz.analysis.forgetting.automatic_boxes import automatic_boxes
from dcgan_viz.analysis.forgetting.change import measure_change
from dcgan_viz.analysis.forgetting.controls import matched_factors, random_factors
from dcgan_viz.analysis.forgetting.effects import DIMMED, PAPER
from dcgan_viz.analysis.forgetting.evidence import Evidence, gather_evidence
from dcgan_viz.analysis.forgetting.forgetting import blind_trial, forget
from dcgan_viz.analysis.forgetting.probe import fit_all, fit_probe, gather_positions
from dcgan_viz.analysis.forgetting.ranking_registry import RANKINGS
from dcgan_viz.analysis.forgetting.rankings import choose_maps, maps_that_matter_more, score_maps
from dcgan_viz.annotations.boxes import Annotations, Box, merge_annotations
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.figures.forgetting.forgetting import forgetting_figure
from dcgan_viz.figures.forgetting.replacements import replacements_figure
from dcgan_viz.judges.segmenter import Segmenter, segment
from dcgan_viz.model import DCGAN
from dcgan_viz.networks import dcgan
from dcgan_viz.networks.layers import Layer, find_layer


def draw_without(model: DCGAN, layer: Layer, choices: list, latents: torch.Tensor, strength: float = 1.0) -> list:
    """Pictures without each of several choices of maps."""
    return draw_with(model, [Ablation(layer, tuple(maps), strength) for maps in choices], latents)


@pytest.fixture
def annotations(tiny_model: DCGAN) -> Annotations:
    boxes = tuple(Box(i, "window", 1, 1 + i % 3, 6, 5) for i in range(0, 20, 2))
    digest = tiny_model.generator_digest()
    return Annotations(boxes, ("window",), 20, 11, 16, digest, "a tester", "by hand")


def test_the_papers_layer_is_the_16x16_one(make_model: Callable[..., DCGAN]) -> None:
    layer = paper_layer(make_model(dcgan(64, width=4)))
    assert (layer.number, layer.size, layer.channels) == (3, 16, 8)


def test_ablation_equals_a_forward_hook_that_zeroes(tiny_model: DCGAN) -> None:
    """The independent way: leave the network whole and overwrite the layer's output."""
    z = tiny_model.latents(70, 3)
    layer = find_layer(tiny_model.generator_layers, 2)
    untouched, without, empty = draw_without(tiny_model, layer, [(), (1, 3), (0, 1, 2, 3)], z)

    def zero(_module: torch.nn.Module, _inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        for image in range(len(output)):
            for index in (1, 3):
                output[image, index] = torch.zeros_like(output[image, index])
        return output

    handle = tiny_model.generator.layers[1].register_forward_hook(zero)
    with torch.no_grad():
        expected = tiny_model.generator(z)
    handle.remove()
    assert torch.allclose(without, expected, atol=1e-5)
    assert torch.allclose(untouched, tiny_model.generate(z), atol=1e-5)
    assert not torch.allclose(without, untouched, atol=1e-2)
    # With every map of the layer gone nothing of z is left: all images are the same.
    assert torch.allclose(empty, empty[:1].expand_as(empty), atol=1e-5)


def test_feature_maps_are_those_after_the_rectifier(tiny_model: DCGAN) -> None:
    z = tiny_model.latents(4, 0)
    for layer in tiny_model.generator_layers:
        seen: list[torch.Tensor] = []
        module = tiny_model.generator.get_submodule(layer.name)
        handle = module.register_forward_hook(lambda *args, seen=seen: seen.append(args[2]))
        tiny_model.generator(z)
        handle.remove()
        maps = tiny_model.activations(z, layer.number)
        assert torch.equal(maps, seen[0])
        assert maps.shape[1:] == (layer.channels, layer.size, layer.size)
        assert layer.activation == "tanh" or maps.min() >= 0


def test_positions_agree_with_a_loop() -> None:
    random = np.random.default_rng(0)
    maps = random.random((4, 3, 5, 5), dtype=np.float32)
    inside = np.zeros((4, 5, 5), bool)
    inside[1, 1:3, 2:4] = True
    inside[3, 0, :] = True
    positions = gather_positions(maps, inside, seed=0)
    positives = [maps[i, :, r, c] for i, r, c in np.argwhere(inside)]
    assert np.array_equal(positions.activations[positions.positive], np.array(positives))
    outside = {maps[i, :, r, c].tobytes() for i, r, c in np.argwhere(~inside) if i in (1, 3)}
    negatives = [row.tobytes() for row in positions.activations[~positions.positive]]
    assert len(set(negatives)) == len(negatives) == len(positives)
    assert set(negatives) <= outside
    assert set(positions.image) == {1, 3}
    again = gather_positions(maps, inside, seed=1)
    assert not np.array_equal(again.activations, positions.activations)


def test_matched_negatives_are_the_best_pairing_of_all() -> None:
    from itertools import permutations

    random = np.random.default_rng(0)
    inside = np.zeros((1, 3, 3), bool)
    inside[0, 0, 1:] = True
    luminance = random.random((1, 3, 3)).astype(np.float32)
    # Each position is known by its number, so that the ones taken can be told.
    maps = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    positions = gather_positions(maps, inside, 0, luminance)
    taken = positions.activations[~positions.positive][:, 0].astype(int)

    def cost(pairing: tuple[int, ...]) -> float:
        return sum(
            abs(luminance[0].ravel()[p] - luminance[0].ravel()[n]) / luminance.std() + 2 * abs(p // 3 - n // 3) / 3
            for p, n in zip((1, 2), pairing, strict=True)
        )

    outside = [k for k in range(9) if k not in (1, 2)]
    best = min(permutations(outside, 2), key=cost)
    assert sorted(taken) == sorted(best)


def test_matching_takes_brightness_from_the_regression() -> None:
    random = np.random.default_rng(0)
    inside = np.zeros((30, 8, 8), bool)
    inside[:, 1:3, 1:3] = True
    # A map of brightness alone; the object is bright, and so is as much of the rest.
    luminance = random.random((30, 8, 8)).astype(np.float32) * 0.2
    luminance[:, 1:3, 1:3] += 1
    luminance[:, 1:3, 5:7] += 1
    maps = np.stack([luminance, random.random((30, 8, 8)).astype(np.float32)], axis=1)
    assert fit_probe(gather_positions(maps, inside, 0)).auc.value > 0.9
    assert fit_probe(gather_positions(maps, inside, 0, luminance)).auc.value < 0.65


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


def test_the_probe_finds_the_map_that_knows_and_splits_by_image() -> None:
    random = np.random.default_rng(0)
    # At another place in every image: boxes of other images are then around nothing.
    inside = np.zeros((30, 6, 6), bool)
    for image, (row, column) in enumerate(random.integers(0, 4, (30, 2))):
        inside[image, row : row + 3, column : column + 3] = True
    maps = random.random((30, 4, 6, 6)).astype(np.float32)
    maps[:, 2] += 0.5 * inside
    probe = fit_probe(gather_positions(maps, inside, 0))
    assert fit_all(gather_positions(maps, inside, 0)).weights.argmax() == 2
    assert 0.8 < probe.auc.value <= 1
    assert probe.auc.low < probe.auc.value < probe.auc.high
    assert probe.positives == probe.negatives == 30 * 9
    # A map that merely names the image is no help on an image that was not seen.
    noise = random.random((30, 4, 6, 6)).astype(np.float32)
    noise += random.random((30, 4, 1, 1)).astype(np.float32) * 10
    chance = fit_probe(gather_positions(noise, inside, 0))
    assert abs(chance.auc.value - 0.5) < 0.1


def test_the_probes_auc_agrees_with_a_slow_one() -> None:
    """Fold by fold with the objective written out, and the AUC as a count of ordered pairs."""
    from scipy.optimize import minimize
    from sklearn.model_selection import GroupKFold

    random = np.random.default_rng(1)
    inside = np.zeros((12, 4, 4), bool)
    inside[:, 0:2, 1:3] = True
    maps = random.random((12, 3, 4, 4)).astype(np.float32) + 0.4 * inside[:, None]
    positions = gather_positions(maps, inside, 0)
    x, y = positions.activations.astype(float), positions.positive
    scores = np.empty(len(y))
    for train, test in GroupKFold(5, shuffle=True, random_state=0).split(x, groups=positions.image):
        scale = x[train].std(0)
        features, signs = x[train] / scale, np.where(y[train], 1.0, -1.0)

        def objective(w: np.ndarray, features=features, signs=signs) -> float:
            return 0.5 * w[:-1] @ w[:-1] + np.logaddexp(0, -signs * (features @ w[:-1] + w[-1])).sum()

        w = minimize(objective, np.zeros(4)).x
        scores[test] = x[test] / scale @ w[:-1] + w[-1]
    wins = [(p > n) + 0.5 * (p == n) for p in scores[y] for n in scores[~y]]
    assert fit_probe(positions).auc.value == pytest.approx(np.mean(wins), abs=0.002)


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


def test_other_rankings_agree_with_loops(tiny_model: DCGAN) -> None:
    random = np.random.default_rng(0)
    layer = find_layer(tiny_model.generator_layers, 2)
    z = tiny_model.latents(6, 3)
    maps = tiny_model.activations(z, layer.number).numpy()
    inside, pixels = random.random((6, 8, 8)) < 0.3, random.random((6, 16, 16)) < 0.3
    evidence = Evidence(
        model=tiny_model,
        layer=layer,
        label="window",
        numbers=np.arange(6),
        latents=z,
        maps=maps,
        pictures=to_pixels(tiny_model.generate(z)),
        inside=inside,
        inside_pixels=pixels,
        luminance=np.zeros((6, 8, 8), np.float32),
    )
    assert np.array_equal(score_maps("regression", evidence), evidence.weights)
    before = tiny_model.generate(z)
    for index in range(layer.channels):
        values = maps[:, index]
        ious = []
        for q in np.linspace(0.05, 0.99, 48):
            active = values > np.quantile(values, q)
            union = sum(a or b for a, b in zip(active.ravel(), inside.ravel(), strict=True))
            ious.append(sum(a and b for a, b in zip(active.ravel(), inside.ravel(), strict=True)) / union)
        assert score_maps("iou", evidence)[index] == pytest.approx(max(ious))
        difference = (values[inside].mean() - values[~inside].mean()) / values.std()
        assert score_maps("difference", evidence)[index] == pytest.approx(difference, rel=1e-4)
        (after,) = draw_without(tiny_model, layer, [[index]], z)
        change = ((after - before) * 127.5).abs().mean(1).numpy()
        expected = change[pixels].mean() - change[~pixels].mean()
        assert score_maps("causal", evidence)[index] == pytest.approx(expected, abs=0.2)
    with pytest.raises(UserError, match="needs a segmenter"):
        score_maps("learned", evidence)
    with pytest.raises(UserError, match="choose from regression, iou"):
        score_maps("luck", evidence)


def test_the_segmenters_rankings(
    tiny_model: DCGAN, tiny_segmenter: Segmenter, annotations: Annotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = find_layer(tiny_model.generator_layers, 2)
    boxes = automatic_boxes(tiny_model, tiny_segmenter, count=40, seed=11)
    evidence = gather_evidence(tiny_model, layer, boxes, "window", segmenter=tiny_segmenter)
    causal = score_maps("causal", evidence)
    window, bed = (
        lambda images: (segment(tiny_segmenter, images) == 1).sum(),
        lambda images: (segment(tiny_segmenter, images) == 2).sum(),
    )
    drawn = draw_without(tiny_model, layer, [(), *([m] for m in range(4))], evidence.latents)
    for m in range(4):
        lost = 1 - window(drawn[m + 1]) / window(drawn[0])
        assert causal[m] == pytest.approx(lost - abs(1 - bed(drawn[m + 1]) / bed(drawn[0])), abs=1e-6)
    monkeypatch.setattr("dcgan_viz.analysis.forgetting.rankings.COLLATERAL", 0.0)
    monkeypatch.setattr("dcgan_viz.analysis.forgetting.rankings.SPARSITY", 0.0)
    learned = score_maps("learned", evidence)
    assert np.array_equal(learned, score_maps("learned", evidence))
    assert ((learned > 0) & (learned < 1)).all()
    assert learned.max() - learned.min() > 0.03
    # What it scales down removes the object, more than most single maps do.
    edited = draw_scaled(tiny_model, layer, [torch.from_numpy(1 - learned).float()], evidence.latents)
    assert sum(window(images) for _, (images,) in edited) < np.median([window(images) for images in drawn[1:]])
    assert not any(p.requires_grad for p in tiny_model.generator.parameters())


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
    # As drawn; then twice pictures and what changed.
    assert [text.get_text() for text in figure.axes[0].texts] == ["as drawn"] + [
        f"inside {change:.0f}" for change in result.boxed_changes
    ]


@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_a_model_without_maps_draws_as_the_ablation_does(tiny_model: DCGAN, strength: float) -> None:
    z = tiny_model.latents(9, 3)
    before = tiny_model.generate(z)
    for layer in tiny_model.generator_layers[:-1]:
        (expected,) = draw_without(tiny_model, layer, [(0, 2)], z, strength)
        changed = edited(tiny_model, Ablation(layer, (0, 2), strength))
        assert torch.allclose(changed.generate(z), expected, atol=1e-5)
        assert "maps of generator layer" in changed.card.weaknesses[-1]
        assert changed.generator_digest() != tiny_model.generator_digest()
    assert torch.equal(tiny_model.generate(z), before)


def test_factors_for_every_sample_and_only_at_places(tiny_model: DCGAN) -> None:
    z = tiny_model.latents(70, 3)
    layer = find_layer(tiny_model.generator_layers, 2)
    own = random_factors(layer.channels, 2, 70, seed=1, strength=0.7)
    where = torch.rand(70, 8, 8) < 0.4
    everywhere = torch.cat([d[0] for _, d in draw_scaled(tiny_model, layer, [own], z)])
    at_places = torch.cat([d[0] for _, d in draw_scaled(tiny_model, layer, [own], z, where)])
    for k in (0, 5, 69):
        maps = tiny_model.activations(z[k : k + 1], layer.number)
        at = maps.clone()
        for m in range(layer.channels):
            if own[k, m] != 1:
                maps[0, m] *= 0.3
                for row, column in where[k].nonzero():
                    at[0, m, row, column] *= 0.3
        assert torch.allclose(everywhere[k : k + 1], tiny_model.generator.layers[2](maps), atol=1e-5)
        assert torch.allclose(at_places[k : k + 1], tiny_model.generator.layers[2](at), atol=1e-5)
    assert ((own < 1).sum(1) == 2).all()
    assert torch.equal(own, random_factors(layer.channels, 2, 70, seed=1, strength=0.7))
    # All maps are chosen about as often.
    often = (random_factors(8, 2, 4000, seed=0) == 0).float().mean(0)
    assert (often - 0.25).abs().max() < 0.03
    assert torch.equal(scaled(3, [1], 0.25), torch.tensor([1, 0.75, 1]))


def test_matched_maps_have_like_activations_and_are_never_the_chosen() -> None:
    activations = np.concatenate([np.linspace(0, 1, 20), np.linspace(10, 11, 20)])
    chosen = (0, 4, 25, 30)
    factors = matched_factors(activations, chosen, 50, seed=0)
    assert factors is not None
    taken = factors == 0
    assert (taken.sum(1) == 4).all()
    assert not taken[:, list(chosen)].any()
    # Two of each kind were chosen, so two of each kind are taken.
    assert (taken[:, :20].sum(1) == 2).all()
    assert len({tuple(row.nonzero().ravel().tolist()) for row in taken}) > 20
    assert matched_factors(activations, range(21), 5, seed=0) is None


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
