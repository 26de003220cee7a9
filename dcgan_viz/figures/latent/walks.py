"""The figure of a walk: rows of pictures, and beneath each how far its steps lead."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dcgan_viz.analysis.latent.walks import Row, Spread, Walk
from dcgan_viz.figures.style import LABEL_SIZE, TITLE_SIZE, caption, new_figure, show_row

STEP_COLOR, SUDDEN_COLOR, BAND_COLOR, MEDIAN_COLOR = "#2c5d8f", "#c0392b", "#d5d8dc", "#7f8c8d"
STRIP_HEIGHT, LEGEND_HEIGHT = 0.3, 0.25


def walk_figure(result: Walk) -> Figure:
    """Rows of pictures from one point to the next; beneath each, its steps in three measures over those of random walks.

    Parameters
    ----------
    result : Walk

    Returns
    -------
    Figure
    """
    rows, steps = result.pictures.shape[:2]
    strips = len(result.spreads)
    figure = new_figure(1.1 + 0.8 * max(steps, 6) + 1.4, 1.7 + rows * (0.95 + STRIP_HEIGHT * strips))
    figure.suptitle("Walks through the latent space: do the pictures jump?", fontsize=TITLE_SIZE + 1)
    grid = figure.add_gridspec(
        1 + rows * (1 + strips),
        steps + 1,
        width_ratios=[1] * steps + [1.6],
        height_ratios=[LEGEND_HEIGHT] + ([0.95] + [STRIP_HEIGHT] * strips) * rows,
    )
    _plot_legend(figure.add_subplot(grid[0, :]))
    tops = [
        1.15 * max(*spread.high, *(max(r.steps[k]) for r in result.rows)) for k, spread in enumerate(result.spreads)
    ]
    for number, row in enumerate(result.rows):
        line = 1 + number * (1 + strips)
        show_row(figure.add_subplot(grid[line, :steps]), result.pictures[number])
        _describe(figure.add_subplot(grid[line, steps]), result, number)
        for k, spread in enumerate(result.spreads):
            _plot_steps(figure.add_subplot(grid[line + 1 + k, :steps]), spread, row, k, tops[k])
            _write(
                figure.add_subplot(grid[line + 1 + k, steps]),
                f"longest {_length(row, k, spread)}",
                "black",
            )
    caption(figure, _caption(result))
    return figure


def _plot_legend(axis: Axes) -> None:
    axis.set_axis_off()
    axis.legend(
        handles=[
            Patch(color=BAND_COLOR, label="95 % of random walks"),
            Line2D([], [], color=MEDIAN_COLOR, label="their median"),
            Line2D([], [], color=STEP_COLOR, marker="o", markersize=3, linewidth=0.8, label="this row"),
            Line2D([], [], color=SUDDEN_COLOR, marker="o", markersize=5, linewidth=0, label="sudden"),
        ],
        loc="center",
        ncols=4,
        fontsize=LABEL_SIZE,
        frameon=False,
    )


def _length(row: Row, measure: int, spread: Spread) -> str:
    longest = max(row.steps[measure])
    return f"{longest:.3g} = {row.largest[measure]:.2f} of unrelated"


def _describe(axis: Axes, result: Walk, number: int) -> None:
    row = result.rows[number]
    target = 0 if result.settings["closed"] and number == len(result.rows) - 1 else number + 1
    verdict = f"sudden at step {row.at}" if row.sudden else "nothing sudden"
    _write(axis, f"{number}→{target}\n{verdict}\np = {row.p_value:.2g}", SUDDEN_COLOR if row.sudden else "black")


def _write(axis: Axes, text: str, color: str) -> None:
    axis.set_axis_off()
    axis.text(0.02, 0.5, text, transform=axis.transAxes, va="center", fontsize=LABEL_SIZE, color=color)


def _plot_steps(axis: Axes, spread: Spread, row: Row, measure: int, top: float) -> None:
    # Step i leads from picture i to the next: its mark lies beneath the gap between the two.
    places = [i + 0.5 for i in range(len(spread.median))]
    values = row.steps[measure]
    axis.fill_between(places, spread.low, spread.high, color=BAND_COLOR, linewidth=0)
    axis.plot(places, spread.median, color=MEDIAN_COLOR, linewidth=0.8)
    axis.plot(places, values, color=STEP_COLOR, marker="o", markersize=3, linewidth=0.8, clip_on=False)
    if row.sudden:
        axis.plot(
            [places[row.at - 1]], [values[row.at - 1]], color=SUDDEN_COLOR, marker="o", markersize=5, clip_on=False
        )
    axis.set_xlim(-0.5, len(places) + 0.5)
    axis.set_ylim(0, top)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set(linewidth=0.5, color=MEDIAN_COLOR)
    axis.text(-0.01, 0.4, spread.measure, transform=axis.transAxes, ha="right", va="center", fontsize=LABEL_SIZE - 1)


def _caption(result: Walk) -> str:
    settings = result.settings
    steps = result.pictures.shape[1]
    outside = settings["outside_prior"]
    strayed = f" {100 * outside:.1f} % of their coordinates lie outside the prior's cube." if outside else ""
    apart = ", ".join(f"{s.unrelated:.3g} ({s.measure})" for s in result.spreads)
    lengths = ", ".join(
        f"{p.mean:.3g} in {p.space} ({p.relative:.2g} of the mean squared distance of unrelated samples)"
        for p in result.path_lengths
    )
    return (
        f"Model {settings['model']}, seed {settings['seed']}: {settings['points']}, joined by {settings['way']}, {steps} "
        f"pictures a row, both ends included.{strayed} Beneath the gap between two pictures, how far apart they are: root "
        f"mean square of a pixel in grey levels; one minus structural similarity; distance in features ("
        f"{settings['features']}); each from 0, the same scale in all rows. Band and line: {settings['random_walks']} "
        f"random walks of as many steps. A row is sudden if a step is longer beside its neighbours than on "
        f"{100 * (1 - settings['false_alarms']):.0f} % of these walks in whichever measure this is rarest (ranks over the "
        f"three measures joined): at most {100 * settings['false_alarms']:.0f} % of ordinary rows are called so by chance. "
        f"That says unusual for this model; {settings['unrelated_pairs']} pairs of unrelated samples differ by {apart}. "
        f"Path length (mean squared speed of the picture on random ways, the whole way taking 1; pixels in the range "
        f"-1 to 1; over {settings['path_length_pairs']} pairs with 95 % bootstrap, ε = "
        f"{settings['path_length_epsilon']:g}): {lengths}."
    )
