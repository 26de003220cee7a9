"""The figure of forgetting: with and without, the control, and the numbers beneath."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dcgan_viz.analysis.forgetting.ablation import Change
from dcgan_viz.analysis.forgetting.forgetting import Forgetting
from dcgan_viz.figures.style import LABEL_SIZE, TITLE_SIZE, caption, new_figure, show_picture

COLUMNS = 12
SCORE_NAMES = {
    "regression": "weight in the logistic regression",
    "iou": "IoU with the boxes at the best threshold",
    "difference": "activation inside minus outside\n(standard deviations)",
    "causal": "change inside minus outside\nwhen zeroed alone (grey levels)",
    "learned": "scaled down by a learned ablation",
}

OBJECT_COLOR, CONTROL_COLOR, MATCHED_COLOR, REST_COLOR = "#c0392b", "#7f8c8d", "#c9b458", "#2c5d8f"


def forgetting_figure(result: Forgetting) -> Figure:
    """Before and after side by side, with the difference, the control and the numbers.

    Parameters
    ----------
    result : Forgetting

    Returns
    -------
    Figure
        Four rows of up to 12 samples over two plots, the scores of the maps and the change inside the objects' boxes
        and outside, and a third where a segmenter measured what happened to every object.
    """
    count = min(COLUMNS, len(result.before))
    # A picture is 0.85 inches wide; the labels of the rows take another 1.35.
    figure = new_figure(1.35 + 0.85 * max(count, 8), 7.2)
    top, bottom = figure.subfigures(2, 1, height_ratios=[3.5, 2.4], squeeze=False)[:, 0]
    known, total = len(result.maps), result.layer.channels
    done = result.settings["ablation"].removesuffix(", after the rectifier").removesuffix(" everywhere")
    figure.suptitle(
        f"Forgetting “{result.names}”: {known} of {total} maps of generator layer {result.layer.number} {done}",
        fontsize=TITLE_SIZE + 1,
    )
    rows = {
        "as drawn": result.before[:count],
        f"{known} {result.names}\nmaps zeroed": result.after[:count],
        "difference": _difference(result.before[:count], result.after[:count]),
        f"{known} random\nmaps zeroed": result.control[:count],
    }
    axes = top.subplots(len(rows), count, squeeze=False)
    for row, (label, pictures) in zip(axes, rows.items(), strict=True):
        label = label if result.settings["ablation"].startswith("zeroed") else label.replace("zeroed", "scaled")
        for axis, picture in zip(row, pictures, strict=True):
            show_picture(axis, picture)
        row[0].text(-0.08, 0.5, label, transform=row[0].transAxes, ha="right", va="center", fontsize=LABEL_SIZE)
    if result.effects:
        weights, change, effects = bottom.subplots(1, 3, width_ratios=[1.1, 0.8, 1.5])
        _plot_effects(effects, result)
    else:
        weights, change = bottom.subplots(1, 2, width_ratios=[1.25, 1])
    _plot_scores(weights, result)
    _plot_change(change, result)
    caption(figure, _caption(result))
    return figure


def _difference(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    signed = after.astype(np.int16) - before.astype(np.int16)
    return (127.5 + signed).clip(0, 255).astype(np.uint8)


def _plot_scores(axes: Axes, result: Forgetting) -> None:
    first, scores = result.objects[0], result.scores[0]
    order = np.argsort(-scores, kind="stable")
    chosen = np.isin(order, first.maps)
    ranks = np.arange(1, len(order) + 1)
    for shown, color, label in ((chosen, OBJECT_COLOR, "chosen"), (~chosen, CONTROL_COLOR, "not chosen")):
        axes.bar(ranks[shown], scores[order][shown], width=1, color=color, label=label)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xlabel(f"maps of layer {result.layer.number}, ranked for {first.object}", fontsize=LABEL_SIZE)
    axes.set_ylabel(score_name(result.settings["ranking"], bool(result.effects)), fontsize=LABEL_SIZE)
    low, high = first.auc_interval.low, first.auc_interval.high
    plain = first.baselines
    axes.set_title(
        f"AUC on unseen images {first.auc:.2f} [{low:.2f}, {high:.2f}]\nbrightness and position alone "
        f"{plain.brightness_auc:.2f}, shuffled boxes {plain.shuffled_auc:.2f}",
        fontsize=LABEL_SIZE + 1,
    )
    _finish(axes)
    axes.legend(fontsize=LABEL_SIZE, frameon=False)


def score_name(ranking: str, segmented: bool) -> str:
    """What the scores of a ranking are, for an axis."""
    return (
        "object lost less collateral\nwhen zeroed alone" if ranking == "causal" and segmented else SCORE_NAMES[ranking]
    )


def _plot_effects(axes: Axes, result: Forgetting) -> None:
    """Share of every object's pixels that is gone, for the maps and the controls."""
    effects = result.effects
    names = [effect.object for effect in effects[0].objects]
    forgotten = {found.object for found in result.objects}
    names.sort(key=lambda name: (name not in forgotten, -effects[0].on(name).area_before))
    width = 0.8 / len(effects)
    for k, (effect, color) in enumerate(zip(effects, (OBJECT_COLOR, CONTROL_COLOR, MATCHED_COLOR), strict=False)):
        values = 100 * np.array([effect.on(name).removed for name in names])
        intervals = [effect.on(name).removed_interval for name in names]
        reach = np.abs(100 * np.array([[i.low for i in intervals], [i.high for i in intervals]]) - values)
        places = np.arange(len(names)) + (k - (len(effects) - 1) / 2) * width
        axes.bar(places, values, width, yerr=reach, capsize=2, color=color, label=effect.choice)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xticks(range(len(names)), names)
    for tick, name in zip(axes.get_xticklabels(), names, strict=True):
        tick.set_fontweight("bold" if name in forgotten else "normal")
    axes.set_ylim(max(min(axes.get_ylim()[0], -10), -100), 140)
    for k, effect in enumerate(effects):
        for place, name in enumerate(names):
            value = 100 * effect.on(name).removed
            if value < -100:  # A bar that leaves the plot says how far.
                x = place + (k - (len(effects) - 1) / 2) * width
                axes.text(x, -96, f"{value:.0f}", rotation=90, ha="center", va="bottom", fontsize=LABEL_SIZE - 2)
    axes.set_ylabel("pixels that are gone (%)", fontsize=LABEL_SIZE)
    axes.set_title(
        f"on {result.settings['measured_samples']} new samples; SSIM of the rest "
        f"{effects[0].similarity_outside:.2f}, random {effects[1].similarity_outside:.2f}",
        fontsize=LABEL_SIZE + 1,
    )
    _finish(axes)
    axes.legend(fontsize=LABEL_SIZE - 1, frameon=False, loc="upper right", ncols=3)


