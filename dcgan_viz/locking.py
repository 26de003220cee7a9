"""Files that several programs read, change and write by turns, and folders in which one is at work at a time."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file, writing

if TYPE_CHECKING:
    from filelock import FileLock

LOCK_FILE, HOLDER_FILE = ".dcgan-viz.lock", ".dcgan-viz.lock.json"

PATIENCE = 5.0
"""Seconds; nobody needs longer to read a small file, change it and write it."""


_reserved: ContextVar[frozenset[Path]] = ContextVar("_reserved", default=frozenset())
"""Folders that this process has reserved."""


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


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Keep all other processes out of a folder for the time of the block.

    The lock is the operating system's and ends with the process that holds it, however that ends.

    Parameters
    ----------
    folder : Path
        Made if it is missing. Only those who ask for the lock are kept out.

    Raises
    ------
    UserError
        If another process is in it, or it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, only_process(Path(folder)):
    ...     with only_process(Path(folder)):
    ...         pass
    Traceback (most recent call last):
    dcgan_viz.errors.UserError: process ... is at work in ...: wait for it to end, stop it, or choose another folder
    """
    if folder.resolve() in _reserved.get():
        yield
        return
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock = _locked(folder)
    holder = folder / HOLDER_FILE
    try:
        with atomic_file(holder) as temporary:
            temporary.write_text(json.dumps({"pid": os.getpid(), "host": platform.node()}))
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


@contextmanager
def reserved(folder: Path) -> Iterator[None]:
    """As `only_process`, before it is asked for: whoever asks within the block is let in.

    For what takes long before anything is written, such as reading the images of a run. Where nothing is written after
    all, a folder that was made for it is gone afterwards.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    UserError
        As by `only_process`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, reserved(Path(folder)), only_process(Path(folder)):
    ...     pass
    """
    new = not folder.exists()
    with only_process(folder):
        token = _reserved.set(_reserved.get() | {folder.resolve()})
        try:
            yield
        finally:
            _reserved.reset(token)
            if new and {file.name for file in folder.iterdir()} <= {LOCK_FILE, HOLDER_FILE}:
                with suppress(OSError):
                    for name in (HOLDER_FILE, LOCK_FILE):
                        (folder / name).unlink(missing_ok=True)
                    folder.rmdir()


def check_free(folder: Path) -> None:
    """Refuse a folder that another process is at work in by `only_process`; nothing is made there.

    Whoever is about to read what such a process writes, or to compute for long before it takes the lock, asks first.

    Parameters
    ----------
    folder : Path
        Free if it is missing.

    Raises
    ------
    UserError
        If another process is in it, or its lock cannot be opened.

    Examples
    --------
    >>> check_free(Path("/tmp/nobody-is-here"))
    """
    if was_locked(folder) and folder.resolve() not in _reserved.get():
        _locked(folder).release()


def was_locked(folder: Path) -> bool:
    """Whether a process has ever been alone in a folder, which is then a folder of this package."""
    return (folder / LOCK_FILE).is_file()


def _locked(folder: Path) -> FileLock:
    """The lock of a folder, held."""
    # Late: the pages of the command line do without it.
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK_FILE)
    with writing(folder):
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise UserError(
                f"{_holder(folder)} is at work in {folder}: wait for it to end, stop it, or choose another folder"
            ) from error
    return lock


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / HOLDER_FILE).read_text())
        place = "" if holder["host"] == platform.node() else f" on {holder['host']}"
        return f"process {int(holder['pid'])}{place}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
