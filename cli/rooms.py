"""``dcgan-viz rooms``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import json_option, overwrite_option, seed_option
from dcgan_viz.words import counted


@click.command(cls=Command, short_help="Draw procedural bedrooms with masks.")
@click.argument("count", type=click.IntRange(1), metavar="N")
@click.option("--size", type=int, default=64, show_default=True, help="Side in pixels, 32 to 256.")
@seed_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@overwrite_option
@json_option
def rooms(count: int, size: int, seed: int, out: Path, overwrite: bool, as_json: bool) -> None:
    """Draw N procedural bedrooms with the exact place of every object.

    Writes images/, masks/ (0 the room, then window, bed, lamp, painting, door, rug, panel) and annotations.json with
    COCO boxes. A panel is something that hangs where a window could be: a mirror, a screen, a board. Room k is the same
    for the same seed, whatever N is.

    \b
    dcgan-viz rooms 1000 --out rooms
    dcgan-viz rooms 20 --size 256 --seed 7 --out large-rooms
    dcgan-viz train rooms/images --out runs/rooms
    """
    from dcgan_viz.rooms.drawing import ANNOTATIONS_FILE, save_rooms

    folder = save_rooms(count, out, size, seed=seed, overwrite=overwrite)
    boxes = json.loads((folder / ANNOTATIONS_FILE).read_text())["annotations"]
    if as_json:
        echo(json.dumps({"folder": str(folder), "rooms": count, "size": size, "seed": seed, "boxes": len(boxes)}))
    else:
        drawn = f"{counted(count, 'room')} of {size}x{size} pixels with {counted(len(boxes), 'box')}"
        echo(f"{drawn} (seed {seed}) written to {folder}")
