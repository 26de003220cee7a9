from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette import testclient

from dcgan_viz.annotations.boxes import Box, load_annotations, save_annotations
from dcgan_viz.annotations.photographs import load_photograph_boxes
from dcgan_viz.data.sources import open_images
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, load
from dcgan_viz.studio.annotate import annotation_app, open_annotations, open_photographs, photographs_app


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


def put(client, index: int, boxes: object):
    state = client.get("/state").json()
    body = {"document": state["document"], "version": state["parts"][index]["version"], "content": boxes}
    return client.put(f"/boxes/{index}", content=json.dumps(body))


def test_every_box_is_saved_at_once_and_the_page_goes_on_where_it_stopped(
    client, tiny_model: DCGAN, path: Path
) -> None:
    assert [part["content"] for part in client.get("/state").json()["parts"]] == [None] * 5
    assert put(client, 0, [[8, 8, 2, 2], [1, 2, 3, 4]]).json()["content"] == [[8, 8, 2, 2], [1, 2, 3, 4]]
    saved = load_annotations(path)
    assert [(b.image, b.label, b.left, b.top, b.width, b.height) for b in saved.boxes] == [
        (0, "window", 8, 8, 2, 2),
        (0, "window", 1, 2, 3, 4),
    ]
    put(client, 1, [])
    put(client, 0, [[8, 8, 2, 2]])
    assert load_annotations(path).reviewed == (0, 1)
    again = annotation_app(tiny_model, "window", open_annotations(tiny_model, "window", path), path)
    state = testclient.TestClient(again, base_url="http://localhost").get("/state").json()
    assert [part["content"] for part in state["parts"]] == [[[8, 8, 2, 2]], [], None, None, None]
    assert not [f for f in path.parent.iterdir() if f.name.startswith(".")]


def test_boxes_of_other_objects_in_the_file_stay(tiny_model: DCGAN, path: Path) -> None:
    annotations = open_annotations(tiny_model, "window", path, count=5, seed=3)
    lamp = Box(0, "lamp", 1, 1, 2, 2)
    save_annotations(replace(annotations, looked_for=("window", "lamp"), boxes=(lamp,)), path)
    app = annotation_app(tiny_model, "window", open_annotations(tiny_model, "window", path), path)
    put(testclient.TestClient(app, base_url="http://127.0.0.1"), 0, [[8, 8, 2, 2]])
    assert load_annotations(path).boxes == (lamp, Box(0, "window", 8, 8, 2, 2))


@pytest.mark.parametrize(
    ("boxes", "sentence"),
    [
        ([[10, 10, 9, 2]], "does not lie in the 16x16 sample"),
        ([[1, 1, 0, 2]], "does not lie in"),
        ([[1, 1, float("nan"), 2]], "does not lie in"),
        ([[1, 1, 10**400, 2]], "the box [1, 1, 1000"),
        ({"a": 1}, "at most 200"),
        ([[1, 2]], "a box is"),
        ([[1, 1, 2, 2]] * 201, "at most 200"),
    ],
)
def test_wrong_boxes_change_nothing(client, path: Path, boxes: object, sentence: str) -> None:
    before = path.read_bytes()
    answer = put(client, 0, boxes)
    assert answer.status_code == 400
    assert sentence in answer.json()["problem"]
    assert path.read_bytes() == before


def test_boxes_of_other_weights_or_objects_are_refused(tiny_model: DCGAN, path: Path) -> None:
    open_annotations(tiny_model, "window", path)
    with pytest.raises(UserError, match="holds boxes of window: choose another file for 'lamp'"):
        open_annotations(tiny_model, "lamp", path)
    next(tiny_model.generator.parameters()).data.add_(1)
    with pytest.raises(UserError, match="other weights"):
        open_annotations(tiny_model, "window", path)


@pytest.mark.slow
def test_the_command_listens_on_this_machine_alone_and_ends_with_ctrl_c(
    serving, keeps_to_this_machine, interrupt, tiny_folder: Path, path: Path
) -> None:
    line = f"annotate --object window --model {tiny_folder} --count 4 --out {path} --contributor me"
    with serving(*line.split()) as served:
        assert f"0 of 4 samples looked at; open {served.address}" in served.said
        keeps_to_this_machine(served, *f"annotate --object window --model {tiny_folder} --out other.json".split())
        assert f"--annotations {path}" in interrupt(served)
    assert load_annotations(path).contributor == "me"


