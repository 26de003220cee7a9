"""``dcgan-viz forget``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcgan_viz.cli.command import Command
from dcgan_viz.cli.options import (
    check_out,
    device_option,
    finish,
    json_option,
    model_option,
    out_folder,
    out_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from dcgan_viz.analysis.forgetting.forgetting import Forgetting, Forgotten, Where
    from dcgan_viz.analysis.forgetting.probe import Negatives
    from dcgan_viz.analysis.forgetting.rankings import Ranking
    from dcgan_viz.annotations.boxes import Annotations
    from dcgan_viz.judges.segmenter import Segmenter
    from dcgan_viz.model import DCGAN
    from dcgan_viz.results import Result

    Add = Callable[[str, Result, Figure, str], None]
    """Saves a further part of the result under a name, with its figure and the sentence that tells it."""


DEFAULT_OUT = "results/forget"


@click.command(cls=Command, short_help="Zero the maps that draw an object.")
@click.option(
    "--object",
    "labels",
    multiple=True,
    default=("window",),
    show_default=True,
    help="What to forget: a label of the boxes; can be repeated.",
)
@click.option("--keep", multiple=True, help="Spare maps that matter more to this object; can be repeated.")
@model_option
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    help="COCO JSON with boxes on this model's samples.  [default: the model's own, or its segmenter's]",
)
@click.option(
    "--segmenter",
    type=click.Path(path_type=Path),
    help="A folder of train-segmenter, to measure what was done.  [default: the model's own]",
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
    type=click.Choice(["regression", "iou", "difference", "causal", "learned"]),
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
@click.option(
    "--where",
    type=click.Choice(["everywhere", "object"]),
    default="everywhere",
    show_default=True,
    help="Where maps are zeroed: everywhere, or only where the segmenter sees the object.",
)
@click.option("--samples", type=click.IntRange(1, 10_000), default=100, show_default=True, help="New samples to draw.")
@click.option("--dose-response", is_flag=True, help="Also zero 0 to all maps, ranked in every way and at random.")
@click.option("--insertion", is_flag=True, help="Also raise the maps at a place: do they draw the object there?")
@click.option("--maps", "show_maps", is_flag=True, help="Also show what the highest-ranked maps draw.")
@click.option(
    "--blind",
    type=click.Path(path_type=Path),
    help="Also make a blind trial of the samples in this folder, to judge with dcgan-viz blind.",
)
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
@out_option(DEFAULT_OUT)
@json_option
def forget(
    labels: tuple[str, ...],
    keep: tuple[str, ...],
    model: str,
    annotations: Path | None,
    segmenter: Path | None,
    layer: str | None,
    top: int | None,
    ranking: Ranking,
    negatives: Negatives,
    strength: float,
    where: Where,
    samples: int,
    dose_response: bool,
    insertion: bool,
    show_maps: bool,
    blind: Path | None,
    seed: int,
    save_as: Path | None,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Zero the generator maps that draw an object, and draw without them.

    Fits a logistic regression on boxes (Radford et al. 2015, section 6.3.1), zeroes the maps of positive weight, and
    writes new samples with and without them, beside as many random maps as a control. Where a segmenter can read the
    model's pictures, what happened to every object is measured.

    \b
    dcgan-viz forget --object window
    dcgan-viz forget --object window --top 20 --seed 7 --save-as models/windowless
    dcgan-viz forget --model rooms --object window --keep bed --rank-by causal --dose-response --insertion
    dcgan-viz forget --object window --samples 40 --seed 1 --blind trials/window
    dcgan-viz forget --model runs/mine --annotations boxes.json --object lamp
    """
    from dcgan_viz.analysis.forgetting import forgetting
    from dcgan_viz.analysis.forgetting.ablation import without_maps
    from dcgan_viz.figures.forgetting.forgetting import forgetting_figure
    from dcgan_viz.judges.segmenter import find_segmenter, load_segmenter
    from dcgan_viz.model import load

    if save_as is not None and where != "everywhere":
        raise click.UsageError("--save-as saves weights, which draw without the maps everywhere: leave out --where")
    _check_places(out, blind, save_as, overwrite, dose_response, insertion, show_maps)
    loaded = load(model, device)
    reader = find_segmenter(loaded) if segmenter is None else load_segmenter(segmenter, device)
    if reader is None and (dose_response or insertion):
        raise click.UsageError("--dose-response and --insertion need a segmenter: give one with --segmenter")
    boxes = _boxes(loaded, annotations, (*labels, *keep), reader)
    result = forgetting.forget(
        loaded,
        boxes,
        labels,
        keep=keep,
        layer=layer,
        top=top,
        samples=samples,
        ranking=ranking,
        negatives=negatives,
        strength=strength,
        where=where,
        segmenter=reader,
        seed=seed,
    )
    folder = result.save(out_folder(out, DEFAULT_OUT), {"forget": forgetting_figure(result)}, overwrite=overwrite)
    sentences = [_sentence(result)]
    parts: dict[str, Result] = {}

    def add(name: str, part: Result, figure: Figure, sentence: str) -> None:
        part.save(folder / name, {name: figure}, overwrite=overwrite)
        parts[name] = part
        sentences.append(sentence)

    if dose_response:
        assert reader is not None
        _add_dose_response(loaded, boxes, result, reader, keep, negatives, seed, add)
    if insertion:
        assert reader is not None
        _add_insertion(loaded, boxes, result, reader, seed, add)
    if show_maps:
        _add_maps(loaded, result, seed, add)
    if blind is not None:
        sentences.append(_save_blind(result, blind, seed, overwrite))
    if save_as is not None:
        without_maps(loaded, result.layer, result.maps, strength).save(save_as, overwrite)
        sentences.append(f"the model that has forgotten is in {save_as}")
    finish(result, folder, "\n".join(sentences), as_json, parts)


