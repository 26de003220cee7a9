"""``dcgan-viz train-encoder``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dcgan_viz.cli.command import Command, command_line, echo
from dcgan_viz.cli.options import device_option, json_option, overwrite_option, seed_option
from dcgan_viz.cli.planning import announce_training, dry_run_option
from dcgan_viz.untrusted import as_text


@click.command("train-encoder", cls=Command, short_help="Train the network in whose features samples are measured.")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True, help="Passes over the pictures.")
@click.option("--name", default="untitled", show_default=True, help="On the card, and beside every number.")
@click.option("--terms", default="not stated", show_default=True, help="On the card: the terms of the pictures.")
@seed_option
@device_option
@dry_run_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@overwrite_option
@json_option
def train_encoder(
    data: Path,
    epochs: int,
    name: str,
    terms: str,
    seed: int,
    device: str,
    dry_run: bool,
    out: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train a small residual network on labelled pictures, whose features `evaluate` measures samples in.

    DATA is a folder or zip with train/CLASS/ and test/CLASS/. The pictures are brought to 32x32; the accuracy on the
    card is that on test/. About an hour for CIFAR-10 on two CPU cores.

    \b
    dcgan-viz train-encoder cifar10.zip --out runs/encoder
    dcgan-viz evaluate --model runs/mine --data photographs/ --encoder runs/encoder
    """
    from dataclasses import asdict, replace
    from functools import partial

    import numpy as np

    from dcgan_viz.data.images import load_images
    from dcgan_viz.data.labels import read_labels
    from dcgan_viz.errors import UserError
    from dcgan_viz.judges.encoder import CARD_FILE, SIZE, EncoderNetwork
    from dcgan_viz.judges.encoder_training import train_encoder as run
    from dcgan_viz.networks.weights import check_network_folder
    from dcgan_viz.progress import show

    check_network_folder(out, CARD_FILE, overwrite)
    images = load_images(data, SIZE, 3, progress=show)
    parts = [image.split("/", 1) for image in images.names]
    if {part[0] for part in parts} != {"train", "test"}:
        raise UserError(f"{data} holds no train/ and test/ side by side, with a folder for each class in both")
    labels = read_labels(None, [part[-1] for part in parts])
    train = partial(
        run,
        images,
        labels,
        np.array([part[0] == "train" for part in parts]),
        name=name,
        epochs=epochs,
        seed=seed,
        device=device,
        data=f"{len(images)} pictures of {as_text(data.name)}, brought to {SIZE}x{SIZE}",
        terms=terms,
    )
    if dry_run:
        network = EncoderNetwork(3, len(labels.classes))
        what = f"an encoder on {len(images):,} pictures of {len(labels.classes)} classes of {data}"
        announce_training(lambda progress: train(progress=progress), network, what, out, as_json)
        return
    encoder = train(progress=show)
    training = {**encoder.card.training, "command": command_line(epochs=epochs)}
    replace(encoder, card=replace(encoder.card, training=training)).save(out, overwrite)
    accuracy = encoder.card.accuracy
    assert accuracy is not None
    if as_json:
        echo(json.dumps({"folder": str(out), "accuracy": asdict(accuracy)}))
        return
    echo(f"{accuracy.estimate:.1%} of {accuracy.pictures} held-out pictures right")
    echo(f"written to {out}")
