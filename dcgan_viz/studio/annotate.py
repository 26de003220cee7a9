"""The annotation page: draw boxes around an object on a model's samples, in the browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcgan_viz.annotations.boxes import Annotations, Box, load_annotations, save_annotations
from dcgan_viz.blind.answers import read_rectangles
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.studio.serving import local_app, read_json, samples_route, serve, static_route

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

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
    size = model.networks.generator.image_size
    annotations = Annotations(
        (), (label,), count, seed, size, model.generator_digest(), contributor, METHOD, reviewed=()
    )
    save_annotations(annotations, path)
    return annotations


def annotation_app(model: DCGAN, label: str, annotations: Annotations, path: str | Path) -> Starlette:
    """The page as a web application.

    Every box that is drawn is written to the file at once, under a temporary name first.

    Parameters
    ----------
    model : DCGAN
    label : str
    annotations : Annotations
        From `open_annotations`.
    path : path
        Where to write.

    Returns
    -------
    Starlette
        Answers requests for this machine alone.
    """
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route

    pixels = to_pixels(model.sample(annotations.count, annotations.seed))
    current = annotations

    async def show_state(request: Request) -> Response:
        boxes: dict[int, list[list[float]]] = {}
        for box in current.boxes:
            if box.label == label:
                boxes.setdefault(box.image, []).append([box.left, box.top, box.width, box.height])
        reviewed = set(current.reviewed_images())
        missing = [index for index in range(current.count) if index not in reviewed]
        return JSONResponse(
            {
                "label": label,
                "count": current.count,
                "size": current.size,
                "boxes": boxes,
                "next": missing[0] if missing else 0,
            }
        )

    async def put_boxes(request: Request) -> Response:
        nonlocal current
        index = request.path_params["index"]
        try:
            drawn = _read_boxes(await read_json(request), index, label, current)
            others = tuple(b for b in current.boxes if b.image != index or b.label != label)
            reviewed = tuple(sorted({*current.reviewed_images(), index}))
            changed = replace(current, boxes=tuple(sorted((*others, *drawn), key=_order)), reviewed=reviewed)
            save_annotations(changed, path)
        except UserError as error:
            return PlainTextResponse(str(error), 400)
        current = changed
        return JSONResponse({"total": sum(box.label == label for box in current.boxes)})

    routes = [
        static_route("/", "annotate.html"),
        static_route("/boxes.js", "boxes.js"),
        Route("/state", show_state),
        samples_route(pixels),
        Route("/boxes/{index:int}", put_boxes, methods=["PUT"]),
    ]
    return local_app(routes)


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
        If the extra ``studio`` is missing, or the port is taken.
    """
    serve(lambda: annotation_app(model, label, annotations, path), port, ready)


def _order(box: Box) -> tuple[int, float, float]:
    return box.image, box.top, box.left


def _read_boxes(data: Any, index: int, label: str, annotations: Annotations) -> tuple[Box, ...]:
    if not 0 <= index < annotations.count:
        raise UserError(f"there is no sample {index}")
    return tuple(Box(index, label, *box) for box in read_rectangles(data, annotations.size, annotations.size))
