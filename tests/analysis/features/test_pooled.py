from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dcgan_viz.analysis.features.pooled import discriminator_extractor, feature_sizes, pooled_features
from dcgan_viz.model import DCGAN


def images(count: int) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_features_are_the_largest_activation_in_each_cell(tiny_model: DCGAN) -> None:
    network, pictures = tiny_model.discriminator, images(3)
    found = pooled_features(network, pictures)
    expected: list[list[float]] = [[], [], []]
    for layer in network.numbered_layers:
        maps = network.activations(pictures, layer.number).detach().numpy()
        cells = min(4, layer.size)
        side = layer.size // cells
        for row, picture in zip(expected, maps, strict=True):
            for one in picture:
                row += [
                    float(one[i * side : (i + 1) * side, j * side : (j + 1) * side].max())
                    for i in range(cells)
                    for j in range(cells)
                ]
    np.testing.assert_allclose(found.numpy(), np.array(expected), atol=1e-6)
    assert found.shape[1] == sum(feature_sizes(network))


def test_the_parts_are_the_layers(tiny_model: DCGAN) -> None:
    extractor = discriminator_extractor(tiny_model.discriminator, "fp32")
    assert extractor.columns == {"layer 1": slice(0, 64), "layer 2": slice(64, 192), "layer 3": slice(192, 320)}
    assert extractor.size == 320
    second = tiny_model.discriminator.activations(images(2), 2)
    assert torch.equal(extractor.compute(images(2))[:, 64:192], second.flatten(1))


def test_the_digest_is_of_the_weights_and_of_the_precision(tiny_model: DCGAN) -> None:
    one = discriminator_extractor(tiny_model.discriminator, "fp32").digest
    assert one == discriminator_extractor(tiny_model.discriminator, "fp32").digest
    assert one != discriminator_extractor(tiny_model.discriminator, "bf16").digest
    assert one != discriminator_extractor(tiny_model.discriminator.redrawn([1], 0), "fp32").digest


def test_half_the_precision_gives_about_the_same(tiny_model: DCGAN) -> None:
    exact = pooled_features(tiny_model.discriminator, images(8))
    rough = pooled_features(tiny_model.discriminator, images(8), "bf16")
    assert not torch.equal(exact, rough)
    assert (exact - rough).norm() < 0.02 * exact.norm()
