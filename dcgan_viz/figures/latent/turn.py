"""The figure of a turn vector: the exemplars, the way between their averages, and new samples that turn."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dcgan_viz.analysis.latent.turn import Turn
from dcgan_viz.figures.style import (
    BAND_COLOR,
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
)
from dcgan_viz.statistics import probability

PICTURE = 0.95


def turn_figure(result: Turn) -> Figure:
    """Exemplars of both sides, the way between their averages, rows of new samples, and the average change.

    Parameters
    ----------
    result : Turn

    Returns
    -------
    Figure
    """
    rows, positions = result.pictures.shape[:2]
    exemplars = result.exemplars.shape[1]
    width = max(PICTURE * (positions + 1.2), 9.2)
    picture = width / (positions + 1.2)
    heights = [0.8, 0.33 * (rows + 1) + 0.3, 2.7] if in_column() else [1.35, picture * (rows + 1) + 0.3, 1.9]
    figure = new_figure(width, sum(heights) + 1.2, column=sum(heights) + 0.3)
    figure.suptitle(f"From “{result.left}” to “{result.right}”", fontsize=TITLE_SIZE + 2)
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=heights, squeeze=False)[:, 0]

    # An empty column stands between the two sides.
    axes = top.subplots(1, 2 * exemplars + 1, width_ratios=[1.0] * exemplars + [0.3] + [1.0] * exemplars)
    axes[exemplars].set_axis_off()
    for side, (name, numbers, first) in enumerate(
        ((result.left, result.left_exemplars, 0), (result.right, result.right_exemplars, exemplars + 1))
    ):
        for place, number in enumerate(numbers):
            axis = axes[first + place]
            show_picture(axis, result.exemplars[side, place])
            axis.text(0.5, -0.03, f"{number}", transform=axis.transAxes, ha="center", va="top", fontsize=LABEL_SIZE - 1)
        title = f"exemplars of “{name}”"
        if in_column():
            # A heading proper would widen the first of the pictures that it reaches over.
            words = axes[first].text(0, 1.12, title, fontsize=LABEL_SIZE + 1, transform=axes[first].transAxes)
            words.set_in_layout(False)
        else:
            axes[first].set_title(title, fontsize=LABEL_SIZE + 1, loc="left", pad=4)

    grid = middle.subplots(rows + 1, positions, squeeze=False)
    labels = ["between the\naverages", *(f"sample {row}" for row in range(rows))]
    for line, label, pictures in zip(grid, labels, [result.averages, *result.pictures], strict=True):
        for axis, shown in zip(line, pictures, strict=True):
            show_picture(axis, shown)
        label_row(line[0], label)
    for axis, amount in zip(grid[1], result.amounts, strict=True):
        axis.set_title("sample" if amount == 0 else f"{amount:+.2g} turn".replace("-", "−"), fontsize=LABEL_SIZE, pad=3)

    change, oddness = side_by_side(bottom, [1, 2.6], heights=[1, 1])
    _show_change(change, result)
    _plot_oddness(oddness, result)
    caption(figure, *_caption(result))
    return figure


def _show_change(axis: Axes, result: Turn) -> None:
    reach = float(np.abs(result.change).max()) or 1.0
    axis.imshow(result.change, cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
    axis.set_axis_off()
    axis.set_title(f"average change (±{reach:.0f} grey levels)", fontsize=LABEL_SIZE + 1, pad=4)


def _plot_oddness(axis: Axes, result: Turn) -> None:
    random, oddness = result.random_interval, result.oddness
    top = 0.62 if in_column() else 1  # below the legend
    axis.axvspan(random.low, random.high, ymax=top, color=BAND_COLOR, linewidth=0, label="random directions")
    plot_estimates(axis, [oddness], [0.25], color=REFERENCE_COLOR, label="this one, over samples")
    plot_estimates(axis, [result.over_exemplars], [-0.25], color=SUBJECT_COLOR, label="over exemplars")
    axis.plot([result.with_shading], [0.25], "o", color=REFERENCE_COLOR, fillstyle="none", label="with shading")
    axis.set_xlim(0, 1)
    axis.set_ylim(-1, 2 if in_column() else 1)
    axis.set_yticks([])
    axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0\nthe same on\nboth sides", "0.25", "0.5", "0.75", "1\nchanges\nsides"])
    axis.set_title("share of the average change that is odd under mirroring", fontsize=LABEL_SIZE + 1, pad=4)
    finish_axes(axis, left=False)
    axis.legend(fontsize=LABEL_SIZE, frameon=False, loc="upper right", ncols=2 if in_column() else 1)


def _caption(result: Turn) -> tuple[str, str]:
    settings, oddness = result.settings, result.oddness
    kept = (
        f", not kept in the prior ({100 * result.outside:.0f} % of the coordinates at the ends lie beyond ±1)"
        if settings["prior"] == "uniform"
        else ""
    )
    shown = (
        f"Model {settings['model']}; exemplars by number. Rows: new samples (seed {settings['seed']}) plus so many turn "
        f"vectors. Below: what moving from one end to the other changes, averaged over {settings['measured_samples']} other "
        f"samples, and how much of it is the negative of its mirror image (95 %). {result.verdict[0].upper()}"
        f"{result.verdict[1:]}."
    )
    details = (
        f"Exemplars are samples of seed {settings['samples_seed']} (picked by: {settings['picked_by']}). Turn vector: the mean "
        f"z of the right four minus that of the left four, length {settings['length']:.2f}{kept}. Shading taken away, odd "
        f"under mirroring is {oddness:.2f} of the change "
        f"({oddness.how}), with exemplars drawn anew [{result.over_exemplars.low:.2f}, {result.over_exemplars.high:.2f}], with "
        f"shading {result.with_shading:.2f}; "
        f"{settings['random_directions']} random directions of the same length: {result.random_oddness:.2f}, the middle 95 % "
        f"in grey ({probability(result.p_value)})."
    )
    return shown, details
