from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette import testclient

from dcgan_viz.blind.answers import Answers, load_answers, save_answers
from dcgan_viz.blind.report import unblind
from dcgan_viz.blind.trials import AnswerKind, BlindTrial, load_sheet, load_trial, prepare_trial, save_trial
from dcgan_viz.errors import UserError
from dcgan_viz.studio.blind import blind_app, serve_blind

SECRETS = ("untouched-Q7", "without-maps-X3", "secret-model-K9", "seed-of-shuffle")


def make_trial(kind: AnswerKind = "boxes", *, latents: int = 3, reverse: bool = False) -> BlindTrial:
    """A trial of two conditions; reversed, the same pictures in the same order have the other's condition."""
    random = np.random.default_rng(1)
    drawn, edited = random.integers(0, 256, (2, latents, 16, 16, 3), dtype=np.uint8)
    pictures = {SECRETS[0]: drawn, SECRETS[1]: edited}
    trial = prepare_trial(pictures, "Draw a box around every window", kind, settings={"model": SECRETS[2]}, seed=4)
    if not reverse:
        return trial
    fields = {name: getattr(trial, name) for name in ("pictures", "question", "answer_kind", "pair")}
    return BlindTrial(**fields, conditions=("other", "names"), condition=1 - trial.condition, seed=9, settings={})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_trial(make_trial(), tmp_path / "trial")


def open_page(folder: Path):
    sheet, path = load_sheet(folder), folder / "answers.json"
    if not path.exists():
        save_answers(Answers(sheet.digest, "a tester"), path)
    return testclient.TestClient(blind_app(sheet, path), base_url="http://127.0.0.1:8765")


def put(client, index: int, answer: object, document: str | None = None):
    state = client.get("/state").json()
    parts = dict(enumerate(state["parts"]))
    body = {
        "document": document or state["document"],
        "version": parts.get(index, {}).get("version"),
        "content": answer,
    }
    return client.put(f"/answer/{index}", content=json.dumps(body))


def test_every_answer_is_saved_at_once_and_the_page_goes_on_where_it_stopped(folder: Path) -> None:
    client, sheet = open_page(folder), load_sheet(folder)
    assert put(client, 0, [[1, 2, 3, 4]]).json()["content"] == [[1, 2, 3, 4]]
    assert load_answers(folder / "answers.json", sheet).given == {0: ((1, 2, 3, 4),)}
    put(client, 2, "unclear")
    put(client, 1, [])
    put(client, 0, None)
    assert load_answers(folder / "answers.json", sheet).given == {1: (), 2: "unclear"}
    parts = open_page(folder).get("/state").json()["parts"]
    assert [part["content"] for part in parts] == [None, [], "unclear", None, None, None]
    assert sorted(file.name for file in folder.iterdir()) == [
        "answers.json",
        "key.json",
        "manifest.json",
        "pictures",
        "trial.json",
    ]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ([[10, 10, 9, 2]], "does not lie in the 16x16 sample"),
        ("yes", "at most 200"),
        ([[1, 1, 2, 2]] * 201, "at most 200"),
    ],
)
def test_wrong_answers_change_nothing(folder: Path, answer: Any, sentence: str) -> None:
    client = open_page(folder)
    before = (folder / "answers.json").read_bytes()
    refused = put(client, 0, answer)
    assert (refused.status_code, sentence in refused.json()["problem"]) == (400, True)
    assert put(client, 6, []).status_code == 404
    assert (folder / "answers.json").read_bytes() == before