def test_boxes_are_drawn_in_a_browser(visit, at_once, tiny_folder: Path, path: Path) -> None:
    model = load(tiny_folder)
    annotations = open_annotations(model, "window", path, count=4, seed=3, contributor="me")
    page, drag = visit(at_once(annotation_app(model, "window", annotations, path)), "sample 1 of 4")
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
    page.keyboard.press("Backspace")
    page.get_by_text("saved, 2 boxes in all").wait_for()
    page.keyboard.press("ArrowLeft")
    page.get_by_text("sample 2 of 4").wait_for()
    page.keyboard.press("ArrowLeft")
    page.get_by_text("sample 1 of 4").wait_for()
    # Nothing is chosen, so nothing is deleted.
    page.keyboard.press("Backspace")
    page.reload()
    page.get_by_text("sample 4 of 4").wait_for()
    annotations = load_annotations(path)
    annotations.check_belongs_to(load(tiny_folder))
    assert [(b.image, b.label, b.left, b.top, b.width, b.height) for b in annotations.boxes] == [
        (0, "window", *(pytest.approx(n, abs=0.5) for n in (2, 3, 6, 7))),
        (0, "window", *(pytest.approx(n, abs=0.5) for n in (10, 9, 4, 3))),
    ]
    assert annotations.reviewed == (0, 1, 2)
    assert annotations.contributor == "me"


@pytest.fixture
def app(tiny_model: DCGAN, path: Path) -> Callable[[], Any]:
    """A server of the file; more than one can be made."""
    return lambda: annotation_app(
        tiny_model, "window", open_annotations(tiny_model, "window", path, count=4, seed=3), path
    )


def stored(path: Path, image: int = 0) -> list[tuple[float, ...]]:
    return [(b.left, b.top, b.width, b.height) for b in load_annotations(path).boxes if b.image == image]


def becomes(path: Path, expected: list[tuple[float, ...]], image: int = 0) -> None:
    """Waits until the file holds these boxes, to half a pixel."""
    wanted = [pytest.approx(box, abs=0.5) for box in expected]
    deadline = time.monotonic() + 60
    while stored(path, image) != wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    assert stored(path, image) == wanted


def test_boxes_are_chosen_moved_resized_deleted_and_all_of_it_undone(visit, at_once, app, path: Path) -> None:
    page, drag = visit(at_once(app()), "sample 1 of 4")
    canvas = page.locator("canvas")
    drag(2, 2, 8, 8)
    drag(10, 10, 14, 15)
    becomes(path, [(2, 2, 6, 6), (10, 10, 4, 5)])
    # A click chooses, and deletes nothing.
    drag(5, 5, 5, 5)
    assert "box 1 is chosen: 6 by 6 pixels, 2 from the left, 2 from the top" in canvas.get_attribute("aria-label")
    drag(5, 5, 7, 6)
    becomes(path, [(4, 3, 6, 6), (10, 10, 4, 5)])
    # By a corner, by a side, and never inside out.
    drag(10, 9, 12, 8)
    becomes(path, [(4, 3, 8, 5), (10, 10, 4, 5)])
    drag(4, 5.5, 2, 5.5)
    becomes(path, [(2, 3, 10, 5), (10, 10, 4, 5)])
    drag(7, 8, 7, 0)
    becomes(path, [(2, 3, 10, 1), (10, 10, 4, 5)])
    page.get_by_role("button", name="delete box").click()
    becomes(path, [(10, 10, 4, 5)])
    assert page.get_by_role("button", name="delete box").is_disabled()
    steps = ([(2, 3, 10, 1), (10, 10, 4, 5)], [(2, 3, 10, 5), (10, 10, 4, 5)], [(4, 3, 8, 5), (10, 10, 4, 5)])
    for step in steps:
        page.keyboard.press("Control+z")
        becomes(path, step)
    page.keyboard.press("Control+Shift+Z")
    becomes(path, steps[1])
    page.keyboard.press("Control+y")
    becomes(path, steps[0])
    for _ in range(9):
        page.keyboard.press("Control+z")
    becomes(path, [])
    assert page.get_by_role("button", name="undo").is_disabled()
    page.get_by_role("button", name="redo").click()
    becomes(path, [(2, 2, 6, 6)])
    # What was done on a sample can be undone after others were looked at.
    page.keyboard.press("ArrowRight")
    page.get_by_text("sample 2 of 4").wait_for()
    page.keyboard.press("Control+z")
    page.get_by_text("nothing to undo on this sample").wait_for()
    page.keyboard.press("ArrowLeft")
    page.get_by_text("sample 1 of 4").wait_for()
    page.keyboard.press("Control+z")
    becomes(path, [])


