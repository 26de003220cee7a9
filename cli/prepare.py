"""``dcgan-viz prepare``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from dcgan_viz.cli.command import Command, echo, in_options
from dcgan_viz.cli.options import json_option, keep_list_option, overwrite_option, shard_option
from dcgan_viz.cli.planning import Planned, announce, dry_run_option, seconds_a_picture
from dcgan_viz.words import counted

SHOWN_REASONS = 10
"""Of why pictures were left out, the most frequent first; the JSON beside the array has them all."""


@click.command(cls=Command, goes_on=True, short_help="Write images of any source into one array that stays on disk.")
@click.argument("source", type=click.Path(path_type=Path), metavar="SRC")
@click.argument("out", type=click.Path(path_type=Path), metavar="OUT.npy")
@click.option("--size", type=click.IntRange(1, 4096), default=64, show_default=True, help="Side of the pictures.")
@click.option("--channels", type=click.Choice(["1", "3"]), default="3", show_default=True, help="1 (grey) or 3 (RGB).")
@click.option("--bits", type=click.IntRange(8, 32), help="Bits in use in 16- and 32-bit grey images, such as 12.")
@keep_list_option
@shard_option
@click.option("--workers", type=click.IntRange(1), help="Processes that decode.  [default: one per core]")
@click.option("--strict", is_flag=True, help="Stop at the first image that does not decode, instead of leaving it out.")
@dry_run_option
@overwrite_option
@json_option
def prepare(
    source: Path,
    out: Path,
    size: int,
    channels: str,
    bits: int | None,
    keep_list: Path | None,
    part: str | None,
    workers: int | None,
    strict: bool,
    dry_run: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write every image of SRC, centre-cropped and resized, into one array.

    SRC is a folder, zip or tar of images, LSUN's LMDB, or anything else that train takes; OUT.npy is what train then
    maps into memory, however large it is. The same command continues a run that was killed. OUT.json says what
    is broken and why, OUT.names.jsonl has the names.

    \b
    dcgan-viz prepare bedroom_train_lmdb bedrooms.npy --size 64 --dry-run
    dcgan-viz prepare bedroom_train_lmdb bedrooms.npy --size 64
    dcgan-viz prepare x-rays/ x-rays.npy --channels 1 --bits 12 --strict
    dcgan-viz prepare bedroom_train_lmdb bedrooms.npy --shard 2/8
    dcgan-viz prepare bedroom_train_lmdb kept.npy --keep-list results/dedup/keep.jsonl
    dcgan-viz train bedrooms.npy --out runs/bedrooms
    """
    from dataclasses import asdict

    from dcgan_viz.data.parts import Part
    from dcgan_viz.data.prepare import prepare as run
    from dcgan_viz.data.reasons import by_reason
    from dcgan_viz.progress import show

    if dry_run:
        announce(_plan(source, out, size, int(channels), keep_list, part, workers), as_json)
        return
    result = run(
        source,
        out,
        size,
        int(channels),
        bits=bits,
        part=None if part is None else Part.parse(part),
        keep_list=keep_list,
        workers=workers,
        strict=strict,
        overwrite=overwrite,
        progress=show,
    )
    if as_json:
        reasons = by_reason((picture.name, picture.reason) for picture in result.broken)
        broken, shares = (
            [{**asdict(one), "reason": in_options(one.reason)} for one in some] for some in (result.broken, reasons)
        )
        echo(json.dumps({**asdict(result), "path": str(result.path), "broken": broken, "reasons": shares}))
        return
    echo(f"{counted(result.pictures, 'picture')} of {size}x{size} written to {result.path}")
    if result.left_out:
        echo(f"not read: {', '.join(result.left_out)}")
    if result.enlarged:
        echo(f"{result.enlarged:,} smaller than that and enlarged")
    for what, pictures in (
        ("left out", result.broken),
        ("with unreadable metadata, not turned", result.unturned),
    ):
        if pictures:
            reasons = by_reason((picture.name, picture.reason) for picture in pictures)
            echo(in_options("\n  ".join([f"{len(pictures):,} {what}:", *map(str, reasons[:SHOWN_REASONS])])))
    if result.broken or result.unturned:
        echo(f"all of them are listed in {result.path.with_suffix('.json')}")


def _plan(
    source: Path, out: Path, size: int, channels: int, keep_list: Path | None, shard: str | None, workers: int | None
) -> Planned:
    from dcgan_viz.data.parts import Part
    from dcgan_viz.data.sources.opening import open_images

    found = open_images(source, keep_list)
    part = None if shard is None else Part.parse(shard)
    pictures = len(found if part is None else part.rows(len(found)))
    processes = workers or os.cpu_count() or 1
    names = sum(len(name) + 3 for name in found.names) * pictures // len(found)
    return Planned(
        does=f"write {pictures:,} pictures of {size}x{size} with {channels} channels, of {source}",
        seconds=pictures * seconds_a_picture(found, size, channels) / processes,
        measured=f"decoding some of them, on {processes} processes",
        size=pictures * size * size * channels + names,
        place=out.parent,
    )
