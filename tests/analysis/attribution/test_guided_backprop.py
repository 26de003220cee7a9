from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from torch import Tensor

from dcgan_viz.analysis.attribution.guided_backprop import guided_backprop
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks import dcgan


@pytest.fixture
def images(tiny_model: DCGAN) -> Tensor:
    return tiny_model.sample(12, seed=3)


def test_the_whole_analysis_holds_together_and_reproduces(tiny_model: DCGAN, images: Tensor) -> None:
    result = guided_backprop(tiny_model, images, layer=2, maps=[3, 1], top=2, seed=4)
    again = guided_backprop(tiny_model, images, layer="layers.1", maps=[3, 1], top=2, seed=4)
    assert result.numbers() == again.numbers()
    for name, array in result.arrays().items():
        assert np.array_equal(array, again.arrays()[name]), name
    assert result.gradients.shape == (2, 2, 3, 16, 16)
    assert result.pictures.shape == (2, 2, 16, 16, 3)
    assert not np.array_equal(result.gradients, result.random_gradients)
    for response, gradient in zip(result.responses, result.gradients.reshape(-1, 3, 16, 16), strict=True):
        w = response.window
        outside = gradient.copy()
        outside[:, w.top : w.bottom, w.left : w.right] = 0
        assert not outside.any()
        assert gradient.any()
    other = guided_backprop(tiny_model, images, layer=2, maps=[3, 1], top=2, seed=5)
    assert np.array_equal(other.gradients, result.gradients)
    assert not np.array_equal(other.random_gradients, result.random_gradients)
    assert guided_backprop(tiny_model, images, maps=None).maps == tuple(range(8))


def test_wrong_requests_are_refused(tiny_model: DCGAN, images: Tensor) -> None:
    with pytest.raises(UserError, match=r"no layer 4: choose from 1: conv"):
        guided_backprop(tiny_model, images, layer=4)
    with pytest.raises(UserError, match=r"8 maps, numbered from 0 to 7: there is no map 8"):
        guided_backprop(tiny_model, images, maps=[8])
    with pytest.raises(UserError, match=r"too few images \(3\)"):
        guided_backprop(tiny_model, images[:3], top=4)
    with pytest.raises(UserError, match="the model reads"):
        guided_backprop(tiny_model, images[:, :, :8, :8])


def test_grey_and_flat_topped_networks_work(make_model: Callable[..., DCGAN]) -> None:
    model = make_model(dcgan(32, channels=1, width=2, kernel=3, latent_dim=4, prior="normal"))
    result = guided_backprop(model, model.sample(6), layer=3, maps=[0], top=2, rule="zero")
    assert result.gradients.shape == (1, 2, 1, 32, 32)
