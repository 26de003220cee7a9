"""How far a long loop is: the library says what it counts, the caller how that is shown.

Every function that takes long has a parameter `progress`, a `Progress`: it is handed the items of a loop with a `Stage`
and gives the items back one by one. By default nothing is shown (`silent`); the command line passes `show`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dcgan_viz.untrusted import printable
from dcgan_viz.words import counted

Item = TypeVar("Item")

FIRST_LINE, LAST_LINE = 10.0, 60.0
"""Seconds between two lines of a log: from the first to the second as the loop goes on."""

WORTH_SAYING = 2.0
"""Seconds under which a finished loop leaves no line in a log."""


@dataclass(frozen=True)
class Stage:
    """What a loop does.

    Parameters
    ----------
    what : str
        Such as ``reading images``.
    total : int
        Items at its end.
    unit : str
        What an item is, in the singular.
    first : int
        Items that were done before the loop began, as in a run that is resumed.
    note : callable
        Further words on where it is, asked for when they are shown.
    """

    what: str
    total: int
    unit: str = "step"
    first: int = 0
    note: Callable[[], str] = lambda: ""


class Progress(Protocol):
    """Gives the items of a loop back one by one, and may show how many there have been.

    Examples
    --------
    >>> def dots(items, stage):
    ...     for item in items:
    ...         print(stage.what, "." * item)
    ...         yield item
    >>> list(dots([1, 2], Stage("counting", 2)))
    counting .
    counting ..
    [1, 2]
    """

    def __call__(self, items: Iterable[Item], stage: Stage) -> Iterable[Item]:
        """The same items."""
        ...


def silent(items: Iterable[Item], stage: Stage) -> Iterable[Item]:
    """The items without a word.

    Examples
    --------
    >>> list(silent([1, 2], Stage("counting", 2)))
    [1, 2]
    """
    return items


def show(items: Iterable[Item], stage: Stage) -> Iterator[Item]:
    """The items with a bar on standard error, or with a line now and then where that is no terminal.

    Of several processes that work on one thing (torchrun) only the first shows anything.
    """
    if not leads():
        yield from items
    elif sys.stderr.isatty():
        yield from _bar(items, stage)
    else:
        yield from lines(items, stage)


def say(sentence: str) -> None:
    """Print a sentence on standard error, above a bar that may be there; of several processes only the first does."""
    if not leads():
        return
    # It may quote a file.
    sentence = printable(sentence)
    if not sys.stderr.isatty():
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201
        return
    from tqdm import tqdm

    tqdm.write(sentence, file=sys.stderr)


def lines(
    items: Iterable[Item],
    stage: Stage,
    clock: Callable[[], float] = time.monotonic,
    write: Callable[[str], None] = say,
) -> Iterator[Item]:
    """The items, with a line every 10 seconds, and later every minute, and one at the end.

    Parameters
    ----------
    items : iterable
    stage : Stage
    clock : callable
        The time in seconds.
    write : callable
        Takes a line.

    Examples
    --------
    >>> times = iter(range(0, 1000, 4))
    >>> list(lines("abcdef", Stage("reading", 6, "letter"), lambda: next(times), print))
    reading: 3 of 6 letters in 12 s, about 12 s left
    reading: 6 of 6 letters in 24 s
    ['a', 'b', 'c', 'd', 'e', 'f']
    """
    start = told = clock()
    done = shown = stage.first
    for item in items:
        yield item
        done += 1
        now = clock()
        if now - told >= min(max(FIRST_LINE, (now - start) / 10), LAST_LINE):
            write(_line(stage, done, now - start))
            told, shown = now, done
    if done > shown and now - start >= WORTH_SAYING:
        write(_line(stage, done, now - start))


def leads() -> bool:
    """Whether this is the only process, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _line(stage: Stage, done: int, seconds: float) -> str:
    left = (stage.total - done) * seconds / max(done - stage.first, 1)
    words = f"{stage.what}: {done:,} of {counted(stage.total, stage.unit)} in {duration(seconds)}"
    if left > 0:
        words += f", about {duration(left)} left"
    note = stage.note()
    return f"{words}; {note}" if note else words


def duration(seconds: float) -> str:
    """Seconds as a person would say them.

    Examples
    --------
    >>> duration(7), duration(600), duration(9000)
    ('7 s', '10 min', '2 h 30 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _bar(items: Iterable[Item], stage: Stage) -> Iterator[Item]:
    # Late: the command line answers --help without it.
    from tqdm import tqdm

    with tqdm(desc=stage.what, total=stage.total, initial=stage.first, unit=stage.unit, smoothing=0.05) as bar:
        for item in items:
            yield item
            bar.set_postfix_str(stage.note(), refresh=False)
            bar.update()
