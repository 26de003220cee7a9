"""The atlas of a layer as one picture: each map's strongest image and its guided gradient."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from dcgan_viz.analysis.attribution.guided_backprop import GuidedBackprop
from dcgan_viz.figures.attribution.guided_backprop import crop, gradient_picture, units_text
from dcgan_viz.figures.style import (
    LABEL_SIZE,
    TITLE_SIZE,
    caption,
    in_column,
    new_figure,
)
from dcgan_viz.media.pictures import fit

TILE, GAP, LABEL_ROOM = 64, 2, 18
COLUMNS = 16


def atlas_figure(result: GuidedBackprop) -> Figure:
    """Every map in one picture: its number, the image that excites it most, and the guided gradient beside it.

    One image is laid out by hand and drawn once: a thousand axes would take minutes.

    Parameters
    ----------
    result : GuidedBackprop

    Returns
    -------
    Figure
    """
    count = len(result.maps)
    columns = min(4 if in_column() else COLUMNS, max(math.ceil(math.sqrt(count / 2)), 3))
    rows = math.ceil(count / columns)
    width, height = 2 * TILE + 4 * GAP, TILE + LABEL_ROOM
    page = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index in range(count):
        part = crop(result.responses[index * result.top], result.receptive_field, result.pictures.shape[2])
        gradient = gradient_picture(result.gradients[index, 0][:, *part])
        top, left = index // columns * height + LABEL_ROOM, index % columns * width
        for place, pixels in enumerate((result.pictures[index, 0][part], gradient)):
            page[top : top + TILE, left + place * (TILE + GAP) : left + place * (TILE + GAP) + TILE] = fit(pixels, TILE)
    inches = 0.9
    figure = new_figure(max(columns * inches, 5.5), rows * inches * height / width + 1.4)
    figure.suptitle(
        f"Discriminator layer {result.layer.number} ({result.layer.kind}): {count} of {result.layer.channels} maps",
        fontsize=TITLE_SIZE + 1,
    )
    axis = figure.subplots()
    axis.imshow(page, interpolation="nearest")
    axis.set_axis_off()
    for index, number in enumerate(result.maps):
        axis.text(
            index % columns * width,
            index // columns * height + LABEL_ROOM - 3,
            f"{number}  {result.responses[index * result.top].value:.1f}",
            fontsize=LABEL_SIZE - 3,
        )
    shown = units_text(result, 1, "the number of the map and the activation above")
    caption(
        figure,
        f"{shown} Guided gradients resemble the image even where nothing was learned: the page of this atlas has those of "
        "random filters beneath each.",
    )
    return figure
