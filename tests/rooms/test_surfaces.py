from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dcgan_viz.rooms.scene import BACK, Look, Palette, Rectangle, Surface, compose
from dcgan_viz.rooms.surfaces import Place, bar_width, paint, pattern

RED, GREEN, BLUE, WHITE = (np.array(c, float) for c in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)))
STYLES = ("window", "painting", "board", "mirror", "screen")


def look(framed: float = 0.36, shapes: float = 0.3, lined: float = 0.0, seed: int = 0) -> Look:
    """Frame red, shapes green, field blue, lines white."""
    chance = tuple(np.random.default_rng(seed).random(8).tolist())
    return Look(Palette(RED, BLUE, BLUE, GREEN, WHITE), framed, shapes, lined, chance)


def painted(rectangle: Rectangle, rows: int = 120, columns: int = 120) -> np.ndarray:
    b, a = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    picture = paint(rectangle, a.ravel().astype(np.float32), b.ravel().astype(np.float32))
    return picture.reshape(3, rows, columns)


@pytest.mark.parametrize("style", STYLES)
def test_frame_and_shapes_take_the_shares_they_were_given(style: str) -> None:
    # Then their mean colour tells nothing of what they are.
    shares = []
    for seed in range(40):
        picture = painted(Rectangle(BACK, (0, 1.4), (0.9, 2.0), "", style, look(seed=seed)), 60, 60)
        shares.append([(picture == color[:, None, None]).all(0).mean() for color in (RED, GREEN, BLUE)])
    frame, shapes, field = np.mean(shares, axis=0)
    assert 0.3 < frame < 0.42
    assert 0.1 < shapes < 0.32
    assert field > 0.3


@pytest.mark.parametrize(("upright", "level"), [(2, 2), (3, 4), (4, 5), (2, 1)])
def test_bars_of_that_width_cover_the_share(upright: int, level: int) -> None:
    place = Place(np.zeros(1), np.zeros(1), 1.4, 1.1)
    bar = bar_width(look(), place, upright, level)
    free = (1.4 - upright * bar) * (1.1 - level * bar)
    assert 1 - free / (1.4 * 1.1) == pytest.approx(0.36)


def test_every_window_has_bars_across_its_panes_and_nothing_else_has() -> None:
    for seed in range(30):
        for width in (0.8, 1.3, 1.8):
            window = painted(Rectangle(BACK, (0, width), (0.9, 2.0), "window", "window", look(seed=seed)))
            red = (window == RED[:, None, None]).all(0)
            # A line from edge to edge within the frame.
            inner = red[24:-12, 12:-12]
            assert inner.all(0).any() or inner.all(1).any()
            board = painted(Rectangle(BACK, (0, width), (0.9, 2.0), "panel", "board", look(seed=seed)))
            inner = (board == RED[:, None, None]).all(0)[30:-30, 30:-30]
            assert not inner.any()


def test_a_curtain_hides_a_part_of_a_whole_window() -> None:
    whole = Rectangle(BACK, (0.0, 2.0), (0.9, 2.0), "window", "window", look(seed=3))
    part = replace(whole, u=(0.5, 1.5), hidden=(0.5, 0.5))
    assert (painted(part, 60, 100) != painted(whole, 60, 200)[:, :, 50:150]).mean() < 0.01
    # Its frame left and right is out of sight.
    left = [(painted(window)[:, :, 0] == RED[:, None]).all(0) for window in (whole, part)]
    assert left[0].all()
    assert not left[1].all()


@pytest.mark.parametrize("kind", ["stripes", "lattice", "panelling", "dots", "plaster", "planks", "tiles"])
def test_patterns_are_slight(kind: str) -> None:
    u, v = np.meshgrid(np.linspace(0, 4, 80, dtype=np.float32), np.linspace(0, 2.5, 80, dtype=np.float32))
    factor = pattern(Surface(WHITE, kind, 0.4, 0.2), BACK, u.ravel(), v.ravel())
    assert factor is not None
    assert 0.5 < factor.min() < factor.max() <= 1.2
    assert factor.std() > 0.01


def test_patterns_and_times_of_day_all_occur() -> None:
    scenes = [compose(5, number) for number in range(200)]
    assert len({scene.wall.pattern for scene in scenes}) == 6
    assert len({scene.floor.pattern for scene in scenes}) == 3
    brightness = [r.look.palette.high.mean() for scene in scenes for r in scene.rectangles if r.style == "window"]
    assert min(brightness) < 0.06
    assert max(brightness) > 0.8
    # All windows of a room look out on one day.
    for scene in scenes:
        views = [r.look.palette for r in scene.rectangles if r.style == "window"]
        assert all(view is views[0] for view in views)
