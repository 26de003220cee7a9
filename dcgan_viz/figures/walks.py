"""The figure of a walk: rows of pictures, and how much changes at each step."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dcgan_viz.analysis.walks import Walk
from dcgan_viz.figures.style import LABEL_SIZE, TITLE_SIZE, caption, new_figure, show_picture

STEP_COLOR, UNRELATED_COLOR = "#2c5d8f", "#c0392b"


def walk_figure(result: Walk) -> Figure:
    """Rows of pictures from one random point to the next, each with the change at every step beside it.

    Parameters
    ----------
    result : Walk

    Returns
    -------
    Figure
    """
    rows, steps = result.pictures.shape[:2]
    figure = new_figure(0.35 + 0.8 * steps + 2.6, 1.3 + 0.8 * rows)
    figure.suptitle("Walks between random points of the latent space", fontsize=TITLE_SIZE + 1)
    axes = figure.subplots(rows, steps + 1, squeeze=False, width_ratios=[1] * steps + [2.6])
    for row, line in enumerate(axes):
        for axis, picture in zip(line, result.pictures[row], strict=False):
            show_picture(axis, picture)
        target = 0 if result.settings["closed"] and row == rows - 1 else row + 1
        line[0].text(
            -0.08,
            0.5,
            f"{row}→{target}",
            transform=line[0].transAxes,
            ha="right",
            va="center",
            fontsize=LABEL_SIZE,
        )
        _plot_changes(line[-1], result, row, last=row == rows - 1)
    axes[0, -1].set_title("change at each step (grey levels)", fontsize=LABEL_SIZE, pad=3)
    caption(figure, _caption(result))
    return figure


def _plot_changes(axis: Axes, result: Walk, row: int, *, last: bool) -> None:
    changes = result.changes[row]
    axis.bar(range(1, len(changes) + 1), changes, color=STEP_COLOR, width=0.75, label="this step")
    axis.axhline(result.unrelated, color=UNRELATED_COLOR, linestyle="--", linewidth=1, label="unrelated samples")
    axis.set_ylim(0, 1.15 * max(result.unrelated, result.changes.max()))
    axis.set_xlim(0.3, len(changes) + 0.7)
    axis.tick_params(
        labelsize=LABEL_SIZE - 2, labelbottom=last, labelleft=False, labelright=True, left=False, right=True
    )
    axis.spines[["top", "left"]].set_visible(False)
    if last:
        axis.set_xlabel("step", fontsize=LABEL_SIZE - 1, labelpad=1)
    if row == 0:
        axis.legend(fontsize=LABEL_SIZE - 2, frameon=False, loc="upper left", bbox_to_anchor=(0, 0.86), ncols=2)


def _caption(result: Walk) -> str:
    settings = result.settings
    rows, steps = result.pictures.shape[:2]
    interval = result.largest_step_interval
    return (
        f"Model {settings['model']}, seed {settings['seed']}. Each row leads in {settings['way']} from one random "
        f"latent to the next, {steps} pictures a row, both ends included. Bars: mean absolute change of a pixel from "
        f"one picture to the next; dashed: between {settings['unrelated_pairs']} pairs of independent samples "
        f"({result.unrelated:.1f}), the height of a jump to another picture. The largest step of a row is "
        f"{result.largest_step:.2f} [{interval.low:.2f}, {interval.high:.2f}] times its mean step (95 % bootstrap over "
        f"{rows} rows); 1 is perfectly even, {steps - 1} one jump between still pictures."
    )
