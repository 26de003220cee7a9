"""The training run: from pictures to a saved model, resumable at any checkpoint."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from dcgan_viz.data.images import ImageSet, to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file
from dcgan_viz.model import DCGAN, Card, draw_latents
from dcgan_viz.networks.modules import Discriminator, Generator
from dcgan_viz.networks.spec import NetworkSpec
from dcgan_viz.networks.statistics import recalibrate
from dcgan_viz.pictures import save_picture, tile
from dcgan_viz.training.checkpoints import (
    Checkpoint,
    checkpoint_path,
    list_checkpoints,
    load_checkpoint,
    optimizer_tensors,
    prune_checkpoints,
    restore_optimizer,
    save_checkpoint,
)
from dcgan_viz.training.monitor import judge, spread
from dcgan_viz.training.settings import TrainingSettings
from dcgan_viz.training.step import Adversaries, MovingAverage
from dcgan_viz.versions import versions

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Precision = Literal["auto", "fp32", "bf16"]

LOG_EVERY = 25
"""Steps between two lines of the log; reading the losses waits for the device."""

GRID_SAMPLES = 64
RECALIBRATION_SAMPLES = 2048
"""Latents and photographs that the saved model's batch-norm statistics are measured on."""


@dataclass(frozen=True)
class Execution:
    """How a run uses its device.

    Parameters
    ----------
    precision : {"fp32", "bf16"}
        bf16 is mixed: weights and optimiser stay float32.
    channels_last : bool
        Memory layout of images and weights.
    """

    precision: Literal["fp32", "bf16"]
    channels_last: bool

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout as torch names it."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


@dataclass(frozen=True)
class TrainingResult:
    """Where a finished run left its model.

    Parameters
    ----------
    folder, model : Path
        The run and the model in it.
    steps : int
        Steps done in all.
    warnings : tuple of str
        What the monitor said at the last checkpoint.
    """

    folder: Path
    model: Path
    steps: int
    warnings: tuple[str, ...]


