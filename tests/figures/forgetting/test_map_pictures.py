from __future__ import annotations

import numpy as np

from dcgan_viz.analysis.forgetting.forgetting import Forgetting
from dcgan_viz.analysis.forgetting.map_pictures import picture_maps
from dcgan_viz.figures.forgetting.map_pictures import map_pictures_figure
from tests.figures.columns import faults


def test_every_map_has_a_tile_of_its_samples_lit_and_without_it(forgotten: Forgetting) -> None:
    scores = np.array([0.25, -1.0, 0.5, 0.0])
    model = forgotten.evidence[0].model
    result = picture_maps(model, forgotten.layer, scores, "window", "regression", count=2)
    figure = map_pictures_figure(result)
    assert not faults(lambda: map_pictures_figure(result))
    assert [axes.get_title() for axes in figure.axes if axes.images] == ["map 2: 0.5", "map 0: 0.25"]
    assert "“window” by regression" in figure.get_suptitle()
