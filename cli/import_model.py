"""``dcgan-viz import``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import json_option, overwrite_option
from dcgan_viz.errors import UserError

if TYPE_CHECKING:
    from dcgan_viz.foreign.importing import Imported
    from dcgan_viz.foreign.knowledge import Knowledge, Source
    from dcgan_viz.networks.spec import Output

ACTIVATIONS = {
    "relu": ("rectifier", 0.0),
    "leaky-relu": ("rectifier", None),
    "elu": ("elu", 0.0),
    "selu": ("selu", 0.0),
    "gelu": ("gelu", 0.0),
    "silu": ("silu", 0.0),
    "softplus": ("softplus", 0.0),
    "tanh": ("tanh", 0.0),
}
"""What activations are called on the command line."""


class Numbers(click.ParamType):
    """Whole numbers with commas between them, such as ``2,1,2,2``."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Numbers from text."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers like 2,1,2,2", param, ctx)


@click.command("import", cls=Command)
@click.argument("generator")
@click.argument("discriminator", required=False)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The model folder to write.")
@click.option(
    "--prior",
    type=click.Choice(["uniform", "normal", "unit"]),
    help="What z was drawn from in training, where its statistics do not tell: U(-1, 1), N(0, 1) or U(0, 1).",
)
@click.option(
    "--output", type=click.Choice(["tanh", "sigmoid", "none"]), help="What ends the generator. [default: tanh]"
)
@click.option("--size", type=click.IntRange(1, 1024), help="Side of the images.")
@click.option("--strides", type=Numbers(), default=(), help="Strides of the generator's convolutions, from z: 1,2,2,2.")
@click.option("--paddings", type=Numbers(), default=(), help="The same for paddings.")
@click.option("--output-paddings", type=Numbers(), default=(), help="The same for output paddings.")
@click.option("--upsamples", type=Numbers(), default=(), help="The same for upsampling before a convolution.")
@click.option("--activation", type=click.Choice(list(ACTIVATIONS)), help="Activation of the generator's hidden layers.")
@click.option(
    "--norm", type=click.Choice(["before", "after"]), help="Whether it normalises before the activation or after."
)
@click.option(
    "--projection", type=click.Choice(["activated", "linear"]), help="Whether its first layer ends in the activation."
)
@click.option("--order", default="", help="Its modules as they run: conv1,bn1,conv2,bn2.")
@click.option(
    "--discriminator-strides",
    type=Numbers(),
    default=(),
    help="The discriminator's, from the image.",
)
@click.option("--discriminator-paddings", type=Numbers(), default=(), help="The same for paddings.")
@click.option(
    "--discriminator-activation",
    type=click.Choice(list(ACTIVATIONS)),
    help="The discriminator's.",
)
@click.option("--discriminator-norm", type=click.Choice(["before", "after"]), help="As --norm.")
@click.option("--discriminator-order", default="", help="As --order.")
@click.option(
    "--slope",
    type=click.FloatRange(0, 1),
    help="Negative slope of LeakyReLUs: the discriminator's, and --activation leaky-relu's.",
)
@click.option("--eps", type=click.FloatRange(1e-12, 1), help="Epsilon of every normalisation. [default: 1e-5]")
@click.option("--first-eps", type=click.FloatRange(1e-12, 1), help="Of the generator's first one. [default: --eps]")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Pictures that it was trained on: measures the discriminator's statistics, where its file keeps none.",
)
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    metavar="PAIRS.npz",
    help="Inputs and outputs of the original (arrays z, images, scores): compare to 1e-4.",
)
@click.option("--name", default="imported", show_default=True, help="On the model's card.")
@click.option("--data-note", default="not stated", show_default=True, help="On the card: what it was trained on.")
@click.option("--terms", default="not stated", show_default=True, help="On the card: under which terms.")
@overwrite_option
@json_option
def import_model(
    generator: str,
    discriminator: str | None,
    out: Path,
    images: Path | None,
    check: Path | None,
    name: str,
    data_note: str,
    terms: str,
    overwrite: bool,
    as_json: bool,
    **told: Any,
) -> None:
    """Make a model from weights that were trained elsewhere.

    GENERATOR and, if you have it, DISCRIMINATOR are files of weights: .pt, .pth, .ckpt or .safetensors of PyTorch, .h5 or
    .keras of Keras, .jl of the DCGAN authors' Theano code. One network of several in a file is file.pth:netG. Nothing but
    numbers is read from them. What weights do not hold, such as strides and activations, is found by comparing their running
    statistics with what the layers produce; what remains open is asked, and drawn in OUT-candidates.png. Beside the model lie
    candidates.png and fit-generator.png, what was compared and how well it fits. Every other command takes the folder with
    --model.

    \b
    dcgan-viz import netG.pth netD.pth --out models/tutorial
    dcgan-viz import checkpoint.pth:netG checkpoint.pth:netD --out models/bundle
    dcgan-viz import generator.h5 --prior normal --out models/keras
    dcgan-viz import generator.pt --prior normal --strides 1,2,2,2 --out models/faces
    dcgan-viz guided-backprop --model models/tutorial
    """
    from dcgan_viz.foreign import importing
    from dcgan_viz.foreign.containers import read_weights
    from dcgan_viz.model import DCGAN

    DCGAN.check_folder(out, overwrite)
    weights = read_weights(generator)
    opponent = None if discriminator is None else read_weights(discriminator)
    source: Source | None = told["prior"]
    output: Output | None = told["output"]
    sheet = out.parent / f"{out.name}-candidates.png"
    with _candidates_drawn(sheet, overwrite):
        imported = importing.import_pair(
            weights,
            opponent,
            source=source,
            output=output,
            generator_known=_known(told, ""),
            discriminator_known=_known(told, "discriminator_"),
        )
    if images is not None and opponent is not None and opponent.measured:
        echo(f"note: {discriminator} keeps its running statistics, which stay: --images is for files without", err=True)
    elif images is not None:
        from dcgan_viz.data.images import load_images

        channels, size, _ = imported.generator.image_shape
        imported = importing.measure_discriminator(imported, load_images(images, size, channels).tensor(slice(10_000)))
    _say(imported)
    heard = imported.verdicts.get("discriminator")
    if heard is not None and heard.contradicted:
        echo(
            "note: the discriminator is a guess: settle it by --discriminator-strides, --discriminator-paddings, "
            "--discriminator-activation, --discriminator-norm, --slope and --eps, or prove it by --check",
            err=True,
        )
    if check is not None:
        for what, difference in importing.check(imported, check).items():
            echo(f"checked: {what} differ from the original's by {difference:.1g} at most", err=True)
    model = imported.model(name, data_note, terms)
    folder = model.save(out, overwrite, exact=True)
    _draw(imported, folder, overwrite)
    if as_json:
        echo(json.dumps({"folder": str(folder), **model.card.to_dict()}))
        return
    echo(f"{model.card.summary}, written to {folder}: look at it with dcgan-viz sample --model {folder}")


