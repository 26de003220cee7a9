from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from dcgan_viz.analysis.quality.comparison import compare
from dcgan_viz.data.images import TensorImages
from dcgan_viz.figures.quality.comparison import comparison_figure
from dcgan_viz.model import DCGAN
from tests.figures.columns import faults


class Brightness:
    """An encoder of two numbers."""

    name, note, dimensions = "brightness", "", 2

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(2).mean(2)[:, :2]


def test_every_model_has_a_row_of_pictures_and_its_distance(tiny_model: DCGAN) -> None:
    models = [tiny_model, replace(tiny_model, card=replace(tiny_model.card, name="other"))]
    result = compare(models, TensorImages(tiny_model.sample(400, seed=4)), Brightness(), samples=200, seed=2)
    figure = comparison_figure(result)
    assert not faults(lambda: comparison_figure(result))
    first, second, numbers = figure.axes
    assert [axes.texts[0].get_text().split("\n")[0] for axes in (first, second)] == ["tiny", "other"]
    assert [float(x) for x in numbers.lines[0].get_xdata()] == [entry.kernel.value for entry in result.models]
