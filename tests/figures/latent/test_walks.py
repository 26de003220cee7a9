from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.latent.walks import (
    MEASURES,
    Walk,
    walk,
)
from dcgan_viz.figures.latent.walks import SUDDEN_COLOR, walk_figure
from dcgan_viz.model import DCGAN
from tests.figures.columns import faults


def short_walk(model: DCGAN, points: torch.Tensor | None = None, **settings: object) -> Walk:
    """A walk compared with the fewest random walks."""
    return walk(model, points, random_walks=99, **settings)


@pytest.mark.parametrize("closed", [False, True])
def test_the_figure_says_what_was_done(tiny_model, closed: bool) -> None:
    result = short_walk(tiny_model, rows=2, steps=3, closed=closed)
    sudden = replace(result.rows[1], sudden=True, at=2, p_value=0.0025)
    shown = replace(result, rows=(replace(result.rows[0], sudden=False), sudden))
    figure = walk_figure(shown)
    assert not faults(lambda: walk_figure(shown))
    # A legend; a row of pictures and its steps, with words beside each.
    assert len(figure.axes) == 1 + 2 * 4
    drawn = [line.get_ydata() for line in figure.axes[3].lines]
    assert [list(line) for line in drawn[1:]] == [
        pytest.approx(np.divide(result.rows[0].steps[k], result.usual[k].high)) for k in range(len(MEASURES))
    ]
    text = figure.said.replace("\n", " ")
    assert f"{result.usual[0].unrelated:.3g} (pixels)" in text
    assert "straight lines" in text
    assert "at most 1 % of ordinary rows" in text
    labels = [t for axis in figure.axes for t in axis.texts if "→" in t.get_text()]
    assert [label.get_text().splitlines()[0] for label in labels] == ["0→1", "1→0" if closed else "1→2"]
    assert "sudden at step 2" in labels[1].get_text()
    assert [label.get_color() for label in labels] == ["black", SUDDEN_COLOR]
    calm = replace(sudden, sudden=False, p_value=0.015)
    assert "no row is sudden (least p = 0.015)" in replace(result, rows=(calm,)).sentences()
    assert "a row is sudden in 0 (step 2, p = 0.0025)" in replace(result, rows=(sudden,)).sentences()
