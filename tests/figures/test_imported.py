from __future__ import annotations

import math

import torch

from dcgan_viz.figures.imported import candidates_figure
from dcgan_viz.foreign.candidates import Candidate
from tests.figures.columns import faults


def test_every_reading_has_a_row_with_its_odds() -> None:
    images = torch.zeros(3, 3, 16, 16)
    candidates = [
        Candidate("stride 2", 0.0, images),
        Candidate("another activation", 0.0, images),
        Candidate("kernels not turned", math.log(250), images),
        Candidate("upsampling", 40.0, images),
    ]
    assert not faults(lambda: candidates_figure(candidates))
    titles = [axes.get_title(loc="left").splitlines() for axes in candidates_figure(candidates).axes]
    assert [title[0] for title in titles] == [f"{k}. {c.name}" for k, c in enumerate(candidates, start=1)]
    assert [title[1] for title in titles] == [
        "taken",
        "no statistics tell it from the first",
        "odds against it 250 to 1",
        "odds against it 1,000,000 to 1 and more",
    ]
