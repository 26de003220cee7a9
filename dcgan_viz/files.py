"""Writing files so that nothing is ever half-written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dcgan_viz.errors import UserError


def _explain(path: Path, error: OSError) -> UserError:
    reason = error.strerror or str(error)
    return UserError(f"cannot write {path}: {reason}; choose another place or free some space")


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
    except OSError as error:
        raise _explain(path, error) from error


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name once the block has succeeded.

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
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch(exist_ok=False)
            # As the umask says, whatever the library that writes makes of it: safetensors closes its files to others.
            mode = temporary.stat().st_mode
            yield temporary
            temporary.chmod(mode)
            temporary.replace(path)
    finally:
        # Where nothing can be written nothing can be removed either: that reason is already on its way to the user.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, mark: str) -> Iterator[Path]:
    """A temporary folder that becomes `path` once the block has succeeded.

    An earlier folder of the same kind, known by the file `mark` in it, is replaced; any other
    non-empty folder is left alone.

    Parameters
    ----------
    path : Path
        The folder to write.
    mark : str
        Name of a file that every folder of this kind holds, such as ``result.json``.

    Raises
    ------
    UserError
        If `path` is a file or somebody else's folder, cannot be written, or the disk is full.
    """
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file, and a folder is to be written: choose another name")
    if path.is_dir() and any(path.iterdir()) and not (path / mark).exists():
        raise UserError(f"{path} already holds other files (no {mark} in it): choose another folder")
    temporary: Path | None = None
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
            temporary.chmod(0o755)
            yield temporary
            if path.exists():
                shutil.rmtree(path)
            temporary.replace(path)
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
