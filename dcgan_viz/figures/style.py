"""How every figure looks: sizes in inches, a caption that says what was done, pictures as they are."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure, FigureBase
from matplotlib.text import Text
from numpy.typing import NDArray

from dcgan_viz.statistics import Estimate

DPI = 150

TICK_FORMULA = r"$\mathdefault{"

SUBJECT_COLOR, REFERENCE_COLOR, CONTROL_COLOR = "#c0392b", "#2c5d8f", "#7f8c8d"
"""What a figure is about, what it is compared with, and what chance or a control gives."""

MATCHED_COLOR, REST_COLOR, BAND_COLOR = "#b3a369", "#c8cdd0", "#d5d8dc"
"""A second control, all the rest, and a null distribution behind what was found."""

OUTLINE_COLOR = "#ffd21f"
"""Around objects in pictures; on black it stands out from every colour, and to every eye."""

CHANGE_MAP = "inferno"
"""Colours of what grows from nothing: even in lightness, and readable in grey."""

FINE = 128
"""Pixels of a picture in a row, at least, so that the edges of its own pixels are sharp."""

CAPTION_SIZE, LABEL_SIZE, TITLE_SIZE = 8, 8, 10

PAPER_WIDTH, PAPER_SIZE = 7.0, 6.0
"""Inches of both columns of a paper, and the points that a letter has there at least in a figure without its caption."""

COLUMN_WIDTH, COLUMN_SHRINKS, COLUMN_TITLE = 3.3, 0.75, 8.0
"""Inches of one column, how much smaller letters are there, down to `PAPER_SIZE`, and the points of the largest."""


class PlainFigure(Figure):
    """A figure whose words are shown as they are: the dollar signs of an object's or a model's name are no formula."""

    said, details = "", ""
    """All that is to be said of it, its caption and what is no part of the picture; and the latter alone, at its end."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw it."""
        self._show_words_as_they_are()
        super().draw(renderer)

    def _show_words_as_they_are(self) -> None:
        for text in _texts(self):
            words = text.get_text()
            # Powers of ten are formulas that matplotlib writes itself, on ticks.
            if "$" in words and not words.startswith(TICK_FORMULA):
                text.set_parse_math(False)

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """Save it as `matplotlib.figure.Figure.savefig` does, but lay it out and then draw it.

        With a layout engine matplotlib draws twice, the first time only to have the figure laid out.
        """
        engine = self.get_layout_engine()
        # Vectors, other resolutions and parts of a figure have a layout of their own.
        kind = kwargs.get("format", Path(str(fname)).suffix.removeprefix("."))
        if engine is None or kind != "png" or "bbox_inches" in kwargs or kwargs.get("dpi", self.dpi) != self.dpi:
            # Publishers refuse fonts of type 3, which are matplotlib's default.
            with rc_context({"pdf.fonttype": 42}):
                super().savefig(fname, **kwargs)
            return
        self._show_words_as_they_are()
        engine.execute(self)
        self.set_layout_engine(None)
        try:
            super().savefig(fname, **kwargs)
        finally:
            self.set_layout_engine(engine)


def _texts(artist: Artist) -> Iterator[Text]:
    """The words of a figure; of axes without an axis not the ticks, which would first be made."""
    if isinstance(artist, Text):
        yield artist
    bare = isinstance(artist, Axes) and not artist.axison
    for child in artist.get_children():
        if not (bare and isinstance(child, Axis)):
            yield from _texts(child)


