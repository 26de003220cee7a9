from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.analysis.attribution.sanity import RandomisedDepth, Similarity
from dcgan_viz.analysis.latent.arithmetic import Ahead
from dcgan_viz.data.images import ImageSet
from dcgan_viz.errors import UserError
from dcgan_viz.figures.style import label_row, new_figure, show_picture
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import DCGAN, load
from dcgan_viz.networks import dcgan
from dcgan_viz.networks.modules import NoDiscriminator
from dcgan_viz.report import analyses
from dcgan_viz.report import model_report as module
from dcgan_viz.report.analyses import ANALYSES, Analysis, Found, Subject
from dcgan_viz.report.estimates import estimates_of
from dcgan_viz.report.model_report import model_report
from dcgan_viz.results import Result
from dcgan_viz.statistics import Estimate

NAMES = [analysis.name for analysis in ANALYSES]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two analyses, one that fails, and one that does not fit."""

    monkeypatch.setattr(analyses, "EXCITING", 64)
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
    assert f"{found['value']:#.3g}".removesuffix(".") in page
    # What answers a question stands at the top too.
    assert page.index("The directions that are found change the picture by") < page.index('id="model"')
    assert json.dumps(report.numbers())
    assert "factorised: " in page  # what the command prints stands in the page too


def test_an_imported_model_shows_how_well_its_weights_fit(
    tiny_model: DCGAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANALYSES", [replace(analysis("walk"), run=fail)])
    Image.new("RGB", (60, 40), "red").save(tmp_path / "fit-generator.png")
    subject = Subject(replace(tiny_model, folder=tmp_path), "theirs")
    assert "How its weights were read" not in model_report([subject]).page
    card = replace(tiny_model.card, training={"imported": {"files": {"G.pth": "0"}}})
    page = model_report([replace(subject, model=replace(subject.model, card=card))]).page
    [picture] = re.findall(r'base64,([^"]+)" alt="stored and computed deviations of the generator', page)
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        assert image.size == (60, 40)


def test_what_stands_out_of_a_figure_is_in_its_picture() -> None:
    figure = new_figure(2, 1)
    axes = figure.add_subplot()
    show_picture(axes, np.zeros((4, 4, 3), np.uint8))
    narrow = module._encode(figure).width
    label_row(axes, "a label that is longer than the figure has room for", 12)
    assert module._encode(figure).width > narrow + 100


def test_two_models_stand_side_by_side(tiny_model: DCGAN, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANALYSES", [analysis("directions"), replace(analysis("walk"), run=fail)])
    both = model_report([Subject(tiny_model, "one"), Subject(tiny_model, "other", seed=0)])
    assert [len(parts) for parts in both.chapters.values()] == [2] * 2
    alone = model_report([Subject(tiny_model, "one")])
    assert alone.chapters["directions"][0] == both.chapters["directions"][0]
    assert both.page.count("<h3>other</h3>") == 2
    # Beside one another figures have half the page, and are drawn for it: higher than wide.
    sizes = [
        Image.open(io.BytesIO(base64.b64decode(re.findall(r'webp;base64,([^"]+)" width', report.page)[0]))).size
        for report in (both, alone)
    ]
    assert sizes[0][0] < sizes[0][1]
    assert sizes[1][0] > sizes[1][1]
    assert both.page.count("GANSpace") == 1


def test_what_one_of_two_models_lacks_does_not_leave_half_the_page_empty(
    tiny_model: DCGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misses(subject: Subject) -> str:
        return "nobody has looked" if subject.name == "one" else ""

    monkeypatch.setattr(module, "ANALYSES", [replace(analysis("directions"), misses=misses)])
    page = model_report([Subject(tiny_model, "one"), Subject(tiny_model, "other")]).page
    assert "<b>one</b> is left out: nobody has looked." in page
    assert page.count('class="both alone"') == 1
    assert (page.count("<h3>one</h3>"), page.count("<h3>other</h3>")) == (1, 2)


def test_of_a_generator_alone_is_written_what_needs_no_discriminator(
    tiny_model: DCGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANALYSES", [analysis("guided-backprop")])
    report = model_report([Subject(replace(tiny_model, discriminator=NoDiscriminator()), "alone")])
    assert "needs a discriminator" in report.chapters["guided-backprop"][0]["left out"]
    assert "<td>generator 1</td>" in report.page
    assert "<td>discriminator 1</td>" not in report.page


def fail(subject: Subject) -> Found:
    raise UserError("the walk <b>ends</b> here")


def test_each_analysis_is_announced_as_it_begins(tiny_model: DCGAN, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANALYSES", [replace(analysis(name), run=fail) for name in ("directions", "walk")])
    said: list[str] = []
    model_report([Subject(tiny_model, "one"), Subject(tiny_model, "other")], say=said.append)
    assert said == [
        "1 of 2, one: Which directions change much?",
        "1 of 2, other: Which directions change much?",
        "2 of 2, one: Does the picture jump on a walk?",
        "2 of 2, other: Does the picture jump on a walk?",
    ]


def test_a_fast_report_measures_on_few_samples_and_says_so(
    make_model: Callable[..., DCGAN], tiny_segmenter: Segmenter, tmp_path: Path
) -> None:
    folder = make_model(dcgan(16, width=4, latent_dim=8, top_layer=True)).save(tmp_path / "seeing", exact=True)
    tiny_segmenter.save(folder / "segmenter")
    found = analysis("forget").run(Subject(load(folder), "x", fast=True))
    counts = r"there are \d+ % \[.+\] (fewer|more) window pixels \(.+\) and \d+ % \[.+\] (fewer|more) \(.+\)$"
    assert re.search(counts, found.answer)
    assert found.less == "the segmenter measures on 200 new samples instead of 1,000"
    assert found.result.settings["measured_samples"] == 200
    assert {row.estimate.n for row in estimates_of(found.result) if row.name.startswith("chosen maps")} == {200}


def test_the_images_it_was_trained_on_are_drawn_for_their_chapter_alone(
    monkeypatch: pytest.MonkeyPatch, tiny_model: DCGAN
) -> None:
    rooms = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3), dtype=np.uint8)
    drawn: list[str] = []

    def draw(name: str) -> Callable[..., ImageSet]:
        return lambda *_: drawn.append(name) or ImageSet(rooms, tuple(f"{k}" for k in range(len(rooms))))

    monkeypatch.setattr(analyses, "has_training_images", lambda model: True)
    monkeypatch.setattr(analyses, "training_images", draw("training"))
    monkeypatch.setattr(analyses, "held_out_images", draw("held out"))
    subject = Subject(tiny_model, "x")
    assert analysis("memorization").misses(subject) == ""
    assert drawn == []
    monkeypatch.setattr(analyses, "count_training_images", lambda model: 640)
    monkeypatch.setattr(analyses, "FEWER_COMPARED", 100)
    found = analysis("memorization").run(subject)
    assert drawn == ["training", "held out"]
    assert found.less == (
        "100 samples instead of 2,000, and 64 of 640 training images: copies of the others are not found"
    )
    assert found.result.settings["training_images"] == 64
    assert len(found.figures) == 2  # distances, and the pictures themselves
    assert found.command == "dcgan-viz memorization --model x --seed 0"
    given = ImageSet(rooms, tuple(f"{k}" for k in range(len(rooms))))
    found = analysis("memorization").run(Subject(tiny_model, "x", training=given, training_named="my rooms/"))
    assert found.command == "dcgan-viz memorization --data 'my rooms/' --model x --seed 0"
    assert found.less == "100 samples instead of 2,000"
    monkeypatch.setattr(analyses, "MOST_TRAINING", 40)
    found = analysis("memorization").run(Subject(tiny_model, "x", training=given, training_named="my rooms/"))
    assert "and 40 of 64 training images" in found.less
    assert found.result.settings["training_images"] == 40


def analysis(name: str) -> Analysis:
    return next(a for a in ANALYSES if a.name == name)


def test_a_page_fits_a_telephone_and_repeats_nothing(
    browser: Any, tiny_model: DCGAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANALYSES", [analysis("guided-backprop"), replace(analysis("walk"), run=fail)])
    report = model_report([Subject(tiny_model, "a/rather/long/path/of/a/model", fast=True)])
    (tmp_path / "report.html").write_text(report.page)
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto(f"file://{tmp_path}/report.html")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    said = page.locator("figcaption").nth(1).inner_text()
    sentences = [sentence for sentence in re.split(r"(?<=[.:]) ", said) if len(sentence) > 20]
    assert len(set(sentences)) == len(sentences)
    page.locator("figure a.larger").first.click()
    assert page.locator("figure:target").bounding_box()["width"] == 360
    page.close()


@pytest.mark.slow
def test_how_far_samples_are_is_answered_with_numbers(tiny_model: DCGAN, few: None) -> None:
    rooms = np.random.default_rng(0).integers(0, 256, (600, 16, 16, 3), dtype=np.uint8)
    subject = Subject(tiny_model, "x", images=ImageSet(rooms, tuple(map(str, range(600)))), images_named="r", fast=True)
    found = analysis("quality").run(subject)
    assert f"{found.result.quality.kernel.value:.1f}" in found.answer
    assert found.answer.count("[") == 4


def test_what_is_too_large_is_refused(tiny_model: DCGAN, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANALYSES", [replace(analysis("walk"), run=fail)])
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
    assert "1 analysis of" in outcome.stdout
    assert "; 3 left out, and the page says why" in outcome.stdout


def test_every_estimate_of_a_result_has_a_name_of_its_own(tiny_model: DCGAN) -> None:
    from dcgan_viz.analysis.latent.directions import directions

    result = directions(tiny_model, count=2)
    rows = estimates_of(result)
    assert len({row.name for row in rows}) == len(rows) == 2 * 2 * 2 + 2
    assert all(isinstance(row.estimate, Estimate) for row in rows)
    assert rows[0].name == "principal 1, pixels: distance"
    assert rows[0].estimate == result.found[0].changes[0].distance


def test_numbers_are_named_by_what_they_are_of() -> None:
    estimate = Estimate(0.5, 0.4, 0.6, 9, "95 %")

    @dataclass(frozen=True, kw_only=True)
    class Compared(Result):
        ahead: tuple[Ahead, ...]
        depths: tuple[RandomisedDepth, ...]

    result = Compared(
        settings={},
        ahead=tuple(Ahead(name, estimate, 1, 2, 0.5) for name in ("on pixels", "neutral man alone")),
        depths=(RandomisedDepth("cascading", 4, (Similarity("spearman_absolute", estimate),)),),
    )
    assert [row.name for row in estimates_of(result)] == [
        "ahead, on pixels: difference",
        "ahead, neutral man alone: difference",
        "cascading 4, spearman absolute: mean",
    ]


def test_analyses_have_names_of_their_own() -> None:
    assert len(set(NAMES)) == len(NAMES)
