"""``dcgan-viz train-segmenter``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dcgan_viz.cli.command import Command, command_line, echo
from dcgan_viz.cli.options import device_option, json_option, overwrite_option, seed_option
from dcgan_viz.cli.planning import announce_training, dry_run_option
from dcgan_viz.untrusted import as_text


@click.command("train-segmenter", cls=Command, short_help="Train a network that finds objects in pictures.")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--held-out", type=click.IntRange(1), default=1000, show_default=True, help="Held-out pictures to measure it on."
)
@click.option("--steps", type=click.IntRange(10), default=2000, show_default=True, help="Batches of 64.")
@seed_option
@device_option
@dry_run_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@overwrite_option
@json_option
def train_segmenter(
    data: Path,
    held_out: int,
    steps: int,
    seed: int,
    device: str,
    dry_run: bool,
    out: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train a network that names every pixel, on pictures with masks.

    DATA is a folder as dcgan-viz rooms writes it: images/, masks/ with the same names whose grey levels are labels, and
    annotations.json whose COCO categories name them. Put the result beside a model as its folder "segmenter", or
    give it to forget with --segmenter: what forgetting does is then measured, not only looked at.

    Held-out pictures tell how well it finds each object, and patches pasted into them (white, black, coloured, noise,
    blurred, pieces of other pictures) whether it mistakes them for objects: more than 5 % of their area
    is a warning.

    \b
    dcgan-viz rooms 13000 --seed 1 --out rooms
    dcgan-viz train-segmenter rooms --out runs/rooms/model/segmenter
    """
    from dataclasses import replace
    from functools import partial

    from dcgan_viz.annotations.masks import load_masks
    from dcgan_viz.judges.segmenter import CARD_FILE, SegmentationNetwork
    from dcgan_viz.judges.segmenter_training import train_segmenter as run
    from dcgan_viz.networks.weights import check_network_folder
    from dcgan_viz.progress import say, show

    check_network_folder(out, CARD_FILE, overwrite)
    pixels, masks, objects = load_masks(data)
    train = partial(
        run,
        pixels,
        masks,
        objects,
        held_out=held_out,
        steps=steps,
        seed=seed,
        device=device,
        data=f"{len(pixels)} pictures with masks from {as_text(data.name)}",
    )
    if dry_run:
        network = SegmentationNetwork(pixels.shape[-1], len(objects) + 1)
        what = f"a segmenter of {', '.join(objects)} on {len(pixels):,} pictures of {data}"
        announce_training(lambda progress: train(progress=progress), network, what, out, as_json)
        return
    segmenter = train(progress=show, say=lambda sentence: say(f"warning: {sentence}"))
    command = command_line(held_out=held_out, steps=steps)
    card = replace(segmenter.card, training={**segmenter.card.training, "command": command})
    replace(segmenter, card=card).save(out, overwrite)
    if as_json:
        echo(json.dumps({"folder": str(out), "held_out_iou": card.held_out_iou, "patches": card.patches}))
        return
    listing = ", ".join(f"{name} {iou:.2f}" for name, iou in card.held_out_iou.items())
    echo(f"intersection over union on {held_out} held-out pictures: {listing}")
    for name in objects:
        shares = ", ".join(f"{kind} {100 * found[name]:.0f} %" for kind, found in card.patches.items() if name in found)
        echo(f"patches that show nothing, taken for {name}: {shares}")
    echo(f"written to {out}")
