from __future__ import annotations

import random

import pytest

from dcgan_viz.analysis.latent.expressions import Term, parse_expression, write_expression
from dcgan_viz.annotations.concepts import check_name
from dcgan_viz.errors import UserError

KNOWN = ["woman", "smiling woman", "neutral woman", "man", "neutral man", "red-haired", "red-haired woman", "wo"]


def terms(*pairs: tuple[int, str]) -> tuple[Term, ...]:
    return tuple(Term(1 if sign > 0 else -1, name) for sign, name in pairs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("woman", terms((1, "woman"))),
        ("- woman", terms((-1, "woman"))),
        ("+woman", terms((1, "woman"))),
        (
            "smiling woman - neutral woman + neutral man",
            terms((1, "smiling woman"), (-1, "neutral woman"), (1, "neutral man")),
        ),
        ("smiling   woman−neutral\twoman+neutral man", terms((1, "smiling woman"), (-1, "neutral woman"), (1, "neutral man"))),
        ("woman–man", terms((1, "woman"), (-1, "man"))),
        ("woman-man", terms((1, "woman"), (-1, "man"))),
        ("red-haired woman-red-haired+man", terms((1, "red-haired woman"), (-1, "red-haired"), (1, "man"))),
        ('"woman" - \'smiling woman\' + “man”', terms((1, "woman"), (-1, "smiling woman"), (1, "man"))),
        ("woman - woman + woman", terms((1, "woman"), (-1, "woman"), (1, "woman"))),
        ("wo + woman", terms((1, "wo"), (1, "woman"))),
    ],
)  # fmt: skip
def test_expressions_are_read(text: str, expected: tuple[Term, ...]) -> None:
    assert parse_expression(text, KNOWN) == expected


def test_a_hyphenated_name_wins_over_a_difference_of_its_parts() -> None:
    known = ["woman", "man", "woman-man"]
    assert parse_expression("woman-man", known) == terms((1, "woman-man"))
    assert parse_expression("woman - man", known) == terms((1, "woman"), (-1, "man"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expression is empty"),
        ("  ", "expression is empty"),
        ("smiling man", "no concept 'smiling man': choose from man, neutral man"),
        ("woman - old man + man", "no concept 'old man'"),
        ("well-known man + woman", "no concept 'well-known man'"),
        ("Woman", "no concept 'Woman'"),
        ("woman -", "a concept is missing after a sign"),
        ("woman - - man", "a concept is missing after a sign"),
        ("+", "a concept is missing after a sign"),
        ('woman "man"', "no concept 'woman \"man\"'"),
        ('"woman" man', "\\+ or − is missing before 'man'"),
        ('"woman', "quote before 'woman' is not closed"),
        ('"woman - man"', "no concept 'woman - man'"),
        ("2 woman", "no concept '2 woman'"),
        ("__import__('os')", "no concept"),
        ("woman * man", "no concept 'woman \\* man'"),
    ],
)
def test_what_cannot_be_read_is_said_with_what_could_be(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_expression(text, KNOWN)


def test_without_any_concept_the_error_says_so() -> None:
    with pytest.raises(UserError, match="none is named yet"):
        parse_expression("woman", [])


def test_whatever_is_written_is_read_back() -> None:
    """Random names that begin and end with one another, written with random spaces, quotes and minus signs."""
    source = random.Random(0)
    words = ["a", "ab", "a-b", "b", "ba", "b-a-b", "é", "man's"]
    for _ in range(500):
        known = sorted({" ".join(source.choices(words, k=source.randint(1, 3))) for _ in range(source.randint(1, 12))})
        assert [check_name(name) for name in known] == known
        expected = tuple(Term(source.choice((1, -1)), source.choice(known)) for _ in range(source.randint(1, 6)))
        text = ""
        for number, term in enumerate(expected):
            sign = "+" if term.sign > 0 else source.choice("-−–")
            if number == 0 and term.sign > 0 and source.random() < 0.5:
                sign = ""
            # A hyphen without spaces may join two names to a third, so it has one on its left.
            before = source.choice(["  ", " "]) if sign == "-" else source.choice([" ", ""])
            name = term.concept.replace(" ", source.choice([" ", "  "]))
            if source.random() < 0.3:
                name = f'"{term.concept}"'
            text += f"{before}{sign}{source.choice(['', ' '])}{name}"
        assert parse_expression(text, known) == expected, (text, known)
        assert parse_expression(write_expression(expected), known) == expected