def _check_places(
    out: Path | None,
    blind: Path | None,
    save_as: Path | None,
    overwrite: bool,
    dose_response: bool,
    insertion: bool,
    show_maps: bool,
) -> None:
    """Refuse places where something is in the way, before anything is computed."""
    from dcgan_viz.analysis.forgetting.dose_response import DoseResponse
    from dcgan_viz.analysis.forgetting.forgetting import Forgetting
    from dcgan_viz.analysis.forgetting.insertion import Insertion
    from dcgan_viz.analysis.forgetting.map_pictures import MapPictures
    from dcgan_viz.blind.trials import check_trial_folder
    from dcgan_viz.model import DCGAN

    parts: tuple[tuple[bool, str, type[Result]], ...] = (
        (dose_response, "dose-response", DoseResponse),
        (insertion, "insertion", Insertion),
        (show_maps, "maps", MapPictures),
    )
    check_out(Forgetting, out, overwrite, *((name, kind) for asked, name, kind in parts if asked))
    if blind is not None:
        check_trial_folder(blind, overwrite)
    if save_as is not None:
        DCGAN.check_folder(save_as, overwrite)


def _boxes(loaded: DCGAN, annotations: Path | None, labels: tuple[str, ...], reader: Segmenter | None) -> Annotations:
    """The boxes that were given, those that lie beside the model, or the segmenter's."""
    from dcgan_viz.analysis.forgetting.automatic_boxes import automatic_boxes
    from dcgan_viz.annotations.boxes import find_annotations, load_annotations, merge_annotations

    if annotations is not None:
        return load_annotations(annotations)
    folder = loaded.folder / "annotations" if loaded.folder else None
    if reader is not None and (folder is None or not folder.is_dir()):
        return automatic_boxes(loaded, reader, labels)
    return merge_annotations([load_annotations(find_annotations(loaded, label)) for label in labels])


def _sentence(result: Forgetting) -> str:
    change, control = result.change, result.control_change
    lines = [
        f"{len(result.maps)} of {result.layer.channels} maps of layer {result.layer.number} zeroed to forget {result.names}",
        *(_found(found) for found in result.objects),
        f"change inside the boxes / outside: {change.inside:.1f} / {change.outside:.1f} grey levels "
        f"(ratio {change.ratio:.2f}); {len(result.control_maps)} random maps: {control.inside:.1f} / "
        f"{control.outside:.1f} (ratio {control.ratio:.2f})",
    ]
    if result.effects:
        lines.append("pixels that are gone, by the segmenter (negative: more than before):")
    for effect in result.effects:
        gone = ", ".join(f"{o.object} {100 * o.removed:.0f} %" for o in effect.objects)
        lines.append(f"  {effect.choice}: {gone}; rest of the picture: SSIM {effect.similarity_outside:.2f}")
    return "\n".join(lines)


