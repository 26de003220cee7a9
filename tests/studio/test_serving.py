"""What every local page does alike."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import socket
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette import testclient

from dcgan_viz.annotations.boxes import load_annotations
from dcgan_viz.annotations.concepts import load_concepts, open_concepts, save_concepts
from dcgan_viz.blind.answers import Answers, save_answers
from dcgan_viz.blind.trials import load_sheet, load_trial, prepare_trial, save_trial
from dcgan_viz.data.images import to_pixels
from dcgan_viz.model import DCGAN
from dcgan_viz.studio.annotate import annotation_app, open_annotations
from dcgan_viz.studio.blind import blind_app
from dcgan_viz.studio.concepts import concepts_app

SHARED = ("/history.js", "/saving.js", "/pages.css")
BOXES = (*SHARED, "/boxes.js")


class Page(NamedTuple):
    app: Any
    element: str
    files: list[str]
    pictures_at: str
    pictures: NDArray[np.uint8]


def annotate(model: DCGAN, folder: Path) -> Page:
    path = folder / "boxes.json"
    app = annotation_app(model, "window", open_annotations(model, "window", path, count=5, seed=3), path)
    return Page(app, "<canvas", ["/annotate.js", *BOXES], "/sample", to_pixels(model.sample(5, seed=3)))


def concepts(model: DCGAN, folder: Path) -> Page:
    path = folder / "concepts.json"
    save_concepts(open_concepts(model, path, count=5, seed=3, method="by eye"), path)
    app = concepts_app(model, load_concepts(path), path)
    return Page(
        app,
        "<main",
        ["/concepts.js", "/concepts.css", "/tiles.js", *SHARED],
        "/sample",
        to_pixels(model.sample(5, seed=3)),
    )


def blind(model: DCGAN, folder: Path) -> Page:
    drawn, edited = to_pixels(model.sample(6, seed=3)).reshape(2, 3, 16, 16, 3)
    trial = prepare_trial({"untouched": drawn, "edited": edited}, "Is there a window?", "yes-no", settings={}, seed=4)
    sheet, path = load_sheet(save_trial(trial, folder / "trial")), folder / "answers.json"
    save_answers(Answers(sheet.digest, "a tester"), path)
    return Page(
        blind_app(sheet, path), "<canvas", ["/blind.js", *BOXES], "/picture", load_trial(folder / "trial").pictures
    )


@pytest.fixture(params=[annotate, concepts, blind])
def page(request: pytest.FixtureRequest, tiny_model: DCGAN, tmp_path: Path) -> Page:
    return request.param(tiny_model, tmp_path)


@pytest.fixture
def client(page: Page):
    return testclient.TestClient(page.app, base_url="http://127.0.0.1:8765")


def test_the_page_loads_nothing_from_elsewhere(client, page: Page) -> None:
    unread, read = {"/"}, set()
    while unread:
        path = unread.pop()
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert "http" not in answer.text.replace("http.", "")
        ending = {".js": "text/javascript", ".css": "text/css"}.get(Path(path).suffix, "text/html")
        assert answer.headers["content-type"].startswith(ending)
        assert answer.headers["content-security-policy"].startswith("default-src 'self'; frame-ancestors 'self'")
        read.add(path)
        named = re.findall(r'(?:from|src=|href=) ?"(.*?)"', answer.text)
        # Relative, so that the page also works below a path.
        assert not any(name.startswith("/") for name in named)
        unread |= {f"/{name.removeprefix('./')}" for name in named} - read
    assert page.element in client.get("/").text
    assert read == {"/", *page.files}
    # All that is served is used.
    routes = {route.path for route in page.app.routes}
    assert {path for path in routes if path.endswith((".js", ".css"))} == {*page.files}


def test_pictures_are_those_of_the_model_or_the_trial(client, page: Page) -> None:
    for index, picture in enumerate(page.pictures):
        answer = client.get(f"{page.pictures_at}/{index}.png")
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), picture)
        # Another page may have this address tomorrow.
        assert answer.headers["cache-control"] == "no-store"
    assert client.get(f"{page.pictures_at}/{len(page.pictures)}.png").status_code == 404


def test_other_hosts_and_origins_are_not_answered(client, page: Page) -> None:
    own = {"host": "127.0.0.1:8765"}
    assert client.get("/state", headers=own).status_code == 200
    assert client.get("/state", headers={**own, "origin": "http://127.0.0.1:8765"}).status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "[::1]:8765", "0.0.0.0:8765"):
        assert client.get("/state", headers={"host": host}).status_code == 400
    foreign = (
        "http://evil.example",
        "null",
        "",
        "http://127.0.0.1:8766",
        "https://127.0.0.1:8765",
        "http://localhost:8765",
    )
    for origin in foreign:
        for method in ("GET", "PUT", "OPTIONS"):
            answer = client.request(method, "/state", headers={**own, "origin": origin})
            assert answer.status_code == 403, origin
            assert "access-control-allow-origin" not in answer.headers


# --- over a socket ------------------------------------------------------------------------------------------------


@pytest.fixture
def port(at_once, tiny_model: DCGAN, tmp_path: Path) -> int:
    """A server of all that pages have: pictures, and parts that are changed."""
    return int(at_once(annotate(tiny_model, tmp_path).app).rpartition(":")[2].strip("/"))


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def heard(connection: socket.socket) -> bytes:
    """All that comes until the other side ends, or falls silent."""
    said = b""
    try:
        while more := connection.recv(65536):
            said += more
    except OSError:
        pass
    return said


def status(said: bytes) -> int:
    """Of the first reply; 0 if there was none."""
    return int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/1.1 ") else 0


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
@pytest.mark.parametrize("head", [b"Content-Length: 2\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("target", [b"PUT /boxes/0", b"GET /state", b"POST /nowhere"])
def test_what_arrives_is_counted_and_not_what_was_announced(port: int, head: bytes, target: bytes) -> None:
    before = resident()
    with connect(port) as connection:
        connection.sendall(target + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head + b"\r\n\r\n")
        block, sent = b"%x\r\n%s\r\n" % (2**20, b" " * 2**20), 0
        with suppress(OSError):
            for _ in range(200):
                connection.sendall(block)
                sent += 1
        assert sent < 30, "megabytes were taken"
    assert resident() - before < 30 * 2**20


def test_a_body_that_is_too_long_is_refused_before_it_comes(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"PUT /boxes/0 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n")
        said = heard(connection)
    assert status(said) == 413
    assert b"connection: close" in said.lower()
    assert b"that is too much at once: at most 1,024 KiB" in said


def test_slow_connections_end_and_keep_nobody_out(
    at_once, tiny_model: DCGAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcgan_viz.studio.serving.SLOWEST_REQUEST", 2.0)
    port = int(at_once(annotate(tiny_model, tmp_path).app).rpartition(":")[2].strip("/"))
    get = b"GET /state HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    beginnings = (b"", b"GET /sta", get, b"PUT /boxes/0 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n[")
    slow = [connect(port) for _ in range(40) for _ in beginnings]
    for connection, beginning in zip(slow, itertools.cycle(beginnings), strict=False):
        connection.sendall(beginning)
    with connect(port) as quick:
        quick.sendall(get + b"Connection: close\r\n\r\n")
        assert status(heard(quick)) == 200
    # Every one is ended by the server: to wait for one that is not runs into the timeout of its socket.
    replies = [status(heard(connection)) for connection in slow]
    assert [*dict.fromkeys(replies)] == [0, 408]
    for connection in slow:
        connection.close()


HOSTILE_NUMBERS = (
    "9" * 400,
    "-" + "9" * 400,
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "1e-400",
    "0." + "0" * 400 + "1",
    "9" * 5000,
)
HOSTILE_VALUES = (
    *HOSTILE_NUMBERS,
    "null",
    "true",
    '""',
    '"\\ud800"',
    '"\\u0000"',
    "{}",
    "[]",
    "[" * 3000,
    "[[1,1,2,2]]",
    '{"length": 1}',
    '"' + "x" * 3000 + '"',
)
HOSTILE_PATHS = (
    "/",
    "/state",
    "//",
    "/boxes/0",
    "/boxes/-1",
    "/boxes/" + "9" * 400,
    "/boxes/" + "9" * 5000,
    "/answer/0",
    "/concepts",
    "/sample/0.png",
    "/sample/" + "0" * 5000 + ".png",
    "/sample/%00.png",
    "/sample/%d9%a3.png",
    "/sample/..%2f..%2fetc%2fpasswd",
    "/%ff%fe",
    "/%",
    "/boxes.js/../../annotate.py",
    "/state?" + "a=b&" * 3000,
    "/" + "a" * 20000,
    "http://evil.example/state",
    "*",
)
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "put", "G\x00T")
HOSTILE_HEADERS = (
    "Content-Length: 5",
    "Content-Length: -5",
    "Content-Length: " + "9" * 400,
    "Content-Length: 5, 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Expect: 100-continue",
    "Upgrade: websocket\r\nConnection: Upgrade",
    "Origin: http://evil.example",
    "Origin: \xff",
    "Host: evil.example",
    "Content-Type: text/\xff",
    "Cookie: " + "c" * 3000,
    "Range: bytes=0-0, 9-",
    "X: " + "y" * 70000,
)


def hostile_request(random: Random, known: dict[str, str]) -> bytes:
    """Half of them are well-formed changes but for one value; the others are anything."""
    if random.random() < 0.5:
        fields = {"document": f'"{known["document"]}"', "version": f'"{known["version"]}"', "content": "[[1,1,2,2]]"}
        box = [random.choice(["1", "2", *HOSTILE_VALUES]) for _ in range(random.choice([3, 4, 4, 4, 5]))]
        fields["content"] = random.choice([f"[[{','.join(box)}]]", *HOSTILE_VALUES])
        if random.random() < 0.3:
            fields[random.choice([*fields])] = random.choice(HOSTILE_VALUES)
        if random.random() < 0.1:
            del fields[random.choice([*fields])]
        body = "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"
        head = f"PUT /boxes/{random.randrange(6)} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}"
        return f"{head}\r\nConnection: close\r\n\r\n{body}".encode("latin-1")
    headers = random.sample(HOSTILE_HEADERS, random.randrange(3))
    if random.random() < 0.9:
        headers = ["Host: 127.0.0.1", *headers]
    head = (
        f"{random.choice(METHODS)} {random.choice(HOSTILE_PATHS)} {random.choice(['HTTP/1.1', 'HTTP/1.0', 'HTTP/9'])}"
    )
    lines = "\r\n".join([head, *headers, "Connection: close"])
    return f"{lines}\r\n\r\n{random.choice(['', '5', *HOSTILE_VALUES])}".encode("latin-1")


def test_no_request_is_an_internal_error(port: int, tmp_path: Path) -> None:
    random = Random(int(os.environ.get("DCGAN_VIZ_FUZZ_SEED", "0")))
    seen: Counter[int] = Counter()
    known: dict[str, str] = {}
    for _ in range(int(os.environ.get("DCGAN_VIZ_FUZZ_CASES", "250"))):
        if not known:
            state = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{port}/state").read())
            known = {"document": state["document"], "version": state["parts"][0]["version"]}
        request = hostile_request(random, known)
        with connect(port) as connection:
            with suppress(OSError):
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            found = status(heard(connection))
        assert found < 500, request[:300]
        seen[found] += 1
        if found == 200 and request.startswith(b"PUT"):
            known = {}
            load_annotations(tmp_path / "boxes.json")
    # It was not the first guard that refused them all.
    assert {200, 400, 403, 404, 405, 409} <= seen.keys()


def test_the_requests_that_were_internal_errors_are_refused(client, page: Page) -> None:
    state = client.get("/state").json()
    known = {"document": state["document"], "version": state["parts"][0]["version"]}
    address = (
        {"/sample": "/boxes/0", "/picture": "/answer/0"}[page.pictures_at] if "<main" != page.element else "/concepts"
    )
    big = "9" * 400
    for content in (f"[[{big}, 1, 2, 2]]", f'[["name", [{big}]]]', f"[[1, 1, {big}, -{big}]]", big, "9" * 5000):
        body = json.dumps({**known, "content": "here"}).replace('"here"', content)
        assert client.put(address, content=body).status_code == 400
    for path in (f"{page.pictures_at}/{'9' * 5000}.png", f"/boxes/{'9' * 5000}", f"/answer/{'9' * 5000}"):
        assert client.get(path).status_code in (404, 405)
        assert client.put(path, content="[]").status_code in (404, 405)
