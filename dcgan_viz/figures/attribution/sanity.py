"""The figure of a sanity check: similarity to the trained network's attributions, by depth of randomisation."""

from __future__ import annotations

from matplotlib.figure import Figure

from dcgan_viz.analysis.attribution.sanity import MEASURES, Randomisation, SanityCheck
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
)

TITLES = dict(zip(MEASURES, ("Spearman, signed", "Spearman, absolute", "SSIM", "HOG correlation"), strict=True))
COLORS: dict[Randomisation, str] = {"cascading": SUBJECT_COLOR, "independent": REFERENCE_COLOR}


def sanity_figure(result: SanityCheck) -> Figure:
    """Four plots, one a measure: similarity against the layer down to which (or at which) weights were drawn anew.

    Parameters
    ----------
    result : SanityCheck

    Returns
    -------
    Figure
    """
    figure = new_figure(11, 4.1, column=4.2)
    figure.suptitle(
        f"Do guided gradients of discriminator layer {result.explained_layer} depend on what was learned?",
        fontsize=TITLE_SIZE + 1,
    )
    axes = figure.subplots(*((2, 2) if in_column() else (1, len(MEASURES))), sharey=True).ravel()
    order = list(range(result.explained_layer, 0, -1))
    for index, (axis, measure) in enumerate(zip(axes, MEASURES, strict=True)):
        axis.axhline(1, color="black", linewidth=0.6)
        chance = result.unrelated_mean[index]
        axis.axhspan(chance.mean.low, chance.mean.high, color=CONTROL_COLOR, alpha=0.35, linewidth=0)
        axis.axhline(
            chance.mean.value, color=CONTROL_COLOR, linestyle="--", linewidth=1, label="different units and images"
        )
        for baseline, color, name in zip(
            result.baselines,
            (MATCHED_COLOR, "black"),
            ("the next map at the same place", "statistics alone anew"),
            strict=True,
        ):
            mean = baseline.similarities[index].mean
            axis.axhspan(mean.low, mean.high, color=color, alpha=0.25, linewidth=0)
            axis.axhline(mean.value, color=color, linestyle=":", linewidth=1.2, label=name)
        for shift, (kind, color) in zip((-0.06, 0.06), COLORS.items(), strict=True):
            found = [d.similarities[index] for d in result.depths if d.randomisation == kind]
            places = [position + shift for position in range(len(order))]
            axis.plot(places, [s.mean.value for s in found], color=color, linewidth=1)
            plot_estimates(axis, [s.mean for s in found], places, color=color, label=kind, upright=True)
        axis.set_title(TITLES[measure], fontsize=LABEL_SIZE + 1)
        axis.set_xticks(range(len(order)), order, fontsize=LABEL_SIZE)
        axis.set_xlabel("layer drawn anew", fontsize=LABEL_SIZE)
        finish_axes(axis)
    if in_column():
        figure.supylabel("similarity to the trained network's", fontsize=LABEL_SIZE)
    else:
        axes[0].set_ylabel("similarity to the trained network's", fontsize=LABEL_SIZE)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        fontsize=LABEL_SIZE,
        frameon=False,
        loc="outside lower center" if in_column() else "outside right center",
    )
    caption(figure, *_caption(result))
    return figure


def _caption(result: SanityCheck) -> tuple[str, str]:
    settings = result.settings
    shown = (
        f"Model {settings['model']}, rule “{settings['rule']}”, seed {settings['seed']}: guided gradients of "
        f"{settings['units']} units (each map's strongest) inside their receptive fields, compared with those of the "
        "same units on the same images after weights were drawn anew and batch-norm statistics measured again "
        f"(Adebayo et al. 2018). {_sentence(result.warning)}"
    )
    details = (
        "Cascading: all layers from the units' own down to the one named; independent: that one "
        "alone. Mean and 95 % bootstrap interval over units; dashed with its band: different units on different "
        "images; dotted: the next map at the same place of the same image, and the trained network with nothing but its "
        "batch-norm statistics measured anew. "
        "An attribution that stays above the band when a layer is randomised shows the image and the "
        "architecture and not what that layer learned. Guided backpropagation shows which edges could excite a "
        "unit; it cannot show that the network needs them, and it is known to change little with the higher layers "
        "(Nie et al. 2018, Sixt et al. 2020)."
    )
    return shown, details


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}. " if text else ""