def _found(found: Forgotten) -> str:
    """How well the boxes of an object are told from the rest, beside what brightness and shuffled boxes give."""
    low, high = found.auc_interval.low, found.auc_interval.high
    plain, gain = found.baselines, found.baselines.gain_interval
    sentence = (
        f"{found.object} AUC {found.auc:.3f} [{low:.3f}, {high:.3f}] on unseen images; brightness and position alone "
        f"{plain.brightness_auc:.3f}, so the maps add {plain.gain:.3f} [{gain.low:.3f}, {gain.high:.3f}]; boxes moved to "
        f"other samples {plain.shuffled_auc:.3f}"
    )
    return f"{sentence}\nwarning: {found.warning}" if found.warning else sentence


def _add_dose_response(
    loaded: DCGAN,
    boxes: Annotations,
    result: Forgetting,
    reader: Segmenter,
    keep: tuple[str, ...],
    negatives: Negatives,
    seed: int,
    add: Add,
) -> None:
    from dcgan_viz.analysis.forgetting.dose_response import dose_response
    from dcgan_viz.analysis.forgetting.forgetting import gather_evidence
    from dcgan_viz.analysis.forgetting.rankings import RANKINGS, score_maps
    from dcgan_viz.figures.forgetting.dose_response import dose_response_figure
    from dcgan_viz.progress import show

    label = result.objects[0].object
    evidence = gather_evidence(loaded, result.layer, boxes, label, negatives, segmenter=reader, seed=seed)
    scores = {str(ranking): score_maps(ranking, evidence) for ranking in RANKINGS}
    part = dose_response(
        loaded,
        result.layer,
        scores,
        reader,
        label,
        spared=keep[0] if keep else None,
        seed=seed,
        progress=show,
    )
    best = "\n".join(
        f"  {dose.ranking}: {dose.maps} maps, {100 * dose.removed:.0f} % [{100 * dose.removed_interval.low:.0f}, "
        f"{100 * dose.removed_interval.high:.0f}] of {label} gone, {100 * dose.spared_loss:.0f} % of {part.spared}; "
        f"{100 * dose.margin_over_random:.0f} points [{100 * dose.margin_interval.low:.0f}, "
        f"{100 * dose.margin_interval.high:.0f}] over random maps"
        for dose in part.best
    )
    heading = f"most {label} gone while {part.spared} changes by no more than {100 * part.allowed_loss:.0f} %:"
    add("dose-response", part, dose_response_figure(part), f"{heading}\n{best}")


def _add_insertion(
    loaded: DCGAN, boxes: Annotations, result: Forgetting, reader: Segmenter, seed: int, add: Add
) -> None:
    from dcgan_viz.analysis.forgetting.forgetting import gather_evidence
    from dcgan_viz.analysis.forgetting.insertion import insert, levels_inside
    from dcgan_viz.figures.forgetting.insertion import insertion_figure

    label = result.objects[0].object
    evidence = gather_evidence(loaded, result.layer, boxes, label, seed=seed)
    levels = levels_inside(evidence.maps, evidence.inside)
    part = insert(loaded, result.layer, result.objects[0].maps, levels, reader, label, seed=seed)
    sentence = (
        f"raised at a place, the maps draw {label} on {100 * part.inserted:.1f} % of it, zeroed {100 * part.ablated:.1f} %: "
        f"causal effect {100 * part.effect:.1f} points [{100 * part.effect_interval.low:.1f}, "
        f"{100 * part.effect_interval.high:.1f}], random maps {100 * part.control_effect:.1f} "
        f"[{100 * part.control_effect_interval.low:.1f}, {100 * part.control_effect_interval.high:.1f}]"
    )
    add("insertion", part, insertion_figure(part), sentence)


def _add_maps(loaded: DCGAN, result: Forgetting, seed: int, add: Add) -> None:
    from dcgan_viz.analysis.forgetting.map_pictures import picture_maps
    from dcgan_viz.figures.forgetting.map_pictures import map_pictures_figure

    label, ranking = result.objects[0].object, result.settings["ranking"]
    part = picture_maps(loaded, result.layer, result.scores[0], label, ranking, seed=seed)
    add("maps", part, map_pictures_figure(part), f"the highest-ranked map for {label} is {part.maps[0]}")


def _save_blind(result: Forgetting, folder: Path, seed: int, overwrite: bool) -> str:
    from dcgan_viz.blind.report import prepare_trial, save_trial

    trial = prepare_trial(
        {
            "as drawn": result.before,
            f"{result.names} maps zeroed": result.after,
            "random maps zeroed": result.control,
        },
        question=f"Draw a box around every {result.names}",
        answer_kind="boxes",
        settings=result.numbers()["settings"],
        seed=seed,
    )
    save_trial(trial, folder, overwrite)
    return f"{len(trial.pictures)} shuffled pictures to judge: dcgan-viz blind {folder}"
