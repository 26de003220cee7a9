"""The figure of a comparison: a row of samples for each model, and its distance from real images."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from dcgan_viz.analysis.quality.comparison import Comparison
from dcgan_viz.figures.style import (
    BAND_COLOR,
    LABEL_SIZE,
    SUBJECT_COLOR,
    TITLE_SIZE,
    caption,
    finish_axes,
    in_column,
    new_figure,
    plot_estimates,
    show_picture,
    with_minus,
)
from dcgan_viz.media.pictures import tile


def comparison_figure(result: Comparison) -> Figure:
    """What each model draws, beside its kernel distance from real images and that of other real images.

    Parameters
    ----------
    result : Comparison

    Returns
    -------
    Figure
    """
    rows = len(result.models)
    lines = [0.4 * rows, 0.9 + 0.22 * rows]
    figure = new_figure(12.0, 1.5 + 0.72 * rows, column=0.4 + sum(lines))
    drawn = "from the same latents" if result.same_latents else "from latents of one seed"
    figure.suptitle(f"Models side by side: samples {drawn}", fontsize=TITLE_SIZE + 1)
    if in_column():
        pictures, numbers = figure.subfigures(2, 1, height_ratios=lines, squeeze=False)[:, 0]
    else:
        pictures, numbers = figure.subfigures(1, 2, width_ratios=(3.2, 1.0), squeeze=False)[0]
    for axes, pixels, entry in zip(
        pictures.subplots(rows, 1, squeeze=False)[:, 0], result.pictures, result.models, strict=True
    ):
        show_picture(axes, tile(pixels[:8] if in_column() else pixels, columns=8 if in_column() else len(pixels)))
        axes.text(
            -0.01,
            0.5,
            entry.model.replace(", ", "\n"),
            transform=axes.transAxes,
            ha="right",
            va="center",
            fontsize=LABEL_SIZE,
        )
    axes = numbers.subplots()
    places = np.arange(rows)[::-1]
    axes.axvspan(result.floor.low, result.floor.high, color=BAND_COLOR, label="other real images")
    plot_estimates(axes, [entry.kernel for entry in result.models], places, color=SUBJECT_COLOR, label="samples")
    for place, entry in zip(places, result.models, strict=True):
        axes.annotate(
            with_minus(format(entry.kernel, ".1f")),
            (entry.kernel.value, place),
            (0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=LABEL_SIZE - 1,
        )
    axes.set_yticks(places, [entry.model for entry in result.models]) if in_column() else axes.set_yticks([])
    axes.set_ylim(-0.6, rows - 0.4)
    axes.margins(x=0.15)
    axes.set_title("kernel distance (thousandths)", fontsize=LABEL_SIZE + 1)
    finish_axes(axes, left=False)
    axes.legend(fontsize=LABEL_SIZE - 1, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)
    caption(figure, _caption(result))
    return figure


def _caption(result: Comparison) -> str:
    settings = result.settings
    farther = "; ".join(
        f"{entry.model} lies {with_minus(format(entry.farther, '+.1f'))} farther than {result.models[0].model}"
        for entry in result.models
        if entry.farther is not None
    )
    latents = (
        "Every column is one latent."
        if result.same_latents
        else "The latents differ in size or prior, so a column is no one latent."
    )
    return (
        f"{latents} {settings['images_of_each']} samples of each (seed {settings['seed']}) against as many of "
        f"{settings['source']}. {farther} (thousandths, paired over the same real images). Encoder {settings['encoder']}: "
        f"{settings['encoder_note']}. Intervals: 95 %, jackknife."
    )
