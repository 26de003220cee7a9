from __future__ import annotations

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.forgetting.insertion import insert, levels_inside
from dcgan_viz.errors import UserError
from dcgan_viz.figures.forgetting.insertion import insertion_figure
from dcgan_viz.judges.segmenter import Segmenter, segment
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import find_layer
from dcgan_viz.statistics import stream


@pytest.mark.slow
def test_insertion_agrees_with_a_loop(tiny_model: DCGAN, tiny_segmenter: Segmenter, evidence_of) -> None:
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
