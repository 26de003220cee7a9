from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation
from skimage.metrics import structural_similarity

from dcgan_viz.analysis.forgetting.ablation import Ablation, draw_with, scaled
from dcgan_viz.analysis.forgetting.dose_response import MATCHED, RANDOM, dose_response, even_doses
from dcgan_viz.analysis.forgetting.effects import measure_effects
from dcgan_viz.analysis.forgetting.evidence import Evidence
from dcgan_viz.analysis.forgetting.insertion import insert, levels_inside
from dcgan_viz.analysis.forgetting.map_pictures import picture_maps
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.figures.forgetting.dose_response import dose_response_figure
from dcgan_viz.figures.forgetting.insertion import insertion_figure
from dcgan_viz.figures.forgetting.map_pictures import map_pictures_figure
from dcgan_viz.judges.segmenter import Segmenter, segment
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer, find_layer
from dcgan_viz.statistics import stream


def draw_without(model: DCGAN, layer: Layer, choices: list, latents: torch.Tensor, strength: float = 1.0) -> list:
    """Pictures without each of several choices of maps."""
    return draw_with(model, [Ablation(layer, tuple(maps), strength) for maps in choices], latents)


def evidence_of(model: DCGAN, layer: Layer, segmenter: Segmenter, label: str = "window") -> Evidence:
    """Evidence of two samples, for what asks it for a model, a layer and a segmenter."""
    return Evidence(
        model=model,
        layer=layer,
        label=label,
        numbers=np.arange(2),
        latents=model.latents(2, 0),
        maps=np.ones((2, layer.channels, layer.size, layer.size), np.float32),
        pictures=np.zeros((2, 16, 16, 3), np.uint8),
        inside=np.ones((2, layer.size, layer.size), bool),
        inside_pixels=np.ones((2, 16, 16), bool),
        luminance=np.zeros((2, layer.size, layer.size), np.float32),
        segmenter=segmenter,
    )


