"""The concepts page: click samples of a model into named concepts, in the browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcgan_viz.annotations.concepts import Concepts, check_exemplars, check_name, load_concepts, save_concepts
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.studio.documents import Document, parts_route
from dcgan_viz.studio.serving import RefusedError, json_reply, local_app, samples_route, serve, static_routes

METHOD = "picked in the browser, from samples enlarged to 128 pixels or more"


def concepts_app(model: DCGAN, concepts: Concepts, path: str | Path) -> Starlette:
    """The page as a web application.

    Every click is written to the file at once, on top of what the file holds then; see
    `dcgan_viz.studio.documents.Document`.

    Parameters
    ----------
    model : DCGAN
    concepts : Concepts
        From `open_concepts`, as `path` holds them.
    path : path
        Where to write.

    Returns
    -------
    Starlette
        Answers requests for this machine alone.
    """
    about = (concepts.generator_digest, concepts.seed)

    def load(file: Path) -> Concepts:
        found = load_concepts(file)
        if (found.generator_digest, found.seed) != about:
            raise UserError(f"{file} has meanwhile been replaced by concepts of other samples: put back what it was")
        return replace(found, count=max(found.count, concepts.count))

    def part(content: Concepts, _: int) -> list[list[Any]]:
        # Pairs, since a browser would put names that look like numbers first.
        return [[name, list(numbers)] for name, numbers in content.exemplars.items()]

    def read(data: Any, _: int) -> Callable[[Concepts], Concepts]:
        exemplars = check_exemplars(_read_pairs(data), concepts.count)
        return lambda content: replace(content, exemplars=exemplars)

    document = Document(path, load, save_concepts, part, ["concepts", str(Path(path).resolve()), *about])

    async def show_state(request: Request) -> Response:
        state = {"document": document.name, "model": model.card.name, "count": concepts.count}
        return json_reply({**state, "parts": [document.part(document.read(), 0)]})

    return local_app(
        [
            *static_routes(
                "concepts.html", "concepts.js", "history.js", "saving.js", "tiles.js", "pages.css", "concepts.css"
            ),
            Route("/state", show_state),
            samples_route(to_pixels(model.sample(concepts.count, concepts.seed))),
            parts_route("/concepts", document, 1, read),
        ]
    )


def serve_concepts(
    model: DCGAN,
    concepts: Concepts,
    path: str | Path,
    *,
    port: int = 8765,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve the concepts page on this machine until interrupted.

    Parameters
    ----------
    model, concepts, path
        As in `concepts_app`.
    port : int
    ready : callable
        Receives the address before the server starts.

    Raises
    ------
    UserError
        If the place cannot be written, or the port is taken.
    """
    if not Path(path).exists():
        save_concepts(concepts, path)
    serve(lambda: concepts_app(model, concepts, path), port, ready)


def _read_pairs(data: Any) -> dict[str, Any]:
    if not isinstance(data, list) or not all(
        isinstance(p, list) and len(p) == 2 and isinstance(p[0], str) for p in data
    ):
        raise UserError("concepts are pairs of a name and a list of sample numbers")
    names = [pair[0] for pair in data]
    if len(set(names)) < len(names):
        raise UserError("two concepts have the same name: give each its own")
    for name in names:
        try:
            check_name(name)
        except UserError as error:
            # Told by itself, so that the page can take back this name alone.
            raise RefusedError(str(error), 400, {"name": name}) from error
    return dict(data)
