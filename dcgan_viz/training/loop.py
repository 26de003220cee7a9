"""The training run: from pictures to a saved model, resumable at any checkpoint."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.data.images import ImageSet, to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.media.pictures import save_picture, tile
from dcgan_viz.model import DCGAN, Card, draw_latents
from dcgan_viz.networks.modules import Generator, make_discriminator
from dcgan_viz.networks.spec import NetworkSpec
from dcgan_viz.networks.statistics import recalibrate
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.training.checkpoints import (
    Checkpoint,
    checkpoint_path,
    list_checkpoints,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from dcgan_viz.training.copying import MOST_ORIGINALS
from dcgan_viz.training.execution import Execution, Precision, choose_execution, launch
from dcgan_viz.training.log import RunLog
from dcgan_viz.training.monitor import Health, judge, spread
from dcgan_viz.training.settings import TrainingSettings
from dcgan_viz.training.step import Adversaries, StepMeans
from dcgan_viz.versions import versions

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LOG_EVERY = 25
"""Steps between two lines of the log; reading the losses waits for the device."""

GRID_SAMPLES = 64
RECALIBRATION_SAMPLES = 2048
"""Latents and photographs that the saved model's batch-norm statistics are measured on."""


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
    start_from: DCGAN | None = None,
    checkpoint_every: int | None = None,
    keep: int = 3,
    keep_every: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    resume: bool = False,
    from_step: int | None = None,
    say: Callable[[str], None] = lambda message: None,
    progress: Progress = silent,
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
    start_from : DCGAN, optional
        A trained model of the same architectures whose weights a new run starts from, to go on with it on other images.
    checkpoint_every : int, optional
        Steps between checkpoints; each also draws a sample grid, judges the run and saves the model. By default an
        epoch, but at least 100 steps and at most 1000.
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
    progress : Progress
        Shows how far the training is.

    Returns
    -------
    TrainingResult

    Raises
    ------
    UserError
        If the pictures do not fit the networks, `out` holds another run, a checkpoint is damaged, the losses are no
        longer finite, or a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from dcgan_viz.networks import dcgan
    >>> noise = ImageSet(np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), dtype=np.uint8), ("noise",) * 16)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train(noise, dcgan(16, width=4), TrainingSettings(steps=2, batch_size=8), folder, precision="fp32")
    ...     run.steps, (run.model / "card.json").exists()
    (2, True)
    """
    _check(images, networks, settings)
    if start_from is not None and start_from.networks != networks:
        raise UserError(f"{start_from.card.name} has other networks than this run: start from one with the same")
    folder = Path(out)
    checkpoints = folder / "checkpoints"
    start = _starting_checkpoint(checkpoints, resume, from_step)
    identity = {
        "networks": networks.to_dict(),
        "settings": settings.to_dict(),
        "images": {"count": len(images), "sha256": _digest(images.pixels)},
    }
    if start is None:
        execution = choose_execution(networks, settings, device, precision, say)
    else:
        execution = Execution(**start.run["execution"])
        _check_same_run(identity, start)
    fabric = launch(device, execution)
    batches = _Batches(images, settings, fabric)
    interval = checkpoint_every or min(max(batches.steps_an_epoch, 100), 1000)
    run = {
        **identity,
        "execution": asdict(execution),
        "versions": versions(),
        "device": _device_name(fabric.device),
        "devices": fabric.world_size,
    }
    torch.manual_seed(settings.seed)
    originals = images.tensor(np.arange(len(images))) if settings.copying else None
    players = Adversaries(fabric, networks, settings, execution.memory_format, originals)
    health = Health()
    done = 0
    if start is None and start_from is not None:
        run["start_from"] = start_from.card.name
        players.start_from(start_from.generator, start_from.discriminator)
    if start is not None:
        run |= {key: start.run[key] for key in ("start_from",) if key in start.run}
        players.restore(start.tensors)
        done, health = start.step, Health(**start.run["health"])
        say(f"resuming after step {done}")
    log = _open_log(folder, checkpoints, done) if fabric.is_global_zero else None
    means = _MeanLosses(fabric, batches.images_a_step)
    warnings: tuple[str, ...] = ()
    note = ""
    stage = Stage("training", settings.steps, first=done, note=lambda: note)
    for step in progress(range(done, settings.steps), stage):
        real, random = batches.at(step)
        real = fabric.to_device(real.contiguous(memory_format=execution.memory_format))
        means.add(players.step(real, step, random).stacked())
        finished = step + 1
        at_checkpoint = finished % interval == 0 or finished == settings.steps
        if finished % LOG_EVERY == 0 or at_checkpoint:
            tick, rate = means.read()
            if log is not None:
                log.write(finished, tick, rate)
            note = (
                f"D {tick.loss_d:.2f} G {tick.loss_g:.2f} D(x) {tick.d_real:.2f} D(G(z)) {tick.d_generated:.2f}, "
                f"{rate:.0f} images/s"
            )
            if not np.isfinite(list(vars(tick).values())).all():
                raise UserError(
                    f"the losses are no longer finite at step {finished}: {_way_back(health.last_healthy)}, or "
                    "train with a lower learning rate or --precision fp32"
                )
        if at_checkpoint:
            if log is not None:
                model = _finished(players, networks, images, card, run, finished)
                samples = model.sample(GRID_SAMPLES, seed=settings.seed)
                photographs = _spread_out(images, GRID_SAMPLES)
                seen = finished * batches.images_a_step
                health, sentences = judge(health, finished, seen, tick, spread(samples), spread(photographs))
                save_picture(tile(to_pixels(samples)), folder / "samples" / f"step-{finished:08d}.png")
                log.picture(finished, samples)
                state = Checkpoint(finished, players.tensors(), {**run, "health": asdict(health)})
                save_checkpoint(checkpoints, state)
                prune_checkpoints(checkpoints, keep, keep_every, health.last_healthy)
                model.save(folder / "model")
                warnings = tuple(f"step {finished}: {s}; {_way_back(health.last_healthy)}" for s in sentences)
                for warning in warnings:
                    say(warning)
            fabric.barrier()
            means.restart()
    if log is not None:
        log.close()
    return TrainingResult(folder, folder / "model", settings.steps, warnings)


class _Batches:
    """The real images of every step, and the random numbers that go with them, as functions of seed and step."""

    def __init__(self, images: ImageSet, settings: TrainingSettings, fabric: Fabric) -> None:
        self.images, self.settings, self.rank = images, settings, fabric.global_rank
        self.images_a_step = settings.batch_size * fabric.world_size
        self.steps_an_epoch = len(images) // self.images_a_step
        if self.steps_an_epoch == 0:
            raise UserError(
                f"{len(images)} images do not fill one batch of {settings.batch_size} on {fabric.world_size} "
                "device(s): give more images or a smaller batch size"
            )
        self.epoch, self.order = -1, np.empty(0, np.int64)

    def at(self, step: int) -> tuple[Tensor, np.random.Generator]:
        """The batch of this process (N, C, H, W) in [-1, 1] of a step, and the random numbers for the rest of it."""
        settings = self.settings
        epoch, batch = divmod(step, self.steps_an_epoch)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, np.random.default_rng([settings.seed, epoch]).permutation(len(self.images))
        first = batch * self.images_a_step + self.rank * settings.batch_size
        random = np.random.default_rng([settings.seed, self.rank, step, 1])
        # In ascending order a memory-mapped array is read forwards.
        real = self.images.tensor(np.sort(self.order[first : first + settings.batch_size]))
        if settings.flip:
            mirrored = torch.from_numpy(random.random(len(real)) < 0.5)
            real[mirrored] = real[mirrored].flip(-1)
        return real, random


class _MeanLosses:
    """Losses summed on the device and read once a tick."""

    def __init__(self, fabric: Fabric, images_a_step: int) -> None:
        self.fabric, self.images_a_step = fabric, images_a_step
        self.sums = torch.zeros(4, device=fabric.device)
        self.restart()

    def restart(self) -> None:
        """Begin a new tick."""
        self.sums.zero_()
        self.start, self.steps = time.perf_counter(), 0

    def add(self, losses: Tensor) -> None:
        """Add one step's losses (4,)."""
        self.sums += losses
        self.steps += 1

    def read(self) -> tuple[StepMeans, float]:
        """The means over steps and devices, and the images per second; begins a new tick."""
        reduced = self.fabric.all_reduce(self.sums / self.steps, reduce_op="mean")
        assert isinstance(reduced, Tensor)
        means = StepMeans(*reduced.tolist())
        rate = self.steps * self.images_a_step / (time.perf_counter() - self.start)
        self.restart()
        return means, rate


