"""``dcgan-viz studio``."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import (
    complete_models,
    device_option,
    json_option,
    port_option,
)


@click.command(cls=Command, short_help="Look at a model in the browser: samples, forgetting, units, arithmetic.")
@click.option(
    "--model",
    default="rooms",
    show_default=True,
    metavar="NAME|FOLDER|FILE.py:FUNCTION",
    shell_complete=complete_models,
    help="A bundled model, a model folder, a training run, or a function of your own file, which is run as your code.",
)
@click.option(
    "--object", "label", default="window", show_default=True, help="What the view Annotate draws boxes around."
)
@click.option("--trial", type=click.Path(path_type=Path), help="A blind trial for the view Blind.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where boxes, concepts and models are saved.  [default: here]",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address of the page; one that other machines reach asks for the token in the printed address.",
)
@port_option
@device_option
@json_option
def studio(
    model: str, label: str, trial: Path | None, folder: Path, host: str, port: int, device: str, as_json: bool
) -> None:
    """Look at a model in the browser.

    Opens a page on this machine: an endless wall of samples with walks and sliders; forgetting objects, everywhere or
    where you paint; every map of both networks with what excites it and what goes without it; arithmetic on samples;
    and the pages of annotate, concepts and blind.

    \b
    dcgan-viz studio
    dcgan-viz studio --model faces
    dcgan-viz studio --model runs/mine --object lamp --port 9000
    dcgan-viz studio --model rooms --trial trials/window
    """
    from dcgan_viz.model import load
    from dcgan_viz.studio.computing import is_busy
    from dcgan_viz.studio.studio import serve_studio

    loaded = load(model, device)

    def ready(address: str) -> None:
        if as_json:
            echo(json.dumps({"address": address, "model": model}))
        else:
            echo(f"open {address} (Ctrl-C ends)", err=True)

    # Ctrl-C is how the page is closed.
    with suppress(KeyboardInterrupt):
        serve_studio(loaded, model, label=label, trial=trial, folder=folder, host=host, port=port, ready=ready)
    if is_busy():
        # Nobody waits for that table any more, and Python would end its thread with an abort.
        os._exit(0)
