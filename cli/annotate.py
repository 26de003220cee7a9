"""``dcgan-viz annotate``."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import json_option, model_option, overwrite_option, port_option
from dcgan_viz.words import counted

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from dcgan_viz.annotations.boxes import Annotations
    from dcgan_viz.model import DCGAN


USED = {
    "on the page": ("--model", "--out", "--count", "--seed", "--contributor", "--port"),
    "on photographs (--images)": ("--images", "--out", "--count", "--contributor", "--port"),
    "with --export-samples": ("--model", "--export-samples", "--scale", "--count", "--seed"),
    "with --from": ("--model", "--from", "--out", "--contributor", "--overwrite"),
    "with --auto": ("--model", "--auto", "--out", "--count", "--seed", "--overwrite"),
}
"""The options of each way that boxes come by."""


@click.command(cls=Command, short_help="Draw boxes on samples or photographs, or take them from another tool.")
@click.option("--object", "label", required=True, help="What to draw boxes around.")
@model_option
@click.option("--out", type=click.Path(path_type=Path), help="The COCO JSON to write.  [default: OBJECT-boxes.json]")
@click.option(
    "--export-samples",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the samples as PNG files for another tool.",
)
@click.option("--scale", type=click.IntRange(1, 32), default=1, show_default=True, help="Enlarge exported samples.")
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="Take the boxes from a file or folder that another tool wrote on exported samples.",
)
@click.option("--auto", is_flag=True, help="Let the model's segmenter draw the boxes.")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Draw on these photographs instead of a model's samples.",
)
@click.option(
    "--count",
    type=click.IntRange(1, 10_000),
    default=150,
    show_default=True,
    help="Number of samples or photographs in a new file.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=2015, show_default=True, help="Seed of the samples, in a new file."
)
@click.option("--contributor", default="not stated", show_default=True, help="Who draws; written into the file.")
@port_option
@overwrite_option
@json_option
def annotate(
    label: str,
    model: str,
    out: Path | None,
    export_samples: Path | None,
    scale: int,
    source: Path | None,
    auto: bool,
    images: Path | None,
    count: int,
    seed: int,
    contributor: str,
    port: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Draw boxes around an object in the browser, on a model's samples or on your photographs.

    Opens a page on this machine that shows the pictures one by one, large. Every box is saved at once, and the command
    goes on where it stopped. Boxes on samples are what forget takes, those on photographs guided-backprop; the file says
    which pictures they are on, and is refused with others.

    To draw in another tool, write the samples with --export-samples and read its annotations with --from: Pascal VOC,
    YOLO, LabelMe, VIA or COCO, told apart by what they hold.

    \b
    dcgan-viz annotate --object lamp
    dcgan-viz annotate --object window --model runs/mine --out boxes.json
    dcgan-viz annotate --object window --model rooms --auto
    dcgan-viz annotate --object cat --images photographs/ --out cat-boxes.json
    dcgan-viz annotate --object window --model runs/mine --export-samples samples --scale 8
    dcgan-viz annotate --object window --model runs/mine --from samples --out boxes.json
    dcgan-viz forget --object window --model runs/mine --annotations boxes.json
    """
    from dcgan_viz.model import load

    if bool(export_samples) + bool(source) + auto > 1:
        raise click.UsageError("--export-samples, --from and --auto are three ways to get boxes: give one of them")
    path = out or Path(f"{label}-boxes.json")
    way = (
        "on photographs (--images)"
        if images
        else "with --export-samples"
        if export_samples
        else "with --from"
        if source
        else "with --auto"
        if auto
        else "on the page"
    )
    _check_options(way)
    numbers: dict[str, Any] = {"object": label, "path": str(export_samples or path)}
    use = f"boxes in {path}: dcgan-viz forget --object {label} --model {model} --annotations {path}"
    if images:
        _draw_on_photographs(images, label, path, count, contributor, port)
        use = f"boxes in {path}: dcgan-viz guided-backprop --object {label} --images {images} --annotations {path}"
    elif export_samples:
        use = _export(load(model), export_samples, count, seed, scale, f"--object {label} --model {model}")
        numbers |= {"samples": count, "seed": seed, "scale": scale}
    elif source or auto:
        found, sentence = (
            _import(load(model), label, source, path, contributor, overwrite)
            if source
            else _find(load(model), label, path, count, seed, overwrite)
        )
        numbers |= {"boxes": len(found.boxes), "samples": found.count, "seed": found.seed, "method": found.method}
        use = f"{sentence}\n{use}"
    else:
        _draw(load(model), label, path, count, seed, contributor, port)
    echo(json.dumps(numbers) if as_json else use)


