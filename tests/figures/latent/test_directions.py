from __future__ import annotations

from dcgan_viz.analysis.latent.directions import (
    POSITIONS,
    directions,
)
from dcgan_viz.figures.latent.directions import directions_figure
from dcgan_viz.networks import dcgan
from tests.figures.columns import faults


def test_the_figure_says_what_was_done(make_model) -> None:
    model = make_model(dcgan(16, width=4, latent_dim=8, prior="normal"))
    result = directions(model, count=2, samples=1, measured_samples=2, seed=1)
    figure = directions_figure(result)
    assert not faults(lambda: directions_figure(result))
    assert len(figure.axes) == 5 * (POSITIONS + 2)
    text = figure.said.replace("\n", " ")
    assert "the length of z is kept" in text
    assert f"{result.random_changes[0].distance.value:.1f}" in text
    assert f"{result.found[0].found_again:.2f}" in text
