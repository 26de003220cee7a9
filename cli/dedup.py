"""``dcgan-viz dedup``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import check_out, finish, json_option, out_folder, out_option, seed_option, shard_option

DEFAULT_OUT = "results/dedup"


@click.command(cls=Command, short_help="Find near-duplicates among images, and list what to keep.")
@click.argument("source", type=click.Path(path_type=Path), metavar="SRC")
@click.option(
    "--radius",
    type=click.IntRange(0, 63),
    default=24,
    show_default=True,
    help="Bits of 128 in which the codes of duplicates may differ; 0 for equal codes alone.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.94,
    show_default=True,
    help="Least correlation of their pixels once one is fitted to the other.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes that decode.  [default: one a core]")
@shard_option
@seed_option
@out_option(DEFAULT_OUT)
@json_option
def dedup(
    source: Path,
    radius: int,
    threshold: float,
    workers: int | None,
    shard: str | None,
    seed: int,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Find the images of SRC that are the same but for compression, size, a small crop or brightness.

    As in the paper, a denoising autoencoder gives every image a code of 128 bits, and images of equal codes are candidates;
    so are those whose codes differ in a few bits (needs the extra dedup). A pair is a duplicate if its pixels correlate
    once one image is fitted to the other. The folder gets duplicates.html, which shows groups; groups.jsonl, which names
    them; keep.jsonl, which prepare and train take; and crops.npy, with which the same command with --out goes on where it
    was killed.

    \b
    dcgan-viz dedup bedroom_train_lmdb --out results/dedup
    dcgan-viz dedup bedroom_train_lmdb --out results/dedup --shard 2/8
    dcgan-viz dedup photographs/ --radius 0
    dcgan-viz train photographs/ --keep-list results/dedup/keep.jsonl --out runs/mine
    """
    from dcgan_viz.data.duplicates.duplicates import Duplicates, cut_crops, find_duplicates, sentences
    from dcgan_viz.data.parts import Part
    from dcgan_viz.figures.duplicates import duplicates_figure
    from dcgan_viz.folders import check_apart
    from dcgan_viz.progress import show
    from dcgan_viz.report.duplicates import duplicates_page

    check_apart(source, out)
    if shard is not None:
        folder = out or Path(DEFAULT_OUT)
        part = cut_crops(source, folder, part=Part.parse(shard), workers=workers, progress=show)
        echo(
            json.dumps({"path": str(part.path), "pictures": part.pictures})
            if as_json
            else f"{part.pictures:,} crops written to {part.path}; once all parts are there: dcgan-viz merge "
            f"{folder / 'crops.npy'}, and the same command without --shard"
        )
        return
    check_out(Duplicates, out, overwrite)
    folder = out_folder(out, DEFAULT_OUT)
    result = find_duplicates(
        source, folder, radius=radius, threshold=threshold, seed=seed, workers=workers, progress=show
    )
    figures, pages = {"duplicates": duplicates_figure(result)}, {"duplicates": duplicates_page(result)}
    result.save(folder, figures, pages, overwrite=overwrite)
    finish(result, folder, sentences(result), as_json)
