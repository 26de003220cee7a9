from __future__ import annotations

import numpy as np

from dcgan_viz.analysis.forgetting.forgetting import Forgetting
from dcgan_viz.figures.forgetting.replacements import replacements_figure
from tests.figures.columns import faults


def test_the_tables_are_those_of_the_effects(forgotten: Forgetting) -> None:
    figure = replacements_figure(forgotten)
    assert not faults(lambda: replacements_figure(forgotten))
    for axes, effect in zip(figure.axes, forgotten.effects[:2], strict=True):
        assert axes.get_title() == f"{effect.choice} ({effect.maps})"
        np.testing.assert_allclose(axes.images[0].get_array(), 100 * np.array(effect.replaced))
    rows = figure.axes[0].get_yticklabels()
    assert [(row.get_text(), row.get_fontweight()) for row in rows] == [
        (name, "bold" if name == "window" else "normal") for name in forgotten.seen
    ]
