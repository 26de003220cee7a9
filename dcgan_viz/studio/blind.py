"""The page of a blind trial: pictures whose condition nobody at the page can know, judged one by one in the browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dcgan_viz.blind.answers import load_answers, open_answers, read_answer, save_answers
from dcgan_viz.blind.trials import ANSWERS_FILE, Sheet, load_sheet
from dcgan_viz.errors import UserError
from dcgan_viz.studio.serving import local_app, read_json, samples_route, serve, static_route

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response


def blind_app(sheet: Sheet, path: str | Path) -> Starlette:
    """The page as a web application.

    It is given the sheet alone, so it cannot tell what it does not know. Every answer is written to the file at once,
    under a temporary name first.

    Parameters
    ----------
    sheet : Sheet
        From `load_sheet`.
    path : path
        Holds the answers, from `save_answers`.

    Returns
    -------
    Starlette
        Answers requests for this machine alone.
    """
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route

    count = len(sheet.pictures)

    async def show_state(request: Request) -> Response:
        try:
            answers = load_answers(path, sheet)
        except UserError as error:
            return PlainTextResponse(str(error), 500)
        return JSONResponse(
            {
                "trial": sheet.digest,
                "question": sheet.question,
                "kind": sheet.answer_kind,
                "count": count,
                "width": sheet.width,
                "height": sheet.height,
                "answers": answers.given,
            }
        )

    async def put_answer(request: Request) -> Response:
        index = request.path_params["index"]
        try:
            data = await read_json(request)
            if not isinstance(data, dict) or data.get("trial") != sheet.digest:
                raise UserError("this page is of another trial: reload it")
            if not 0 <= index < count:
                raise UserError(f"there is no picture {index}")
            answer = None if data.get("answer") is None else read_answer(data["answer"], sheet)
            # Read anew each time: a second page or program may have answered meanwhile.
            answers = load_answers(path, sheet).but(index, answer)
            save_answers(answers, path)
        except UserError as error:
            return PlainTextResponse(str(error), 400)
        return JSONResponse({"judged": len(answers.given)})

    return local_app(
        [
            static_route("/", "blind.html"),
            static_route("/boxes.js", "boxes.js"),
            Route("/state", show_state),
            samples_route(sheet.pictures, "picture"),
            Route("/answer/{index:int}", put_answer, methods=["PUT"]),
        ]
    )


def serve_blind(
    folder: str | Path,
    *,
    contributor: str | None = None,
    port: int = 8765,
    ready: Callable[[str, int, int], None] = lambda address, judged, count: None,
) -> None:
    """Serve the page of a trial on this machine until interrupted.

    Parameters
    ----------
    folder : path
        From `save_trial`; the answers are written into it. Its key is not opened.
    contributor : str, optional
        Who judges.
    port : int
    ready : callable
        Receives the address, how many pictures are judged, and of how many, before the server starts.

    Raises
    ------
    UserError
        If the folder is no trial or is damaged, somebody else has judged it, it cannot be written, the extra
        ``studio`` is missing, or the port is taken.
    """
    sheet, path = load_sheet(folder), Path(folder) / ANSWERS_FILE
    answers = open_answers(path, sheet, contributor)
    # Written at once, so that a place that cannot be written is known before the first picture.
    save_answers(answers, path)
    serve(lambda: blind_app(sheet, path), port, lambda address: ready(address, len(answers.given), len(sheet.pictures)))
