"""A class for each picture of a set: from folders, from a table, or from UTKFace's file names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import read_text, shown
from dcgan_viz.words import counted

UNLABELLED = -1
UTKFACE = "utkface"
"""The name under which `read_labels` knows UTKFace's file names."""

ADULT = 16
"""The faces of younger people often do not show their gender: they are reported on their own."""


@dataclass(frozen=True)
class Labels:
    """A class for each picture.

    Parameters
    ----------
    classes : tuple of str
    numbers : ndarray of int64 (N,)
        Of each picture's class; -1 for pictures without one.
    subsets : tuple of str (N)
        Parts of the set that accuracy is reported for, such as age groups; "" for none.
    """

    classes: tuple[str, ...]
    numbers: NDArray[np.int64]
    subsets: tuple[str, ...]


def read_labels(source: str | None, names: Sequence[str]) -> Labels:
    """The classes of pictures by their names.

    Parameters
    ----------
    source : str, optional
        None takes the first folder of each name as its class. ``"utkface"`` reads the gender from names like
        ``25_1_0_20170116174525125.jpg`` (age, gender, race, date); names that lack a field are left without a class.
        Anything else is a CSV file with columns ``file`` and ``label``, and optionally ``subset``.
    names : sequence of str
        As in `ImageSet.names`.

    Returns
    -------
    Labels

    Raises
    ------
    UserError
        If the table is not readable or names pictures that are not there, or there are fewer than two classes.

    Examples
    --------
    >>> read_labels(None, ["cat/1.png", "dog/1.png", "dog/2.png"]).classes
    ('cat', 'dog')
    >>> read_labels("utkface", ["25_1_0_20170116.jpg", "7_0_2_20170117.jpg", "61_3_20170109.jpg"]).numbers
    array([ 1,  0, -1])
    """
    if source is None:
        entries = {name: (parts[0], "") for name in names if len(parts := PurePosixPath(name).parts) > 1}
        missing = "the pictures do not lie in a folder for each class: sort them so, or give a table as `labels`"
    elif source == UTKFACE:
        entries = {name: entry for name in names if (entry := _utkface(name)) is not None}
        missing = "the pictures are not named like UTKFace's, age_gender_race_date: give a table as `labels`"
    else:
        entries = _read_table(Path(source), names)
        missing = f"{source} names fewer than two classes: a classifier tells at least two apart"
    classes = tuple(sorted({label for label, _ in entries.values()}, key=_in_order))
    if source == UTKFACE:
        # As numbered in the data: 0 male, 1 female.
        classes = tuple(c for c in ("man", "woman") if c in classes)
    if len(classes) < 2:
        raise UserError(missing)
    numbers = [classes.index(entries[name][0]) if name in entries else UNLABELLED for name in names]
    return Labels(classes, np.array(numbers, np.int64), tuple(entries.get(name, ("", ""))[1] for name in names))


def _in_order(label: str) -> tuple[bool, int, str]:
    """Numbers by their size and before words: 2 comes before 10."""
    is_number = label.isascii() and label.isdigit() and len(label) < 19
    return (not is_number, int(label) if is_number else 0, label)


def _utkface(name: str) -> tuple[str, str] | None:
    found = re.match(r"(\d+)_([01])_[0-4]_\d+\.", PurePosixPath(name).name)
    if found is None:
        return None
    return ("man", "woman")[int(found[2])], f"aged {ADULT} or more" if int(found[1]) >= ADULT else f"aged under {ADULT}"


def _read_table(path: Path, names: Sequence[str]) -> dict[str, tuple[str, str]]:
    remedy = "it must be a CSV file with columns file and label, or the word utkface"
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path), newline="")))
        entries = {row["file"]: (row["label"].strip(), (row.get("subset") or "").strip()) for row in rows}
    except UserError as error:
        raise UserError(f"{error}: {remedy}") from error
    except (KeyError, AttributeError, csv.Error) as error:
        raise UserError(f"{path} is not a readable table ({type(error).__name__}: {error}): {remedy}") from error
    strangers = sorted(set(entries) - set(names))
    if strangers:
        listed = ", ".join(shown(name, quoted=False) for name in strangers[:3])
        raise UserError(
            f"{path} names {counted(len(strangers), 'picture')} not found there ({listed}): name them as they are in the "
            f"folder or zip, such as {names[0]}"
        )
    return {name: entry for name, entry in entries.items() if entry[0]}
