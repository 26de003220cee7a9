"""The figure of a blind trial: pictures with what was judged on them, presence per condition, and the differences."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from dcgan_viz.blind.report import BlindResult, Difference
from dcgan_viz.figures.style import (
    LABEL_SIZE,
    TITLE_SIZE,
    caption,
    finish_axes,
    in_column,
    label_row,
    new_figure,
    plot_estimates,
    reach,
    show_picture,
    side_by_side,
)
from dcgan_viz.statistics import Estimate, probability

COLUMNS = 10
COLORS = ("#2c5d8f", "#c0392b", "#7f8c8d", "#b8860b", "#4b8b3b", "#6c4a8b")
BOX_COLOR = "#39ff14"
LINE = 0.115
"""Inches that a line of a label takes."""


def blind_figure(result: BlindResult) -> Figure:
    """Example pictures of every condition with their boxes, over presence, differences and covered area.

    Parameters
    ----------
    result : BlindResult

    Returns
    -------
    Figure
        A row of up to 10 latents a condition over two plots, or three where boxes were asked for.
    """
    names = [presence.condition for presence in result.presences]
    latents = _examples(result)
    labels = _difference_labels(result)
    rows, plot_height = len(names) * 0.98, max(2.7, 0.7 + LINE * sum(label.count("\n") + 2 for label in labels))
    with_area = result.answer_kind == "boxes"
    columns = 4 if in_column() else COLUMNS
    if in_column():
        lines = sum(label.count("\n") + 1 for label in labels)
        rows, plot_height = 0.75 * len(names), (2 + with_area) * (0.75 + LINE * lines)
    figure = new_figure(1.5 + 0.85 * COLUMNS, 1.6 + rows + plot_height, column=0.5 + rows + plot_height)
    figure.suptitle(f"Judged blind: {result.question}", fontsize=TITLE_SIZE + 1, wrap=True)
    top, bottom = figure.subfigures(2, 1, height_ratios=[rows, plot_height], squeeze=False)[:, 0]
    axes = top.subplots(len(names), columns, squeeze=False)
    for number, (row, name) in enumerate(zip(axes, names, strict=True)):
        for axis in row:
            axis.set_axis_off()
        for axis, latent in zip(row, latents, strict=False):
            _show_judged(axis, result, int(np.flatnonzero((result.condition == number) & (result.pair == latent))[0]))
        label_row(row[0], _wrap(name))
    plots = side_by_side(bottom, [1, 0.75, 1] if with_area else [1, 1])
    _plot_presence(plots[0], result)
    if with_area:
        _plot_area(plots[1], result)
    _plot_differences(plots[-1], result, labels)
    caption(figure, *_caption(result, len(latents)))
    return figure


def _examples(result: BlindResult) -> NDArray[np.int64]:
    """The first latents, those before others that were judged under more conditions."""
    judged = np.bincount(result.pair, result.answered)
    return np.argsort(-judged, kind="stable")[: 4 if in_column() else COLUMNS]


def _show_judged(axis: Axes, result: BlindResult, index: int) -> None:
    answer = {1.0: "yes", 0.0: "no"}.get(float(result.present[index]), "unclear")
    show_picture(axis, result.pictures[index], answer if result.answered[index] else "not judged")
    for _, left, top, width, height in result.boxes[result.boxes[:, 0] == index]:
        # Pixel centres have whole coordinates, corners of boxes count from the picture's edge.
        corner = (left - 0.5, top - 0.5)
        for color, line in (("black", 1.8), (BOX_COLOR, 1.0)):
            axis.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=color, linewidth=line))


def _plot_presence(axis: Axes, result: BlindResult) -> None:
    labels = [
        f"{_wrap(p.condition)}\nn = {p.judged - p.unclear}" + (f", {p.unclear} unclear" if p.unclear else "")
        for p in result.presences
    ]
    _bars(axis, [presence.share for presence in result.presences], labels)
    axis.set_xlim(0, 105)
    axis.set_xlabel("pictures that show it (%)", fontsize=LABEL_SIZE)
    axis.set_title("presence", fontsize=LABEL_SIZE + 1)


def _plot_area(axis: Axes, result: BlindResult) -> None:
    areas = [p.area for p in result.presences if p.area is not None]
    _bars(axis, areas, [""] * len(areas))
    axis.set_xlim(0)
    axis.set_xlabel("of a picture (%)", fontsize=LABEL_SIZE)
    axis.set_title("area in boxes", fontsize=LABEL_SIZE + 1)


def _difference_labels(result: BlindResult) -> list[str]:
    return [
        f"{_wrap(d.condition)}\n− {_wrap(d.reference)}\nn = {d.pairs}, {probability(d.p_value)}{_unclear(d)}"
        for d in result.differences
    ]


def _plot_differences(axis: Axes, result: BlindResult, labels: list[str]) -> None:
    shares = [change.share for change in result.differences]
    plot_estimates(axis, shares, range(len(shares)), color="black", scale=100)
    axis.axvline(0, color="black", linewidth=0.6)
    axis.set_xlim(-105, 105)
    axis.set_xlabel("percentage points", fontsize=LABEL_SIZE)
    axis.set_title("difference of presence", fontsize=LABEL_SIZE + 1)
    _finish(axis, labels)


def _unclear(change: Difference) -> str:
    """What became of the test where unclear counts as not there."""
    return f"\n{change.unclear} unclear; counted: {probability(change.p_with_unclear)}" if change.unclear else ""


def _bars(axis: Axes, estimates: Sequence[Estimate], labels: list[str]) -> None:
    """A bar a condition with its interval, in percent."""
    lengths, places = [100 * e.value for e in estimates], np.arange(len(estimates))
    colors = [COLORS[place % len(COLORS)] for place in places]
    axis.barh(places, lengths, 0.6, xerr=reach(estimates, 100), capsize=3, color=colors)
    _finish(axis, labels)


def _finish(axis: Axes, labels: list[str]) -> None:
    """One line a label, the first on top."""
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylim(len(labels) - 0.5, -0.5)
    finish_axes(axis)
    axis.tick_params(labelsize=LABEL_SIZE - 1)


def _wrap(name: str) -> str:
    return "\n".join(textwrap.wrap(name, 26))


def _caption(result: BlindResult, examples: int) -> tuple[str, str]:
    settings = result.settings
    model = f"Model {settings['model']}. " if "model" in settings else ""
    drawn = f", drawn with seed {settings['seed']}" if "seed" in settings else ""
    area = (
        " Area: share of a picture that boxes cover, none counting as 0, with 95 % bootstrap intervals over sets."
        if result.answer_kind == "boxes"
        else ""
    )
    shown = f"the first {examples} sets" + (" of those judged under most conditions" if result.missing else "")
    shown_text = (
        f"{model}{settings['sets']} matched sets of {len(result.presences)} pictures, one a condition{drawn}; they were "
        f"shuffled (seed {settings['shuffle_seed']}) and {result.judged} of {len(result.pictures)} judged without being "
        f"told the condition (contributor: {result.contributor}). Above, {shown}, with the answers. Bars: 95 % "
        "intervals; p: McNemar's exact test; unclear answers are left out."
    )
    details = (
        f"Presence: share of "
        f"the clear pictures with 95 % Wilson intervals; unclear ones are left out. Differences: over the sets that are "
        f"clear under both conditions, with 95 % score intervals (Tango) and McNemar's exact test.{area} "
        f"{result.guesser.sentence[0].upper()}{result.guesser.sentence[1:]} (logistic regression, cross-validated over "
        "latents)."
    )
    return shown_text, details