def _check(images: ImageSet, networks: NetworkSpec, settings: TrainingSettings) -> None:
    if networks.discriminator is None:
        raise UserError(
            "training needs a discriminator, and these networks have none: give the networks of a whole pair"
        )
    channels, size, _ = networks.image_shape
    if images.pixels.shape[1:] != (size, size, channels):
        raise UserError(
            f"the networks are for {size}x{size}x{channels} pictures, but these are "
            f"{'x'.join(map(str, images.pixels.shape[1:]))}: prepare them at that size"
        )
    if settings.copying and len(images) > MOST_ORIGINALS:
        raise UserError(f"a generator is made to copy at most {MOST_ORIGINALS} images, not {len(images)}: give fewer")


def _starting_checkpoint(checkpoints: Path, resume: bool, from_step: int | None) -> Checkpoint | None:
    steps = list_checkpoints(checkpoints)
    if not resume:
        if from_step is not None:
            raise UserError("--from-step goes back in a run that is resumed: add --resume")
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
            # A run of an earlier version lacks the settings that came later.
            old = {**TrainingSettings(steps=1).to_dict(), **old}
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


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _open_log(folder: Path, checkpoints: Path, done: int) -> RunLog:
    """The log, with all that lies behind the step to start from removed."""
    for later in (s for s in list_checkpoints(checkpoints) if s > done):
        checkpoint_path(checkpoints, later).unlink()
    return RunLog(folder, done)


