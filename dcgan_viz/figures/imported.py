"""What an import compared: candidates side by side, and stored against computed deviations."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dcgan_viz.data.images import to_pixels
from dcgan_viz.figures.style import (
    LABEL_SIZE,
    REFERENCE_COLOR,
    SUBJECT_COLOR,
    caption,
    finish_axes,
    in_column,
    new_figure,
    show_row,
)
from dcgan_viz.foreign.candidates import Candidate
from dcgan_viz.foreign.testimony import Verdict

SURELY = 1_000_000
"""Odds beyond which they are not told."""


def candidates_figure(candidates: Sequence[Candidate], decided: bool = True) -> Figure:
    """Readings of a generator's weights side by side, each drawn from the same latents.

    Parameters
    ----------
    candidates : sequence of Candidate
        Not empty; the best first.
    decided : bool
        Whether the first was taken.
    """
    figure = new_figure(6.5, 0.8 + 1.42 * len(candidates), column=0.3 + 0.95 * len(candidates))
    for row, candidate in enumerate(candidates):
        axes = figure.add_subplot(len(candidates), 1, row + 1)
        show_row(axes, to_pixels(candidate.images))
        words = textwrap.fill(f"{row + 1}. {candidate.name}", 60 if in_column() else 105)
        axes.set_title(f"{words}\n{_odds(row, candidate, decided)}", fontsize=LABEL_SIZE, loc="left", pad=3)
    caption(
        figure,
        "Readings of the same weights, each drawn from the same latents; others are named by what they do otherwise than "
        "the first. Odds are those of the running statistics in the file and of custom.",
    )
    return figure


def _odds(row: int, candidate: Candidate, decided: bool) -> str:
    if row == 0:
        return "taken" if decided else "the most usual of those that agree"
    if candidate.behind == 0:
        return "no statistics tell it from the first"
    odds = math.exp(min(candidate.behind, 50))
    return (
        f"odds against it {odds:,.2g} to 1"
        if odds < 10
        else f"odds against it {min(odds, SURELY):,.0f} to 1{' and more' * (odds > SURELY)}"
    )


def fit_figure(verdict: Verdict, side: str = "generator") -> Figure:
    """Stored against computed deviations of every map, layer by layer.

    Parameters
    ----------
    verdict : Verdict
        With at least one layer that keeps statistics.
    side : str
        Of which network.
    """
    figure = new_figure(2.1 * len(verdict.fits) + 0.3, 2.9)
    for column, fit in enumerate(verdict.fits):
        axes = figure.add_subplot(1, len(verdict.fits), column + 1)
        stored, computed = fit.stored[1].numpy(), fit.computed[1].numpy()
        least = max(float(stored.max()), 1e-12) * 1e-4
        stored, computed = stored.clip(least), computed.clip(least)
        ends = float(min(stored.min(), computed.min())), float(max(stored.max(), computed.max()))
        axes.plot(ends, ends, color=REFERENCE_COLOR, linewidth=0.8)
        axes.plot(stored, computed, ".", color=SUBJECT_COLOR, markersize=3, alpha=0.6, markeredgewidth=0)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(f"layer {fit.layer}: ratio {fit.ratio:.2f}", fontsize=LABEL_SIZE)
        axes.set_xlabel("stored deviation", fontsize=LABEL_SIZE)
        axes.minorticks_off()
        ticks = [ends[0], math.sqrt(ends[0] * ends[1]), ends[1]]
        axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
        axes.set_yticks(ticks, [f"{tick:.2g}" for tick in ticks])
        if column == 0:
            axes.set_ylabel("computed deviation", fontsize=LABEL_SIZE)
        finish_axes(axes)
    caption(
        figure,
        f"Deviations of the {side}'s maps before their normalisation, one point a map: what the file's running statistics "
        "say of training, and what the imported network produces. The line: equal. In the title the median ratio of computed "
        "to stored.",
    )
    return figure


def figure_pixels(figure: Figure) -> NDArray[np.uint8]:
    """A figure as pixels (H, W, 3)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
