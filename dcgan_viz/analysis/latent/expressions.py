"""Expressions over named concepts, such as ``smiling woman - neutral woman + neutral man``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from dcgan_viz.errors import UserError

PLUS, MINUS = "+", "-−–"
"""Besides the hyphen, the minus and the dash that word processors make of it."""

QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’"}


@dataclass(frozen=True)
class Term:
    """A concept that is added or subtracted.

    Parameters
    ----------
    sign : {1, -1}
    concept : str
    """

    sign: Literal[1, -1]
    concept: str


def parse_expression(text: str, known: Iterable[str]) -> tuple[Term, ...]:
    """Concepts that are added and subtracted.

    Names may hold spaces and hyphens, since they are read as far as a known name reaches; quotes around one are
    optional. Nothing is evaluated.

    Parameters
    ----------
    text : str
    known : iterable of str
        Names as `check_name` returns them.

    Returns
    -------
    tuple of Term

    Raises
    ------
    UserError
        If a name is not known, or a sign or a name is missing; the message lists the known names.

    Examples
    --------
    >>> parse_expression('smiling woman − "woman" + man', ["woman", "smiling woman", "man"])
    (Term(sign=1, concept='smiling woman'), Term(sign=-1, concept='woman'), Term(sign=1, concept='man'))
    """
    names = sorted(set(known), key=len, reverse=True)
    rest = " ".join(text.split())
    if not rest:
        raise UserError(f"the expression is empty: {_example(names)}")
    terms: list[Term] = []
    while rest:
        sign, rest = _take_sign(rest, optional=not terms)
        name, rest = _take_name(rest, names)
        terms.append(Term(sign, name))
    return tuple(terms)


def write_expression(terms: Iterable[Term]) -> str:
    """The expression of terms, with real minus signs.

    Examples
    --------
    >>> write_expression([Term(1, "smiling woman"), Term(-1, "woman")])
    'smiling woman − woman'
    """
    words = " ".join(f"{'+' if term.sign > 0 else '−'} {term.concept}" for term in terms)
    return words.removeprefix("+ ")


def _take_sign(rest: str, *, optional: bool) -> tuple[Literal[1, -1], str]:
    if rest[:1] == PLUS:
        return 1, rest[1:].lstrip()
    if rest and rest[0] in MINUS:
        return -1, rest[1:].lstrip()
    if not optional:
        raise UserError(f"a + or − is missing before {rest!r:.80}")
    return 1, rest


def _take_name(rest: str, names: list[str]) -> tuple[str, str]:
    if rest and rest[0] in QUOTES:
        end = rest.find(QUOTES[rest[0]], 1)
        if end < 0:
            raise UserError(f"the quote before {rest[1:]!r:.80} is not closed")
        name = rest[1:end].strip()
        if name not in names:
            raise UserError(_unknown(name, names))
        return name, rest[end + 1 :].lstrip()
    for name in names:
        after = rest[len(name) :].lstrip()
        # The longest known name that a sign or the end follows.
        if rest.startswith(name) and (not after or after[0] in PLUS + MINUS):
            return name, after
    # A hyphen within a word is part of a name; elsewhere it is a sign.
    unknown = re.match(r"(?:(?<=\w)-(?=\w)|[^+−–-])*", rest)
    raise UserError(_unknown(unknown[0].strip() if unknown else "", names))


def _unknown(name: str, names: list[str]) -> str:
    if not name:
        return f"a concept is missing after a sign: {_example(names)}"
    return f"there is no concept {name!r}: choose from {', '.join(sorted(names)) or 'nothing, none is named yet'}"


def _example(names: list[str]) -> str:
    return f"write concepts with + and − between them, from {', '.join(sorted(names)) or 'those you name'}"
