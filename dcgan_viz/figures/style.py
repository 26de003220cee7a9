"""How every figure looks: sizes in inches, a caption that says what was done, pictures as they are."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dcgan_viz.statistics import Estimate

DPI = 150

SUBJECT_COLOR, REFERENCE_COLOR, CONTROL_COLOR = "#c0392b", "#2c5d8f", "#7f8c8d"
"""What a figure is about, what it is compared with, and what chance or a control gives."""

MATCHED_COLOR, REST_COLOR, BAND_COLOR = "#b3a369", "#c8cdd0", "#d5d8dc"
"""A second control, all the rest, and a null distribution behind what was found."""

CAPTION_SIZE, LABEL_SIZE, TITLE_SIZE = 8, 8, 10


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, without any global plotting state."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
    return figure


def caption(figure: Figure, text: str) -> None:
    """Write what was done beneath a figure, wrapped to its width."""
    # An 8-point letter is about 0.062 inches wide on average.
    lines = textwrap.wrap(text, int(figure.get_figwidth() / 0.062))
    figure.supxlabel("\n".join(lines), fontsize=CAPTION_SIZE, x=0.01, ha="left", linespacing=1.35)


def show_picture(axes: Axes, pixels: NDArray[np.uint8], title: str | None = None) -> None:
    """Show pixels (H, W, C), uint8, without axes and without smoothing."""
    grey = pixels.shape[-1] == 1
    axes.imshow(
        pixels[..., 0] if grey else pixels,
        cmap="gray" if grey else None,
        vmin=0,
        vmax=255,
        interpolation="nearest",
    )
    axes.set_axis_off()
    if title is not None:
        axes.set_title(title, fontsize=LABEL_SIZE, pad=3)


def label_row(axes: Axes, text: str, size: float = LABEL_SIZE) -> None:
    """Write what a row of pictures is, left of its first."""
    axes.text(-0.08, 0.5, text, transform=axes.transAxes, ha="right", va="center", fontsize=size)


def finish_axes(axes: Axes, *, left: bool = True) -> None:
    """Small tick labels, and no frame but the axes themselves."""
    axes.tick_params(labelsize=LABEL_SIZE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines["left"].set_visible(left)


def reach(estimates: Sequence[Estimate], scale: float = 1.0) -> NDArray[np.float64]:
    """How far the intervals of estimates reach below and above their values (2, n), for error bars."""
    ends = np.array([[e.value - e.low for e in estimates], [e.high - e.value for e in estimates]], np.float64)
    return np.nan_to_num(scale * ends.reshape(2, len(estimates))).clip(min=0)


def plot_estimates(
    axes: Axes,
    estimates: Sequence[Estimate],
    places: Sequence[float] | NDArray[Any],
    *,
    color: str,
    label: str | None = None,
    upright: bool = False,
    scale: float = 1.0,
) -> None:
    """Points with their intervals, at places along the other axis; upright or lying."""
    values = [scale * e.value for e in estimates]
    x, y = (places, values) if upright else (values, places)
    ends = reach(estimates, scale)
    axes.errorbar(
        x,
        y,
        xerr=None if upright else ends,
        yerr=ends if upright else None,
        fmt="o",
        color=color,
        markersize=4,
        linewidth=1.5,
        capsize=2,
        label=label,
    )


def with_minus(text: str) -> str:
    """A number's hyphen as a minus sign."""
    return text.replace("-", "−")
