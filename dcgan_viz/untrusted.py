"""Reading what came from elsewhere: bounded, checked against a schema, and nothing in it is run.

A schema is a dataclass, or any type that pydantic knows; its ``__post_init__`` says what types cannot. Files are read in
pydantic's strict mode: ``"3"``, ``3.0`` and ``true`` are no whole numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dcgan_viz.errors import UserError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from pydantic import ConfigDict, TypeAdapter

MAXIMUM_FILE = 256 * 2**20
"""Bytes of a text file: COCO's annotations of 60,000 photographs, or those of 200,000 procedural rooms."""

MAXIMUM_CARD = 2**20
"""Bytes of a file that describes one network, trial or set of samples; they hold a few thousand."""

MAXIMUM_XML, MAXIMUM_YAML = 2**20, 2**18
"""Bytes of one picture's boxes in XML, and of the names of a data set's classes: both parsers are slow."""

LARGEST = 2**63 - 1
"""The largest whole number, as in NumPy and torch: a file with a larger one means no count, size or seed."""

SHOWN = 60
"""Characters of a value from a file that an error shows."""

EXACT: ConfigDict = {"extra": "forbid", "allow_inf_nan": False}
"""For files that this package writes: ``__pydantic_config__`` of their dataclasses."""

LENIENT: ConfigDict = {"extra": "ignore", "allow_inf_nan": False}
"""For files of other tools, which hold more than is read here."""

T = TypeVar("T")


