"""Why pictures were left out, counted."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from dcgan_viz.untrusted import printable

NUMBERS = re.compile(r"(`[^`]*`)|\d[\d.,]*")


@dataclass(frozen=True)
class Reason:
    """A reason that several pictures share.

    Parameters
    ----------
    reason : str
        Of the first of them.
    pictures : int
        How many.
    example : str
        The name of the first.
    """

    reason: str
    pictures: int
    example: str

    def __str__(self) -> str:
        more = f" and {self.pictures - 1:,} more" if self.pictures > 1 else ""
        return f"{printable(self.example)}{more}: {self.reason}"


def by_reason(pictures: Iterable[tuple[str, str]]) -> list[Reason]:
    """Names of pictures with what is wrong with each, by what it is, the most frequent first.

    Numbers make no other reason of it, but within what there is to do about it.

    Examples
    --------
    >>> print(*by_reason([("a", "32 bytes missing"), ("b", "empty"), ("c", "7 bytes missing")]), sep="\\n")
    a and 1 more: 32 bytes missing
    b: empty
    """
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, reason in pictures:
        found[NUMBERS.sub(lambda match: match[1] or "#", reason)].append((name, reason))
    reasons = [Reason(alike[0][1], len(alike), alike[0][0]) for alike in found.values()]
    return sorted(reasons, key=lambda reason: -reason.pictures)
