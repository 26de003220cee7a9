from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dcgan_viz.analysis.attribution.responses import strongest_responses
from dcgan_viz.data.images import TensorImages
from dcgan_viz.model import DCGAN


@pytest.fixture
def images(tiny_model: DCGAN) -> Tensor:
    return tiny_model.sample(12, seed=3)


def test_strongest_responses_agree_with_a_loop(tiny_model: DCGAN) -> None:
    images = tiny_model.sample(150, seed=1)
    network = tiny_model.discriminator
    responses = strongest_responses(network, 2, TensorImages(images), [5, 0], top=3)
    with torch.no_grad():
        maps = network.layers[1](network.layers[0](images))
    assert [(r.map, r.rank) for r in responses] == [(5, 0), (5, 1), (5, 2), (0, 0), (0, 1), (0, 2)]
    for number in (5, 0):
        peaks = [float(maps[i, number].max()) for i in range(150)]
        expected = sorted(range(150), key=lambda i: -peaks[i])[:3]
        own = [r for r in responses if r.map == number]
        assert [r.image for r in own] == expected
        for r in own:
            assert r.value == pytest.approx(peaks[r.image], rel=1e-5)
            assert maps[r.image, number, r.row, r.column] == maps[r.image, number].max()
