"""The figure of forgetting: with and without, the control, and the numbers beneath."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dcgan_viz.analysis.ablation import Change
from dcgan_viz.analysis.forgetting import Forgetting
from dcgan_viz.figures.style import LABEL_SIZE, TITLE_SIZE, caption, new_figure, show_picture

COLUMNS = 12
SCORE_NAMES = {
    "regression": "weight in the logistic regression",
    "iou": "IoU with the boxes at the best threshold",
    "difference": "activation inside minus outside (standard deviations)",
    "causal": "change inside minus outside, zeroed alone (grey levels)",
}

OBJECT_COLOR, CONTROL_COLOR, REST_COLOR = "#c0392b", "#7f8c8d", "#2c5d8f"


def forgetting_figure(result: Forgetting) -> Figure:
    """Before and after side by side, with the difference, the control and the numbers.

    Parameters
    ----------
    result : Forgetting

    Returns
    -------
    Figure
        Four rows of up to 12 samples over two plots: the regression's weights, and the change inside the
        object's boxes and outside.
    """
    count = min(COLUMNS, len(result.before))
    # A picture is 0.85 inches wide; the labels of the rows take another 1.35.
    figure = new_figure(1.35 + 0.85 * max(count, 8), 7.2)
    top, bottom = figure.subfigures(2, 1, height_ratios=[3.5, 2.4], squeeze=False)[:, 0]
    known, total = len(result.maps), result.layer.channels
    done = result.settings["ablation"].removesuffix(" everywhere, after the rectifier")
    figure.suptitle(
        f"Forgetting “{result.object}”: {known} of {total} maps of generator layer {result.layer.number} {done}",
        fontsize=TITLE_SIZE + 1,
    )
    rows = {
        "as drawn": result.before[:count],
        f"{known} {result.object}\nmaps {done}": result.after[:count],
        "difference": _difference(result.before[:count], result.after[:count]),
        f"{known} random\nmaps {done}": result.control[:count],
    }
    axes = top.subplots(len(rows), count, squeeze=False)
    for row, (label, pictures) in zip(axes, rows.items(), strict=True):
        for axis, picture in zip(row, pictures, strict=True):
            show_picture(axis, picture)
        row[0].text(-0.08, 0.5, label, transform=row[0].transAxes, ha="right", va="center", fontsize=LABEL_SIZE)
    weights, change = bottom.subplots(1, 2, width_ratios=[1.25, 1])
    _plot_weights(weights, result)
    _plot_change(change, result)
    caption(figure, _caption(result))
    return figure


def _difference(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    signed = after.astype(np.int16) - before.astype(np.int16)
    return (127.5 + signed).clip(0, 255).astype(np.uint8)


def _plot_weights(axes: Axes, result: Forgetting) -> None:
    order = np.argsort(-result.scores, kind="stable")
    zeroed = np.isin(order, result.maps)
    ranks = np.arange(1, len(order) + 1)
    for chosen, color, label in ((zeroed, OBJECT_COLOR, "chosen"), (~zeroed, CONTROL_COLOR, "not chosen")):
        axes.bar(ranks[chosen], result.scores[order][chosen], width=1, color=color, label=label)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xlabel(f"maps of layer {result.layer.number}, ranked", fontsize=LABEL_SIZE)
    axes.set_ylabel(SCORE_NAMES[result.settings["ranking"]], fontsize=LABEL_SIZE)
    low, high = result.auc_interval.low, result.auc_interval.high
    axes.set_title(f"AUC on unseen images {result.auc:.2f} [{low:.2f}, {high:.2f}]", fontsize=LABEL_SIZE + 1)
    _finish(axes)
    axes.legend(fontsize=LABEL_SIZE, frameon=False)


def _plot_change(axes: Axes, result: Forgetting) -> None:
    changes: tuple[Change, Change] = (result.change, result.control_change)
    for offset, (name, color) in zip((-0.17, 0.17), (("inside", OBJECT_COLOR), ("outside", REST_COLOR)), strict=True):
        values = np.array([getattr(c, name) for c in changes])
        intervals = [getattr(c, f"{name}_interval") for c in changes]
        reach = np.abs(np.array([[i.low for i in intervals], [i.high for i in intervals]]) - values)
        places = np.arange(2) + offset
        axes.bar(places, values, 0.3, yerr=reach, capsize=3, color=color, label=f"{name} the boxes")
    labels = [f"{result.object} maps", "random maps"]
    axes.set_xticks([0, 1], [f"{n}\nratio {c.ratio:.2f}" for n, c in zip(labels, changes, strict=True)])
    axes.set_ylabel("mean change of a pixel\n(grey levels of 255)", fontsize=LABEL_SIZE)
    axes.set_title(f"change on {result.annotated_images} annotated samples", fontsize=LABEL_SIZE + 1)
    axes.set_ylim(0, 1.35 * max(i.high for c in changes for i in (c.inside_interval, c.outside_interval)))
    _finish(axes)
    axes.legend(fontsize=LABEL_SIZE, frameon=False, ncols=2, loc="upper left")


def _finish(axes: Axes) -> None:
    axes.tick_params(labelsize=LABEL_SIZE)
    axes.spines[["top", "right"]].set_visible(False)


def _caption(result: Forgetting) -> str:
    settings = result.settings
    return (
        f"Model {settings['model']}. The regression ({settings['regression']}) separates {result.positives} positions "
        f"inside {result.boxes} hand-drawn boxes in {result.annotated_images} samples from {result.negatives} "
        f"{settings['negatives']}; maps chosen by {settings['chosen_by']}, {settings['ablation']}. New "
        f"samples, seed {settings['seed']}; the difference is grey where nothing changed. Bars: mean "
        f"absolute change with 95 % bootstrap intervals over samples; a ratio of 1 means that the boxes changed no "
        f"more than the rest. Brightness inside the boxes moved by {_signed(result.change.brightness_inside)}, outside "
        f"by {_signed(result.change.brightness_outside)} grey levels."
    )


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")
