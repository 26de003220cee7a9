"""Files that pages change part by part, while other pages and programs may change them too."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dcgan_viz.errors import UserError
from dcgan_viz.files import writing
from dcgan_viz.locking import one_at_a_time
from dcgan_viz.studio.serving import RefusedError, json_reply, read_json

T = TypeVar("T")


class Document(Generic[T]):
    """A file and the versions of its parts, such as the boxes on each picture.

    A change says on top of which version of its part it was made, and is refused if the file holds another, whoever
    wrote that: a second tab, another server, an editor. So nothing is written over that its author has not seen, and a
    save that comes late does not overtake a newer one. Changes of different parts are kept together.

    Parameters
    ----------
    path : path
        Is there already, in a folder that can be written; read anew before every change.
    load : callable
        Reads it; raises `UserError` if it is damaged or has become something else.
    save : callable
        Writes it, whole or not at all.
    part : callable
        Takes the content and a part's number, returns what a page is told of it, as plain data.
    identity : plain data
        What the file is about: a page of one document is refused by another's server at the same address.
    """

    def __init__(
        self,
        path: str | Path,
        load: Callable[[Path], T],
        save: Callable[[T, Path], Any],
        part: Callable[[T, int], Any],
        identity: Any,
    ) -> None:
        self.path = Path(path)
        self.name = _digest(identity)
        self._load, self._save, self._part = load, save, part
        self._changes: Counter[int] = Counter()
        with writing(self.path), tempfile.TemporaryFile(dir=self.path.parent):
            # That nothing can be written there is to be known before the first change.
            pass
        self._bytes = self.path.read_bytes()
        self._content = load(self.path)

    def read(self) -> T:
        """What the file holds now.

        Raises
        ------
        RefusedError
            With 409 if it cannot be read as what it was.
        """
        try:
            found = self.path.read_bytes()
        except FileNotFoundError:
            # Whoever removed it did not remove what is known: the next change writes it again.
            return self._content
        except OSError as error:
            raise RefusedError(f"{self.path} cannot be read: {error.strerror}", 409) from error
        if found != self._bytes:
            try:
                self._content, self._bytes = self._load(self.path), found
            except UserError as error:
                raise RefusedError(str(error), 409) from error
        return self._content

    def part(self, content: T, number: int) -> dict[str, Any]:
        """What a page is told of a part: its content and version."""
        value = self._part(content, number)
        # The count tells a content that came back, by undoing, from the same content before.
        return {"content": value, "version": f"{self._changes[number]}-{_digest(value)[:16]}"}

    def change(self, number: int, version: Any, edit: Callable[[T], T]) -> T:
        """Change a part.

        Parameters
        ----------
        number : int
        version : object
            Of the part as the page knew it.
        edit : callable
            Takes the content, returns the changed one.

        Returns
        -------
        object
            What the file holds now.

        Raises
        ------
        RefusedError
            With 409 if the part has another version, which is told; with 503 if the file cannot be written.
        """
        try:
            with one_at_a_time(self.path):
                return self._change(number, version, edit)
        except RefusedError:
            raise
        except UserError as error:
            raise RefusedError(str(error), 503) from error

    def _change(self, number: int, version: Any, edit: Callable[[T], T]) -> T:
        content = self.read()
        current = self.part(content, number)
        changed = edit(content)
        if self._part(changed, number) == current["content"] and self.path.exists():
            # Saved already, by an attempt whose reply was lost or by somebody of the same opinion.
            return content
        if version != current["version"]:
            raise RefusedError("this was changed elsewhere since the page read it", 409, current)
        self._save(changed, self.path)
        self._content, self._bytes = changed, self.path.read_bytes()
        self._changes[number] += 1
        return changed


def parts_route(
    path: str, document: Document[T], count: int, read: Callable[[Any, int], Callable[[T], T]]
) -> BaseRoute:
    """Takes the changes of a document's parts.

    The body of a PUT is ``{"document": name, "version": version, "content": content}``; the reply is the part.

    Parameters
    ----------
    path : str
        With ``{index:number}``, unless there is one part.
    document : Document
    count : int
        Of parts.
    read : callable
        Takes the content that the page sends and the part's number, returns the edit; raises `UserError` if it is wrong.
    """

    async def put(request: Request) -> Response:
        number = request.path_params.get("index", 0)
        if number >= count:
            raise RefusedError(f"there are {count}, and none is number {number}", 404)
        data = await read_json(request)
        if not isinstance(data, dict) or data.get("document") != document.name:
            raise RefusedError("this page is of another file than is served here now: reload it", 409)
        edit = read(data.get("content"), number)
        content = document.change(number, data.get("version"), edit)
        return json_reply(document.part(content, number))

    return Route(path, put, methods=["PUT"])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
