from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from dcgan_viz.analysis.attribution.detection import HALVES, Detection, covered_shares, rank_maps
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.statistics import stream


def rank(model: DCGAN, scenes: tuple[Tensor, np.ndarray], seed: int = 0) -> Detection:
    return rank_maps(model, model.discriminator_layers[0], *scenes, "square", seed=seed)


def activations(model: DCGAN, images: Tensor) -> np.ndarray:
    with torch.no_grad():
        return model.discriminator.layers[0](images).numpy()


def test_coverage_counts_pixels() -> None:
    masks = np.random.default_rng(0).random((3, 8, 8)) < 0.3
    share = covered_shares(masks, 2)
    for image in range(3):
        for row in range(2):
            for column in range(2):
                square = masks[image, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
                assert share[image, row, column] == sum(square.ravel()) / 16


def test_average_precision_and_iou_are_those_of_all_pixels(tiny_model: DCGAN, scenes) -> None:
    images, masks = scenes
    result = rank(tiny_model, scenes)
    maps = activations(tiny_model, images).repeat(2, axis=2).repeat(2, axis=3)
    best = result.best[0]
    random = np.random.default_rng(stream(0, HALVES))
    first, second = [], []
    for group in (np.flatnonzero(masks.any((1, 2))), np.flatnonzero(~masks.any((1, 2)))):
        mixed = random.permutation(group)
        first += list(mixed[:10])
        second += list(mixed[10:])
    for half, expected in ((first, result.ranked_by), (second, result.tested)):
        for number in range(4):
            pixels = average_precision_score(masks[half].ravel(), maps[half, number].ravel())
            assert expected[number] == pytest.approx(pixels, abs=1e-6)
    above, truth = maps[second, best.map] > best.threshold, masks[second]
    assert best.iou.value == pytest.approx((above & truth).sum() / (above | truth).sum())
    assert best.average_precision.value == pytest.approx(result.tested[best.map])
    assert result.prevalence == pytest.approx(truth.mean())
    thresholds = np.quantile(activations(tiny_model, images)[first, best.map], np.linspace(0, 1, 101)[1:-1])
    ious = [
        ((maps[first, best.map] > t) & masks[first]).sum() / ((maps[first, best.map] > t) | masks[first]).sum()
        for t in thresholds
    ]
    assert best.threshold == pytest.approx(thresholds[int(np.argmax(ious))])


def test_a_map_that_sees_the_object_comes_first(tiny_model: DCGAN, scenes) -> None:
    with torch.no_grad():
        weight = tiny_model.discriminator.layer(1).convolution.weight
        weight[2] = 0.1
    result = rank(tiny_model, scenes)
    assert result.ranking[0] == 2
    best = result.best[0]
    assert best.average_precision.value > 0.7
    assert best.iou.value > 0.4
    assert best.average_precision.low < best.average_precision.value < best.average_precision.high
    assert best.average_precision.low > result.prevalence
    assert result.masks.any((1, 2)).tolist() == [True] * 4 + [False] * 2
    assert result.activations.shape == (6, 4, 8, 8)


@pytest.mark.slow
def test_it_repeats_with_its_seed(tiny_model: DCGAN, scenes) -> None:
    first, again, other = (rank(tiny_model, scenes, seed) for seed in (1, 1, 2))
    assert first.numbers() == again.numbers()
    assert not np.array_equal(first.tested, other.tested)


def test_too_few_objects_are_refused(tiny_model: DCGAN, scenes) -> None:
    images, masks = scenes
    masks[6:] = False
    with pytest.raises(UserError, match="'square' is on 3 images, and at least 4"):
        rank(tiny_model, (images, masks))
    with pytest.raises(UserError, match="the masks are"):
        rank(tiny_model, (images[:5], masks))
