"""Doing first in another process what could go on for ever, or end the process: reading damaged files with C libraries."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from typing import Any


def survives(task: Callable[[], object], seconds: float) -> bool:
    """Whether a task comes to an end in another process, be it by an exception.

    C code that loops holds the interpreter's lock: in this process nothing could stop it, Ctrl-C neither.

    Parameters
    ----------
    task : callable
        Can be pickled; uses no torch, whose threads are not there in a copy of a process.
    seconds : float
        After which it is ended.

    Examples
    --------
    >>> survives(print, 10.0), survives(os.abort, 10.0)
    (True, False)
    """
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    process = context.Process(target=_do, args=(task,), daemon=True)
    process.start()
    process.join(seconds)
    ended = process.exitcode == 0
    process.kill()
    process.join()
    return ended


def _do(task: Callable[[], object]) -> None:
    # What a library says of its own end is not for the user.
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    try:
        task()
    finally:
        # Nothing that the process was copied with is to be ended.
        os._exit(0)
