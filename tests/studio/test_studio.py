"""The studio in a browser, and what its server refuses."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette import testclient

from dcgan_viz.analysis.forgetting.ablation import Ablation, choose_layer
from dcgan_viz.analysis.forgetting.forgetting import forget
from dcgan_viz.analysis.forgetting.painting import preview, untouched
from dcgan_viz.analysis.latent.points import steering_directions
from dcgan_viz.annotations.concepts import CONCEPTS_FILE, open_concepts, save_concepts
from dcgan_viz.data.images import to_pixels
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import DCGAN, load
from dcgan_viz.networks import dcgan
from dcgan_viz.networks.modules import NoDiscriminator
from dcgan_viz.studio.serving import COOKIE
from dcgan_viz.studio.studio import studio_app


@pytest.fixture
def seeing_model(make_model: Callable[..., DCGAN], tiny_segmenter: Segmenter, tmp_path: Path) -> DCGAN:
    """A model of four layers, with a segmenter beside it."""
    folder = make_model(dcgan(16, width=4, latent_dim=8, top_layer=True)).save(tmp_path / "seeing", exact=True)
    tiny_segmenter.save(folder / "segmenter")
    return load(folder)


@pytest.fixture
def app(seeing_model: DCGAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DCGAN_VIZ_HOME", str(tmp_path / "home"))
    return studio_app(seeing_model, str(seeing_model.folder), folder=tmp_path)


@pytest.fixture
def client(app: Any) -> testclient.TestClient:
    return testclient.TestClient(app, base_url="http://127.0.0.1:8765")


def unpack(content: bytes) -> tuple[dict[str, Any], np.ndarray]:
    (length,) = struct.unpack("<I", content[:4])
    said = json.loads(content[4 : 4 + length])
    pixels = np.frombuffer(content[4 + length :], np.uint8)
    return said, pixels.reshape(said["count"], said["height"], said["width"], 4)


def finished(client: Any, method: str, path: str, **options: Any) -> Any:
    for _ in range(400):
        found = client.request(method, path, **options).json()
        if not found.get("waiting"):
            return found
    raise AssertionError("it is not finished")


def test_points_are_drawn_as_the_library_draws_them(client: Any, seeing_model: DCGAN) -> None:
    reply = client.post("/draw", json={"points": [{"seed": 3, "number": 1}, {"seed": 0, "number": 0}]})
    _, pixels = unpack(reply.content)
    assert np.array_equal(pixels[0, ..., :3], to_pixels(seeing_model.sample(2, 3))[1])
    moved = {"points": [{"start": {"seed": 0, "number": 0}, "along": [[7, 1.0]]}]}
    assert client.post("/draw", json=moved).status_code == 200
    assert "steering_directions(model, 8)" in client.post("/script", json=moved).text
    film = client.post("/film", json={"points": [{"seed": 0, "number": k} for k in range(4)]})
    assert film.headers["content-type"] == "image/webp"
    assert film.content[:4] == b"RIFF"


def test_directions_are_begun_with_the_first_picture_and_nobody_else_waits_for_them(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(model: DCGAN, count: int) -> Any:
        begun.set()
        assert go.wait(30)
        return steering_directions(model, count)

    monkeypatch.setattr("dcgan_viz.studio.latent_views.steering_directions", slow)
    still = {"seed": 0, "number": 0}
    with client:
        assert client.post("/draw", json={"points": [still]}).status_code == 200
        assert begun.wait(30)
        with ThreadPoolExecutor(1) as another:
            moved = another.submit(client.post, "/draw", json={"points": [{"start": still, "along": [[0, 1.0]]}]})
            assert client.post("/draw", json={"points": [still]}).status_code == 200
            assert not moved.done()
            go.set()
            assert moved.result(30).status_code == 200


@pytest.mark.slow
def test_any_layer_can_be_made_to_forget(client: Any, seeing_model: DCGAN, tmp_path: Path) -> None:
    asked = {"object": "window", "ranking": "difference", "layer": 2}
    ranked = finished(client, "POST", "/forget/rank", json=asked)
    other = choose_layer(seeing_model, 2)
    assert other != choose_layer(seeing_model, None)
    assert sorted(ranked["maps"]) == list(range(other.channels))
    stroke = {"sample": 0, "kind": "insert", "object": "window", "maps": ranked["maps"][:2], "places": [0]}
    body = {"maps": [], "layer": 2, "strokes": [stroke], "page": 0, "count": 2, "seen": False}
    _, pixels = unpack(client.post("/forget/draw", json=body).content)
    assert not np.array_equal(pixels[2], pixels[0])
    found = forget(seeing_model, "window", layer=2, ranking="difference", top=1, samples=2, measured_samples=20)
    assert set(ranked["maps"][:1]) == set(found.maps)
    folder = client.post("/forget/save", json={**asked, "maps": [0]}).json()["folder"]
    assert "layer 2" in load(folder).card.weaknesses[-1]


def test_forgetting_is_the_librarys(client: Any, seeing_model: DCGAN, tiny_segmenter: Segmenter) -> None:
    asked = {"object": "window", "ranking": "difference"}
    ranked = finished(client, "POST", "/forget/rank", json=asked)
    layer = choose_layer(seeing_model, None)
    assert sorted(ranked["maps"]) == list(range(layer.channels))
    body = {"maps": ranked["maps"][:3], "strokes": [], "page": 2, "count": 4, "seen": True}
    said, pixels = unpack(client.post("/forget/draw", json=body).content)
    start = untouched(seeing_model, layer, seeing_model.latents(4, 1002), tiny_segmenter)
    found = preview(seeing_model, Ablation(layer, tuple(ranked["maps"][:3])), [], start, tiny_segmenter)
    assert np.array_equal(pixels[4:8, ..., :3], found.after)
    assert np.array_equal(pixels[12:16, ..., 0], found.seen_after)
    assert said["objects"][0]["removed"] == found.objects[0].removed
    hurried, unread = unpack(client.post("/forget/draw", json={**body, "seen": False}).content)
    assert hurried["objects"] == []
    assert np.array_equal(unread, pixels[:8])
    stroke = {"sample": 1, "kind": "insert", "object": "window", "maps": ranked["maps"][:2], "places": [0, 1]}
    _, painted = unpack(client.post("/forget/draw", json={**body, "strokes": [stroke]}).content)
    assert np.array_equal(painted[4], pixels[4])
    assert not np.array_equal(painted[5], pixels[5])
    measured = finished(client, "POST", "/forget/measure", json={**asked, "maps": ranked["maps"][:3]})
    assert [e["choice"] for e in measured["effects"]] == ["these maps", "as many random maps", "pixels dimmed alike"]


@pytest.mark.slow
def test_the_command_that_the_page_names_zeroes_the_maps_that_it_shows(client: Any, seeing_model: DCGAN) -> None:
    ranked = finished(client, "POST", "/forget/rank", json={"object": "window", "ranking": "regression"})
    found = forget(seeing_model, "window", top=3, samples=2, measured_samples=20)
    assert ranked["maps"] == np.argsort(-found.scores[0], kind="stable").tolist()
    assert set(ranked["maps"][:3]) == set(found.maps)


def test_models_are_saved_under_names_that_the_server_chooses(client: Any, tmp_path: Path) -> None:
    asked = {"object": "window", "ranking": "difference", "maps": [1], "folder": "/tmp/elsewhere", "name": "../x"}
    folders = [client.post("/forget/save", json=asked).json()["folder"] for _ in range(2)]
    assert [Path(folder).parent for folder in folders] == [tmp_path / "models"] * 2
    assert folders[0] != folders[1]
    assert "Edited: 1 map" in load(folders[1]).card.weaknesses[-1]


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("/draw", {"points": []}, "no points"),
        ("/draw", {"points": [{"seed": 0, "number": 0}] * 65}, "at most 64"),
        ("/draw", {"points": [{"seed": "../etc", "number": 0}]}, "whole number"),
        ("/forget/rank", {"object": "../window", "ranking": "iou"}, "object should be one of window, bed"),
        ("/forget/rank", {"object": "bed", "ranking": "x"}, "ranking should be one of"),
        ("/forget/draw", {"maps": [10**6], "strokes": [], "page": 0, "count": 1}, "there is no 1000000"),
        ("/forget/draw", {"maps": [], "strokes": [5], "page": 0, "count": 1}, "that is not a stroke"),
        ("/forget/draw", {"maps": [], "strokes": [], "page": 0, "count": 1, "seen": 1}, "seen should be true or false"),
        ("/forget/draw", {"maps": [], "strokes": [], "page": -1, "count": 1}, "page should be a whole number"),
        (
            "/forget/draw",
            {"maps": [], "strokes": [], "page": 0, "count": 9},
            "count should be a whole number from 1 to 8",
        ),
        ("/forget/save", {"object": "bed", "ranking": "iou", "maps": []}, "no map is zeroed"),
    ],
)
def test_requests_out_of_bounds_are_sentences(client: Any, path: str, body: Any, sentence: str) -> None:
    refused = client.post(path, json=body)
    assert refused.status_code == 400
    assert sentence in refused.json()["problem"]
    for other in ([], None, 5, "x"):
        assert client.post(path, json=other).status_code == 400


def test_a_page_that_others_reach_asks_for_its_token(seeing_model: DCGAN) -> None:
    app = studio_app(seeing_model, "x", token="t" * 43)
    client = testclient.TestClient(app, base_url="http://192.168.0.7:8765", follow_redirects=False)
    assert client.get("/about").status_code == 403
    assert client.get("/?token=wrong").status_code == 403
    welcome = client.get(f"/?token={'t' * 43}")
    assert (welcome.status_code, welcome.headers["location"]) == (303, "/")
    assert f"{COOKIE}=" in welcome.headers["set-cookie"]
    assert client.get("/about").status_code == 200
    assert client.post("/draw", json={"points": []}, headers={"origin": "http://evil.example"}).status_code == 403


def test_what_is_not_there_is_a_sentence(client: Any) -> None:
    assert client.get("/units/generator/9").status_code == 404
    assert client.get("/units/elsewhere/1").status_code == 404
    assert "--object window --blind trials/window" in client.get("/blind/").json()["problem"]
    for path in ("/../studio.py", "/studio.py", "/units/generator/1/../x.png", "/annotate/../../x"):
        assert client.get(path).status_code in (400, 404)


def test_opening_the_page_of_concepts_does_not_hide_those_of_the_model(seeing_model: DCGAN, tmp_path: Path) -> None:
    beside = seeing_model.folder / CONCEPTS_FILE
    own = open_concepts(seeing_model, beside, method="by hand")
    save_concepts(replace(own, exemplars={"smiling": (1, 2, 3)}), beside)
    (tmp_path / "work").mkdir()
    client = testclient.TestClient(
        studio_app(seeing_model, "x", folder=tmp_path / "work"), base_url="http://127.0.0.1:8765"
    )
    assert client.get("/about").json()["concepts"]["smiling"][1] == [1, 2, 3]
    assert client.get("/concepts/").status_code == 200
    assert (tmp_path / "work" / CONCEPTS_FILE).exists()
    assert client.get("/about").json()["concepts"]["smiling"][1] == [1, 2, 3]


@pytest.fixture
def page(browser: Any, at_once: Any, app: Any) -> Iterator[Any]:
    address = at_once(app)
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "request", lambda request: page.problems.append(request.url) if not request.url.startswith(address) else None
    )
    page.address = address
    yield page
    page.problems = [p for p in page.problems if not p.startswith("blob:")]
    assert page.problems == []


def until(page: Any, expression: str) -> None:
    """Waits; the page itself forbids the evaluation of strings in it."""
    for _ in range(900):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{expression} stays false; {page.locator('#problem').text_content()}")


def pixels_of(page: Any, selector: str) -> list[int]:
    return page.evaluate(
        """s => {
            const canvas = document.querySelector(s);
            return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data];
        }""",
        selector,
    )


def drawn(page: Any, selector: str, expected: Callable[[list[int]], bool]) -> list[int]:
    """The pixels of a canvas, as soon as they are as expected and no longer change."""
    before = None
    for _ in range(300):
        pixels = pixels_of(page, selector)
        if pixels == before and expected(pixels):
            return pixels
        before = pixels
        page.wait_for_timeout(300)
    raise AssertionError(f"{selector} stays as it is")


@pytest.mark.slow
def test_samples_are_held_walked_and_moved(page: Any, seeing_model: DCGAN) -> None:
    page.goto(page.address)
    tiles = page.locator(".wall button")
    tiles.nth(30).wait_for()
    tiles.nth(2).click()
    page.get_by_text("sample 0:2 (seed:number)").wait_for()
    until(page, "location.hash.includes('hold=0%3A2')")
    expected = to_pixels(seeing_model.sample(8, 0))
    until(page, "window.frameTimes?.length > 1")
    held = pixels_of(page, ".panel canvas")
    assert np.array_equal(np.array(held).reshape(16, 16, 4)[..., :3], expected[2])
    # The keyboard alone: the wall is one stop for Tab, however many samples there are, and arrows move in it.
    assert page.locator('.wall button[tabindex="0"]').count() == 1
    page.get_by_role("button", name="script").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "sample 0:2"
    for key in ("End", "ArrowRight", "Home", *4 * ("ArrowRight",)):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "sample 0:4"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "sample 0:4"
    # Shift and enter on two samples make the ends of a walk.
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+Enter")
    page.get_by_text("from 0:4 to 0:5").wait_for()
    before = drawn(page, ".panel canvas", lambda pixels: pixels != held)
    page.locator("input[aria-label='direction 1']").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    until(page, "location.hash.includes('along=0.5')")
    drawn(page, ".panel canvas", lambda pixels: pixels != before)
    # The address holds all of it.
    address = page.url
    shown = pixels_of(page, ".panel canvas")
    page.goto("about:blank")
    page.goto(address)
    page.get_by_text("from 0:4 to 0:5").wait_for()
    # Its first frame may be drawn before the directions are there.
    drawn(page, ".panel canvas", lambda pixels: pixels == shown)
    # It has no end.
    count = tiles.count()
    page.mouse.wheel(0, 20_000)
    until(page, f"document.querySelectorAll('.wall button').length > {count}")
    with page.expect_download() as download:
        page.get_by_role("button", name="script").click()
    assert "load(" in Path(download.value.path()).read_text()


def test_an_object_is_forgotten_painted_undone_and_saved(page: Any, tmp_path: Path) -> None:
    page.goto(f"{page.address}#/forget?object=window&ranking=difference")
    page.get_by_text("maps with a positive weight").wait_for()
    until(page, "window.frameTimes?.length > 0")
    before = pixels_of(page, "figure canvas.picture")
    page.locator("input[aria-label='maps']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.get_by_text("--rank-by difference --top 2").wait_for()
    until(page, "location.hash.includes('maps=2')")
    zeroed = drawn(page, "figure canvas.picture", lambda pixels: pixels != before)
    page.get_by_role("button", name="insert where I paint").click()
    frame = page.locator("figure canvas.over").first.bounding_box()
    page.mouse.move(frame["x"] + 5, frame["y"] + 5)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + 9, steps=3)
    page.mouse.up()
    drawn(page, "figure canvas.picture", lambda pixels: pixels != zeroed)
    page.keyboard.press("Control+z")
    drawn(page, "figure canvas.picture", lambda pixels: pixels == zeroed)
    page.get_by_role("button", name="save as a model").click()
    page.get_by_text("saved: dcgan-viz sample --model").wait_for()
    assert [f.name for f in (tmp_path / "models").iterdir()] == ["tiny-without-window"]
    page.get_by_role("button", name="measure on new samples").click()
    page.get_by_text("as many random maps").wait_for()


def test_units_are_sorted_searched_and_zeroed(page: Any, tmp_path: Path) -> None:
    page.goto(f"{page.address}#/units?side=generator&layer=1")
    page.locator("tbody tr").first.wait_for()
    gains = [float(text.replace("−", "-")) for text in page.locator("tbody tr td:nth-child(7)").all_inner_texts()]
    assert gains == sorted(gains, reverse=True)
    page.get_by_role("button", name="map", exact=True).click()
    assert page.locator("tbody tr td:nth-child(1)").all_inner_texts() == [f" {m}" for m in range(8)]
    page.get_by_label("search").fill("5")
    assert page.locator("tbody tr").count() == 1
    page.get_by_label("zero map 5").check()
    page.get_by_text("--zero-maps 1:5").wait_for()
    page.get_by_text("1 map zeroed").wait_for()
    page.get_by_label("network").select_option("discriminator")
    page.get_by_role("button", name="zeroed: logit").wait_for()
    # What was made is kept.
    kept = sorted(f.name for f in (tmp_path / "home" / "units").glob("*/*"))
    assert kept == ["discriminator-1", "generator-1"]


def test_nothing_rounds_to_minus_nought(page: Any) -> None:
    page.goto(page.address)
    written = page.evaluate(
        "async () => { const { number } = await import('/tiles.js'); return [-0.3, -0.6, 0.4, null].map(v => number(v, 0)); }"
    )
    assert written == ["0", "−1", "0", "–"]


def test_what_a_mouse_and_a_keyboard_do_a_finger_can_do(page: Any) -> None:
    page.goto(page.address)
    tiles = page.locator(".wall button")
    tiles.nth(10).wait_for()
    tiles.nth(2).click()
    page.get_by_role("button", name="walk to…").click()
    page.get_by_text("from 0:2 to … click another sample").wait_for()
    tiles.nth(7).click()
    page.get_by_text("from 0:2 to 0:7").wait_for()
    page.goto(f"{page.address}#/arithmetic")
    tiles.nth(10).wait_for()
    tiles.nth(5).click()
    page.get_by_label("put the sample that is chosen into C").click()
    until(page, "location.hash.includes('C=0%3A5')")
    page.get_by_label("take sample 0:5 out of C").wait_for()


def test_without_a_segmenter_the_views_say_so(browser: Any, at_once: Any, make_model: Any, tmp_path: Path) -> None:
    model = make_model(dcgan(16, width=4, latent_dim=8, top_layer=True))
    page = browser.new_page()
    address = at_once(studio_app(model, "tiny", folder=tmp_path))
    page.goto(f"{address}#/units")
    page.get_by_text("tiny has no segmenter").wait_for()
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("zeroed: grey levels")
    effects = [float(text.split("\n")[0]) for text in page.locator("tbody td:last-child").all_inner_texts()]
    assert effects == sorted(effects, reverse=True)


def test_a_generator_alone_has_the_views_that_need_no_discriminator(
    browser: Any, at_once: Any, make_model: Any, tmp_path: Path
) -> None:
    model = make_model(dcgan(16, width=4, latent_dim=8, top_layer=True))
    page = browser.new_page()
    address = at_once(studio_app(replace(model, discriminator=NoDiscriminator()), "alone", folder=tmp_path))
    page.goto(f"{address}#/units?side=discriminator")
    page.get_by_label("zero map 0").wait_for()
    assert page.get_by_label("network").locator("option").all_inner_texts() == ["generator"]
    page.goto(f"{address}#/samples")
    page.locator(".wall button").nth(10).wait_for()
    assert page.locator("#problem").is_hidden()


def test_what_cannot_be_drawn_is_said_as_long_as_it_is_shown(page: Any) -> None:
    page.goto(f"{page.address}#/samples?hold=0:99999999")
    page.locator(".wall button").nth(20).wait_for()
    # The pictures of the wall are drawn, and do not hide that the one that is held is not.
    page.get_by_role("alert").get_by_text("a whole number from 0 to 9,999").wait_for()
    page.locator(".wall button").first.click()
    page.get_by_text("sample 0:0").wait_for()
    page.get_by_role("alert").wait_for(state="hidden")
    page.problems.clear()


def test_keys_go_to_views_also_from_within_a_frame(page: Any) -> None:
    page.goto(f"{page.address}#/annotate")
    page.frame_locator("iframe").get_by_text("sample 1 of 150").wait_for()
    until(page, "document.activeElement.tagName === 'IFRAME'")
    page.keyboard.press("Alt+6")
    until(page, "location.hash === '#/concepts'")


def test_nothing_is_offered_that_would_do_nothing(page: Any) -> None:
    page.goto(f"{page.address}#/arithmetic")
    page.locator(".wall button").nth(10).wait_for()
    put, film = page.get_by_label("put the sample that is chosen into C"), page.get_by_role("button", name="film")
    assert put.is_disabled()
    assert film.is_disabled()
    page.locator(".wall button").first.click()
    put.click()
    page.get_by_label("take sample 0:0 out of C").wait_for()
    assert film.is_enabled()
    # More maps than the layer has, asked for before they are ranked.
    page.route("**/forget/rank", lambda route: route.fulfill(json={"waiting": True}))
    page.goto(f"{page.address}#/forget?object=window&maps=999")
    page.get_by_text("ranking the maps").wait_for()
    assert page.get_by_label("maps").input_value() == page.get_by_label("maps").get_attribute("max")
    until(page, f"location.hash.includes('maps={page.get_by_label('maps').get_attribute('max')}')")
    for name in ("measure on new samples", "save as a model"):
        assert page.get_by_role("button", name=name).is_disabled()


def test_samples_are_added_and_taken_away(page: Any, seeing_model: DCGAN) -> None:
    page.goto(f"{page.address}#/arithmetic")
    tiles = page.locator(".wall button")
    tiles.nth(10).wait_for()
    for number, key in ((1, "a"), (2, "b")):
        tiles.nth(number).focus()
        page.keyboard.press(key)
    tiles.nth(3).drag_to(page.locator(".bin").nth(2))
    page.get_by_text("mean of 1 − mean of 1 + mean of 1").wait_for()
    until(page, "location.hash.includes('C=0%3A3')")
    until(page, "window.frameTimes?.length > 0")
    z = seeing_model.latents(4, 0)
    expected = to_pixels(seeing_model.generate((z[3] + z[1] - z[2])[None]))[0]
    drawn = np.array(pixels_of(page, "canvas.big")).reshape(16, 16, 4)[..., :3]
    assert np.abs(drawn - expected.astype(int)).max() <= 1
    page.get_by_label("take sample 0:2 out of B").click()
    page.get_by_text("Put samples into C").wait_for()


def test_the_other_pages_are_in_the_frame_and_wrong_addresses_are_sentences(page: Any, tmp_path: Path) -> None:
    page.goto(f"{page.address}#/annotate")
    frame = page.frame_locator("iframe")
    frame.get_by_text("sample 1 of 150").wait_for()
    frame.locator("canvas").focus()
    frame.locator("canvas").press("b")
    frame.get_by_text("saved, 1 box in all").wait_for()
    assert (tmp_path / "window-boxes.json").exists()
    page.goto(f"{page.address}#/concepts")
    frame.get_by_text("sample 199").wait_for()
    page.goto(f"{page.address}#/nonsense")
    page.get_by_text("there is no view nonsense").wait_for()
    page.problems.clear()
    page.goto(f"{page.address}#/blind")
    page.get_by_text("make one with dcgan-viz forget --model").wait_for()
    page.problems.clear()


@pytest.mark.slow
def test_the_command_says_where_it_is(serving, interrupt, tiny_folder: Path, tmp_path: Path) -> None:
    with serving("studio", "--model", tiny_folder, "--folder", tmp_path) as served:
        assert f"open {served.address}" in served.said
        interrupt(served)
