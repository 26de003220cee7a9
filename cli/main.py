"""The command ``dcgan-viz``: a group of thin commands, and what happens to errors."""

from __future__ import annotations

from importlib import metadata

import click

from dcgan_viz.cli.annotate import annotate
from dcgan_viz.cli.arithmetic import arithmetic
from dcgan_viz.cli.blind import blind
from dcgan_viz.cli.classify import classify
from dcgan_viz.cli.compare import compare
from dcgan_viz.cli.concepts import concepts
from dcgan_viz.cli.dedup import dedup
from dcgan_viz.cli.directions import directions
from dcgan_viz.cli.evaluate import evaluate
from dcgan_viz.cli.export import export
from dcgan_viz.cli.faces import faces
from dcgan_viz.cli.features import features
from dcgan_viz.cli.forget import forget
from dcgan_viz.cli.guided_backprop import guided_backprop
from dcgan_viz.cli.import_model import import_model
from dcgan_viz.cli.invert import invert
from dcgan_viz.cli.memorization import memorization
from dcgan_viz.cli.merge import merge
from dcgan_viz.cli.models import info, models
from dcgan_viz.cli.prepare import prepare
from dcgan_viz.cli.report import report
from dcgan_viz.cli.rooms import rooms
from dcgan_viz.cli.sample import sample
from dcgan_viz.cli.studio import studio
from dcgan_viz.cli.train import train
from dcgan_viz.cli.train_classifier import train_classifier
from dcgan_viz.cli.train_encoder import train_encoder
from dcgan_viz.cli.train_segmenter import train_segmenter
from dcgan_viz.cli.turn import turn
from dcgan_viz.cli.walk import walk


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(metadata.version("dcgan-viz"), prog_name="dcgan-viz")
def main() -> None:
    """Train DCGANs (Radford et al. 2015) and see what they have learned.

    \b
    dcgan-viz forget --object window
    dcgan-viz guided-backprop --layer 5
    dcgan-viz walk
    dcgan-viz train photographs.zip --preset lsun64 --out runs/mine
    """


for command in (
    models,
    info,
    sample,
    studio,
    report,
    forget,
    annotate,
    blind,
    guided_backprop,
    walk,
    concepts,
    arithmetic,
    turn,
    directions,
    invert,
    memorization,
    evaluate,
    compare,
    features,
    classify,
    prepare,
    dedup,
    faces,
    merge,
    rooms,
    train,
    train_segmenter,
    train_classifier,
    train_encoder,
    import_model,
    export,
):
    main.add_command(command)

if __name__ == "__main__":
    main()
