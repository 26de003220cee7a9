"""The concepts page: click samples of a model into named concepts, in the browser."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcgan_viz.annotations.concepts import Concepts, check_exemplars, save_concepts
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.studio.serving import local_app, read_json, samples_route, serve, static_route

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

METHOD = "picked in the browser, from samples enlarged to 128 pixels or more"


def concepts_app(model: DCGAN, concepts: Concepts, path: str | Path) -> Starlette:
    """The page as a web application.

    Every click is written to the file at once, under a temporary name first. A second page that does not know what
    the first has written is refused.

    Parameters
    ----------
    model : DCGAN
    concepts : Concepts
        From `open_concepts`.
    path : path
        Where to write.

    Returns
    -------
    Starlette
        Answers requests for this machine alone.
    """
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route

    pixels = to_pixels(model.sample(concepts.count, concepts.seed))
    current = concepts

    def state() -> dict[str, Any]:
        # Pairs, since a browser would put names that look like numbers first.
        pairs = [[name, list(numbers)] for name, numbers in current.exemplars.items()]
        version = hashlib.sha256(json.dumps(pairs).encode()).hexdigest()
        return {"model": model.card.name, "count": current.count, "concepts": pairs, "version": version}

    async def show_state(request: Request) -> Response:
        return JSONResponse(state())

    async def put_concepts(request: Request) -> Response:
        nonlocal current
        try:
            data = await read_json(request)
            if not isinstance(data, dict) or data.get("version") != state()["version"]:
                raise UserError("another page has changed the concepts: reload this one")
            changed = replace(current, exemplars=check_exemplars(_read_pairs(data.get("concepts")), current.count))
            save_concepts(changed, path)
        except UserError as error:
            return PlainTextResponse(str(error), 400)
        current = changed
        return JSONResponse(state())

    return local_app(
        [
            static_route("/", "concepts.html"),
            Route("/state", show_state),
            samples_route(pixels),
            Route("/concepts", put_concepts, methods=["PUT"]),
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
        If the place cannot be written, the extra ``studio`` is missing, or the port is taken.
    """
    # Written at once, so that a place that cannot be written is known before the first click.
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
    return dict(data)