def read_text(file: Path, limit: int | None = None) -> str:
    """The text of a file.

    Parameters
    ----------
    file : Path
    limit : int, optional
        Bytes that it may have; 64 MiB by default.

    Raises
    ------
    UserError
        If it cannot be read, is larger than that, or is not UTF-8.
    """
    limit = limit or MAXIMUM_FILE
    try:
        with file.open("rb") as stream:
            data = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{file} cannot be read: {reason}") from error
    if len(data) > limit:
        raise UserError(
            f"{file} is larger than {_bytes(limit)}, which such a file never is: give another, or a part of it"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 text, as which it should be saved") from error


def _bytes(count: int) -> str:
    return f"{count // 2**20} MiB" if count >= 2**20 else f"{count // 2**10} KiB"


# --- JSON ----------------------------------------------------------------------------------------------------------


def read_json(file: Path, schema: type[T], wrong: str, remedy: str, limit: int | None = None) -> T:
    """What a JSON file holds, checked against a schema.

    Parameters
    ----------
    file : Path
    schema : type
        As in `parse_json`.
    wrong : str
        What the sentence says of a file that does not fit, such as "holds no concepts".
    remedy : str
        What to do then, such as "pick some with dcgan-viz concepts".
    limit : int, optional
        Bytes that the file may have; 64 MiB by default.

    Returns
    -------
    object
        An instance of `schema`.

    Raises
    ------
    UserError
        If the file cannot be read or does not fit; it names the file, the place in it, what was expected there and
        what was found.
    """
    try:
        text = read_text(file, limit)
    except UserError as error:
        raise UserError(f"{error}: {remedy}") from error
    try:
        return parse_json(text, schema)
    except UserError as error:
        raise UserError(f"{file} {wrong} ({error}): {remedy}") from error


def parse_json(text: str, schema: type[T]) -> T:
    """JSON text as an instance of a schema.

    Parameters
    ----------
    text : str
    schema : type
        A dataclass with `EXACT` or `LENIENT` as its ``__pydantic_config__``, or another type that pydantic knows. A
        `ValueError` of its ``__post_init__`` is reported with its place.

    Raises
    ------
    UserError
        If the text is no JSON, nests too deep, has a key twice or a number of more than 64 bits, or does not fit the
        schema; the sentence says where, what was expected and what was found.

    Examples
    --------
    >>> parse_json('{"window": [3, 1]}', dict[str, list[int]])
    {'window': [3, 1]}
    >>> parse_json('{"window": [3, "1"]}', dict[str, list[int]])
    Traceback (most recent call last):
    dcgan_viz.errors.UserError: window[1]: expected a whole number, found '1'
    """
    from pydantic import ValidationError

    data = load_plain(text)
    try:
        found: T = _adapter(cast(Any, schema)).validate_json(text, strict=True)
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        more = f", and {len(others)} more" if others else ""
        raise UserError(f"{_sentence(first, data)}{more}") from None
    return found


def validate(data: Any, schema: type[T]) -> T:
    """Plain data that was read from JSON before as an instance of a schema, checked as by `parse_json`.

    Raises
    ------
    UserError
        As `parse_json`.

    Examples
    --------
    >>> validate({"seed": 1.5}, dict[str, int])
    Traceback (most recent call last):
    dcgan_viz.errors.UserError: seed: expected a whole number, found 1.5
    """
    try:
        text = json.dumps(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"it is not plain data: {error}") from error
    return parse_json(text, schema)


@cache
def _adapter(schema: Any) -> TypeAdapter[Any]:
    # Late: what only writes files, and the command line's help, do without it.
    from pydantic import TypeAdapter

    return TypeAdapter(schema)


def load_plain(text: str) -> Any:
    """JSON text as lists, dictionaries, strings and numbers, to see which of several schemas it follows.

    Raises
    ------
    UserError
        If it is no JSON, nests too deep, has a key twice or a number of more than 64 bits.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_whole_number)
    except RecursionError as error:
        raise UserError("it nests too deep") from error
    except json.JSONDecodeError as error:
        raise UserError(f"it is not JSON: {error}") from error


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # One of the two would be lost without a word.
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise UserError(f"{shown(twice)} is there twice")
    return found


def _whole_number(digits: str) -> int:
    if len(digits) > len(str(-LARGEST)) or abs(int(digits)) > LARGEST:
        raise UserError(f"a number of {len(digits.lstrip('-'))} digits is too large: {digits[:20]}…")
    return int(digits)


_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "string": "text",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "an object",
    "dataclass": "an object",
    "mapping": "an object",
}


def _sentence(error: Any, data: Any) -> str:
    """What pydantic found wrong, with its place."""
    kind, place, value = error["type"], "", data
    for key in error["loc"]:
        known = isinstance(value, dict) and key in value
        if known or (isinstance(value, list) and isinstance(key, int) and key < len(value)):
            place += f"[{key}]" if isinstance(key, int) else f".{shown(key, quoted=False)}"
            value = value[key]
        elif kind in ("missing", "missing_argument"):
            place += f".{key}"
        else:
            # Not a place in the data: which part of a union it is.
            break
    place = place.removeprefix(".") or "it"
    if kind in ("missing", "missing_argument"):
        return f"{place} is missing"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{place} is not a known entry"
    if kind == "json_invalid":
        return f"it is not JSON: {error['ctx']['error']}"
    if kind == "value_error":
        sentence = str(error["ctx"]["error"])
        return f"{place}: {sentence}" if error["loc"] else sentence
    plain = error["msg"].removeprefix("Input should be ").removeprefix("Input should have ")
    expected = _EXPECTED.get(kind) or _EXPECTED.get(kind.partition("_")[0]) or plain
    return f"{place}: expected {expected}, found {shown(value)}"


def shown(value: Any, quoted: bool = True) -> str:
    """A value from a file as an error shows it: on one line, short, and without what a terminal would obey.

    Examples
    --------
    >>> shown("a" * 100), shown([1, 2]), shown(None)
    ("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…'", 'a list of 2', 'null')
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        literal = repr(value if len(value) <= SHOWN else f"{value[:SHOWN]}…")
        return literal if quoted else literal[1:-1]
    return json.dumps(value)


_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tabs and line ends, those that turn the direction of writing, and halves of pairs."""


def printable(text: str) -> str:
    r"""Text as it can go to a terminal: what the terminal would obey becomes visible.

    Examples
    --------
    >>> printable("\x1b[2Jbedrooms")
    '\\x1b[2Jbedrooms'
    """
    return _OBEYED.sub(lambda found: repr(found[0])[1:-1], text)


def as_text(name: str) -> str:
    r"""The name of a file as text: its bytes that are not UTF-8, which Python has as halves of pairs, become visible.

    No JSON takes the halves.

    Examples
    --------
    >>> as_text("b/\udcff.png"), as_text("ä.png")
    ('b/\\udcff.png', 'ä.png')
    """
    return name.encode("utf-8", "backslashreplace").decode()


# --- XML and YAML --------------------------------------------------------------------------------------------------


def parse_xml(text: str, file: Path) -> Element:
    """The root of an XML document.

    Entities, which can grow without bound or read other files, are declared in a document type; annotations need
    none. The text is already decoded, so that no encoding can hide one.

    Raises
    ------
    UserError
        If it has a document type or entities, is larger than 1 MiB, or is not well-formed.

    Examples
    --------
    >>> parse_xml("<annotation/>", Path("a.xml")).tag
    'annotation'
    """
    from defusedxml import DefusedXmlException, ElementTree

    if len(text) > MAXIMUM_XML:
        raise UserError(f"{file} is larger than {_bytes(MAXIMUM_XML)}: that is not a file of one picture's boxes")
    try:
        root: Element = ElementTree.fromstring(text, forbid_dtd=True)
    except DefusedXmlException as error:
        raise UserError(f"{file} has a document type or entities, which annotations never need: remove them") from error
    except ElementTree.ParseError as error:
        raise UserError(f"{file} is damaged XML ({error}): write it again with its tool") from error
    return root


def parse_yaml(text: str, file: Path) -> Any:
    """A YAML document as lists, dictionaries and strings; what is written as a number stays the text that it is.

    Aliases are not copied: a list of references to one list is small in memory and huge when it is walked, so what
    walks it must stop at the first value of a wrong kind.

    Raises
    ------
    UserError
        If it is larger than 256 KiB, nests too deep or is no YAML.

    Examples
    --------
    >>> parse_yaml("names: {0: window}", Path("data.yaml"))
    {'names': {'0': 'window'}}
    """
    import yaml

    if len(text) > MAXIMUM_YAML:
        raise UserError(f"{file} is larger than {_bytes(MAXIMUM_YAML)}: that is not a list of classes")
    try:
        # Without a resolver "no" is a name and not False, and no tag can ask for an object.
        return yaml.load(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{file} is damaged YAML ({reason:.200}): write it again with its tool") from error
