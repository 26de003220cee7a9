"""Writing files so that nothing is ever half-written, and nobody else's file is replaced."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import secrets
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dcgan_viz.errors import Notice, UserError
from dcgan_viz.words import way_out

# Whose computer and process a temporary file is of stands in its name, so that those of dead ones can be told.
_HERE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_TEMPORARY = re.compile(r"\.dcgan-viz-([0-9a-f]{8})-(\d{1,10})-[0-9a-f]{8}(\..*)?")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Names `path` when writing it in this block fails.

    Raises
    ------
    UserError
        In place of any `OSError`: the disk is full, the folder read-only.

    Examples
    --------
    >>> with writing(Path("/proc/forbidden")):
    ...     Path("/proc/forbidden").touch()
    Traceback (most recent call last):
    dcgan_viz.errors.UserError: cannot write /proc/forbidden: No such file or directory; choose another place or ...
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"cannot write {path}: {_obstacle(path) or error.strerror}; choose another place") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write {path}: {reason}; choose another place or free some space") from error


def _obstacle(path: Path) -> str | None:
    """What lies where a folder is needed."""
    for place in (*reversed(path.parents), path):
        if place.is_symlink() and not place.exists():
            return f"{place} is a link that leads nowhere"
        if place.exists() and not place.is_dir():
            return f"{place} is a file, and a folder is needed there"
    return None


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name once the block has succeeded.

    An existing file is replaced, and keeps who may read it; `refuse_existing` says whether it may be. A link is
    followed.

    Parameters
    ----------
    path : Path
        The file to write; its parent folders are made.

    Yields
    ------
    Path
        Where to write, with the same ending as `path`.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full; `path` is then as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "new" / "doc.txt"
    ...     with atomic_file(path) as temporary:
    ...         _ = temporary.write_text("whole")
    ...     path.read_text()
    'whole'
    """
    temporary: Path | None = None
    try:
        with writing(path):
            target = path.resolve()
            target.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(target.parent)
            temporary = target.with_name(temporary_name(path.suffix))
            temporary.touch(exist_ok=False)
            # As the umask says, whatever the library that writes makes of it: safetensors closes its files to others.
            mode = (target if target.exists() else temporary).stat().st_mode
            yield temporary
            temporary.chmod(mode)
            temporary.replace(target)
    finally:
        if temporary is not None:
            # Where nothing can be written nothing can be removed either: that reason is on its way to the user.
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def refuse_existing(path: Path, overwrite: bool = False, is_ours: Callable[[Path], bool] = lambda path: False) -> None:
    """Refuse to write where a file is that was not written here.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Whether a file may be replaced, whoever wrote it.
    is_ours : callable
        Whether an existing file is one that may be replaced anyway.

    Raises
    ------
    UserError
        If `path` is a folder, or a file that is not to be replaced.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder, and a file is to be written: choose another name")
    if path.exists() and not overwrite and not is_ours(path):
        raise UserError(f"{path} already exists: {way_out('name', 'what it holds now')}")


def say_replaced(path: Path) -> None:
    """Say in a `Notice` that a file goes, where one is there; to be called before another takes its place."""
    if path.exists():
        warnings.warn(Notice(f"{path} replaced: it was there before"), stacklevel=3)


def json_holds(path: Path, *fields: str) -> bool:
    """Whether a file is JSON that holds a field of a field and so on, which marks what was written here.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "boxes.json"
    ...     _ = path.write_text('{"info": {"seed": 3}}')
    ...     json_holds(path, "info", "seed"), json_holds(path, "seed")
    (True, False)
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        for name in fields:
            data = data[name]
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return False
    return True


def free_path(path: Path) -> Path:
    """`path` or, where that is taken, the first free one of ``name-2``, ``name-3`` and so on, with the same ending.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "samples.png").touch()
    ...     free_path(Path(folder) / "samples.png").name
    'samples-2.png'
    """
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def temporary_name(suffix: str = "") -> str:
    """A new name for a temporary file or folder of this process."""
    return f".dcgan-viz-{_HERE}-{os.getpid()}-{secrets.token_hex(4)}{suffix}"


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders in a folder that killed processes of this computer left behind."""
    if os.name != "posix":
        # Only there is it harmless to ask whether a process lives.
        return
    for entry in list(folder.iterdir()):
        match = _TEMPORARY.fullmatch(entry.name)
        if match and match[1] == _HERE and not _lives(int(match[2])):
            discard(entry)


def discard(temporary: Path) -> None:
    """Remove a temporary file, or a temporary folder with what was staged in it, as far as it can be removed."""
    with suppress(OSError):
        if temporary.is_dir() and not temporary.is_symlink():
            for entry in list(temporary.iterdir()):
                discard(entry)
            temporary.rmdir()
        else:
            temporary.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
