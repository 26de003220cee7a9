"""``dcgan-viz annotate``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from dcgan_viz.cli.command import Command
from dcgan_viz.cli.options import model_option


@click.command(cls=Command, short_help="Draw boxes on a model's samples in the browser.")
@click.option("--object", "label", required=True, help="What to draw boxes around.")
@model_option
@click.option("--out", type=click.Path(path_type=Path), help="The COCO JSON to write.  [default: OBJECT-boxes.json]")
@click.option("--count", type=click.IntRange(1, 10_000), default=150, show_default=True, help="Samples, in a new file.")
@click.option("--seed", type=click.IntRange(0), default=2015, show_default=True, help="Of the samples, in a new file.")
@click.option("--contributor", default="not stated", show_default=True, help="Who draws; written into the file.")
@click.option("--port", type=click.IntRange(1, 65535), default=8765, show_default=True, help="Of the page.")
def annotate(label: str, model: str, out: Path | None, count: int, seed: int, contributor: str, port: int) -> None:
    """Draw boxes around an object on a model's samples, in the browser.

    Opens a page on this machine that shows the samples one by one, large. Every box is saved at once, and the command
    goes on where it stopped. The file is what forget and guided-backprop take.

    \b
    dcgan-viz annotate --object lamp
    dcgan-viz annotate --object window --model runs/mine --out boxes.json
    dcgan-viz forget --object window --model runs/mine --annotations boxes.json
    """
    from dcgan_viz.model import load
    from dcgan_viz.studio.annotate import open_annotations, serve_annotations

    path = out or Path(f"{label}-boxes.json")
    loaded = load(model)
    annotations = open_annotations(loaded, label, path, count=count, seed=seed, contributor=contributor)
    looked_at = len(annotations.reviewed_images())

    def ready(address: str) -> None:
        click.echo(f"{looked_at} of {annotations.count} samples looked at; open {address} (Ctrl-C ends)", err=True)

    # Ctrl-C is how the page is closed.
    with suppress(KeyboardInterrupt):
        serve_annotations(loaded, label, annotations, path, port=port, ready=ready)
    click.echo(f"boxes in {path}: dcgan-viz forget --object {label} --model {model} --annotations {path}")
