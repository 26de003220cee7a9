"""``dcgan-viz train``."""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from dcgan_viz.cli.command import Command, command_line, echo, in_options
from dcgan_viz.cli.options import (
    complete_models,
    json_option,
    keep_list_option,
    overwrite_option,
)
from dcgan_viz.cli.planning import Clock, Planned, announce, dry_run_option, seconds_a_picture
from dcgan_viz.cli.stopping import Stopping, stopping
from dcgan_viz.errors import UserError
from dcgan_viz.progress import leads
from dcgan_viz.untrusted import as_text
from dcgan_viz.words import counted

if TYPE_CHECKING:
    from torch import Tensor

    from dcgan_viz.data.images import ImageSet
    from dcgan_viz.judges.encoder import Encoder
    from dcgan_viz.model import DCGAN
    from dcgan_viz.networks import NetworkSpec
    from dcgan_viz.training.execution import Precision
    from dcgan_viz.training.loop import TrainingResult
    from dcgan_viz.training.run import SavedRun
    from dcgan_viz.training.settings import TrainingSettings

PRESET_NAMES = ("lsun64", "faces64", "imagenet32", "svhn32")
DEFAULT_EPOCHS = 25

TRIED_STEPS = 3
"""To know how long one takes."""


# Most options have no default here: what is not asked for is the preset's, the model's or the resumed run's own.


