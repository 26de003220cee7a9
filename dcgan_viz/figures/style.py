"""How every figure looks: sizes in inches, a caption that says what was done, pictures as they are."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

DPI = 150
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
