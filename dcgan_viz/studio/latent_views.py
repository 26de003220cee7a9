"""What the views on samples, walks and arithmetic ask for: pictures of points, films and scripts."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from torch import Tensor

from dcgan_viz.analysis.latent.points import Point, is_moved, locate, read_point, script, steering_directions
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.media.film import save_film
from dcgan_viz.model import DCGAN
from dcgan_viz.studio.computing import Jobs, Turns, pictures_reply, read_request, some

DIRECTIONS = 8
MOST_POINTS = 64
MOST_FRAMES = 120


def latent_routes(model: DCGAN, name: str, turns: Turns) -> list[BaseRoute]:
    """Draws points of the latent space, as pictures, films and scripts.

    Parameters
    ----------
    model : DCGAN
    name : str
        As `load` takes it.
    turns : Turns
    """
    count = min(DIRECTIONS, model.latent_dim)

    jobs: Jobs[Tensor] = Jobs()

    async def directions(points: Sequence[Point]) -> Tensor | None:
        # Begun with the first picture and not when a slider first moves: they take seconds.
        found = jobs.begin("directions", lambda progress: steering_directions(model, count))
        if not any(is_moved(point) for point in points):
            return None
        return await asyncio.wrap_future(found)

    async def draw(request: Request) -> Response:
        points = _points(await read_request(request), MOST_POINTS)
        # Others are drawn while this one waits for the directions.
        known = await directions(points)
        pixels = await turns(lambda: to_pixels(model.generate(locate(model, points, known))))
        return pictures_reply([pixels])

    async def film(request: Request) -> Response:
        points = _points(await read_request(request), MOST_FRAMES)
        known = await directions(points)

        def make() -> bytes:
            frames = to_pixels(model.generate(locate(model, points, known)))
            with tempfile.TemporaryDirectory() as folder:
                return save_film([*frames, *frames[::-1]], Path(folder) / "film.webp").read_bytes()

        return Response(await turns(make), media_type="image/webp")

    async def write(request: Request) -> Response:
        data = await read_request(request)
        _points(data, MOST_FRAMES)
        return Response(script(name, data["points"], count), media_type="text/x-python")

    return [
        Route("/draw", draw, methods=["POST"]),
        Route("/film", film, methods=["POST"]),
        Route("/script", write, methods=["POST"]),
    ]


def _points(data: Any, most: int) -> list[Point]:
    points = [read_point(point) for point in some(data, "points", most)]
    if not points:
        raise UserError("there are no points to draw")
    return points