def _draw(model: DCGAN, label: str, path: Path, count: int, seed: int, contributor: str, port: int) -> None:
    """By hand, on the page."""
    from dcgan_viz.studio.annotate import annotation_app, open_annotations

    annotations = open_annotations(model, label, path, count=count, seed=seed, contributor=contributor)
    looked_at = len(annotations.reviewed_images())
    _serve(
        lambda: annotation_app(model, label, annotations, path),
        port,
        f"{looked_at} of {counted(annotations.count, 'sample')}",
    )


def _draw_on_photographs(images: Path, label: str, path: Path, count: int, contributor: str, port: int) -> None:
    """By hand, on the page."""
    from dcgan_viz.data.sources import open_images
    from dcgan_viz.progress import show
    from dcgan_viz.studio.annotate import open_photographs, photographs_app

    source = open_images(images)
    boxes = open_photographs(source, label, path, count=count, contributor=contributor, progress=show)
    if len(boxes.photographs) < len(source):
        some = f"{len(boxes.photographs)} of the {len(source)} photographs"
        echo(f"{some} are in {path}: --count says how many in a new one", err=True)
    what = f"{len(boxes.reviewed)} of {counted(len(boxes.photographs), 'photograph')}"
    _serve(lambda: photographs_app(source, label, boxes, path), port, what)


def _check_options(way: str) -> None:
    """Refuse options that say nothing about the way that boxes come by."""
    context = click.get_current_context()
    given = [
        max(parameter.opts, key=len)
        for parameter in context.command.params
        # What every command takes, such as --verbose, has its own callback and is no argument.
        if parameter.expose_value
        and context.get_parameter_source(str(parameter.name)) is click.core.ParameterSource.COMMANDLINE
    ]
    useless = [option for option in given if option not in ("--object", "--json", *USED[way])]
    if useless:
        verb, them = ("mean", "them") if len(useless) > 1 else ("means", "it")
        raise click.UsageError(f"{' and '.join(useless)} {verb} nothing {way}: leave {them} out")


def _serve(app: Callable[[], Starlette], port: int, what: str) -> None:
    from dcgan_viz.studio.serving import serve

    # Ctrl-C is how the page is closed.
    with suppress(KeyboardInterrupt):
        serve(app, port, lambda address: echo(f"{what} looked at; open {address} (Ctrl-C ends)", err=True))


def _find(model: DCGAN, label: str, path: Path, count: int, seed: int, overwrite: bool) -> tuple[Annotations, str]:
    """By the model's segmenter; the boxes, and what came out in a sentence."""
    from dcgan_viz.analysis.forgetting.automatic_boxes import automatic_boxes
    from dcgan_viz.annotations.boxes import save_annotations
    from dcgan_viz.errors import UserError
    from dcgan_viz.judges.segmenter import find_segmenter

    segmenter = find_segmenter(model)
    if segmenter is None:
        raise UserError(f"{model.card.name} has no segmenter beside it: draw by hand, or make one with train-segmenter")
    _refuse_existing(path, overwrite)
    annotations = automatic_boxes(model, segmenter, (label,), count=count, seed=seed)
    save_annotations(annotations, path, overwrite)
    shown = len({box.image for box in annotations.boxes})
    boxes = f"{counted(len(annotations.boxes), 'box')} of {label}"
    return annotations, f"{boxes} on {shown} of {counted(count, 'sample')}, by a segmenter"


def _refuse_existing(path: Path, overwrite: bool) -> None:
    from dcgan_viz.errors import UserError
    from dcgan_viz.words import way_out

    if path.exists() and not overwrite:
        raise UserError(
            f"{path} already exists, perhaps with boxes drawn by hand: {way_out('`out`', 'what it holds now')}"
        )


def _export(model: DCGAN, folder: Path, count: int, seed: int, scale: int, options: str) -> str:
    """For another tool; what to do then, in a sentence."""
    from dcgan_viz.annotations.sample_files import export_samples

    export_samples(model, folder, count=count, seed=seed, scale=scale)
    side = model.image_shape[1] * scale
    return (
        f"{counted(count, 'sample')} of {side}x{side} pixels (seed {seed}) written to {folder}; annotate them there, then: "
        f"dcgan-viz annotate {options} --from {folder}"
    )


def _import(
    model: DCGAN, label: str, source: Path, path: Path, contributor: str, overwrite: bool
) -> tuple[Annotations, str]:
    """From another tool; the boxes, and what came out in a sentence."""
    from dcgan_viz.annotations.boxes import save_annotations
    from dcgan_viz.annotations.sample_files import find_samples, import_boxes

    _refuse_existing(path, overwrite)
    annotations = import_boxes(source, label, find_samples(source), model, contributor=contributor)
    save_annotations(annotations, path, overwrite)
    return annotations, (
        f"{counted(len(annotations.boxes), 'box')} of {label} on {len({box.image for box in annotations.boxes})} of "
        f"{len(annotations.reviewed_images())} samples that were looked at (of {annotations.count}); "
        f"{annotations.method.rpartition(', ')[2]}"
    )