def _spread_out(images: ImageSet, count: int) -> Tensor:
    """`count` pictures evenly spread over the set, as float images."""
    return images.tensor(np.unique(np.linspace(0, len(images) - 1, count).round().astype(np.int64)))


def _finished(
    players: Adversaries, networks: NetworkSpec, images: ImageSet, card: Card | None, run: dict[str, Any], steps: int
) -> DCGAN:
    """A copy of the networks for evaluation, its batch-norm statistics measured anew."""
    device = players.fabric.device
    generator, discriminator = Generator(networks.generator), make_discriminator(networks.discriminator)
    generator.load_state_dict(players.drawing_generator.state_dict())
    discriminator.load_state_dict(players.bare_discriminator.state_dict())
    generator.to(device), discriminator.to(device)
    spec = networks.generator
    z = draw_latents(RECALIBRATION_SAMPLES, spec.latent, spec.prior, np.random.default_rng(0))
    recalibrate(generator, [b.to(device) for b in z.split(128)])
    photographs = _spread_out(images, RECALIBRATION_SAMPLES)
    recalibrate(discriminator, [b.to(device) for b in photographs.split(128)])
    card = card or Card("untitled", "a DCGAN", networks)
    settings = run["settings"]
    training = {
        "steps": steps,
        "images in the set": len(images),
        "images seen": steps * settings["batch_size"] * run["devices"],
        "settings": settings,
        "execution": run["execution"],
        "device": run["device"],
        "devices": run["devices"],
        "versions": run["versions"],
        **({"started from": run["start_from"]} if "start_from" in run else {}),
        "images sha256": run["images"]["sha256"],
        "batch-norm statistics": f"measured on {len(z)} latents and {len(photographs)} training images",
    }
    return DCGAN(generator, discriminator, replace(card, networks=networks, training=training))


def _way_back(last_healthy: int | None) -> str:
    if last_healthy is None:
        return "start again with --flip, --augment or a lower learning rate"
    return f"the last healthy checkpoint is step {last_healthy}: --resume --from-step {last_healthy}"