def _plot_change(axes: Axes, result: Forgetting) -> None:
    changes: tuple[Change, Change] = (result.change, result.control_change)
    for offset, (name, color) in zip((-0.17, 0.17), (("inside", OBJECT_COLOR), ("outside", REST_COLOR)), strict=True):
        values = np.array([getattr(c, name) for c in changes])
        intervals = [getattr(c, f"{name}_interval") for c in changes]
        reach = np.abs(np.array([[i.low for i in intervals], [i.high for i in intervals]]) - values)
        places = np.arange(2) + offset
        axes.bar(places, values, 0.3, yerr=reach, capsize=3, color=color, label=f"{name} the boxes")
    labels = [f"{result.names} maps", "random maps"]
    axes.set_xticks([0, 1], [f"{n}\nratio {c.ratio:.2f}" for n, c in zip(labels, changes, strict=True)])
    axes.set_ylabel("mean change of a pixel\n(grey levels of 255)", fontsize=LABEL_SIZE)
    axes.set_title("change on annotated samples", fontsize=LABEL_SIZE + 1)
    axes.set_ylim(0, 1.35 * max(i.high for c in changes for i in (c.inside_interval, c.outside_interval)))
    _finish(axes)
    axes.legend(fontsize=LABEL_SIZE, frameon=False, ncols=2, loc="upper left")


def _finish(axes: Axes) -> None:
    axes.tick_params(labelsize=LABEL_SIZE)
    axes.spines[["top", "right"]].set_visible(False)


def _caption(result: Forgetting) -> str:
    settings = result.settings
    kept = (
        f" {len(result.kept_maps)} maps were spared to keep {', '.join(settings['kept'])}." if settings["kept"] else ""
    )
    fitted = "; ".join(
        f"{o.positives} positions inside {o.boxes} {o.object} boxes in {o.annotated_images} samples"
        for o in result.objects
    )
    measured = ""
    if result.effects:
        measured = (
            " Right: share of each object's pixels that a segmenter no longer finds (negative: more than before, cut at −100), "
            "the controls with other maps for every sample; SSIM of luminance outside the object's region."
        )
    return (
        f"Model {settings['model']}. {_author(settings['boxes_by'])} The regression ({settings['regression']}) "
        f"separates {fitted} from {settings['negatives']}; maps chosen: {settings['chosen_by']}, "
        f"{settings['ablation']}.{kept} New samples, seed {settings['seed']}; the difference is grey where nothing changed. "
        f"Bars: mean absolute change with 95 % bootstrap intervals over samples; a ratio of 1 means that the boxes changed "
        f"no more than the rest. Brightness inside the boxes moved by {_signed(result.change.brightness_inside)}, outside by "
        f"{_signed(result.change.brightness_outside)} grey levels.{measured}"
    )


def _author(name: str) -> str:
    return "It is not stated who drew the boxes." if name == "not stated" else f"Boxes drawn by {name}."


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")
