"""Pictures in a folder of any depth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dcgan_viz.data.decoding import Entry
from dcgan_viz.data.sources.names import Names
from dcgan_viz.data.sources.selection import GIVEN, SPECIAL, LeftOut, labels_of, machine_folder, ours
from dcgan_viz.data.sources.source import Source
from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import as_text


class FolderSource(Source):
    """The pictures below a folder, in the order of their names.

    Links are followed, and each real folder is read once. Hidden folders, those that computers make on their own,
    those that ``dcgan-viz`` has written, and masks beside the photographs that they belong to are left out.

    Raises
    ------
    UserError
        If the folder is itself one that ``dcgan-viz`` has written, cannot be read, or a link in it leads back.
    """

    kind = "a folder"

    def __init__(self, path: Path) -> None:
        left_out = LeftOut()
        files = sorted(_walk(path, left_out))
        names = Names(map(as_text, files))
        # Few, if any: names that are not text, by which alone the files are found.
        self.raw = {index: file for index, (file, name) in enumerate(zip(files, names, strict=True)) if file != name}
        super().__init__(path, names, left_out.sentences())

    def _entry(self, index: int) -> Entry:
        return self.path / self.raw.get(index, self.names[index])

    def _files(self) -> Iterator[Path]:
        return (self.path / self.raw.get(index, name) for index, name in enumerate(self.names))


class FileSource(Source):
    """A single picture."""

    kind = "a file"

    def __init__(self, path: Path) -> None:
        super().__init__(path, [as_text(path.name)])

    def _entry(self, index: int) -> Entry:
        return self.path


def _walk(root: Path, left_out: LeftOut) -> Iterator[str]:
    """Names of the pictures below `root`, with slashes."""
    seen: dict[tuple[int, int], str] = {}
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        folder = root / prefix
        try:
            status = folder.stat()
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            if not prefix:
                raise UserError(f"{root} cannot be read: {error.strerror}") from error
            left_out.folders.append(f"{prefix} ({error.strerror})")
            continue
        first = seen.setdefault((status.st_dev, status.st_ino), prefix)
        if first != prefix:
            if prefix.startswith(first):
                raise UserError(f"{folder} is a link back to {root / first}, in which it lies: remove the link")
            left_out.folders.append(f"{prefix} (the same folder as {first})")
        elif (what := ours([entry.name for entry in entries])) and (prefix or what not in GIVEN):
            if not prefix:
                raise UserError(f"{root} is {what} that dcgan-viz wrote: give the folder that holds the photographs")
            left_out.folders.append(f"{prefix} ({what})")
        else:
            folders = [entry.name for entry in entries if entry.is_dir()]
            read = []
            for name in folders:
                if machine_folder(name):
                    left_out.folders.append(f"{prefix}{name}/")
                elif photographs := labels_of(name, folders):
                    left_out.folders.append(f"{prefix}{name}/ (labels of {photographs}/)")
                else:
                    read.append(f"{prefix}{name}/")
            waiting.extend(reversed(read))
            yield from (prefix + entry.name for entry in entries if _is_picture(entry, left_out))


def _is_picture(entry: os.DirEntry[str], left_out: LeftOut) -> bool:
    if entry.is_dir():
        return False
    # A link to nothing is a picture that cannot be read. Opening a pipe would wait for ever.
    if not entry.is_file() and not (entry.is_symlink() and not Path(entry.path).exists()):
        left_out.endings[SPECIAL] += 1
        return False
    return left_out.wants(entry.name)
