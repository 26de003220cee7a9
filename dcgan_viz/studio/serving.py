"""What the local pages share: who is answered, how much is read, how pictures are sent, and the serving itself."""

from __future__ import annotations

import asyncio
import errno
import hmac
import io
import ipaddress
import json
import secrets
import socket
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import numpy as np
import uvicorn
from numpy.typing import NDArray
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from dcgan_viz.errors import UserError

HOST = "127.0.0.1"
MAXIMUM_BODY = 2**20
TOO_MUCH = f"that is too much at once: at most {MAXIMUM_BODY // 2**10:,} KiB"
SLOWEST_REQUEST = 20.0
"""Seconds that a request may take to arrive."""

HEADERS = (
    # The browser must not keep anything: another page may have this address tomorrow.
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'self'; base-uri 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)
MEDIA_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


class RefusedError(UserError):
    """A request that is not carried out.

    Parameters
    ----------
    problem : str
        Why, as a sentence.
    status : int
        Of the reply.
    further : mapping, optional
        What else the page is told.
    """

    def __init__(self, problem: str, status: int, further: dict[str, Any] | None = None) -> None:
        super().__init__(problem)
        self.status, self.further = status, further or {}


class Number(Convertor[int]):
    """A number in a path, ``{index:number}``, that is not absurdly long."""

    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        """The number that a path names."""
        return int(value)

    def to_string(self, value: int) -> str:
        """The number in a path."""
        return str(value)


register_url_convertor("number", Number())


def local_app(routes: Sequence[BaseRoute], token: str | None = None) -> Starlette:
    """An application that answers its own pages on this machine alone, or whoever brings a token.

    A route refuses by raising `UserError`, or `RefusedError` for another status than 400; the page is told ``problem``.

    Parameters
    ----------
    routes : sequence of BaseRoute
    token : str, optional
        From `token_for`: then every name of this machine is answered, to those who bring it.
    """
    # A page of another site that has its name point here must not be answered; it would not have the token.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    admission = hosts if token is None else Middleware(Admission, token=token)
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard), admission],
        exception_handlers={UserError: _refuse, ClientDisconnect: _gone},
    )


COOKIE = "dcgan-viz-token"


def token_for(host: str) -> str | None:
    """A new token where a page can be reached from other machines; None on the loopback.

    Examples
    --------
    >>> token_for("127.0.0.1") is None, len(token_for("0.0.0.0"))
    (True, 43)
    """
    try:
        alone = ipaddress.ip_address(host).is_loopback
    except ValueError:
        alone = host == "localhost"
    return None if alone else secrets.token_urlsafe(32)


class Admission:
    """Answers those who bring a token, once in the address and from then on in a cookie.

    Parameters
    ----------
    app : ASGI application
    token : str
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        if self._is(request.query_params.get("token")):
            cookie = f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Strict"
            # The token does not stay in the address, which is shown and remembered.
            response = Response(status_code=303, headers={"location": request.url.path, "set-cookie": cookie})
            await response(scope, receive, send)
        elif self._is(request.cookies.get(COOKIE)):
            await self.app(scope, receive, send)
        else:
            problem = "open the address that the command printed, with its token"
            await json_reply({"problem": problem}, 403)(scope, receive, send)

    def _is(self, given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode(), self.token.encode())


def json_reply(data: Any, status: int = 200) -> Response:
    """JSON in ASCII, since a sentence may quote what no encoding holds."""
    return Response(json.dumps(data), status, media_type="application/json")


async def _refuse(request: Request, error: Exception) -> Response:
    status, further = (error.status, error.further) if isinstance(error, RefusedError) else (400, {})
    return json_reply({"problem": str(error), **further}, status)


async def _gone(request: Request, error: Exception) -> Response:
    """Nobody is there to read it."""
    return Response(status_code=400)


class Guard:
    """Refuses the requests of other pages, counts what arrives of a body, and how long it takes.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        arrived, deadline = 0, asyncio.get_running_loop().time() + SLOWEST_REQUEST
        complete = "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"

        async def counted() -> Message:
            nonlocal arrived, complete
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                raise RefusedError("that took too long to arrive", 408) from error
            # What arrives counts, not what was announced.
            arrived += len(message.get("body", b""))
            if arrived > MAXIMUM_BODY:
                raise RefusedError(TOO_MUCH, 413)
            complete = complete or not message.get("more_body", False)
            return message

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Nobody will read what is still to come of a body.
                close = [] if complete else [(b"connection", b"close")]
                message["headers"] = [*message["headers"], *HEADERS, *close]
            await send(message)

        await (_refused_unread(headers) or self.app)(scope, counted, guarded)


