"""A report of a model: every analysis that fits it, as one HTML file that needs nothing else, and as JSON."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypedDict

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from PIL import Image, ImageChops, ImageOps

from dcgan_viz.data.images import to_pixels
from dcgan_viz.data.pixels import read_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.figures.style import DPI, captions_apart, for_column, with_minus
from dcgan_viz.media.pictures import tile
from dcgan_viz.report.analyses import ANALYSES, Analysis, Subject
from dcgan_viz.report.estimates import Row, estimates_of
from dcgan_viz.results import Result
from dcgan_viz.versions import versions

SHOWN_ROWS = 24
"""Numbers of a chapter that are printed; the JSON has all of them."""

SAMPLES = 48
MAXIMUM_BYTES = 10 * 10**6
QUALITY, MARGIN = 82, 8
"""Of the WebPs, and around a figure in pixels."""
AROUND = 1.5
"""Inches beside a figure in which something of it may stand."""


@dataclass(frozen=True)
class Picture:
    """A figure as it is put into the page.

    Parameters
    ----------
    data : str
        WebP as base64.
    width : int
        As it is meant to be seen, in CSS pixels.
    caption, details : str
        What is seen, and how it was made.
    """

    data: str
    width: int
    caption: str
    details: str = ""


@dataclass(frozen=True)
class Said:
    """A sentence of a result.

    Parameters
    ----------
    sentence : str
    items : tuple of str
        What it lists.
    """

    sentence: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chapter:
    """What an analysis found about one model, or why it was left out.

    Parameters
    ----------
    analysis : Analysis
    subject : str
        The model's name.
    missing : str
        Why it was left out; empty if it was not.
    pictures : tuple of Picture
        The figures.
    said : tuple of Said
    rows : tuple of Row
    command, less, answer : str
        As in `Found`.
    numbers : mapping
        All of the result, as it is saved by its own command.
    """

    analysis: Analysis
    subject: str
    missing: str = ""
    pictures: tuple[Picture, ...] = ()
    said: tuple[Said, ...] = ()
    rows: tuple[Row, ...] = ()
    command: str = ""
    less: str = ""
    answer: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)


class ReportSettings(TypedDict):
    """How a `ModelReport` was obtained."""

    models: list[str]
    fast: bool
    seed: int
    author: str
    command: str


@dataclass(frozen=True, kw_only=True)
class ModelReport(Result):
    """The chapters of one model or of two.

    Parameters
    ----------
    models : tuple of str
    chapters : dict of str to list
        For each analysis what was found about each model: its numbers, or why it was left out.
    page : str
        The HTML.
    """

    settings: ReportSettings
    models: tuple[str, ...]
    chapters: dict[str, list[dict[str, Any]]]
    page: str = field(repr=False, metadata={"saved": False})


def model_report(
    subjects: Sequence[Subject],
    *,
    author: str = "",
    command: str = "",
    say: Callable[[str], None] = lambda sentence: None,
) -> ModelReport:
    """Run every analysis that fits, and write it up.

    Parameters
    ----------
    subjects : sequence of Subject
        One model, or two that are shown side by side.
    author : str
        Who hands it in.
    command : str
        That made it.
    say : callable
        Receives the title of each chapter as it is begun.

    Returns
    -------
    ModelReport

    Raises
    ------
    UserError
        If the page is larger than 10 MB.
    """
    chapters = []
    for number, analysis in enumerate(ANALYSES, 1):
        of_both = []
        # Beside one another figures have half the page, in which wide ones could not be read.
        beside = sum(not analysis.misses(subject) for subject in subjects) > 1
        for subject in subjects:
            say(f"{number} of {len(ANALYSES)}, {subject.name}: {analysis.title}")
            of_both.append(_chapter(analysis, subject, beside))
        chapters.append(of_both)
    page = _page(subjects, chapters, author, command)
    if len(page.encode()) > MAXIMUM_BYTES:
        raise UserError(f"the report has {len(page.encode()) / 1e6:.1f} MB, and 10 are the most: report on one model")
    return ModelReport(
        settings={
            "models": [subject.name for subject in subjects],
            "fast": subjects[0].fast,
            "seed": subjects[0].seed,
            "author": author,
            "command": command,
        },
        models=tuple(subject.name for subject in subjects),
        chapters={
            of_both[0].analysis.name: [{"left out": c.missing} if c.missing else c.numbers for c in of_both]
            for of_both in chapters
        },
        page=page,
    )


def _chapter(analysis: Analysis, subject: Subject, beside: bool) -> Chapter:
    missing = analysis.misses(subject)
    if missing:
        return Chapter(analysis, subject.name, missing)
    try:
        with for_column() if beside else captions_apart():
            found = analysis.run(subject)
    except UserError as error:
        # What one analysis cannot do is no reason to lose the others.
        return Chapter(analysis, subject.name, str(error))
    return Chapter(
        analysis,
        subject.name,
        pictures=tuple(_encode(figure) for figure in found.figures),
        said=_said(found.result.sentences()),
        rows=estimates_of(found.result),
        command=found.command,
        less=found.less,
        answer=found.answer,
        numbers=found.result.numbers(),
    )


def _said(lines: str) -> tuple[Said, ...]:
    """What a result says of itself; a line that is set in belongs to the sentence before it."""
    said: list[Said] = []
    for line in lines.splitlines():
        if line.startswith("  ") and said:
            said[-1] = Said(said[-1].sentence, (*said[-1].items, with_minus(line.strip())))
        else:
            said.append(Said(_sentence(line)))
    return tuple(said)


def _sentence(line: str) -> str:
    """A line as a command prints it, as it stands in a text."""
    text = with_minus(line.strip())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ":")) else ".")


def _encode(figure: Figure) -> Picture:
    """A figure, cut to what is drawn: here, since matplotlib would draw it twice for that.

    Labels may stand out of the figure, so that what is around it is drawn too.
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=figure.dpi, bbox_inches=figure.bbox_inches.padded(AROUND))
    with Image.open(file) as image:
        pixels = image.convert("RGB")
    drawn = ImageChops.difference(pixels, Image.new("RGB", pixels.size, "white")).getbbox()
    shown = pixels if drawn is None else ImageOps.expand(pixels.crop(drawn), MARGIN, "white")
    said, details = (with_minus(getattr(figure, name, "")) for name in ("said", "details"))
    return Picture(_webp(shown), round(shown.width * 96 / DPI), said.removesuffix(details).strip(), details)