def test_effects_agree_with_loops(tiny_model: DCGAN, tiny_segmenter: Segmenter) -> None:
    layer = find_layer(tiny_model.generator_layers, 2)
    z = tiny_model.latents(80, 5)
    choices = {"chosen maps": scaled(4, (0, 2)), "random maps": scaled(4, (1,))}
    chosen, random, dimmed = measure_effects(tiny_model, layer, choices, tiny_segmenter, ["window"], z)
    before, after, control = draw_without(tiny_model, layer, [(), (0, 2), (1,)], z)
    labels, left, other = (segment(tiny_segmenter, images) for images in (before, after, control))
    for k, name in ((1, "window"), (2, "bed")):
        effect = chosen.on(name)
        assert effect.area_before == pytest.approx((labels == k).mean())
        assert effect.area_after == pytest.approx((left == k).mean())
        assert effect.removed.value == pytest.approx(1 - (left == k).sum() / (labels == k).sum())
        assert effect.removed.low < effect.removed.value < effect.removed.high
        shows = [(picture == k).sum() >= 0.004 * 256 for picture in left]
        assert effect.present_after.value == pytest.approx(np.mean(shows))
    gone = [1 - (found == 1).sum() / (labels == 1).sum() for found in (left, other)]
    assert random.margin.value == pytest.approx(gone[0] - gone[1])
    assert chosen.margin.value == 0
    assert random.margin.low < random.margin.value < random.margin.high
    similarities = []
    for a, b, found in zip(to_pixels(before).mean(-1), to_pixels(after).mean(-1), labels, strict=True):
        inside = np.zeros((16, 16), bool)
        for row, column in np.argwhere(found == 1):
            inside[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = True
        _, local = structural_similarity(a, b, data_range=255, full=True)
        similarities.append(local[~inside].mean() if not inside.all() else 1.0)
    assert chosen.similarity_outside.value == pytest.approx(np.mean(similarities))
    nothing = measure_effects(tiny_model, layer, {"none": torch.ones(4)}, tiny_segmenter, ["window"], z)[0]
    assert nothing.similarity_outside.value == 1
    assert nothing.feature_distance.value == 0
    assert nothing.on("bed").removed.value == 0
    again = measure_effects(tiny_model, layer, choices, tiny_segmenter, ["window"], z)
    assert again == (chosen, random, dimmed)
    assert (chosen.maps, random.maps, dimmed.maps) == (2, 1, 0)
    for k in range(3):
        row = chosen.replaced[k]
        assert row == pytest.approx([(left[labels == k] == j).mean() for j in range(3)])
    moved = np.empty(before.shape, np.float32)
    for i, found in enumerate(labels):
        inside = binary_dilation(found == 1, np.ones((5, 5), bool))
        for channel in range(3):
            a, b = before[i, channel].numpy(), after[i, channel].numpy()
            for part in (inside, ~inside):
                moved[i, channel][part] = a[part] + ((b - a)[part].mean() if part.any() else 0)
    seen = segment(tiny_segmenter, torch.from_numpy(moved).clamp(-1, 1))
    assert dimmed.on("window").removed.value == pytest.approx(1 - (seen == 1).sum() / (labels == 1).sum(), abs=0.002)
    assert dimmed.margin.value == pytest.approx(gone[0] - dimmed.on("window").removed.value)


def test_dose_response_agrees_with_drawing_each_dose_anew(tiny_model: DCGAN, tiny_segmenter: Segmenter) -> None:
    layer = find_layer(tiny_model.generator_layers, 2)
    scores = {"regression": np.array([0.1, 0.4, 0.3, 0.2]), "iou": np.array([4.0, 3, 2, 1])}
    seen: list[int] = []

    def progress(batches, stage):
        for batch in batches:
            seen.append(stage.total)
            yield batch

    result = dose_response(
        evidence_of(tiny_model, layer, tiny_segmenter), scores, doses=[1, 2, 4], samples=90, seed=2, progress=progress
    )
    assert seen == [2, 2]
    assert result.doses == (0, 1, 2, 4)
    assert result.rankings == ("regression", "iou", RANDOM, MATCHED)
    assert result.spared == "bed"
    z = tiny_model.latents(90, 2)
    before = segment(tiny_segmenter, tiny_model.generate(z))
    for row, order in enumerate(([1, 2, 3, 0], [0, 1, 2, 3])):
        assert result.orders[row].tolist() == order
        for column, dose in enumerate(result.doses):
            (drawn,) = draw_without(tiny_model, layer, [order[:dose]], z)
            after = segment(tiny_segmenter, drawn)
            for index in (0, 1):
                expected = 1 - (after == index + 1).sum() / (before == index + 1).sum()
                assert result.removed[row, column, index] == pytest.approx(expected, abs=1e-3)
                assert result.removed_low[row, column, index] <= result.removed[row, column, index] + 1e-9
                assert result.removed_high[row, column, index] >= result.removed[row, column, index] - 1e-9
    # With all maps gone it makes no difference in which order they went; nothing can be matched then.
    assert np.allclose(result.removed[:3, -1], result.removed[0, -1], atol=1e-3)
    assert np.isnan(result.removed[3, -1]).all()
    assert [dose.ranking for dose in result.best] == ["regression", "iou", RANDOM]
    assert result.best[-1].margin_over_random.value == 0
    for dose in result.best:
        assert dose.maps in result.doses
    again = dose_response(evidence_of(tiny_model, layer, tiny_segmenter), scores, doses=[1, 2, 4], samples=90, seed=2)
    assert again.best == result.best
    assert np.array_equal(again.removed, result.removed, equal_nan=True)
    assert len(dose_response_figure(result).axes) == 3


def test_the_best_dose_is_chosen_on_one_half_and_measured_on_the_other() -> None:
    from dcgan_viz.analysis.forgetting.dose_response import best_dose

    area = np.ones((40, 4, 2))
    # On the first half dose 2 removes all of object 0 and a twentieth of object 1, dose 3 costs too much.
    area[:20, 1], area[:20, 2], area[:20, 3] = (0.5, 1), (0, 0.95), (0, 0.2)
    area[20:, 2] = (0.25, 0.9)
    control = np.ones((40, 4, 2))
    control[:, 2, 0] = 0.75
    best = best_dose(area, control, "causal", (0, 3, 5, 9), 0, 1, 0.1, seed=0)
    assert best.maps == 5
    assert (best.removed.value, best.spared_loss.value) == pytest.approx((0.75, 0.1))
    assert best.margin_over_random.value == pytest.approx(0.5)


def test_doses_and_objects_that_cannot_be_are_refused(tiny_model: DCGAN, tiny_segmenter: Segmenter) -> None:
    layer = find_layer(tiny_model.generator_layers, 2)
    scores = {"iou": np.arange(4.0)}
    with pytest.raises(UserError, match="has 4 maps"):
        dose_response(evidence_of(tiny_model, layer, tiny_segmenter), scores, doses=[5])
    with pytest.raises(UserError, match="knows no 'door'"):
        dose_response(evidence_of(tiny_model, layer, tiny_segmenter, "door"), scores)
    with pytest.raises(UserError, match="at least 2"):
        dose_response(evidence_of(tiny_model, layer, tiny_segmenter), scores, samples=1)
    assert even_doses(4, 12) == (0, 1, 2, 3, 4)


def test_insertion_agrees_with_a_loop(tiny_model: DCGAN, tiny_segmenter: Segmenter) -> None:
    layer = find_layer(tiny_model.generator_layers, 2)
    levels = np.array([3.0, 1.0, 2.0, 0.5], np.float32)
    evidence = evidence_of(tiny_model, layer, tiny_segmenter)
    result = insert(evidence, (1, 3), levels=levels, samples=70, shown=4, seed=6)
    z = tiny_model.latents(70, 6)
    assert result.places.shape == (4, 16, 16)
    assert (result.places.sum((1, 2)) == 16).all()
    random = np.random.default_rng(stream(6, 1))
    controls = [np.flatnonzero(row) for row in random.permuted(np.tile([False, True, False, True], (70, 1)), axis=1)]
    assert len({tuple(control) for control in controls}) == 6
    corners = random.integers(0, 7, (70, 2))
    covered: dict[tuple[bool, bool], list[float]] = {}
    for k in range(70):
        top, left = corners[k]
        for own, maps in ((True, (1, 3)), (False, controls[k])):
            for raised in (True, False):
                activations = tiny_model.generator.layers[1](tiny_model.generator.layers[0](z[k : k + 1]))
                for m in maps:
                    activations[0, m, top : top + 2, left : left + 2] = float(levels[m]) if raised else 0.0
                drawn = tiny_model.generator.layers[2](activations)
                found = segment(tiny_segmenter, drawn)[0, 2 * top : 2 * top + 4, 2 * left : 2 * left + 4]
                covered.setdefault((own, raised), []).append((found == 1).mean())
    assert result.inserted.value == pytest.approx(np.mean(covered[True, True]), abs=1e-3)
    assert result.effect.value == pytest.approx(np.mean(covered[True, True]) - np.mean(covered[True, False]), abs=1e-3)
    expected = np.mean(covered[False, True]) - np.mean(covered[False, False])
    assert result.control_effect.value == pytest.approx(expected, abs=1e-3)
    patches: dict[str, list[float]] = {"same": [], "white": []}
    for k in range(70):
        square = (slice(2 * corners[k][0], 2 * corners[k][0] + 4), slice(2 * corners[k][1], 2 * corners[k][1] + 4))
        below = tiny_model.generator.layers[1](tiny_model.generator.layers[0](z[k : k + 1]))
        plain = tiny_model.generator.layers[2](below)
        for m in (1, 3):
            below[0, m, corners[k][0] : corners[k][0] + 2, corners[k][1] : corners[k][1] + 2] = float(levels[m])
        colour = tiny_model.generator.layers[2](below)[0, :, square[0], square[1]].mean((1, 2))
        for kind, value in (("same", colour), ("white", torch.ones(3))):
            painted = plain.clone()
            painted[0, :, square[0], square[1]] = value[:, None, None]
            patches[kind].append((segment(tiny_segmenter, painted)[0][square] == 1).mean())
    assert result.patch.value == pytest.approx(np.mean(patches["same"]), abs=1e-3)
    assert result.white_patch.value == pytest.approx(np.mean(patches["white"]), abs=1e-3)
    assert result.white_patch.value > 0.8  # What is bright is a window to this segmenter.
    assert result.beyond_patch.value == pytest.approx(result.inserted.value - result.patch.value)
    judged = insert(evidence, (1, 3), levels=levels, samples=70, judge=tiny_segmenter, seed=6)
    assert judged.inserted == result.inserted
    assert "no part in the choice" in judged.sentences()
    insertion_figure(result)
    with pytest.raises(UserError, match="does not fit"):
        insert(evidence, (1,), side=9)
    with pytest.raises(UserError, match="at least one"):
        insert(evidence, ())


def test_levels_are_means_inside() -> None:
    maps = np.random.default_rng(0).random((3, 2, 4, 4), dtype=np.float32)
    inside = np.zeros((3, 4, 4), bool)
    inside[1, 2, 3] = inside[2, 0, 0] = True
    assert np.allclose(levels_inside(maps, inside), (maps[1, :, 2, 3] + maps[2, :, 0, 0]) / 2)


def test_maps_are_pictured_where_they_are_strongest(tiny_model: DCGAN) -> None:
    layer = find_layer(tiny_model.generator_layers, 2)
    result = picture_maps(
        tiny_model, layer, np.array([0.0, 3, 1, 2]), "window", "iou", count=3, top=2, samples=30, seed=4
    )
    assert result.maps == (1, 3, 2)
    z = tiny_model.latents(30, 4)
    activations = tiny_model.generator.layers[1](tiny_model.generator.layers[0](z))[:, 1].mean((1, 2))
    strongest = int(activations.argmax())
    assert np.abs(result.before[0, 0].astype(int) - to_pixels(tiny_model.generate(z))[strongest]).max() <= 1
    assert result.after.shape == (3, 2, 16, 16, 3)
    map_pictures_figure(result)
