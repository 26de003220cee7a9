"""The figure of forgetting: with and without, the control, and the numbers beneath."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dcgan_viz.analysis.forgetting.effects import DIMMED, PAPER
from dcgan_viz.analysis.forgetting.forgetting import Forgetting
from dcgan_viz.figures.style import (
    BAND_COLOR,
    CHANGE_MAP,
    CONTROL_COLOR,
    LABEL_SIZE,
    MATCHED_COLOR,
    REFERENCE_COLOR,
    REST_COLOR,
    SUBJECT_COLOR,
    TITLE_SIZE,
    caption,
    finish_axes,
    in_column,
    label_row,
    new_figure,
    outline_row,
    plot_estimates,
    reach,
    show_row,
    side_by_side,
    with_minus,
)
from dcgan_viz.words import counted

COLUMN_PICTURES = 4
"""As many as one column of a paper has room for."""

LARGEST_CHANGE = 128
"""Grey levels that are drawn brightest, as all that is above."""


def forgetting_figure(result: Forgetting) -> Figure:
    """Before and after side by side, with the difference, the control and the numbers.

    Parameters
    ----------
    result : Forgetting

    Returns
    -------
    Figure
        Annotated samples with and without the maps, and without random ones, with what changed, over two plots: the
        scores of the maps, and what happened to every object where a segmenter measured it, or else the change inside
        the boxes and outside.
    """
    count = min(len(result.boxed), COLUMN_PICTURES) if in_column() else len(result.boxed)
    known, total = len(result.maps), result.layer.channels
    how = "zeroed" if result.ablation.strength == 1 else "scaled"
    rows = {
        "as drawn": result.boxed[:count],
        f"{known} {result.names}\nmaps {how}": result.boxed_after[:count],
        f"{known} random\nmaps {how}": result.boxed_control[:count],
    }
    # A picture is about an inch wide; the labels of the rows take another 1.35.
    pictures, plots = (2 * len(rows) - 1) * 0.68, 3.4 if result.effects else 3.0
    figure = new_figure(1.35 + 1.02 * max(count, 8), 8.6, column=0.5 + pictures + plots)
    heights = [pictures, plots] if in_column() else [1.04 * (2 * len(rows) - 1), 2.4]
    top, bottom = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
    done = result.ablation.done.removesuffix(" everywhere")
    figure.suptitle(
        f"Forgetting “{result.names}”: {known} of {total} maps of generator layer {result.layer.number} {done}",
        fontsize=TITLE_SIZE + 1,
    )
    _show_rows(top.subplots(2 * len(rows) - 1, 2, width_ratios=[0.001, 1]), rows, result)
    if result.effects:
        weights, effects = side_by_side(bottom, [1, 1.7], heights=[1, 1.3])
        _plot_effects(effects, result)
    else:
        weights, change = side_by_side(bottom, [1.1, 1], heights=[1, 1])
        _plot_change(change, result)
    _plot_scores(weights, result)
    caption(figure, *_caption(result))
    return figure


def _show_rows(axes: NDArray[np.object_], rows: Mapping[str, NDArray[np.uint8]], result: Forgetting) -> None:
    """Pictures with the boxes outlined and, beneath all but the first row, how far each pixel has changed."""
    shown = []
    for label, pictures in rows.items():
        shown.append((label, pictures))
        if label != "as drawn":
            change = _change(result.boxed[: len(pictures)], pictures) / LARGEST_CHANGE
            coloured = colormaps[CHANGE_MAP](change, bytes=True)[..., :3]
            words = f"change,\n0 to {LARGEST_CHANGE}" if in_column() else f"change, 0 to {LARGEST_CHANGE}\ngrey levels"
            shown.append((words, coloured))
    for (beside, axis), (label, pictures) in zip(axes, shown, strict=True):
        # The layout does not know that pictures keep their shape, and leaves no room for what stands beside them.
        beside.set_axis_off()
        label_row(beside, label)
        show_row(axis, pictures)
        axis.set_anchor("W")
        outline_row(axis, result.boxed_inside[: len(pictures)])
    first = axes[0, 1]
    top = first.get_ylim()[1]
    for place, change in enumerate(result.boxed_changes[: len(shown[0][1])]):
        first.annotate(
            f"inside {change:.0f}" if in_column() else f"inside {change:.0f} / 255",
            (place, top),
            (0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=LABEL_SIZE,
        )


def _change(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean absolute change of a pixel's channels (N, H, W), in grey levels."""
    return np.abs(after.astype(np.float32) - before.astype(np.float32)).mean(-1)


