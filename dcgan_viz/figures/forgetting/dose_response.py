"""Dose-response curves: what goes when more and more maps are zeroed."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dcgan_viz.analysis.forgetting.dose_response import MATCHED, RANDOM, DoseResponse
from dcgan_viz.analysis.forgetting.ranking_registry import RANKINGS
from dcgan_viz.figures.style import (
    CONTROL_COLOR,
    LABEL_SIZE,
    MATCHED_COLOR,
    TITLE_SIZE,
    caption,
    finish_axes,
    new_figure,
    reach,
    side_by_side,
    with_minus,
)
from dcgan_viz.words import counted

OTHER_COLORS = ("#16a085", "#d35400", "#34495e")
"""Of rankings that are not registered."""


def dose_response_figure(result: DoseResponse) -> Figure:
    """The object, the spared object, and one against the other, for every ranking.

    Parameters
    ----------
    result : DoseResponse

    Returns
    -------
    Figure
    """
    figure = new_figure(11.5, 4.6, column=6.2)
    figure.suptitle(
        f"How many maps does it take to forget “{result.object}”? Generator layer {result.layer.number}, "
        f"{result.layer.channels} maps",
        fontsize=TITLE_SIZE + 1,
    )
    gone, spared, best = side_by_side(figure, [1, 1, 1])
    target, other = result.objects.index(result.object), result.objects.index(result.spared)
    _curves(gone, result, target)
    gone.set_title(f"{result.object} pixels gone", fontsize=LABEL_SIZE + 1)
    _curves(spared, result, other)
    spared.set_title(f"{result.spared} pixels gone", fontsize=LABEL_SIZE + 1)
    _best_doses(best, result)
    for axes in (gone, spared):
        axes.axhline(0, color="black", linewidth=0.6)
        finish_axes(axes)
    spared.legend(fontsize=LABEL_SIZE - 1, frameon=False, loc="upper left")
    caption(figure, *_caption(result))
    return figure


def _best_doses(axes: Axes, result: DoseResponse) -> None:
    """For every ranking the dose that removes most and spares enough, as a ring with its interval."""
    places = np.arange(len(result.best))[::-1]
    for place, dose in zip(places, result.best, strict=True):
        color = _color(result, dose.ranking)
        ends = reach([dose.removed], 100)
        axes.errorbar(
            100 * dose.removed.value, place, xerr=ends, fmt="o", color=color, markersize=7, fillstyle="none", capsize=2
        )
    labels = [
        f"{dose.ranking}\n{counted(dose.maps, 'map')}, {result.spared} {with_minus(f'{100 * dose.spared_loss.value:.0f}')} %"
        for dose in result.best
    ]
    axes.set_yticks(places, labels)
    axes.set_ylim(-0.6, len(places) - 0.4)
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_xlim(min(-5.0, axes.get_xlim()[0]), 105)
    axes.set_xlabel(f"{result.object} pixels gone (%)", fontsize=LABEL_SIZE)
    axes.set_title(
        f"the best dose at {100 * result.allowed_loss:.0f} % of {result.spared} or less", fontsize=LABEL_SIZE + 1
    )
    finish_axes(axes)


def _color(result: DoseResponse, name: str) -> str:
    """Of the registry, of the controls, or any other for a ranking of the caller's own."""
    known = {RANDOM: CONTROL_COLOR, MATCHED: MATCHED_COLOR, **{n: r.color for n, r in RANKINGS.items()}}
    return known.get(name) or OTHER_COLORS[result.rankings.index(name) % len(OTHER_COLORS)]


def _style(name: str) -> str:
    return "--" if name in (RANDOM, MATCHED) else "-"


def _curves(axes: Axes, result: DoseResponse, index: int) -> None:
    for row, name in enumerate(result.rankings):
        values = 100 * result.removed[row, :, index]
        axes.plot(result.doses, values, color=_color(result, name), linestyle=_style(name), linewidth=1.4, label=name)
        low, high = 100 * result.removed_low[row, :, index], 100 * result.removed_high[row, :, index]
        axes.fill_between(result.doses, low, high, color=_color(result, name), alpha=0.15, linewidth=0)
    axes.set_ylim(max(-60.0, float(np.nanmin([-25, *axes.get_ylim()]))), 105)
    axes.set_xlabel("maps zeroed", fontsize=LABEL_SIZE)
    axes.set_ylabel("(%)", fontsize=LABEL_SIZE)


def _caption(result: DoseResponse) -> tuple[str, str]:
    settings = result.settings
    best = "; ".join(
        f"{dose.ranking} {counted(dose.maps, 'map')}, {dose.removed:.0%} of "
        f"{result.object} at {100 * dose.spared_loss.value:.0f} % of {result.spared}"
        for dose in result.best
    )
    shown = (
        f"Model {settings['model']}, {settings['samples']} new samples (seed {settings['seed']}), objects found by a "
        f"segmenter; share of their pixels that is gone, below 0 where there are more than before; bands and bars: 95 % "
        f"bootstrap over samples. Rings: the dose that removes most {result.object} while {result.spared} changes by no more "
        f"than {100 * result.allowed_loss:.0f} %, chosen on one half of the samples and measured on the other."
    )
    details = f"Random and activation-matched (to {settings['matched_to']}): {settings['controls']}. Rings: {best}."
    return shown, details
