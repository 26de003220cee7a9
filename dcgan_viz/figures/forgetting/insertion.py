"""The figure of insertion: the place, what raising the maps drew there, and the causal effect."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dcgan_viz.analysis.forgetting.insertion import Insertion
from dcgan_viz.figures.style import (
    CONTROL_COLOR,
    LABEL_SIZE,
    MATCHED_COLOR,
    OUTLINE_COLOR,
    REST_COLOR,
    SUBJECT_COLOR,
    TITLE_SIZE,
    caption,
    finish_axes,
    in_column,
    label_row,
    new_figure,
    reach,
    show_picture,
    with_minus,
)
from dcgan_viz.words import counted


def insertion_figure(result: Insertion) -> Figure:
    """Samples with the place marked, the maps raised there, random maps raised there; the average effects beside them.

    Parameters
    ----------
    result : Insertion

    Returns
    -------
    Figure
    """
    count = len(result.before)
    height = 4 * 2.6 / count
    figure = new_figure(1.35 + 0.8 * count + 3.6, 4.9, column=2.5 + height)
    figure.suptitle(
        f"Raising {counted(len(result.maps), f'{result.object} map')} of generator layer {result.layer.number} at one place",
        fontsize=TITLE_SIZE + 1,
    )
    if in_column():
        left, right = figure.subfigures(2, 1, height_ratios=[height, 2.2], squeeze=False)[:, 0]
    else:
        left, right = figure.subfigures(1, 2, width_ratios=[1.35 + 0.8 * count, 3.6], squeeze=False)[0]
    rows = {
        "as drawn": result.before,
        f"{result.object}\nmaps raised": result.after,
        "random\nmaps raised": result.control,
        "a patch of the\nsame colour": result.painted,
    }
    axes = left.subplots(4, count, squeeze=False)
    for line, (label, pictures) in zip(axes, rows.items(), strict=True):
        for axis, picture, place in zip(line, pictures, result.places, strict=True):
            show_picture(axis, picture)
            y, x = np.flatnonzero(place.any(1)), np.flatnonzero(place.any(0))
            axis.add_patch(
                Rectangle((x[0] - 0.5, y[0] - 0.5), len(x), len(y), fill=False, edgecolor=OUTLINE_COLOR, linewidth=1)
            )
        label_row(line[0], label)
    plot = right.subplots()
    effects = [result.effect, result.control_effect, result.inserted, result.patch, result.white_patch]
    values = [100 * e.value for e in effects]
    colors = [SUBJECT_COLOR, CONTROL_COLOR, SUBJECT_COLOR, MATCHED_COLOR, REST_COLOR]
    places = [0, 1, 2.6, 3.6, 4.6]
    plot.bar(places, values, 0.7, yerr=reach(effects, 100), capsize=3, color=colors)
    plot.axhline(0, color="black", linewidth=0.6)
    plot.axvline(1.8, color="black", linewidth=0.6)
    plot.set_xticks(places, [f"{result.object}\nmaps", "random\nmaps", "maps\nraised", "same\ncolour", "white\npatch"])
    plot.set_ylabel(f"{result.object} at the place (% of its area)", fontsize=LABEL_SIZE)
    plot.set_title("raised less zeroed | as it is", fontsize=LABEL_SIZE + 1)
    finish_axes(plot)
    settings = result.settings
    caption(
        figure,
        f"Model {settings['model']}, {settings['samples']} new samples (seed {settings['seed']}); {settings['place']} (framed) "
        f"in each, where the maps are set to their {settings['level']}. With the maps raised {result.object} covers "
        f"{result.inserted:.1%} of "
        f"the place by a segmenter, with them zeroed {100 * result.ablated.value:.1f} % (bars: 95 % bootstrap intervals); "
        f"beyond a patch of the same colour the maps draw {with_minus(f'{result.beyond_patch:+.1%}')}.",
        f"Average causal effect (Bau et al. 2018): "
        f"{with_minus(f'{100 * result.effect.value:.1f}')} points, random maps, others in every sample, "
        f"{with_minus(f'{100 * result.control_effect.value:.1f}')}. A plain patch of the mean colour that the raised "
        f"maps give the place is {result.object} on {result.patch:.1%} of it, a white one on {result.white_patch:.1%}. "
        f"Measured by {result.measured_by}.",
    )
    return figure
