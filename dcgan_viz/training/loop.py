"""The training run: from pictures to a saved model, resumable at any checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dcgan_viz.card import PAGE_FILE, Card
from dcgan_viz.data.images import ImageSet, spread_over, to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.files import writing
from dcgan_viz.folders import is_half_replaced
from dcgan_viz.locking import check_free, only_process, was_locked
from dcgan_viz.media.pictures import save_picture, tile
from dcgan_viz.model import DCGAN, load
from dcgan_viz.networks.spec import NetworkSpec
from dcgan_viz.networks.weights import NotFiniteError
from dcgan_viz.progress import Progress, Stage, leads, silent
from dcgan_viz.training.batches import Batches
from dcgan_viz.training.checkpoints import (
    Checkpoint,
    checkpoint_path,
    list_checkpoints,
    load_checkpoint,
    prune_checkpoints,
    remove_checkpoint,
    save_checkpoint,
)
from dcgan_viz.training.copying import MOST_ORIGINALS
from dcgan_viz.training.execution import Execution, Precision, choose_device, choose_execution, launch, settled_threads
from dcgan_viz.training.log import METRICS_FILE, TENSORBOARD, RunLog
from dcgan_viz.training.means import MeanLosses
from dcgan_viz.training.monitor import Health, diagnose, diversity, rank
from dcgan_viz.training.run import (
    BEST,
    CHECKPOINTS,
    MODEL,
    SAMPLES,
    Run,
    SavedRun,
    images_digest,
    read_run,
    usual_interval,
)
from dcgan_viz.training.settings import TrainingSettings
from dcgan_viz.training.snapshot import take_model, with_best
from dcgan_viz.training.step import Adversaries, StepMeans, check_weights
from dcgan_viz.untrusted import as_text, validate
from dcgan_viz.versions import versions
from dcgan_viz.words import counted, way_out

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LOG_EVERY = 25
"""Steps between two lines of the log; reading the losses waits for the device."""

GRID_SAMPLES = 64
QUALITY_SAMPLES = 2048
"""Samples that the quality of a checkpoint is measured on."""

Quality = Callable[[Tensor], float]
"""How far samples (N, C, H, W) in [-1, 1] are from what they should be: the lower the better."""

Stop = Callable[[], bool]


def never() -> bool:
    """A run's default reason to stop."""
    return False


def ignore(sentence: str) -> None:
    """A run's default hearer."""


