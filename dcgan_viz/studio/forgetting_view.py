"""What the view on forgetting asks for: rankings, a few samples without maps or with painted places, measurements, a model."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dcgan_viz.analysis.forgetting.ablation import Ablation, choose_layer, edited
from dcgan_viz.analysis.forgetting.automatic_boxes import find_boxes
from dcgan_viz.analysis.forgetting.controls import random_factors
from dcgan_viz.analysis.forgetting.effects import Effect, measure_effects
from dcgan_viz.analysis.forgetting.evidence import Evidence, gather_evidence
from dcgan_viz.analysis.forgetting.forgetting import EVIDENCE
from dcgan_viz.analysis.forgetting.insertion import strong_levels
from dcgan_viz.analysis.forgetting.painting import Stroke, Untouched, preview, untouched
from dcgan_viz.analysis.forgetting.ranking_registry import RANKINGS
from dcgan_viz.analysis.forgetting.rankings import positive_maps, score_maps
from dcgan_viz.errors import UserError
from dcgan_viz.folders import new_folder
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer
from dcgan_viz.statistics import Estimate, stream
from dcgan_viz.studio.computing import Jobs, Turns, Waiting, one_of, pictures_reply, read_request, some, whole_number
from dcgan_viz.studio.serving import RefusedError, json_reply

SHOWN = 8
MEASURED = 200
MOST_STROKES = 200
FIRST_SEED, MOST_SEEDS = 1000, 1000
"""Seeds of the samples that are shown: not that of the annotated ones."""

_CONTROL, _BOOTSTRAP = 1, 2


def objects_of(model: DCGAN, segmenter: Segmenter | None) -> tuple[str, ...]:
    """The objects that a model can be made to forget: those with boxes beside it, or those of its segmenter."""
    folder = model.folder / "annotations" if model.folder else None
    if folder is not None and folder.is_dir():
        return tuple(sorted(file.stem for file in folder.glob("*.json")))
    return () if segmenter is None else segmenter.objects


def forgetting_routes(model: DCGAN, segmenter: Segmenter | None, place: Path, turns: Turns) -> list[BaseRoute]:
    """Rankings, pictures, measurements and saved models.

    Parameters
    ----------
    model : DCGAN
    segmenter : Segmenter, optional
    place : path
        Where models are saved, in numbered folders.
    turns : Turns
    """
    view = _View(model, segmenter, place, turns)
    return [
        Route("/forget/rank", view.rank, methods=["POST"]),
        Route("/forget/draw", view.draw, methods=["POST"]),
        Route("/forget/measure", view.measure, methods=["POST"]),
        Route("/forget/save", view.save, methods=["POST"]),
    ]


class _View:
    """Answers what the page asks for, and keeps what is asked for again."""

    def __init__(self, model: DCGAN, segmenter: Segmenter | None, place: Path, turns: Turns) -> None:
        self.model, self.segmenter, self.place, self.turns = model, segmenter, place, turns
        self.objects = objects_of(model, segmenter)
        self.rankings: Jobs[tuple[list[int], int]] = Jobs()
        self.measured: Jobs[list[dict[str, Any]]] = Jobs()
        # Of this view alone: cached methods would keep it for as long as the process runs.
        self.evidence = lru_cache(maxsize=16)(self._gather)
        self.start = lru_cache(maxsize=8)(self._untouched)

    def _gather(self, layer: Layer, label: str) -> Evidence:
        boxes = find_boxes(self.model, [label], self.segmenter)
        # By the same other positions as the command that the page names, whose seed is 0.
        seed = stream(0, EVIDENCE)
        return gather_evidence(self.model, layer, boxes, label, segmenter=self.segmenter, seed=seed)

    def _untouched(self, layer: Layer, shown: int, seed: int) -> Untouched:
        return untouched(self.model, layer, self.model.latents(shown, seed), self.segmenter)

    def levels(self, layer: Layer, label: str) -> NDArray[np.float32]:
        """What maps are raised to where an object is painted."""
        found = self.evidence(layer, label)
        return strong_levels(found.maps, found.inside)

    def chosen(self, data: Any) -> tuple[Layer, str, str]:
        """The layer, the object and the ranking of a request."""
        label, ranking = one_of(data, "object", self.objects), one_of(data, "ranking", tuple(RANKINGS))
        return _layer(self.model, data), label, ranking

    async def rank(self, request: Request) -> Response:
        """All maps in the order of a ranking, and how many have a positive weight."""
        layer, label, ranking = self.chosen(await read_request(request))

        def compute(progress: Callable[..., Any]) -> tuple[list[int], int]:
            found = self.evidence(layer, label)
            scores = score_maps(ranking, found)
            return np.argsort(-scores, kind="stable").tolist(), len(positive_maps(found.weights))

        found = self.rankings.result((layer, label, ranking), compute)
        if isinstance(found, Waiting):
            return json_reply({"waiting": True})
        return json_reply({"maps": found[0], "positive": found[1]})

    async def draw(self, request: Request) -> Response:
        """A page of samples without maps, or with painted places."""
        data = await read_request(request)
        of = _layer(self.model, data)
        ablation = Ablation(of, _maps(data, "maps", of))
        strokes = [_stroke(one, of, self.objects, self.levels) for one in some(data, "strokes", MOST_STROKES)]
        seed = FIRST_SEED + whole_number(data, "page", 0, MOST_SEEDS - 1)
        shown = whole_number(data, "count", 1, SHOWN)
        # To read the pictures takes longer than to draw them: a page that is in a hurry does without.
        if not isinstance(data.get("seen"), bool):
            raise UserError("seen should be true or false")
        reader = self.segmenter if data["seen"] else None

        def compute() -> Response:
            finished = [stroke() for stroke in strokes]
            seen = preview(self.model, ablation, finished, self.start(of, shown, seed), reader)
            labels = [seen_in[..., None] for seen_in in (seen.seen_before, seen.seen_after) if seen_in is not None]
            numbers = [
                {"object": o.object, "removed": o.removed, "before": o.present_before, "after": o.present_after}
                for o in seen.objects
            ]
            return pictures_reply([seen.before, seen.after, *labels], objects=numbers, seed=seed)

        return await self.turns(compute)

    async def measure(self, request: Request) -> Response:
        """What zeroing maps does to new samples, counted by the segmenter."""
        data = await read_request(request)
        layer, label, _ = self.chosen(data)
        segmenter = self.segmenter
        if segmenter is None or label not in segmenter.objects:
            raise UserError(f"nobody can count {label} in this model's pictures: it has no segmenter that knows it")
        maps = _maps(data, "maps", layer)
        found = self.measured.result(
            (layer, label, maps), lambda progress: _measure(self.model, layer, maps, segmenter, label)
        )
        return json_reply({"waiting": True} if isinstance(found, Waiting) else {"effects": found, "samples": MEASURED})

    async def save(self, request: Request) -> Response:
        """Write the model that draws without maps, and say where it is."""
        data = await read_request(request)
        layer, label, _ = self.chosen(data)
        maps = _maps(data, "maps", layer)
        if not maps:
            raise UserError("no map is zeroed: there is nothing to save")

        def write() -> str:
            # The page chooses no names: what is written where is decided here.
            folder = new_folder(self.place / f"{self.model.card.name}-without-{label}")
            try:
                return str(edited(self.model, Ablation(layer, maps)).save(folder))
            except OSError as error:
                raise RefusedError(f"{folder} cannot be written: {error.strerror}", 503) from error

        return json_reply({"folder": await self.turns(write)})


def _layer(model: DCGAN, data: Any) -> Layer:
    if data.get("layer") is None:
        return choose_layer(model, None)
    return choose_layer(model, whole_number(data, "layer", 1, 99))


def _maps(data: Any, name: str, layer: Layer) -> tuple[int, ...]:
    maps = some(data, name, layer.channels)
    if any(isinstance(m, bool) or not isinstance(m, int) for m in maps):
        raise UserError(f"{name} should be numbers of maps")
    return Ablation(layer, tuple(dict.fromkeys(maps))).maps


def _stroke(
    data: Any, layer: Layer, objects: tuple[str, ...], levels: Callable[[Layer, str], NDArray[np.float32]]
) -> Callable[[], Stroke]:
    """Checks a stroke, and gives what makes it once it is its turn."""
    if not isinstance(data, dict):
        raise UserError("that is not a stroke")
    sample, maps = whole_number(data, "sample", 0, SHOWN - 1), _maps(data, "maps", layer)
    kind = one_of(data, "kind", ("remove", "insert"))
    label = one_of(data, "object", objects)
    places = np.zeros(layer.size**2, bool)
    for position in some(data, "places", layer.size**2):
        if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position < len(places):
            raise UserError(f"places should be numbers from 0 to {len(places) - 1}")
        places[position] = True
    square = places.reshape(layer.size, layer.size)
    return lambda: Stroke(sample, maps, square, levels(layer, label) if kind == "insert" else None)


def _measure(
    model: DCGAN, layer: Layer, maps: tuple[int, ...], segmenter: Segmenter, label: str
) -> list[dict[str, Any]]:
    """What the maps and as many random ones do to new samples."""
    choices = {
        "these maps": Ablation(layer, maps).factors,
        "as many random maps": random_factors(layer.channels, len(maps), MEASURED, stream(0, _CONTROL)),
    }
    latents = model.latents(MEASURED, FIRST_SEED - 1)
    effects = measure_effects(model, layer, choices, segmenter, [label], latents, seed=stream(0, _BOOTSTRAP))
    return [_plain(effect) for effect in effects]


def _plain(effect: Effect) -> dict[str, Any]:
    def say(estimate: Estimate) -> list[float | None]:
        return [v if np.isfinite(v) else None for v in (estimate.value, estimate.low, estimate.high)]

    return {
        "choice": effect.choice,
        "removed": {o.object: say(o.removed) for o in effect.objects},
        "similarity": say(effect.similarity_outside),
    }
