from __future__ import annotations

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.forgetting.ablation import Ablation
from dcgan_viz.analysis.forgetting.painting import Stroke, draw_painted, preview, untouched
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, segment
from dcgan_viz.model import DCGAN


def corner(rows: int = 2) -> np.ndarray:
    places = np.zeros((4, 4), bool)
    places[:rows, :1] = True
    return places


@torch.no_grad()
def test_strokes_set_maps_at_places_of_one_sample_in_their_order(tiny_model: DCGAN) -> None:
    layer = tiny_model.generator_layers[0]
    latents, levels = tiny_model.latents(3, 1), np.arange(8, dtype=np.float32)
    strokes = [
        Stroke(1, (2, 3), corner()),
        Stroke(1, (3,), corner(1), levels),
        Stroke(2, (0,), corner(), levels),
    ]
    start = untouched(tiny_model, layer, latents, None)
    drawn = draw_painted(tiny_model, Ablation(layer, (5,)), strokes, start)
    maps = tiny_model.generator.activations(latents, 1).clone()
    maps[:, 5] = 0
    for row in range(2):
        maps[1, 2, row, 0] = maps[1, 3, row, 0] = 0
        maps[2, 0, row, 0] = 0
    maps[1, 3, 0, 0] = 3
    assert torch.allclose(drawn, tiny_model.generator.draw_from(maps, 1), atol=1e-6)
    unpainted = draw_painted(tiny_model, Ablation(layer, (5,)), [], start)
    assert torch.equal(drawn[0], unpainted[0])
    assert not torch.equal(drawn[1], unpainted[1])


@pytest.mark.parametrize(
    ("stroke", "sentence"),
    [
        (Stroke(3, (0,), corner()), "there are 3 samples, and none is number 3"),
        (Stroke(0, (99,), corner()), "there is no 99"),
        (Stroke(0, (0,), np.ones((5, 5), bool)), "4x4, not"),
    ],
)
def test_strokes_that_do_not_fit_are_refused(tiny_model: DCGAN, stroke: Stroke, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        start = untouched(tiny_model, tiny_model.generator_layers[0], tiny_model.latents(3, 1), None)
        draw_painted(tiny_model, Ablation(start.layer, ()), [stroke], start)


def test_a_preview_counts_what_the_segmenter_sees(tiny_model: DCGAN, tiny_segmenter: Segmenter) -> None:
    latents, ablation = tiny_model.latents(8, 1), Ablation(tiny_model.generator_layers[0], (0, 1, 2, 3))
    start = untouched(tiny_model, ablation.layer, latents, tiny_segmenter)
    found = preview(tiny_model, ablation, [], start, tiny_segmenter)
    plain = tiny_model.generate(latents)
    assert np.array_equal(found.before, to_pixels(plain))
    labels = segment(tiny_segmenter, plain)
    assert np.array_equal(found.seen_before, labels)
    for number, seen in enumerate(found.objects, start=1):
        first, second = ((x == number).sum() for x in (labels, found.seen_after))
        assert seen.removed == (pytest.approx(1 - second / first) if first else None)
        assert seen.present_before == sum((x == number).mean() >= 0.004 for x in labels)