@dataclass(frozen=True)
class TrainingResult:
    """Where a run left its model.

    Parameters
    ----------
    folder, model : Path
        The run and the model in it.
    steps : int
        Steps done in all.
    finished : bool
        Whether these are all that were asked for; otherwise the run was stopped after a checkpoint.
    checkpoint : Path
        The newest.
    best : int, optional
        The checkpoint of the lowest quality number, whose model is in ``best/``.
    warnings : tuple of str
        The monitor's warnings that still stand.
    """

    folder: Path
    model: Path
    steps: int
    finished: bool
    checkpoint: Path
    best: int | None = None
    warnings: tuple[str, ...] = ()


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
    overwrite: bool = False,
    quality: Quality | None = None,
    stop: Stop = never,
    say: Callable[[str], None] = ignore,
    progress: Progress = silent,
) -> TrainingResult:
    """Train a pair of networks on pictures.

    Randomness is a function of the seed and the step alone, so a run that is killed and resumed goes on exactly as if
    it had not been, on the same kind of device with as many threads.

    Parameters
    ----------
    images : ImageSet
        Pictures of the networks' size.
    networks : NetworkSpec
    settings : TrainingSettings
    out : path
        The run's folder: ``checkpoints/``, ``samples/``, ``model/``, ``tensorboard/``, ``metrics.jsonl``.
    card : Card, optional
        Name, data, terms and command for the saved model's card.
    start_from : DCGAN, optional
        A trained model of the same architectures whose weights a new run starts from, to go on with it on other images.
    checkpoint_every : int, optional
        Steps between checkpoints; each also draws a sample grid, judges the run and saves the model. By default an
        epoch, but at least 100 steps and at most 1000.
    keep, keep_every : int
        Checkpoints that stay: the newest `keep`, and those at multiples of `keep_every`. So do the last healthy one and
        the best.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``. Under torchrun each process takes one device.
    precision : {"auto", "fp32", "bf16"}
        See `choose_execution`.
    overwrite : bool
        Train in a folder that holds files of the names that a run writes: those in its way are replaced, the others stay.
    quality : callable, optional
        Measures 2,048 samples (N, C, H, W) at every checkpoint, the lower the better. The best checkpoint stays, its
        model is saved as ``best/`` and named on the card.
    stop : callable
        Asked after every step; when it says so, a checkpoint is saved and the run ends.
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
        If the pictures do not fit the networks, `out` holds another run or another process is at work in it, the losses
        are no longer finite, or a file cannot be written.

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
    folder, device = Path(out), choose_device(device)
    if as_text(str(folder)) != str(folder):
        raise UserError(f"the name {as_text(str(folder))} is not UTF-8, as TensorBoard wants it: choose another folder")
    check_idle(folder)
    execution = choose_execution(device, precision)
    _check(images, networks, settings)
    check_new(folder, overwrite)
    if start_from is not None and start_from.networks != networks:
        raise UserError(f"{start_from.card.name} has other networks than this run: start from one with the same")
    fabric = launch(device, execution)
    batches = _batches(images, settings, fabric, execution)
    run = Run(
        networks,
        settings,
        len(images),
        images_digest(images.pixels),
        execution,
        card or Card("untitled", "a DCGAN", networks),
        checkpoint_every or usual_interval(len(images), settings, fabric.world_size),
        None if start_from is None else start_from.card.name,
        _device_name(fabric.device),
        versions(),
        fabric.world_size,
        _threads(fabric.device),
    )
    with _alone(folder), settled_threads():
        check_new(folder, overwrite)
        training = _Training(folder, run, images, batches, fabric, keep, keep_every, quality, say, overwrite=overwrite)
        if start_from is not None:
            training.players.start_from(start_from.generator, start_from.discriminator)
        return training.go_on(stop, progress)


def resume_training(
    images: ImageSet,
    out: str | Path,
    *,
    steps: int | None = None,
    from_step: int | None = None,
    card: Card | None = None,
    checkpoint_every: int | None = None,
    keep: int = 3,
    keep_every: int = 0,
    overwrite: bool = False,
    device: str = "auto",
    quality: Quality | None = None,
    stop: Stop = never,
    say: Callable[[str], None] = ignore,
    progress: Progress = silent,
) -> TrainingResult:
    """Go on with a run from its newest whole checkpoint, with its own networks, settings, precision and card.

    A run that has done all its steps gets what it lacks, such as the model if it was killed before that was saved.

    Parameters
    ----------
    images : ImageSet
        Those that the run was trained on.
    out : path
        The run's folder.
    steps : int, optional
        To train for in all; by default as many as before.
    from_step : int, optional
        Go back to this checkpoint and drop the later ones.
    card : Card, optional
    checkpoint_every : int, optional
        By default as before.
    overwrite : bool
        Replace the model, its card and grids of samples even where they were changed since the run wrote them.
    keep, keep_every, device, quality, stop, say, progress
        As in `train`.

    Returns
    -------
    TrainingResult

    Raises
    ------
    UserError
        As in `train`; also if there is no such checkpoint, the images are others, more steps are done than `steps`, or
        the run's model was changed by somebody.

    Examples
    --------
    >>> import tempfile
    >>> from dcgan_viz.networks import dcgan
    >>> noise = ImageSet(np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), dtype=np.uint8), ("noise",) * 16)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train(noise, dcgan(16, width=4), TrainingSettings(steps=2, batch_size=8), folder, precision="fp32")
    ...     resume_training(noise, folder, steps=3).steps
    3
    """
    folder, say = Path(out), say if leads() else ignore
    check_idle(folder)
    saved = read_run(folder, from_step)
    for place in (MODEL, BEST):
        DCGAN.check_folder(folder / place, overwrite, again=True)
    settings = replace(saved.run.settings, steps=saved.run.settings.steps if steps is None else steps)
    _check_resumable(saved, images, settings.steps)
    fabric = launch(choose_device(device), saved.run.execution)
    batches = _batches(images, settings, fabric, saved.run.execution)
    run = replace(
        saved.run,
        settings=settings,
        card=card or saved.run.card,
        checkpoint_every=checkpoint_every or saved.run.checkpoint_every,
        device=_device_name(fabric.device),
        versions=versions(),
        processes=fabric.world_size,
        threads=_threads(fabric.device),
    )
    with _alone(folder), settled_threads():
        # Read again: another process may have been at work until now.
        saved = read_run(folder, from_step)
        start = load_checkpoint(checkpoint_path(folder / CHECKPOINTS, saved.step))
        check_weights(saved.run.networks, start.tensors)
        if fabric.is_global_zero:
            _set_aside(saved, say)
        fabric.barrier()
        if saved.run.processes != run.processes:
            say(
                f"the run goes on with {counted(run.processes, 'process')} after {saved.run.processes}: a step now takes "
                f"{batches.images_a_step} images, in another order, so the weights will not be those of an unbroken run"
            )
        if saved.run.threads and run.threads and saved.run.threads != run.threads:
            say(
                f"the run goes on with {counted(run.threads, 'thread')} after {saved.run.threads}, which rounds sums otherwise: "
                f"for the weights of an unbroken run, set OMP_NUM_THREADS={saved.run.threads}"
            )
        say(f"resuming after step {start.step}")
        training = _Training(folder, run, images, batches, fabric, keep, keep_every, quality, say, start, overwrite)
        for warning in training.standing():
            say(warning)
        return training.go_on(stop, progress)


class _Training:
    """A run at work: what `train` and `resume_training` share."""

    def __init__(
        self,
        folder: Path,
        run: Run,
        images: ImageSet,
        batches: Batches,
        fabric: Fabric,
        keep: int,
        keep_every: int,
        quality: Quality | None,
        say: Callable[[str], None],
        start: Checkpoint | None = None,
        overwrite: bool = False,
    ) -> None:
        self.folder, self.run, self.images, self.batches, self.fabric = folder, run, images, batches, fabric
        self.keep, self.keep_every, self.quality, self.say = keep, keep_every, quality, say
        self.overwrite = overwrite
        torch.manual_seed(run.settings.seed)
        originals = images.tensor(np.arange(len(images))) if run.settings.copying else None
        self.players = Adversaries(fabric, run.networks, run.settings, run.execution.memory_format, originals)
        self.means = MeanLosses(fabric, batches.images_a_step)
        self.health, self.done, self.images_seen, self.note = Health(), 0, 0, ""
        if start is not None:
            self._restore(start, start.run["devices"])
        self.log = _open_log(folder, self.done, say) if fabric.is_global_zero else None

    def _restore(self, start: Checkpoint, processes: int) -> None:
        self.players.restore(start.tensors)
        self.means.restore(start.tensors)
        self.done, self.health = start.step, Health.from_dict(start.run.get("health"))
        if self.health.last_healthy not in (None, *list_checkpoints(self.folder / CHECKPOINTS)):
            # It is removed only once a later one is known to be healthy: the run goes back to that.
            self.health = replace(self.health, last_healthy=self.health.candidate)
        usual = start.step * self.run.settings.batch_size * processes
        self.images_seen = validate(start.run.get("images_seen", usual), int)

    def go_on(self, stop: Stop, progress: Progress) -> TrainingResult:
        """Train from where the run is to its end, or until it is to stop."""
        total = self.run.settings.steps
        try:
            self._train(total, stop, progress)
        except BaseException as error:
            # What went wrong is on its way to the user; what the log cannot write then is not.
            with suppress(Exception):
                self.close()
            alone = self.fabric.world_size == 1 or isinstance(error, torch.OutOfMemoryError)
            if alone or not isinstance(error, RuntimeError):
                raise
            # How torch.distributed says that it waits in vain.
            raise UserError(f"another process of this run has ended after step {self.done}; {self._last()}") from error
        self.close()
        newest = checkpoint_path(self.folder / CHECKPOINTS, self.done)
        return TrainingResult(
            self.folder, self.folder / MODEL, self.done, self.done == total, newest, self.health.best, self.standing()
        )

    def close(self) -> None:
        """Write what the log holds back."""
        if self.log is not None:
            self.log.close()

    def _train(self, total: int, stop: Stop, progress: Progress) -> None:
        if self._is_regular(self.done):
            self._complete()
        stage = Stage("training", total, first=self.done, note=lambda: self.note)
        for step in progress(range(self.done, total), stage):
            self._step(step)
            if self._is_regular(self.done):
                self._checkpoint(*self._tick())
            elif self.done % LOG_EVERY == 0:
                self._tick()
            if self._agree(stop):
                break
        if not self._is_regular(self.done):
            self._save()
        self.fabric.barrier()

    def _is_regular(self, step: int) -> bool:
        """Whether a checkpoint is due after a step."""
        return step > 0 and (step % self.run.checkpoint_every == 0 or step == self.run.settings.steps)

    def _step(self, step: int) -> None:
        real, random = self.batches.at(step)
        self.means.add(self.players.step(real, step, random).stacked())
        self.done = step + 1
        self.images_seen += self.batches.images_a_step

    def _agree(self, stop: Stop) -> bool:
        """Whether the run is to stop, which all its processes must decide alike."""
        if self.fabric.world_size == 1:
            return stop()
        if self.fabric.device.type != "cpu" and self.done % LOG_EVERY:
            # Asking the others waits for the device, which is to stay busy.
            return False
        told = self.fabric.all_reduce(torch.tensor(float(stop()), device=self.fabric.device), reduce_op="sum")
        return bool(told)

    def _tick(self) -> tuple[StepMeans, float]:
        """Read the losses since the last tick, refuse what is not finite, and write the line of an ordinary step."""
        means, rate = self.means.read()
        if not np.isfinite(list(vars(means).values())).all():
            raise self._diverged("the losses are")
        self.note = (
            f"D {means.loss_d:.2f} G {means.loss_g:.2f} D(x) {means.d_real:.2f} D(G(z)) {means.d_generated:.2f}, "
            f"{rate:.0f} images/s"
        )
        if self.log is not None and not self._is_regular(self.done):
            self.log.write(self.done, means, rate)
        return means, rate

    def _checkpoint(self, means: StepMeans, rate: float) -> None:
        """Judge the run and save all of it; what comes before the checkpoint itself is there whenever that is."""
        if self.log is not None:
            # Before anything is drawn with them: losses can be finite once more after the weights are not.
            if not all(torch.isfinite(tensor).all() for tensor in self.players.tensors().values()):
                raise self._diverged("weights or their averages are")
            model = self._model()
            samples = model.sample(GRID_SAMPLES, seed=self.run.settings.seed)
            photographs = spread_over(self.images, GRID_SAMPLES)
            self.health, changes = diagnose(
                self.health, self.done, self.images_seen, means, diversity(samples), diversity(photographs)
            )
            value, stalled = self._rank(model)
            self.log.write(self.done, means, rate, value)
            self.log.picture(self.done, samples)
            self._save_grid(samples)
            self._save()
            self._save_model(model)
            for warning in changes.begun:
                self.say(f"{warning}; {_way_back(self.health.last_healthy)}")
            for remark in (*changes.ended, *([] if stalled is None else [f"step {self.done}: {stalled}"])):
                self.say(remark)
        self.fabric.barrier()
        self.means.restart()

    def standing(self) -> tuple[str, ...]:
        """The warnings that stand, each with the way back."""
        way_back = _way_back(self.health.last_healthy)
        return tuple(f"{warning.sentence}; {way_back}" for warning in self.health.standing.values())

    def _rank(self, model: DCGAN) -> tuple[float | None, str | None]:
        if self.quality is None:
            return None, None
        value = float(self.quality(model.sample(QUALITY_SAMPLES, seed=self.run.settings.seed)))
        self.health, stalled = rank(self.health, self.done, value)
        return value, stalled

    def _save(self) -> None:
        """Write a checkpoint, with the losses since the last tick if there are any, and remove those that need not stay."""
        tensors = self.means.tensors() if self.means.steps else {}
        if self.log is None:
            return
        state: dict[str, Any] = {"health": asdict(self.health), "images_seen": self.images_seen}
        checkpoint = Checkpoint(self.done, {**self.players.tensors(), **tensors}, {**self.run.to_dict(), **state})
        try:
            save_checkpoint(self.folder / CHECKPOINTS, checkpoint)
        except NotFiniteError as error:
            raise self._diverged("weights or their averages are") from error
        except UserError as error:
            raise UserError(f"{error}; {self._last()}") from error
        self._prune()

    def _prune(self) -> None:
        protected = (self.health.last_healthy, self.health.candidate, self.health.best)
        prune_checkpoints(self.folder / CHECKPOINTS, self.keep, self.keep_every, protected)

    def _save_grid(self, samples: Tensor) -> None:
        file = self.folder / SAMPLES / f"step-{self.done:08d}.png"
        save_picture(tile(to_pixels(samples)), file, overwrite=self.overwrite, again=True)

    def _save_model(self, model: DCGAN) -> None:
        if self.health.best == self.done:
            model.save(self.folder / BEST, self.overwrite, again=True)
        with_best(model, self.health).save(self.folder / MODEL, self.overwrite, again=True)

    def _model(self) -> DCGAN:
        return take_model(self.players, self.run, self.images, self.done, self.images_seen)

    def _complete(self) -> None:
        """Write what a checkpoint should have beside it and has not, since the run was killed or stopped then."""
        if self.means.steps:
            # It was saved between two lines of the log, when the run was stopped.
            self._checkpoint(*self._tick())
            return
        if self.log is None:
            return
        self._prune()
        grid = (self.folder / SAMPLES / f"step-{self.done:08d}.png").is_file()
        models = [MODEL, *([BEST] if self.health.best == self.done else [])]
        if grid and all(_is_of_step(self.folder / place, self.done) for place in models):
            return
        self.say(f"writing what step {self.done} lacks")
        model = self._model()
        if not grid:
            self._save_grid(model.sample(GRID_SAMPLES, seed=self.run.settings.seed))
        self._save_model(model)

    def _diverged(self, what: str) -> UserError:
        new = " with" if not list_checkpoints(self.folder / CHECKPOINTS) else ", or begin a new run with"
        return UserError(
            f"the training has diverged: {what} no longer finite at step {self.done}; {self._last(healthy=True)}{new} a lower "
            "`learning_rate` or `r1`, or `precision=fp32`"
        )

    def _last(self, healthy: bool = False) -> str:
        """Where to go on after something went wrong: the newest checkpoint, or the newest without a warning."""
        steps = list_checkpoints(self.folder / CHECKPOINTS)
        if not steps:
            return "there is no checkpoint yet: start again"
        step = self.health.last_healthy if healthy and self.health.last_healthy in steps else steps[-1]
        back = "" if step == steps[-1] else f" and `from_step={step}`"
        place = checkpoint_path(self.folder / CHECKPOINTS, step)
        return f"the last {'healthy ' if back else ''}checkpoint is {place}: go on from it with `resume=True`{back}"


def check_idle(folder: Path) -> None:
    """Refuse a folder that another run is at work in; of several processes the first asks for all.

    Raises
    ------
    UserError
    """
    if leads():
        check_free(folder)


def check_new(folder: Path, overwrite: bool = False) -> None:
    """Refuse a folder for a new run that holds one, or files that a run would take for its own.

    Parameters
    ----------
    folder : Path
    overwrite : bool
        Whether there may be such files. A run is never written over.

    Raises
    ------
    UserError
    """
    steps = list_checkpoints(folder / CHECKPOINTS)
    if steps:
        raise UserError(
            f"{folder} already holds a run ({counted(steps[-1], 'step')}): add `resume=True` to go on, or choose another folder"
        )
    for place in (folder / name for name in (CHECKPOINTS, SAMPLES, MODEL, BEST, TENSORBOARD)):
        if place.exists() and not place.is_dir():
            raise UserError(f"{place} is a file, and a run needs a folder of that name: choose another folder")
    # Without a checkpoint but locked once: what a run left that was killed before.
    if overwrite or was_locked(folder):
        return
    for name in (METRICS_FILE, CHECKPOINTS, SAMPLES, MODEL, BEST, TENSORBOARD):
        place = folder / name
        if place.is_file() or (place.is_dir() and any(place.iterdir())):
            raise UserError(
                f"{place} was not written by a run of dcgan-viz: "
                + way_out("folder", f"{place.name if place.is_file() else 'files there with names of the run'}")
            )


def _alone(folder: Path) -> AbstractContextManager[None]:
    """The lock of a run's folder, which the first of several processes holds for all."""
    return only_process(folder) if leads() else nullcontext()


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


