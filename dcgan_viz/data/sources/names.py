"""Millions of names in little memory."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import overload

import numpy as np

KEPT_WHATEVER = "surrogatepass"
"""Names of files need not be text: what Python reads them as is kept."""


BLOCK = 128
"""Names that are compressed together: enough to be small, few enough to be opened for one of them."""
BETWEEN = b"\xff"
"""Stands between names; no encoded name has this byte."""


class Names(Sequence[str]):
    """Strings in compressed blocks: a list of as many takes four times the memory, and a copy in each process.

    The block that was read last stays open, so that going through all of them in their order is fast.

    Parameters
    ----------
    names : iterable of str

    Examples
    --------
    >>> names = Names(["a.png", "b/ä.png"])
    >>> names[1], names[-2:], names == ("a.png", "b/ä.png")
    ('b/ä.png', ('a.png', 'b/ä.png'), True)
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._packed, self._ends = bytearray(), array("q", [0])
        self._last: list[str] = []
        self._opened: tuple[int, list[str]] = (-1, [])
        for name in names:
            self.append(name)

    def append(self, name: str) -> None:
        """Take one more."""
        self._last.append(name)
        if len(self._last) == BLOCK:
            self._packed += zlib.compress(BETWEEN.join(name.encode("utf-8", KEPT_WHATEVER) for name in self._last), 1)
            self._ends.append(len(self._packed))
            self._last = []

    def __iter__(self) -> Iterator[str]:
        # A block at a time: asked for one by one, names take five times as long.
        for number in range(len(self._ends)):
            yield from self._block(number)

    def __len__(self) -> int:
        return (len(self._ends) - 1) * BLOCK + len(self._last)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        numbers = range(len(self))[index]
        if isinstance(numbers, range):
            return tuple(self[number] for number in numbers)
        block, place = divmod(numbers, BLOCK)
        return self._block(block)[place]

    def _block(self, number: int) -> list[str]:
        if number == len(self._ends) - 1:
            return self._last
        # Taken at once, as another thread may open another block meanwhile.
        opened, names = self._opened
        if opened != number:
            text = zlib.decompress(self._packed[self._ends[number] : self._ends[number + 1]])
            names = [name.decode("utf-8", KEPT_WHATEVER) for name in text.split(BETWEEN)]
            self._opened = number, names
        return names

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Names({list(self)!r})" if len(self) < 10 else f"<{len(self):,} names>"


def superseded(names: Sequence[str]) -> set[int]:
    """The places of names that come again later; only those that may be alike are held in memory.

    Examples
    --------
    >>> superseded(["a", "b", "a", "c", "a"])
    {0, 2}
    """
    hashes = np.fromiter(map(hash, names), np.int64, len(names))
    ordered = np.sort(hashes)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    later: set[str] = set()
    found = set()
    for index in np.flatnonzero(np.isin(hashes, twice))[::-1].tolist():
        if names[index] in later:
            found.add(index)
        later.add(names[index])
    return found


def ascending(names: Sequence[str], chosen: Sequence[int]) -> Sequence[int]:
    """Places of some names in the order of these; most archives have it already, which takes no memory.

    Examples
    --------
    >>> ascending(["b", "a", "c"], [0, 1])
    [1, 0]
    """
    ordered = all(names[one] <= names[another] for one, another in pairwise(chosen))
    return chosen if ordered else sorted(chosen, key=names.__getitem__)
