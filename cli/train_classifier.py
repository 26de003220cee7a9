"""``dcgan-viz train-classifier``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dcgan_viz.cli.command import Command, command_line, echo
from dcgan_viz.cli.options import device_option, json_option, overwrite_option, seed_option
from dcgan_viz.cli.planning import announce_training, dry_run_option
from dcgan_viz.untrusted import as_text


@click.command("train-classifier", cls=Command, short_help="Train a network that names an attribute of pictures.")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--labels",
    metavar="FILE|utkface",
    help="A CSV file with columns file, label and optionally subset, or utkface.  [default: a folder for each class]",
)
@click.option("--size", type=click.IntRange(16, 256), default=64, show_default=True, help="Side of the pictures.")
@click.option("--channels", type=click.Choice(["1", "3"]), default="3", show_default=True, help="1 (grey) or 3 (RGB).")
@click.option(
    "--held-out",
    type=click.FloatRange(0.01, 0.9),
    default=0.2,
    show_default=True,
    help="Share of the pictures held out to measure it on.",
)
@click.option("--epochs", type=click.IntRange(1), default=32, show_default=True, help="Passes over the pictures.")
@click.option("--terms", default="not stated", show_default=True, help="On the card: the terms of the pictures.")
@seed_option
@device_option
@dry_run_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@overwrite_option
@json_option
def train_classifier(
    data: Path,
    labels: str | None,
    size: int,
    channels: str,
    held_out: float,
    epochs: int,
    terms: str,
    seed: int,
    device: str,
    dry_run: bool,
    out: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train a small classifier of pictures, and report its accuracy.

    DATA is a folder or zip of pictures, in a folder for each class or with --labels. The word utkface reads man or
    woman, and the age group, from that set's file names. Put the result beside a model as classifiers/NAME, or give
    it to arithmetic with --classifier: how often arithmetic does what it should is then measured, not only looked at.

    \b
    dcgan-viz train-classifier animals/ --out runs/animals
    dcgan-viz train-classifier photographs.zip --labels labels.csv --out runs/mine
    dcgan-viz train-classifier utkface.zip --labels utkface --out runs/faces/model/classifiers/gender
    """
    from dataclasses import asdict, replace
    from functools import partial

    from dcgan_viz.data.images import load_images
    from dcgan_viz.data.labels import read_labels
    from dcgan_viz.judges.classifier import CARD_FILE, ClassifierNetwork
    from dcgan_viz.judges.classifier_training import train_classifier as run
    from dcgan_viz.networks.weights import check_network_folder
    from dcgan_viz.progress import show

    check_network_folder(out, CARD_FILE, overwrite)
    images = load_images(data, size, int(channels), progress=show)
    found = read_labels(labels, images.names)
    train = partial(
        run,
        images,
        found,
        held_out=held_out,
        epochs=epochs,
        seed=seed,
        device=device,
        data=f"{(found.numbers >= 0).sum()} pictures of {as_text(data.name)}, centre-cropped and resized to {size}x{size}",
        terms=terms,
    )
    if dry_run:
        network = ClassifierNetwork(int(channels), len(found.classes))
        what = f"a classifier of {', '.join(found.classes)} on {len(images):,} pictures of {data}"
        announce_training(lambda progress: train(progress=progress), network, what, out, as_json)
        return
    classifier = train(progress=show)
    command = command_line(size=size, channels=channels, held_out=held_out, epochs=epochs)
    training = {**classifier.card.training, "command": command}
    classifier = replace(classifier, card=replace(classifier.card, training=training))
    classifier.save(out, overwrite)
    if as_json:
        echo(json.dumps({"folder": str(out), "accuracies": [asdict(a) for a in classifier.card.accuracies]}))
        return
    for accuracy in classifier.card.accuracies:
        echo(
            f"{accuracy.subset}: {accuracy.estimate:.1%} of {accuracy.pictures} held-out "
            f"pictures right, calibration error {accuracy.calibration_error:.3f}"
        )
    echo(f"written to {out}")