def test_what_is_drawn_before_the_next_picture_has_come_is_on_the_picture_that_was_seen(
    visit, at_once, app, path: Path
) -> None:
    """Once, it was saved as a box on the next one, with all boxes of the one before."""
    page, drag = visit(at_once(app()), "sample 1 of 4")
    drag(2, 2, 8, 8)
    becomes(path, [(2, 2, 6, 6)])
    held: list[Any] = []
    page.route("**/sample/1.png", lambda route: held.append(route))
    with page.expect_request("**/sample/1.png"):
        page.keyboard.press("Space")
    drag(10, 10, 14, 15)
    becomes(path, [(2, 2, 6, 6), (10, 10, 4, 5)])
    held[0].continue_()
    page.get_by_text("sample 2 of 4, 1 looked at").wait_for()
    drag(1, 1, 5, 5)
    becomes(path, [(1, 1, 4, 4)], image=1)
    becomes(path, [(2, 2, 6, 6), (10, 10, 4, 5)])


def test_the_keyboard_alone_is_enough(visit, at_once, app, path: Path) -> None:
    page, _ = visit(at_once(app()), "sample 1 of 4")
    page.keyboard.press("b")
    becomes(path, [(6, 6, 4, 4)])
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Control+Shift+ArrowRight")
    becomes(path, [(5, 5, 5, 4)])
    page.keyboard.press("b")
    page.keyboard.press("s")
    page.keyboard.press("Delete")
    becomes(path, [(6, 6, 4, 4)])
    # Every control is reached by Tab, shows that it has the focus, and is pressed by the space bar without more.
    names = []
    for _ in range(4):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(e => [e.id, getComputedStyle(e).outlineStyle, getComputedStyle(e).outlineWidth])(document.activeElement)"
        )
        assert focused[1:] == ["solid", "3px"]
        names.append(focused[0])
    assert names == ["canvas", "previous", "next", "undo"]
    page.locator("#undo").focus()
    page.keyboard.press("Space")
    becomes(path, [(5, 5, 5, 4), (6, 6, 4, 4)])
    assert page.get_by_text("sample 1 of 4").is_visible()
    # A key that is held down does not go past what was hardly seen.
    page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', repeat: true, bubbles: true }))"
    )
    page.keyboard.press("ArrowRight")
    page.get_by_text("sample 2 of 4").wait_for()


def test_a_stale_tab_is_refused_and_nothing_drawn_in_it_is_lost(visit, at_once, app, path: Path) -> None:
    # Each tab with a server of its own, which is no different from one for both.
    first, drag_first = visit(at_once(app()), "sample 1 of 4")
    second, drag_second = visit(at_once(app()), "sample 1 of 4")
    drag_first(2, 2, 8, 8)
    first.get_by_text("saved, 1 box in all").wait_for()
    drag_second(10, 10, 14, 14)
    second.get_by_text("was changed in another tab or by another program").wait_for()
    assert "What is on sample 1" in second.locator("#stale").inner_text()
    becomes(path, [(2, 2, 6, 6)])
    # A reload of the stale page neither saves nor loses.
    second.on("dialog", lambda dialog: dialog.accept())
    second.reload()
    second.get_by_text("was changed in another tab").wait_for()
    becomes(path, [(2, 2, 6, 6)])
    second.get_by_role("button", name="show the saved ones").click()
    second.locator("#stale").wait_for(state="hidden")
    assert "with 1 box" in second.locator("canvas").get_attribute("aria-label")
    second.keyboard.press("Control+z")
    becomes(path, [(10, 10, 4, 4)])
    # The other way: the first tab is stale now, and insists.
    drag_first(0, 0, 1, 2)
    first.get_by_role("button", name="save mine in their place").click()
    becomes(path, [(2, 2, 6, 6), (0, 0, 1, 2)])
    for _ in range(2):
        first.keyboard.press("Control+z")
    becomes(path, [(2, 2, 6, 6)])
    # To go past a sample unchanged says nothing against the boxes that another tab has drawn there.
    for page in (first, second):
        page.keyboard.press("ArrowRight")
        page.get_by_text("sample 2 of 4").wait_for()
    drag_first(3, 3, 6, 6)
    becomes(path, [(3, 3, 3, 3)], image=1)
    second.keyboard.press("ArrowRight")
    second.get_by_text("now as it was saved elsewhere").wait_for()
    becomes(path, [(3, 3, 3, 3)], image=1)
    assert not second.locator("#stale").is_visible()
    second.keyboard.press("ArrowRight")
    second.get_by_text("sample 3 of 4").wait_for()


