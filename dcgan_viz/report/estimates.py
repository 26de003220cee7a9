"""Every number with an interval that is in a result, with words for where it stands."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dcgan_viz.results import Result
from dcgan_viz.statistics import Estimate

NAMING = (
    *("object", "choice", "condition", "concept", "expected", "measure", "space", "source"),
    *("kind", "method", "name", "map", "randomisation", "baseline"),
)
"""Fields whose value says which of several things a number is of; the first ones that there are."""

MERE_FIELDS = (
    "objects",
    "effects",
    "found",
    "changes",
    "depths",
    "similarities",
    "measurements",
    "rates",
    "quality",
    "coverage",
)
"""Fields that say nothing beside the names of what they hold."""


WORDS = {"frechet": "Fréchet distance", "kernel": "kernel distance (thousandths)", "floor": "other real images"}
"""Fields whose names are not what one calls them."""


@dataclass(frozen=True)
class Row:
    """One number.

    Parameters
    ----------
    name : str
        Such as ``chosen maps, window: removed``.
    estimate : Estimate
    """

    name: str
    estimate: Estimate


def estimates_of(result: Result) -> tuple[Row, ...]:
    """All estimates of a result, in the order of its fields.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class Shares(Result):
    ...     bright: Estimate
    >>> [row.name for row in estimates_of(Shares(settings={}, bright=Estimate(0.5, 0.4, 0.6, 9, "95 %")))]
    ['bright']
    """
    kept = [f for f in dataclasses.fields(result) if f.metadata.get("saved", True) and f.name != "settings"]
    rows = [row for f in kept for row in _rows(getattr(result, f.name), (_words(f.name),))]
    return tuple(
        Row(_join((*(word for word in path[:-1] if word not in MERE_FIELDS), path[-1])), estimate)
        for path, estimate in rows
    )


def _rows(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Estimate]]:
    if isinstance(value, Estimate):
        yield path, value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = _name(value)
        for f in dataclasses.fields(value):
            yield from _rows(getattr(value, f.name), (*path, *named, _words(f.name)))
    elif isinstance(value, tuple | list):
        for number, item in enumerate(value):
            unnamed = isinstance(item, Estimate) or not (dataclasses.is_dataclass(item) and _name(item))
            yield from _rows(item, (*path, f"{number}") if unnamed and len(value) > 1 else path)


def _name(value: Any) -> tuple[str, ...]:
    fields = {f.name for f in dataclasses.fields(value)}
    found = [f"{getattr(value, name)}".replace("_", " ") for name in NAMING if name in fields]
    for number in ("number", "layer"):
        if number in fields and found and isinstance(getattr(value, number), int):
            return (f"{found[0]} {getattr(value, number)}",)
    return tuple(found[:1])


def _words(name: str) -> str:
    return WORDS.get(name) or " ".join("AUC" if word == "auc" else word for word in name.split("_"))


def _join(path: tuple[str, ...]) -> str:
    *where, what = path
    return f"{', '.join(where)}: {what}" if where else what
