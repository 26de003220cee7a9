"""``dcgan-viz models`` and ``dcgan-viz info``."""

from __future__ import annotations

import json

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import complete_models, json_option


@click.command(cls=Command)
@json_option
def models(as_json: bool) -> None:
    """List the bundled models.

    \b
    dcgan-viz models
    """
    from dcgan_viz.card import bundled_models, load_card

    cards = [load_card(name) for name in bundled_models()]
    if as_json:
        echo(json.dumps([card.to_dict() for card in cards], indent=2))
    else:
        width = max(len(card.name) for card in cards)
        for card in cards:
            echo(f"{card.name:{width}} {card.summary}")


@click.command(cls=Command, short_help="Show a model's card and layers.")
@click.argument("model", default="bedrooms", metavar="[NAME|FOLDER|FILE.py:FUNCTION]", shell_complete=complete_models)
@json_option
def info(model: str, as_json: bool) -> None:
    """Show a model's card and the numbered layers of both networks.

    \b
    dcgan-viz info bedrooms
    dcgan-viz info runs/mine --json
    """
    from dcgan_viz.model import load

    loaded = load(model)
    if as_json:
        layers = [vars(layer) for layer in loaded.layers]
        digest = loaded.generator_digest()
        echo(json.dumps({**loaded.card.to_dict(), "layers": layers, "generator_digest": digest}, indent=2))
    else:
        echo(loaded.card.page(loaded.layers))
