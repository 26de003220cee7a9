"""What rectangles and walls of a procedural bedroom look like.

Whatever hangs on a wall is a field whose colour runs from low to high, with shapes before it, lines, spots on the
shapes, and a frame around and across it; what it is decides only where these are. Its colours and, but for doors, the
shares that they take are settled beforehand (`dcgan_viz.rooms.scene.Look`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.rooms.scene import BACK, FLOOR, Look, Rectangle, Surface

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Parts:
    """Where what is: `field` runs from 0 (low) to 1 (high)."""

    field: Floats
    shapes: Mask
    lines: Mask
    frame: Mask


@dataclass(frozen=True)
class Place:
    """Places on a rectangle: a across and b up, from 0 to 1, and its size in metres."""

    a: Floats
    b: Floats
    width: float
    height: float


def paint(rectangle: Rectangle, a: Floats, b: Floats) -> Floats:
    """Colour (3, n) at places a across and b up a rectangle, both from 0 to 1; of sunlight, what it adds to 1."""
    width, height = rectangle.u[1] - rectangle.u[0], rectangle.v[1] - rectangle.v[0]
    look = rectangle.look
    if rectangle.style == "curtain":
        return _column(look.palette.high) * (0.8 + 0.25 * np.sin(a * np.float32(width * 35)))
    if rectangle.style == "rug":
        return _rug(look, Place(a, b, width, height))
    if rectangle.style == "sunlight":
        return _sunlight(look, a, b)
    left, right = rectangle.hidden
    if left or right:
        a = (a * width + left) / (width + left + right)
    place = Place(a, b, width + left + right, height)
    parts = _FORMS[rectangle.style](look, place)
    palette = look.palette
    lines = parts.lines
    if palette.speckled:
        lines = lines | (parts.shapes & _spots(look, place))
    color = _column(palette.low) + _column(palette.high - palette.low) * parts.field
    for mask, over in ((parts.shapes, palette.shape), (lines, palette.line), (parts.frame, palette.frame)):
        color = np.where(mask, _column(over), color)
    return color


def _column(color: NDArray[np.float64]) -> NDArray[np.float32]:
    return color.astype(np.float32)[:, None]


def _spots(look: Look, place: Place) -> Mask:
    """Lit windows of houses by night, flowers, dots: a third of small cells, at random."""
    row = np.floor(place.b * np.float32(place.height / 0.13))
    column = np.floor(place.a * np.float32(place.width / 0.13))
    return _hash(row * 5.3 + column, 20 + look.chance[7] * 10) > 0.66


def _hash(cell: Floats, seed: float) -> Floats:
    """A number from 0 to 1 for each cell that looks like chance."""
    value = np.sin(cell * np.float32(12.9898) + np.float32(seed)) * np.float32(43.7585)
    return value - np.floor(value)


def bar_width(look: Look, place: Place, upright: int, level: int) -> float:
    """So many bars upright and level of this width cover the share of the rectangle that is framed."""
    p, q, w, h = upright, level, place.width, place.height
    both = w * q + h * p
    return (both - math.sqrt(both**2 - 4 * p * q * look.framed * w * h)) / (2 * p * q)


def _border(look: Look, place: Place) -> tuple[Mask, Floats, Floats]:
    """A frame around everything, and places within it from 0 to 1."""
    bar = bar_width(look, place, 2, 2)
    across, up = bar / place.width, bar / place.height
    a, b = (place.a - across) / (1 - 2 * across), (place.b - up) / (1 - 2 * up)
    return (a < 0) | (a > 1) | (b < 0) | (b > 1), a, b


def _window(look: Look, place: Place) -> _Parts:
    """Panes between bars over a sill, and behind them a sky over hills, houses or trees; perhaps a blind, half down."""
    columns = 3 if place.width > 1.5 and look.chance[0] < 0.5 else 1 if place.width < 0.9 else 2
    rows = 3 if place.height > 1.6 else 1 if columns > 1 and look.chance[1] < 0.2 else 2
    bar = bar_width(look, place, columns + 1, rows + 2)
    x, y = place.a * place.width, place.b * place.height
    across, up = (place.width - bar) / columns, (place.height - 2 * bar) / rows
    # Each pane has a bar to its right and above; the leftmost bar and the sill, twice as high, are left over.
    frame = (x < bar) | ((x - bar) % across > across - bar) | (y < 2 * bar) | ((y - 2 * bar) % up > up - bar)
    slats = (place.b > 1 - look.lined) & (y % 0.2 < 0.1)
    return _Parts(place.b, _view(look, place), slats, frame & ~slats)


def _view(look: Look, place: Place) -> Mask:
    a, b = place.a, place.b
    # What the sill hides does not count.
    level = 0.12 + look.shapes
    turn = np.float32(look.chance[2] * 6)
    kind = look.chance[3]
    if kind < 0.35:
        line = level * (1 + 0.25 * np.sin(a * 4 + turn) + 0.1 * np.sin(a * 11 + turn))
    elif kind < 0.7:
        line = level * (0.6 + 0.8 * _hash(np.floor(a * (3 + 2 * look.chance[4])), float(turn)))
    else:
        line = level * (0.75 + 0.5 * np.abs(np.sin(a * (5 + 3 * look.chance[4]) + turn)))
    return b < line


def _painting(look: Look, place: Place) -> _Parts:
    """A framed picture: blobs, a head, a landscape or halves of a plane; perhaps a poster's writing below."""
    frame, a, b = _border(look, place)
    one, two, kind = look.chance[2], look.chance[4], look.chance[3]
    if kind < 0.35:
        shapes = np.sin(a * (5 + 4 * one) + 6 * two) * np.cos(b * (5 + 3 * two) + 6 * one) > 0.55 - look.shapes
    elif kind < 0.6:
        reach = 2 * look.shapes / math.pi
        head = ((a - 0.5) ** 2 + (b - 0.62) ** 2) * place.width / place.height < reach * 0.35
        shapes = head | ((a - 0.5) ** 2 * 2 + b**2 < reach * 0.7)
    elif kind < 0.75:
        shapes = _view(look, Place(a, b, place.width, place.height))
    else:
        slope = 2 * one - 1
        shapes = b + slope * (a - 0.5) < look.shapes
    return _Parts(b, shapes, (b < look.lined) & (b % 0.2 < 0.1) & (np.abs(a - 0.5) < 0.46), frame)


