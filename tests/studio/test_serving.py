"""What every local page does alike."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.annotations.concepts import open_concepts
from dcgan_viz.blind.answers import Answers, save_answers
from dcgan_viz.blind.trials import load_sheet, load_trial, prepare_trial, save_trial
from dcgan_viz.data.images import to_pixels
from dcgan_viz.model import DCGAN
from dcgan_viz.studio.annotate import annotation_app, open_annotations
from dcgan_viz.studio.blind import blind_app
from dcgan_viz.studio.concepts import concepts_app

testclient = pytest.importorskip("starlette.testclient")


class Page(NamedTuple):
    app: Any
    element: str
    scripts: list[str]
    pictures_at: str
    pictures: NDArray[np.uint8]


def annotate(model: DCGAN, folder: Path) -> Page:
    path = folder / "boxes.json"
    app = annotation_app(model, "window", open_annotations(model, "window", path, count=5, seed=3), path)
    return Page(app, "<canvas", ["/boxes.js"], "/sample", to_pixels(model.sample(5, seed=3)))


def concepts(model: DCGAN, folder: Path) -> Page:
    path = folder / "concepts.json"
    app = concepts_app(model, open_concepts(model, path, count=5, seed=3, method="by eye"), path)
    return Page(app, "<main", [], "/sample", to_pixels(model.sample(5, seed=3)))


def blind(model: DCGAN, folder: Path) -> Page:
    drawn, edited = to_pixels(model.sample(6, seed=3)).reshape(2, 3, 16, 16, 3)
    trial = prepare_trial({"untouched": drawn, "edited": edited}, "Is there a window?", "yes-no", settings={}, seed=4)
    sheet, path = load_sheet(save_trial(trial, folder / "trial")), folder / "answers.json"
    save_answers(Answers(sheet.digest, "a tester"), path)
    return Page(blind_app(sheet, path), "<canvas", ["/boxes.js"], "/picture", load_trial(folder / "trial").pictures)


@pytest.fixture(params=[annotate, concepts, blind])
def page(request: pytest.FixtureRequest, tiny_model: DCGAN, tmp_path: Path) -> Page:
    return request.param(tiny_model, tmp_path)


@pytest.fixture
def client(page: Page):
    return testclient.TestClient(page.app, base_url="http://127.0.0.1:8765")


def test_the_page_loads_nothing_from_elsewhere(client, page: Page) -> None:
    text = client.get("/").text
    assert page.element in text
    assert "http" not in text
    assert re.findall(r'from "(.*)"', text) == page.scripts
    for path in page.scripts:
        script = client.get(path)
        assert "http" not in script.text
        assert script.headers["content-type"].startswith("text/javascript")


def test_pictures_are_those_of_the_model_or_the_trial(client, page: Page) -> None:
    for index, picture in enumerate(page.pictures):
        answer = client.get(f"{page.pictures_at}/{index}.png")
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), picture)
        # Another page may have this address tomorrow.
        assert answer.headers["cache-control"] == "no-store"
    assert client.get(f"{page.pictures_at}/{len(page.pictures)}.png").status_code == 404


def test_other_hosts_are_not_answered(client) -> None:
    assert client.get("/state").status_code == 200
    assert client.get("/state", headers={"host": "evil.example"}).status_code == 400
