from __future__ import annotations

import numpy as np
import pytest

from dcgan_viz.analysis.features.looks import COUNTED, MAPS, SHOWN, looks_of
from dcgan_viz.analysis.features.pooled import pooled_features
from dcgan_viz.analysis.features.protocols import Protocol, make_task
from dcgan_viz.analysis.features.svm import LinearSVM
from dcgan_viz.data.images import ImageSet
from dcgan_viz.data.labelled import LabelledImages, LabelledSplit
from dcgan_viz.model import DCGAN


def test_they_are_the_maps_of_largest_weight_and_the_images_that_excite_them(tiny_model: DCGAN) -> None:
    random = np.random.default_rng(0)
    numbers = np.arange(120) % 2
    pixels = random.integers(0, 128, (120, 16, 16, 3)) + 100 * numbers[:, None, None, None]
    images = ImageSet(pixels.astype(np.uint8), tuple(map(str, range(120))))
    split = LabelledSplit(LabelledImages(images, ("dark", "bright"), numbers), None)
    task = make_task(split, Protocol("general", per_class=10, validation=0.2, draws=1, tuning_draws=1))
    features = pooled_features(tiny_model.discriminator, task.images.tensor(slice(None))).numpy().astype(np.float16)
    columns, start = {}, 0
    for layer in tiny_model.discriminator_layers:
        cells = min(layer.size, 4) ** 2
        columns[layer.name], start = slice(start, start + cells * layer.channels), start + cells * layer.channels
    assert start == features.shape[1]
    svm = LinearSVM(0.1).fit(features[: task.training], task.numbers[: task.training])
    looks, pictures, gradients = looks_of(tiny_model.discriminator, task, features, columns, svm)
    assert [look.name for look in looks] == ["dark", "bright"]
    assert pictures.shape == (2, MAPS, SHOWN, 16, 16, 3)
    assert np.abs(gradients).max() > 0
    step = max(1, task.training // 2000)
    for sign, number, look in zip((-1, 1), (0, 1), looks, strict=True):
        weights = {}
        for layer, where in zip(tiny_model.discriminator_layers, columns.values(), strict=True):
            cells = min(layer.size, 4) ** 2
            for m in range(layer.channels):
                own = range(where.start + m * cells, where.start + (m + 1) * cells)
                deviations = [features[: task.training : step, k].astype(np.float32).std() for k in own]
                weights[layer.number, m] = sum(sign * svm.coef_[0, k] * d for k, d in zip(own, deviations, strict=True))
        best = sorted(weights, key=lambda of: -weights[of])[:MAPS]
        assert list(zip(look.layers, look.maps, strict=True)) == best
        assert look.weights == pytest.approx([weights[of] for of in best], rel=1e-3)
        assert look.own.n == MAPS * min(COUNTED, len(task.numbers) - task.training)
        assert look.share == pytest.approx(np.mean(task.numbers[task.test] == number))
