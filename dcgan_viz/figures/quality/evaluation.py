"""The figure of an evaluation: what was compared, how far apart it is, and that the distances can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from dcgan_viz.analysis.quality.evaluation import Evaluation
from dcgan_viz.figures.style import (
    LABEL_SIZE,
    REFERENCE_COLOR,
    SUBJECT_COLOR,
    TITLE_SIZE,
    caption,
    finish_axes,
    in_column,
    new_figure,
    plot_estimates,
    show_picture,
    side_by_side,
)
from dcgan_viz.media.pictures import tile
from dcgan_viz.statistics import Estimate

COLUMNS = 8
KINDS = ("noise", "blur", "modes dropped")
LINEAR = 10.0
"""Thousandths of kernel distance around 0 that are drawn to scale; beyond, each tenfold takes as much room."""

UNITS = {"noise": "standard deviation", "blur": "pixels", "modes dropped": "share of images"}


def evaluation_figure(result: Evaluation) -> Figure:
    """Real images beside samples, the shares with their floor, and the kernel distance beside disturbed real images.

    Parameters
    ----------
    result : Evaluation

    Returns
    -------
    Figure
    """
    plots = 3 if result.objects else 2
    figure = new_figure(11.5, 7.6 if result.objects else 6.4, column=0.4 + 2 * 1.75 + plots * 1.7)
    figure.suptitle(
        f"Samples of {result.settings['model']} in the features of the encoder {result.settings['encoder']}",
        fontsize=TITLE_SIZE + 1,
    )
    parts = figure.subfigures(2, 1, height_ratios=(2 * 1.75, plots * 1.7) if in_column() else (1.0, 1.25))
    assert isinstance(parts, np.ndarray)
    top, bottom = parts
    for axes, pixels, title in zip(
        side_by_side(top, [1, 1]), (result.real, result.generated), ("real images", "samples"), strict=True
    ):
        show_picture(axes, tile(pixels, columns=COLUMNS), title)
    _numbers(bottom, result)
    caption(figure, _caption(result))
    return figure


def _numbers(part: SubFigure, result: Evaluation) -> None:
    columns = side_by_side(part, (1.2, 1.5, 1.1)[: 3 if result.objects else 2])
    _rows(columns[0], result.quality.shares(), result.floor.shares(), "samples", "other real images")
    columns[0].set_title("share (density: 1 when alike)", fontsize=LABEL_SIZE + 1)
    _disturbances(columns[1], result)
    if result.objects:
        names = [entry.object for entry in result.objects]
        _rows(
            columns[2],
            dict(zip(names, [entry.generated for entry in result.objects], strict=True)),
            dict(zip(names, [entry.real for entry in result.objects], strict=True)),
            "samples",
            "real images",
        )
        columns[2].set_title("share of images with the object", fontsize=LABEL_SIZE + 1)


def _rows(
    axes: Axes, samples: dict[str, Estimate], real: dict[str, Estimate], samples_label: str, real_label: str
) -> None:
    """Two estimates a row with their intervals."""
    for estimates, color, offset, label in (
        (real, REFERENCE_COLOR, -0.14, real_label),
        (samples, SUBJECT_COLOR, 0.14, samples_label),
    ):
        rows = [row + offset for row in range(len(estimates))]
        plot_estimates(axes, list(estimates.values()), rows, color=color, label=label)
    axes.set_yticks(range(len(samples)), list(samples), fontsize=LABEL_SIZE)
    axes.set_ylim(len(samples) - 0.5, -0.5)
    axes.set_xlim(left=-0.02)
    finish_axes(axes)
    axes.legend(fontsize=LABEL_SIZE - 1, frameon=False, loc="best")


def _disturbances(axes: Axes, result: Evaluation) -> None:
    """The kernel distance of real images, made worse step by step, with that of the samples as a line."""
    ticks: list[tuple[float, str]] = []
    position = 0.0
    for kind in KINDS:
        steps = [d for d in result.disturbances if d.kind == kind]
        places: Sequence[float] = [position + k for k in range(len(steps))]
        axes.plot(places, [d.kernel for d in steps], "o-", color=REFERENCE_COLOR, markersize=4, linewidth=1.2)
        ticks += [(place, f"{d.level:.2g}") for place, d in zip(places, steps, strict=True)]
        middle = sum(places) / len(places)
        axes.text(
            middle,
            -0.13,
            f"{kind}\n({UNITS[kind]})",
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="top",
            fontsize=LABEL_SIZE,
        )
        position += len(steps) + 0.7
    kernel, floor = result.quality.kernel, result.floor.kernel
    axes.axhspan(kernel.low, kernel.high, color=SUBJECT_COLOR, alpha=0.2, linewidth=0)
    axes.axhline(kernel.value, color=SUBJECT_COLOR, linewidth=1.2, label="samples")
    axes.axhline(floor.value, color="black", linewidth=0.8, linestyle="--", label="other real images, as they are")
    # Near 0, where other real images are, distances may be negative: there the axis is linear.
    axes.set_yscale("symlog", linthresh=LINEAR)
    distances = [kernel.high, floor.low, *(d.kernel for d in result.disturbances)]
    axes.set_ylim(min(-LINEAR, 1.5 * min(distances)), max(LINEAR, 3 * max(distances)))
    axes.set_xticks([place for place, _ in ticks], [label for _, label in ticks])
    axes.set_ylabel("kernel distance (thousandths)", fontsize=LABEL_SIZE)
    axes.set_title("distance of real images that were made worse", fontsize=LABEL_SIZE + 1)
    axes.legend(fontsize=LABEL_SIZE - 1, frameon=False, loc="best")
    finish_axes(axes)


def _caption(result: Evaluation) -> str:
    settings = result.settings
    return (
        f"{settings['images_of_each']} samples (seed {settings['seed']}) against as many of {settings['source']}; the floor "
        f"is as many other ones. Fréchet distance {result.quality.frechet:.1f}, floor {result.floor.frechet:.1f}; "
        f"kernel distance {result.quality.kernel:.1f}, floor {result.floor.kernel:.1f} (thousandths). "
        f"Encoder {settings['encoder']}: {settings['encoder_note']}. Intervals: 95 %."
        + (f" Caveat: {result.caveat}." if result.caveat else "")
    )
