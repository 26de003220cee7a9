from __future__ import annotations

import pytest
from torch import Tensor

from dcgan_viz.analysis.attribution.methods import METHODS, MethodComparison, compare_methods
from dcgan_viz.figures.attribution.methods import methods_figure
from dcgan_viz.model import DCGAN
from tests.figures.columns import faults


@pytest.fixture
def images(tiny_model: DCGAN) -> Tensor:
    return tiny_model.sample(10, seed=2)


def compare(model: DCGAN, images: Tensor, layer: int, *methods: str, seed: int = 0) -> MethodComparison:
    return compare_methods(model, images, methods, layer=layer, maps=[0, 1, 2], seed=seed)


def test_the_figure_names_every_method(tiny_model: DCGAN, images: Tensor) -> None:
    drawn = compare(tiny_model, images, 3, *METHODS)
    figure = methods_figure(drawn)
    assert not faults(lambda: methods_figure(drawn))
    titles = [axis.get_title() for axis in figure.axes[: len(METHODS) + 1]]
    assert titles == ["image", *METHODS]
    assert len(figure.axes) == 3 * (len(METHODS) + 1)
