from __future__ import annotations

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.latent.inversion import (
    Inversion,
    invert,
)
from dcgan_viz.figures.latent.inversion import inversion_figure
from tests.figures.columns import faults

QUICK = {"starts": 2, "steps": 40, "samples": 128, "own": 4}


def noise(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (count, 3, 16, 16)).astype(np.float32))


@pytest.fixture
def result(tiny_model) -> Inversion:
    return invert(tiny_model, noise(3), ["a.png", "b.png", "c.png"], **QUICK)


def test_the_figure_says_what_was_done(result: Inversion) -> None:
    figure = inversion_figure(result)
    assert not faults(lambda: inversion_figure(result))
    text = figure.said.replace("\n", " ")
    assert result.verdict.replace("`", "") in text
    assert f"{result.settings['evaluations']} evaluations" in text
    titles = [axis.get_title() for axis in figure.axes]
    assert f"{result.inverted[0].found.pixels:.0f} · {result.inverted[0].found.features:.2f}" in titles
