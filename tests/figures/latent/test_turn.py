from __future__ import annotations

import pytest

from dcgan_viz.analysis.latent.turn import Turn, turn
from dcgan_viz.annotations.concepts import Concepts
from dcgan_viz.figures.latent.turn import turn_figure
from dcgan_viz.model import DCGAN
from tests.concepts import sides
from tests.figures.columns import faults


@pytest.fixture
def concepts(tiny_model: DCGAN) -> Concepts:
    return sides(tiny_model)


@pytest.fixture
def result(tiny_model: DCGAN, concepts: Concepts) -> Turn:
    return turn(tiny_model, concepts, rows=3, positions=5, strength=1.5, directions=39, resamples=50, seed=2)


def test_the_figure_says_what_was_done(result: Turn) -> None:
    figure = turn_figure(result)
    assert not faults(lambda: turn_figure(result))
    text = figure.said.replace("\n", " ")
    assert f"{result.oddness.value:.2f} [" in text
    assert "(seed 2)" in text
    titles = [axis.get_title() for axis in figure.axes]
    assert "−1.5 turn" in titles
    assert "sample" in titles
    assert [t.get_text() for axis in figure.axes for t in axis.texts][:8] == ["7", "2", "5", "9", "1", "3", "4", "8"]
