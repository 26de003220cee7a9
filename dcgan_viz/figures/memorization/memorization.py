"""The figures of a test for copies: samples beside their nearest training images, and the tests beside their nulls."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from dcgan_viz.analysis.memorization.memorization import Memorization, Shown, rounded_up
from dcgan_viz.analysis.memorization.planted import Planted
from dcgan_viz.figures.style import (
    BAND_COLOR,
    LABEL_SIZE,
    REFERENCE_COLOR,
    SUBJECT_COLOR,
    TITLE_SIZE,
    caption,
    finish_axes,
    in_column,
    label_row,
    new_figure,
    plot_estimates,
    show_picture,
    side_by_side,
    with_minus,
)
from dcgan_viz.statistics import Estimate, Interval, probability


def memorization_figure(result: Memorization) -> Figure:
    """How near samples lie to training images, what the search would have found, and the other tests with their nulls.

    Parameters
    ----------
    result : Memorization

    Returns
    -------
    Figure
    """
    heights = [2.7, 4.2, 2.1] if in_column() else [2.5, 3.9, 1.6]
    figure = new_figure(10.5, 10.6, column=0.5 + sum(heights))
    answer = "the generator copies" if result.copies else result.verdict.split(":")[0].lower()
    figure.suptitle(f"Does it copy its training images? {answer[0].upper()}{answer[1:]}", fontsize=TITLE_SIZE + 1)
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=heights, squeeze=False)[:, 0]
    for index, axis in enumerate(side_by_side(top, [1, 1])):
        _plot_distances(axis, result, index)
    planted, alike = side_by_side(middle, [1, 1], heights=[1.4, 1])
    _plot_planted(planted, result)
    _plot_alike(alike, result)
    strips = side_by_side(bottom, [1, 1] if result.data_copying else [1])
    _plot_dwelling(strips[0], result)
    if result.data_copying:
        _plot_data_copying(strips[1], result)
    caption(figure, *_caption(result))
    return figure


def nearest_figure(result: Memorization) -> Figure:
    """Samples beside their nearest training images: the relatively nearest, and random ones.

    Parameters
    ----------
    result : Memorization

    Returns
    -------
    Figure
    """
    of_each = len(result.shown) // 2
    columns = min(of_each, 5) if in_column() else of_each
    figure = new_figure(0.9 + 1.2 * columns, 9.0, column=1.0 + 6 * (0.15 + 2.7 / columns))
    figure.suptitle("Samples and their nearest training images", fontsize=TITLE_SIZE + 1)
    halves = figure.subfigures(2, 1, squeeze=False)[:, 0]
    titles = ("the samples that are relatively nearest to a training image", "random samples")
    for half, title, start in zip(halves, titles, (0, of_each), strict=True):
        half.suptitle(title, fontsize=TITLE_SIZE)
        _show_block(half, result, slice(start, start + columns))
    caption(
        figure,
        f"Model {result.settings['model']}, seed {result.settings['seed']}. Above each training image the sample's "
        "distance to it, as a multiple of the sample's typical distance: below "
        f"{result.settings['near']} it is near (red). Pixels: 8x8 averages, each channel's brightness and the contrast taken "
        "off, training images also tried mirrored (shown so where that is nearer), moved, cropped, turned and in grey; "
        "features: the discriminator's last layer. "
        f"{result.settings['samples']} samples, {result.settings['training_images']} {result.settings['source']}.",
    )
    return figure


def _show_block(figure: SubFigure, result: Memorization, part: slice) -> None:
    shown: tuple[Shown, ...] = result.shown[part]
    rows = (
        ("sample", result.pictures, [f"sample {s.sample}" for s in shown], None),
        ("nearest\nin pixels", result.nearest_in_pixels, [f"{s.pixels:.2f}" for s in shown], [s.pixels for s in shown]),
        (
            "nearest\nin features",
            result.nearest_in_features,
            [f"{s.features:.2f}" for s in shown],
            [s.features for s in shown],
        ),
    )
    axes = figure.subplots(len(rows), len(shown), squeeze=False)
    for line, (label, pictures, titles, distances) in zip(axes, rows, strict=True):
        for k, axis in enumerate(line):
            show_picture(axis, pictures[part][k], titles[k])
            if distances is not None and distances[k] < result.settings["near"]:
                axis.title.set_color(SUBJECT_COLOR)
        label_row(line[0], label)


def _plot_distances(axis: Axes, result: Memorization, index: int) -> None:
    near = result.near[index]
    samples, references = result.sample_distances[index], result.reference_distances[index]
    bins = np.linspace(0, max(samples.max(), references.max(), 1), 60).tolist()
    reference = _reference(result)
    for values, color, label in ((references, REFERENCE_COLOR, reference), (samples, SUBJECT_COLOR, "samples")):
        axis.hist(values, bins, density=True, color=color, alpha=0.5, label=label)
    axis.axvline(result.settings["near"], color="black", linestyle="--", linewidth=1, label="near")
    axis.set_title(
        f"{near.space}: {near.samples.share:.1%} of samples are near,\n"
        f"{near.references.share:.1%} of {reference} ({probability(near.p_value)})",
        fontsize=LABEL_SIZE + 1,
    )
    axis.set_xlabel("distance to the nearest training image / typical distance", fontsize=LABEL_SIZE)
    axis.set_yticks([])
    axis.set_ylabel("density", fontsize=LABEL_SIZE)
    finish_axes(axis)
    axis.legend(fontsize=LABEL_SIZE, frameon=False, loc="upper left")


def _plot_planted(axis: Axes, result: Memorization) -> None:
    shares = [(f"{kind.kind} ({_found_from(kind)})", (kind.pixels, kind.features)) for kind in result.planted]
    shares.append(("no copies: references, blurred", (result.near[0].blurred, result.near[1].blurred)))
    places = np.arange(len(shares))[::-1]
    for index, (offset, color, space) in enumerate(((0.19, "#555555", "in pixels"), (-0.19, "#a8a8a8", "in features"))):
        values = [100 * both[index].share.value for _, both in shares]
        axis.barh(places + offset, values, 0.36, color=color, label=space)
        if not in_column():
            for place, value in zip(places + offset, values, strict=True):
                axis.text(value + 1, place, f"{value:.1f}", va="center", fontsize=LABEL_SIZE - 1)
    if in_column():
        # Two numbers above one another would touch.
        for place, (_, both) in zip(places, shares, strict=True):
            first, second = (100 * found.share.value for found in both)
            axis.text(max(first, second) + 2, place, f"{first:.0f}, {second:.0f}", va="center", fontsize=LABEL_SIZE - 1)
    axis.axhline(0.5, color="black", linewidth=0.6)
    axis.set_yticks(places, [kind for kind, _ in shares], fontsize=LABEL_SIZE)
    axis.set_xlim(0, 128 if in_column() else 112)
    axis.set_xticks([0, 25, 50, 75, 100])
    axis.set_title(
        "which planted copies are near a training image (%),\nand from what share of the samples on they are found",
        fontsize=LABEL_SIZE + 1,
    )
    finish_axes(axis)
    axis.legend(fontsize=LABEL_SIZE, frameon=False, loc="upper center", bbox_to_anchor=(0.45, -0.09), ncols=2)


def _found_from(kind: Planted) -> str:
    return "never" if kind.detectable_share is None else f"from {rounded_up(kind.detectable_share)} %"


def _plot_alike(axis: Axes, result: Memorization) -> None:
    rows = [
        ("1-NN accuracy, real", result.two_sample.real, result.two_sample_reference.real),
        ("1-NN accuracy, generated", result.two_sample.generated, result.two_sample_reference.generated),
        *(
            (name, getattr(result.quality, name), getattr(result.quality_reference, name))
            for name in ("precision", "recall", "density", "coverage")
        ),
    ]
    null = result.two_sample.null
    axis.fill_betweenx(
        [len(rows) - 2.5, len(rows) - 0.5], null.low, null.high, color=BAND_COLOR, label="permuted labels"
    )
    for row, (_, samples, reference) in enumerate(rows):
        place = len(rows) - 1 - row
        plot_estimates(
            axis, [reference], [place - 0.13], color=REFERENCE_COLOR, label=_reference(result) if row == 0 else None
        )
        plot_estimates(axis, [samples], [place + 0.13], color=SUBJECT_COLOR, label="samples" if row == 0 else None)
    axis.set_yticks(range(len(rows)), [name for name, _, _ in rows][::-1], fontsize=LABEL_SIZE)
    axis.set_xlim(left=0)
    axis.set_xlim(right=max(axis.get_xlim()[1], 1.02))
    named = result.measured_in.split(",")[0]
    axis.set_title(f"samples against training images, in the features of\n{named}", fontsize=LABEL_SIZE + 1)
    finish_axes(axis)
    axis.legend(fontsize=LABEL_SIZE, frameon=False, loc="upper center", bbox_to_anchor=(0.45, -0.09), ncols=3)


def _plot_dwelling(axis: Axes, result: Memorization) -> None:
    found = result.dwelling
    _strip(axis, found.contrast, found.null, "walks shifted against their distances", reach=0.1)
    axis.set_title(
        f"walks: relative distance where they are fast minus where they are slow\n"
        f"{with_minus(format(found.contrast, '.3f'))} ({probability(found.p_value)}); above 0 they dwell at training images",
        fontsize=LABEL_SIZE + 1,
    )


def _plot_data_copying(axis: Axes, result: Memorization) -> None:
    found = result.data_copying
    assert found is not None
    _strip(axis, found.statistic, found.null, "samples and held-out images permuted", reach=4)
    axis.set_title(
        f"data-copying test: C_T {with_minus(format(found.statistic, '.1f'))} ({probability(found.p_value)})\n"
        "far below 0: copies, or smoother than photographs",
        fontsize=LABEL_SIZE + 1,
    )


def _strip(axis: Axes, estimate: Estimate, null: Interval, label: str, reach: float) -> None:
    """A number and its null on a line that reaches at least so far to both sides of 0."""
    axis.axvspan(null.low, null.high, color=BAND_COLOR, label=label)
    axis.axvline(0, color="black", linewidth=0.6)
    plot_estimates(axis, [estimate], [0], color=SUBJECT_COLOR, label="found")
    axis.set_ylim(-1, 1)
    farthest = max(abs(v) for v in (null.low, null.high, estimate.low, estimate.high))
    axis.set_xlim(-max(1.25 * farthest, reach), max(1.25 * farthest, reach))
    axis.set_yticks([])
    finish_axes(axis, left=False)
    axis.legend(fontsize=LABEL_SIZE, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2)


def _reference(result: Memorization) -> str:
    return "other training images" if result.settings["held_out_images"] is None else "held-out images"


def _caption(result: Memorization) -> tuple[str, str]:
    settings, walks = result.settings, result.dwelling
    shown = (
        f"Model {settings['model']}, seed {settings['seed']}: {settings['samples']} samples and "
        f"{settings['reference_images']} {_reference(result)} against {settings['training_images']} {settings['source']}. "
        f"{result.verdict} Brackets and lines: 95 %; grey: 95 % of the null distribution."
    )
    details = (
        f"{result.rule} Pixels: 8x8 averages, each channel's brightness and the contrast taken off; "
        "features: principal components of the discriminator's last layer over the quarters of the picture. "
        f"{result.planted[0].pixels.images} planted copies of each kind; {result.duplicates.repeated} training images are "
        f"near-duplicates of others. 1-NN, precision and the like in the features of {result.measured_in}. "
        f"References are also blurred by "
        f"{settings['reference_blur_pixels']:g} pixels. 1-nearest-neighbour (1-NN) test, precision, recall, density and "
        f"coverage on {result.two_sample.images} of each; {walks.walks} closed walks of {walks.steps} steps. Brackets and "
        "lines: 95 %, exact for shares, bootstrap over images or walks for the others; grey: 95 % of the null "
        "distribution, by permutation."
    )
    return shown, details
