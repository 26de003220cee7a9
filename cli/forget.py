"""``dcgan-viz forget``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcgan_viz.analysis.forgetting.ranking_registry import RANKINGS
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
from dcgan_viz.cli.planning import TRIED_PICTURES, Planned, announce, dry_run_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.figure import Figure

    from dcgan_viz.analysis.forgetting.ablation import Where
    from dcgan_viz.analysis.forgetting.dose_response import DoseResponse
    from dcgan_viz.analysis.forgetting.forgetting import Forgetting
    from dcgan_viz.analysis.forgetting.insertion import Insertion
    from dcgan_viz.analysis.forgetting.map_pictures import MapPictures
    from dcgan_viz.analysis.forgetting.probe import Negatives
    from dcgan_viz.judges.segmenter import Segmenter
    from dcgan_viz.model import DCGAN
    from dcgan_viz.results import Result


DEFAULT_OUT = "results/forget"

MEASURED_SAMPLES = 1000
"""On which a segmenter measures, in `forget`, `dose_response` and `insert` alike."""


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
@click.option(
    "--judge",
    type=click.Path(path_type=Path),
    help="Another segmenter's folder, to measure what the first has chosen.  [default: the model's own second one]",
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
    type=click.Choice(list(RANKINGS)),
    default="regression",
    show_default=True,
    help="How maps are chosen; regression is the paper's way.",
)
@click.option(
    "--negatives",
    type=click.Choice(["random", "matched"]),
    default="random",
    show_default=True,
    help="What the object is distinguished from: random places, or places of similar luminance and height.",
)
@click.option("--strength", type=float, default=1.0, show_default=True, help="1 zeroes the maps, 0.5 halves them.")
@click.option(
    "--where",
    type=click.Choice(["everywhere", "object"]),
    default="everywhere",
    show_default=True,
    help="Where maps are zeroed: everywhere, or only where the segmenter sees the object.",
)
@click.option("--samples", type=click.IntRange(1, 10_000), default=40, show_default=True, help="New samples to draw.")
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
    help="Seed of all random numbers, the new samples among them.",
)
@click.option(
    "--save-as",
    type=click.Path(path_type=Path),
    help="Also save the model that has forgotten, as a folder for --model.",
)
@dry_run_option
@device_option
@out_option(DEFAULT_OUT)
@json_option
def forget(
    labels: tuple[str, ...],
    keep: tuple[str, ...],
    model: str,
    annotations: Path | None,
    segmenter: Path | None,
    judge: Path | None,
    layer: str | None,
    top: int | None,
    ranking: str,
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
    dry_run: bool,
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
    from dcgan_viz.analysis.forgetting.ablation import edited
    from dcgan_viz.annotations.boxes import load_annotations
    from dcgan_viz.blind.trials import save_trial
    from dcgan_viz.figures.forgetting.forgetting import forgetting_figure
    from dcgan_viz.figures.forgetting.replacements import replacements_figure
    from dcgan_viz.judges.segmenter import find_judge, find_segmenter, load_segmenter
    from dcgan_viz.model import load

    if save_as is not None and where != "everywhere":
        raise click.UsageError("--save-as saves weights, which draw without the maps everywhere: leave out --where")
    _check_places(out, blind, save_as, overwrite, dose_response, insertion, show_maps)
    loaded = load(model, device)
    reader = find_segmenter(loaded) if segmenter is None else load_segmenter(segmenter, device)
    measuring = find_judge(loaded) if judge is None else load_segmenter(judge, device)
    if reader is None and (dose_response or insertion):
        raise click.UsageError("--dose-response and --insertion need a segmenter: give one with --segmenter")
    if dry_run:
        asked = {"dose-response": dose_response, "insertion": insertion, "blind": blind is not None}
        plan = _plan(loaded, layer, labels, samples, (measuring or reader) is not None, asked, out or Path(DEFAULT_OUT))
        announce(plan, as_json)
        return
    result = forgetting.forget(
        loaded,
        labels,
        annotations=None if annotations is None else load_annotations(annotations),
        keep=keep,
        layer=layer,
        top=top,
        samples=samples,
        ranking=ranking,
        negatives=negatives,
        strength=strength,
        where=where,
        segmenter=reader,
        judge=measuring,
        seed=seed,
    )
    figures = {"forget": forgetting_figure(result)}
    if result.effects:
        figures["replaced"] = replacements_figure(result)
    folder = result.save(out_folder(out, DEFAULT_OUT), figures, overwrite=overwrite)
    sentences = [result.sentences()]
    parts: dict[str, Result] = {}
    for name, part, figure in _further(result, measuring, dose_response, insertion, show_maps, keep):
        part.save(folder / name, {name: figure}, overwrite=overwrite)
        parts[name] = part
        sentences.append(part.sentences())
    if blind is not None:
        trial = forgetting.blind_trial(result)
        save_trial(trial, blind, overwrite)
        sentences.append(f"{len(trial.pictures)} shuffled pictures to judge: dcgan-viz blind {blind}")
    if save_as is not None:
        edited(loaded, result.ablation).save(save_as, overwrite)
        sentences.append(f"the model that has forgotten is in {save_as}")
    finish(result, folder, "\n".join(sentences), as_json, parts)


def _plan(
    model: DCGAN,
    layer: str | None,
    labels: tuple[str, ...],
    samples: int,
    measured: bool,
    asked: Mapping[str, bool],
    out: Path,
) -> Planned:
    """How many pictures are drawn, and how long that takes."""
    from dcgan_viz.analysis.forgetting import ablation, change

    chosen = ablation.choose_layer(model, layer)
    nothing = ablation.Ablation(chosen, ())
    latents = model.latents(TRIED_PICTURES, 0)
    start = time.perf_counter()
    ablation.draw_with(model, [nothing], latents)
    a_picture = (time.perf_counter() - start) / TRIED_PICTURES
    drawn = {
        f"{samples} samples as drawn, without the maps and without random ones": 4 * samples,
        "200 draws of as many random maps, of the others and of all": 2 * change.DRAWS * change.CONTROL_IMAGES,
    }
    if measured:
        drawn["what became of every object on new samples"] = 5 * MEASURED_SAMPLES
    if asked["dose-response"]:
        drawn["12 doses of every ranking"] = 12 * (len(RANKINGS) + 2) * MEASURED_SAMPLES
    if asked["insertion"]:
        drawn["maps raised at a place"] = 5 * MEASURED_SAMPLES
    channels, height, width = model.image_shape
    pixels = channels * height * width
    blind = ", and write a blind trial" if asked["blind"] else ""
    return Planned(
        does=f"fit a regression on the boxes of {' and '.join(labels)} at layer {chosen.number}, draw {sum(drawn.values()):,} "
        f"pictures ({'; '.join(drawn)}){blind}",
        seconds=sum(drawn.values()) * a_picture,
        measured=f"drawing {TRIED_PICTURES} of them; regressions and rankings come on top",
        size=4 * samples * pixels + (3 * samples * pixels if asked["blind"] else 0) + 1_000_000,
        place=out,
    )


def _further(
    result: Forgetting,
    judge: Segmenter | None,
    dose_response: bool,
    insertion: bool,
    show_maps: bool,
    keep: tuple[str, ...],
) -> Iterator[tuple[str, DoseResponse | Insertion | MapPictures, Figure]]:
    """What else was asked for: its name, the result and its figure."""
    from dcgan_viz.analysis.forgetting import dose_response as dose
    from dcgan_viz.analysis.forgetting import insertion as raised
    from dcgan_viz.analysis.forgetting import map_pictures as pictures
    from dcgan_viz.figures.forgetting.dose_response import dose_response_figure
    from dcgan_viz.figures.forgetting.insertion import insertion_figure
    from dcgan_viz.figures.forgetting.map_pictures import map_pictures_figure
    from dcgan_viz.progress import show

    evidence, found, seed = result.evidence[0], result.objects[0], result.settings["seed"]
    if dose_response:
        curves = dose.dose_response(evidence, spared=keep[0] if keep else None, judge=judge, seed=seed, progress=show)
        yield "dose-response", curves, dose_response_figure(curves)
    if insertion:
        inserted = raised.insert(evidence, found.maps, judge=judge, seed=seed)
        yield "insertion", inserted, insertion_figure(inserted)
    if show_maps:
        ranking = result.settings["ranking"]
        shown = pictures.picture_maps(evidence.model, result.layer, result.scores[0], found.object, ranking, seed=seed)
        yield "maps", shown, map_pictures_figure(shown)


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
    check_out(Forgetting, out, overwrite, *((name, kind) for asked, name, kind in parts if asked), figures=["forget"])
    if blind is not None:
        check_trial_folder(blind, overwrite)
    if save_as is not None:
        DCGAN.check_folder(save_as, overwrite)
