"""What the local pages share: who is answered, how much is read, how pictures are sent, and the serving itself."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.errors import UserError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

HOST = "127.0.0.1"
MAXIMUM_BODY = 64 * 2**10


def local_app(routes: Sequence[BaseRoute]) -> Starlette:
    """An application that answers requests for this machine alone."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    # A page of another site that has its name point here must not be answered.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return Starlette(routes=routes, middleware=[hosts])


def static_route(path: str, name: str) -> BaseRoute:
    """Serves a file of this package, a page or a script, as it is."""
    from starlette.responses import Response as Answer
    from starlette.routing import Route

    content = resources.files("dcgan_viz.studio").joinpath(name).read_text(encoding="utf-8")
    media_type = "text/javascript" if name.endswith(".js") else "text/html"

    async def show(request: Request) -> Response:
        return Answer(content, media_type=media_type)

    return Route(path, show)


def samples_route(pixels: NDArray[np.uint8], noun: str = "sample") -> BaseRoute:
    """Serves each of some pictures (N, H, W, C) under its number as PNG, such as /sample/0.png."""
    from starlette.responses import PlainTextResponse
    from starlette.responses import Response as Answer
    from starlette.routing import Route

    async def show(request: Request) -> Response:
        index = request.path_params["index"]
        if not 0 <= index < len(pixels):
            return PlainTextResponse(f"there are {len(pixels)} {noun}s", 404)
        picture = pixels[index]
        file = io.BytesIO()
        Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(file, "png")
        # The browser must not keep it: another page may have its address.
        return Answer(file.getvalue(), media_type="image/png", headers={"cache-control": "no-store"})

    return Route(f"/{noun}/{{index:int}}.png", show)


async def read_json(request: Request) -> Any:
    """The body of a request.

    Raises
    ------
    UserError
        If it is longer than 64 KiB, does not say how long it is, or is not JSON.
    """
    try:
        if int(request.headers.get("content-length", MAXIMUM_BODY + 1)) > MAXIMUM_BODY:
            raise UserError("that is too much at once")
        return json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"that is not JSON: {error}") from error


def serve(build: Callable[[], Starlette], port: int, ready: Callable[[str], None]) -> None:
    """Serve a page on this machine until interrupted.

    Parameters
    ----------
    build : callable
        Makes the application; called once it is known that its libraries are there.
    port : int
    ready : callable
        Receives the address before the server starts.

    Raises
    ------
    UserError
        If the extra ``studio`` is missing, or the port is taken.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise UserError("local pages need the extra studio: pip install 'dcgan-viz[studio]'") from error
    app = build()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            # Two sockets can be bound to one port as long as neither listens.
            listener.listen()
        except OSError as error:
            raise UserError(f"port {port} is taken: choose another with --port") from error
        ready(f"http://{HOST}:{port}/")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