@contextmanager
def _candidates_drawn(sheet: Path, overwrite: bool) -> Iterator[None]:
    """Draws what nothing tells apart into a sheet, which the error then names."""
    from dcgan_viz.foreign.candidates import UndecidedError

    try:
        yield
    except UndecidedError as error:
        if not error.candidates:
            raise
        from dcgan_viz.figures.imported import candidates_figure, figure_pixels
        from dcgan_viz.media.pictures import save_picture

        save_picture(
            figure_pixels(candidates_figure(error.candidates, decided=False)), sheet, overwrite=overwrite, again=True
        )
        raise UserError(f"{error}. Each way's samples are drawn in {sheet}") from error


def _draw(imported: Imported, folder: Path, overwrite: bool) -> None:
    """The candidates and the fits, beside the card."""
    from dcgan_viz.figures.imported import candidates_figure, figure_pixels, fit_figure
    from dcgan_viz.foreign.candidates import compare
    from dcgan_viz.media.pictures import save_picture

    candidates = compare(imported.verdicts["generator"], imported.generator.spec.output)
    # Of weights without running statistics nothing is compared.
    figures = {"candidates": candidates_figure(candidates)} if len(candidates) > 1 else {}
    for side, verdict in imported.verdicts.items():
        if verdict.fits:
            figures[f"fit-{side}"] = fit_figure(verdict, side)
    for name, figure in figures.items():
        save_picture(figure_pixels(figure), folder / f"{name}.png", overwrite=overwrite, again=True)


def _known(told: dict[str, Any], side: str) -> Knowledge:
    """What options say of one network."""
    from dcgan_viz.foreign.knowledge import Knowledge, Wishes

    named = told[f"{side}activation"]
    activation, slope = ACTIVATIONS[named] if named else (None, None)
    if named == "leaky-relu" or (named is None and side):
        slope = told["slope"] if told["slope"] is not None or named is None else 0.2
    norm = told[f"{side}norm"]
    wishes = Wishes(
        size=None if side else told["size"],
        strides=told[f"{side}strides"],
        paddings=told[f"{side}paddings"],
        output_paddings=() if side else told["output_paddings"],
        upsamples=() if side else told["upsamples"],
    )
    order = tuple(filter(None, (part.strip() for part in told[f"{side}order"].split(","))))
    return Knowledge(
        wishes=wishes,
        order=order,
        activation=activation,  # type: ignore[arg-type]
        slope=slope,
        norm_first=None if norm is None else norm == "before",
        first_activated=None if side or told["projection"] is None else told["projection"] == "activated",
        eps=told["eps"],
        first_eps=None if side else told["first_eps"],
    )


def _say(imported: Imported) -> None:
    """What was read, and whence it is known, on standard error."""
    from dcgan_viz.networks.layers import discriminator_layers, generator_layers

    layers = {"generator": generator_layers(imported.generator.spec)}
    if imported.discriminator is not None:
        layers["discriminator"] = discriminator_layers(imported.discriminator.spec)
    for side, told in imported.told.items():
        echo(f"{side}:", err=True)
        for layer in layers[side]:
            echo(f"  {layer}", err=True)
        for whence, things in (
            ("given", told.given),
            ("decided by its statistics", told.decided),
            ("taken for granted", told.granted),
        ):
            if things:
                echo(f"  {whence}: {', '.join(things)}", err=True)
        echo(f"  {told.statistics}", err=True)
    if imported.looks:
        echo(f"by what it draws, {imported.looks}", err=True)
