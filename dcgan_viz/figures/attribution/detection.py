"""The figure of what a layer's maps detect."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dcgan_viz.analysis.attribution.detection import Detection
from dcgan_viz.figures.style import LABEL_SIZE, TITLE_SIZE, caption, new_figure, show_picture

SHOWN_MAPS = 5
BEST_COLOR, REST_COLOR, CHANCE_COLOR = "#c0392b", "#7f8c8d", "#2c5d8f"


def detection_figure(result: Detection) -> Figure:
    """Average precision of all maps, and where the best ones respond on images that show the object.

    Parameters
    ----------
    result : Detection

    Returns
    -------
    Figure
    """
    rows, columns = min(SHOWN_MAPS, len(result.best)) + 1, len(result.pictures)
    figure = new_figure(4.4 + 1.05 * max(columns, 3), 1.3 + 1.05 * rows)
    figure.suptitle(
        f"Which maps of discriminator layer {result.layer.number} see “{result.object}”?", fontsize=TITLE_SIZE + 1
    )
    left, right = figure.subfigures(1, 2, width_ratios=[3.6, 0.8 + 1.05 * max(columns, 3)], squeeze=False)[0]
    _plot_ranking(left.subplots(), result)
    axes = right.subplots(rows, columns, squeeze=False)
    for axis, picture, mask in zip(axes[0], result.pictures, result.masks, strict=True):
        show_picture(axis, picture)
        _outline(axis, mask)
    _name(axes[0, 0], f"{result.object}\noutlined")
    for rank, line in enumerate(axes[1:]):
        best = result.best[rank]
        limit = float(result.activations[:, rank].max())
        for axis, picture, mask, activation in zip(
            line, result.pictures, result.masks, result.activations[:, rank], strict=True
        ):
            show_picture(axis, (picture // 2 + 64).astype(np.uint8))
            side = picture.shape[0]
            axis.imshow(
                activation.clip(min=0),
                cmap="inferno",
                vmin=0,
                vmax=max(limit, 1e-6),
                alpha=0.65,
                extent=(-0.5, side - 0.5, side - 0.5, -0.5),
                interpolation="nearest",
            )
            _outline(axis, mask)
        _name(line[0], f"map {best.map}\nAP {best.average_precision:.2f}\nIoU {best.iou:.2f}")
    caption(figure, _caption(result))
    return figure


def _plot_ranking(axis: Axes, result: Detection) -> None:
    ranks = np.arange(1, len(result.ranking) + 1)
    axis.plot(ranks, result.ranked_by[result.ranking], color=REST_COLOR, linewidth=1, label="images that ranked")
    axis.scatter(ranks, result.tested[result.ranking], color=BEST_COLOR, s=5, linewidth=0, label="other images")
    best = result.best
    spread = [
        [b.average_precision - b.average_precision_interval.low for b in best],
        [b.average_precision_interval.high - b.average_precision for b in best],
    ]
    axis.errorbar(
        ranks[: len(best)],
        [b.average_precision for b in best],
        np.maximum(spread, 0),
        color=BEST_COLOR,
        fmt="none",
        linewidth=0.8,
    )
    axis.axhline(result.prevalence, color=CHANCE_COLOR, linestyle="--", linewidth=1, label="chance")
    axis.set_xscale("log")
    axis.set_ylim(0, None)
    axis.set_xlabel("maps, ranked", fontsize=LABEL_SIZE)
    axis.set_ylabel("average precision", fontsize=LABEL_SIZE)
    axis.tick_params(labelsize=LABEL_SIZE)
    axis.legend(fontsize=LABEL_SIZE - 1, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)


def _outline(axis: Axes, mask: NDArray[np.bool_]) -> None:
    axis.contour(mask, levels=[0.5], colors=["#2ecc71"], linewidths=1)


def _name(axis: Axes, text: str) -> None:
    axis.text(-0.08, 0.5, text, transform=axis.transAxes, ha="right", va="center", fontsize=LABEL_SIZE - 1)


def _caption(result: Detection) -> str:
    settings, best = result.settings, result.best[0]
    low, high = best.average_precision_interval.low, best.average_precision_interval.high
    return (
        f"Model {settings['model']}, {settings['image_count']} {settings['images']}, {settings['images_with_object']} "
        f"of them with {result.object}; seed {settings['seed']}. A random half of the images ranks the maps by average "
        f"precision and chooses each one's threshold for the IoU; the other half gives the numbers (bars: 95 % "
        f"bootstrap over images). Best: map {best.map}, AP {best.average_precision:.2f} [{low:.2f}, {high:.2f}] "
        f"against {result.prevalence:.2f} by chance, the share of the area that is {result.object}. Right: "
        "test images, activations of the best maps above zero laid over them."
    )
