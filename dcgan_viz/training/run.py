"""What makes a training run the one it is: written into each of its checkpoints, read again to go on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.card import CARD_FILE, Card, read_card
from dcgan_viz.errors import UserError
from dcgan_viz.networks.spec import NetworkSpec
from dcgan_viz.training.checkpoints import checkpoint_path, list_checkpoints, read_state
from dcgan_viz.training.execution import Execution
from dcgan_viz.training.settings import TrainingSettings
from dcgan_viz.untrusted import EXACT, LENIENT, validate

CHECKPOINTS, SAMPLES, MODEL, BEST = "checkpoints", "samples", "model", "best"


@dataclass(frozen=True)
class Run:
    """A training run, apart from how far it is.

    Parameters
    ----------
    networks : NetworkSpec
    settings : TrainingSettings
    image_count : int
    image_digest : str
        SHA-256 of the images' pixels.
    execution : Execution
    card : Card
        Name, data and terms for the model's card, and the command of the run.
    checkpoint_every : int
        Steps between checkpoints.
    start_from : str, optional
        Name of the model whose weights it began with.
    device, versions : str, mapping
        Where and with what it is computed.
    processes : int
        Of which each takes a batch.
    threads : int, optional
        Of each process, where the processor computes: sums that are split otherwise are rounded otherwise.
    """

    networks: NetworkSpec
    settings: TrainingSettings
    image_count: int
    image_digest: str
    execution: Execution
    card: Card
    checkpoint_every: int
    start_from: str | None = None
    device: str = "cpu"
    versions: Mapping[str, str] | None = None
    processes: int = 1
    threads: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The run as plain data for JSON."""
        card = self.card.to_dict()
        return {
            "networks": self.networks.to_dict(),
            "settings": self.settings.to_dict(),
            "images": {"count": self.image_count, "sha256": self.image_digest},
            "execution": asdict(self.execution),
            "card": {name: card[name] for name in ("name", "summary", "data", "terms", "commands", "weaknesses")},
            "checkpoint_every": self.checkpoint_every,
            "start_from": self.start_from,
            "device": self.device,
            "versions": dict(self.versions or {}),
            "devices": self.processes,
            "threads": self.threads,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], folder: Path) -> Run:
        """The run that `to_dict` wrote; what an earlier version did not write is read from the run's folder.

        Raises
        ------
        UserError
            If a part is missing or not what it should be.
        """
        try:
            read = validate(data, _Saved)
            every = read.checkpoint_every or usual_interval(read.images.count, read.settings, read.devices)
            return cls(
                read.networks,
                read.settings,
                read.images.count,
                read.images.sha256,
                read.execution,
                _read_card(read, folder),
                every,
                read.start_from,
                read.device,
                read.versions,
                read.devices,
                read.threads,
            )
        except UserError as error:
            raise UserError(f"{folder} holds no run of dcgan-viz that can go on: {error}") from error


@dataclass(frozen=True)
class _Images:
    __pydantic_config__: ClassVar = EXACT

    count: int
    sha256: str


@dataclass(frozen=True)
class _Saved:
    """What `Run.to_dict` writes; a run's state is beside it."""

    __pydantic_config__: ClassVar = LENIENT

    networks: NetworkSpec
    settings: TrainingSettings
    images: _Images
    execution: Execution
    device: str
    versions: dict[str, str]
    devices: int
    card: dict[str, Any] | None = None
    checkpoint_every: int | None = None
    start_from: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if min(self.images.count, self.devices, self.checkpoint_every or 1) < 1:
            raise UserError("a number in it is below 1")


def _read_card(saved: _Saved, folder: Path) -> Card:
    if saved.card is not None:
        return Card.from_dict({**saved.card, "networks": saved.networks.to_dict(), "training": {}})
    try:
        return read_card(folder / MODEL / CARD_FILE)
    except UserError:
        return Card("untitled", "a DCGAN", saved.networks)


def usual_interval(image_count: int, settings: TrainingSettings, processes: int) -> int:
    """Steps between checkpoints unless others are asked for: an epoch, but at least 100 and at most 1000.

    Examples
    --------
    >>> usual_interval(64_000, TrainingSettings(steps=1, batch_size=128), processes=1)
    500
    """
    return min(max(image_count // (settings.batch_size * processes), 100), 1000)


def images_digest(pixels: NDArray[np.uint8]) -> str:
    """SHA-256 of pictures (N, H, W, C), whose order counts."""
    digest = hashlib.sha256()
    for start in range(0, len(pixels), 4096):
        digest.update(np.ascontiguousarray(pixels[start : start + 4096]).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class SavedRun:
    """A run on disk that can go on.

    Parameters
    ----------
    run : Run
    step : int
        Of the checkpoint that it goes on from.
    damaged : tuple of Path
        Newer checkpoints that cannot be read.
    """

    run: Run
    step: int
    damaged: tuple[Path, ...] = ()


def read_run(folder: str | Path, from_step: int | None = None) -> SavedRun:
    """The run in a folder, as its newest whole checkpoint or a given one has it.

    Parameters
    ----------
    folder : path
    from_step : int, optional
        The checkpoint to go back to.

    Raises
    ------
    UserError
        If there is no such checkpoint, or none is whole.
    """
    path = Path(folder)
    checkpoints = path / CHECKPOINTS
    steps = list_checkpoints(checkpoints)
    if not steps:
        raise UserError(f"{checkpoints} holds no checkpoint to resume from: start without `resume=True`")
    if from_step is not None and from_step not in steps:
        raise UserError(f"there is no checkpoint of step {from_step}: choose from {', '.join(map(str, steps))}")
    damaged: list[Path] = []
    for step in reversed(steps if from_step is None else [from_step]):
        try:
            return SavedRun(
                Run.from_dict(read_state(checkpoint_path(checkpoints, step)).run, path), step, tuple(damaged)
            )
        except UserError as error:
            damaged.append(checkpoint_path(checkpoints, step))
            reason = error
    raise reason
