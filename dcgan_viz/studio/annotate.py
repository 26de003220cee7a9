"""The annotation page: draw boxes around an object in the browser, on a model's samples or on photographs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dcgan_viz.annotations.boxes import Annotations, Box, load_annotations, save_annotations
from dcgan_viz.annotations.photographs import (
    PhotographBoxes,
    identify,
    load_photograph_boxes,
    locate,
    save_photograph_boxes,
)
from dcgan_viz.blind.answers import read_rectangles
from dcgan_viz.data.decoding import UnreadableError, as_seen
from dcgan_viz.data.images import to_pixels
from dcgan_viz.data.sources import Source
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.progress import Progress, silent
from dcgan_viz.studio.documents import Document, parts_route
from dcgan_viz.studio.serving import (
    RefusedError,
    json_reply,
    local_app,
    pictures_route,
    samples_route,
    static_routes,
)

METHOD = "drawn by hand in the browser, on samples enlarged tenfold, one at a time"
METHOD_ON_PHOTOGRAPHS = "drawn by hand in the browser, on whole photographs, one at a time"
LONGEST_SHOWN = 1600
"""Pixels of a photograph's longer side on the page; boxes are in pixels of the photograph itself."""


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


def open_photographs(
    source: Source,
    label: str,
    path: str | Path,
    *,
    count: int | None = None,
    contributor: str = "not stated",
    progress: Progress = silent,
) -> PhotographBoxes:
    """Boxes on photographs to go on with: those in a file, or new ones where there is none yet.

    Parameters
    ----------
    source : Source
        From `open_images`.
    label : str
        The object.
    path : path
        COCO JSON; written if it does not exist.
    count : int, optional
        How many photographs of new annotations, evenly spread over the source; those in the file keep their own.
    contributor : str
        Who draws.
    progress : Progress

    Raises
    ------
    UserError
        If the file belongs to other photographs or objects, is damaged, or cannot be written.
    """
    if Path(path).exists():
        boxes = load_photograph_boxes(path)
        locate(boxes.photographs, source)
        if label not in boxes.looked_for:
            raise UserError(f"{path} holds boxes of {', '.join(boxes.looked_for)}: choose another file for {label!r}")
        return boxes
    photographs = identify(source, count, progress=progress)
    boxes = PhotographBoxes((), (label,), photographs, contributor, METHOD_ON_PHOTOGRAPHS, ())
    save_photograph_boxes(boxes, path)
    return boxes


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

    document = Document(path, load, save_annotations, _part(label), ["boxes", str(Path(path).resolve()), label, *about])
    pictures = samples_route(to_pixels(model.sample(annotations.count, annotations.seed)))
    sizes = [(annotations.size, annotations.size)] * annotations.count
    return _app(document, label, "sample", sizes, pictures)


def photographs_app(source: Source, label: str, boxes: PhotographBoxes, path: str | Path) -> Starlette:
    """The page on photographs as a web application.

    Parameters
    ----------
    source : Source
    label : str
    boxes : PhotographBoxes
        From `open_photographs`.
    path : path
        Holds them.

    Returns
    -------
    Starlette
        Answers requests for this machine alone.
    """
    places = locate(boxes.photographs, source)

    def load(file: Path) -> PhotographBoxes:
        found = load_photograph_boxes(file)
        if found.photographs != boxes.photographs or label not in found.looked_for:
            raise UserError(f"{file} has meanwhile been replaced by boxes of other photographs: put back what it was")
        return found

    def draw(index: int) -> Image.Image:
        try:
            return as_seen(source.entry(places[index]), LONGEST_SHOWN)
        except UnreadableError as error:
            raise RefusedError(f"{boxes.photographs[index].name} cannot be read: {error}", 404) from error

    digests = [photograph.digest for photograph in boxes.photographs]
    about = ["photographs", str(Path(path).resolve()), label, *digests]
    document = Document(path, load, save_photograph_boxes, _part(label), about)
    sizes = [(photograph.width, photograph.height) for photograph in boxes.photographs]
    return _app(document, label, "photograph", sizes, pictures_route(draw, len(sizes), "photograph", "jpeg"))


Boxes = TypeVar("Boxes", Annotations, PhotographBoxes)


def _part(label: str) -> Callable[[Annotations | PhotographBoxes, int], list[list[float]] | None]:
    """Gives the boxes of an object on a picture; None if nobody has looked at it."""
    grouped: dict[int, list[list[float]]] = {}
    known: Annotations | PhotographBoxes | None = None

    def part(content: Annotations | PhotographBoxes, index: int) -> list[list[float]] | None:
        nonlocal grouped, known
        if content is not known:
            # Once for all pictures, of which there may be thousands.
            grouped, known = {image: [] for image in content.reviewed_images()}, content
            for box in content.boxes:
                if box.label == label:
                    grouped.setdefault(box.image, []).append([box.left, box.top, box.width, box.height])
        return grouped.get(index)

    return part


def _app(
    document: Document[Boxes], label: str, noun: str, sizes: Sequence[tuple[int, int]], pictures: BaseRoute
) -> Starlette:
    """The page on pictures of any kind."""

    async def show_state(request: Request) -> Response:
        content = document.read()
        state = {"document": document.name, "label": label, "noun": noun, "sizes": sizes}
        return json_reply({**state, "parts": [document.part(content, index) for index in range(len(sizes))]})

    def read(data: Any, index: int) -> Callable[[Boxes], Boxes]:
        rectangles = None if data is None else read_rectangles(data, *sizes[index])
        return lambda content: _with_boxes(content, index, label, rectangles)

    return local_app(
        [
            *static_routes("annotate.html", "annotate.js", "boxes.js", "history.js", "saving.js", "pages.css"),
            Route("/state", show_state),
            pictures,
            parts_route("/boxes/{index:number}", document, len(sizes), read),
        ]
    )


def _with_boxes(
    content: Boxes, index: int, label: str, rectangles: tuple[tuple[float, float, float, float], ...] | None
) -> Boxes:
    """Other boxes of an object on one picture; None takes back that it was looked at."""
    boxes = [box for box in content.boxes if box.image != index or box.label != label]
    boxes += [Box(index, label, *rectangle) for rectangle in rectangles or ()]
    looked_at = {*content.reviewed_images()} - {index} | (set() if rectangles is None else {index})
    return replace(
        content,
        # Sorted by picture alone: those on one keep the order in which they were drawn.
        boxes=tuple(sorted(boxes, key=lambda box: box.image)),
        reviewed=tuple(sorted(looked_at)),
    )
