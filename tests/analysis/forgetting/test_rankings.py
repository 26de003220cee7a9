from __future__ import annotations

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.forgetting.ablation import draw_scaled
from dcgan_viz.analysis.forgetting.automatic_boxes import automatic_boxes
from dcgan_viz.analysis.forgetting.evidence import Evidence, gather_evidence
from dcgan_viz.analysis.forgetting.rankings import score_maps
from dcgan_viz.annotations.boxes import Annotations
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, segment
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import find_layer
from tests.analysis.forgetting.windows import draw_without, window_boxes


@pytest.fixture
def annotations(tiny_model: DCGAN) -> Annotations:
    return window_boxes(tiny_model)


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


@pytest.mark.slow
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