def everything(client) -> list[tuple[str, int, dict[str, str], bytes]]:
    """What the server answers to every route in every way, and to some that it should not have."""
    paths = [
        "/",
        "/state",
        "/boxes.js",
        *(f"/picture/{index}.png" for index in range(7)),
        *(f"/answer/{index}" for index in range(7)),
        "/key.json",
        "/trial.json",
        "/answers.json",
        "/../key.json",
        "/picture/../key.json",
        "/picture/%2e%2e/key.json",
        "/picture/key.json",
        "/pictures/00000.png",
        "/openapi.json",
    ]
    routes = {route.path for route in client.app.routes}
    files = {"/", "/blind.js", "/boxes.js", "/history.js", "/saving.js", "/pages.css"}
    assert routes == {*files, "/state", "/picture/{index:number}.png", "/answer/{index:number}"}
    state = client.get("/state").json()
    known = {"document": state["document"], "version": state["parts"][0]["version"]}
    bodies = (None, b"{", json.dumps({**known, "content": "unclear"}), json.dumps({"document": "other"}))
    heard = []
    for path in paths:
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"):
            for body in bodies if method == "PUT" else (None,):
                answer = client.request(method, path, content=body)
                heard.append((f"{method} {path}", answer.status_code, dict(answer.headers), answer.content))
    return heard


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["boxes", "yes-no"])
def test_nothing_that_the_server_sends_depends_on_or_names_a_condition(tmp_path: Path, kind: AnswerKind) -> None:
    """Two trials of the same pictures, whose keys say the opposite, look the same down to the byte."""
    heard = []
    for number, reverse in enumerate((False, True)):
        folder = save_trial(make_trial(kind, reverse=reverse), tmp_path / f"trial-{number}")
        heard.append(everything(open_page(folder)))
    assert heard[0] == heard[1]
    assert sum(status == 200 for _, status, _, _ in heard[0]) > 20
    key = json.loads((tmp_path / "trial-0" / "key.json").read_text())
    for request, _, headers, content in heard[0]:
        said = f"{headers}".encode() + content
        assert not any(secret.encode() in said for secret in SECRETS), request
        assert json.dumps(key["condition"]).encode() not in said
        assert json.dumps(key["pair"]).encode() not in said


def test_the_page_is_served_without_the_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "key.json").unlink()
    served: dict[str, Any] = {}
    monkeypatch.setattr("dcgan_viz.studio.blind.serve", lambda build, port, ready: served.update(app=build()))
    serve_blind(folder, contributor="me")
    client = testclient.TestClient(served["app"], base_url="http://127.0.0.1")
    assert put(client, 0, []).status_code == 200
    with pytest.raises(UserError, match="holds the answers of me, and you would mix in others"):
        serve_blind(folder, contributor="you")


def test_the_command_listens_on_this_machine_alone_and_ends_with_ctrl_c(
    serving, keeps_to_this_machine, interrupt, folder: Path
) -> None:
    with serving("blind", folder) as served:
        assert f"0 of 6 pictures judged; open {served.address}" in served.said
        keeps_to_this_machine(served, "blind", folder)
        assert f"dcgan-viz blind {folder} --report" in interrupt(served)


@pytest.mark.slow
def test_boxes_are_judged_in_a_browser_and_the_page_resumes(visit, serving, at_once, folder: Path, run) -> None:
    sheet, path = load_sheet(folder), folder / "answers.json"
    save_answers(Answers(sheet.digest, "me"), path)
    address = at_once(blind_app(sheet, path))
    page, drag = visit(address, "picture 1 of 6, 0 judged")
    page.get_by_role("heading", name="Draw a box around every window").wait_for()
    assert not page.get_by_role("button", name="yes").is_visible()
    # What was not answered cannot be passed over.
    page.keyboard.press("ArrowRight")
    page.get_by_text("draw a box, or press N if there is none").wait_for()
    drag(2, 3, 8, 10)
    page.get_by_text("picture 1 of 6, 1 judged").wait_for()
    drag(14, 12, 10, 9)
    page.get_by_text("saved", exact=True).wait_for()
    page.keyboard.press("n")
    page.get_by_text("delete the boxes first").wait_for()
    page.keyboard.press("Space")
    page.get_by_text("picture 2 of 6, 1 judged").wait_for()
    # A box that is taken away again leaves the picture unjudged.
    drag(4, 2, 9, 9)
    page.get_by_text("picture 2 of 6, 2 judged").wait_for()
    page.keyboard.press("Delete")
    page.get_by_text("picture 2 of 6, 1 judged").wait_for()
    page.keyboard.press("n")
    page.get_by_text("picture 3 of 6, 2 judged").wait_for()
    page.keyboard.press("U")
    page.get_by_text("picture 4 of 6, 3 judged").wait_for()
    page.keyboard.press("ArrowLeft")
    page.get_by_text("picture 3 of 6").wait_for()
    assert page.get_by_role("button", name="unclear").get_attribute("aria-pressed") == "true"
    at_once.stop(address)
    answers = load_answers(path, sheet)
    assert answers.contributor == "me"
    assert (answers.given[1], answers.given[2]) == ((), "unclear")
    assert np.array(answers.given[0]) == pytest.approx(np.array([(2, 3, 6, 7), (10, 9, 4, 3)]), abs=0.5)

    with serving("blind", folder) as served:
        assert "3 of 6 pictures judged" in served.said
        page, drag = visit(served.address, "picture 4 of 6, 3 judged")
        drag(4, 2, -3, 30)
        page.get_by_text("picture 4 of 6, 4 judged").wait_for()
        page.get_by_role("button", name="next").click()
        page.get_by_text("picture 5 of 6").wait_for()
        page.get_by_role("button", name="none").click()
        page.get_by_text("picture 6 of 6, 5 judged").wait_for()
        assert not page.get_by_text("All pictures are judged").is_visible()
        page.keyboard.press("n")
        page.get_by_text("All pictures are judged").wait_for()
        page.get_by_text("picture 6 of 6, 6 judged").wait_for()
    outcome = run("blind", folder, "--report", "--json")
    assert outcome.exit_code == 0, outcome.output
    numbers = json.loads(outcome.stdout)
    assert (numbers["judged"], numbers["missing"], numbers["contributor"]) == (6, 0, "me")
    trial = load_trial(folder)
    result = unblind(trial, load_answers(folder / "answers.json", trial))
    assert numbers["presences"] == result.numbers()["presences"]
    assert sum(presence["present"] for presence in numbers["presences"]) == 2


