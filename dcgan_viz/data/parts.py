"""Parts of a set that several machines work on, and where each writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dcgan_viz.errors import UserError

MOST_PARTS = 100_000


@dataclass(frozen=True)
class Part:
    """One of several contiguous parts of a set, as even as they can be.

    Parameters
    ----------
    number, of : int
        From 1.

    Raises
    ------
    UserError
        If there is no such part.

    Examples
    --------
    >>> Part(2, 3).rows(10), Part(2, 3).path(Path("all.npy")).name
    (range(3, 6), 'all.2-of-3.npy')
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of <= MOST_PARTS:
            raise UserError(
                f"there is no part {self.number} of {self.of}: they are numbered from 1, up to {MOST_PARTS:,} of them"
            )

    @classmethod
    def parse(cls, text: str) -> Part:
        """A part as it is typed, ``2/8``.

        Examples
        --------
        >>> Part.parse("2/8")
        Part(number=2, of=8)
        """
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        if match is None:
            raise UserError(f"{text!r} is not a part: write 2/8 for the second of eight")
        return cls(int(match[1]), int(match[2]))

    def rows(self, count: int) -> range:
        """The numbers of its pictures among `count`."""
        return range(count * (self.number - 1) // self.of, count * self.number // self.of)

    def path(self, out: Path) -> Path:
        """Where it is written, of a whole that is to be `out`."""
        return out.with_name(f"{out.stem}.{self.number}-of-{self.of}{out.suffix}")


def _calls(number: int, of: int) -> str:
    """What writes a part, in a sentence."""
    part = f"(part={number}/{of})"
    return f"`prepare{part}`, `cut_crops{part}` or `extract_features{part}`"


def has_parts(out: Path) -> bool:
    """Whether a part of a whole lies beside it, of any division."""
    return bool(_found(out))


def parts_of(out: Path) -> list[Path]:
    """The files of all parts of a whole, in their order.

    Parameters
    ----------
    out : Path
        The whole, which need not be there.

    Raises
    ------
    UserError
        If there are none, some are missing, or there are those of two divisions.
    """
    found = _found(out)
    divisions = sorted({of for of, _ in found})
    if not divisions:
        example = Part(1, 8).path(out).name
        raise UserError(f"there are no parts of {out}, such as {example}: write them with {_calls(1, 8)}, and so on")
    if len(divisions) > 1:
        raise UserError(
            f"beside {out} are parts of {' and of '.join(map(str, divisions))}: move those of one division elsewhere"
        )
    of = divisions[0]
    missing = [number for number in range(1, of + 1) if (of, number) not in found][:MOST_PARTS]
    if missing:
        raise UserError(
            f"{len(missing)} of the {of} parts of {out} are missing, such as {Part(missing[0], of).path(out).name}: write it "
            f"with {_calls(missing[0], of)}"
        )
    return [Part(number, of).path(out) for number in range(1, of + 1)]


def _found(out: Path) -> set[tuple[int, int]]:
    """The parts that lie beside a whole: of how many, and which."""
    name = re.compile(rf"{re.escape(out.stem)}\.(\d{{1,9}})-of-(\d{{1,9}}){re.escape(out.suffix)}")
    folder = out.parent
    matches = [name.fullmatch(file.name) for file in folder.iterdir()] if folder.is_dir() else []
    return {(int(match[2]), int(match[1])) for match in matches if match}