def train(
    images: ImageSet,
    networks: NetworkSpec,
    settings: TrainingSettings,
    out: str | Path,
    *,
    card: Card | None = None,
    checkpoint_every: int = 1000,
    keep: int = 3,
    keep_every: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    resume: bool = False,
    from_step: int | None = None,
    say: Callable[[str], None] = lambda message: None,
    show_progress: bool = False,
) -> TrainingResult:
    """Train a pair of networks on pictures.

    Randomness is a function of the seed and the step alone, so a run that is killed and resumed
    goes on exactly as if it had not been.

    Parameters
    ----------
    images : ImageSet
        Pictures of the networks' size.
    networks : NetworkSpec
    settings : TrainingSettings
    out : path
        The run's folder: ``checkpoints/``, ``samples/``, ``model/``, ``tensorboard/``, ``metrics.jsonl``.
    card : Card, optional
        Name, data and terms for the saved model's card.
    checkpoint_every : int
        Steps between checkpoints; each also draws a sample grid, judges the run and saves the model.
    keep, keep_every : int
        Checkpoints that stay: the newest `keep`, and those at multiples of `keep_every`.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``. Under torchrun each process takes one device.
    precision : {"auto", "fp32", "bf16"}
        ``auto`` measures a few steps of each, in both memory layouts, and takes the fastest; runs that must repeat
        to the bit name one: bf16 is then channels-last, fp32 is not.
    resume : bool
        Go on from the newest checkpoint in `out`.
    from_step : int, optional
        With `resume`: go back to this checkpoint and drop the later ones.
    say : callable
        Receives warnings and remarks, one sentence each.
    show_progress : bool
        Draw a progress bar on standard error.

    Returns
    -------
    TrainingResult

    Raises
    ------
    UserError
        If the pictures do not fit the networks, `out` holds another run, or a checkpoint is damaged.
    """
    _check(images, networks)
    folder = Path(out)
    checkpoints = folder / "checkpoints"
    start = _starting_checkpoint(checkpoints, resume, from_step)
    identity = {
        "networks": networks.to_dict(),
        "settings": settings.to_dict(),
        "images": {"count": len(images), "sha256": _digest(images.pixels)},
    }
    if start is None:
        execution = _choose_execution(networks, settings, device, precision)
    else:
        execution = Execution(**start.run["execution"])
        _check_same_run(identity, start)
    fabric = _fabric(device, execution)
    run = {**identity, "execution": vars(execution), "versions": versions(), "device": _device_name(fabric.device)}
    per_epoch = len(images) // (settings.batch_size * fabric.world_size)
    if per_epoch == 0:
        raise UserError(
            f"{len(images)} images do not fill one batch of {settings.batch_size} on {fabric.world_size} "
            "device(s): give more images or a smaller batch size"
        )

    torch.manual_seed(settings.seed)
    generator, discriminator = Generator(networks.generator), Discriminator(networks.discriminator)
    players = Adversaries(
        fabric,
        generator.to(memory_format=execution.memory_format),
        discriminator.to(memory_format=execution.memory_format),
        networks.generator,
        settings,
    )
    average = MovingAverage(copy.deepcopy(generator), settings.ema) if settings.ema else None
    done = 0
    last_healthy: int | None = None
    if start is not None:
        _restore(players, generator, discriminator, average, start)
        done, last_healthy = start.step, start.run["last_healthy"]
        say(f"resuming after step {done}")
    if fabric.is_global_zero:
        for later in [s for s in list_checkpoints(checkpoints) if s > done]:
            checkpoint_path(checkpoints, later).unlink()
    log = _Log(folder, done) if fabric.is_global_zero else None
    bar = tqdm(
        total=settings.steps * settings.batch_size * fabric.world_size,
        initial=done * settings.batch_size * fabric.world_size,
        unit="img",
        unit_scale=True,
        disable=not (show_progress and fabric.is_global_zero),
        smoothing=0.05,
    )
    warnings: tuple[str, ...] = ()
    sums = torch.zeros(4, device=fabric.device)
    order: NDArray[np.int64] | None = None
    tick_start, tick_steps = time.perf_counter(), 0
    for step in range(done, settings.steps):
        epoch, batch = divmod(step, per_epoch)
        if order is None or batch == 0:
            order = np.random.default_rng([settings.seed, epoch]).permutation(len(images))
        first = (batch * fabric.world_size + fabric.global_rank) * settings.batch_size
        random = np.random.default_rng([settings.seed, fabric.global_rank, step, 1])
        real = images.tensor(np.sort(order[first : first + settings.batch_size]))
        if settings.flip:
            mirrored = torch.from_numpy(random.random(len(real)) < 0.5)
            real[mirrored] = real[mirrored].flip(-1)
        real = fabric.to_device(real.to(memory_format=execution.memory_format))
        losses = players.step(real, step, random)
        if average is not None:
            average.update(generator, step)
        sums += torch.stack([losses.discriminator, losses.generator, losses.real, losses.generated])
        tick_steps += 1
        bar.update(settings.batch_size * fabric.world_size)
        at_checkpoint = (step + 1) % checkpoint_every == 0 or step + 1 == settings.steps
        if (step + 1) % LOG_EVERY == 0 or at_checkpoint:
            means = (fabric.all_reduce(sums, reduce_op="mean") / tick_steps).tolist()
            rate = tick_steps * settings.batch_size * fabric.world_size / (time.perf_counter() - tick_start)
            if log is not None:
                log.write(step + 1, means, rate)
            bar.set_postfix_str(f"D {means[0]:.2f} G {means[1]:.2f} D(x) {means[2]:.2f} D(G(z)) {means[3]:.2f}")
            sums.zero_()
            tick_start, tick_steps = time.perf_counter(), 0
            if not np.isfinite(means).all():
                raise UserError(
                    f"the losses are no longer finite at step {step + 1}: go back with --resume --from-step "
                    f"{last_healthy or 'STEP'}, or train with a lower learning rate or --precision fp32"
                )
        if at_checkpoint:
            if fabric.is_global_zero:
                assert log is not None
                source = average.average if average is not None else generator
                model = _finished(source, discriminator, networks, images, card, run, step + 1, fabric.device)
                samples = model.sample(GRID_SAMPLES, seed=settings.seed)
                verdict = judge(
                    means[0], means[2], means[3], spread(samples), spread(_spread_out(images, GRID_SAMPLES))
                )
                save_picture(tile(to_pixels(samples)), folder / "samples" / f"step-{step + 1:08d}.png")
                log.picture(step + 1, samples)
                if verdict.healthy:
                    last_healthy = step + 1
                state = _tensors(players, generator, discriminator, average)
                save_checkpoint(checkpoints, Checkpoint(step + 1, state, {**run, "last_healthy": last_healthy}))
                prune_checkpoints(checkpoints, keep, keep_every, last_healthy)
                model.save(folder / "model")
                warnings = tuple(
                    f"step {step + 1}: {sentence}; " + _way_back(last_healthy) for sentence in verdict.warnings
                )
                for warning in warnings:
                    say(warning)
            fabric.barrier()
            tick_start = time.perf_counter()
    bar.close()
    if log is not None:
        log.close()
    return TrainingResult(folder, folder / "model", settings.steps, warnings)