def test_words_are_judged_in_a_browser_by_keyboard(visit, at_once, tmp_path: Path) -> None:
    folder = save_trial(make_trial("yes-no"), tmp_path / "trial")
    sheet, path = load_sheet(folder), folder / "answers.json"
    save_answers(Answers(sheet.digest, "a tester"), path)
    address = at_once(blind_app(sheet, path))
    page, drag = visit(address, "picture 1 of 6, 0 judged")
    drag(2, 3, 8, 10)
    assert not page.get_by_role("button", name="delete box").is_visible()
    page.keyboard.press("ArrowRight")
    page.get_by_text("answer with Y, N or U").wait_for()
    for number, key in enumerate(("y", "N", "u"), start=1):
        page.keyboard.press(key)
        page.get_by_text(f"picture {number + 1} of 6, {number} judged").wait_for()
    # Keys that come faster than pictures do not judge what was not seen.
    page.evaluate("for (let i = 0; i < 3; i++) document.dispatchEvent(new KeyboardEvent('keydown', { key: 'y' }))")
    page.get_by_text("picture 5 of 6, 4 judged").wait_for()
    # Nor does a key that is held down.
    page.evaluate("document.dispatchEvent(new KeyboardEvent('keydown', { key: 'y', repeat: true }))")
    page.keyboard.press("ArrowLeft")
    page.get_by_text("picture 4 of 6, 4 judged").wait_for()
    page.keyboard.press("n")
    page.get_by_text("picture 5 of 6, 4 judged").wait_for()
    # Without the server an answer is not saved, and the page says so and stays.
    at_once.stop(address)
    page.keyboard.press("y")
    page.get_by_text("not saved yet").wait_for()
    assert page.get_by_text("picture 5 of 6, 4 judged").is_visible()
    given = load_answers(path, sheet).given
    assert given == {0: "yes", 1: "no", 2: "unclear", 3: "no"}


def test_the_last_answer_does_not_silently_win_over_another_tabs(visit, at_once, folder: Path) -> None:
    sheet, path = load_sheet(folder), folder / "answers.json"
    save_answers(Answers(sheet.digest, "a tester"), path)
    address = at_once(blind_app(sheet, path))
    first, drag_first = visit(address, "picture 1 of 6, 0 judged")
    second, _ = visit(address, "picture 1 of 6, 0 judged")
    drag_first(2, 2, 8, 8)
    first.get_by_text("picture 1 of 6, 1 judged").wait_for()
    second.keyboard.press("n")
    second.get_by_text("The answer to picture 1 was changed in another tab or by another program").wait_for()
    assert np.array(load_answers(path, sheet).given[0]) == pytest.approx(np.array([(2, 2, 6, 6)]), abs=0.5)
    # The judge stays on that picture until it is decided; then either of the two can be had back.
    assert second.get_by_text("picture 1 of 6").is_visible()
    second.get_by_role("button", name="show the saved one").click()
    second.get_by_text("picture 1 of 6, 1 judged").wait_for()
    second.keyboard.press("Control+z")
    second.get_by_text("saved", exact=True).wait_for()
    assert load_answers(path, sheet).given == {0: ()}
    drag_first(9, 9, 12, 12)
    first.get_by_role("button", name="save mine in its place").click()
    first.get_by_text("saved", exact=True).wait_for()
    assert len(load_answers(path, sheet).given[0]) == 2
