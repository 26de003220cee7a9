"""The figure of one unit: the picture with what the unit sees, and its guided gradient beside that of random filters."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dcgan_viz.analysis.attribution.unit import ExplainedUnit
from dcgan_viz.figures.attribution.guided_backprop import gradient_picture
from dcgan_viz.figures.style import SUBJECT_COLOR, TITLE_SIZE, caption, new_figure, show_picture


def unit_figure(result: ExplainedUnit) -> Figure:
    """The picture, the guided gradient of the unit, and that of the same unit of random filters.

    Parameters
    ----------
    result : ExplainedUnit

    Returns
    -------
    Figure
    """
    figure = new_figure(7.2, 3.4, column=1.6)
    figure.suptitle(
        f"Discriminator layer {result.layer.number}, map {result.map}, row {result.row}, column {result.column}: "
        f"activation {result.activation:.2f}",
        fontsize=TITLE_SIZE,
    )
    parts = (
        (result.picture, "what the unit sees"),
        (gradient_picture(result.gradient), "guided gradient"),
        (gradient_picture(result.random_gradient), "random filters"),
    )
    seen = result.window
    for axes, (pixels, title) in zip(figure.subplots(1, 3), parts, strict=True):
        show_picture(axes, pixels, title)
        corner, width, height = (seen.left - 0.5, seen.top - 0.5), seen.right - seen.left, seen.bottom - seen.top
        axes.add_patch(
            Rectangle(corner, width, height, fill=False, edgecolor=SUBJECT_COLOR, linewidth=1.5, clip_on=False)
        )
    settings = result.settings
    caption(
        figure,
        f"Model {settings['model']}, {settings['image']}. The red frame is the unit's receptive field. The unit responds "
        f"more than {result.percentile:.1f} % of its map's units on {settings['compared_samples']} samples of the model. "
        f"Rule “{settings['rule']}”; grey is 0, each gradient is scaled on its own, its strongest 0.5 % saturated. Random "
        f"filters: {settings['random_filters']}, seed {settings['seed']}.",
    )
    return figure