def _check(images: ImageSet, networks: NetworkSpec) -> None:
    channels, size, _ = networks.image_shape
    if images.pixels.shape[1:] != (size, size, channels):
        raise UserError(
            f"the networks are for {size}x{size}x{channels} pictures, but these are "
            f"{'x'.join(map(str, images.pixels.shape[1:]))}: prepare them at that size"
        )


def _starting_checkpoint(checkpoints: Path, resume: bool, from_step: int | None) -> Checkpoint | None:
    steps = list_checkpoints(checkpoints)
    if not resume:
        if steps:
            raise UserError(
                f"{checkpoints.parent} already holds a run ({steps[-1]} steps): add --resume to go on, "
                "or choose another folder"
            )
        return None
    if not steps:
        raise UserError(f"{checkpoints} holds no checkpoint to resume from: start without --resume")
    wanted = steps[-1] if from_step is None else from_step
    if wanted not in steps:
        raise UserError(f"there is no checkpoint of step {wanted}: choose from {', '.join(map(str, steps))}")
    return load_checkpoint(checkpoint_path(checkpoints, wanted))


def _check_same_run(identity: dict[str, Any], start: Checkpoint) -> None:
    """Refuse to resume with anything changed but the number of steps."""
    for part in ("networks", "images", "settings"):
        old, new = dict(start.run[part]), json.loads(json.dumps(identity[part]))
        if part == "settings":
            old.pop("steps"), new.pop("steps")
        if old != new:
            changed = ", ".join(k for k in new if old.get(k) != new[k])
            raise UserError(f"the run to resume had other {part} ({changed}): resume it with the same")
    if start.step >= identity["settings"]["steps"]:
        raise UserError(f"the run has already done {start.step} steps: ask for more with --steps")


def _digest(pixels: NDArray[np.uint8]) -> str:
    digest = hashlib.sha256()
    for start in range(0, len(pixels), 4096):
        digest.update(np.ascontiguousarray(pixels[start : start + 4096]).tobytes())
    return digest.hexdigest()


