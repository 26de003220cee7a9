"""The figure of a walk: rows of pictures, and beneath each how far its steps lead."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dcgan_viz.analysis.latent.walks import Row, UsualSteps, Walk
from dcgan_viz.figures.style import LABEL_SIZE, TITLE_SIZE, caption, in_column, new_figure, show_row
from dcgan_viz.statistics import probability

SUDDEN_COLOR, LIMIT_COLOR = "#c0392b", "#7f8c8d"
MEASURE_STYLES = (("#2c5d8f", "o"), ("#d68910", "s"), ("#16a085", "^"))
"""Colour and marker of each measure: three that every eye tells apart, by form as well."""

STRIP_HEIGHT, LEGEND_HEIGHT = 0.55, 0.25


def walk_figure(result: Walk) -> Figure:
    """Rows of pictures from one point to the next; beneath each its steps, beside what random walks stay below.

    Parameters
    ----------
    result : Walk

    Returns
    -------
    Figure
    """
    rows, steps = result.pictures.shape[:2]
    figure = new_figure(
        0.9 + 0.8 * max(steps, 6) + 1.4, 1.5 + rows * (0.95 + STRIP_HEIGHT), column=0.7 + rows * (0.62 + 2.9 / steps)
    )
    figure.suptitle("Walks through the latent space: do the pictures jump?", fontsize=TITLE_SIZE + 1)
    # In a column there is no room on the right: what is said of a row stands above it.
    columns = 1 if in_column() else 2
    heights = [0.35, *[2.9 / steps, 0.4] * rows] if in_column() else [LEGEND_HEIGHT, *[0.95, STRIP_HEIGHT] * rows]
    grid = figure.add_gridspec(1 + 2 * rows, columns, width_ratios=[steps, 1.5][:columns], height_ratios=heights)
    _plot_legend(figure.add_subplot(grid[0, :]), result)
    relative = [[_relative(usual, row.steps[k]) for k, usual in enumerate(result.usual)] for row in result.rows]
    top = 1.1 * max(1.0, max(value for row in relative for steps_of in row for value in steps_of))
    for number, row in enumerate(result.rows):
        pictures = figure.add_subplot(grid[1 + 2 * number, 0])
        show_row(pictures, result.pictures[number])
        text, color = _describe(result, number)
        if in_column():
            pictures.set_title(text.replace("\n", ", "), loc="left", fontsize=LABEL_SIZE, color=color, pad=3)
        else:
            _write(figure.add_subplot(grid[1 + 2 * number, 1]), text, color)
        _plot_steps(figure.add_subplot(grid[2 + 2 * number, 0]), relative[number], row, top)
        if not in_column():
            longest = "\n".join(f"{s.measure} {v:.2f}" for s, v in zip(result.usual, row.largest, strict=True))
            _write(figure.add_subplot(grid[2 + 2 * number, 1]), longest, "black", LABEL_SIZE - 1)
    caption(figure, *_caption(result))
    return figure


def _relative(usual: UsualSteps, steps: Sequence[float]) -> list[float]:
    """Steps as multiples of what 97.5 % of random walks stay below at the same place."""
    return [step / max(high, 1e-12) for step, high in zip(steps, usual.high, strict=True)]


def _plot_legend(axis: Axes, result: Walk) -> None:
    axis.set_axis_off()
    measures = [
        Line2D([], [], color=color, marker=marker, markersize=3, linewidth=0.8, label=usual.measure)
        for usual, (color, marker) in zip(result.usual, MEASURE_STYLES, strict=True)
    ]
    words = "97.5 % of random walks" if in_column() else "97.5 % of random walks are below"
    limit = Line2D([], [], color=LIMIT_COLOR, linestyle="--", linewidth=0.8, label=words)
    size = 6 if in_column() else 9
    sudden = Line2D(
        [], [], color=SUDDEN_COLOR, marker="o", fillstyle="none", markersize=size, linewidth=0, label="sudden"
    )
    columns = 3 if in_column() else 5
    axis.legend(handles=[*measures, limit, sudden], loc="center", ncols=columns, fontsize=LABEL_SIZE, frameon=False)


def _describe(result: Walk, number: int) -> tuple[str, str]:
    """What is said of a row, and in which colour."""
    row = result.rows[number]
    target = 0 if result.settings["closed"] and number == len(result.rows) - 1 else number + 1
    verdict = f"sudden at step {row.at}" if row.sudden else "nothing sudden"
    return f"{number}→{target}\n{verdict}\n{probability(row.p_value)}", SUDDEN_COLOR if row.sudden else "black"


def _write(axis: Axes, text: str, color: str, size: float = LABEL_SIZE) -> None:
    axis.set_axis_off()
    axis.text(0.02, 0.5, text, transform=axis.transAxes, va="center", fontsize=size, color=color)


def _plot_steps(axis: Axes, relative: Sequence[Sequence[float]], row: Row, top: float) -> None:
    # Step i leads from picture i to the next: its mark lies beneath the gap between the two.
    places = [i + 0.5 for i in range(len(relative[0]))]
    axis.axhline(1, color=LIMIT_COLOR, linestyle="--", linewidth=0.8)
    for values, (color, marker) in zip(relative, MEASURE_STYLES, strict=True):
        axis.plot(
            places, values, color=color, marker=marker, markersize=2 if in_column() else 3, linewidth=0.8, clip_on=False
        )
    if row.sudden:
        highest = max(values[row.at - 1] for values in relative)
        axis.plot(
            places[row.at - 1],
            highest,
            "o",
            color=SUDDEN_COLOR,
            fillstyle="none",
            markersize=6 if in_column() else 9,
            clip_on=False,
        )
    axis.set_xlim(-0.5, len(places) + 0.5)
    axis.set_ylim(0, top)
    axis.set_xticks([])
    axis.set_yticks([0, 1])
    axis.tick_params(labelsize=LABEL_SIZE - 1)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_ylabel("step", fontsize=LABEL_SIZE - 1)


def _caption(result: Walk) -> tuple[str, str]:
    settings = result.settings
    steps = result.pictures.shape[1]
    outside = settings["outside_prior"]
    strayed = f" {100 * outside:.1f} % of their coordinates lie outside the prior's cube." if outside else ""
    apart = ", ".join(f"{s.unrelated:.3g} ({s.measure})" for s in result.usual)
    lengths = ", ".join(
        f"{p.mean:.3g} in {p.space} ({p.relative:.2g} of the mean squared distance of unrelated samples)"
        for p in result.path_lengths
    )
    shown = (
        f"Model {settings['model']}, seed {settings['seed']}: {settings['points']}, joined by {settings['way']}, {steps} "
        f"pictures a row.{strayed} Beneath the gap between two pictures, how far apart they are, as a multiple of what 97.5 % "
        f"of {settings['random_walks']} random walks stay below there; on the right the longest step as a share of the "
        f"distance between unrelated samples."
    )
    details = (
        "Pixels: root mean square in grey levels; 1 − SSIM: one minus structural similarity; features: distance in "
        f"features ({settings['features']}). A row is sudden if a step is longer beside its neighbours than on "
        f"{100 * (1 - settings['false_alarms']):.0f} % of these walks in whichever measure this is rarest (ranks over the "
        f"three measures joined): at most {100 * settings['false_alarms']:.0f} % of ordinary rows are called so by chance. "
        f"That says unusual for this model; {settings['unrelated_pairs']} pairs of unrelated samples differ by {apart}. "
        f"Path length (mean squared speed of the picture on random ways, the whole way taking 1; pixels in the range "
        f"−1 to 1; over {settings['path_length_pairs']} pairs with 95 % bootstrap, ε = "
        f"{settings['path_length_epsilon']:g}): {lengths}."
    )
    return shown, details
