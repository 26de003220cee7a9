"""The figure of what a layer's maps detect."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dcgan_viz.analysis.attribution.detection import Detection
from dcgan_viz.analysis.attribution.detectors import COMBINATION, MAP, RANDOM, TRAINED
from dcgan_viz.figures.style import (
    CONTROL_COLOR,
    LABEL_SIZE,
    REFERENCE_COLOR,
    SUBJECT_COLOR,
    TITLE_SIZE,
    caption,
    finish_axes,
    in_column,
    label_row,
    new_figure,
    outline,
    plot_estimates,
    reach,
    show_picture,
    with_minus,
)

SHOWN_MAPS = 5


def detection_figure(result: Detection) -> Figure:
    """Average precision of all maps, and where the best ones respond on images that show the object and on some that do not.

    Parameters
    ----------
    result : Detection

    Returns
    -------
    Figure
    """
    rows, columns = min(SHOWN_MAPS, len(result.best)) + 1, len(result.pictures)
    pictures = rows * 2.6 / max(columns, 3)
    figure = new_figure(4.4 + 1.05 * max(columns, 3), 4.0 + 1.05 * rows, column=4.4 + pictures)
    figure.suptitle(
        f"Which maps of discriminator layer {result.layer.number} see “{result.object}”?", fontsize=TITLE_SIZE + 1
    )
    if in_column():
        right, left, bottom = figure.subfigures(3, 1, height_ratios=[pictures, 1.7, 2.3], squeeze=False)[:, 0]
    else:
        top, bottom = figure.subfigures(2, 1, height_ratios=[0.4 + 1.05 * rows, 2.6], squeeze=False)[:, 0]
        left, right = top.subfigures(1, 2, width_ratios=[3.6, 0.8 + 1.05 * max(columns, 3)], squeeze=False)[0]
    _plot_detectors(bottom.subplots(), result)
    _plot_ranking(left.subplots(), result)
    axes = right.subplots(rows, columns, squeeze=False)
    for axis, picture, mask in zip(axes[0], result.pictures, result.masks, strict=True):
        show_picture(axis, picture)
        outline(axis, mask)
        if not mask.any():
            axis.set_title(f"no {result.object}", fontsize=LABEL_SIZE - 1, pad=3)
    label_row(axes[0, 0], f"{result.object}\noutlined", LABEL_SIZE - 1)
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
            outline(axis, mask)
        label_row(
            line[0], f"map {best.map}\nAP {best.average_precision.value:.2f}\nIoU {best.iou.value:.2f}", LABEL_SIZE - 1
        )
    caption(figure, *_caption(result))
    return figure


def _plot_ranking(axis: Axes, result: Detection) -> None:
    ranks = np.arange(1, len(result.ranking) + 1)
    axis.plot(ranks, result.ranked_by[result.ranking], color=CONTROL_COLOR, linewidth=1, label="images that ranked")
    axis.scatter(ranks, result.tested[result.ranking], color=SUBJECT_COLOR, s=5, linewidth=0, label="other images")
    best = result.best
    plot_estimates(axis, [b.average_precision for b in best], ranks[: len(best)], color=SUBJECT_COLOR, upright=True)
    axis.axhline(result.prevalence, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label="chance")
    axis.set_xscale("log")
    axis.set_ylim(0, None)
    axis.set_xlabel("maps, ranked", fontsize=LABEL_SIZE)
    axis.set_ylabel("average precision", fontsize=LABEL_SIZE)
    finish_axes(axis)
    axis.legend(fontsize=LABEL_SIZE - 1, frameon=False)


def _plot_detectors(axis: Axes, result: Detection) -> None:
    """Every layer's best map and combination, trained and with random weights, beside what needs no network."""
    found = result.detectors
    layers = sorted({row.layer for row in found.rows if row.network})
    styles = (
        (MAP, TRAINED, SUBJECT_COLOR, "o", "best map"),
        (COMBINATION, TRAINED, SUBJECT_COLOR, "D", "combination of all maps"),
        (MAP, RANDOM, CONTROL_COLOR, "o", "best map, random weights"),
        (COMBINATION, RANDOM, CONTROL_COLOR, "D", "combination, random weights"),
    )
    for k, (name, network, color, marker, label) in enumerate(styles):
        rows = [found.of(name, network, layer) for layer in layers]
        values = [row.average_precision for row in rows]
        places = np.arange(len(layers)) + 0.14 * (k - 1.5)
        axis.errorbar(
            places,
            [value.value for value in values],
            yerr=reach(values),
            fmt=marker,
            color=color,
            fillstyle="full" if marker == "o" else "none",
            markersize=4,
            linewidth=1.2,
            capsize=2,
            label=label,
        )
    alone = {"luminance": -2.4, "position": -1.8, "luminance and position": -1.2}
    for name, place in alone.items():
        plot_estimates(axis, [found.of(name).average_precision], [place], color=REFERENCE_COLOR, upright=True)
    axis.axhline(found.best_baseline.average_precision.value, color=REFERENCE_COLOR, linestyle="--", linewidth=1)
    names = ["luminance", "position", "both"]
    axis.set_xticks([*alone.values(), *range(len(layers))], [*names, *(f"layer {layer}" for layer in layers)])
    if in_column():
        axis.tick_params(axis="x", rotation=90)
    axis.set_ylim(0, 1.35 * max(row.average_precision.high for row in found.rows))
    axis.set_ylabel("average precision", fontsize=LABEL_SIZE)
    axis.set_title("on images that chose nothing; dashed: the baseline that was best on those that chose",
                   fontsize=LABEL_SIZE + 1)  # fmt: skip
    finish_axes(axis)
    axis.legend(fontsize=LABEL_SIZE - 1, frameon=False, ncols=2, loc="upper right")


def _caption(result: Detection) -> tuple[str, str]:
    settings, best = result.settings, result.best[0]
    shown = (
        f"Model {settings['model']}, {settings['image_count']} {settings['images']}, {settings['images_with_object']} "
        f"of them with {result.object}; seed {settings['seed']}. A random half of the images ranks the maps by average "
        f"precision and chooses each one's threshold for the IoU; the other half gives the numbers (bars: 95 % "
        f"bootstrap over images). Right: test images with the activations of the best maps above zero."
    )
    details = (
        f"Best: map {best.map}, AP {best.average_precision:.2f} against {result.prevalence:.2f} by chance, the share of the "
        f"area that is {result.object}. Below: luminance and position by ridge "
        "regression, as the combinations; networks with random weights have their batch-norm statistics measured on the "
        f"images. {with_minus(result.detectors.sentences().replace(chr(10), '. '))}."
    )
    return shown, details
