from __future__ import annotations

import pytest

from dcgan_viz.analysis.attribution.sanity import sanity_check
from dcgan_viz.analysis.attribution.unit_gradients import Unit
from dcgan_viz.figures.attribution.sanity import sanity_figure
from dcgan_viz.model import DCGAN
from tests.figures.columns import faults


@pytest.fixture
def units() -> list[Unit]:
    return [Unit(image, image % 4, 1, 1) for image in range(6)]


def test_the_figure_shows_every_measure_and_depth(tiny_model: DCGAN, units: list[Unit]) -> None:
    result = sanity_check(tiny_model.discriminator, 3, tiny_model.sample(8), units, settings={"model": "tiny"})
    figure = sanity_figure(result)
    assert not faults(lambda: sanity_figure(result))
    assert [axis.get_title() for axis in figure.axes] == [
        "Spearman, signed",
        "Spearman, absolute",
        "SSIM",
        "HOG correlation",
    ]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["3", "2", "1"]
    assert "cannot show" in figure.said.replace("\n", " ")
