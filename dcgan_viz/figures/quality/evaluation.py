"""The figure of an evaluation: what was compared, how far apart it is, and that the distances can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from dcgan_viz.analysis.quality.evaluation import Evaluation, Quality
from dcgan_viz.estimate import Estimate
from dcgan_viz.figures.style import LABEL_SIZE, TITLE_SIZE, caption, new_figure, show_picture
from dcgan_viz.media.pictures import tile

SAMPLES, REAL = "#c0392b", "#2c5d8f"
COLUMNS = 8
KINDS = ("noise", "blur", "modes dropped")
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
    figure = new_figure(11.5, 7.6 if result.objects else 6.4)
    figure.suptitle(
        f"Samples of {result.settings['model']} in the features of the encoder {result.settings['encoder']}",
        fontsize=TITLE_SIZE + 1,
    )
    parts = figure.subfigures(2, 1, height_ratios=(1.0, 1.25))
    assert isinstance(parts, np.ndarray)
    top, bottom = parts
    for axes, pixels, title in zip(
        top.subplots(1, 2), (result.real, result.generated), ("real images", "samples"), strict=True
    ):
        show_picture(axes, tile(pixels, columns=COLUMNS), title)
    _numbers(bottom, result)
    caption(figure, _caption(result))
    return figure


def _numbers(part: SubFigure, result: Evaluation) -> None:
    columns = part.subplots(1, 3 if result.objects else 2, width_ratios=(1.2, 1.5, 1.1)[: 3 if result.objects else 2])
    _rows(columns[0], shares(result.quality), shares(result.floor), "samples", "other real images")
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


def shares(quality: Quality) -> dict[str, Estimate]:
    """The numbers of a quality that are shares, by name."""
    found = quality.coverage
    return {
        "precision": found.precision,
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
        "authenticity": quality.authenticity,
    }


def _rows(
    axes: Axes, samples: dict[str, Estimate], real: dict[str, Estimate], samples_label: str, real_label: str
) -> None:
    """Two estimates a row with their intervals."""
    for estimates, color, offset, label in ((real, REAL, -0.14, real_label), (samples, SAMPLES, 0.14, samples_label)):
        rows = [row + offset for row in range(len(estimates))]
        values = [e.value for e in estimates.values()]
        reach = [
            [max(e.value - e.interval.low, 0) for e in estimates.values()],
            [max(e.interval.high - e.value, 0) for e in estimates.values()],
        ]
        axes.errorbar(values, rows, xerr=reach, fmt="o", color=color, markersize=4, linewidth=1.2, label=label)
    axes.set_yticks(range(len(samples)), list(samples), fontsize=LABEL_SIZE)
    axes.set_ylim(len(samples) - 0.5, -0.5)
    axes.set_xlim(left=-0.02)
    _plain(axes)
    axes.legend(fontsize=LABEL_SIZE - 1, frameon=False, loc="best")


def _disturbances(axes: Axes, result: Evaluation) -> None:
    """The kernel distance of real images, made worse step by step, with that of the samples as a line."""
    ticks: list[tuple[float, str]] = []
    position = 0.0
    for kind in KINDS:
        steps = [d for d in result.disturbances if d.kind == kind]
        places: Sequence[float] = [position + k for k in range(len(steps))]
        axes.plot(places, [d.kernel for d in steps], "o-", color=REAL, markersize=4, linewidth=1.2)
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
    axes.axhspan(kernel.interval.low, kernel.interval.high, color=SAMPLES, alpha=0.2, linewidth=0)
    axes.axhline(kernel.value, color=SAMPLES, linewidth=1.2, label="samples")
    axes.axhline(floor.value, color="black", linewidth=0.8, linestyle="--", label="other real images, as they are")
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_xticks([place for place, _ in ticks], [label for _, label in ticks])
    axes.set_ylabel("kernel distance (thousandths)", fontsize=LABEL_SIZE)
    axes.set_title("distance of real images that were made worse", fontsize=LABEL_SIZE + 1)
    axes.legend(fontsize=LABEL_SIZE - 1, frameon=False, loc="best")
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=LABEL_SIZE)
    axes.spines[["top", "right"]].set_visible(False)


def _caption(result: Evaluation) -> str:
    settings = result.settings

    def number(estimate: Estimate, digits: int) -> str:
        low, high = estimate.interval.low, estimate.interval.high
        return f"{estimate.value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"

    return (
        f"{settings['images of each']} samples (seed {settings['seed']}) against as many of {settings['source']}; the floor "
        f"is as many other ones. Fréchet distance {number(result.quality.frechet, 1)}, floor {number(result.floor.frechet, 1)}; "
        f"kernel distance {number(result.quality.kernel, 1)}, floor {number(result.floor.kernel, 1)} (thousandths). "
        f"Encoder {settings['encoder']}: {settings['encoder note']}. Intervals: 95 %."
    )
