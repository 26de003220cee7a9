"""The figure of a test for copies: the suspects beside their nearest training images, and how near is near."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dcgan_viz.analysis.memorization import Memorization
from dcgan_viz.figures.style import LABEL_SIZE, TITLE_SIZE, caption, new_figure, show_picture

SAMPLE_COLOR, REFERENCE_COLOR = "#c0392b", "#2c5d8f"


def memorization_figure(result: Memorization) -> Figure:
    """The samples nearest to a training image with that image, over the distances of all.

    Parameters
    ----------
    result : Memorization

    Returns
    -------
    Figure
    """
    figure = new_figure(10.5, 7.6)
    answer = "the generator copies" if result.copies else "no sign of copying"
    figure.suptitle(f"Does it remember its training images? {answer[0].upper()}{answer[1:]}", fontsize=TITLE_SIZE + 1)
    top, bottom = figure.subfigures(2, 1, height_ratios=[3.2, 2.6], squeeze=False)[:, 0]
    rows = {
        "sample": result.pictures,
        "nearest\nin pixels": result.nearest_in_pixels,
        "nearest\nin features": result.nearest_in_features,
    }
    axes = top.subplots(len(rows), len(result.pictures), squeeze=False)
    for line, (label, pictures) in zip(axes, rows.items(), strict=True):
        for axis, picture in zip(line, pictures, strict=True):
            show_picture(axis, picture)
        line[0].text(-0.08, 0.5, label, transform=line[0].transAxes, ha="right", va="center", fontsize=LABEL_SIZE)
    for axis, index in zip(bottom.subplots(1, 2), (0, 1), strict=True):
        _plot_distances(axis, result, index)
    caption(figure, _caption(result))
    return figure


def _plot_distances(axis: Axes, result: Memorization, index: int) -> None:
    near = result.near[index]
    samples, references = result.sample_distances[index], result.reference_distances[index]
    bins = np.linspace(0, max(samples.max(), references.max()), 60).tolist()
    reference = "training images, to each other" if result.settings["held_out_images"] is None else "held-out images"
    for values, color, label in ((references, REFERENCE_COLOR, reference), (samples, SAMPLE_COLOR, "samples")):
        axis.hist(values, bins, density=True, color=color, alpha=0.5, label=label)
    axis.axvline(near.threshold, color="black", linestyle="--", linewidth=1, label="1 % of them lie below")
    axis.set_title(
        f"{near.space}: {100 * near.share:.1f} % [{100 * near.interval.low:.1f}, {100 * near.interval.high:.1f}] "
        f"of samples below (p = {near.p_value:.2g})",
        fontsize=LABEL_SIZE + 1,
    )
    axis.set_xlabel(f"distance to the nearest training image, in {near.space}", fontsize=LABEL_SIZE)
    axis.set_yticks([])
    axis.set_ylabel("density", fontsize=LABEL_SIZE)
    axis.tick_params(labelsize=LABEL_SIZE)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=LABEL_SIZE - 1, frameon=False)


def _caption(result: Memorization) -> str:
    settings, test, quality = result.settings, result.two_sample, result.quality
    statistic = "" if result.copying_statistic is None else f" C_T {result.copying_statistic:.1f} (below −3: copying)."
    return (
        f"Model {settings['model']}: {settings['samples']} samples (seed {settings['seed']}) against "
        f"{settings['training_images']} {settings['source']}{', mirrored ones too' if settings['mirrored'] else ''}; "
        f"above, the samples nearest to one. Pixels: root mean square at 32x32; features: the discriminator's last layer "
        f"over the quarters of the picture, each scaled by its deviation. {result.verdict}{statistic} 1-nearest-neighbour "
        f"accuracies on {test.images} of each: real {test.real:.2f}, generated {test.generated:.2f} (0.5 when alike). "
        f"Precision {quality.precision:.2f}, recall {quality.recall:.2f}, density {quality.density:.2f}, coverage "
        f"{quality.coverage:.2f}."
    )
