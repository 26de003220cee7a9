from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.analysis.attribution.guided_backprop import GuidedBackprop, guided_backprop
from dcgan_viz.figures.attribution.atlas import atlas_figure
from dcgan_viz.figures.attribution.guided_backprop import crop
from dcgan_viz.model import DCGAN
from dcgan_viz.report.atlas import atlas_page


@pytest.fixture
def result(tiny_model: DCGAN) -> GuidedBackprop:
    return guided_backprop(tiny_model, tiny_model.sample(9), layer=2, maps=None, top=2, source="<samples>")


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]


def test_the_page_holds_every_map_and_loads_nothing(result: GuidedBackprop) -> None:
    page = atlas_page(result)
    parser = Links()
    parser.feed(page)
    assert len(parser.sources) == 2 * 8
    assert all(source.startswith("data:image/webp;base64,") for source in parser.sources)
    assert [int(m) for m in re.findall(r'<article data-map="(\d+)"', page)] == list(range(8))
    assert page.count('loading="lazy"') == 16
    assert "&lt;samples&gt;" in page
    assert "<samples>" not in page


def test_a_strip_shows_images_then_gradients_cropped_to_what_the_unit_sees(result: GuidedBackprop) -> None:
    source = re.findall(r'src="data:image/webp;base64,([^"]+)"', atlas_page(result))[0]
    strip = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))).convert("RGB")).astype(int)
    assert strip.shape == (64, 4 * 67 - 3, 3)
    # Every picture is cut to the same size, at the border too.
    assert {picture.shape for picture in cut(result)} == {(result.receptive_field, result.receptive_field, 3)}
    first = cut(result)[0]
    scale = 64 / max(first.shape[:2])
    height, width = (round(side * scale) for side in first.shape[:2])
    top, left = (64 - height) // 2, (64 - width) // 2
    assert strip[top : top + height, left : left + width].mean() == pytest.approx(first.mean(), abs=4)
    for margin in (strip[:top, :64], strip[:, :left]):
        assert margin.size == 0 or margin.mean() > 250


def cut(result: GuidedBackprop) -> list[np.ndarray]:
    pictures = result.pictures.reshape(-1, *result.pictures.shape[2:])
    return [
        picture[crop(response, result.receptive_field, len(picture))]
        for picture, response in zip(pictures, result.responses, strict=True)
    ]


def test_the_picture_names_every_map(result: GuidedBackprop) -> None:
    labels = [t.get_text().split()[0] for t in atlas_figure(result).axes[0].texts]
    assert labels == [str(number) for number in range(8)]


@pytest.mark.parametrize(("fragment", "shown"), [("", "8 of 8 maps"), ("#2-3, 7", "3 of 8 maps")])
def test_maps_are_found_by_number_in_a_browser(
    result: GuidedBackprop, browser: Any, fragment: str, shown: str, tmp_path: Path
) -> None:
    file = tmp_path / "atlas.html"
    file.write_text(atlas_page(result))
    page = browser.new_page()
    page.goto(f"{file.as_uri()}{fragment.replace(' ', '%20')}")
    assert page.locator("output#shown").text_content() == shown


def test_captions_describe_what_is_shown(result: GuidedBackprop) -> None:
    alone = atlas_figure(result).said.replace("\n", " ")
    assert "of 9 <samples> the one that excites it most" in alone
    assert "right half" not in alone
    page = atlas_page(result)
    assert "the 2 of 9 &lt;samples&gt; that excite it most" in page
    assert "right half" not in page
