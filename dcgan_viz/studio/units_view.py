"""What the view on units asks for: a table of every map of a layer, kept once it is made, and a map's pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dcgan_viz.analysis.attribution.dissection import Dissection, dissect, exciting_pictures, load_dissection
from dcgan_viz.errors import UserError
from dcgan_viz.figures.attribution.guided_backprop import gradient_picture
from dcgan_viz.home import home
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer
from dcgan_viz.studio.computing import Jobs, Turns, Waiting
from dcgan_viz.studio.serving import RefusedError, json_reply

SIDES = ("generator", "discriminator")
DIMMED = 0.25
VERSION = 2
"""Of what is kept: tables of another one are made anew."""


def dissection_of(
    model: DCGAN, layer: Layer, segmenter: Segmenter | None, digest: str, progress: Callable[..., Any]
) -> Dissection:
    """The table of a layer: the one that was kept or, without one, a new one, which is kept."""
    folder = home() / "units" / f"{VERSION}-{digest[:32]}" / f"{layer.side}-{layer.number}"
    try:
        return load_dissection(folder, layer)
    except UserError:
        found = dissect(model, layer, segmenter, progress=progress)
    # A full disk costs the next visit its time, and nothing else.
    with suppress(UserError, OSError):
        found.save(folder, {}, overwrite=True)
    return found


def units_routes(model: DCGAN, segmenter: Segmenter | None, digest: str) -> list[BaseRoute]:
    """Tables and pictures of maps.

    Parameters
    ----------
    model : DCGAN
    segmenter : Segmenter, optional
    digest : str
        Of the model and the segmenter: what is kept belongs to them.
    """
    # Of their own: a page asks for dozens of strips, and the picture that a click changes must not wait for them.
    turns = Turns()
    image_layer = model.generator_layers[-1]
    layers: dict[tuple[str, int], Layer] = {
        (layer.side, layer.number): layer for layer in model.layers if layer != image_layer
    }
    tables: Jobs[Dissection] = Jobs()

    def table(request: Request) -> tuple[Layer, Dissection | Waiting]:
        parameters = request.path_params
        layer = layers.get((parameters["side"], parameters["layer"]))
        if layer is None:
            raise RefusedError("there is no such layer with maps", 404)

        def compute(progress: Callable[..., Any]) -> Dissection:
            return dissection_of(model, layer, segmenter, digest, progress)

        return layer, tables.result((layer.side, layer.number), compute)

    async def show(request: Request) -> Response:
        _, found = table(request)
        if isinstance(found, Waiting):
            return json_reply({"waiting": True, "done": found.done, "total": found.total})
        return json_reply({"objects": found.objects, "effects": found.effects, "rows": rows(found), **_about(found)})

    @lru_cache(maxsize=512)
    def picture(found_of: tuple[str, int], number: int) -> bytes:
        found = tables.result(
            found_of, lambda progress: dissection_of(model, layers[found_of], segmenter, digest, progress)
        )
        assert isinstance(found, Dissection)
        file = io.BytesIO()
        Image.fromarray(_strip(model, found, number)).save(file, "png")
        return file.getvalue()

    async def draw(request: Request) -> Response:
        layer, found = table(request)
        number = request.path_params["map"]
        if isinstance(found, Waiting):
            raise RefusedError("the table of this layer is not made yet", 409)
        if number >= layer.channels:
            raise RefusedError(f"layer {layer.number} has {layer.channels} maps, and none is number {number}", 404)
        return Response(await turns(lambda: picture((layer.side, layer.number), number)), media_type="image/png")

    return [
        Route("/units/{side}/{layer:number}", show),
        Route("/units/{side}/{layer:number}/{map:number}.png", draw),
    ]


def _about(found: Dissection) -> dict[str, Any]:
    keys = ("samples", "zeroed_samples", "seed", "threshold_and_object", "chance")
    return {"settings": {key: value for key, value in found.settings.items() if key in keys}}


def rows(found: Dissection) -> list[dict[str, Any]]:
    """A table's rows as plain data."""

    def plain(values: NDArray[np.float64]) -> list[float | None]:
        return [round(float(v), 4) if np.isfinite(v) else None for v in values]

    listing = []
    for m in range(found.layer.channels):
        best = int(found.best[m])
        listing.append(
            {
                "map": m,
                "activation": round(float(found.activation[m, 0]), 3),
                "object": found.objects[best] if best >= 0 else None,
                "iou": round(float(found.iou[m, best]), 3) if best >= 0 else None,
                "chance": round(float(found.chance_iou[m, best]), 3) if best >= 0 else None,
                "gain": round(float(found.iou[m, best] - found.chance_iou[m, best]), 3) if best >= 0 else None,
                "effect": plain(found.effect[m]),
                "low": plain(found.low[m]),
                "high": plain(found.high[m]),
            }
        )
    return listing


def _strip(model: DCGAN, found: Dissection, number: int) -> NDArray[np.uint8]:
    """The samples that excite a map, dark where it is below its threshold; under them a discriminator's gradients."""
    shown = exciting_pictures(model, found, number)
    colour = np.repeat(shown.pictures, 3, axis=-1) if shown.pictures.shape[-1] == 1 else shown.pictures
    lit = np.where(shown.active[..., None], colour, (colour * DIMMED).astype(np.uint8))
    row = np.concatenate(list(lit), axis=1)
    if shown.gradients is None:
        return row
    gradients = [gradient_picture(gradient) for gradient in shown.gradients]
    below = np.concatenate([np.repeat(g, 3, axis=-1) if g.shape[-1] == 1 else g for g in gradients], axis=1)
    return np.concatenate([row, below], axis=0)