def _refused_unread(headers: Headers) -> Response | None:
    """The reply to a request that is refused by its headers alone."""
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{headers.get('host', '')}":
        return json_reply({"problem": "only pages of this server are answered"}, 403)
    announced = headers.get("content-length", "0")
    if not announced.isdecimal() or len(announced) > 9 or int(announced) > MAXIMUM_BODY:
        return json_reply({"problem": TOO_MUCH}, 413)
    return None


def static_routes(page: str, *further: str) -> list[BaseRoute]:
    """Serve files of this package as they are: the page at ``/``, scripts and styles under their names."""
    return [_static_route("/", page), *(_static_route(f"/{name}", name) for name in further)]


def _static_route(path: str, name: str) -> BaseRoute:
    content = resources.files("dcgan_viz.studio").joinpath(name).read_text(encoding="utf-8")

    async def show(request: Request) -> Response:
        return Response(content, media_type=MEDIA_TYPES[name.rpartition(".")[2]])

    return Route(path, show)


def samples_route(pixels: NDArray[np.uint8], noun: str = "sample") -> BaseRoute:
    """Serves each of some pictures (N, H, W, C) under its number, such as /sample/0.png."""
    return pictures_route(
        lambda index: Image.fromarray(pixels[index, ..., 0] if pixels.shape[-1] == 1 else pixels[index]),
        len(pixels),
        noun,
    )


def pictures_route(draw: Callable[[int], Image.Image], count: int, noun: str, kind: str = "png") -> BaseRoute:
    """Serves pictures under their numbers as PNG or JPEG, each drawn when it is asked for."""

    def encode(index: int) -> bytes:
        file = io.BytesIO()
        draw(index).save(file, kind, **({"quality": 92} if kind == "jpeg" else {}))
        return file.getvalue()

    async def show(request: Request) -> Response:
        index = request.path_params["index"]
        if index >= count:
            raise RefusedError(f"there are {count} {noun}s, and none is number {index}", 404)
        return Response(await run_in_threadpool(encode, index), media_type=f"image/{kind}")

    return Route(f"/{noun}/{{index:number}}.{kind}", show)


async def read_json(request: Request) -> Any:
    """The body of a request, which `Guard` bounds.

    Raises
    ------
    UserError
        If it is not JSON.
    """
    body = await request.body()
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UserError(f"that is not JSON: {error}") from error


class ImpatientProtocol(H11Protocol):
    """A connection that is closed when for a while no new request has come on it.

    uvicorn itself waits without end for the head of a request, and for a reply to be read.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._clock = self.loop.call_later(SLOWEST_REQUEST, self._look, None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._clock.cancel()
        super().connection_lost(exc)

    def _look(self, before: object) -> None:
        if self.cycle is before:
            self.transport.abort()
        else:
            self._clock = self.loop.call_later(SLOWEST_REQUEST, self._look, self.cycle)


def uvicorn_config(app: Starlette) -> uvicorn.Config:
    """How an application is served."""
    return uvicorn.Config(
        app, http=ImpatientProtocol, ws="none", lifespan="off", log_level="error", timeout_graceful_shutdown=2
    )


def serve(build: Callable[[], Starlette], port: int, ready: Callable[[str], None], host: str = HOST) -> None:
    """Serve a page on this machine until interrupted.

    Parameters
    ----------
    build : callable
        Makes the application; called once the port is known to be free.
    port : int
        0: any that is free.
    ready : callable
        Receives the address before the server starts.
    host : str
        An IPv4 address of this machine or its name; for another than the loopback the application asks for a token.

    Raises
    ------
    UserError
        If the port is taken, or the machine has no such address.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            # Two sockets can be bound to one port as long as neither listens.
            listener.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE or host == HOST:
                raise UserError(f"port {port} is taken: choose another `port`") from error
            raise UserError(f"this machine cannot be reached as {host}: {error.strerror}") from error
        app = build()
        ready(f"http://{host}:{listener.getsockname()[1]}/")
        uvicorn.Server(uvicorn_config(app)).run(sockets=[listener])
