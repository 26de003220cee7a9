"""The annotation page: draw boxes around an object on a model's samples, in the browser."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from dcgan_viz.data.annotations import Annotations, Box, load_annotations, save_annotations
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "127.0.0.1"
MAXIMUM_BODY, MAXIMUM_BOXES = 64 * 2**10, 200
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
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
    from starlette.responses import Response as Answer
    from starlette.routing import Route

    pixels = to_pixels(model.sample(annotations.count, annotations.seed))
    page = resources.files("dcgan_viz.studio").joinpath("annotate.html").read_text(encoding="utf-8")
    current = annotations

    async def show_page(request: Request) -> Response:
        return HTMLResponse(page)

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

    async def show_sample(request: Request) -> Response:
        index = request.path_params["index"]
        if not 0 <= index < len(pixels):
            return PlainTextResponse(f"there are {len(pixels)} samples", 404)
        file = io.BytesIO()
        picture = pixels[index]
        Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(file, "png")
        return Answer(file.getvalue(), media_type="image/png")

    async def put_boxes(request: Request) -> Response:
        nonlocal current
        index = request.path_params["index"]
        try:
            if int(request.headers.get("content-length", MAXIMUM_BODY + 1)) > MAXIMUM_BODY:
                raise UserError("that is too much at once")
            drawn = _read_boxes(json.loads(await request.body()), index, label, current)
            others = tuple(b for b in current.boxes if b.image != index or b.label != label)
            reviewed = tuple(sorted({*current.reviewed_images(), index}))
            changed = replace(current, boxes=tuple(sorted((*others, *drawn), key=_order)), reviewed=reviewed)
            save_annotations(changed, path)
        except (UserError, ValueError, TypeError) as error:
            return PlainTextResponse(str(error), 400)
        current = changed
        return JSONResponse({"total": sum(box.label == label for box in current.boxes)})

    routes = [
        Route("/", show_page),
        Route("/state", show_state),
        Route("/sample/{index:int}.png", show_sample),
        Route("/boxes/{index:int}", put_boxes, methods=["PUT"]),
    ]
    # A page of another site that has its name point here must not be answered.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return Starlette(routes=routes, middleware=[hosts])


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
    import socket

    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise UserError("the annotation page needs the extra studio: pip install 'dcgan-viz[studio]'") from error
    app = annotation_app(model, label, annotations, path)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise UserError(f"port {port} is taken: choose another with --port") from error
        ready(f"http://{HOST}:{port}/")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


def _order(box: Box) -> tuple[int, float, float]:
    return box.image, box.top, box.left


def _read_boxes(data: Any, index: int, label: str, annotations: Annotations) -> tuple[Box, ...]:
    if not 0 <= index < annotations.count:
        raise UserError(f"there is no sample {index}")
    if not isinstance(data, list) or len(data) > MAXIMUM_BOXES:
        raise UserError(f"at most {MAXIMUM_BOXES} boxes a sample")
    boxes = []
    for entry in data:
        left, top, width, height = (float(value) for value in entry)
        inside = left >= 0 and top >= 0 and left + width <= annotations.size and top + height <= annotations.size
        if not (inside and width > 0 and height > 0):
            raise UserError(f"the box {entry} does not lie in the {annotations.size}x{annotations.size} sample")
        boxes.append(Box(index, label, left, top, width, height))
    return tuple(boxes)
