from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette import testclient

from dcgan_viz.annotations.concepts import load_concepts, open_concepts, save_concepts
from dcgan_viz.model import DCGAN, load
from dcgan_viz.studio.concepts import concepts_app


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "concepts.json"


@pytest.fixture
def client(tiny_model: DCGAN, path: Path):
    concepts = open_concepts(tiny_model, path, count=5, seed=3, contributor="a tester", method="by eye")
    save_concepts(concepts, path)
    return testclient.TestClient(concepts_app(tiny_model, concepts, path), base_url="http://127.0.0.1:8765")


def put(client, concepts: object):
    state = client.get("/state").json()
    body = {"document": state["document"], "version": state["parts"][0]["version"], "content": concepts}
    return client.put("/concepts", content=json.dumps(body))


def test_every_change_is_saved_at_once_and_gone_on_with(client, tiny_model: DCGAN, path: Path) -> None:
    assert client.get("/state").json()["parts"][0]["content"] == []
    answer = put(client, [["woman", [3, 1]], ["2", [0]]]).json()
    assert answer["content"] == [["woman", [3, 1]], ["2", [0]]]
    saved = load_concepts(path)
    assert saved.exemplars == {"woman": (3, 1), "2": (0,)}
    assert (saved.count, saved.seed, saved.contributor, saved.method) == (5, 3, "a tester", "by eye")
    put(client, [["red-haired woman", [3]]])
    assert load_concepts(path).exemplars == {"red-haired woman": (3,)}
    again = concepts_app(tiny_model, open_concepts(tiny_model, path, method="by eye", count=1), path)
    state = testclient.TestClient(again, base_url="http://localhost").get("/state").json()
    assert state["parts"][0]["content"] == [["red-haired woman", [3]]]
    assert state["count"] == 5
    assert [f.name for f in path.parent.iterdir()] == ["concepts.json"]


@pytest.mark.parametrize(
    ("concepts", "sentence"),
    [
        ({"woman": [1]}, "pairs"),
        ([["woman", [1], 2]], "pairs"),
        ([[3, [1]]], "pairs"),
        ([["woman", [5]]], "names sample 5, and there are 5"),
        ([["woman", [1, 1]]], "names a sample twice"),
        ([["woman", [1]], ["woman", [2]]], "same name"),
        ([["woman", [1]], [" woman", [2]]], "two concepts"),
        ([["a + b", [1]]], "holds a sign"),
        ([["", [1]]], "not a name"),
        ([["woman", ["1"]]], "list of sample numbers"),
    ],
)
def test_wrong_concepts_change_nothing(client, path: Path, concepts: object, sentence: str) -> None:
    put(client, [["man", [2]]])
    before = path.read_bytes()
    answer = put(client, concepts)
    assert answer.status_code == 400
    assert sentence in answer.json()["problem"]
    assert path.read_bytes() == before


@pytest.mark.slow
def test_the_command_ends_with_ctrl_c(serving, interrupt, tiny_folder: Path) -> None:
    with serving(*f"concepts --model {tiny_folder} --count 12 --contributor me".split()) as served:
        assert f"0 concepts so far; open {served.address}" in served.said
        assert f"concepts in {tiny_folder / 'concepts.json'}" in interrupt(served)
    saved = load_concepts(tiny_folder / "concepts.json")
    assert (saved.count, saved.contributor) == (12, "me")


