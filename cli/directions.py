"""``dcgan-viz directions``."""

from __future__ import annotations

from pathlib import Path

import click

from dcgan_viz.cli.command import Command
from dcgan_viz.cli.options import (
    check_out,
    device_option,
    finish,
    json_option,
    model_option,
    out_folder,
    out_option,
    seed_option,
)

DEFAULT_OUT = "results/directions"


@click.command(cls=Command, short_help="Find directions of the latent space without labels.")
@click.option(
    "--count", type=click.IntRange(1, 20), default=5, show_default=True, help="Directions of each of the two methods."
)
@click.option("--samples", type=click.IntRange(1, 4), default=2, show_default=True, help="How many to move.")
@click.option(
    "--reach",
    type=click.FloatRange(0, 20, min_open=True),
    default=4.0,
    show_default=True,
    help="How far to either side, in standard deviations of z.",
)
@model_option
@seed_option
@device_option
@out_option(DEFAULT_OUT)
@json_option
def directions(
    count: int,
    samples: int,
    reach: float,
    model: str,
    seed: int,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Find directions of the latent space without labels, and look along them.

    The principal directions of the first layer's activations (GANSpace) and the directions that its weights stretch most
    (SeFa), one a row: the same samples moved to either side, and how much changes beside random directions of the same
    length. The directions lie in arrays.npz as `principal` and `factorised`: add a multiple of one to a latent.

    \b
    dcgan-viz directions
    dcgan-viz directions --count 10 --samples 1 --reach 6 --out results/more-directions
    """
    from dcgan_viz.analysis.latent import directions as analysis
    from dcgan_viz.figures.latent.directions import directions_figure
    from dcgan_viz.model import load

    check_out(analysis.Directions, out, overwrite, figures=["directions"])
    result = analysis.directions(load(model, device), count=count, samples=samples, reach=reach, seed=seed)
    folder = result.save(out_folder(out, DEFAULT_OUT), {"directions": directions_figure(result)}, overwrite=overwrite)
    finish(result, folder, result.sentences(), as_json)