def _webp(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "webp", quality=QUALITY, method=4)
    return base64.b64encode(file.getvalue()).decode()


def _samples(subject: Subject) -> str:
    page = tile(to_pixels(subject.model.sample(SAMPLES, subject.seed)), 12)
    image = Image.fromarray(page[..., 0] if page.shape[-1] == 1 else page)
    file = io.BytesIO()
    image.save(file, "webp", lossless=True)
    return base64.b64encode(file.getvalue()).decode()


def _imported(subject: Subject) -> list[tuple[str, str]]:
    """Of a model that was imported how well its readings fit, as `dcgan-viz import` drew it beside the card."""
    folder = subject.model.folder
    if folder is None or "imported" not in subject.model.card.training:
        return []
    titles = {
        "fit-generator": "stored and computed deviations of the generator's maps",
        "fit-discriminator": "stored and computed deviations of the discriminator's maps",
        "candidates": "other readings of its weights",
    }
    files = {folder / f"{name}.png": title for name, title in titles.items()}
    return [
        (title, _webp(Image.fromarray(read_pixels(file, "RGB")))) for file, title in files.items() if file.is_file()
    ]


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    # With the zeros at its end: an interval from 0.72 to 0.743 would look measured in two ways.
    text = f"{value:#.3g}".removesuffix(".") if abs(value) < 1000 else f"{value:,.0f}"
    return text.replace("-", "−")


def _references(chapters: list[list[Chapter]]) -> list[str]:
    """What the chapters that were made are from, each work once."""
    made = [of_both[0].analysis for of_both in chapters if any(not c.missing for c in of_both)]
    return list(dict.fromkeys(reference for analysis in made for reference in analysis.references))


def _page(subjects: Sequence[Subject], chapters: list[list[Chapter]], author: str, command: str) -> str:
    environment = Environment(
        loader=PackageLoader("dcgan_viz.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, sentence=_sentence)
    return environment.get_template("report.html.j2").render(
        subjects=subjects,
        samples=[_samples(subject) for subject in subjects],
        imported=[_imported(subject) for subject in subjects],
        chapters=[of_both for of_both in chapters if any(not c.missing for c in of_both)],
        left_out=[of_both for of_both in chapters if all(c.missing for c in of_both)],
        references=_references(chapters),
        shown_rows=SHOWN_ROWS,
        author=author,
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        versions=versions(),
    )
