"""``dcgan-viz import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcgan_viz.cli.command import Command

if TYPE_CHECKING:
    from dcgan_viz.networks.spec import Prior


@click.command("import", cls=Command)
@click.argument("generator", type=click.Path(path_type=Path))
@click.argument("discriminator", type=click.Path(path_type=Path))
@click.option(
    "--prior",
    type=click.Choice(["uniform", "normal"]),
    required=True,
    help="What z was drawn from in training: the weights do not tell.",
)
@click.option("--size", type=int, help="Side of the images; needed where 3x3 kernels leave it open.")
@click.option("--slope", type=float, default=0.2, show_default=True, help="Of the discriminator's LeakyReLUs.")
@click.option("--name", default="imported", show_default=True, help="On the model's card.")
@click.option("--data-note", default="not stated", show_default=True, help="On the card: what it was trained on.")
@click.option("--terms", default="not stated", show_default=True, help="On the card: under which terms.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The model folder to write.")
def import_model(
    generator: Path,
    discriminator: Path,
    prior: Prior,
    size: int | None,
    slope: float,
    name: str,
    data_note: str,
    terms: str,
    out: Path,
) -> None:
    """Make a model of state dicts that were trained elsewhere.

    GENERATOR and DISCRIMINATOR are .pt or .pth files with the weights of PyTorch DCGANs whose layers
    follow one another, such as those of PyTorch's tutorial. Nothing but tensors is read from them. Every other command
    takes the folder with --model.

    \b
    dcgan-viz import netG.pth netD.pth --prior normal --out models/tutorial
    dcgan-viz guided-backprop --model models/tutorial
    """
    from dcgan_viz.foreign.state_dicts import import_discriminator, import_generator, read_state_dict
    from dcgan_viz.model import DCGAN, Card
    from dcgan_viz.networks.spec import NetworkSpec

    drawing = import_generator(read_state_dict(generator), prior, size)
    judging = import_discriminator(read_state_dict(discriminator), drawing.spec.image_size, slope)
    networks = NetworkSpec(drawing.spec, judging.spec)
    card = Card(
        name,
        f"a {drawing.spec.image_size}x{drawing.spec.image_size} DCGAN imported from {generator.name} and "
        f"{discriminator.name}",
        networks,
        data_note,
        terms,
        weaknesses=(
            f"Imported: that z is {prior}, the slope {slope}, the strides, ReLU and tanh were taken for granted.",
        ),
    )
    folder = DCGAN(drawing, judging, card).save(out)
    click.echo(f"{card.summary}, written to {folder}: look at it with dcgan-viz sample --model {folder}")
