from __future__ import annotations

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.forgetting.ablation import Ablation, draw_with
from dcgan_viz.analysis.forgetting.dose_response import MATCHED, RANDOM, dose_response, even_doses
from dcgan_viz.errors import UserError
from dcgan_viz.figures.forgetting.dose_response import dose_response_figure
from dcgan_viz.judges.segmenter import Segmenter, segment
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer, find_layer


def draw_without(model: DCGAN, layer: Layer, choices: list, latents: torch.Tensor, strength: float = 1.0) -> list:
    """Pictures without each of several choices of maps."""
    return draw_with(model, [Ablation(layer, tuple(maps), strength) for maps in choices], latents)


def test_dose_response_agrees_with_drawing_each_dose_anew(
    tiny_model: DCGAN, tiny_segmenter: Segmenter, evidence_of
) -> None:
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


def test_doses_and_objects_that_cannot_be_are_refused(
    tiny_model: DCGAN, tiny_segmenter: Segmenter, evidence_of
) -> None:
    layer = find_layer(tiny_model.generator_layers, 2)
    scores = {"iou": np.arange(4.0)}
    with pytest.raises(UserError, match="has 4 maps"):
        dose_response(evidence_of(tiny_model, layer, tiny_segmenter), scores, doses=[5])
    with pytest.raises(UserError, match="knows no 'door'"):
        dose_response(evidence_of(tiny_model, layer, tiny_segmenter, "door"), scores)
    with pytest.raises(UserError, match="at least 2"):
        dose_response(evidence_of(tiny_model, layer, tiny_segmenter), scores, samples=1)
    assert even_doses(4, 12) == (0, 1, 2, 3, 4)
