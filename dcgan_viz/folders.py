"""Folders that a command writes beside whatever else lies in them.

What was written is listed with digests in ``manifest.json``. What lies there already is replaced only by whom says so: an
earlier result by ``overwrite``, and what was replaced is said; a run's own files by the run that goes on. Everything else
in the folder is somebody's, and stays.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path, PurePosixPath

from dcgan_viz.errors import Notice, UserError
from dcgan_viz.files import digest_of, discard, remove_leftovers, temporary_name, writing
from dcgan_viz.versions import versions
from dcgan_viz.words import counted, way_out

MANIFEST_FILE = "manifest.json"

LARGEST_MANIFEST = 2**28
"""Bytes; room for two million files."""

current_command: ContextVar[str | None] = ContextVar("current_command", default=None)
"""The command that is running, as a line to be pasted; a manifest says which one wrote a folder."""


@dataclass(frozen=True)
class Manifest:
    """What was written into a folder.

    Parameters
    ----------
    kind : str
        Of what lies in the folder, such as "Walk".
    files : mapping of str to str
        SHA-256 by name, relative to the folder, with slashes.
    command : str, optional
        That wrote it.
    finished : bool
        Whether all of the files have taken their places. A process that was killed before leaves some of these and
        some of those that were there before.
    replaced : mapping of str to str
        Those that were there before, until it is finished.
    """

    kind: str
    files: Mapping[str, str]
    command: str | None = None
    finished: bool = True
    replaced: Mapping[str, str] = field(default_factory=dict)

    def is_of(self, kind: str) -> bool:
        """Whether the command that is running would write such again: a model of ``train`` is none of ``import``."""
        verbs = {command.split()[1] for command in (self.command, current_command.get()) if command}
        return self.kind == kind and len(verbs) < 2

    def digests(self, name: str) -> set[str]:
        """Of the file of a name as it was written; none for a file that was not."""
        return {listed[name] for listed in (self.files, self.replaced) if name in listed}


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; None where there is none, or one that is not ours."""
    path = folder / MANIFEST_FILE
    try:
        if path.is_symlink() or path.stat().st_size > LARGEST_MANIFEST:
            return None
        data = json.loads(path.read_text(encoding="utf-8"))
        files, replaced = data["files"], data.get("replaced", {})
        listed = [*files.items(), *replaced.items()]
        kind, command = data["kind"], data["command"]
        told = isinstance(kind, str) and (command is None or len(command.split()) > 1)
        if not told or "dcgan-viz" not in data["versions"] or not all(map(_is_entry, listed)):
            return None
        return Manifest(kind, files, command, "replaced" not in data, replaced)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _is_entry(entry: tuple[object, object]) -> bool:
    name, digest = entry
    if not isinstance(name, str) or not isinstance(digest, str):
        return False
    path = PurePosixPath(name)
    # Nothing that a manifest lists may lead out of its folder.
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name and bool(path.parts)


def _write_manifest(manifest: Manifest, path: Path) -> None:
    data = {"kind": manifest.kind, "command": manifest.command, "versions": versions(), "files": manifest.files}
    if not manifest.finished:
        data["replaced"] = manifest.replaced
    temporary = path.with_name(temporary_name(path.suffix))
    try:
        temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        discard(temporary)


def is_half_replaced(folder: Path) -> bool:
    """Whether a folder holds files of two writings, since the second was killed or is at it."""
    manifest = read_manifest(folder)
    return manifest is not None and not manifest.finished


def check_apart(source: Path, out: Path | None) -> None:
    """Refuse to write a result among the pictures that it is made of.

    A folder that holds a run or a result is not read for pictures, so that nobody trains on sample grids: written into
    the pictures' own folder, a result would lock them out.

    Parameters
    ----------
    source : Path
        The folder or file of pictures.
    out : Path, optional
        The folder to write.

    Raises
    ------
    UserError
        If both are one folder.

    Examples
    --------
    >>> check_apart(Path("photographs"), Path("photographs/run"))
    """
    if out is not None and source.is_dir() and source.resolve() == out.resolve():
        raise UserError(
            f"{out} holds the pictures themselves, and a folder with a result in it is not read for pictures: write into "
            "another one, which may lie in it"
        )


