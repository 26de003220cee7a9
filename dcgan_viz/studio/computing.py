"""Computing for pages: one picture at a time beside one long table at a time, however many ask."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from anyio import CapacityLimiter, to_thread
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from dcgan_viz.errors import UserError
from dcgan_viz.progress import Item, Stage
from dcgan_viz.studio.serving import RefusedError, read_json

T = TypeVar("T")

MOST_WAITING = 64
"""Requests that may wait for their turn; whoever comes then is told to come back."""


class Turns:
    """Carries out computations one after the other, away from the loop that answers."""

    def __init__(self) -> None:
        self._limiter: CapacityLimiter | None = None
        self._waiting = 0

    async def __call__(self, compute: Callable[[], T]) -> T:
        """What a computation returns, when it is its turn.

        Raises
        ------
        RefusedError
            With 503 if too many are waiting.
        """
        self._limiter = self._limiter or CapacityLimiter(1)
        if self._waiting >= MOST_WAITING:
            raise RefusedError("too many pictures are asked for at once: wait a moment", 503)
        self._waiting += 1
        try:
            return await to_thread.run_sync(compute, limiter=self._limiter)
        finally:
            self._waiting -= 1


JOB = "dcgan-viz job"
"""The name of the threads of long computations."""


def is_busy() -> bool:
    """Whether a long computation is going on, which nothing can interrupt."""
    return any(thread.name == JOB for thread in threading.enumerate())


@dataclass
class Waiting:
    """How many of how many steps of a computation are done; 0 of 0 before it begins to count."""

    done: int = 0
    total: int = 0


class Jobs(Generic[T]):
    """Long computations by name, each made once, one after the other beside the answering, with how far they are."""

    def __init__(self) -> None:
        self._jobs: dict[Any, tuple[Future[T], Waiting]] = {}
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def result(self, name: Any, compute: Callable[[Callable[..., Any]], T]) -> T | Waiting:
        """The result, or how far it is.

        Parameters
        ----------
        name : hashable
            Under which it is made once.
        compute : callable
            Receives a `Progress`.

        Raises
        ------
        UserError
            If the computation failed; it is tried again when it is asked for again.
        """
        with self._lock:
            future, waiting = self._begun(name, compute)
            if not future.done():
                return waiting
            if future.exception() is not None:
                del self._jobs[name]
        return future.result()

    def begin(self, name: Any, compute: Callable[[Callable[..., Any]], T]) -> Future[T]:
        """The result to come, for which nobody has to ask again; the parameters are those of `result`."""
        with self._lock:
            return self._begun(name, compute)[0]

    def _begun(self, name: Any, compute: Callable[[Callable[..., Any]], T]) -> tuple[Future[T], Waiting]:
        if name not in self._jobs:
            future, waiting = Future[T](), Waiting()
            self._jobs[name] = future, waiting
            # A daemon: Ctrl-C does not wait for a table that nobody will see.
            threading.Thread(target=self._work, args=(future, waiting, compute), name=JOB, daemon=True).start()
        return self._jobs[name]

    def _work(self, future: Future[T], waiting: Waiting, compute: Callable[[Callable[..., Any]], T]) -> None:
        with self._turn:
            try:
                future.set_result(compute(_counting(waiting)))
            except Exception as error:
                future.set_exception(error)


def _counting(waiting: Waiting) -> Callable[..., Any]:
    def progress(items: Iterable[Item], stage: Stage) -> Iterator[Item]:
        waiting.done, waiting.total = 0, stage.total
        for item in items:
            yield item
            waiting.done += 1

    return progress


def pictures_reply(pictures: Sequence[NDArray[np.uint8]], **said: Any) -> Response:
    """Pictures for canvases, with what is said of them.

    The reply is the length of the JSON (4 bytes, the lowest first), the JSON, and the pictures as RGBA one after the other.

    Parameters
    ----------
    pictures : sequence of ndarray of uint8 (N, H, W, C)
        Of one size; C is 1 or 3.
    **said
        Plain data.
    """
    together = np.concatenate([np.broadcast_to(p, (*p.shape[:3], 3)) for p in pictures])
    count, height, width, _ = together.shape
    opaque = np.full((count, height, width, 4), 255, np.uint8)
    opaque[..., :3] = together
    head = json.dumps({**said, "count": count, "height": height, "width": width}).encode()
    return Response(struct.pack("<I", len(head)) + head + opaque.tobytes(), media_type="application/octet-stream")


async def read_request(request: Request) -> dict[str, Any]:
    """What a page asks for.

    Raises
    ------
    UserError
        If it is no JSON object.
    """
    data = await read_json(request)
    if not isinstance(data, dict):
        raise UserError("a request is a JSON object")
    return data


def whole_number(data: Any, name: str, least: int, most: int) -> int:
    """A number of a request.

    Raises
    ------
    UserError
        If it is missing or out of range.
    """
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UserError(f"{name} should be a whole number from {least:,} to {most:,}")
    return value


def one_of(data: Any, name: str, choices: Sequence[str]) -> str:
    """A choice of a request.

    Raises
    ------
    UserError
        If it is missing or none of the choices.
    """
    value = data.get(name)
    if not isinstance(value, str) or value not in choices:
        raise UserError(f"{name} should be one of {', '.join(choices) or 'nothing: there is none'}")
    return value


def some(data: Any, name: str, most: int) -> list[Any]:
    """A list of a request.

    Raises
    ------
    UserError
        If it is missing or too long.
    """
    value = data.get(name)
    if not isinstance(value, list) or len(value) > most:
        raise UserError(f"{name} should be a list of at most {most:,}")
    return value
