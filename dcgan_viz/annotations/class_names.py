"""The names of YOLO's numbered classes."""

from __future__ import annotations

import re
from pathlib import Path

from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import MAXIMUM_YAML, parse_yaml, read_text, shown

FILES = ("classes.txt", "data.yaml", "dataset.yaml")
MAXIMUM_CLASSES = 10_000
"""Of boxes whose classes nobody names."""


def find_class_names(labels: Path, place: Path) -> dict[int, str]:
    """The classes of a file with YOLO boxes, from ``classes.txt`` or ``data.yaml`` in its folder or one above.

    Parameters
    ----------
    labels : Path
        The file with boxes.
    place : Path
        What the user gave; nothing is looked for more than one folder above it.

    Raises
    ------
    UserError
        If there is no list of classes, or one without names.
    """
    file = _class_file(labels, place)
    if file is None:
        raise UserError(
            f"{labels} numbers its objects, and there is no {' or '.join(FILES[:2])} beside it that names them: "
            "put it there, or give annotations of another format"
        )
    return _read_names(file)


def find_class_names_or_numbers(labels: Path, place: Path) -> dict[int, str]:
    """As `find_class_names`; where no list of classes is found, their numbers are their names.

    Raises
    ------
    UserError
        If there is a list of classes, and it is damaged.
    """
    file = _class_file(labels, place)
    return {number: str(number) for number in range(MAXIMUM_CLASSES)} if file is None else _read_names(file)


def _class_file(labels: Path, place: Path) -> Path | None:
    outermost = place.parent
    for folder in labels.parents:
        for name in FILES:
            if (folder / name).is_file():
                return folder / name
        if folder == outermost:
            break
    return None


def _read_names(file: Path) -> dict[int, str]:
    text = read_text(file, MAXIMUM_YAML)
    if file.suffix == ".txt":
        names = dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))
    else:
        names = yaml_names(text, file)
    if not names:
        raise UserError(f"{file} names no classes: it should hold one a line, or 'names:' with a list in YAML")
    return names


def yaml_names(text: str, file: Path) -> dict[int, str]:
    """The entry ``names`` of a ``data.yaml``: a list, or a mapping from numbers.

    Raises
    ------
    UserError
        If the text is no YAML, or the entry is neither.

    Examples
    --------
    >>> yaml_names("nc: 2\\nnames: ['window', lamp]", Path("data.yaml"))
    {0: 'window', 1: 'lamp'}
    """
    data = parse_yaml(text, file)
    names = data.get("names") if isinstance(data, dict) else None
    if isinstance(names, list):
        names = {str(number): name for number, name in enumerate(names)}
    if not names:
        return {}
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise UserError(f"{file}: names should be a list of names, or names by their numbers")
    wrong = next((number for number in names if not re.fullmatch("[0-9]{1,9}", number)), None)
    if wrong is not None:
        raise UserError(f"{file}: names numbers a class {shown(wrong)}: it should be a whole number")
    return {int(number): name for number, name in names.items()}
