from __future__ import annotations

import numpy as np
from torch import Tensor

from dcgan_viz.analysis.attribution.detection import Detection, rank_maps
from dcgan_viz.figures.attribution.detection import detection_figure
from dcgan_viz.model import DCGAN
from tests.figures.columns import faults


def rank(model: DCGAN, scenes: tuple[Tensor, np.ndarray], seed: int = 0) -> Detection:
    return rank_maps(model, model.discriminator_layers[0], *scenes, "square", seed=seed)


def test_the_figure_shows_object_and_maps(tiny_model: DCGAN, scenes) -> None:
    drawn = rank(tiny_model, scenes)
    figure = detection_figure(drawn)
    assert not faults(lambda: detection_figure(drawn))
    assert figure.get_suptitle() == "Which maps of discriminator layer 1 see “square”?"
    assert "by chance" in figure.said.replace("\n", " ")
