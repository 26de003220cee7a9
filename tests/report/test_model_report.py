from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.report import model_report as module
from dcgan_viz.report.analyses import ANALYSES, Subject
from dcgan_viz.report.estimates import estimates_of
from dcgan_viz.report.model_report import model_report
from dcgan_viz.statistics import Estimate

NAMES = [analysis.name for analysis in ANALYSES]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two analyses, one that fails, and one that does not fit."""

    def fail(subject: Subject) -> None:
        raise UserError("the walk <b>ends</b> here")

    kept = [a for a in ANALYSES if a.name in ("guided-backprop", "directions", "arithmetic")]
    failing = replace(next(a for a in ANALYSES if a.name == "walk"), run=fail)
    monkeypatch.setattr(module, "ANALYSES", [*kept, failing])


@pytest.mark.usefixtures("few")
def test_a_report_needs_nothing_else_and_says_what_it_left_out(tiny_model: DCGAN) -> None:
    report = model_report([Subject(tiny_model, "runs/<mine>")], author="A. Student", command="dcgan-viz report x")
    page = report.page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "http" not in page
    assert "runs/&lt;mine&gt;" in page
    assert "<b>ends</b>" not in page
    assert "The walk &lt;b&gt;ends&lt;/b&gt; here." in page
    assert "A. Student" in page
    assert "dcgan-viz directions --model &#39;runs/&lt;mine&gt;&#39; --seed 0" in page
    assert report.chapters["arithmetic"][0]["left out"].startswith("no three concepts")
    assert set(report.chapters) == {"guided-backprop", "directions", "arithmetic", "walk"}
    for picture in re.findall(r"data:image/webp;base64,([^\"]+)", page):
        with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            image.load()
    # Numbers of the page are those of the JSON.
    found = report.chapters["directions"][0]["found"][0]["changes"][0]["distance"]
    assert f"{found['value']:.3g}" in page
    assert json.dumps(report.numbers())


@pytest.mark.usefixtures("few")
def test_two_models_stand_side_by_side(tiny_model: DCGAN) -> None:
    both = model_report([Subject(tiny_model, "one"), Subject(tiny_model, "other", seed=0)])
    assert [len(parts) for parts in both.chapters.values()] == [2] * 4
    alone = model_report([Subject(tiny_model, "one")])
    assert alone.chapters["directions"][0] == both.chapters["directions"][0]
    assert both.page.count("<h3>other</h3>") == 3


@pytest.mark.usefixtures("few")
def test_what_is_too_large_is_refused(tiny_model: DCGAN, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAXIMUM_BYTES", 1000)
    with pytest.raises(UserError, match="and 10 are the most"):
        model_report([Subject(tiny_model, "one")])


@pytest.mark.usefixtures("few")
def test_the_command_writes_page_and_numbers(run, tiny_folder: Path) -> None:
    outcome = run("report", tiny_folder, "--fast", "--author", "me")
    assert outcome.exit_code == 0, outcome.output
    folder = Path("results/report")
    assert sorted(f.name for f in folder.iterdir()) == ["arrays.npz", "manifest.json", "report.html", "result.json"]
    numbers = json.loads((folder / "result.json").read_text())
    assert numbers["settings"]["command"].startswith(f"dcgan-viz report {tiny_folder}")
    assert "left out of a fast report" in numbers["chapters"]["directions"][0]["left out"]
    assert "1 analyses" in outcome.stdout


def test_every_estimate_of_a_result_has_a_name_of_its_own(tiny_model: DCGAN) -> None:
    from dcgan_viz.analysis.latent.directions import directions

    result = directions(tiny_model, count=2)
    rows = estimates_of(result)
    assert len({row.name for row in rows}) == len(rows) == 2 * 2 * 2 + 2
    assert all(isinstance(row.estimate, Estimate) for row in rows)
    assert rows[0].name == "found, principal 1, changes, pixels: distance"
    assert rows[0].estimate == result.found[0].changes[0].distance


def test_analyses_have_names_of_their_own() -> None:
    assert len(set(NAMES)) == len(NAMES)
