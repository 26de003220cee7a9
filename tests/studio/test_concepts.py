from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.data.concepts import load_concepts, open_concepts
from dcgan_viz.data.images import to_pixels
from dcgan_viz.model import DCGAN, load
from dcgan_viz.studio.concepts import concepts_app

testclient = pytest.importorskip("starlette.testclient")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "concepts.json"


@pytest.fixture
def client(tiny_model: DCGAN, path: Path):
    concepts = open_concepts(tiny_model, path, count=5, seed=3, contributor="a tester", method="by eye")
    return testclient.TestClient(concepts_app(tiny_model, concepts, path), base_url="http://127.0.0.1:8765")


def put(client, concepts: object, version: str | None = None):
    known = client.get("/state").json()["version"]
    return client.put("/concepts", content=json.dumps({"version": version or known, "concepts": concepts}))


def test_the_page_loads_nothing_from_elsewhere(client) -> None:
    page = client.get("/").text
    assert "<main" in page
    assert "http://" not in page
    assert "https://" not in page


def test_samples_are_those_of_the_model(client, tiny_model: DCGAN) -> None:
    pixels = to_pixels(tiny_model.sample(5, seed=3))
    for index in range(5):
        shown = np.asarray(Image.open(io.BytesIO(client.get(f"/sample/{index}.png").content)))
        assert np.array_equal(shown, pixels[index])
    assert client.get("/sample/5.png").status_code == 404


def test_every_change_is_saved_at_once_and_gone_on_with(client, tiny_model: DCGAN, path: Path) -> None:
    assert client.get("/state").json()["concepts"] == []
    answer = put(client, [["woman", [3, 1]], ["2", [0]]]).json()
    assert answer["concepts"] == [["woman", [3, 1]], ["2", [0]]]
    saved = load_concepts(path)
    assert saved.exemplars == {"woman": (3, 1), "2": (0,)}
    assert (saved.count, saved.seed, saved.contributor, saved.method) == (5, 3, "a tester", "by eye")
    put(client, [["red-haired woman", [3]]])
    assert load_concepts(path).exemplars == {"red-haired woman": (3,)}
    again = concepts_app(tiny_model, open_concepts(tiny_model, path, method="by eye", count=1), path)
    state = testclient.TestClient(again, base_url="http://localhost").get("/state").json()
    assert state["concepts"] == [["red-haired woman", [3]]]
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
        ([["", [1]]], "no name"),
        ([["woman", ["1"]]], "list of sample numbers"),
    ],
)
def test_wrong_concepts_change_nothing(client, path: Path, concepts: object, sentence: str) -> None:
    put(client, [["man", [2]]])
    before = path.read_bytes()
    answer = put(client, concepts)
    assert answer.status_code == 400
    assert sentence in answer.text
    assert path.read_bytes() == before
    assert client.put("/concepts", content=b"[" * 70_000).status_code == 400
    assert client.put("/concepts", content=b"[1").status_code == 400


def test_a_second_page_does_not_undo_the_first(client, path: Path) -> None:
    old = client.get("/state").json()["version"]
    assert put(client, [["man", [2]]]).status_code == 200
    late = put(client, [["woman", [1]]], old)
    assert late.status_code == 400
    assert "reload" in late.text
    assert load_concepts(path).exemplars == {"man": (2,)}


def test_other_hosts_are_not_answered(client) -> None:
    assert client.get("/state", headers={"host": "evil.example"}).status_code == 400


@pytest.fixture
def server(tiny_folder: Path) -> Iterator[tuple[str, Path, subprocess.Popen[str]]]:
    """The command, serving."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = f"concepts --model {tiny_folder} --count 12 --port {port} --contributor me"
    process = subprocess.Popen(
        [sys.executable, "-m", "dcgan_viz.cli.main", *line.split()],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert f"0 concepts so far; open http://127.0.0.1:{port}/" in process.stderr.readline()
    yield f"http://127.0.0.1:{port}/", tiny_folder / "concepts.json", process
    if process.poll() is None:
        process.kill()
        process.wait()


def test_the_command_ends_with_ctrl_c(server) -> None:
    _, path, process = server
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert f"concepts in {path}" in output


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_concepts_are_picked_in_a_browser(server, tiny_folder: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    address, path, _ = server
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 900, "height": 900})
        answers = []
        page.on("dialog", lambda dialog: (answers.append(dialog.message), dialog.accept("smiling woman")))
        page.goto(address)
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
        page.get_by_label("name of a new concept").fill("a + b")
        page.keyboard.press("Enter")
        page.get_by_text("not saved: the name 'a + b' holds a sign").wait_for()
        page.reload()
        picked("smiling woman", 4)
        page.get_by_label("only its samples").check()
        assert page.locator("#grid button:visible").count() == 4
        browser.close()
    assert answers == ["The new name"]
    concepts = load_concepts(path)
    concepts.check_belongs_to(load(tiny_folder))
    assert concepts.exemplars == {"smiling woman": (3, 1, 5, 2), "man": (0, 2)}
    assert (concepts.contributor, concepts.count, concepts.seed) == ("me", 12, 2015)
