"""The figure of attribution methods side by side."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dcgan_viz.analysis.attribution.methods import METHODS, MethodComparison
from dcgan_viz.figures.attribution.guided_backprop import gradient_picture
from dcgan_viz.figures.style import (
    LABEL_SIZE,
    TITLE_SIZE,
    caption,
    in_column,
    new_figure,
    show_picture,
)


def methods_figure(result: MethodComparison) -> Figure:
    """A row a unit: the image with its receptive field, then the attribution by each method.

    Parameters
    ----------
    result : MethodComparison

    Returns
    -------
    Figure
    """
    rows, columns = len(result.responses), len(result.methods) + 1
    figure = new_figure(0.5 + 1.15 * max(columns, 5), 1.4 + 1.2 * rows, column=1.2 + rows * 3 / max(columns, 5))
    figure.suptitle(
        f"Discriminator layer {result.layer.number}: the same units by each method", fontsize=TITLE_SIZE + 1
    )
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis, title in zip(axes[0], ("image", *result.methods), strict=True):
        axis.set_title(title, fontsize=LABEL_SIZE, pad=3, rotation=90 if in_column() and columns > 4 else 0)
    for line, response, picture, attributions in zip(
        axes, result.responses, result.pictures, result.attributions, strict=True
    ):
        window = response.window
        show_picture(line[0], picture)
        line[0].add_patch(_rectangle(window.left, window.top, window.right - window.left, window.bottom - window.top))
        line[0].text(
            -0.08,
            0.5,
            f"map\n{response.map}",
            transform=line[0].transAxes,
            ha="right",
            va="center",
            fontsize=LABEL_SIZE,
        )
        for axis, attribution in zip(line[1:], attributions, strict=True):
            show_picture(axis, gradient_picture(attribution))
    caption(figure, _caption(result))
    return figure


def _rectangle(left: int, top: int, width: int, height: int) -> Rectangle:
    return Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor="#f1c40f", linewidth=1.2)


def _caption(result: MethodComparison) -> str:
    settings = result.settings
    known = {**settings, "layer_below": result.layer.number - 1}
    notes = {method: METHODS[method].note.format(**known) for method in result.methods}
    said = "; ".join(f"{method}: {note}" for method, note in notes.items() if note)
    return (
        f"Model {settings['model']}. Each row explains one unit, the strongest of its map, on the image that "
        f"excites it most; the yellow frame is its receptive field. Grey is 0; every attribution is scaled on its "
        f"own, its strongest 0.5 % saturated.{f' {said[0].upper()}{said[1:]}.' if said else ''}"
    )
