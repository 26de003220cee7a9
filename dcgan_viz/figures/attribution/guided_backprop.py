"""The figure of guided backpropagation: trained filters beside random ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from dcgan_viz.analysis.attribution.guided_backprop import GuidedBackprop
from dcgan_viz.analysis.attribution.responses import Response
from dcgan_viz.figures.style import (
    LABEL_SIZE,
    OUTLINE_COLOR,
    TITLE_SIZE,
    caption,
    in_column,
    label_row,
    new_figure,
    show_picture,
)

MAPS_A_PAGE = 16

RESEMBLANCE = "Guided gradients resemble the image even where nothing was learned"
SATURATION = 0.995
"""Quantile of a gradient's magnitudes that is drawn black or white; one pixel can be far above the rest."""


def gradient_picture(gradient: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A gradient (C, H, W) as a picture (H, W, C), uint8: grey is 0, and only the strongest 0.5 % saturate."""
    largest = np.quantile(np.abs(gradient), SATURATION)
    scaled = gradient / largest if largest > 0 else gradient
    return (127.5 + 127.5 * scaled.clip(-1, 1)).round().astype(np.uint8).transpose(1, 2, 0)


def guided_backprop_figure(result: GuidedBackprop) -> Figure:
    """The strongest images of each map and the guided gradients of their responses, beside those of random filters.

    Parameters
    ----------
    result : GuidedBackprop
        Its first 16 maps are shown; the atlas shows all.

    Returns
    -------
    Figure
    """
    top = result.top
    rows = range(min(len(result.maps), MAPS_A_PAGE))
    # However few pictures there are, the caption has its width.
    figure = new_figure(
        max(0.9 + 0.64 * 4 * top, 7.5), 1.5 + 0.78 * len(rows), column=0.9 + 2 * len(rows) * (0.12 + 1.5 / top)
    )
    figure.suptitle(
        f"Discriminator layer {result.layer.number} ({result.layer.kind}): what excites its maps",
        fontsize=TITLE_SIZE + 1,
    )
    halves = figure.subfigures(*((2, 1) if in_column() else (1, 2)), wspace=0.03, squeeze=False).ravel()
    parts = (
        ("trained filters", result.responses, result.pictures, result.gradients),
        ("random filters", result.random_responses, result.random_pictures, result.random_gradients),
    )
    for half, (title, responses, pictures, gradients) in zip(halves, parts, strict=True):
        axes = half.subplots(len(rows), 2 * top, squeeze=False)
        half.suptitle(f"{title}: strongest images, and their guided gradients", fontsize=LABEL_SIZE + 1)
        for line, index in zip(axes, rows, strict=True):
            own = responses[index * top : (index + 1) * top]
            _row(line, own, pictures[index], gradients[index], result)
            # On both sides, so that pictures are as large on one as on the other.
            label_row(line[0], f"map\n{result.maps[index]}")
    settings = result.settings
    other = "lower half" if in_column() else "right half"
    caption(
        figure,
        f"Model {settings['model']}. For each map the images of {settings['image_count']} {settings['images']} that excite it "
        f"most, with the activation, cropped to what the strongest unit sees; its place is framed. Beside them the unit's "
        f"guided gradient; grey is 0. {RESEMBLANCE}: compare with the {other}.",
        f"What a unit sees is {result.receptive_field} pixels a side, at the border shifted inside. {_rule_text(result)} "
        f"{_random_text(result)}",
    )
    return figure


def crop(response: Response, field: int, side: int) -> tuple[slice, slice]:
    """Rows and columns of what a unit sees: a square of the receptive field's size, at the border shifted inside.

    Examples
    --------
    >>> from dcgan_viz.networks.receptive_field import Window
    >>> crop(Response(0, 0, 0, 0, 1, 2.0, Window(0, 3, 7, 13)), field=10, side=16)
    (slice(0, 10, None), slice(3, 13, None))
    """
    size = min(field, side)
    top, left = (min(first, side - size) for first in (response.window.top, response.window.left))
    return slice(top, top + size), slice(left, left + size)


def _row(
    axes: Sequence[Axes],
    responses: Sequence[Response],
    pictures: NDArray[np.uint8],
    gradients: NDArray[np.float32],
    result: GuidedBackprop,
) -> None:
    top, side = len(responses), pictures.shape[1]
    stride = side / result.layer.size
    for rank, (response, picture, gradient) in enumerate(zip(responses, pictures, gradients, strict=True)):
        rows, columns = crop(response, result.receptive_field, side)
        show_picture(axes[rank], picture[rows, columns])
        axes[rank].set_title(f"{response.value:.1f}", fontsize=LABEL_SIZE - 2, pad=2)
        show_picture(axes[top + rank], gradient_picture(gradient[:, rows, columns]))
        corner = response.column * stride - columns.start - 0.5, response.row * stride - rows.start - 0.5
        for axis in (axes[rank], axes[top + rank]):
            axis.add_patch(Rectangle(corner, stride, stride, fill=False, edgecolor=OUTLINE_COLOR, linewidth=0.9))


def units_text(result: GuidedBackprop, images: int, activations: str) -> str:
    """What is shown of each map, in words: so many images, with their activations at some place."""
    settings = result.settings
    strongest = f"the {images} of" if images > 1 else "of"
    excite = "that excite it most" if images > 1 else "the one that excites it most"
    return (
        f"Model {settings['model']}. For each map {strongest} {settings['image_count']} {settings['images']} {excite}, with "
        f"{activations}, cropped to what its strongest unit sees ({result.receptive_field} pixels a side, at the border "
        f"shifted inside); beside the image{'s' * (images > 1)} the guided gradient of that unit; grey is 0. "
        f"{_rule_text(result)}"
    )


def _rule_text(result: GuidedBackprop) -> str:
    rule = result.settings["rule"]
    below = {"keep": "max(g, 0)·(1 if x > 0 else the slope)", "zero": "max(g, 0)·1[x > 0]"}[rule]
    return (
        f"Rule “{rule}”: {below} at each LeakyReLU; every gradient is scaled on its own, its strongest 0.5 % saturated."
    )


def control_text(result: GuidedBackprop, place: str) -> str:
    """What random filters are, and where they are to be compared with, in words."""
    return f"{_random_text(result)} {RESEMBLANCE}: compare with {place}."


def _random_text(result: GuidedBackprop) -> str:
    return f"Random filters: {result.settings['random_filters']}, seed {result.settings['seed']}."