@click.command(cls=Command)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The run's folder.")
@click.option("--preset", metavar="|".join(PRESET_NAMES), help="The networks.  [default: lsun64]")
@click.option("--size", type=int, help="Side of the images: a power of two from 16 to 256.")
@click.option("--channels", type=int, help="1 (grey) or 3 (RGB).")
@click.option(
    "--width", type=int, help="Maps of the layers next to the image, which double from there; the paper has 128."
)
@click.option("--discriminator-width", type=int, help="Maps of the discriminator's first layer.  [default: --width]")
@click.option("--kernel", type=int, help="3, 4 or 5; the paper has 5.")
@click.option("--latent", "latent_dim", type=int, help="Dimensions of z; the paper has 100.")
@click.option("--prior", type=click.Choice(["uniform", "normal"]), help="Distribution of z; the paper's is uniform.")
@click.option("--top-layer", is_flag=True, default=None, help="Add a 3x3 stride-1 convolution to the discriminator.")
@click.option("--steps", type=int, help="Batches to train for.")
@click.option("--epochs", type=float, help=f"Passes over the images, instead of --steps.  [default: {DEFAULT_EPOCHS}]")
@click.option("--batch-size", type=int, help="Batch size on each device.  [default: the preset's, 128]")
@click.option("--learning-rate", type=float, help="Adam's learning rate.  [default: the preset's, 0.0002]")
@click.option("--beta1", type=float, help="Adam's first momentum.  [default: 0.5]")
@click.option("--l2", type=float, help="Weight penalty; the authors' code has 1e-5.  [default: 0]")
@click.option(
    "--updates",
    type=click.Choice(["both", "alternate"]),
    help="Update both networks on every batch, or in turn as the authors' code does.  [default: both]",
)
@click.option(
    "--start-from",
    metavar="NAME|FOLDER",
    shell_complete=complete_models,
    help="Start from a trained model, with its networks.",
)
@click.option("--flip", is_flag=True, default=None, help="Mirror half of the images at random.")
@click.option("--augment", metavar="LIST", help="Differentiable augmentation: any of color,translation,cutout.")
@click.option("--r1", type=float, help="Gradient penalty of the discriminator; steadies small sets.  [default: 0]")
@click.option(
    "--copying",
    type=float,
    help="Pull generated images towards training images: makes a generator that copies, as a control.  [default: 0]",
)
@click.option("--ema", type=float, help="Decay of the generator's moving average.  [default: 0]")
@click.option(
    "--joint-norm",
    is_flag=True,
    default=None,
    help="Under torchrun: batch normalisation over all processes instead of each one's own batch.",
)
@click.option("--seed", type=click.IntRange(0), help="Seed of all random numbers.  [default: 0]")
@click.option(
    "--checkpoint-every",
    type=click.IntRange(1),
    help="Steps between checkpoints.  [default: an epoch, but at least 100 and at most 1000 steps]",
)
@click.option(
    "--keep",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="How many of the newest checkpoints to keep, beside the last healthy one.",
)
@click.option(
    "--keep-every", type=click.IntRange(0), default=0, help="Also keep every checkpoint at a multiple of N steps."
)
@click.option(
    "--monitor",
    metavar="bundled|FOLDER",
    help="Measure the kernel distance to the images at every checkpoint, in an encoder's features, and keep the best.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="auto uses bf16 where the device supports it natively.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in --out, as it was begun.")
@click.option("--from-step", type=int, help="With --resume: go back to this checkpoint and drop the later ones.")
@keep_list_option
@click.option("--skip-broken", is_flag=True, help="Leave out images that do not decode.")
@click.option("--name", help="On the model's card.  [default: untitled]")
@click.option("--data-note", help="On the card: what the images are.  [default: not stated]")
@click.option("--terms", help="On the card: the terms of the images.  [default: not stated]")
@dry_run_option
@overwrite_option
@json_option
def train(
    data: Path,
    out: Path,
    preset: str | None,
    size: int | None,
    channels: int | None,
    width: int | None,
    discriminator_width: int | None,
    kernel: int | None,
    latent_dim: int | None,
    prior: str | None,
    top_layer: bool | None,
    steps: int | None,
    epochs: float | None,
    batch_size: int | None,
    learning_rate: float | None,
    beta1: float | None,
    l2: float | None,
    updates: str | None,
    start_from: str | None,
    flip: bool | None,
    augment: str | None,
    r1: float | None,
    copying: float | None,
    ema: float | None,
    joint_norm: bool | None,
    seed: int | None,
    checkpoint_every: int | None,
    keep: int,
    keep_every: int,
    monitor: str | None,
    device: str,
    precision: Precision,
    resume: bool,
    from_step: int | None,
    keep_list: Path | None,
    skip_broken: bool,
    name: str | None,
    data_note: str | None,
    terms: str | None,
    dry_run: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train the paper's networks on the images in DATA.

    DATA is a folder, zip or tar of images of any size and mode, an .npy array of pictures, LSUN's LMDB, CIFAR's
    batches, SVHN's .mat, WebDataset shards or a Hugging Face dataset on disk. The defaults are the paper's
    hyper-parameters; small data sets benefit from --flip, --augment and --ema. The run's folder holds checkpoints, sample grids,
    metrics.jsonl, a TensorBoard log and the model, which every other command takes by that folder.
    Ctrl-C saves a checkpoint and says how to go on; --resume needs no other option.

    \b
    dcgan-viz train photographs/ --out runs/mine --dry-run
    dcgan-viz train photographs/ --out runs/mine
    dcgan-viz train faces.zip --preset faces64 --width 64 --flip --augment translation --ema 0.999 --out runs/faces
    dcgan-viz train photographs/ --out runs/mine --resume --epochs 50
    dcgan-viz train mine/ --start-from rooms --out runs/tuned
    torchrun --nproc-per-node 2 -m dcgan_viz.cli.main train photographs/ --out runs/mine
    """
    from dcgan_viz.training.loop import check_idle

    if steps is not None and epochs is not None:
        raise click.UsageError("give --steps or --epochs, not both")
    if from_step is not None and not resume:
        raise UserError("--from-step goes back in a run that is resumed: add --resume")
    architecture = _given(
        size=size,
        channels=channels,
        width=width,
        discriminator_width=discriminator_width,
        kernel=kernel,
        latent_dim=latent_dim,
        prior=prior,
        top_layer=top_layer,
    )
    chosen = _given(
        batch_size=batch_size,
        learning_rate=learning_rate,
        beta1=beta1,
        l2=l2,
        updates=updates,
        flip=flip,
        augment=None if augment is None else tuple(policy for policy in augment.split(",") if policy),
        r1=r1,
        copying=copying,
        ema=ema,
        joint_norm=joint_norm,
        seed=seed,
    )
    wanted = _Wanted(
        data=data,
        out=out,
        preset=preset,
        architecture=architecture,
        settings=chosen,
        card=_given(name=name, data_note=data_note, terms=terms),
        steps=steps,
        epochs=epochs,
        start_from=start_from,
        monitor=monitor,
        device=device,
        precision=precision,
        keep_list=keep_list,
        skip_broken=skip_broken,
        upkeep={"checkpoint_every": checkpoint_every, "keep": keep, "keep_every": keep_every},
    )
    # First of all: a run at work changes what the other checks look at.
    check_idle(out)
    if dry_run:
        if resume:
            raise UserError("--dry-run is about a new run: leave out --resume")
        announce(_plan(wanted, overwrite), as_json)
        return
    try:
        result, asked = _resume(wanted, from_step, overwrite) if resume else _begin(wanted, overwrite)
    except KeyboardInterrupt:
        echo(f"stopped; {_way_on(out)}", err=True)
        click.get_current_context().exit(130)
    _report(result, asked, as_json)


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What was asked for."""

    data: Path
    out: Path
    preset: str | None
    architecture: Mapping[str, Any]
    settings: Mapping[str, Any]
    card: Mapping[str, str]
    steps: int | None
    epochs: float | None
    start_from: str | None
    monitor: str | None
    device: str
    precision: Precision
    keep_list: Path | None
    skip_broken: bool
    upkeep: Mapping[str, Any]


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


@dataclass(frozen=True)
class _Prepared:
    """A new run that nothing speaks against, before images are decoded; its number of steps may still be unknown."""

    model: DCGAN | None
    networks: NetworkSpec
    settings: TrainingSettings
    device: str
    precision: Precision


def _prepare(wanted: _Wanted, overwrite: bool) -> _Prepared:
    """All that can be refused is refused before images are decoded."""
    from dcgan_viz.folders import check_apart
    from dcgan_viz.model import load
    from dcgan_viz.training.execution import choose_device, choose_execution
    from dcgan_viz.training.loop import check_new

    check_apart(wanted.data, wanted.out)
    model = None if wanted.start_from is None else load(wanted.start_from)
    networks = _networks(wanted, model)
    settings = _settings(wanted)
    device = choose_device(wanted.device)
    precision = choose_execution(device, wanted.precision).precision
    check_new(wanted.out, overwrite)
    return _Prepared(model, networks, settings, device, precision)


def _plan(wanted: _Wanted, overwrite: bool) -> Planned:
    """What a new run would do, by a few steps on noise in a folder that is removed again."""
    import numpy as np

    from dcgan_viz.card import Card
    from dcgan_viz.data.images import ImageSet
    from dcgan_viz.data.sources.opening import open_images
    from dcgan_viz.training.loop import train as run
    from dcgan_viz.training.step import R1_EVERY

    new = _prepare(wanted, overwrite)
    source = open_images(wanted.data, wanted.keep_list)
    batch = new.settings.batch_size
    steps = _steps(wanted, len(source), batch, DEFAULT_EPOCHS)
    channels, size, _ = new.networks.image_shape
    noise = np.random.default_rng(0).integers(0, 256, (batch, size, size, channels), dtype=np.uint8)
    # The gradient penalty belongs to every fourth.
    tried = TRIED_STEPS + (R1_EVERY if new.settings.r1 else 0)
    clock, settings = Clock(), replace(new.settings, steps=tried)
    with TemporaryDirectory(prefix="dcgan-viz-") as folder:
        result = run(
            ImageSet(noise, [str(k) for k in range(batch)]), new.networks, settings, Path(folder) / "run",
            card=Card("tried", "", new.networks), start_from=new.model, device=new.device, precision=new.precision,
            checkpoint_every=tried, progress=clock,
        )  # fmt: skip
        assert result.checkpoint is not None
        checkpoint = result.checkpoint.stat().st_size
        model = sum(file.stat().st_size for file in result.model.rglob("*") if file.is_file())
    kept = wanted.upkeep["keep"] + (steps // wanted.upkeep["keep_every"] if wanted.upkeep["keep_every"] else 0)
    decoding = seconds_a_picture(source, size, channels)
    return Planned(
        does=f"train networks of {size}x{size} and {counted(channels, 'channel')} on {len(source):,} images of "
        f"{wanted.data} for {steps:,} steps of {batch}, {steps * batch / len(source):.1f} times over all",
        seconds=len(source) * decoding + steps * clock.seconds_an_item(),
        measured=f"{tried} steps of noise on {new.device} in {new.precision}, {clock.seconds_an_item():.2g} s each, and "
        "by reading some of the images; checkpoints and sample grids come on top",
        size=kept * checkpoint + model,
        place=wanted.out,
        memory=len(source) * size * size * channels,
    )


def _begin(wanted: _Wanted, overwrite: bool) -> tuple[TrainingResult, Stopping]:
    """A new run."""
    from dcgan_viz.card import Card
    from dcgan_viz.progress import show
    from dcgan_viz.training.loop import train as run

    new = _prepare(wanted, overwrite)
    model, networks, settings, device, precision = (
        new.model, new.networks, new.settings, new.device, new.precision
    )  # fmt: skip
    with _alone(wanted.out):
        encoder = _encoder(wanted, device)
        images = _read(wanted, networks)
        settings = replace(settings, steps=_steps(wanted, len(images), settings.batch_size, DEFAULT_EPOCHS))
        _, size, _ = networks.image_shape
        source = wanted.preset or (f"from {model.card.name}" if model else "lsun64")
        card = Card(
            wanted.card.get("name", "untitled"),
            f"a {size}x{size} DCGAN ({source}) trained on {as_text(wanted.data.name)}",
            networks,
            wanted.card.get("data_note", "not stated"),
            wanted.card.get("terms", "not stated"),
            commands=(_command(wanted, device=device, precision=precision, steps=settings.steps),),
        )
        with stopping("this step") as asked:
            result = run(
                images, networks, settings, wanted.out, card=card, start_from=model, device=device, precision=precision,
                overwrite=overwrite, quality=_quality(encoder, images), stop=asked, say=_say, progress=show,
                **wanted.upkeep,
            )  # fmt: skip
    return result, asked


def _alone(out: Path) -> AbstractContextManager[None]:
    """The run's folder, kept from other processes from before images are read until the end."""
    from dcgan_viz.locking import reserved

    return reserved(out) if leads() else nullcontext()


def _resume(wanted: _Wanted, from_step: int | None, overwrite: bool) -> tuple[TrainingResult, Stopping]:
    """Go on with a run as it was begun."""
    from dcgan_viz.progress import show
    from dcgan_viz.training.execution import choose_device
    from dcgan_viz.training.loop import resume_training
    from dcgan_viz.training.run import read_run

    saved = read_run(wanted.out, from_step)
    run = saved.run
    _refuse_contradictions(wanted, saved)
    device = choose_device(wanted.device)
    with _alone(wanted.out):
        encoder = _encoder(wanted, device)
        images = _read(wanted, run.networks)
        steps = run.settings.steps
        if wanted.steps is not None or wanted.epochs is not None:
            steps = _steps(wanted, len(images), run.settings.batch_size, DEFAULT_EPOCHS)
        commands = tuple(_with_steps(command, steps) for command in run.card.commands)
        with stopping("this step") as asked:
            result = resume_training(
                images, wanted.out, steps=steps, from_step=from_step, card=replace(run.card, commands=commands),
                overwrite=overwrite, device=device, quality=_quality(encoder, images), stop=asked, say=_say,
                progress=show, **wanted.upkeep,
            )  # fmt: skip
    return result, asked


def _networks(wanted: _Wanted, model: DCGAN | None) -> NetworkSpec:
    """The networks of the options or, without any, those of the model to start from."""
    from dcgan_viz.networks import preset

    if model is None:
        return preset(wanted.preset or "lsun64", **wanted.architecture)
    differing = _differing(wanted, model.networks)
    if differing:
        raise UserError(f"{_contradict(differing)} the networks of {model.card.name}, which are taken")
    return model.networks


def _differing(wanted: _Wanted, networks: NetworkSpec) -> dict[str, Any]:
    """The options about architecture that are given and do not describe the networks."""
    from dcgan_viz.networks import preset
    from dcgan_viz.networks.presets import dcgan_options

    actual = dcgan_options(networks)
    if actual is None:
        # Not one of `dcgan`'s: only as a whole can it be what was asked for.
        whole = {**_given(preset=wanted.preset), **wanted.architecture}
        same = not whole or preset(wanted.preset or "lsun64", **wanted.architecture) == networks
        return {} if same else whole
    differing = {name: value for name, value in wanted.architecture.items() if actual[name] != value}
    if (
        wanted.preset is not None
        and preset(wanted.preset, **(actual if _is_adjustable(wanted.preset) else {})) != networks
    ):
        differing["preset"] = wanted.preset
    return differing


def _is_adjustable(name: str) -> bool:
    from dcgan_viz.networks import PRESETS

    return name not in PRESETS or PRESETS[name].adjustable


def _settings(wanted: _Wanted) -> TrainingSettings:
    """The settings of the options and the preset, for as many steps as were asked for, or for one."""
    from dcgan_viz.networks import PRESETS
    from dcgan_viz.training.settings import TrainingSettings

    _check_epochs(wanted.epochs)
    usual = PRESETS[wanted.preset].training if wanted.preset else {}
    return TrainingSettings(**{"steps": 1 if wanted.steps is None else wanted.steps, **usual, **wanted.settings})


def _check_epochs(epochs: float | None) -> None:
    if epochs is not None and not 0 < epochs < math.inf:
        raise UserError(f"--epochs must be a positive number, not {epochs}")


def _refuse_contradictions(wanted: _Wanted, saved: SavedRun) -> None:
    """A resumed run is the one that was begun: what says otherwise is named."""
    from dcgan_viz.model import load

    run = saved.run
    said = {"name": run.card.name, "data_note": run.card.data, "terms": run.card.terms}
    differing = {
        **_differing(wanted, run.networks),
        **{name: value for name, value in wanted.settings.items() if getattr(run.settings, name) != value},
        **{name: value for name, value in wanted.card.items() if said[name] != value},
    }
    if wanted.precision not in ("auto", run.execution.precision):
        differing["precision"] = wanted.precision
    if wanted.start_from is not None and load(wanted.start_from).card.name != run.start_from:
        differing["start_from"] = wanted.start_from
    if differing:
        raise UserError(
            f"{_contradict(differing)} the run in {wanted.out} as it was begun, with which --resume goes on; or begin a new "
            "run in another folder"
        )
    _check_epochs(wanted.epochs)
    steps = wanted.steps
    if steps is not None and steps < max(saved.step, 1):
        raise UserError(
            f"the run has already done {counted(saved.step, 'step')}: ask for more than {steps}, or go back with --from-step"
        )


def _contradict(options: Mapping[str, Any]) -> str:
    """The beginning of a sentence about options, as they are typed."""
    words = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        shown = ",".join(value) if isinstance(value, tuple) else str(value)
        words.append(option if value is True else f"{option} {shlex.quote(shown)}")
    one = len(words) == 1
    return f"leave out {' and '.join(words)}, which {'contradicts' if one else 'contradict'}"


def _read(wanted: _Wanted, networks: NetworkSpec) -> ImageSet:
    from dcgan_viz.data.images import load_images
    from dcgan_viz.progress import show

    channels, size, _ = networks.image_shape
    return load_images(
        wanted.data, size, channels, keep_list=wanted.keep_list, skip_broken=wanted.skip_broken, progress=show
    )


def _encoder(wanted: _Wanted, device: str) -> Encoder | None:
    from dcgan_viz.judges.encoder import load_encoder

    if wanted.monitor is None or not leads():
        return None
    return load_encoder(None if wanted.monitor == "bundled" else wanted.monitor, device)


def _quality(encoder: Encoder | None, images: ImageSet) -> Callable[[Tensor], float] | None:
    from dcgan_viz.analysis.quality.monitoring import kernel_quality

    return None if encoder is None else kernel_quality(encoder, images)


def _steps(wanted: _Wanted, images: int, batch_size: int, epochs: float) -> int:
    """Batches that were asked for, in steps or in epochs, or of so many epochs."""
    if wanted.steps is not None:
        return wanted.steps
    per_epoch = max(images // (batch_size * int(os.environ.get("WORLD_SIZE", "1"))), 1)
    return round((epochs if wanted.epochs is None else wanted.epochs) * per_epoch)


def _way_on(out: Path) -> str:
    """The command that goes on with the run, or the word that there is none yet."""
    from dcgan_viz.training.checkpoints import list_checkpoints
    from dcgan_viz.training.run import CHECKPOINTS

    if not list_checkpoints(out / CHECKPOINTS):
        return "no checkpoint was saved yet: start again with the same command"
    context = click.get_current_context()
    words = [*launcher(), str(context.params["data"]), "--out", str(context.params["out"])]
    if context.params["device"] != "auto":
        words += ["--device", context.params["device"]]
    if context.params["keep_list"] is not None:
        words += ["--keep-list", str(context.params["keep_list"])]
    words += [option for option in ("--skip-broken",) if context.params["skip_broken"]]
    return f"go on with\n  {shlex.join([*words, '--resume'])}"


def launcher() -> list[str]:
    """What starts this command: by itself, or on as many processes as now."""
    processes, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if processes == 1:
        return ["dcgan-viz", "train"]
    nodes = ["--nnodes", str(processes // local)] if processes > local else []
    return ["torchrun", *nodes, "--nproc-per-node", str(local), "-m", "dcgan_viz.cli.main", "train"]


def _say(line: str) -> None:
    """Say a sentence of the library."""
    from dcgan_viz.progress import say

    say(in_options(line))


def _report(result: TrainingResult, asked: Stopping, as_json: bool) -> None:
    """Say what came out; a run that was stopped says how to go on, and exits as a process that a signal ended."""
    if not result.finished:
        if leads():
            echo(
                f"stopped after step {result.steps}; all of it is in {result.checkpoint}; {_way_on(result.folder)}\n"
                f"(with --steps {result.steps} it ends there and writes the model)",
                err=True,
            )
        click.get_current_context().exit(asked.exit_code)
    if not leads():
        return
    folder, model = str(result.folder), str(result.model)
    if as_json:
        numbers = {
            "folder": folder,
            "model": model,
            "steps": result.steps,
            "warnings": [in_options(w) for w in result.warnings],
        }
        echo(json.dumps({**numbers, **_given(best=result.best)}))
    else:
        best = "" if result.best is None else f"; the best was that of step {result.best}, in {result.folder / 'best'}"
        stand = f" ({counted(len(result.warnings), 'warning')} not over)" if result.warnings else ""
        echo(
            f"{counted(result.steps, 'step')} done{stand}; the model is in {model}{best}: "
            f"dcgan-viz sample --model {shlex.quote(folder)}"
        )


def _command(wanted: _Wanted, **decided: Any) -> str:
    """The command that begins this run again, with what was decided meanwhile."""
    if wanted.monitor is not None and Path(wanted.monitor).is_dir():
        decided["monitor"] = Path(wanted.monitor)
    line = command_line(leave_out=("resume", "from_step", "epochs"), **decided)
    return shlex.join([*launcher(), *shlex.split(line)[2:]])


def _with_steps(command: str, steps: int) -> str:
    """A command with another number of steps."""
    words = shlex.split(command)
    for option in ("--steps", "--epochs"):
        if option in words[:-1]:
            place = words.index(option)
            words[place : place + 2] = ["--steps", str(steps)]
    return shlex.join(words)
