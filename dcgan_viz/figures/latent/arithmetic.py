"""The figure of vector arithmetic: exemplars, averages, the result with its neighbours, the same in pixels, controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from dcgan_viz.analysis.latent.arithmetic import NEIGHBOURS, Arithmetic, Measurement
from dcgan_viz.figures.style import (
    BAND_COLOR,
    CONTROL_COLOR,
    LABEL_SIZE,
    REFERENCE_COLOR,
    SUBJECT_COLOR,
    TITLE_SIZE,
    caption,
    finish_axes,
    in_column,
    label_row,
    new_figure,
    plot_estimates,
    show_picture,
    side_by_side,
    with_minus,
)
from dcgan_viz.media.pictures import tile

TRIALS_SHOWN = 12
PICTURE = 1.05
GAP = 2


def arithmetic_figure(result: Arithmetic) -> Figure:
    """As the paper's Figure 7: exemplars over their averages, then the result amid eight neighbours, then pixels.

    Below, results of exemplars drawn anew, beside single ones and pixels; and the rates, if they were measured.

    Parameters
    ----------
    result : Arithmetic

    Returns
    -------
    Figure
    """
    operands, averaged = result.exemplars.shape[:2]
    rates = 0.9 + 0.27 * len(result.measurements[0].rates) if result.measurements else 0
    # Beside the operands stand two grids of three pictures, with room between for the signs.
    columns = operands + 6
    shown = min(6 if in_column() else TRIALS_SHOWN, len(result.trials), round(1.25 * columns))
    width = max(PICTURE * (columns + 1.6), 9.5)
    equation, trials = (
        PICTURE * (averaged + 1) + 0.55,
        (5 if len(result.alone_trials) else 3) * width / (shown + 1.8) + 0.35,
    )
    heights = [equation, trials, *([rates] if rates else [])]
    if in_column():
        of_rates = [len(measurement.rates) for measurement in result.measurements]
        lines = 5 if len(result.alone_trials) else 3
        heights = [
            0.42 * (averaged + 1) + 0.4,
            lines * 2.4 / shown,
            *([sum(0.115 * n + 0.4 for n in of_rates)] if rates else []),
        ]
    figure = new_figure(width, 1.35 + equation + trials + rates, column=0.3 + sum(heights))
    figure.suptitle(result.expression, fontsize=TITLE_SIZE + 2)
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _draw_equation(parts[0], result)
    _draw_trials(parts[1], result, shown)
    if result.measurements:
        _plot_rates(parts[2], result.measurements)
    caption(figure, *_caption(result))
    return figure


def _draw_equation(part: SubFigure, result: Arithmetic) -> None:
    operands, averaged = result.exemplars.shape[:2]
    rows = averaged + 1
    grid = part.add_gridspec(1, 2, width_ratios=[operands, 4.7], wspace=0.03)
    left = grid[0].subgridspec(rows, operands)
    for column, operand in enumerate(result.operands):
        sign = "−" if operand.sign < 0 else ("+" if column else "")
        for row in range(rows):
            axis = part.add_subplot(left[row, column])
            average = row == averaged
            show_picture(axis, result.averages[column] if average else result.exemplars[column, row])
            if row == 0:
                title = f"{sign} {_wrap(operand.concept)}".strip()
                axis.set_title(title, fontsize=LABEL_SIZE + 1, pad=4, color=SUBJECT_COLOR if sign == "−" else "black")
            if average:
                height, width = result.averages.shape[1:3]
                _frame(axis, CONTROL_COLOR, (-0.5, -0.5, width, height))
            number = "mean z" if average else f"{operand.exemplars[row]}"
            axis.text(0.5, -0.03, number, transform=axis.transAxes, ha="center", va="top", fontsize=LABEL_SIZE - 1)
    _draw_result(part.add_subplot(grid[1], anchor="N"), result)


def _draw_result(axis: Axes, result: Arithmetic) -> None:
    """The result amid its neighbours and, right of them and as large, the same in pixels."""
    pictures = [*result.neighbours[:4], result.picture, *result.neighbours[4:NEIGHBOURS]]
    blank = np.full_like(result.pixel_picture, 255)
    amid = tile(np.stack(pictures), columns=3, gap=GAP)
    control = tile(np.stack([blank, result.pixel_picture, blank]), columns=1, gap=GAP)
    height, width, channels = result.picture.shape
    space = np.full((len(amid), width // 3, channels), 255, np.uint8)
    show_picture(axis, np.concatenate([amid, space, control], axis=1))
    _frame(axis, REFERENCE_COLOR, (width + 2 * GAP - 0.5, height + 2 * GAP - 0.5, width, height))
    words: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": LABEL_SIZE}
    lines = "\n" if in_column() else " "
    axis.text(amid.shape[1] / 2, -GAP, f"= arithmetic on z,{lines}amid neighbours", **words)
    axis.text(amid.shape[1] + width / 3 + control.shape[1] / 2, height, f"the same{lines}on pixels", **words)


def _draw_trials(part: SubFigure, result: Arithmetic, shown: int) -> None:
    rows = {
        "three exemplars,\ndrawn anew": result.trials,
        "a single exemplar\nof each": result.single_trials,
        "three exemplars,\non pixels": result.pixel_trials,
    }
    if len(result.alone_trials):
        rows["the last term\nalone"] = result.alone_trials
        rows["random means\n+ the last term"] = result.random_trials
    axes = part.subplots(len(rows), shown, squeeze=False)
    for line, (label, pictures) in zip(axes, rows.items(), strict=True):
        for axis, picture in zip(line, pictures, strict=False):
            show_picture(axis, picture)
        label_row(line[0], label)


def _plot_rates(part: SubFigure, measurements: Sequence[Measurement]) -> None:
    """A panel for each class that was expected, side by side, sharing the conditions."""
    axes = side_by_side(part, [1] * len(measurements), sharey=True)
    for axis, measurement in zip(axes, measurements, strict=True):
        _plot_class(axis, measurement, exact=len(measurements) == 1)


def _plot_class(axis: Axes, measurement: Measurement, exact: bool) -> None:
    """Rates with both intervals; `exact` writes these out, for which only a single panel has room."""
    rates = measurement.rates
    places = range(len(rates), 0, -1)
    for place, rate in zip(places, rates, strict=True):
        color = REFERENCE_COLOR if rate.condition == "arithmetic on z" else CONTROL_COLOR
        text = f"{rate.share:.0%} of {rate.pictures}" if exact else f"{100 * rate.share.value:.0f} %"
        if rate.over_exemplars is not None:
            plot_estimates(axis, [rate.over_exemplars], [place], color=BAND_COLOR)
            if exact:
                text += f"; over exemplars [{100 * rate.over_exemplars.low:.0f}, {100 * rate.over_exemplars.high:.0f}]"
        plot_estimates(axis, [rate.share], [place], color=color)
        axis.text(1.03, place, text, va="center", fontsize=LABEL_SIZE)
    axis.axvline(rates[-1].share.value, color=SUBJECT_COLOR, linestyle="--", linewidth=1)
    axis.set_yticks(list(places), [rate.condition for rate in rates])
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(0.4, len(rates) + 0.6)
    axis.set_xlabel(f"share that is called “{measurement.expected}”", fontsize=LABEL_SIZE)
    finish_axes(axis)


def _frame(axis: Axes, color: str, box: tuple[float, float, float, float]) -> None:
    """Around left, top, width, height, in pixels of the picture."""
    left, top, width, height = box
    frame = Rectangle(
        (left, top), width, height, fill=False, edgecolor=color, linewidth=1.2 if in_column() else 2.5, clip_on=False
    )
    axis.add_patch(frame)


def _wrap(name: str) -> str:
    """Long names over several lines, so that neighbours do not touch."""
    words, lines = name.split(" "), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > 11:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _caption(result: Arithmetic) -> tuple[str, str]:
    settings, reach, single = result.settings, result.reach, result.single_reach
    pools = ", ".join(f"{name} {count}" for name, count in settings["pools"].items())
    shown = (
        f"Model {settings['model']}, samples of seed {settings['samples_seed']} by number. Columns: three exemplars of each "
        f"concept and, framed, what the generator draws from their mean z. Framed in blue: the sum of the means; around it the "
        f"sum with noise. Rows: the same with exemplars drawn anew, and its controls."
    )
    if result.measurements:
        shown += " Rates: 95 % intervals, light over exemplars; dashed: ordinary samples."
    sentences = [
        f"Exemplars were picked by: {settings['picked_by']}. Noise: {settings['noise']}; seed {settings['seed']}. Pixels: "
        f"{settings['pixel_arithmetic']}. Exemplars drawn anew are of all that were picked ({pools}), each "
        f"moved by noise of ±0.25; two trials of {settings['trials']} differ by {result.instability:.1f} grey levels with "
        f"three exemplars and {result.single_instability:.1f} with one. The sum is {reach.length:.2f} times as long as an "
        f"ordinary z (single exemplars: {single.length:.2f})"
    ]
    if settings["prior"] == "uniform":
        sentences.append(
            f" and not kept in the prior: {100 * reach.outside:.0f} % of its coordinates lie beyond ±1 (single: "
            f"{100 * single.outside:.0f} %), the farthest at {reach.farthest:.2f}; keeping them inside would change a pixel "
            f"by {result.clamping:.1f} grey levels"
        )
    sentences.append(".")
    if result.measurements:
        sentences.append(f" Rates: {settings['rate_intervals']} (light); dashed: ordinary samples.")
    for measurement in result.measurements:
        sentences.append("".join(f" {with_minus(sentence)}." for sentence in measurement.sentences()))
        if measurement.accuracies:
            accuracies = "; ".join(f"{a.subset} {a.estimate:.1%}" for a in measurement.accuracies)
            sentences.append(
                f" The classifier of “{measurement.expected}” is right on held-out photographs: {accuracies} (split: "
                f"{measurement.split}); it was not trained on what a generator draws."
            )
    return shown, "".join(sentences)
