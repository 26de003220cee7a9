"""``dcgan-viz dedup``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import check_out, finish, json_option, out_folder, out_option, seed_option, shard_option
from dcgan_viz.cli.planning import Clock, Planned, announce, dry_run_option, seconds_a_picture

DEFAULT_OUT = "results/dedup"

TRIED_STEPS = 20
"""Of the autoencoder, to know how long one takes."""


@click.command(cls=Command, runs="cut_crops", short_help="Find near-duplicates among images, and list what to keep.")
@click.argument("source", type=click.Path(path_type=Path), metavar="SRC")
@click.option(
    "--radius",
    type=click.IntRange(0, 63),
    default=24,
    show_default=True,
    help="How many of the 128 bits of two codes may differ; 0 for equal codes only.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.94,
    show_default=True,
    help="Minimum correlation of their pixels after one is aligned to the other.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes that decode.  [default: one per core]")
@shard_option
@dry_run_option
@seed_option
@out_option(DEFAULT_OUT)
@json_option
def dedup(
    source: Path,
    radius: int,
    threshold: float,
    workers: int | None,
    part: str | None,
    dry_run: bool,
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
    if dry_run:
        announce(_plan(source, out or Path(DEFAULT_OUT), workers, part), as_json)
        return
    if part is not None:
        folder = out or Path(DEFAULT_OUT)
        cut = cut_crops(source, folder, part=Part.parse(part), workers=workers, progress=show)
        echo(
            json.dumps({"path": str(cut.path), "pictures": cut.pictures})
            if as_json
            else f"{cut.pictures:,} crops written to {cut.path}; once all parts are there: dcgan-viz merge "
            f"{folder / 'crops.npy'}, and the same command without --shard"
        )
        return
    check_out(
        Duplicates, out, overwrite, figures=["duplicates"], files=["duplicates.html", "keep.jsonl", "groups.jsonl"]
    )
    folder = out_folder(out, DEFAULT_OUT)
    result = find_duplicates(
        source, folder, radius=radius, threshold=threshold, seed=seed, workers=workers, progress=show
    )
    figures, pages = {"duplicates": duplicates_figure(result)}, {"duplicates": duplicates_page(result)}
    result.save(folder, figures, pages, overwrite=overwrite)
    finish(result, folder, sentences(result), as_json)


def _plan(source: Path, out: Path, workers: int | None, shard: str | None) -> Planned:
    import numpy as np

    from dcgan_viz.data.duplicates.autoencoder import BATCH, SIDE, STEPS, train_autoencoder
    from dcgan_viz.data.parts import Part
    from dcgan_viz.data.sources.opening import open_images

    found = open_images(source)
    pictures = len(found) if shard is None else len(Part.parse(shard).rows(len(found)))
    processes = workers or os.cpu_count() or 1
    clock = Clock()
    noise = np.random.default_rng(0).integers(0, 256, (BATCH, SIDE, SIDE, 3), dtype=np.uint8)
    train_autoencoder(noise, steps=TRIED_STEPS, progress=clock)
    learning = 0.0 if shard is not None else STEPS * clock.seconds_an_item()
    return Planned(
        does=f"cut a crop of 32x32 out of each of {pictures:,} pictures of {source}"
        + ("" if shard is not None else f", train an autoencoder for {STEPS:,} steps, and compare those of like codes"),
        seconds=pictures * seconds_a_picture(found, SIDE, 3) / processes + learning,
        measured=f"decoding some of them, on {processes} processes, and {TRIED_STEPS} steps; comparing comes on top and "
        "grows with the number of duplicates",
        size=pictures * SIDE * SIDE * 3,
        place=out,
    )
