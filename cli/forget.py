"""``dcgan-viz forget``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcgan_viz.cli.command import Command
from dcgan_viz.cli.options import device_option, finish, json_option, model_option, out_option

if TYPE_CHECKING:
    from dcgan_viz.analysis.probe import Negatives
    from dcgan_viz.analysis.rankings import Ranking


@click.command(cls=Command, short_help="Zero the maps that draw an object.")
@click.option("--object", "label", default="window", show_default=True, help="What to forget: a label of the boxes.")
@model_option
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    help="COCO JSON with boxes on this model's samples.  [default: the model's own]",
)
@click.option("--layer", help="Generator layer by number or name.  [default: the second highest convolution]")
@click.option(
    "--top",
    type=click.IntRange(1),
    help="Zero the K maps that rank highest.  [default: all with a weight > 0, or as many]",
)
@click.option(
    "--rank-by",
    "ranking",
    type=click.Choice(["regression", "iou", "difference", "causal"]),
    default="regression",
    show_default=True,
    help="How maps are chosen; regression is the paper's way.",
)
@click.option(
    "--negatives",
    type=click.Choice(["random", "matched"]),
    default="random",
    show_default=True,
    help="What the object is told from: random places, or ones of like luminance and height.",
)
@click.option("--strength", type=float, default=1.0, show_default=True, help="1 zeroes the maps, 0.5 halves them.")
@click.option("--samples", type=click.IntRange(1, 10_000), default=100, show_default=True, help="New samples to draw.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of the new samples and all that is drawn.",
)
@click.option(
    "--save-as",
    type=click.Path(path_type=Path),
    help="Also save the model that has forgotten, as a folder for --model.",
)
@device_option
@out_option("results/forget")
@json_option
def forget(
    label: str,
    model: str,
    annotations: Path | None,
    layer: str | None,
    top: int | None,
    ranking: Ranking,
    negatives: Negatives,
    strength: float,
    samples: int,
    seed: int,
    save_as: Path | None,
    device: str,
    out: Path,
    as_json: bool,
) -> None:
    """Zero the generator maps that draw an object, and draw without them.

    Fits a logistic regression on hand-drawn boxes (Radford et al. 2015, section 6.3.1), zeroes the maps of
    positive weight, and writes new samples with and without them, beside as many random maps as a control.

    \b
    dcgan-viz forget --object window
    dcgan-viz forget --object window --top 20 --seed 7 --save-as models/windowless
    dcgan-viz forget --object window --negatives matched --rank-by causal --out results/causal
    dcgan-viz forget --model runs/mine --annotations boxes.json --object lamp
    """
    from dcgan_viz.analysis import forgetting
    from dcgan_viz.analysis.ablation import without_maps
    from dcgan_viz.data.annotations import find_annotations, load_annotations
    from dcgan_viz.figures.forgetting import forgetting_figure
    from dcgan_viz.model import load

    loaded = load(model, device)
    boxes = load_annotations(annotations or find_annotations(loaded, label))
    result = forgetting.forget(
        loaded,
        boxes,
        label,
        layer=layer,
        top=top,
        samples=samples,
        ranking=ranking,
        negatives=negatives,
        strength=strength,
        seed=seed,
    )
    folder = result.save(out, {"forget": forgetting_figure(result)})
    change, control = result.change, result.control_change
    sentence = (
        f"{len(result.maps)} of {result.layer.channels} maps of layer {result.layer.number} zeroed to forget {label}: "
        f"AUC {result.auc:.3f} [{result.auc_interval.low:.3f}, {result.auc_interval.high:.3f}] on unseen images\n"
        f"change inside the boxes / outside: {change.inside:.1f} / {change.outside:.1f} grey levels "
        f"(ratio {change.ratio:.2f}); {len(result.control_maps)} random maps: {control.inside:.1f} / "
        f"{control.outside:.1f} (ratio {control.ratio:.2f})"
    )
    if save_as is not None:
        without_maps(loaded, result.layer, result.maps, strength).save(save_as)
        sentence += f"\nthe model that has forgotten is in {save_as}"
    finish(result, folder, sentence, as_json)