def new_figure(width: float, height: float, column: float | None = None) -> PlainFigure:
    """An empty figure of a size in inches, without any global plotting state.

    Parameters
    ----------
    width, height : float
        Inches.
    column : float, optional
        Its height where it is as wide as a column (`in_column`); without it the shape stays.
    """
    if in_column():
        width, height = COLUMN_WIDTH, column or height * COLUMN_WIDTH / width
    figure = PlainFigure(figsize=(width, height), dpi=DPI * 2 if in_column() else DPI, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
    return figure


_APART: ContextVar[list[str] | None] = ContextVar("captions apart", default=None)


@contextmanager
def captions_apart() -> Iterator[list[str]]:
    """Figures that are made meanwhile have no captions, which are collected in the list instead.

    Examples
    --------
    >>> with captions_apart() as captions:
    ...     caption(new_figure(2, 2), "what was done")
    >>> captions
    ['what was done']
    """
    captions: list[str] = []
    token = _APART.set(captions)
    try:
        yield captions
    finally:
        _APART.reset(token)


_COLUMN_LINES: Any = {
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.handlelength": 1.2,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 0.9,
    "legend.borderpad": 0.2,
}
_COLUMN: ContextVar[bool] = ContextVar("one column", default=False)


@contextmanager
def for_column() -> Iterator[list[str]]:
    """Figures that are made meanwhile are as wide as one column of a paper, and have no captions (`captions_apart`)."""
    token = _COLUMN.set(True)
    try:
        with rc_context(_COLUMN_LINES), captions_apart() as captions:
            yield captions
    finally:
        _COLUMN.reset(token)


def in_column() -> bool:
    """Whether a figure that is made now is as wide as one column: then its parts stand below one another.

    Examples
    --------
    >>> with for_column():
    ...     in_column(), float(new_figure(11, 5).get_figwidth())
    (True, 3.3)
    >>> in_column()
    False
    """
    return _COLUMN.get()


def side_by_side(
    part: FigureBase, widths: Sequence[float], heights: Sequence[float] | None = None, **grid: Any
) -> list[Axes]:
    """Plots beside one another of relative widths, or in a column below one another, of relative heights there."""
    if in_column():
        return list(part.subplots(len(widths), 1, height_ratios=heights, squeeze=False, **grid)[:, 0])
    return list(part.subplots(1, len(widths), width_ratios=widths, squeeze=False, **grid)[0])


def caption(figure: PlainFigure, text: str, details: str = "") -> None:
    """Write what was done beneath a figure, wrapped to its width; details stand only where there is room for them.

    That is in ``captions.txt`` beside the saved figure, and in a report.
    """
    figure.said, figure.details = f"{text} {details}".strip(), details
    apart = _APART.get()
    if apart is not None:
        apart.append(figure.said)
        if in_column():
            _fit_into_column(figure)
            return
        _enlarge(figure, PAPER_SIZE * figure.get_figwidth() / PAPER_WIDTH)
        _wrap_headings(figure)
        return
    _wrap_headings(figure)
    # An 8-point letter is about 0.062 inches wide on average.
    lines = textwrap.wrap(text, int(figure.get_figwidth() / 0.062))
    figure.supxlabel("\n".join(lines), fontsize=CAPTION_SIZE, x=0.01, ha="left", linespacing=1.35)


def _enlarge(figure: Figure, least: float) -> None:
    """Have no letter smaller than so many points: the figure goes into a paper or a report, which make it narrower."""
    for text in _texts(figure):
        text.set_fontsize(max(text.get_fontsize(), least))
    for axis in (axis for axes in figure.axes if axes.axison for axis in (axes.xaxis, axes.yaxis)):
        # Ticks are made anew when a figure is drawn, and look as they were told to.
        axis.set_tick_params(labelsize=max(axis.get_tick_params().get("labelsize", least), least))


def _fit_into_column(figure: PlainFigure) -> None:
    """Letters of 6 to 8 points, and headings over as many lines as they need."""

    def fitted(size: float) -> float:
        return min(max(COLUMN_SHRINKS * size, PAPER_SIZE), COLUMN_TITLE)

    for text in _texts(figure):
        text.set_fontsize(fitted(float(text.get_fontsize())))
    for axis in (axis for axes in figure.axes if axes.axison for axis in (axes.xaxis, axes.yaxis)):
        axis.set_tick_params(labelsize=PAPER_SIZE, length=2, pad=2)
    figure.draw_without_rendering()
    _wrap_headings(figure)
    for axes in figure.axes:
        box, place = axes.get_window_extent(), axes.get_subplotspec()
        alone = place is not None and place.get_gridspec().ncols == 1
        # A plot that stands alone may have a heading as wide as the column, around its own middle.
        middle = (box.x0 + box.x1) / 2
        room = 2 * min(middle, figure.bbox.width - middle) if alone else box.width
        for heading in (axes.title, axes.xaxis.label):
            _wrap(heading, room)


def _wrap_headings(figure: Figure) -> None:
    """Break headings of a figure and of its parts that are wider than these."""
    for part in (figure, *figure.subfigs):
        for text in part.texts:
            _wrap(text, part.get_window_extent().width)


def _wrap(text: Text, room: float) -> None:
    """Break a text that is wider than so many pixels into lines that are not."""
    words = text.get_text()
    width = text.get_window_extent().width
    if words and width > room:
        longest = max(map(len, words.splitlines()))
        most = max(int(longest * room / width), 8)

        def lines(letters: int) -> list[str]:
            return textwrap.wrap(" ".join(words.split()), letters, break_long_words=False)

        # Lines of about one length: as narrow as so many lines can be.
        even = next(letters for letters in range(1, most + 1) if len(lines(letters)) == len(lines(most)))
        text.set_text("\n".join(lines(even)))


def show_picture(
    axes: Axes,
    pixels: NDArray[np.uint8],
    title: str | None = None,
    extent: tuple[float, float, float, float] | None = None,
) -> None:
    """Show pixels (H, W, C), uint8, without axes and without smoothing, at an extent as `Axes.imshow` takes it."""
    grey = pixels.shape[-1] == 1
    axes.imshow(
        pixels[..., 0] if grey else pixels,
        cmap="gray" if grey else None,
        vmin=0,
        vmax=255,
        interpolation="nearest",
        extent=extent,
    )
    axes.set_axis_off()
    if title is not None:
        axes.set_title(title, fontsize=LABEL_SIZE, pad=3)


def show_row(axes: Axes, pictures: NDArray[np.uint8]) -> None:
    """Show pictures (n, H, W, C), uint8, side by side: one image is drawn in a fraction of the time of n axes.

    Picture k lies around k on the horizontal axis, which reaches from -0.5 to n - 0.5.
    """
    count, height, width, channels = pictures.shape
    fine, gap = _raster(width)
    framed = np.full((fine * height, count, 2 * gap + fine * width, channels), 255, np.uint8)
    framed[:, :, gap : gap + fine * width] = pictures.repeat(fine, 1).repeat(fine, 2).swapaxes(0, 1)
    extent = (-0.5, count - 0.5, 0, framed.shape[0] / framed.shape[2])
    show_picture(axes, framed.reshape(fine * height, -1, channels), extent=extent)


def _raster(width: int) -> tuple[int, int]:
    """How fine a row shows the pixels of its pictures, and how much it leaves on either side of each.

    On a finer raster the space between two pictures need not be whole pixels of theirs.
    """
    fine = -(-FINE // width)
    return fine, round(0.06 * fine * width / 2)


def outline(axes: Axes, mask: NDArray[np.bool_]) -> None:
    """Draw a yellow line on black around what is True in a mask (H, W) of the picture that is shown."""
    # Pixel 0 begins at -0.5.
    _draw_edges(axes, _edges(mask) - 0.5)


def outline_row(axes: Axes, masks: NDArray[np.bool_]) -> None:
    """Draw a yellow line on black around what is True in masks (n, H, W) of the pictures of a row (`show_row`)."""
    _, height, width = masks.shape
    fine, gap = _raster(width)
    side = fine * width + 2 * gap
    # In a row y grows upwards, and a picture with the space around it is 1 wide.
    placed = [
        (_edges(mask) * (fine, -fine) + (gap, fine * height)) / side + (k - 0.5, 0) for k, mask in enumerate(masks)
    ]
    _draw_edges(axes, np.concatenate(placed))


def _edges(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Both ends (n, 2, 2) of the edges between a pixel inside a mask and its neighbour outside; pixel 0 begins at 0."""
    padded = np.pad(mask, 1)
    upright = [((x, y), (x, y + 1)) for y, x in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])]
    lying = [((x, y), (x + 1, y)) for y, x in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])]
    return np.asarray([*upright, *lying], np.float64).reshape(-1, 2, 2)


def _draw_edges(axes: Axes, edges: NDArray[np.float64]) -> None:
    scale = 0.6 if in_column() else 1.0
    for color, width in (("black", 2.4 * scale), (OUTLINE_COLOR, 1.2 * scale)):
        axes.add_collection(
            LineCollection(list(edges), colors=color, linewidths=width, capstyle="projecting", clip_on=False)
        )


def label_row(axes: Axes, text: str, size: float = LABEL_SIZE) -> None:
    """Write what a row of pictures is, left of its first."""
    axes.annotate(
        text,
        (0, 0.5),
        (-5, 0),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=size,
    )


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
        markersize=3 if in_column() else 4,
        linewidth=1 if in_column() else 1.5,
        capsize=1.5 if in_column() else 2,
        label=label,
    )


def with_minus(text: str) -> str:
    """The hyphens before numbers as minus signs.

    Examples
    --------
    >>> with_minus("batch-norm: -0.5 [-1, 0-3]")
    'batch-norm: −0.5 [−1, 0-3]'
    """
    return re.sub(r"(?<![\w.])-(?=[\d.])", "−", text)