def _check_resumable(saved: SavedRun, images: ImageSet, steps: int) -> None:
    run = saved.run
    _check(images, run.networks, run.settings)
    if len(images) != run.image_count or images_digest(images.pixels) != run.image_digest:
        raise UserError(
            f"the run to resume had other images ({run.image_count}, and these {len(images)}, differ in number, content "
            "or order): resume it with the same"
        )
    if saved.step > steps:
        raise UserError(
            f"the run has already done {counted(saved.step, 'step')}: ask for more with `steps`, or go back with `from_step`"
        )


def _set_aside(saved: SavedRun, say: Callable[[str], None]) -> None:
    """Rename checkpoints that cannot be read, so that nothing takes them for whole."""
    for path in saved.damaged:
        aside = path.with_suffix(".damaged")
        with writing(path):
            path.replace(aside)
        say(f"{path} is damaged and set aside as {aside.name}: going back to step {saved.step}")


def _open_log(folder: Path, done: int, say: Callable[[str], None]) -> RunLog:
    """The log, with all that lies behind the step to start from removed."""
    for later in (s for s in list_checkpoints(folder / CHECKPOINTS) if s > done):
        remove_checkpoint(folder / CHECKPOINTS, later)
    return RunLog(folder, done, say)


def _is_of_step(folder: Path, step: int) -> bool:
    """Whether a whole model of a step lies in a folder."""
    if is_half_replaced(folder):
        return False
    try:
        card = load(folder).card
        return card.training.get("steps") == step and (folder / PAGE_FILE).read_text() == card.page()
    except (UserError, OSError):
        return False


def _batches(images: ImageSet, settings: TrainingSettings, fabric: Fabric, execution: Execution) -> Batches:
    return Batches(
        images, settings, fabric.global_rank, fabric.world_size, fabric.device, memory_format=execution.memory_format
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _threads(device: torch.device) -> int | None:
    return torch.get_num_threads() if device.type == "cpu" else None


def _way_back(last_healthy: int | None) -> str:
    if last_healthy is None:
        return "start again with `flip=True`, `augment` or a lower learning rate"
    return f"the last healthy checkpoint is step {last_healthy}: `resume=True` with `from_step={last_healthy}`"
