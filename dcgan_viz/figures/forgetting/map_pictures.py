"""A ranking of maps as pictures: what each draws, and what is missing without it."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dcgan_viz.analysis.forgetting.map_pictures import MapPictures
from dcgan_viz.figures.style import (
    TITLE_SIZE,
    caption,
    in_column,
    new_figure,
    show_picture,
    with_minus,
)
from dcgan_viz.media.pictures import tile

COLUMNS = 6


def map_pictures_figure(result: MapPictures) -> Figure:
    """Each map with its strongest samples: as drawn, where the map is active, and without it.

    Parameters
    ----------
    result : MapPictures

    Returns
    -------
    Figure
    """
    columns = min(3 if in_column() else COLUMNS, len(result.maps))
    rows = -(-len(result.maps) // columns)
    figure = new_figure(1.9 * columns, 1.0 + 2.1 * rows, column=0.4 + rows * (0.2 + 3.2 / columns))
    figure.suptitle(
        f"The maps of generator layer {result.layer.number} that rank highest for “{result.label}” by "
        f"{result.settings['ranking']}",
        fontsize=TITLE_SIZE + 1,
    )
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in cells:
        axis.set_axis_off()
    for axis, number, score, before, after, activations in zip(
        cells, result.maps, result.scores, result.before, result.after, result.activations, strict=False
    ):
        lit = np.stack([_lit(picture, active) for picture, active in zip(before, activations, strict=True)])
        show_picture(
            axis,
            tile(np.concatenate([before, lit, after]), columns=len(before)),
            f"map {number}: {with_minus(f'{score:.2g}')}",
        )
    caption(
        figure,
        f"Model {result.settings['model']}. For each map, of {result.settings['samples']} samples (seed "
        f"{result.settings['seed']}) those in which it is strongest: as drawn, lit where the map is active (its activation "
        f"over its maximum), and drawn with this map alone zeroed. The number is its score.",
    )
    return figure


def _lit(picture: NDArray[np.uint8], activation: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture (H, W, C) darkened where the map (h, w) is not active."""
    scale = len(picture) // len(activation)
    level = activation / max(float(activation.max()), 1e-12)
    light = level.repeat(scale, 0).repeat(scale, 1)[..., None]
    return (picture * (0.15 + 0.85 * light)).astype(np.uint8)
