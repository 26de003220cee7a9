"""Lists of the pictures of a source that are to be used, by name: what is left once duplicates are taken out."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable
from pathlib import Path

from dcgan_viz.data.decoding import Entry
from dcgan_viz.data.sources.names import Names
from dcgan_viz.data.sources.source import Source
from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import as_text, printable

LONGEST_LINE = 2**16
MAXIMUM_NAMES = 2**30


class KeptSource(Source):
    """The pictures of a source that a keep-list names, in the order of the source.

    Parameters
    ----------
    source : Source
    keep_list : path
        A JSON string a line, as `keep_list_text` writes them.

    Raises
    ------
    UserError
        If the list cannot be read, or names what the source does not hold, or holds twice.
    """

    kind = "a keep-list"

    def __init__(self, source: Source, keep_list: Path) -> None:
        wanted = _read(keep_list)
        self.source = source
        self.indices = array("q", (index for index, name in enumerate(source.names) if name in wanted))
        names = Names(source.names[index] for index in self.indices)
        missing = wanted.difference(names)
        if missing:
            raise UserError(
                f"{len(missing):,} of the {len(wanted):,} names in {keep_list} are of no picture in {source.path}, such as "
                f"{printable(min(missing))}: give the list that was made of it"
            )
        if len(names) > len(wanted):
            raise UserError(
                f"{source.path} holds several pictures of one name, so that a list of names does not tell which are "
                "meant: give each a name of its own"
            )
        super().__init__(source.path, names, source.left_out)

    def _entry(self, index: int) -> Entry:
        return self.source.entry(self.indices[index])

    def changed(self) -> float:
        """As of the source."""
        return self.source.changed()

    @property
    def found(self) -> str:
        """What was found, in a sentence."""
        return f"{self.source.found}, of which {len(self):,} are on the keep-list"


def keep_list_text(names: Iterable[str]) -> str:
    """The text of a keep-list.

    Examples
    --------
    >>> keep_list_text(["a/1.png", "b.png"])
    '"a/1.png"\\n"b.png"\\n'
    """
    return "".join(f"{json.dumps(name)}\n" for name in names)


def _read(path: Path) -> set[str]:
    names: set[str] = set()
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                number += 1
                name = json.loads(line)
                if not isinstance(name, str) or number > MAXIMUM_NAMES:
                    raise ValueError
                name = as_text(name)
                if name in names:
                    raise UserError(f"{path} has {printable(name)} twice, again in line {number}: remove it")
                names.add(name)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror}; give a keep-list, such as dcgan-viz dedup writes"
        ) from error
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(
            f'line {number} of {path} is not a name in quotes, such as "a/1.png": give a keep-list, such as dcgan-viz dedup '
            "writes"
        ) from error
    if not names:
        raise UserError(f"{path} names no pictures: give a keep-list, such as dcgan-viz dedup writes")
    return names