def _plot_scores(axes: Axes, result: Forgetting) -> None:
    first, scores = result.objects[0], result.scores[0]
    order = np.argsort(-scores, kind="stable")
    chosen = np.isin(order, first.maps)
    edges = np.arange(len(order) + 1) + 0.5
    for shown, color, label in ((chosen, SUBJECT_COLOR, "chosen"), (~chosen, CONTROL_COLOR, "not chosen")):
        axes.stairs(np.where(shown, scores[order], 0), edges, fill=True, color=color, label=label)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xlabel(f"maps of layer {result.layer.number}, ranked for {first.object}", fontsize=LABEL_SIZE)
    axes.set_ylabel(result.score_axis, fontsize=LABEL_SIZE)
    axes.set_title(
        f"AUC {first.auc:.2f}; brightness and\nposition {first.baselines.brightness_auc.value:.2f}, "
        f"shuffled boxes {first.baselines.shuffled_auc:.2f}",
        fontsize=LABEL_SIZE + 1,
    )
    finish_axes(axes)
    axes.legend(fontsize=LABEL_SIZE, frameon=False)


def _effect_colors(result: Forgetting) -> list[str]:
    known = {PAPER: REFERENCE_COLOR, DIMMED: REST_COLOR}
    usual = iter((SUBJECT_COLOR, CONTROL_COLOR, MATCHED_COLOR))
    return [known[effect.choice] if effect.choice in known else next(usual) for effect in result.effects]


def _plot_effects(axes: Axes, result: Forgetting) -> None:
    """Share of every object's pixels that is gone, for the maps and the controls."""
    effects = result.effects
    names = [effect.object for effect in effects[0].objects]
    forgotten = {found.object for found in result.objects}
    names.sort(key=lambda name: (name not in forgotten, -effects[0].on(name).area_before))
    width = 0.8 / len(effects)
    for k, (effect, color) in enumerate(zip(effects, _effect_colors(result), strict=True)):
        removed = [effect.on(name).removed for name in names]
        places = np.arange(len(names)) + (k - (len(effects) - 1) / 2) * width
        axes.bar(
            places,
            [100 * e.value for e in removed],
            width,
            yerr=reach(removed, 100),
            capsize=2,
            color=color,
            label=f"{effect.choice} ({effect.maps})" if effect.choice == PAPER else effect.choice,
        )
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xticks(range(len(names)), names)
    for tick, name in zip(axes.get_xticklabels(), names, strict=True):
        tick.set_fontweight("bold" if name in forgotten else "normal")
    axes.set_ylim(max(min(axes.get_ylim()[0], -10), -100), 190 if in_column() else 140)
    if in_column():
        axes.set_yticks([tick for tick in range(-100, 101, 50) if tick >= axes.get_ylim()[0]])
    for k, effect in enumerate(effects):
        for place, name in enumerate(names):
            value = 100 * effect.on(name).removed.value
            if value < -100:  # A bar that leaves the plot says how far.
                x = place + (k - (len(effects) - 1) / 2) * width
                axes.text(
                    x,
                    -94,
                    with_minus(f"{value:.0f}"),
                    rotation=90,
                    ha="center",
                    va="bottom",
                    fontsize=LABEL_SIZE - 1,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
                    zorder=5,
                )
    axes.set_ylabel("pixels that are gone (%)", fontsize=LABEL_SIZE)
    axes.set_title(
        f"on {result.settings['measured_samples']} new samples; SSIM of the rest "
        f"{effects[0].similarity_outside.value:.2f}, random {effects[1].similarity_outside.value:.2f}",
        fontsize=LABEL_SIZE + 1,
    )
    finish_axes(axes)
    axes.legend(fontsize=LABEL_SIZE - 2, frameon=False, loc="upper right", ncols=2 if in_column() else 3)


