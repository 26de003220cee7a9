"""The names of YOLO's numbered classes."""

from __future__ import annotations

import re
from pathlib import Path

from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import read_text

FILES = ("classes.txt", "data.yaml", "dataset.yaml")


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
    outermost = place.parent
    for folder in labels.parents:
        for name in FILES:
            if (folder / name).is_file():
                return _read_names(folder / name)
        if folder == outermost:
            break
    raise UserError(
        f"{labels} numbers its objects, and there is no {' or '.join(FILES[:2])} beside it that names them: "
        "put it there, or give annotations of another format"
    )


def _read_names(file: Path) -> dict[int, str]:
    text = read_text(file)
    if file.suffix == ".txt":
        names = dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))
    else:
        names = yaml_names(text)
    if not names:
        raise UserError(f"{file} names no classes: it should hold one a line, or 'names:' with a list in YAML")
    return names


def yaml_names(text: str) -> dict[int, str]:
    """The entry ``names`` of a ``data.yaml``, in the four ways that tools write it.

    No dependency of the package reads YAML, and this entry is all that is needed of it.

    Examples
    --------
    >>> yaml_names("nc: 2\\nnames: ['window', lamp]\\n")
    {0: 'window', 1: 'lamp'}
    >>> yaml_names("names:\\n  0: window\\n  1: lamp  # on the table\\ntrain: images")
    {0: 'window', 1: 'lamp'}
    """
    found = re.search(r"^names[ \t]*:[ \t]*(.*(?:\n(?:[ \t]+.*|-.*|\]|\}|[ \t]*(?=\n)))*)", text, re.MULTILINE)
    if not found:
        return {}
    body = re.sub(r"(^|\s)#.*", "", found[1]).strip()
    flow = body[:1] in ("[", "{")
    entries = body.strip("[]{}").split(",") if flow else body.splitlines()
    names: dict[int, str] = {}
    for entry in (e.strip() for e in entries):
        if not entry:
            continue
        numbered = re.fullmatch(r"(\d+)\s*:\s*(.+)", entry)
        number, name = (int(numbered[1]), numbered[2]) if numbered else (len(names), entry.removeprefix("- "))
        names[number] = name.strip().strip("'\"")
    return names
