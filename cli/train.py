"""``dcgan-viz train``."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import click

from dcgan_viz.cli.command import Command
from dcgan_viz.cli.options import json_option

PRESET_NAMES = ("lsun64", "faces64", "imagenet32", "svhn32")
DEFAULT_EPOCHS = 25


@click.command(cls=Command)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The run's folder.")
@click.option("--preset", default="lsun64", show_default=True, metavar="|".join(PRESET_NAMES), help="The networks.")
@click.option("--size", type=int, help="Side of the images: a power of two from 16 to 256.")
@click.option("--channels", type=int, help="1 (grey) or 3 (RGB).")
@click.option(
    "--width", type=int, help="Maps of the layers next to the image, which double from there; the paper has 128."
)
@click.option("--discriminator-width", type=int, help="Maps of the discriminator's first layer.  [default: --width]")
@click.option("--kernel", type=int, help="3, 4 or 5; the paper has 5.")
@click.option("--latent", type=int, help="Dimensions of z; the paper has 100.")
@click.option("--prior", type=click.Choice(["uniform", "normal"]), help="Distribution of z; the paper's is uniform.")
@click.option("--top-layer", is_flag=True, help="Add a 3x3 stride-1 convolution on top of the discriminator.")
@click.option("--steps", type=int, help="Batches to train for.")
@click.option("--epochs", type=float, help=f"Passes over the images, instead of --steps.  [default: {DEFAULT_EPOCHS}]")
@click.option("--batch-size", type=int, help="Images a batch on each device.  [default: the preset's, 128]")
@click.option("--learning-rate", type=float, help="Of Adam.  [default: the preset's, 0.0002]")
@click.option("--beta1", type=float, default=0.5, show_default=True, help="Adam's first momentum.")
@click.option("--l2", type=float, default=0.0, show_default=True, help="Weight penalty; the authors' code has 1e-5.")
@click.option(
    "--updates",
    type=click.Choice(["both", "alternate"]),
    default="both",
    show_default=True,
    help="Update both networks on every batch, or in turn as the authors' code does.",
)
@click.option("--start-from", metavar="NAME|FOLDER", help="Go on with a trained model of the same networks.")
@click.option("--flip", is_flag=True, help="Mirror half of the images at random.")
@click.option(
    "--augment", default="", metavar="LIST", help="Differentiable augmentation: any of color,translation,cutout."
)
@click.option(
    "--r1",
    type=float,
    default=0.0,
    show_default=True,
    help="Gradient penalty of the discriminator; steadies small sets.",
)
@click.option(
    "--copying",
    type=float,
    default=0.0,
    show_default=True,
    help="Pull generated images towards training images: makes a generator that copies, as a control.",
)
@click.option("--ema", type=float, default=0.0, show_default=True, help="Decay of the generator's moving average.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything that is drawn.")
@click.option(
    "--checkpoint-every",
    type=click.IntRange(1),
    help="Steps between checkpoints.  [default: an epoch, but at least 100 and at most 1000 steps]",
)
@click.option("--keep", type=click.IntRange(1), default=3, show_default=True, help="Newest checkpoints that stay.")
@click.option("--keep-every", type=click.IntRange(0), default=0, help="Checkpoints at multiples of N stay for good.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="auto measures a few steps of each and takes the fastest.",
)
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out.")
@click.option("--from-step", type=int, help="With --resume: go back to this checkpoint and drop the later ones.")
@click.option("--skip-broken", is_flag=True, help="Leave out images that do not decode.")
@click.option("--name", default="untitled", show_default=True, help="On the model's card.")
@click.option("--data-note", default="not stated", show_default=True, help="On the card: what the images are.")
@click.option("--terms", default="not stated", show_default=True, help="On the card: the terms of the images.")
@json_option
def train(data: Path, out: Path, preset: str, as_json: bool, **options: Any) -> None:
    """Train the paper's networks on the images in DATA.

    DATA is a folder or zip of images of any size and mode, or an .npy array of pictures. The defaults are the
    paper's hyper-parameters; small sets want --flip, --augment and --ema. The run's folder holds checkpoints,
    sample grids, metrics.jsonl, a TensorBoard log and the model, which every other command takes by that folder.

    \b
    dcgan-viz train photographs/ --out runs/mine
    dcgan-viz train faces.zip --preset faces64 --width 64 --flip --augment translation --ema 0.999 --out runs/faces
    dcgan-viz train photographs/ --out runs/mine --resume --epochs 50
    dcgan-viz train mine/ --width 64 --kernel 4 --start-from rooms --out runs/tuned
    torchrun --nproc-per-node 2 -m dcgan_viz.cli.main train photographs/ --out runs/mine
    """
    from dcgan_viz.data.images import load_images
    from dcgan_viz.model import Card, load
    from dcgan_viz.networks import PRESETS
    from dcgan_viz.networks import preset as build
    from dcgan_viz.progress import say, show
    from dcgan_viz.training.loop import train as run
    from dcgan_viz.training.settings import TrainingSettings

    names = ("size", "channels", "width", "discriminator_width", "kernel", "latent", "prior")
    architecture = {name: options[name] for name in names if options[name] is not None}
    if options["top_layer"]:
        architecture["top_layer"] = True
    networks = build(preset, **architecture)
    leader = int(os.environ.get("RANK", "0")) == 0
    channels, size, _ = networks.image_shape
    images = load_images(
        data,
        size,
        channels,
        skip_broken=options["skip_broken"],
        progress=show,
    )
    chosen = {name: options[name] for name in ("batch_size", "learning_rate") if options[name] is not None}
    chosen = {**PRESETS[preset].training, **chosen}
    settings = TrainingSettings(
        steps=_steps(options, len(images), chosen.get("batch_size", 128)),
        augment=tuple(policy for policy in options["augment"].split(",") if policy),
        **{name: options[name] for name in ("beta1", "l2", "updates", "flip", "r1", "copying", "ema", "seed")},
        **chosen,
    )
    summary = f"a {size}x{size} DCGAN ({preset}) trained on {data.name}"
    try:
        result = run(
            images,
            networks,
            settings,
            out,
            card=Card(
                options["name"], summary, networks, options["data_note"], options["terms"], commands=(_command_line(),)
            ),
            **{n: options[n] for n in ("checkpoint_every", "keep", "keep_every", "device", "precision", "resume")},
            from_step=options["from_step"],
            start_from=load(options["start_from"]) if options["start_from"] else None,
            say=say,
            progress=show,
        )
    except KeyboardInterrupt:
        click.echo(f"stopped; go on from the last checkpoint with --out {out} --resume", err=True)
        raise click.Abort from None
    if not leader:
        return
    if as_json:
        numbers = {"folder": str(out), "model": str(result.model), "steps": result.steps, "warnings": result.warnings}
        click.echo(json.dumps(numbers))
    else:
        click.echo(f"{result.steps} steps done; the model is in {result.model}: dcgan-viz sample --model {out}")


def _command_line() -> str:
    """The command that a fresh run with these options would be."""
    context = click.get_current_context()
    words = ["dcgan-viz", "train", str(context.params["data"])]
    for option in context.command.params:
        given = context.get_parameter_source(str(option.name)) is click.core.ParameterSource.COMMANDLINE
        if isinstance(option, click.Option) and given and option.name not in ("resume", "from_step", "as_json"):
            words.append(option.opts[0])
            if not option.is_flag:
                words.append(str(context.params[str(option.name)]))
    return shlex.join(words)


def _steps(options: dict[str, Any], images: int, batch_size: int) -> int:
    """Batches that were asked for, in steps or in epochs."""
    if options["steps"] is not None and options["epochs"] is not None:
        raise click.UsageError("give --steps or --epochs, not both")
    if options["steps"] is not None:
        return int(options["steps"])
    per_epoch = max(images // (batch_size * int(os.environ.get("WORLD_SIZE", "1"))), 1)
    return round((options["epochs"] or DEFAULT_EPOCHS) * per_epoch)
