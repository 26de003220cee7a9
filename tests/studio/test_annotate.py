from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dcgan_viz.annotations.boxes import load_annotations
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, load
from dcgan_viz.studio.annotate import annotation_app, open_annotations

testclient = pytest.importorskip("starlette.testclient")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "boxes.json"


@pytest.fixture
def client(tiny_model: DCGAN, path: Path):
    annotations = open_annotations(tiny_model, "window", path, count=5, seed=3, contributor="a tester")
    app = annotation_app(tiny_model, "window", annotations, path)
    return testclient.TestClient(app, base_url="http://127.0.0.1:8765")


def test_a_new_file_is_written_at_once_with_nothing_looked_at(tiny_model: DCGAN, path: Path) -> None:
    open_annotations(tiny_model, "window", path, count=5, seed=3, contributor="a tester")
    annotations = load_annotations(path)
    assert annotations.boxes == ()
    assert annotations.reviewed == ()
    assert (annotations.count, annotations.seed, annotations.contributor) == (5, 3, "a tester")
    assert annotations.generator_digest == tiny_model.generator_digest()


def test_every_box_is_saved_at_once_and_the_page_goes_on_where_it_stopped(
    client, tiny_model: DCGAN, path: Path
) -> None:
    assert client.get("/state").json()["next"] == 0
    assert client.put("/boxes/0", json=[[1, 2, 3, 4], [8, 8, 2, 2]]).json() == {"total": 2}
    saved = load_annotations(path)
    assert [(b.image, b.label, b.left, b.top, b.width, b.height) for b in saved.boxes] == [
        (0, "window", 1, 2, 3, 4),
        (0, "window", 8, 8, 2, 2),
    ]
    client.put("/boxes/1", json=[])
    client.put("/boxes/0", json=[[8, 8, 2, 2]])
    assert load_annotations(path).reviewed == (0, 1)
    again = annotation_app(tiny_model, "window", open_annotations(tiny_model, "window", path), path)
    state = testclient.TestClient(again, base_url="http://localhost").get("/state").json()
    assert state["next"] == 2
    assert state["boxes"] == {"0": [[8, 8, 2, 2]]}
    assert not [f for f in path.parent.iterdir() if f.name.startswith(".")]


@pytest.mark.parametrize(
    ("boxes", "sentence"),
    [
        ([[10, 10, 9, 2]], "does not lie in the 16x16 sample"),
        ([[1, 1, 0, 2]], "does not lie in"),
        ([[1, 1, float("nan"), 2]], ""),
        ({"a": 1}, "at most 200"),
        ([[1, 2]], ""),
        ([[1, 1, 2, 2]] * 201, "at most 200"),
    ],
)
def test_wrong_boxes_change_nothing(client, path: Path, boxes: object, sentence: str) -> None:
    before = path.read_bytes()
    answer = client.put("/boxes/0", content=json.dumps(boxes))
    assert answer.status_code == 400
    assert sentence in answer.text
    assert path.read_bytes() == before
    assert client.put("/boxes/7", json=[]).status_code == 400
    assert client.put("/boxes/0", content=b" " * 70_000).status_code == 400


def test_boxes_of_other_weights_or_objects_are_refused(tiny_model: DCGAN, path: Path) -> None:
    open_annotations(tiny_model, "window", path)
    with pytest.raises(UserError, match="holds boxes of window: choose another file for 'lamp'"):
        open_annotations(tiny_model, "lamp", path)
    next(tiny_model.generator.parameters()).data.add_(1)
    with pytest.raises(UserError, match="other weights"):
        open_annotations(tiny_model, "window", path)


@pytest.fixture
def server(serving, tiny_folder: Path, path: Path) -> Iterator[Any]:
    """The command, serving."""
    line = f"annotate --object window --model {tiny_folder} --count 4 --out {path} --contributor me"
    with serving(*line.split()) as served:
        assert f"0 of 4 samples looked at; open {served.address}" in served.said
        yield served


def test_the_command_listens_on_this_machine_alone_and_ends_with_ctrl_c(
    server, keeps_to_this_machine, interrupt, tiny_folder: Path, path: Path
) -> None:
    keeps_to_this_machine(server, *f"annotate --object window --model {tiny_folder} --out other.json".split())
    assert f"--annotations {path}" in interrupt(server)


def test_boxes_are_drawn_in_a_browser(visit, server, tiny_folder: Path, path: Path) -> None:
    page, drag = visit(server.address, "sample 1 of 4")
    drag(2, 3, 8, 10)
    page.get_by_text("saved, 1 box in all").wait_for()
    drag(14, 12, 10, 9)
    page.get_by_text("saved, 2 boxes in all").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("sample 2 of 4").wait_for()
    page.keyboard.press("Space")
    page.get_by_text("sample 3 of 4").wait_for()
    drag(4, 2, -3, 30)
    page.get_by_text("saved, 3 boxes in all").wait_for()
    drag(2, 5, 2, 5)
    page.get_by_text("saved, 2 boxes in all").wait_for()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.get_by_text("sample 1 of 4").wait_for()
    page.keyboard.press("Backspace")
    page.get_by_text("saved, 1 box in all").wait_for()
    page.reload()
    page.get_by_text("sample 4 of 4").wait_for()
    annotations = load_annotations(path)
    annotations.check_belongs_to(load(tiny_folder))
    (box,) = annotations.boxes
    assert (box.image, box.label) == (0, "window")
    assert (box.left, box.top, box.width, box.height) == pytest.approx((2, 3, 6, 7), abs=0.5)
    assert annotations.reviewed == (0, 1, 2)
    assert annotations.contributor == "me"
