from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation
from skimage.metrics import structural_similarity

from dcgan_viz.analysis.forgetting.ablation import Ablation, draw_with, scaled
from dcgan_viz.analysis.forgetting.effects import measure_effects
from dcgan_viz.data.images import to_pixels
from dcgan_viz.judges.segmenter import Segmenter, segment
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer, find_layer


def draw_without(model: DCGAN, layer: Layer, choices: list, latents: torch.Tensor, strength: float = 1.0) -> list:
    """Pictures without each of several choices of maps."""
    return draw_with(model, [Ablation(layer, tuple(maps), strength) for maps in choices], latents)


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
