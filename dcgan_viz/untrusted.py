"""Reading text that came from elsewhere: bounded, and XML without what makes it dangerous."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from dcgan_viz.errors import UserError

MAXIMUM_FILE, MAXIMUM_XML = 64 * 2**20, 2**20


def read_text(file: Path) -> str:
    """The text of a file.

    Raises
    ------
    UserError
        If it cannot be read, is larger than 64 MiB, or is not UTF-8.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAXIMUM_FILE + 1)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    if len(data) > MAXIMUM_FILE:
        raise UserError(f"{file} is larger than {MAXIMUM_FILE // 2**20} MiB: that is no file of boxes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 text: annotations are written as such, save it again") from error


def parse_xml(text: str, file: Path) -> ElementTree.Element:
    """The root of an XML document.

    Entities, which can grow without bound or read other files, are declared in a document type; annotations need
    none. The text is already decoded, so that no encoding can hide one from the search.

    Raises
    ------
    UserError
        If it has a document type or entities, is larger than 1 MiB, or is not well-formed.

    Examples
    --------
    >>> parse_xml("<annotation/>", Path("a.xml")).tag
    'annotation'
    """
    if len(text) > MAXIMUM_XML:
        raise UserError(f"{file} is larger than {MAXIMUM_XML // 2**20} MiB: that is no file of one picture's boxes")
    if any(declaration in text.lower() for declaration in ("<!doctype", "<!entity")):
        raise UserError(f"{file} has a document type or entities, which annotations never need: remove them")
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise UserError(f"{file} is damaged XML ({error}): write it again with its tool") from error