def _board(look: Look, place: Place) -> _Parts:
    """A white board or one of any colour, with writing and sheets."""
    frame, a, b = _border(look, place)
    # Two sheets that stand beside each other at other heights: panes do not.
    one, two, reach = look.chance[2], look.chance[3], math.sqrt(look.shapes / 2) / 2
    shapes = (np.abs(a - 0.28) < reach * 0.9) & (np.abs(b - 0.3 - 0.4 * one) < reach)
    shapes |= (np.abs(a - 0.74) < reach * 0.8) & (np.abs(b - 0.7 + 0.4 * two) < reach * 1.1)
    words = _hash(np.floor(a * 6) + np.floor(b * 5) * 7.7, 9 * look.chance[3]) < 0.7
    return _Parts(b, shapes, (b > 1 - look.lined) & (b % 0.2 < 0.1) & words & ~shapes, frame)


def _mirror(look: Look, place: Place) -> _Parts:
    """Slanted reflections, round corners in some."""
    frame, a, b = _border(look, place)
    slant = a + (b - 0.5) * (0.5 + look.chance[2]) + look.chance[3]
    shapes = slant % 0.9 < 0.9 * look.shapes
    lines = (slant + 0.35) % 0.9 < 0.45 * look.lined
    if look.chance[4] < 0.4:
        frame = (2 * a - 1) ** 2 + (2 * b - 1) ** 2 > 1.6
    return _Parts((slant * 0.7) % 1, shapes, lines, frame)


def _screen(look: Look, place: Place) -> _Parts:
    """A television or monitor: a broad lower edge, a bar of pictures and lines of writing beside it."""
    bar = bar_width(look, place, 2, 3)
    across, up = bar / place.width, bar / place.height
    a, b = (place.a - across) / (1 - 2 * across), (place.b - 2 * up) / (1 - 3 * up)
    frame = (a < 0) | (a > 1) | (b < 0) | (b > 1)
    side = a < look.shapes if look.chance[2] < 0.5 else b < look.shapes
    return _Parts(b, side, (b > 1 - look.lined) & (b % 0.2 < 0.1) & (a < 0.3 + 0.7 * look.chance[3]), frame)


