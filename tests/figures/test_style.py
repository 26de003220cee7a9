from __future__ import annotations

import numpy as np
import pytest

from dcgan_viz.figures.style import new_figure, show_row


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
