"""The studio: one page of a model with views that have addresses, and the other pages in the same frame."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from dcgan_viz.analysis.attribution.dissection import dissection_digest
from dcgan_viz.analysis.forgetting.ablation import choose_layer
from dcgan_viz.analysis.forgetting.ranking_registry import RANKINGS
from dcgan_viz.annotations.concepts import CONCEPTS_FILE, find_concepts, open_concepts, save_concepts
from dcgan_viz.blind.answers import open_answers, save_answers
from dcgan_viz.blind.trials import ANSWERS_FILE, load_sheet
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import find_segmenter
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer
from dcgan_viz.studio.annotate import annotation_app, open_annotations
from dcgan_viz.studio.blind import blind_app
from dcgan_viz.studio.computing import Turns
from dcgan_viz.studio.concepts import METHOD, concepts_app
from dcgan_viz.studio.forgetting_view import SHOWN, forgetting_routes, objects_of
from dcgan_viz.studio.latent_views import DIRECTIONS, latent_routes
from dcgan_viz.studio.serving import HOST, json_reply, local_app, serve, static_routes, token_for
from dcgan_viz.studio.units_view import units_routes

FILES = (
    "studio.html",
    "studio.css",
    "icon.svg",
    "pages.css",
    "studio.js",
    "server.js",
    "tiles.js",
    "samples.js",
    "forget.js",
    "units.js",
    "arithmetic.js",
    "history.js",
)


class Later:
    """A part of an application that is made when it is first asked for.

    Parameters
    ----------
    build : callable
        Makes the application whose routes are answered; where it raises `UserError` it is tried again next time.
    """

    def __init__(self, build: Callable[[], Starlette]) -> None:
        self._build = build
        self._router: Router | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._router is None:
            self._router = Router(routes=(await to_thread.run_sync(self._build)).routes)
        await self._router(scope, receive, send)


def studio_app(
    model: DCGAN,
    name: str,
    *,
    label: str = "window",
    trial: Path | None = None,
    folder: Path = Path(),
    token: str | None = None,
) -> Starlette:
    """The studio as a web application.

    Parameters
    ----------
    model : DCGAN
    name : str
        As `load` takes it; scripts and commands on the page name it so.
    label : str
        What boxes are drawn around on the annotation page.
    trial : path, optional
        A blind trial to judge.
    folder : path
        Where boxes, concepts and models go.
    token : str, optional
        As in `local_app`.

    Returns
    -------
    Starlette
    """
    segmenter, turns = find_segmenter(model), Turns()
    concepts_path = folder / CONCEPTS_FILE

    def annotate() -> Starlette:
        path = folder / f"{label}-boxes.json"
        return annotation_app(model, label, open_annotations(model, label, path), path)

    def concepts() -> Starlette:
        found = open_concepts(model, concepts_path, method=METHOD)
        if not concepts_path.exists():
            save_concepts(found, concepts_path)
        return concepts_app(model, found, concepts_path)

    def blind() -> Starlette:
        if trial is None:
            raise UserError(
                f"there is no trial to judge: make one with dcgan-viz forget --model {name} --object {label} --blind "
                f"trials/{label}, and open it with dcgan-viz studio --model {name} --trial trials/{label}"
            )
        sheet, path = load_sheet(trial), trial / ANSWERS_FILE
        if not path.exists():
            save_answers(open_answers(path, sheet, None), path)
        return blind_app(sheet, path)

    def exemplars() -> dict[str, list[object]]:
        # The page of concepts makes its file when it is opened: an empty one must not hide those of the model.
        for path in (concepts_path, None) if concepts_path.exists() else (None,):
            with suppress(UserError):
                known = find_concepts(model, path)
                if known.exemplars:
                    return {key: [known.seed, list(numbers)] for key, numbers in known.exemplars.items()}
        return {}

    async def about(request: Request) -> Response:
        return json_reply(
            {
                "model": name,
                "summary": model.card.summary,
                "weaknesses": model.card.weaknesses,
                "size": model.image_shape[1],
                "directions": min(DIRECTIONS, model.latent_dim),
                "objects": objects_of(model, segmenter),
                "seen": [] if segmenter is None else segmenter.objects,
                "rankings": [r.name for r in RANKINGS.values() if r.needs == "boxes" or segmenter is not None],
                "layer": _layer(choose_layer(model, None)),
                "generator": [_layer(layer) for layer in model.generator_layers[:-1]],
                "discriminator": [_layer(layer) for layer in model.layers if layer.side == "discriminator"],
                "shown": SHOWN,
                "concepts": exemplars(),
                "annotated": label,
                "trial": None if trial is None else trial.name,
            }
        )

    routes: list[BaseRoute] = [
        *static_routes(*FILES),
        Route("/about", about),
        *latent_routes(model, name, turns),
        *forgetting_routes(model, segmenter, folder / "models", turns),
        *units_routes(model, segmenter, dissection_digest(model, segmenter)),
        Mount("/annotate", Later(annotate)),
        Mount("/concepts", Later(concepts)),
        Mount("/blind", Later(blind)),
    ]
    return local_app(routes, token)


def _layer(layer: Layer) -> dict[str, object]:
    return {"number": layer.number, "channels": layer.channels, "size": layer.size, "kind": layer.kind}


def serve_studio(
    model: DCGAN,
    name: str,
    *,
    label: str = "window",
    trial: Path | None = None,
    folder: Path = Path(),
    host: str = HOST,
    port: int = 8765,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve the studio until interrupted; the parameters are those of `studio_app` and `serve`.

    Raises
    ------
    UserError
        If the port is taken, or the machine has no such address.
    """
    token = token_for(host)

    def say(address: str) -> None:
        ready(address if token is None else f"{address}?token={token}")

    serve(lambda: studio_app(model, name, label=label, trial=trial, folder=folder, token=token), port, say, host)
