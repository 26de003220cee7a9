"""Figures of a classification: who is right how often, with how many labels, from which layer; and what a class looks like."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from dcgan_viz.analysis.features.classification import NAMES, SUBJECT, Classification
from dcgan_viz.analysis.features.looks import COUNTED, MAPS, SHOWN
from dcgan_viz.figures.attribution.guided_backprop import gradient_picture
from dcgan_viz.figures.style import (
    CONTROL_COLOR,
    LABEL_SIZE,
    MATCHED_COLOR,
    REFERENCE_COLOR,
    SUBJECT_COLOR,
    TITLE_SIZE,
    caption,
    finish_axes,
    in_column,
    new_figure,
    plot_estimates,
    show_picture,
    side_by_side,
)

COLORS = {
    SUBJECT: SUBJECT_COLOR,
    "random": CONTROL_COLOR,
    "pixels": "#b0b7bb",
    "kmeans": REFERENCE_COLOR,
    "cnn": MATCHED_COLOR,
}
MOST_CLASSES = 20
"""More rows of a confusion matrix cannot be read, nor would more rows of pictures fit on a page."""


def classification_figure(result: Classification) -> Figure:
    """Accuracies with the paper's, the learning curve, accuracy by layer, and the confusion matrix.

    Without a learning curve the search for C is in its place; what was left out has no panel.

    Parameters
    ----------
    result : Classification

    Returns
    -------
    Figure
    """
    figure = new_figure(11.5, 7.8, column=8.4 if result.layers else 6.6)
    figure.suptitle(
        f"Classes of {result.settings['images']}, told apart by linear classifiers on the features of "
        f"{result.settings['model']}",
        fontsize=TITLE_SIZE + 1,
    )
    panels = [
        _accuracies,
        _curves if any(score.curve for score in result.scores) else _searches,
        *([_layers] if result.layers else []),
        _confusion,
    ]
    if in_column():
        places = side_by_side(figure, [1] * len(panels), heights=[*[1] * (len(panels) - 1), 1.5])
    elif len(panels) == 4:
        places = list(figure.subplots(2, 2, width_ratios=(1.15, 1)).ravel())
    else:
        named = figure.subplot_mosaic([["accuracies", "confusion"], ["search", "confusion"]], width_ratios=(1, 1.3))
        places = [named[name] for name in ("accuracies", "search", "confusion")]
    for panel, place in zip(panels, places, strict=True):
        panel(place, result)
    caption(figure, _caption(result))
    return figure


def looks_figure(result: Classification) -> Figure:
    """A row for each class: the maps with the largest weights, and the guided gradients of what excites them.

    Parameters
    ----------
    result : Classification
        Its first 20 classes are shown.

    Returns
    -------
    Figure
    """
    rows = min(len(result.looks), MOST_CLASSES)
    maps = 1 if in_column() else MAPS
    figure = new_figure(1.5 + 0.8 * 2 * MAPS * SHOWN, 1.3 + 0.92 * rows, column=0.5 + 0.78 * rows)
    figure.suptitle(
        f"What a class looks like to {result.settings['model']}: "
        + ("its map of largest weight" if maps == 1 else f"its {maps} maps of largest weight, left the largest"),
        fontsize=TITLE_SIZE + 1,
    )
    grid = figure.subplots(rows, 2 * maps * SHOWN, squeeze=False)
    sides = _sides(result)
    for row, (look, line) in enumerate(zip(result.looks, grid, strict=False)):
        for m in range(maps):
            for k in range(SHOWN):
                left, right = line[2 * (m * SHOWN + k)], line[2 * (m * SHOWN + k) + 1]
                picture, gradient = result.look_pictures[row, m, k], result.look_gradients[row, m, k]
                _picture_and_gradient(left, right, picture, gradient, sides[look.layers[m]])
            title = f"layer {look.layers[m]}, map {look.maps[m]}"
            line[2 * m * SHOWN].set_title(title, fontsize=LABEL_SIZE - 1, pad=3, loc="left")
        line[0].text(
            -0.12,
            0.5,
            f"{look.name}\n{100 * look.own.value:.0f} %",
            transform=line[0].transAxes,
            ha="right",
            va="center",
            fontsize=LABEL_SIZE,
        )
    own = float(np.mean([look.own.value for look in result.looks]))
    others = float(np.mean([look.others for look in result.looks]))
    caption(
        figure,
        f"Maps ranked by their weights in the classifier of the first draw, each weight in units of its feature's standard "
        f"deviation, summed over the 4x4 cells. For each map the {SHOWN} test images that excite it most, the strongest "
        "unit's receptive field outlined, and beside each the guided gradient of that unit within it (rule “keep”; grey is 0; "
        f"each scaled on its own). In per cent: the share of the class among the {COUNTED} test images that excite each of its "
        f"maps most; on average {own:.0%}, and {others:.0%} for all maps of the same layers. Guided gradients resemble the "
        "image even where nothing was learned: the shares are what the weights add.",
    )
    return figure


def _sides(result: Classification) -> dict[int, int]:
    """For each layer the side of the square that holds what any of its units sees."""
    sides: dict[int, int] = {}
    for look, gradients in zip(result.looks, result.look_gradients, strict=True):
        for layer, of_map in zip(look.layers, gradients, strict=True):
            for gradient in of_map:
                seen = np.argwhere(gradient.any(0))
                extent = int((np.ptp(seen, axis=0) + 1).max()) if len(seen) else 1
                sides[layer] = max(extent, sides.get(layer, 1))
    return sides


def _picture_and_gradient(
    left: Axes, right: Axes, picture: NDArray[np.uint8], gradient: NDArray[np.float32], side: int
) -> None:
    """An image with a square around what a unit sees, at the border shifted inside, and the gradient in this square."""
    show_picture(left, picture)
    seen = np.argwhere(gradient.any(0))
    if not len(seen):
        right.set_axis_off()
        return
    top, first = (int(corner) for corner in np.minimum(seen.min(0), np.array(picture.shape[:2]) - side))
    square = Rectangle((first - 0.5, top - 0.5), side, side, fill=False, edgecolor="#f1c40f", linewidth=1)
    left.add_patch(square)
    show_picture(right, gradient_picture(gradient[:, top : top + side, first : first + side]))


def _accuracies(axes: Axes, result: Classification) -> None:
    for row, score in enumerate(result.scores):
        plot_estimates(axes, [score.accuracy], [row], color=COLORS[score.method], scale=100)
        axes.annotate(
            f"{100 * score.accuracy.value:.1f}",
            (100 * score.accuracy.value, row),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=LABEL_SIZE,
        )
    names = [NAMES[score.method] for score in result.scores]
    highest = max((published.accuracy for published in result.published), default=0.0)
    for k, published in enumerate(result.published):
        # On the outer side of two lines that are near each other, the labels do not meet.
        outer = len(result.published) > 1 and published.accuracy == highest
        axes.axvline(100 * published.accuracy, color="black", linewidth=0.8, linestyle=("--", ":")[k % 2])
        axes.annotate(
            f"{published.what}, in the paper",
            (100 * published.accuracy, len(names) - 0.5),
            rotation=90,
            ha="left" if outer else "right",
            va="bottom",
            fontsize=LABEL_SIZE - 1.5,
        )
    chance = 100 * np.bincount(result.truth).max() / len(result.truth)
    axes.axvline(chance, color=CONTROL_COLOR, linewidth=0.8)
    axes.annotate(
        "largest class",
        (chance, -0.5),
        rotation=90,
        ha="right",
        va="top",
        fontsize=LABEL_SIZE - 1.5,
        color=CONTROL_COLOR,
    )
    axes.set_yticks(range(len(names)), names, fontsize=LABEL_SIZE)
    axes.set_ylim(len(names) - 0.5, -0.7)
    axes.set_xlabel("test images that are right (%)", fontsize=LABEL_SIZE)
    axes.set_title(f"with {result.scores[0].labels:,} labels", fontsize=LABEL_SIZE + 1)
    finish_axes(axes)


def _curves(axes: Axes, result: Classification) -> None:
    for row, score in enumerate(result.scores):
        color = COLORS[score.method]
        # Beside one another, so that no interval hides another.
        aside = 1.04 ** (row - (len(result.scores) - 1) / 2)
        points = sorted(
            [*((p.labels, p.accuracy) for p in score.curve), (score.labels, score.accuracy)], key=lambda p: p[0]
        )
        labels, estimates = [aside * p[0] for p in points], [p[1] for p in points]
        axes.plot(labels, [100 * e.value for e in estimates], color=color, linewidth=1)
        plot_estimates(axes, estimates, labels, color=color, upright=True, scale=100, label=NAMES[score.method])
    axes.set_xscale("log")
    axes.set_xlabel("labels", fontsize=LABEL_SIZE)
    axes.set_ylabel("right (%)", fontsize=LABEL_SIZE)
    axes.set_title("by the number of labels", fontsize=LABEL_SIZE + 1)
    axes.legend(fontsize=LABEL_SIZE - 1, frameon=False, loc="best")
    finish_axes(axes)


def _searches(axes: Axes, result: Classification) -> None:
    for score in result.scores:
        if score.C is None:
            continue
        values, accuracies = zip(*score.path, strict=True)
        color, percent = COLORS[score.method], [100 * accuracy for accuracy in accuracies]
        axes.plot(values, percent, color=color, linewidth=1, marker=".", markersize=4, label=NAMES[score.method])
        axes.plot(score.C, percent[values.index(score.C)], color=color, marker="o", fillstyle="none")
    axes.set_xscale("log")
    axes.set_xlabel("C (circle: the one that is taken)", fontsize=LABEL_SIZE)
    axes.set_ylabel("validation images that are right (%)", fontsize=LABEL_SIZE)
    axes.set_title("the search for C", fontsize=LABEL_SIZE + 1)
    axes.legend(fontsize=LABEL_SIZE - 1, frameon=False, loc="best")
    finish_axes(axes)


def _layers(axes: Axes, result: Classification) -> None:
    places = np.arange(len(result.layers))
    plot_estimates(
        axes,
        [layer.accuracy for layer in result.layers],
        places - 0.08,
        color=SUBJECT_COLOR,
        upright=True,
        scale=100,
        label=NAMES[SUBJECT],
    )
    random = [layer.random for layer in result.layers if layer.random is not None]
    if random:
        plot_estimates(axes, random, places + 0.08, color=CONTROL_COLOR, upright=True, scale=100, label=NAMES["random"])
    axes.axhline(
        100 * result.scores[0].accuracy.value, color=SUBJECT_COLOR, linewidth=0.8, linestyle="--", label="all layers"
    )
    sizes = [f"\n{layer.features:,} features" for layer in result.layers]
    names = [layer.name + ("" if in_column() else size) for layer, size in zip(result.layers, sizes, strict=True)]
    axes.set_xticks(places, names, fontsize=LABEL_SIZE - 1)
    axes.set_ylabel("right (%)", fontsize=LABEL_SIZE)
    axes.set_title("from one layer alone", fontsize=LABEL_SIZE + 1)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.25 * (high - low))
    axes.legend(fontsize=LABEL_SIZE - 1, frameon=False, loc="upper right")
    finish_axes(axes)


def _confusion(axes: Axes, result: Classification) -> None:
    shares = result.confusion / result.confusion.sum(1, keepdims=True).clip(min=1)
    shown = shares[:MOST_CLASSES, :MOST_CLASSES]
    axes.imshow(shown, cmap="Reds", vmin=0, vmax=1)
    names = result.classes[:MOST_CLASSES]
    axes.set_xticks(range(len(names)), names, rotation=45 if max(map(len, names)) > 3 else 0, fontsize=LABEL_SIZE - 1)
    axes.set_yticks(range(len(names)), names, fontsize=LABEL_SIZE - 1)
    if len(names) <= 12:
        for (row, column), share in np.ndenumerate(shown):
            color = "white" if share > 0.6 else "black"
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=LABEL_SIZE - 2, color=color)
    axes.set_xlabel("called", fontsize=LABEL_SIZE)
    axes.set_ylabel("is", fontsize=LABEL_SIZE)
    axes.set_title("confusion (% of each class)", fontsize=LABEL_SIZE + 1)


def _caption(result: Classification) -> str:
    settings, subject = result.settings, result.scores[0]
    draws = f"{subject.draws} class-balanced draws" if subject.draws > 1 else "one fit to all of them"
    tuned = "" if settings["tuning_labels"] >= subject.labels else f" with fits to {settings['tuning_labels']:,} labels"
    random = "Random weights: the same networks, untrained, with batch-norm statistics of the training images. "
    random = random if any(score.method == "random" for score in result.scores) else ""
    over = "draws and test images together" if subject.draws > 1 else "test images"
    differs = "".join(f" The paper's {100 * p.accuracy:.2f} % ({p.what}): {p.how}." for p in result.published)
    return (
        f"Every layer's maps max-pooled to 4x4; one-against-all squared-hinge SVM, C from {settings['grid']} on "
        f"{settings['validation']:,} validation images{tuned}. {subject.labels:,} labels, {draws}; "
        f"{settings['test']:,} test images. Intervals: 95 %, over {over}. "
        f"{random}Protocol {result.protocol.name}, seed {settings['seed']}.{differs}"
    )