def check_folder(
    folder: Path, kind: str, names: Iterable[str] = (), overwrite: bool = False, again: bool = False
) -> None:
    """Refuse a folder in which something is in the way, before anything is computed for it.

    Parameters
    ----------
    folder : Path
    kind : str
        What is to be written, as in `Manifest`.
    names : iterable of str
        Those of its files that are known.
    overwrite : bool
        Whether an earlier result, and files of these names, may be replaced, whoever wrote them.
    again : bool
        Whether an earlier writing of the same kind may be replaced as far as nobody has changed it, as by a run that
        goes on.

    Raises
    ------
    UserError
        If `folder` is a file, holds a result, or one of the names is taken by a folder, or by a file that was not
        written as part of the same kind or was changed since.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, and a folder is to be written: choose another name")
    manifest = read_manifest(folder)
    if manifest is not None and not overwrite:
        writer = f" by {manifest.command:.200}" if manifest.command else ""
        if not manifest.is_of(kind):
            raise UserError(
                f"{folder} holds something else ({manifest.kind}, written{writer}): "
                + way_out("folder", "its files of the same names")
            )
        if manifest.finished and not again:
            raise UserError(
                f"{folder} holds an earlier result ({manifest.kind}, written{writer}): "
                + way_out("folder", "that result")
            )
    for name in (MANIFEST_FILE, *names):
        _check_place(folder, name, manifest, overwrite)


def _check_place(folder: Path, name: str, manifest: Manifest | None, overwrite: bool) -> None:
    place = folder / name
    for above in (folder / parent for parent in _parents(name)):
        if above.is_symlink() or (above.exists() and not above.is_dir()):
            raise UserError(f"{above} is not a folder of its own, which {name} needs: choose another folder")
    if place.is_dir() and not place.is_symlink():
        raise UserError(f"{place} is a folder, and a file is to be written: choose another folder")
    if overwrite or not (place.exists() or place.is_symlink()):
        return
    instead = way_out("folder", f"what {place} holds now")
    if manifest is None or (name != MANIFEST_FILE and not manifest.digests(name)):
        raise UserError(f"{place} was not written by this command: {instead}")
    if name != MANIFEST_FILE and _unchanged(folder, name, manifest) is None:
        raise UserError(f"{place} has been changed since it was written: {instead}")


def _unchanged(folder: Path, name: str, manifest: Manifest) -> str | None:
    """The digest of a file that is as it was written; None for one that was changed, or is not there."""
    place = folder / name
    if place.is_symlink() or not place.is_file() or any((folder / p).is_symlink() for p in _parents(name)):
        return None
    digest = digest_of(place)
    return digest if digest in manifest.digests(name) else None


def _parents(name: str) -> list[PurePosixPath]:
    """The folders between a manifest's folder and a file in it."""
    return [parent for parent in PurePosixPath(name).parents if parent.parts]