def _fabric(device: str, execution: Execution) -> Fabric:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    processes = int(os.environ.get("WORLD_SIZE", "1"))
    # Two batch-norm forwards before one backward crash DDP when it also broadcasts buffers.
    strategy = DDPStrategy(broadcast_buffers=False) if processes > 1 else "auto"
    fabric = Fabric(
        accelerator="gpu" if device == "cuda" else device,
        strategy=strategy,
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        num_nodes=processes // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) or 1,
        precision="bf16-mixed" if execution.precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _choose_execution(
    networks: NetworkSpec, settings: TrainingSettings, device: str, precision: Precision
) -> Execution:
    """The way to run that was asked for, or the fastest over a few steps of each."""
    if precision != "auto":
        # Not measured, so that a seed gives the same weights every time: layouts differ in the last bits.
        return Execution(precision, channels_last=precision == "bf16")
    options = [Execution("fp32", False), Execution("fp32", True), Execution("bf16", False), Execution("bf16", True)]
    return min(options, key=lambda option: _seconds_per_step(networks, settings, device, option))


def _seconds_per_step(
    networks: NetworkSpec, settings: TrainingSettings, device: str, execution: Execution
) -> float:
    fabric = _fabric(device, execution)
    players = Adversaries(
        fabric,
        Generator(networks.generator).to(memory_format=execution.memory_format),
        Discriminator(networks.discriminator).to(memory_format=execution.memory_format),
        networks.generator,
        settings,
    )
    real = torch.zeros(settings.batch_size, *networks.image_shape).to(memory_format=execution.memory_format)
    real = fabric.to_device(real)
    random = np.random.default_rng(0)
    best = float("inf")
    for attempt in range(4):
        start = time.perf_counter()
        players.step(real, attempt, random).generator.item()
        # The first step also plans kernels and allocates memory.
        best = best if attempt == 0 else min(best, time.perf_counter() - start)
    return best


def _tensors(
    players: Adversaries, generator: nn.Module, discriminator: nn.Module, average: MovingAverage | None
) -> dict[str, Tensor]:
    parts = {"generator": generator, "discriminator": discriminator}
    if average is not None:
        parts["average"] = average.average
    tensors = {f"{part}.{name}": t for part, module in parts.items() for name, t in module.state_dict().items()}
    tensors.update(optimizer_tensors("generator_optimizer", players.generator_optimizer))
    tensors.update(optimizer_tensors("discriminator_optimizer", players.discriminator_optimizer))
    return tensors


def _restore(
    players: Adversaries,
    generator: nn.Module,
    discriminator: nn.Module,
    average: MovingAverage | None,
    start: Checkpoint,
) -> None:
    parts = {"generator": generator, "discriminator": discriminator}
    if average is not None:
        parts["average"] = average.average
    for part, module in parts.items():
        prefix = f"{part}."
        module.load_state_dict(
            {n.removeprefix(prefix): t for n, t in start.tensors.items() if n.startswith(prefix)}
        )
    restore_optimizer("generator_optimizer", players.generator_optimizer, start.tensors)
    restore_optimizer("discriminator_optimizer", players.discriminator_optimizer, start.tensors)


def _spread_out(images: ImageSet, count: int) -> Tensor:
    """`count` pictures evenly spread over the set, as float images."""
    return images.tensor(np.unique(np.linspace(0, len(images) - 1, count).round().astype(np.int64)))


def _finished(
    generator: nn.Module,
    discriminator: nn.Module,
    networks: NetworkSpec,
    images: ImageSet,
    card: Card | None,
    run: dict[str, Any],
    steps: int,
    device: torch.device,
) -> DCGAN:
    """A copy of the networks for evaluation, its batch-norm statistics measured anew."""
    drawer, judge_network = Generator(networks.generator), Discriminator(networks.discriminator)
    drawer.load_state_dict(generator.state_dict())
    judge_network.load_state_dict(discriminator.state_dict())
    drawer.to(device), judge_network.to(device)
    spec = networks.generator
    z = draw_latents(RECALIBRATION_SAMPLES, spec.latent, spec.prior, np.random.default_rng(0))
    recalibrate(drawer, [b.to(device) for b in z.split(128)])
    photographs = _spread_out(images, RECALIBRATION_SAMPLES)
    recalibrate(judge_network, [b.to(device) for b in photographs.split(128) if len(b) > 1])
    card = card or Card("untitled", "a DCGAN", networks)
    settings = run["settings"]
    training = {
        "steps": steps,
        "images in the set": len(images),
        "images seen": steps * settings["batch_size"],
        "settings": settings,
        "execution": run["execution"],
        "device": run["device"],
        "versions": run["versions"],
        "images sha256": run["images"]["sha256"],
        "batch-norm statistics": f"measured on {len(z)} latents and {len(photographs)} training images",
    }
    return DCGAN(drawer, judge_network, replace(card, networks=networks, training=training))


def _way_back(last_healthy: int | None) -> str:
    if last_healthy is None:
        return "start again with --flip, --augment or a lower learning rate"
    return f"the last healthy checkpoint is step {last_healthy}: --resume --from-step {last_healthy}"


class _Log:
    """The run's record: JSON lines and TensorBoard."""

    def __init__(self, folder: Path, done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        path = folder / "metrics.jsonl"
        # What an interrupted run logged after its last checkpoint is done again, so it is dropped.
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= done]
        with atomic_file(path) as temporary:
            temporary.write_text("".join(kept))
        self.file = path.open("a")
        self.tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1)

    def write(self, step: int, means: list[float], rate: float) -> None:
        names = ("loss_d", "loss_g", "d_real", "d_generated")
        values = dict(zip(names, (round(m, 5) for m in means), strict=True))
        self.file.write(json.dumps({"step": step, **values, "images_per_second": round(rate, 1)}) + "\n")
        self.file.flush()
        for name, value in values.items():
            self.tensorboard.add_scalar(name, value, step)
        self.tensorboard.add_scalar("images_per_second", rate, step)

    def picture(self, step: int, samples: Tensor) -> None:
        self.tensorboard.add_image("samples", tile(to_pixels(samples)), step, dataformats="HWC")

    def close(self) -> None:
        self.file.close()
        self.tensorboard.close()


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open() as file:
        # A line cut short by a kill has no newline at its end.
        return [line for line in file if line.endswith("\n")]
