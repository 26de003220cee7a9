"""``--dry-run``: what a long command would do, how long it would take and how much room, from a small piece of it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dcgan_viz.cli.command import echo
from dcgan_viz.progress import Progress, Stage, duration

if TYPE_CHECKING:
    from torch import nn

    from dcgan_viz.data.sources.source import Source

Function = TypeVar("Function", bound=Callable[..., Any])
Item = TypeVar("Item")

REHEARSED = 6
"""Items of a loop that are done to know how long one takes."""

TRIED_PICTURES = 64
"""Pictures that are decoded to know how long one takes."""


def dry_run_option(function: Function) -> Function:
    """``--dry-run``: whether to say only what would be done."""
    return click.option(
        "--dry-run",
        is_flag=True,
        help="Only say what would be done, how long it would take and how much space; write nothing.",
    )(function)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What a command would do.

    Parameters
    ----------
    does : str
        In words that follow *would*.
    seconds : float
    measured : str
        What the time was measured by, in words that follow *by*.
    size : int
        Bytes that are written.
    place : Path
        Where.
    memory : int
        Bytes of memory that the images take; 0 if they stay on disk.
    """

    does: str
    seconds: float
    measured: str
    size: int
    place: Path
    memory: int = 0


def announce(plan: Planned, as_json: bool) -> None:
    """Print a plan; one that does not fit on the disk says so."""
    free = _free(plan.place)
    if as_json:
        numbers = {"would": plan.does, "seconds": plan.seconds, "bytes": plan.size, "free_bytes": free}
        echo(json.dumps({**numbers, "memory_bytes": plan.memory, "place": str(plan.place)}, indent=2))
        return
    held = f"\n{in_bytes(plan.memory)} of memory for the images" if plan.memory else ""
    short = "" if plan.size < free else ": too little"
    echo(
        f"would {plan.does}\nabout {duration(plan.seconds)} while the machine is as busy as now, by {plan.measured}\n"
        f"about {in_bytes(plan.size)} in {plan.place}, where {in_bytes(free)} are free{short}{held}\nnothing was written"
    )


def _free(place: Path) -> int:
    existing = next(folder for folder in (place, *place.absolute().parents) if folder.is_dir())
    return shutil.disk_usage(existing).free


def in_bytes(size: int) -> str:
    """Bytes as a person would say them.

    Examples
    --------
    >>> in_bytes(123_456), in_bytes(310_000_000), in_bytes(41_200_000_000)
    ('0.1 MB', '310 MB', '41.2 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


@dataclass
class Clock:
    """A `Progress` that shows nothing and remembers when each item was done."""

    times: list[float] = field(default_factory=list)

    def __call__(self, items: Iterable[Item], stage: Stage) -> Iterator[Item]:
        """The same items."""
        for item in items:
            yield item
            self.times.append(time.perf_counter())

    def seconds_an_item(self) -> float:
        """Between the first item, which pays for what is made once, and the last."""
        return (self.times[-1] - self.times[0]) / (len(self.times) - 1)


class _EnoughError(Exception):
    """A loop has done as many items as are needed to know how long one takes."""


@dataclass
class _Rehearsal(Clock):
    """Lets the loop of one stage do a few items, and then ends everything."""

    stage: str = ""
    total: int = 0

    def __call__(self, items: Iterable[Item], stage: Stage) -> Iterator[Item]:
        """The same items; of the stage the first ones."""
        if not stage.what.startswith(self.stage):
            yield from items
            return
        self.total = stage.total
        for item in super().__call__(items, stage):
            if len(self.times) == REHEARSED:
                raise _EnoughError
            yield item


def rehearse(work: Callable[[Progress], object], stage: str) -> tuple[int, float]:
    """How many items the loop of a stage has, and how many seconds one takes, by its first ones.

    Parameters
    ----------
    work : callable
        The command's own work, which receives a `Progress`; what it would write after the loop it does not.
    stage : str
        How the words begin by which the loop names itself.

    Examples
    --------
    >>> def work(progress):
    ...     for _ in progress(range(1000), Stage("training", 1000)):
    ...         time.sleep(0.001)
    >>> steps, seconds = rehearse(work, "training")
    >>> steps, 0.001 <= seconds < 0.1
    (1000, True)
    """
    rehearsal = _Rehearsal(stage=stage)
    with suppress(_EnoughError):
        work(rehearsal)
    if len(rehearsal.times) < 2:
        # So short a loop that all of it is done.
        return rehearsal.total, 0.0
    return rehearsal.total, rehearsal.seconds_an_item()


def announce_training(
    train: Callable[[Progress], object], network: nn.Module, what: str, out: Path, as_json: bool
) -> None:
    """Say what training a small network would take, by its first steps.

    Parameters
    ----------
    train : callable
        Trains it, and receives a `Progress` whose stage is called ``training``.
    network : Module
        One of its kind, for its size on disk.
    what : str
        What is trained, and on what.
    out : Path
    as_json : bool
    """
    steps, seconds = rehearse(train, "training")
    # Weights are kept in 16 bits.
    size = 2 * sum(tensor.numel() for tensor in network.state_dict().values())
    announce(
        Planned(
            does=f"train {what} for {steps:,} steps",
            seconds=steps * seconds,
            measured=f"{min(steps, REHEARSED)} of them; measuring it comes on top",
            size=size,
            place=out,
        ),
        as_json,
    )


def seconds_a_picture(source: Source, size: int, channels: int) -> float:
    """How long one of a source's pictures takes to decode, by some that are spread over it."""
    from dcgan_viz.data.decoding import UnreadableError, decode_square

    places = sorted({len(source) * k // TRIED_PICTURES for k in range(TRIED_PICTURES)})
    start = time.perf_counter()
    for place in places:
        # What does not decode costs time as well, and is the command's business.
        with suppress(UnreadableError):
            decode_square(source.entry(place), size, channels)
    return (time.perf_counter() - start) / len(places)


def seconds_of(work: Callable[[], object]) -> float:
    """How long something takes once it has been done, and so has made what is made once."""
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
