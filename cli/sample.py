"""``dcgan-viz sample``."""

from __future__ import annotations

from pathlib import Path

import click

from dcgan_viz.cli.command import Command
from dcgan_viz.cli.options import device_option, model_option, seed_option


@click.command(cls=Command)
@model_option
@click.option("--count", type=click.IntRange(1, 10_000), default=64, show_default=True, help="How many samples.")
@click.option("--scale", type=click.IntRange(1, 16), default=2, show_default=True, help="Enlarge each pixel.")
@seed_option
@device_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("samples.png"),
    show_default=True,
    help="The PNG to write.",
)
def sample(model: str, count: int, scale: int, seed: int, device: str, out: Path) -> None:
    """Draw a grid of samples to a PNG.

    \b
    dcgan-viz sample
    dcgan-viz sample --model runs/mine --count 100 --seed 7 --out mine.png
    """
    from dcgan_viz.data.images import to_pixels
    from dcgan_viz.media.pictures import save_picture, tile
    from dcgan_viz.model import load

    pixels = to_pixels(load(model, device).sample(count, seed))
    save_picture(tile(pixels), out, scale)
    click.echo(f"{count} samples of {model} (seed {seed}) written to {out}")
