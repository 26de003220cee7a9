from __future__ import annotations

import pytest

from dcgan_viz.analysis.memorization.memorization import memorization
from dcgan_viz.analysis.memorization.near_copies import NEAR
from dcgan_viz.data.images import TensorImages
from dcgan_viz.figures.memorization.memorization import memorization_figure, nearest_figure
from dcgan_viz.figures.style import SUBJECT_COLOR
from dcgan_viz.model import DCGAN
from tests.figures.columns import faults


@pytest.mark.slow
@pytest.mark.parametrize("copies", [True, False])
def test_the_figures_tell_the_verdict(tiny_model: DCGAN, monkeypatch: pytest.MonkeyPatch, copies: bool) -> None:
    for name, number in (("PLANTED", 20), ("WALKS", 2), ("WALK_STEPS", 8)):
        monkeypatch.setattr(f"dcgan_viz.analysis.memorization.memorization.{name}", number)
    # The samples are those of seed 0: with it, every one of them is a training image.
    training = TensorImages(tiny_model.sample(100, seed=0 if copies else 1))
    found = memorization(tiny_model, training, samples=100)
    figure = memorization_figure(found)
    assert not faults(lambda: memorization_figure(found)) + faults(lambda: nearest_figure(found))
    assert figure.get_suptitle().endswith("The generator copies" if copies else "No sign of copying")
    assert found.rule in figure.said.replace("\n", " ")
    marked = [a.get_title() for a in nearest_figure(found).get_axes() if a.title.get_color() == SUBJECT_COLOR]
    assert all(float(distance) < NEAR for distance in marked)
    if copies:
        # All 16 that are shown, in pixels and in features.
        assert marked == ["0.00"] * 32