def test_concepts_are_picked_in_a_browser(browser, at_once, tiny_folder: Path) -> None:
    model, path = load(tiny_folder), tiny_folder / "concepts.json"
    concepts = open_concepts(model, path, count=12, contributor="me", method="by eye")
    save_concepts(concepts, path)
    page = browser.new_page(viewport={"width": 900, "height": 900})
    answers = []
    page.on("dialog", lambda dialog: (answers.append(dialog.message), dialog.accept("smiling woman")))
    page.goto(at_once(concepts_app(model, concepts, path)))
    page.get_by_text("sample 11").wait_for()
    assert page.locator("#grid img").first.bounding_box()["width"] >= 128

    def add(name: str) -> None:
        page.get_by_label("name of a new concept").fill(name)
        page.keyboard.press("Enter")
        page.get_by_role("button", name=f"{name} (0)").wait_for()

    def picked(name: str, count: int) -> None:
        page.get_by_role("button", name=f"{name} ({count})").wait_for()

    page.keyboard.press("n")
    page.keyboard.type("woman")
    page.keyboard.press("Enter")
    picked("woman", 0)
    # As fast as one can click: none is lost.
    for number in (3, 1, 7, 5):
        page.locator(f'#grid button[data-number="{number}"]').click()
    picked("woman", 4)
    page.locator('#grid button[data-number="7"]').click()
    picked("woman", 3)
    add("man")
    page.locator('#grid button[data-number="0"]').focus()
    assert page.locator('#grid button[tabindex="0"]').count() == 1
    page.keyboard.press("Space")
    picked("man", 1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    picked("man", 2)
    page.keyboard.press("1")
    page.keyboard.press("Space")
    picked("woman", 4)
    assert page.locator('#grid button[data-number="2"]').get_attribute("aria-pressed") == "true"
    assert page.locator('#grid button[data-number="2"] .names').inner_text() == "woman, man"
    page.get_by_role("button", name="rename").click()
    picked("smiling woman", 4)
    add("mistake")
    page.get_by_role("button", name="remove").click()
    page.get_by_role("button", name="mistake").wait_for(state="detached")
    page.keyboard.press("Control+z")
    picked("mistake", 0)
    page.keyboard.press("Control+y")
    page.get_by_role("button", name="mistake").wait_for(state="detached")
    page.get_by_label("name of a new concept").fill("a + b")
    page.keyboard.press("Enter")
    page.get_by_text("not saved: the name 'a + b' holds a sign").wait_for()
    # What is refused stays in its field, and takes nothing else with it.
    page.locator('#grid button[data-number="8"]').click()
    picked("man", 3)
    page.locator('#grid button[data-number="8"]').click()
    picked("man", 2)
    page.get_by_text("saved", exact=True).wait_for()
    assert page.get_by_label("name of a new concept").input_value() == "a + b"
    page.reload()
    picked("smiling woman", 4)
    page.get_by_label("only its samples").check()
    assert page.locator("#grid button:visible").count() == 4
    assert answers == ["The new name"]
    concepts = load_concepts(tiny_folder / "concepts.json")
    concepts.check_belongs_to(load(tiny_folder))
    assert concepts.exemplars == {"smiling woman": (3, 1, 5, 2), "man": (0, 2)}
    assert (concepts.contributor, concepts.count, concepts.seed) == ("me", 12, 2015)


def test_what_is_clicked_and_typed_before_a_name_is_saved_is_kept(
    browser, at_once, tiny_model: DCGAN, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, the new concept was given up for the one before as soon as the reply came, and the next name was erased."""
    save_concepts(open_concepts(tiny_model, path, count=6, seed=3, method="by eye"), path)
    go_on = threading.Event()

    def slowly(concepts: Any, file: Path) -> Path:
        assert go_on.wait(60)
        return save_concepts(concepts, file)

    monkeypatch.setattr("dcgan_viz.studio.concepts.save_concepts", slowly)
    page = browser.new_page()
    page.goto(at_once(concepts_app(tiny_model, load_concepts(path), path)))
    page.get_by_text("sample 5").wait_for()
    field = page.get_by_label("name of a new concept")

    def add(name: str) -> None:
        field.fill(name)
        page.keyboard.press("Enter")

    def pick(number: int) -> None:
        page.locator(f'#grid button[data-number="{number}"]').click()

    def saved() -> None:
        go_on.set()
        page.get_by_text("saved", exact=True).wait_for()
        go_on.clear()

    add("woman")
    saved()
    add("man")
    pick(1)
    field.fill("chi")
    saved()
    assert field.input_value() == "chi"
    pick(2)
    page.get_by_role("button", name="man (2)").wait_for()
    saved()
    assert load_concepts(path).exemplars == {"woman": (), "man": (1, 2)}
    # Two names on their way at once, of which the first is refused: the second and what is clicked into it stay.
    pick(0)
    add("a + b")
    pick(3)
    add("child")
    pick(4)
    go_on.set()
    page.get_by_text("not saved: the name 'a + b' holds a sign").wait_for()
    pick(5)
    page.get_by_role("button", name="child (2)").wait_for()
    page.get_by_text("saved", exact=True).wait_for()
    assert field.input_value() == "a + b"
    assert load_concepts(path).exemplars == {"woman": (), "man": (1, 2, 0), "child": (4, 5)}
    # What is refused as a new name of a concept leaves it the old one, and its samples.
    page.on("dialog", lambda dialog: dialog.accept("x = y"))
    page.get_by_role("button", name="rename").click()
    page.get_by_text("not saved: the name 'x = y' holds a sign").wait_for()
    page.get_by_role("button", name="child (2)").wait_for()
    add("man")
    page.get_by_text("there is a concept man already").wait_for()
    assert load_concepts(path).exemplars == {"woman": (), "man": (1, 2, 0), "child": (4, 5)}


def test_what_another_tab_has_picked_is_not_written_over(browser, at_once, tiny_model: DCGAN, path: Path) -> None:
    save_concepts(open_concepts(tiny_model, path, count=5, seed=3, method="by eye"), path)
    address = at_once(concepts_app(tiny_model, load_concepts(path), path))
    first, second = (browser.new_page() for _ in range(2))
    for page in (first, second):
        page.goto(address)
        page.get_by_text("sample 4").wait_for()
    for page, name in ((first, "woman"), (second, "man")):
        page.get_by_label("name of a new concept").fill(name)
        page.keyboard.press("Enter")
        page.get_by_role("button", name=f"{name} (0)").wait_for()
    second.get_by_text("The list of concepts was changed in another tab or by another program").wait_for()
    assert load_concepts(path).exemplars == {"woman": ()}
    second.get_by_role("button", name="show the saved ones").click()
    second.get_by_role("button", name="woman (0)").wait_for()
    second.get_by_role("button", name="undo").click()
    second.get_by_text("saved", exact=True).wait_for()
    assert load_concepts(path).exemplars == {"man": ()}
