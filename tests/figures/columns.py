"""What would be wrong with a figure in a paper, in one column and over both, for the tests of all figures."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

from matplotlib.figure import Figure

from dcgan_viz.figures.style import COLUMN_WIDTH, DPI, PAPER_SIZE, PAPER_WIDTH, _texts, captions_apart, for_column

PAGE_HEIGHT = 9.5


def faults(draw: Callable[[], Figure]) -> list[str]:
    """Letters that are too small, words that are cut off or lie on others, and a figure that is no column's size."""
    found = [f"with its caption {fault}" for fault in _faults_of_words(draw(), 0)]
    with captions_apart():
        wide = draw()
    found += [f"over both columns {fault}" for fault in _faults_of_words(wide, wide.get_figwidth() / PAPER_WIDTH)]
    with for_column() as captions:
        figure = draw()
    found += [] if captions else ["nothing is said of it"]
    width, height = figure.get_size_inches()
    if width != COLUMN_WIDTH or height > PAGE_HEIGHT:
        found.append(f"{width:.2f} by {height:.2f} inches")
    return found + _faults_of_words(figure)


def _faults_of_words(figure: Figure, shrinks: float = 1) -> list[str]:
    """Of a figure whose letters become smaller by a factor where it is put in."""
    figure.draw_without_rendering()
    found = []
    # Ticks beyond the ends of an axis are there and not drawn.
    beyond = {
        label
        for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis))
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        for label in (tick.label1, tick.label2)
    }
    texts = [text for text in _texts(figure) if text not in beyond]
    words = [text for text in texts if text.get_visible() and text.get_text().strip()]
    hair = figure.dpi / DPI
    boxes = [text.get_window_extent().padded(-hair) for text in words]
    for text, box in zip(words, boxes, strict=True):
        if text.get_fontsize() < 0.99 * PAPER_SIZE * shrinks:
            found.append(f"{text.get_text()!r} has {text.get_fontsize():.1f} points")
        if box.x0 < -2 * hair or box.y0 < -2 * hair or box.x1 > figure.bbox.x1 + 2 * hair or box.y1 > figure.bbox.y1:
            found.append(f"{text.get_text()!r} is cut off")
    for (first, a), (second, b) in combinations(zip(words, boxes, strict=True), 2):
        if a.overlaps(b):
            found.append(f"{first.get_text()!r} lies on {second.get_text()!r}")
    return found
