from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.attribution.dissection import dissect, exciting_pictures, load_dissection
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, segment
from dcgan_viz.model import DCGAN

OPTIONS = {"samples": 32, "zeroed_samples": 6}


def slow_iou(active: np.ndarray, mask: np.ndarray) -> float:
    """Over all pixels, the map enlarged to the picture."""
    scale = mask.shape[1] // active.shape[1]
    enlarged = active.repeat(scale, 1).repeat(scale, 2)
    return float((enlarged & mask).sum() / (enlarged | mask).sum())


@pytest.mark.slow
@pytest.mark.parametrize(("side", "number"), [("generator", 1), ("discriminator", 2)])
@torch.no_grad()
def test_iou_is_measured_on_the_half_that_did_not_choose(
    tiny_model: DCGAN, tiny_segmenter: Segmenter, side: str, number: int
) -> None:
    layer = (tiny_model.generator_layers if side == "generator" else tiny_model.discriminator_layers)[number - 1]
    found = dissect(tiny_model, layer, tiny_segmenter, **OPTIONS)
    latents = tiny_model.latents(32, 0)
    images = tiny_model.generate(latents)
    network = tiny_model.generator if side == "generator" else tiny_model.discriminator
    maps = network.activations(latents if side == "generator" else images, number).numpy()
    masks = segment(tiny_segmenter, images)
    for m in range(layer.channels):
        best = found.best[m]
        active = maps[16:, m] > found.threshold[m]
        assert found.iou[m, best] == pytest.approx(slow_iou(active, masks[16:] == best + 1))
        # No threshold of the grid agrees better with its object on the half that chose.
        own = slow_iou(maps[:16, m] > found.threshold[m], masks[:16] == best + 1)
        for quantile in (0.3, 0.6, 0.9):
            threshold = np.quantile(maps[:16, m], quantile)
            assert slow_iou(maps[:16, m] > threshold, masks[:16] == best + 1) <= own + 0.02
        strongest = found.strongest[m, 0]
        assert maps[:, m].max() == found.activation[m, 0]
        assert maps[strongest, m, found.rows[m, 0], found.columns[m, 0]] == found.activation[m, 0]


@torch.no_grad()
def test_zeroing_a_map_is_what_it_says(tiny_model: DCGAN, tiny_segmenter: Segmenter) -> None:
    layer = tiny_model.generator_layers[1]
    found = dissect(tiny_model, layer, tiny_segmenter, **OPTIONS)
    assert found.effects == ("pixels", "window", "bed")
    latents = tiny_model.latents(6, [0, 1])
    before = segment(tiny_segmenter, tiny_model.generate(latents))
    maps = tiny_model.generator.activations(latents, 2)
    maps[:, 1] = 0
    after = segment(tiny_segmenter, tiny_model.generator.draw_from(maps, 2))
    for label in (1, 2):
        if (before == label).mean() > 0.001:
            assert found.effect[1, label] == pytest.approx(1 - (after == label).sum() / (before == label).sum())
    assert (found.low <= found.high)[~np.isnan(found.low)].all()
    discriminator = dissect(tiny_model, tiny_model.discriminator_layers[0], None, **OPTIONS)
    images = tiny_model.generate(latents)
    maps = tiny_model.discriminator.activations(images, 1)
    maps[:, 3] = 0
    change = tiny_model.discriminator.logits_from(maps, 1) - tiny_model.discriminator(images)
    assert discriminator.effect[3, 0] == pytest.approx(float(change.mean()), abs=1e-6)
    assert set(discriminator.best) == {-1}


def test_a_table_is_found_again_and_of_no_other_layer(
    tiny_model: DCGAN, tiny_segmenter: Segmenter, tmp_path: Path
) -> None:
    layer = tiny_model.discriminator_layers[1]
    found = dissect(tiny_model, layer, tiny_segmenter, **OPTIONS)
    found.save(tmp_path / "table", {})
    again = load_dissection(tmp_path / "table", layer)
    assert again.numbers() == found.numbers()
    for name, array in found.arrays().items():
        assert np.array_equal(array, again.arrays()[name], equal_nan=True), name
    with pytest.raises(UserError, match="another layer"):
        load_dissection(tmp_path / "table", tiny_model.discriminator_layers[0])
    (tmp_path / "table" / "arrays.npz").write_bytes(b"damaged")
    with pytest.raises(UserError, match="no table of maps that can be read"):
        load_dissection(tmp_path / "table", layer)
    shown = exciting_pictures(tiny_model, again, 3)
    assert shown.gradients is not None
    assert (shown.pictures.shape, shown.active.shape) == ((4, 16, 16, 3), (4, 16, 16))


def test_the_image_itself_has_no_maps_to_zero(tiny_model: DCGAN) -> None:
    with pytest.raises(UserError, match="layer 3 is the image itself"):
        dissect(tiny_model, tiny_model.generator_layers[2], None)