def _door(look: Look, place: Place) -> _Parts:
    """A casing, a leaf with two panels or louvres, a knob."""
    bar = bar_width(look, place, 2, 1)
    across, up = bar / place.width, bar / place.height
    a, b = (place.a - across) / (1 - 2 * across), place.b / (1 - up)
    frame = (a < 0) | (a > 1) | (b > 1)
    reach = 0.25 + 0.4 * look.shapes
    shapes = (np.abs(a - 0.5) < reach) & ((np.abs(b - 0.73) < reach / 2) | (np.abs(b - 0.27) < reach / 2))
    louvres = (b > 1 - look.lined) & (b % 0.1 < 0.05)
    return _Parts(place.b, shapes, louvres | _knob(a, b), frame)


def _glazed_door(look: Look, place: Place) -> _Parts:
    """A leaf with small panes above, closed below."""
    bar = bar_width(look, place, 2, 1) * 0.7
    across, up = bar / place.width, bar / place.height
    a, b = (place.a - across) / (1 - 2 * across), place.b / (1 - up)
    panes = (a > 0.18) & (a < 0.82) & (b > 0.45) & (b < 0.92)
    lattice = (np.abs((a - 0.18) % 0.32 - 0.16) > 0.12) | (np.abs((b - 0.45) % 0.235 - 0.1175) > 0.09)
    lower = (np.abs(a - 0.5) < 0.32) & (np.abs(b - 0.22) < 0.14)
    return _Parts(place.b, lower, _knob(a, b), ~(panes & ~lattice) & ~lower & ~_knob(a, b))


def _knob(a: Floats, b: Floats) -> Mask:
    return (np.abs(a - 0.9) < 0.06) & (np.abs(b - 0.46) < 0.03)


_FORMS: dict[str, Callable[[Look, Place], _Parts]] = {
    "window": _window,
    "painting": _painting,
    "board": _board,
    "mirror": _mirror,
    "screen": _screen,
    "door": _door,
    "glazed door": _glazed_door,
}


def _rug(look: Look, place: Place) -> Floats:
    edge = np.minimum(np.minimum(place.a, 1 - place.a) * place.width, np.minimum(place.b, 1 - place.b) * place.height)
    color, second = _column(look.palette.high), _column(look.palette.frame)
    kind = look.chance[0]
    if kind < 0.4:
        middle = np.abs(np.sin(place.a * (4 + 8 * look.chance[1]))) > 0.7
    elif kind < 0.7:
        middle = np.hypot(place.a - 0.5, place.b - 0.5) < 0.22
    else:
        middle = edge > 0.45
    return np.where((edge < 0.13) | middle, second, color)


def _sunlight(look: Look, a: Floats, b: Floats) -> Floats:
    """How much more light there is: within a slanted part of the rectangle, in half of them the shadow of bars."""
    slant = 0.35 * (2 * look.chance[0] - 1)
    a = (a - slant * (b if slant > 0 else b - 1)) / (1 - abs(slant))
    inside = (a > 0) & (a < 1)
    if look.chance[1] < 0.5:
        inside &= (np.abs(a - 0.5) > 0.04) & (np.abs(b - 0.5) > 0.04)
    return _column(look.palette.high) * np.float32(0.35 + 0.4 * look.chance[2]) * inside


def pattern(surface: Surface, plane: int, u: Floats, v: Floats) -> Floats | None:
    """Factor of a surface's colour at places u along it and v up it, in metres; None where it is plain."""
    period, strength = np.float32(surface.period), np.float32(surface.strength)
    kind = surface.pattern
    if kind == "plain":
        return None
    if kind == "planks":
        board = np.floor(u / period)
        return 1 + strength * np.sin(board * 12.9898 + np.floor(v * 0.8 + board * 0.37) * 78.233)
    if kind == "stripes":
        return 1 - strength * (u % period < period / 2)
    if kind == "tiles":
        return 1 - strength * ((np.floor(u / period) + np.floor(v / period)) % 2)
    if kind == "panelling":
        # Of wood up to the height of a chair's back.
        return np.where(v < 0.95, 1 - strength * (1.2 + (u % period < 0.08)), np.float32(1))
    if kind == "lattice":
        return 1 - strength * (((u + v) % period < 0.09) | ((u - v) % period < 0.09))
    if kind == "dots":
        return 1 - strength * 1.5 * ((u % period - period / 2) ** 2 + (v % period - period / 2) ** 2 < 0.006)
    # Plaster: a little lighter and darker from place to place.
    turn = np.float32(2 if plane == BACK else 0 if plane == FLOOR else 1)
    return 1 + strength * np.sin(u * 3.1 + turn) * np.sin(v * 2.7 + u + turn)
