"""Ctrl-C and SIGTERM as requests to stop at the next good moment."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from dcgan_viz.progress import leads


@dataclass
class Stopping:
    """Whether, and by which signal, the process was asked to stop."""

    signal: signal.Signals | None = None

    def __call__(self) -> bool:
        """Whether it was."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """As a shell reports a process that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or 0)


@contextmanager
def stopping(what: str) -> Iterator[Stopping]:
    """Note a first Ctrl-C or SIGTERM in this block instead of ending at once; a second one ends.

    Parameters
    ----------
    what : str
        What is finished first, to be said to the user.

    Yields
    ------
    Stopping
        True as soon as a signal has come.
    """
    asked = Stopping()
    before: dict[signal.Signals, Any] = {}

    def note(number: int, _: FrameType | None) -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        asked.signal = signal.Signals(number)
        if leads():
            # Not by way of sys.stderr, in the middle of whose own writing a signal may come.
            os.write(2, f"\n{asked.signal.name}: stopping after {what}; once more to stop at once\n".encode())

    if threading.current_thread() is threading.main_thread():
        for each in (signal.SIGINT, signal.SIGTERM):
            before[each] = signal.signal(each, note)
    try:
        yield asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
