"""Numbers and places in sentences."""

from __future__ import annotations

from pathlib import Path


def counted(number: int, noun: str) -> str:
    """A number of things, one or several.

    Examples
    --------
    >>> counted(1, "row"), counted(3, "box"), counted(0, "batch"), counted(12000, "sample")
    ('1 row', '3 boxes', '0 batches', '12,000 samples')
    """
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Several things of a name.

    Examples
    --------
    >>> plural("step"), plural("batch"), plural("process"), plural("analysis")
    ('steps', 'batches', 'processes', 'analyses')
    """
    if noun.endswith("sis"):
        return f"{noun[:-2]}es"
    return f"{noun}es" if noun.endswith(("ch", "s", "x")) else f"{noun}s"


def way_out(other: str, lost: str) -> str:
    """What to do where something is in the way, which is not to be lost for the asking.

    Parameters
    ----------
    other : str
        What else to choose, such as "folder".
    lost : str
        What there would be lost.

    Examples
    --------
    >>> way_out("folder", "mine/card.json")
    'choose another folder; with `overwrite=True` mine/card.json would be replaced and lost'
    """
    return f"choose another {other}; with `overwrite=True` {lost} would be replaced and lost"


def images_in(path: Path) -> str:
    """What the images of a source are called; a folder by its name alone, with a slash.

    Examples
    --------
    >>> images_in(Path("data/bedrooms.zip"))
    'images in bedrooms.zip'
    """
    return f"images in {path.resolve().name}{'/' if path.is_dir() else ''}"
