from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import uvicorn

from dcgan_viz.studio.serving import uvicorn_config


class Served(NamedTuple):
    """A command that serves a page."""

    address: str
    port: int
    said: str
    process: subprocess.Popen[str]


@pytest.fixture
def serving() -> Callable[..., AbstractContextManager[Served]]:
    """Runs the command line as a process of its own, up to the line in which it says its address."""

    @contextmanager
    def start(*arguments: object) -> Iterator[Served]:
        with subprocess.Popen(
            [sys.executable, "-m", "dcgan_viz.cli.main", *(str(a) for a in arguments), "--port", "0"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stderr is not None
                said = process.stderr.readline()
                address = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
                assert address is not None, said + process.stderr.read()
                yield Served(address[0], int(address[1]), said, process)
            finally:
                process.kill()

    return start


@pytest.fixture
def interrupt() -> Callable[[Served], str]:
    """Ends a command as Ctrl-C does, expects that it takes it well, returns what it wrote to standard output."""

    def end(served: Served) -> str:
        # It says its address just before the server starts and listens for Ctrl-C: a server that answers does.
        with suppress(HTTPError), urlopen(served.address, timeout=120):
            pass
        served.process.send_signal(signal.SIGINT)
        output, errors = served.process.communicate(timeout=120)
        assert served.process.returncode == 0, errors
        assert "Traceback" not in errors
        return output

    return end


@pytest.fixture
def keeps_to_this_machine(refused: Callable[..., str]) -> Callable[..., None]:
    """Expects that a command listens on the loopback alone, and that another command is refused its port."""

    def check(served: Served, *another: object) -> None:
        connections = Path("/proc/net/tcp").read_text().splitlines() if Path("/proc/net/tcp").exists() else []
        listening = [c.split()[1] for c in connections if c.split()[3] == "0A"]
        assert all(e.startswith("0100007F:") for e in listening if e.endswith(f":{served.port:04X}"))
        assert f"port {served.port} is taken" in refused(*another, "--port", served.port)

    return check


@pytest.fixture
def at_once() -> Iterator[Callable[..., Any]]:
    """Serves an application from a thread of this process, which is faster than a command: returns its address.

    ``stop(address)`` on what is returned ends one.
    """
    running: dict[str, tuple[uvicorn.Server, threading.Thread, socket.socket]] = {}

    def start(app: Any, port: int = 0) -> str:
        listener = socket.create_server(("127.0.0.1", port))
        server = uvicorn.Server(uvicorn_config(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        running[address] = (server, thread, listener)
        return address

    def stop(address: str) -> int:
        server, thread, listener = running.pop(address)
        server.should_exit = True
        thread.join(10)
        port = listener.getsockname()[1] if listener.fileno() >= 0 else int(address.rsplit(":", 1)[1].strip("/"))
        listener.close()
        return port

    start.stop = stop  # type: ignore[attr-defined]
    yield start
    for address in list(running):
        stop(address)


@pytest.fixture
def visit(browser: Any) -> Callable[[str, str], tuple[Any, Callable[..., None]]]:
    """Opens a page with a 16x16 picture: the page once it shows a text, and a way to drag, in pixels of the picture."""

    def show(address: str, text: str) -> tuple[Any, Callable[..., None]]:
        page = browser.new_page(viewport={"width": 900, "height": 1000})
        page.goto(address)
        page.get_by_text(text).wait_for()
        frame = page.locator("canvas").bounding_box()
        step = frame["width"] / 16
        assert 630 < frame["width"] < 650

        def drag(x0: float, y0: float, x1: float, y1: float) -> None:
            page.mouse.move(frame["x"] + x0 * step, frame["y"] + y0 * step)
            page.mouse.down()
            page.mouse.move(frame["x"] + x1 * step, frame["y"] + y1 * step, steps=4)
            page.mouse.up()

        return page, drag

    return show