def test_what_is_drawn_while_the_command_is_down_is_saved_when_it_is_back(visit, at_once, app, path: Path) -> None:
    address = at_once(app())
    page, drag = visit(address, "sample 1 of 4")
    drag(2, 2, 8, 8)
    page.get_by_text("saved, 1 box in all").wait_for()
    port = at_once.stop(address)
    drag(10, 10, 14, 14)
    page.get_by_text("not saved yet: the command does not answer. It is kept here").wait_for()
    drag(10, 2, 14, 6)
    assert stored(path) == [pytest.approx((2, 2, 6, 6), abs=0.5)]
    at_once(app(), port)
    page.get_by_text("saved, 3 boxes in all").wait_for()
    becomes(path, [(2, 2, 6, 6), (10, 10, 4, 4), (10, 2, 4, 4)])


def test_saves_are_sent_in_order_and_the_last_one_holds(visit, at_once, app, path: Path) -> None:
    page, _ = visit(at_once(app()), "sample 1 of 4")
    # The first requests are the slowest: sent side by side, they would arrive last.
    page.evaluate(
        """() => {
            const send = window.fetch, delays = [300, 150];
            window.sent = [];
            window.fetch = async (...request) => {
                window.sent.push("begun");
                await new Promise(resolve => setTimeout(resolve, delays.shift() ?? 0));
                const reply = await send(...request);
                window.sent.push("ended");
                return reply;
            };
        }"""
    )
    page.keyboard.press("b")
    for _ in range(5):
        page.keyboard.press("Shift+ArrowLeft")
    becomes(path, [(1, 6, 4, 4)])
    page.get_by_text("saved, 1 box in all").wait_for()
    sent = page.evaluate("window.sent")
    assert sent == ["begun", "ended"] * (len(sent) // 2)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A wide photograph, and one that lies on its side."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (3000, 1500), "red").save(folder / "a.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    halves = Image.new("RGB", (80, 60), "white")
    halves.paste("blue", (0, 0, 40, 60))
    halves.save(folder / "b.png", exif=exif)
    return folder


def test_photographs_are_annotated_as_they_are_seen(at_once, browser, pictures: Path, path: Path) -> None:
    source = open_images(pictures)
    boxes = open_photographs(source, "cat", path, contributor="me")
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(at_once(photographs_app(source, "cat", boxes, path)))
    page.get_by_text("photograph 1 of 2").wait_for()
    frame = page.locator("canvas").bounding_box()
    assert frame["width"] / frame["height"] == pytest.approx(2, rel=0.02)
    assert 1100 < frame["width"] < 1250

    def drag(x0: float, y0: float, x1: float, y1: float) -> None:
        page.mouse.move(frame["x"] + x0 * frame["width"], frame["y"] + y0 * frame["height"])
        page.mouse.down()
        page.mouse.move(frame["x"] + x1 * frame["width"], frame["y"] + y1 * frame["height"], steps=3)
        page.mouse.up()

    drag(0.1, 0.2, 0.5, 0.6)
    page.get_by_text("saved, 1 box in all").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_text("photograph 2 of 2").wait_for()
    frame = page.locator("canvas").bounding_box()
    assert frame["width"] / frame["height"] == pytest.approx(60 / 80, rel=0.02)
    # Turned by its metadata, so that what was on the left is at the top.
    assert page.evaluate("[...document.querySelector('canvas').getContext('2d').getImageData(9, 9, 1, 1).data]") == [
        pytest.approx(value, abs=3) for value in (0, 0, 255, 255)
    ]
    drag(0, 0, 1, 0.5)
    page.get_by_text("saved, 2 boxes in all").wait_for()
    found = load_photograph_boxes(path)
    assert [p.name for p in found.photographs] == ["a.jpg", "b.png"]
    first, second = ((b.left, b.top, b.width, b.height) for b in found.boxes)
    assert first == pytest.approx((300, 300, 1200, 600), abs=3)
    assert second == pytest.approx((0, 0, 60, 40), abs=1)
    assert (found.contributor, found.reviewed) == ("me", (0, 1))
    # It goes on with the same photographs, and with no others.
    assert open_photographs(source, "cat", path) == found
    with pytest.raises(UserError, match="holds boxes of cat: choose another file for 'dog'"):
        open_photographs(source, "dog", path)
    Image.new("RGB", (80, 60)).save(pictures / "b.png")
    with pytest.raises(UserError, match=r"b\.png has changed"):
        open_photographs(open_images(pictures), "cat", path)


@pytest.mark.slow
def test_the_command_draws_on_photographs_without_a_model(serving, interrupt, pictures: Path, path: Path) -> None:
    with serving("annotate", "--object", "cat", "--images", pictures, "--out", path) as served:
        assert f"0 of 2 photographs looked at; open {served.address}" in served.said
        assert f"guided-backprop --object cat --images {pictures} --annotations {path}" in interrupt(served)