def _plot_change(axes: Axes, result: Forgetting) -> None:
    """The ratio of the change inside to that outside, over where as many random maps have theirs."""
    colors = {"other maps": CONTROL_COLOR, "all maps": BAND_COLOR}
    top = max(2.0, 1.25 * result.change.ratio.high, 1.05 * float(np.nanmax(result.control_ratios)))
    bins = np.linspace(0, top, 40).tolist()
    for control, ratios in zip(result.controls, result.control_ratios, strict=True):
        label = f"random, of {control.source}"
        axes.hist(ratios, bins, histtype="stepfilled", color=colors[control.source], alpha=0.7, label=label)
    height = axes.get_ylim()[1]
    axes.set_ylim(0, 2.1 * height)
    plot_estimates(axes, [result.change.ratio], [1.1 * height], color=SUBJECT_COLOR, label="chosen maps")
    if result.controls:
        own, images = result.controls[0].chosen, result.controls[0].images
        label = f"the same on the {images} samples of the draws"
        axes.plot([own], [1.1 * height], "o", color=SUBJECT_COLOR, fillstyle="none", markersize=7, label=label)
    crossed = [found.cross_fitted for found in result.objects if found.cross_fitted is not None]
    if crossed:
        places = [(1.25 + 0.1 * k) * height for k in range(len(crossed))]
        plot_estimates(axes, crossed, places, color=REFERENCE_COLOR, label="chosen on other samples")
    axes.axvline(1, ymax=0.65 if in_column() else 0.8, color="black", linewidth=0.6, linestyle="--")  # below the legend
    axes.set_xlim(0, top)
    axes.set_yticks([])
    axes.set_xlabel("change inside the boxes / outside", fontsize=LABEL_SIZE)
    axes.set_title("on annotated samples", fontsize=LABEL_SIZE + 1)
    finish_axes(axes, left=False)
    axes.legend(fontsize=LABEL_SIZE - 2, frameon=False, loc="upper right", ncols=2)


def _caption(result: Forgetting) -> tuple[str, str]:
    settings, change, first = result.settings, result.change, result.objects[0]
    count = min(len(result.boxed), COLUMN_PICTURES) if in_column() else len(result.boxed)
    right = "Below" if in_column() else "Right"
    negatives = {
        "random": "random positions outside them",
        "matched": "positions outside them, matched for luminance and height within each sample",
    }[settings["negatives"]]
    if settings["ranking"] == "regression" and settings["top"] is None:
        chosen = "maps of positive weight are chosen"
    elif settings["top"] is None:
        chosen = f"as many maps as have a positive weight are chosen, those that rank highest by {settings['ranking']}"
    else:
        chosen = f"the {settings['top']} maps that rank highest by {settings['ranking']} are chosen"
    kept = f"; {len(result.kept_maps)} were spared to keep {', '.join(settings['kept'])}" if settings["kept"] else ""
    fitted = "; ".join(
        f"{counted(o.positives, 'position')} inside {counted(o.boxes, f'{o.object} box')} in "
        f"{counted(o.annotated_images, 'sample')}"
        for o in result.objects
    )
    controls = "; ".join(
        f"{control.ratio:.2f} over {control.ratio.n} draws of {control.source}, the chosen maps, {control.chosen:.2f} on the "
        f"same {control.images} samples, above {control.percentile:.0f} % of them"
        for control in result.controls
    )
    measured = ""
    if result.effects:
        measured = (
            f" {right}: share of each object's pixels that a segmenter no longer finds (negative: more than before, cut at "
            "−100), "
            "the controls with other maps for every sample; dimmed alike: the pictures as drawn, region and rest moved by the "
            f"mean change that the maps cause there, beyond which they remove {result.effects[-1].margin:.0%}; SSIM of "
            f"luminance "
            f"outside the object's region. Measured by {settings['measured_by']}."
        )
    shown = (
        f"Model {settings['model']}. Above, {count} of the annotated samples that the maps were chosen on, from "
        f"the "
        f"most to the least changed inside the boxes (yellow): {chosen}{kept}. Mean absolute change inside the boxes "
        f"{change.inside:.1f}, outside "
        f"{change.outside:.1f} grey levels, ratio {change.ratio:.2f}. Intervals: 95 %."
    )
    details = (
        f"{_author(settings['boxes_by'])} An L2 logistic regression (C = "
        f"{settings['regularization']:g}, features "
        f"scaled to unit standard deviation) separates {fitted} from {negatives}; chosen maps are {result.ablation.done} after "
        f"the rectifier. AUC on unseen images: gain over brightness and position "
        f"{with_minus(f'{first.baselines.gain:+.2f}')}. Ratio of as many random maps: "
        f"{controls}. Brightness inside moved by {with_minus(f'{change.brightness_inside.value:+.1f}')}, outside by "
        f"{with_minus(f'{change.brightness_outside.value:+.1f}')}. Interval of the ratio: {change.ratio.how}.{measured}"
    )
    return shown, details


def _author(name: str) -> str:
    return "It is not stated who drew the boxes." if name == "not stated" else f"Boxes drawn by {name}."
