from __future__ import annotations

import io

import numpy as np
import pytest

from dcgan_viz.figures.style import caption, new_figure, outline, show_picture, show_row


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


def test_what_a_caption_has_no_room_for_is_kept() -> None:
    figure = new_figure(3, 2)
    caption(figure, "What is seen.", "How it was done.")
    assert figure.get_supxlabel() == "What is seen."
    assert figure.said == "What is seen. How it was done."
