"""The page of a blind trial: pictures whose condition nobody at the page can know, judged one by one in the browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcgan_viz.blind.answers import Answers, load_answers, open_answers, read_answer, save_answers
from dcgan_viz.blind.trials import ANSWERS_FILE, Sheet, load_sheet
from dcgan_viz.studio.documents import Document, parts_route
from dcgan_viz.studio.serving import json_reply, local_app, samples_route, serve, static_routes


def blind_app(sheet: Sheet, path: str | Path) -> Starlette:
    """The page as a web application.

    It is given the sheet alone, so it cannot tell what it does not know. Every answer is written to the file at once,
    on top of what the file holds then; see `dcgan_viz.studio.documents.Document`.

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
    count = len(sheet.pictures)

    def read(data: Any, index: int) -> Callable[[Answers], Answers]:
        answer = None if data is None else read_answer(data, sheet)
        return lambda answers: answers.but(index, answer)

    document = Document(
        path, lambda file: load_answers(file, sheet), save_answers, lambda a, index: a.given.get(index), sheet.digest
    )

    async def show_state(request: Request) -> Response:
        answers = document.read()
        return json_reply(
            {
                "document": document.name,
                "question": sheet.question,
                "kind": sheet.answer_kind,
                "width": sheet.width,
                "height": sheet.height,
                "parts": [document.part(answers, index) for index in range(count)],
            }
        )

    return local_app(
        [
            *static_routes("blind.html", "blind.js", "boxes.js", "history.js", "saving.js", "pages.css"),
            Route("/state", show_state),
            samples_route(sheet.pictures, "picture"),
            parts_route("/answer/{index:number}", document, count, read),
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
        If the folder is no trial or is damaged, somebody else has judged it, it cannot be written, or the port is
        taken.
    """
    sheet, path = load_sheet(folder), Path(folder) / ANSWERS_FILE
    answers = open_answers(path, sheet, contributor)
    if not path.exists():
        save_answers(answers, path)
    serve(lambda: blind_app(sheet, path), port, lambda address: ready(address, len(answers.given), len(sheet.pictures)))
