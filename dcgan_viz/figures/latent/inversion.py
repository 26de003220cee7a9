"""The figure of an inversion: what was looked for, what was found, and how near it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from dcgan_viz.analysis.latent.inversion import Inversion, Inverted
from dcgan_viz.figures.style import (
    LABEL_SIZE,
    TITLE_SIZE,
    caption,
    in_column,
    label_row,
    new_figure,
    show_picture,
    side_by_side,
)
from dcgan_viz.words import counted

FOUND_COLOR, NEAREST_COLOR, UNRELATED_COLOR = "#2c5d8f", "#7f8c8d", "#c0392b"
SHOWN = 8
MEASURES = {
    "pixels": "grey levels (root mean square)",
    "ssim": "structural similarity",
    "features": "distance in features",
}


def inversion_figure(result: Inversion) -> Figure:
    """Photographs, what the generator makes of them and the nearest random samples; the same for its own samples.

    Parameters
    ----------
    result : Inversion

    Returns
    -------
    Figure
    """
    most = 5 if in_column() else SHOWN
    columns = min(most, max(len(result.photographs), len(result.own_samples)))
    # Few pictures stand side by side, the photographs left of the model's own; many below each other.
    beside = 2 * columns <= most
    pictures = 3 * 0.75 if beside else 6 * 0.75
    figure = new_figure(10.5, 5.9 if beside else 9.6, column=3.8 + pictures)
    figure.suptitle("Photographs through the latent space", fontsize=TITLE_SIZE + 1)
    heights = [pictures, 3.4] if in_column() else [3.3 if beside else 6.6, 1.7]
    top, bottom = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
    parts = top.subfigures(*((1, 2) if beside else (2, 1)), squeeze=False).ravel()
    _show(parts[0], "photograph", result.inverted, (result.photographs, result.pictures, result.nearest), columns)
    _show(parts[1], "own sample", result.own, (result.own_samples, result.own_pictures, result.own_nearest), columns)
    for axis, measure in zip(side_by_side(bottom, [1, 1, 1], sharey=True), MEASURES, strict=True):
        _plot_errors(axis, result, measure)
    caption(figure, *_caption(result))
    return figure


def _show(
    part: SubFigure, wanted: str, found: Sequence[Inverted], rows: tuple[NDArray[np.uint8], ...], columns: int
) -> None:
    axes = part.subplots(len(rows), columns, squeeze=False)
    for line, label, pictures in zip(axes, (wanted, "found", "nearest\nrandom"), rows, strict=True):
        for axis in line:
            axis.set_axis_off()
        for number, (axis, picture) in enumerate(zip(line, pictures, strict=False)):
            match = {"found": found[number].found, "nearest\nrandom": found[number].nearest}.get(label)
            show_picture(axis, picture, None if match is None else f"{match.pixels:.0f} · {match.features:.2f}")
        label_row(line[0], label)


def _plot_errors(axis: Axes, result: Inversion, measure: str) -> None:
    groups = (
        ("photographs, found", [f.found for f in result.inverted], FOUND_COLOR),
        ("photographs, nearest", [f.nearest for f in result.inverted], NEAREST_COLOR),
        ("own samples, found", [f.found for f in result.own], FOUND_COLOR),
        ("own samples, nearest", [f.nearest for f in result.own], NEAREST_COLOR),
    )
    for place, (_, matches, color) in enumerate(groups):
        values = [getattr(match, measure) for match in matches]
        axis.plot(values, [place] * len(values), "o", color=color, markersize=4, alpha=0.6)
        axis.plot([np.mean(values)] * 2, [place - 0.35, place + 0.35], color=color, linewidth=1.5)
    axis.axvline(getattr(result.unrelated, measure), color=UNRELATED_COLOR, linestyle="--", linewidth=1)
    axis.set_yticks(range(len(groups)), [label for label, _, _ in groups], fontsize=LABEL_SIZE)
    axis.set_ylim(len(groups) - 0.4, -0.6)
    if measure == "ssim":
        axis.set_xlim(min(0.0, axis.get_xlim()[0]), 1)
    else:
        axis.set_xlim(0)
    axis.set_xlabel(MEASURES[measure], fontsize=LABEL_SIZE)
    axis.tick_params(axis="x", labelsize=LABEL_SIZE)
    axis.spines[["top", "right"]].set_visible(False)


def _caption(result: Inversion) -> tuple[str, str]:
    settings, unrelated = result.settings, result.unrelated
    count = min(len(result.inverted), SHOWN)
    shown = "" if count == len(result.inverted) else f"the first {count} of "
    what = (
        f"Model {settings['model']}, seed {settings['seed']}: {shown}{counted(len(result.inverted), 'photograph')}, and "
        f"{len(result.own)} of the model's own samples, which can be drawn. Above the "
        f"pictures: root mean square in grey levels · distance in features. Bars: means; dashed: {settings['unrelated_pairs']} "
        f"pairs of unrelated samples. {result.verdict.replace('`', '')}"
    )
    details = (
        f"The nearest of {settings['samples']} random samples "
        f"(nearest random) are the starts; Adam improves {settings['starts']} of each for {settings['steps_of_all_starts']} "
        f"steps and the best for {settings['steps'] - settings['steps_of_all_starts']} more, {settings['evaluations']} "
        f"evaluations a picture; z stays {settings['kept_in_prior']}. Loss: squared differences of pixels at scales "
        f"down to 4x4, and of the "
        f"discriminator's features ({settings['features']}), both 1 between unrelated samples, which are "
        f"{unrelated.pixels:.1f} grey levels, SSIM {unrelated.ssim:.2f} and {unrelated.features:.2f} apart. Found again: "
        f"within {settings['found_within']:g} of the distance between unrelated samples in both, {result.recovered:.0%} "
        f"of the own samples (95 %, exact)."
    )
    return what, details
