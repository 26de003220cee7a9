"""A file that several pages, servers and programs change."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dcgan_viz.annotations.boxes import load_annotations
from dcgan_viz.annotations.concepts import load_concepts, open_concepts
from dcgan_viz.blind.answers import Answers, load_answers, save_answers
from dcgan_viz.blind.trials import load_sheet, prepare_trial, save_trial
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.locking import one_at_a_time
from dcgan_viz.model import DCGAN
from dcgan_viz.studio.annotate import annotation_app, open_annotations
from dcgan_viz.studio.blind import blind_app
from dcgan_viz.studio.concepts import concepts_app
from dcgan_viz.studio.documents import Document


class Page:
    """A tab that knows a version of one part."""

    def __init__(self, app: Starlette, address: str, part: int = 0) -> None:
        self.client = TestClient(app, base_url="http://127.0.0.1:8765")
        self.address, self.part = address, part
        self.load()

    def load(self) -> Any:
        self.state = self.client.get("/state").json()
        return self.state["parts"][self.part]["content"]

    def put(self, content: Any, version: str | None = None) -> Any:
        known = version or self.state["parts"][self.part]["version"]
        body = {"document": self.state["document"], "version": known, "content": content}
        return self.client.put(self.address, json=body)


class Case:
    """One of the three kinds of document: how a server of it is opened, and contents that a part can have."""

    def __init__(self, kind: str, model: DCGAN, folder: Path) -> None:
        self.kind, self.model, self.folder = kind, model, folder
        self.path = folder / f"{kind}.json"
        self.empty: Any = [] if kind == "concepts" else None
        self.contents = [[["man", [k]]] for k in range(3)] if kind == "concepts" else [[[k, 1, 2, 2]] for k in range(3)]
        if kind == "answers":
            drawn, edited = to_pixels(model.sample(6, seed=3)).reshape(2, 3, 16, 16, 3)
            trial = prepare_trial({"untouched": drawn, "edited": edited}, "Box it", "boxes", settings={}, seed=4)
            self.sheet = load_sheet(save_trial(trial, folder / "trial"))
            save_answers(Answers(self.sheet.digest, "a tester"), self.path)

    def page(self, part: int = 0) -> Page:
        if self.kind == "boxes":
            annotations = open_annotations(self.model, "window", self.path, count=5, seed=3)
            return Page(annotation_app(self.model, "window", annotations, self.path), f"/boxes/{part}", part)
        if self.kind == "concepts":
            concepts = open_concepts(self.model, self.path, count=5, seed=3, method="by eye")
            if not self.path.exists():
                from dcgan_viz.annotations.concepts import save_concepts

                save_concepts(concepts, self.path)
            return Page(concepts_app(self.model, concepts, self.path), "/concepts")
        return Page(blind_app(self.sheet, self.path), f"/answer/{part}", part)

    def stored(self) -> Any:
        """What the file holds of the first part."""
        if self.kind == "boxes":
            annotations = load_annotations(self.path)
            boxes = [[b.left, b.top, b.width, b.height] for b in annotations.boxes if b.image == 0]
            return boxes if 0 in annotations.reviewed_images() else None
        if self.kind == "concepts":
            return [[name, list(found)] for name, found in load_concepts(self.path).exemplars.items()]
        answer = load_answers(self.path, self.sheet).given.get(0)
        return answer and [list(box) for box in answer]


@pytest.fixture(params=["boxes", "concepts", "answers"])
def case(request: pytest.FixtureRequest, tiny_model: DCGAN, tmp_path: Path) -> Case:
    return Case(request.param, tiny_model, tmp_path)


def test_a_save_on_top_of_an_older_version_is_refused_and_told_what_there_is(case: Case) -> None:
    first, second = case.page(), None
    second = Page(first.client.app, first.address)
    a, b, c = case.contents
    assert first.put(a).status_code == 200
    late = second.put(b)
    assert late.status_code == 409
    assert late.json()["content"] == a
    assert "changed elsewhere" in late.json()["problem"]
    assert case.stored() == a
    assert second.put(b, late.json()["version"]).json()["content"] == b
    assert case.stored() == b
    assert first.put(c).status_code == 409


def test_an_older_save_does_not_overtake_a_newer_even_when_a_content_comes_back(case: Case) -> None:
    page = case.page()
    a, b, _ = case.contents
    first = page.state["parts"][0]["version"]
    second = page.put(a, first).json()["version"]
    # Taken back, so that the file holds again what the first save was made on top of.
    third = page.put(case.empty, second).json()["version"]
    assert case.stored() == case.empty
    assert page.put(a, first).status_code == 409
    assert case.stored() == case.empty
    assert page.put(b, third).status_code == 200


def test_a_save_whose_reply_was_lost_can_be_sent_again(case: Case) -> None:
    page = case.page()
    assert page.put(case.contents[0]).status_code == 200
    again = page.put(case.contents[0])
    assert again.status_code == 200
    assert page.put(case.contents[1], again.json()["version"]).status_code == 200


def test_two_servers_on_one_file_do_not_overwrite_each_other(case: Case) -> None:
    first, second = case.page(), case.page()
    a, b, _ = case.contents
    assert first.put(a).status_code == 200
    assert second.put(b).status_code == 409
    assert second.load() == a
    assert second.put(b).status_code == 200
    assert first.load() == b
    assert case.stored() == b


def test_parts_that_two_servers_change_are_kept_together(case: Case) -> None:
    if case.kind == "concepts":
        pytest.skip("concepts are one part")
    assert case.page(0).put(case.contents[0]).status_code == 200
    first, second = case.page(1), case.page(2)
    assert first.put(case.contents[1]).status_code == 200
    assert second.put(case.contents[2]).status_code == 200
    assert [part["content"] for part in case.page().state["parts"][:3]] == case.contents


def test_a_page_of_another_document_is_refused(case: Case, tmp_path: Path) -> None:
    page = case.page()
    before = case.path.read_bytes()
    page.state["document"] = "0" * 64
    answer = page.put(case.contents[0])
    assert (answer.status_code, "of another file" in answer.text) == (409, True)
    assert "version" not in answer.json()
    assert case.path.read_bytes() == before


def test_a_damaged_file_is_not_written_over_and_a_removed_one_is_written_again(case: Case) -> None:
    page = case.page()
    a, b, _ = case.contents
    version = page.put(a).json()["version"]
    whole = case.path.read_bytes()
    case.path.write_text("{")
    assert page.put(b, version).status_code == 409
    assert page.client.get("/state").status_code == 409
    assert case.path.read_text() == "{"
    case.path.write_bytes(whole)
    assert page.load() == a
    case.path.unlink()
    assert page.load() == a
    assert page.put(b).status_code == 200
    assert case.stored() == b


def test_a_file_of_other_samples_that_took_its_place_is_not_written_over(tiny_model: DCGAN, tmp_path: Path) -> None:
    case = Case("boxes", tiny_model, tmp_path)
    page = case.page()
    open_annotations(tiny_model, "window", tmp_path / "other.json", count=5, seed=4)
    (tmp_path / "other.json").replace(case.path)
    before = case.path.read_bytes()
    answer = page.put(case.contents[0])
    assert (answer.status_code, "replaced by boxes of other samples" in answer.text) == (409, True)
    assert case.path.read_bytes() == before


def test_a_full_disk_is_said_and_changes_nothing(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    page = case.page()
    before = case.path.read_bytes()

    def full(self: Path, *arguments: Any, **options: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        answer = page.put(case.contents[0])
    assert (answer.status_code, "No space left" in answer.json()["problem"]) == (503, True)
    assert case.path.read_bytes() == before
    assert page.put(case.contents[0]).status_code == 200


def _count_up(path: str, times: int) -> None:
    """Adds one, as a server of its own would, until it has succeeded so many times."""

    def load(file: Path) -> int:
        return int(json.loads(file.read_text()))

    def save(number: int, file: Path) -> None:
        temporary = file.with_name(f"{multiprocessing.current_process().pid}")
        temporary.write_text(json.dumps(number))
        temporary.replace(file)

    document = Document(path, load, save, lambda number, _: number, "a counter")
    while times:
        version = document.part(document.read(), 0)["version"]
        try:
            document.change(0, version, lambda number: number + 1)
        except UserError:
            continue
        times -= 1


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "count.json"
    path.write_text("0")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_count_up, args=(str(path), 60)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert json.loads(path.read_text()) == 180


def test_whoever_keeps_a_folder_too_long_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan_viz.locking.PATIENCE", 0.05)
    with (
        one_at_a_time(tmp_path / "a.json"),
        pytest.raises(UserError, match="another program is writing"),
        one_at_a_time(tmp_path / "b.json"),
    ):
        pass
    with one_at_a_time(tmp_path / "a.json"):
        pass
    assert list(tmp_path.iterdir()) == []
