from __future__ import annotations

from dcgan_viz.analysis.attribution.unit import explain_unit
from dcgan_viz.figures.attribution.unit import unit_figure
from dcgan_viz.model import DCGAN
from tests.figures.columns import faults


def test_the_figure_marks_what_the_unit_sees(tiny_model: DCGAN) -> None:
    found = explain_unit(tiny_model, tiny_model.sample(1)[0], (1, 1, 1), layer=1)
    figure = unit_figure(found)
    assert not faults(lambda: unit_figure(found))
    assert [axes.get_title() for axes in figure.axes] == ["what the unit sees", "guided gradient", "random filters"]
    frame = figure.axes[0].patches[0]
    assert (frame.get_width(), frame.get_height()) == (
        found.window.right - found.window.left,
        found.window.bottom - found.window.top,
    )
