from __future__ import annotations

import pytest

from dcgan_viz.analysis.latent.arithmetic import (
    Arithmetic,
    arithmetic,
)
from dcgan_viz.annotations.concepts import Concepts
from dcgan_viz.figures.latent.arithmetic import arithmetic_figure
from dcgan_viz.model import DCGAN
from tests.concepts import EXPRESSION, people
from tests.figures.columns import faults


@pytest.fixture
def concepts(tiny_model: DCGAN) -> Concepts:
    return people(tiny_model)


@pytest.fixture
def result(tiny_model: DCGAN, concepts: Concepts) -> Arithmetic:
    return arithmetic(tiny_model, concepts, EXPRESSION, trials=4, wanted="smiling man", seed=3)


@pytest.mark.slow
def test_the_figure_says_what_was_done(result: Arithmetic) -> None:
    figure = arithmetic_figure(result)
    assert not faults(lambda: arithmetic_figure(result))
    text = figure.said
    assert f"{result.instability:.1f} grey levels with three" in text.replace("\n", " ")
    assert "picked by: a tester" in text.replace("\n", " ")
    titles = [axis.get_title() for axis in figure.axes]
    assert "− woman" in titles
    assert "+ man" in titles
    assert "the same on pixels" in {t.get_text() for axis in figure.axes for t in axis.texts}
    numbers = [t.get_text() for axis in figure.axes for t in axis.texts]
    assert {"7", "2", "5", "1", "3", "4", "8", "6", "9"} <= set(numbers)
