"""How long a frame of the studio takes, from a slider's move to the pixels, in headless Chromium.

python benchmarks/studio.py
python benchmarks/studio.py --models rooms --moves 50

Beside the times in the browser stands the processor time that the server spends on a frame, which a busy machine leaves as
it is.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from playwright.sync_api import Page, sync_playwright

from dcgan_viz import load
from dcgan_viz.studio.serving import uvicorn_config
from dcgan_viz.studio.studio import studio_app

VIEWS = {
    "Samples: a direction": ("samples", "direction 1", -4, 4),
    "Samples: a walk": ("samples?from=0:1&to=0:2", "along the walk", 0, 1),
    "Forget: 8 samples": ("forget?object=window", "maps", 1, 100),
    "Arithmetic": ("arithmetic?A=0:1,0:2,0:3&B=0:4,0:5,0:6&C=0:7,0:8,0:9", "A − B, times", 0, 1),
}
SETTLED = 1500
"""Milliseconds in which no picture is drawn before the sliders move."""


MOVE = """async ([label, low, high, moves]) => {
    const slider = document.querySelector(`input[aria-label="${label}"]`);
    window.frameTimes = [];
    for (let move = 1; move <= moves; move++) {
        slider.value = low + ((high - low) * move) / (moves + 1);
        slider.dispatchEvent(new Event("input"));
        while (window.frameTimes.length < move) await new Promise(go => setTimeout(go, 2));
    }
    return window.frameTimes;
}"""
"""One frame after the other, driven from within the page, so that this process does nothing but serve."""


FULL = """() => {
    const end = document.querySelector(".wall + .hint");
    return !end || end.getBoundingClientRect().top >= innerHeight + 300;
}"""
"""Whether the wall has all that is in sight; it is drawn by the same server."""


def settle(page: Page) -> None:
    """Wait until the wall and the first pictures are drawn."""
    drawn = None
    while not drawn or not page.evaluate(FULL) or drawn != page.evaluate("window.frameTimes.length"):
        drawn = page.evaluate("window.frameTimes?.length")
        page.wait_for_timeout(SETTLED)


def frames(page: Page, label: str, low: float, high: float, moves: int) -> tuple[list[float], float]:
    """The milliseconds of each frame, and the seconds of processor time of this process for all of them."""
    settle(page)
    # The first move along a direction, which is not to 0, waits for the directions.
    page.evaluate(MOVE, [label, low, high, 2])
    settle(page)
    before = time.process_time()
    return page.evaluate(MOVE, [label, low, high, moves]), time.process_time() - before


def measure(browser: Any, name: str, moves: int) -> None:
    """Print a line for each view of a model."""
    with tempfile.TemporaryDirectory() as folder:
        server = uvicorn.Server(uvicorn_config(studio_app(load(name), name, folder=Path(folder))))
        server.config.port = 0
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        for view, (address, label, low, high) in VIEWS.items():
            page = browser.new_page(viewport={"width": 1280, "height": 860})
            page.set_default_timeout(300_000)
            page.goto(f"http://127.0.0.1:{port}/#/{address}")
            times, processor = frames(page, label, low, high, moves)
            median, late = np.percentile(times, [50, 95])
            print(
                f"{name:10} {view:22} {len(times):4} frames  median {median:5.0f} ms  95th percentile {late:5.0f} ms  "
                f"processor {1000 * processor / len(times):5.0f} ms a frame"
            )
            page.close()
        server.should_exit = True
        thread.join(10)


def main() -> None:
    """Print one line for each view and model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["rooms", "bedrooms"])
    parser.add_argument("--moves", type=int, default=100)
    options = parser.parse_args()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name in options.models:
            measure(browser, name, options.moves)
        browser.close()


if __name__ == "__main__":
    main()
