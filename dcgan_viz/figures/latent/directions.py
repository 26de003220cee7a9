"""The figure of directions without labels: rows of samples that move along them, and how much changes."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dcgan_viz.analysis.latent.directions import Direction, Directions, Movement
from dcgan_viz.figures.style import (
    BAND_COLOR,
    CONTROL_COLOR,
    LABEL_SIZE,
    REFERENCE_COLOR,
    TITLE_SIZE,
    caption,
    finish_axes,
    in_column,
    label_row,
    new_figure,
    plot_estimates,
    show_picture,
)
from dcgan_viz.words import counted


def directions_figure(result: Directions) -> Figure:
    """One row a direction: the same few samples moved along it, and the change beside that of random directions.

    Parameters
    ----------
    result : Directions

    Returns
    -------
    Figure
    """
    rows, samples, positions = result.pictures.shape[:3]
    samples = 1 if in_column() else samples
    columns = samples * positions
    figure = new_figure(1.2 + 0.72 * columns + 3.4, 1.9 + 0.75 * rows, column=0.6 + 0.34 * rows)
    figure.suptitle("Directions of the latent space, found without labels", fontsize=TITLE_SIZE + 1)
    # A narrow empty column stands between two samples.
    widths = ([1.0] * positions + [0.12]) * samples + [2.0, 0.1, 2.0]
    grid = figure.add_gridspec(rows, len(widths), width_ratios=widths)
    tops = [
        1.1 * max(c.distance.high for c in (*(d.changes[k] for d in result.found), result.random_changes[k]))
        for k in range(2)
    ]
    for row in range(rows):
        direction = result.found[row] if row < len(result.found) else None
        for sample in range(samples):
            for position in range(positions):
                axis = figure.add_subplot(grid[row, sample * (positions + 1) + position])
                show_picture(axis, result.pictures[row, sample, position])
                if row == 0:
                    axis.set_title(_amount(result, position), fontsize=LABEL_SIZE, pad=3)
                if sample == position == 0:
                    label_row(axis, _label(direction))
        for k in range(2):
            axis = figure.add_subplot(grid[row, len(widths) - 3 + 2 * k])
            change = result.random_changes[k] if direction is None else direction.changes[k]
            _plot_change(axis, change, result.random_changes[k], tops[k], last=row == rows - 1, alone=direction is None)
            if row == 0:
                axis.set_title(("grey levels", "features")[k], fontsize=LABEL_SIZE, pad=3)
    caption(figure, *_caption(result))
    return figure


def _amount(result: Directions, position: int) -> str:
    share = result.amounts[position] / result.settings["length"] * result.settings["reach"]
    return "sample" if share == 0 else f"{share:+g} σ".replace("-", "−")


def _label(direction: Direction | None) -> str:
    if direction is None:
        return "random\n1"
    return f"{direction.method}\n{direction.number}: {100 * direction.explained:.1f} %"


def _plot_change(axis: Axes, change: Movement, random: Movement, top: float, *, last: bool, alone: bool) -> None:
    axis.axvspan(random.distance.low, random.distance.high, color=BAND_COLOR, linewidth=0)
    axis.axvline(random.distance.value, color=CONTROL_COLOR, linewidth=0.8)
    if not alone:
        plot_estimates(axis, [change.distance], [0], color=REFERENCE_COLOR)
        end, text = change.distance.high + (0.08 if in_column() else 0.03) * top, f"{change.distance.value:.3g}"
        axis.text(end, 0, text, fontsize=LABEL_SIZE - 1, va="center", ha="left")
    axis.set_xlim(0, 1.25 * top)
    axis.set_ylim(-1, 1)
    axis.set_yticks([])
    axis.tick_params(labelbottom=last)
    finish_axes(axis, left=False)


def _caption(result: Directions) -> tuple[str, str]:
    settings = result.settings
    principal = [d for d in result.found if d.method == "principal"]
    again = ", ".join(f"{d.found_again:.2f}" for d in principal)
    agreement = ", ".join(f"{d.agreement:.2f}" for d in principal)
    grey, features = result.random_changes
    kept = [d.kept for d in result.found]
    moved = result.pictures.shape[1]
    shown = (
        f"Model {settings['model']}, seed {settings['seed']}. Each row moves the same {counted(moved, 'sample')} along one "
        f"direction, by up to {settings['reach']:g} standard deviations of z. Right: how far the picture at the ends is from "
        f"the sample (95 % bootstrap over {settings['measured_samples']} samples); features: 1 = unrelated samples; band: "
        f"{settings['random_directions']} random directions of the same length."
    )
    details = (
        f"Principal: components of the first layer's activations (after "
        f"the ReLU) of {settings['activations']} latents, carried back to z by least squares (Härkönen et al. 2020), with "
        "their share of the variance; factorised: eigenvectors of AᵀA, A the first layer's weight with the gain of its "
        "batch normalisation (Shen & Zhou 2021), with their share of the eigenvalues. A row reaches a length of "
        f"{settings['length']:.2f} to either side; {settings['kept_in_prior']}, which leaves {100 * min(kept):.0f} to "
        f"{100 * max(kept):.0f} % of the way ({100 * settings['random_kept']:.0f} % on random directions). Grey levels: root "
        f"mean square; features: {settings['features']}; band: the middle 95 % (line: mean, {grey.distance.value:.1f} and "
        f"{features.distance.value:.2f}). Absolute cosine of the principal directions found on either half of the "
        f"latents: {again}; with the most alike factorised one: {agreement}."
    )
    return shown, details