@contextmanager
def staged_folder(
    path: Path, kind: str, *, first: str | None = None, overwrite: bool = False, again: bool = False
) -> Iterator[Path]:
    """A temporary folder whose files take their places in `path` once the block has succeeded.

    A new folder appears whole. Into one that exists the files are renamed one by one, with a manifest that tells, at
    every moment, what is whose; of an earlier writing of the same kind, files that are not written again are removed.

    Parameters
    ----------
    path : Path
        The folder to write. A link to one is followed.
    kind : str
        As in `Manifest`.
    first : str, optional
        The file that takes its place before the others.
    overwrite, again : bool
        As in `check_folder`; what is overwritten is said in a `Notice`.

    Yields
    ------
    Path
        A folder on the same file system.

    Raises
    ------
    UserError
        As in `check_folder`, or if the folder cannot be written or the disk is full; `path` is then as it was.
    """
    check_folder(path, kind, overwrite=overwrite, again=again)
    stage: Path | None = None
    try:
        with writing(path):
            target = path.resolve()
            base = target if target.is_dir() else target.parent
            base.mkdir(parents=True, exist_ok=True)
            remove_leftovers(base)
            stage = base / temporary_name()
            stage.mkdir()
            yield stage
            names = sorted(
                (f.relative_to(stage).as_posix() for f in stage.rglob("*") if f.is_file()),
                key=lambda n: (n != first, n),
            )
            files = {name: digest_of(stage / name) for name in names}
            manifest = Manifest(kind, files, command=current_command.get())
            if target.exists():
                check_folder(path, kind, names, overwrite, again)
                replaced = _exchange(stage, target, manifest)
                if overwrite and replaced:
                    warnings.warn(Notice(f"in {path}, {replaced}"), stacklevel=3)
            else:
                _write_manifest(manifest, stage / MANIFEST_FILE)
                stage.rename(target)
    finally:
        if stage is not None:
            discard(stage)


def _exchange(stage: Path, target: Path, manifest: Manifest) -> str:
    """Rename the files of a stage into a folder, so that whatever happens in between each is still known as ours.

    Returns what was replaced, in words.
    """
    earlier = read_manifest(target)
    foreign = [MANIFEST_FILE] if earlier is None and (target / MANIFEST_FILE).exists() else []
    if earlier is None or not earlier.is_of(manifest.kind):
        earlier = Manifest(manifest.kind, {})
    old = {**earlier.files, **earlier.replaced}
    present = {name: digest for name in old if (digest := _unchanged(target, name, earlier)) is not None}
    foreign += [name for name in manifest.files if name not in present and (target / name).exists()]
    _write_manifest(replace(manifest, finished=False, replaced=present), target / MANIFEST_FILE)
    for name in manifest.files:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        (stage / name).replace(place)
    for name in present.keys() - manifest.files.keys():
        if _unchanged(target, name, earlier) is not None:
            (target / name).unlink()
    _write_manifest(manifest, target / MANIFEST_FILE)
    return _in_words(present, manifest, foreign, earlier.command)


def _in_words(own: Mapping[str, str], manifest: Manifest, foreign: list[str], command: str | None) -> str:
    replaced, removed = own.keys() & manifest.files.keys(), own.keys() - manifest.files.keys()
    words = []
    if own:
        writer = f", written by {command:.200}" if command else ""
        words.append(
            f"an earlier result was replaced ({counted(len(replaced), 'file')} anew, {len(removed)} removed{writer})"
        )
    if foreign:
        shown = ", ".join(foreign[:5]) + (", …" if len(foreign) > 5 else "")
        words.append(f"{counted(len(foreign), 'file')} overwritten that somebody else had written or changed: {shown}")
    return "; ".join(words)


def new_folder(path: Path) -> Path:
    """Make `path` or, where that exists, the first of ``name-2``, ``name-3`` and so on that does not.

    Raises
    ------
    UserError
        If it cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [new_folder(Path(folder) / "results" / "walk").name for _ in range(3)]
    ['walk', 'walk-2', 'walk-3']
    """
    for number in count(1):
        numbered = path if number == 1 else path.with_name(f"{path.name}-{number}")
        with writing(numbered):
            numbered.parent.mkdir(parents=True, exist_ok=True)
            try:
                # Made at once, so that of two commands at the same time each has its own.
                numbered.mkdir()
            except FileExistsError:
                continue
            return numbered
    raise AssertionError("there is no end of numbers")


def remove_empty(folder: Path) -> None:
    """Remove a folder if nothing is in it."""
    with suppress(OSError):
        folder.rmdir()
