"""Files that several programs read, change and write by turns."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcgan_viz.errors import UserError

PATIENCE = 5.0
"""Seconds; nobody needs longer to read a small file, change it and write it."""


@contextmanager
def one_at_a_time(file: Path) -> Iterator[None]:
    """Keeps every other program that uses this out while a file is read, changed and written.

    The lock is on the file's folder: the file itself is replaced by every write, and a lock file would be left lying
    about. Where there are no such locks, on Windows and on some network file systems, nobody is kept out.

    Parameters
    ----------
    file : Path
        Where its folder is not there yet, nobody has to be kept out.

    Raises
    ------
    UserError
        If another program keeps it for more than five seconds, or the folder cannot be opened.

    Examples
    --------
    >>> with one_at_a_time(Path("/tmp/doc.txt")):
    ...     pass
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    if not file.parent.is_dir():
        yield
        return
    try:
        folder = os.open(file.parent, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}; choose another place") from error
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise UserError(f"another program is writing to {file.parent}: end it, or try again") from error
                time.sleep(0.01)
            except OSError:
                break
        yield
    finally:
        os.close(folder)
