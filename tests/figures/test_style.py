from __future__ import annotations

import io
from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from dcgan_viz.analysis.forgetting.ranking_registry import RANKINGS
from dcgan_viz.figures.latent.walks import MEASURE_STYLES
from dcgan_viz.figures.style import (
    CONTROL_COLOR,
    MATCHED_COLOR,
    PAPER_SIZE,
    PAPER_WIDTH,
    REFERENCE_COLOR,
    REST_COLOR,
    SUBJECT_COLOR,
    PlainFigure,
    caption,
    captions_apart,
    finish_axes,
    label_row,
    new_figure,
    outline,
    outline_row,
    show_picture,
    show_row,
)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_shows_every_picture_around_its_number(channels: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (4, 8, 8, channels), dtype=np.uint8)
    axes = new_figure(6, 2).add_subplot()
    show_row(axes, pictures)
    (image,) = axes.images
    pixels = np.asarray(image.get_array())
    left, right, bottom, top = image.get_extent()
    assert (left, right) == (-0.5, 3.5)
    # Pixels are square, as in the pictures.
    assert (right - left) / pixels.shape[1] == pytest.approx((top - bottom) / pixels.shape[0])
    for k, picture in enumerate(pictures):
        # The middle of the pixel in row 5, column 2, of a picture that fills 1 / 1.06 of the place around k.
        x = k + (2.5 / 8 - 0.5) / (pixels.shape[1] / 4 / pixels.shape[0])
        column = int((x + 0.5) / 4 * pixels.shape[1])
        shown = pixels[int(5.5 / 8 * pixels.shape[0]), column]
        assert np.array_equal(np.atleast_1d(shown), picture[5, 2])


@pytest.mark.parametrize("name", ["$x_1$", "costs $5", "_x", r"\\$\frac$", "$\\undefined{$"])
def test_names_are_shown_as_they_are(name: str) -> None:
    figure = new_figure(3, 2)
    axes = figure.add_subplot()
    axes.set_xticks([0, 1], [name, "other"])
    axes.set_yscale("log")
    axes.set_ylim(1, 1000)
    title = axes.set_title(name)
    caption(figure, f"Of {name}.")
    figure.savefig(io.BytesIO())
    assert not any(text.get_parse_math() for text in (title, axes.get_xticklabels()[0]) if "$" in name)
    # Powers of ten stay formulas.
    assert all(text.get_parse_math() for text in axes.get_yticklabels())


@pytest.mark.parametrize("width", [4, 11])
def test_a_figure_for_a_paper_can_be_read_there(width: float) -> None:
    with captions_apart():
        figure = new_figure(width, 4)
        first, second = figure.subplots(1, 2)
        first.plot([0, 1], label="a line")
        finish_axes(first)
        first.legend(fontsize=6)
        first.set_title("large", fontsize=20)
        show_picture(second, np.zeros((4, 4, 3), np.uint8), "a picture")
        label_row(second, "a row", 5)
        caption(figure, "What was done.")
    figure.savefig(io.BytesIO())
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert {"0.0", "a line", "a picture", "a row"} < {text.get_text() for text in texts}
    assert min(text.get_fontsize() for text in texts) * PAPER_WIDTH / width >= PAPER_SIZE * 0.99
    assert max(text.get_fontsize() for text in texts) == 20


def test_an_outline_runs_between_what_is_inside_and_what_is_not() -> None:
    mask = np.zeros((5, 6), bool)
    mask[0:2, 1:4] = True
    axes = new_figure(2, 2).add_subplot()
    show_picture(axes, np.zeros((5, 6, 3), np.uint8))
    outline(axes, mask)
    for collection in axes.collections:
        edges = {tuple(map(tuple, edge.vertices)) for edge in collection.get_paths()}
        # Around two rows of three pixels, the upper border of the picture among them.
        assert len(edges) == 2 * (2 + 3)
        assert {x for edge in edges for x, _ in edge} == {0.5, 1.5, 2.5, 3.5}
        assert {y for edge in edges for _, y in edge} == {-0.5, 0.5, 1.5}


def test_outlines_in_a_row_lie_where_the_pixels_of_its_pictures_lie() -> None:
    masks = np.zeros((3, 6, 8), bool)
    masks[0, 0:2, 1:4], masks[2, 3:6, 5:8] = True, True
    axes = new_figure(6, 2).add_subplot()
    show_row(axes, np.where(masks, 200, 10)[..., None].astype(np.uint8))
    outline_row(axes, masks)
    shown = np.asarray(axes.images[0].get_array())
    left, right, bottom, top = axes.images[0].get_extent()
    marked = [np.flatnonzero((shown == 200).any(axis)) for axis in (0, 1)]
    for collection in axes.collections:
        ends = np.concatenate([edge.vertices for edge in collection.get_paths()])
        columns = (ends[:, 0] - left) / (right - left) * shown.shape[1]
        rows = (top - ends[:, 1]) / (top - bottom) * shown.shape[0]
        assert len(collection.get_paths()) == 2 * (2 + 3) + 2 * (3 + 3)
        for found, there in zip((columns, rows), marked, strict=True):
            assert (found.min(), found.max()) == pytest.approx((there.min(), there.max() + 1))


def test_no_ticks_are_made_for_axes_that_are_not_shown() -> None:
    figure = new_figure(2, 2)
    axes = figure.add_subplot()
    show_picture(axes, np.zeros((5, 6, 3), np.uint8))
    figure.savefig(io.BytesIO())
    # Matplotlib makes one to be copied; six pixels have six or seven.
    assert len(axes.xaxis.majorTicks) <= 1


def test_what_a_caption_has_no_room_for_is_kept() -> None:
    figure = new_figure(3, 2)
    caption(figure, "What is seen.", "How it was done.")
    assert figure.get_supxlabel() == "What is seen."
    assert figure.said == "What is seen. How it was done."


# What long-, middle- and short-wave cones that are missing make of linear RGB (Machado et al. 2009).
DEFICIENCIES = {
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def lab(color: str, seen_by: list[list[float]]) -> np.ndarray:
    encoded = np.array([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = to_xyz @ (seen_by @ linear).clip(0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize(
    "colors",
    [
        [SUBJECT_COLOR, REFERENCE_COLOR, CONTROL_COLOR, MATCHED_COLOR, REST_COLOR],
        [ranking.color for ranking in RANKINGS.values()],
        [color for color, _ in MEASURE_STYLES],
    ],
)
def test_colours_of_a_figure_are_told_apart_by_the_colour_blind(colors: list[str], deficiency: str) -> None:
    # A difference of 2.3 is just noticeable, one of 20 is plain in a thin line.
    seen = [lab(color, DEFICIENCIES[deficiency]) for color in colors]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 20


def test_a_saved_figure_is_drawn_once_and_as_matplotlib_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def figure() -> PlainFigure:
        made = new_figure(3, 2)
        left, right = made.subplots(1, 2)
        left.plot([1, 20_000], label="costs $1 or $2")
        left.legend()
        right.imshow(np.eye(3))
        right.set_title("a $name$")
        caption(made, "what was done")
        return made

    expected, found = io.BytesIO(), io.BytesIO()
    Figure.savefig(figure(), expected, format="png")
    draws: list[object] = []
    monkeypatch.setattr(Figure, "draw", lambda *args, draw=Figure.draw: draws.append(args) or draw(*args))
    once = figure()
    once.savefig(found, format="png")
    assert found.getvalue() == expected.getvalue()
    assert len(draws) == 1
    assert once.get_layout_engine() is not None
