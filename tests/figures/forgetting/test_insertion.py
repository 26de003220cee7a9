from __future__ import annotations

import numpy as np

from dcgan_viz.analysis.forgetting.forgetting import Forgetting
from dcgan_viz.analysis.forgetting.insertion import insert
from dcgan_viz.figures.forgetting.insertion import insertion_figure
from tests.figures.columns import faults


def test_the_place_is_framed_in_every_picture_and_the_bars_are_the_effects(forgotten: Forgetting) -> None:
    result = insert(forgotten.evidence[0], forgotten.maps, samples=64, shown=2)
    figure = insertion_figure(result)
    assert not faults(lambda: insertion_figure(result))
    *pictures, plot = figure.axes
    assert len(pictures) == 4 * 2
    assert all(axes.patches[0].get_width() == np.sqrt(result.places[0].sum()) for axes in pictures)
    assert np.array_equal(pictures[0].images[0].get_array(), result.before[0])
    effects = (result.effect, result.control_effect, result.inserted, result.patch, result.white_patch)
    assert [bar.get_height() for bar in plot.patches] == [100 * e.value for e in effects]
