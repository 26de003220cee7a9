"""The candidates of a search for duplicates: how far their codes are apart, and how well their pixels agree."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from dcgan_viz.data.duplicates import Duplicates
from dcgan_viz.figures.style import CONTROL_COLOR, SUBJECT_COLOR, caption, new_figure
from dcgan_viz.words import counted

MOST_POINTS = 20_000


def duplicates_figure(result: Duplicates) -> Figure:
    """Every candidate by the distance of its codes and the correlation of its pixels, with the threshold.

    Parameters
    ----------
    result : Duplicates

    Returns
    -------
    Figure
    """
    figure = new_figure(6.4, 4.0, column=2.3)
    axes = figure.subplots()
    threshold, radius = result.settings["threshold"], result.settings["radius"]
    chosen = np.linspace(0, len(result.candidates) - 1, min(len(result.candidates), MOST_POINTS)).astype(int)
    # Apart by a hair, so that many of one distance are seen.
    shift = np.random.default_rng(0).uniform(-0.3, 0.3, len(chosen))
    x, y = result.distances[chosen] + shift, result.correlations[chosen]
    for same, color, name in ((True, SUBJECT_COLOR, "duplicates"), (False, CONTROL_COLOR, "other candidates")):
        mask = (y >= threshold) == same
        axes.scatter(x[mask], y[mask], s=6, color=color, linewidths=0, label=name)
    axes.axhline(threshold, color="black", linewidth=0.8, linestyle="--")
    axes.set(
        xlim=(-1, radius + 1),
        xlabel=f"bits in which the codes differ, of 128 (at most {radius})",
        ylabel="correlation of the fitted pixels",
    )
    if len(chosen):
        axes.legend(loc="lower left", frameon=False)
    caption(
        figure,
        f"{counted(len(result.candidates), 'pair')} of {result.pictures:,} pictures whose codes are equal or near. Those whose "
        f"32x32 pixels correlate by {threshold:g} or more (dashed) once one is fitted to the other are duplicates: "
        f"{counted(result.groups, 'group')}, {counted(result.removed, 'picture')} to leave out.",
    )
    return figure
