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
from dcgan_viz.progress import Stage, duration

if TYPE_CHECKING:
    from dcgan_viz.data.sources.source import Source

Function = TypeVar("Function", bound=Callable[..., Any])
Item = TypeVar("Item")

TRIED_PICTURES = 64
"""Pictures that are decoded to know how long one takes."""


def dry_run_option(function: Function) -> Function:
    """``--dry-run``: whether to say only what would be done."""
    return click.option(
        "--dry-run",
        is_flag=True,
        help="Only say what would be done, how long it takes and how much room; write nothing.",
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
