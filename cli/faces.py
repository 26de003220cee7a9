"""``dcgan-viz faces``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import json_option, overwrite_option
from dcgan_viz.cli.planning import Planned, announce, dry_run_option, rehearse


@click.command(cls=Command, short_help="Cut faces out of photographs, upright and square.")
@click.argument("source", type=click.Path(path_type=Path), metavar="SRC")
@click.argument("out", type=click.Path(path_type=Path), metavar="OUT")
@click.option("--size", type=click.IntRange(8, 1024), default=128, show_default=True, help="Side of the crops.")
@click.option(
    "--least",
    type=click.IntRange(8, 2048),
    default=64,
    show_default=True,
    help="Smallest side of a face, in pixels of its picture.",
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 2),
    default=0.3,
    show_default=True,
    help="Margin on each side, as a multiple of the face's side.",
)
@click.option(
    "--yunet", type=click.Path(path_type=Path), metavar="FILE", help="YuNet's ONNX file, instead of OpenCV's cascades."
)
@click.option(
    "--without-eyes", is_flag=True, help="Also take faces whose eyes were not found; these are not turned upright."
)
@dry_run_option
@overwrite_option
@json_option
def faces(
    source: Path,
    out: Path,
    size: int,
    least: int,
    margin: float,
    yunet: Path | None,
    without_eyes: bool,
    dry_run: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Cut every face in SRC out, turned upright by its eyes, in a square with a margin.

    OUT gets faces/ with a PNG each, annotations.json with their boxes in the pictures as COCO, and skipped.jsonl with what
    was left out and why: no face, too small, too near to the edge, eyes not found. OpenCV finds the faces (the extra
    faces): with its cascades, or with YuNet where its weights are given.

    \b
    dcgan-viz faces photographs/ people
    dcgan-viz faces photographs/ people --least 96 --yunet face_detection_yunet_2023mar.onnx
    dcgan-viz train people/faces --preset faces64 --out runs/people
    """
    from dataclasses import asdict
    from functools import partial
    from tempfile import TemporaryDirectory

    from dcgan_viz.data.faces.faces import cut_faces, sentences
    from dcgan_viz.folders import check_apart
    from dcgan_viz.progress import show

    check_apart(source, out)
    cut = partial(cut_faces, source, size=size, least=least, margin=margin, yunet=yunet, eyes=not without_eyes)
    if dry_run:
        with TemporaryDirectory() as place:
            images, seconds = rehearse(
                lambda progress: cut(out=Path(place) / "faces", progress=progress), "looking for"
            )
        announce(
            Planned(
                does=f"look for faces in {images:,} images of {source}",
                seconds=images * seconds,
                measured="looking into some of them; the room is that of one face in each",
                size=3 * images * size**2,
                place=out,
            ),
            as_json,
        )
        return
    result = cut(out=out, overwrite=overwrite, progress=show)
    if as_json:
        echo(json.dumps({**asdict(result), "folder": str(result.folder)}))
        return
    echo(f"{sentences(result)}\nwritten to {out}; train on {out / 'faces'}")
