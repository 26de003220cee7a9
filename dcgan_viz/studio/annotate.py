"""The annotation page: draw boxes around an object on a model's samples, in the browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcgan_viz.annotations.boxes import Annotations, Box, load_annotations, save_annotations
from dcgan_viz.blind.answers import read_rectangles
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.studio.documents import Document, parts_route
from dcgan_viz.studio.serving import json_reply, local_app, samples_route, serve, static_routes

METHOD = "drawn by hand in the browser, on samples enlarged tenfold, one at a time"


def open_annotations(
    model: DCGAN, label: str, path: str | Path, *, count: int = 150, seed: int = 2015, contributor: str = "not stated"
) -> Annotations:
    """Annotations to go on with: those in a file, or new ones where there is none yet.

    Parameters
    ----------
    model : DCGAN
    label : str
        The object.
    path : path
        COCO JSON; written if it does not exist, so that a place that cannot be written is known at once.
    count, seed : int
        The samples of new annotations; those in the file keep their own.
    contributor : str
        Who draws.

    Raises
    ------
    UserError
        If the file belongs to other weights or objects, is damaged, or cannot be written.
    """
    if Path(path).exists():
        annotations = load_annotations(path)
        annotations.check_belongs_to(model)
        if label not in annotations.looked_for:
            raise UserError(
                f"{path} holds boxes of {', '.join(annotations.looked_for)}: choose another file for {label!r}"
            )
        return annotations
    size = model.image_shape[1]
    annotations = Annotations(
        (), (label,), count, seed, size, model.generator_digest(), contributor, METHOD, reviewed=()
    )
    save_annotations(annotations, path)
    return annotations


def annotation_app(model: DCGAN, label: str, annotations: Annotations, path: str | Path) -> Starlette:
    """The page as a web application.

    Every change is written to the file at once, on top of what the file holds then; see
    `dcgan_viz.studio.documents.Document`.

    Parameters
    ----------
    model : DCGAN
    label : str
    annotations : Annotations
        From `open_annotations`.
    path : path
        Holds them.

    Returns
    -------
    Starlette
        Answers requests for this machine alone.
    """
    about = (annotations.generator_digest, annotations.seed, annotations.count, annotations.size)

    def load(file: Path) -> Annotations:
        found = load_annotations(file)
        if (found.generator_digest, found.seed, found.count, found.size) != about or label not in found.looked_for:
            raise UserError(f"{file} has meanwhile been replaced by boxes of other samples: put back what it was")
        return found

    def part(content: Annotations, index: int) -> list[list[float]] | None:
        """The boxes on a sample; None if nobody has looked at it."""
        boxes = [[b.left, b.top, b.width, b.height] for b in content.boxes if b.image == index and b.label == label]
        return boxes if boxes or index in content.reviewed_images() else None

    def read(data: Any, index: int) -> Callable[[Annotations], Annotations]:
        rectangles = None if data is None else read_rectangles(data, annotations.size, annotations.size)
        return lambda content: _with_boxes(content, index, label, rectangles)

    document = Document(path, load, save_annotations, part, ["boxes", str(Path(path).resolve()), label, *about])

    async def show_state(request: Request) -> Response:
        content = document.read()
        return json_reply(
            {
                "document": document.name,
                "label": label,
                "noun": "sample",
                "width": content.size,
                "height": content.size,
                "parts": [document.part(content, index) for index in range(content.count)],
            }
        )

    return local_app(
        [
            *static_routes("annotate.html", "annotate.js", "boxes.js", "history.js", "saving.js", "pages.css"),
            Route("/state", show_state),
            samples_route(to_pixels(model.sample(annotations.count, annotations.seed))),
            parts_route("/boxes/{index:number}", document, annotations.count, read),
        ]
    )


def serve_annotations(
    model: DCGAN,
    label: str,
    annotations: Annotations,
    path: str | Path,
    *,
    port: int = 8765,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve the annotation page on this machine until interrupted.

    Parameters
    ----------
    model, label, annotations, path
        As in `annotation_app`.
    port : int
    ready : callable
        Receives the address before the server starts.

    Raises
    ------
    UserError
        If the port is taken.
    """
    serve(lambda: annotation_app(model, label, annotations, path), port, ready)


def _with_boxes(
    content: Annotations, index: int, label: str, rectangles: tuple[tuple[float, ...], ...] | None
) -> Annotations:
    """Other boxes of an object on one sample; None takes back that it was looked at."""
    others = (box for box in content.boxes if box.image != index or box.label != label)
    drawn = (Box(index, label, *rectangle) for rectangle in rectangles or ())
    looked_at = {*content.reviewed_images()} - {index} | (set() if rectangles is None else {index})
    return replace(
        content,
        # Sorted by sample alone: those on one keep the order in which they were drawn.
        boxes=tuple(sorted((*others, *drawn), key=lambda box: box.image)),
        reviewed=tuple(sorted(looked_at)),
    )
