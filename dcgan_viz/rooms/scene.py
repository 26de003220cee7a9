"""What is in a procedural bedroom, and where.

Everything on a wall is first a rectangle with colours: only then is it decided what it is. So a window, a door, a
painting and a panel come in the same sizes, at the same places and in the same colours, and nothing but their form
tells them apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

OBJECTS = ("window", "bed", "lamp", "painting", "door", "rug", "panel")
"""Label k of a mask is ``OBJECTS[k - 1]``; 0 is the room itself and furniture without a name. A panel is what hangs
where a window could and is none: a mirror, a screen, a board."""

BACK, LEFT, RIGHT, FLOOR, CEILING = range(5)

Color = NDArray[np.float64]
"""Linear red, green and blue, 1 for white."""

Triple = tuple[float, float, float]
Pair = tuple[float, float]

_DAY, _OVERCAST, _DUSK, _NIGHT = range(4)
_TIMES = (0.36, 0.2, 0.2, 0.24)
_SPECKLED = (0.04, 0.04, 0.4, 0.7)
_WHITE, _WOOD = np.ones(3), np.array([0.45, 0.26, 0.12])


@dataclass(frozen=True)
class Palette:
    """The colours of something on a wall: its field from `low` to `high` with shapes in front of it, lines, a frame.

    If it is speckled, spots of the lines' colour lie on the shapes, as lit windows on houses by night.
    """

    frame: Color
    high: Color
    low: Color
    shape: Color
    line: Color
    speckled: bool = False


@dataclass(frozen=True)
class Look:
    """How something on a wall looks, as far as this is settled before it is known what it is.

    Parameters
    ----------
    palette : Palette
    framed : float
        Share of the rectangle that has the frame's colour.
    shapes : float
        Share of the rest that has the shapes' colour.
    lined : float
        Share of the height that lines fill: slats of a blind, writing, louvres.
    chance : tuple of float
        Numbers from 0 to 1 for whatever else is left to chance.
    """

    palette: Palette
    framed: float
    shapes: float
    lined: float
    chance: tuple[float, ...]


@dataclass(frozen=True)
class Rectangle:
    """On a plane of the room, in metres: u along it, v up it (away from the viewer on the floor).

    `hidden` are the metres of it that lie behind curtains, left and right of what is seen.
    """

    plane: int
    u: Pair
    v: Pair
    label: str
    style: str
    look: Look
    hidden: Pair = (0.0, 0.0)


@dataclass(frozen=True)
class Cuboid:
    """Something that stands or hangs in the room, with one colour and perhaps a light of its own."""

    low: Triple
    high: Triple
    label: str
    color: Color
    stripes: float = 0.0
    glow: float = 0.0


@dataclass(frozen=True)
class Surface:
    """The look of a wall, or of the floor: a colour and a pattern with a period in metres and a strength."""

    color: Color
    pattern: str = "plain"
    period: float = 0.3
    strength: float = 0.0


@dataclass
class Scene:
    """A room with what is in it, in metres: x to the right, y up, z away from the viewer."""

    size: Triple
    camera: Triple
    yaw: float
    pitch: float
    field_of_view: float
    wall: Surface
    accent: Surface
    floor: Surface
    light: Color
    pool: Triple
    rectangles: list[Rectangle] = field(default_factory=list)
    cuboids: list[Cuboid] = field(default_factory=list)


def compose(seed: int, number: int) -> Scene:
    """The scene of room `number`."""
    random = np.random.default_rng([seed, number])
    time = int(random.choice(4, p=_TIMES))
    width, height, depth = random.uniform(3.2, 4.8), random.uniform(2.35, 2.8), random.uniform(3.3, 4.9)
    wall = _wallpaper(random)
    scene = Scene(
        size=(width, height, depth),
        camera=(random.uniform(-0.26, 0.26) * width, random.uniform(1.25, 1.7), random.uniform(0.05, 0.4)),
        yaw=0.0,
        pitch=random.uniform(-0.2, -0.04),
        field_of_view=random.uniform(0.95, 1.3),
        wall=wall,
        accent=_wallpaper(random) if random.random() < 0.25 else wall,
        floor=_flooring(random),
        light=_room_light(time, random),
        pool=(random.uniform(-0.5, 0.5) * width, random.uniform(0.4, 1.0) * height, random.uniform(0.3, 1) * depth),
    )
    x, z = _place_bed(scene, time, random)
    # A photographer looks towards the bed, not always straight at it.
    towards = math.atan2(x - scene.camera[0], z - scene.camera[2])
    scene.yaw = min(max(0.65 * towards + random.normal(0, 0.12), -0.6), 0.6)
    if time == _DAY and random.random() < 0.4:
        _let_sun_in(scene, random)
    _furnish_walls(scene, time, random)
    if random.random() < 0.5:
        _lay_rug(scene, random)
    return scene


# --- colours -----------------------------------------------------------------------------------------------------


def _color(random: np.random.Generator, saturation: Pair, value: Pair, hue: Pair = (0.0, 1.0)) -> Color:
    return _hsv(random.uniform(*hue), random.uniform(*saturation), random.uniform(*value))


def _hsv(hue: float, saturation: float, value: float) -> Color:
    wheel = (min(max(abs((hue * 6 + turn) % 6 - 3) - 1, 0), 1) for turn in (0, 4, 2))
    return np.array([value * (1 - saturation + saturation * share) for share in wheel])


def _luminance(color: Color) -> float:
    """As it is seen: the root is what the picture holds."""
    return math.sqrt(0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2])


def _some_time(random: np.random.Generator) -> int:
    return int(random.choice(4, p=_TIMES))


def _palette(time: int, random: np.random.Generator) -> Palette:
    """Colours of a view at that time of the day, or any; a frame that can be seen before them."""
    if random.random() < 0.12:
        high = _color(random, (0.1, 0.8), (0.1, 0.9))
        low, shape = high * random.uniform(0.6, 1.4), _color(random, (0.1, 0.9), (0.05, 0.9))
        line = _color(random, (0.0, 0.6), (0.2, 1.0))
    elif time == _DAY:
        high = _color(random, (0.25, 0.65), (0.65, 1.0), (0.53, 0.62))
        low = high + (_WHITE - high) * random.uniform(0.3, 0.8)
        shape = _color(random, (0.2, 0.8), (0.1, 0.5), (0.05, 0.4))
        line = _WHITE * random.uniform(0.5, 1.0)
    elif time == _OVERCAST:
        high = _color(random, (0.0, 0.12), (0.45, 0.9), (0.5, 0.65))
        low = high + (_WHITE - high) * random.uniform(0.2, 0.7)
        shape = _color(random, (0.05, 0.4), (0.08, 0.4), (0.05, 0.45))
        line = _WHITE * random.uniform(0.4, 0.9)
    elif time == _DUSK:
        high = _color(random, (0.2, 0.6), (0.15, 0.5), (0.58, 0.8))
        low = _color(random, (0.35, 0.8), (0.6, 1.0), (-0.05, 0.12))
        shape = _color(random, (0.1, 0.5), (0.02, 0.12), (0.55, 0.8))
        line = _color(random, (0.2, 0.6), (0.5, 1.0), (0.05, 0.14))
    else:
        high = _color(random, (0.4, 0.8), (0.01, 0.07), (0.58, 0.7))
        low = high + _color(random, (0.2, 0.6), (0.02, 0.12), (0.55, 0.75))
        shape = _color(random, (0.1, 0.6), (0.005, 0.03), (0.55, 0.75))
        line = _color(random, (0.3, 0.7), (0.6, 1.0), (0.08, 0.15))
    frame = _frame(_luminance((high + low) / 2), random)
    speckled = random.random() < _SPECKLED[time]
    return Palette(frame, high.clip(0, 1), low.clip(0, 1), shape, line, speckled)


def _frame(beside: float, random: np.random.Generator) -> Color:
    """White, wood or any colour, of another brightness than what it frames."""
    for _ in range(8):
        kind = random.random()
        if kind < 0.45:
            color = _color(random, (0.0, 0.12), (0.55, 1.0))
        elif kind < 0.7:
            color = _WOOD * random.uniform(0.15, 1.6)
        else:
            color = _color(random, (0.1, 0.8), (0.02, 0.9))
        if abs(_luminance(color) - beside) > 0.25:
            return color.clip(0, 1)
    return _WHITE * (0.03 if beside > 0.5 else 0.9)


def _look(time: int, random: np.random.Generator) -> Look:
    return Look(
        palette=_palette(time, random),
        framed=random.uniform(0.3, 0.42),
        shapes=random.uniform(0.15, 0.5),
        lined=random.uniform(0.25, 0.55) if random.random() < 0.2 else 0.0,
        chance=tuple(random.random(8).tolist()),
    )


def _wallpaper(random: np.random.Generator) -> Surface:
    color = _color(random, (0.0, 0.5), (0.3, 0.95))
    patterns = ("plain", "stripes", "lattice", "panelling", "dots", "plaster")
    pattern = str(random.choice(patterns, p=(0.3, 0.2, 0.1, 0.14, 0.1, 0.16)))
    return Surface(color, pattern, random.uniform(0.28, 0.6), random.uniform(0.06, 0.2))


def _flooring(random: np.random.Generator) -> Surface:
    kind = random.random()
    if kind < 0.55:
        return Surface(_WOOD * random.uniform(0.4, 1.7), "planks", random.uniform(0.12, 0.28), 0.16)
    color = _color(random, (0, 0.4), (0.12, 0.75))
    if kind < 0.75:
        return Surface(color, "tiles", random.uniform(0.35, 0.6), random.uniform(0.1, 0.25))
    return Surface(color, "plaster", 0.3, random.uniform(0.05, 0.12))


def _room_light(time: int, random: np.random.Generator) -> Color:
    """The light on the walls: by day the sky's, by night lamps'."""
    if time in (_DAY, _OVERCAST):
        return random.uniform(0.55, 0.95) * np.array([random.uniform(0.92, 1.03), 1.0, random.uniform(0.95, 1.06)])
    warm = random.uniform(0.0, 1.0)
    strength = random.uniform(0.35, 0.8) if time == _DUSK else random.uniform(0.3, 0.7)
    return strength * (np.array([1.05, 1.0, 0.94]) * (1 - warm) + np.array([1.15, 0.95, 0.72]) * warm)


# --- furniture ---------------------------------------------------------------------------------------------------


def _place_bed(scene: Scene, time: int, random: np.random.Generator) -> Pair:
    """A bed with its head to a wall, sometimes a bedside table, mostly a lamp; returns the middle of the bed (x, z)."""
    width, _, depth = scene.size
    wall = int(random.choice([BACK, BACK, LEFT, RIGHT]))
    across, along = random.uniform(1.2, 2.0), random.uniform(1.9, 2.15)
    room_across = width if wall == BACK else depth
    centre = random.uniform(-0.5, 0.5) * (room_across - across - 0.5)
    if wall != BACK:
        centre = max(centre + depth / 2 + 0.4, across / 2 + 1.2)
        centre = min(centre, depth - across / 2 - 0.05)
    top = random.uniform(0.42, 0.62)
    timber = _color(random, (0.1, 0.6), (0.1, 0.6))
    parts = _bed(centre, across, along, top, timber, random)
    parts += _beside_bed(centre, across, top, timber, time, random)
    scene.cuboids += [_against(wall, part, scene.size) for part in parts]
    if random.random() < 0.12:
        scene.cuboids += _pendant(scene, time, random)
    if wall == BACK:
        return centre, depth - along / 2
    return (1 if wall == RIGHT else -1) * (width - along) / 2, centre


def _against(wall: int, part: Cuboid, size: Triple) -> Cuboid:
    """A part whose x runs along the wall and whose z leads away from it, turned to that wall."""
    (a0, y0, b0), (a1, y1, b1) = part.low, part.high
    width, _, depth = size
    if wall == BACK:
        low, high = (a0, y0, depth - b1), (a1, y1, depth - b0)
    elif wall == LEFT:
        low, high = (-width / 2 + b0, y0, a0), (-width / 2 + b1, y1, a1)
    else:
        low, high = (width / 2 - b1, y0, a0), (width / 2 - b0, y1, a1)
    return replace(part, low=low, high=high)


def _block(a: Pair, b: Pair, y: Pair, label: str, color: Color, stripes: float = 0.0, glow: float = 0.0) -> Cuboid:
    """By its extent along the wall (a), away from it (b) and in height (y)."""
    return Cuboid((a[0], y[0], b[0]), (a[1], y[1], b[1]), label, color, stripes, glow)


def _bed(
    centre: float, across: float, along: float, top: float, timber: Color, random: np.random.Generator
) -> list[Cuboid]:
    cloth, sheet = _color(random, (0, 0.8), (0.15, 0.95)), _color(random, (0, 0.15), (0.75, 1.0))
    stripes = random.uniform(0.2, 0.4) if random.random() < 0.3 else 0.0
    board, half = random.uniform(0.85, 1.3), across / 2
    if random.random() < 0.04:
        return []
    parts = [
        _block((centre - half, centre + half), (0.08, along), (0.0, top - 0.2), "bed", timber),
        _block(
            (centre - half - 0.02, centre + half + 0.02), (0.1, along + 0.02), (top - 0.22, top), "bed", cloth, stripes
        ),
        _block((centre - half, centre + half), (0.08, 0.6), (top - 0.05, top + 0.02), "bed", sheet),
        _block((centre - half - 0.03, centre + half + 0.03), (0.0, 0.08), (0.0, board), "bed", timber),
    ]
    pillows = 2 if across > 1.5 else 1
    for k in range(pillows):
        middle = centre + (k - (pillows - 1) / 2) * across / 2
        reach = min(0.34, across / 2.4 / pillows + 0.1)
        pillow = sheet * random.uniform(0.9, 1)
        parts.append(_block((middle - reach, middle + reach), (0.1, 0.5), (top, top + 0.14), "bed", pillow))
    return parts


def _beside_bed(
    centre: float, across: float, top: float, timber: Color, time: int, random: np.random.Generator
) -> list[Cuboid]:
    """A lamp on a table or on the floor."""
    if random.random() > 0.72:
        return []
    side = 1 if random.random() < 0.5 else -1
    edge = centre + side * (across / 2 + 0.4)
    parts = []
    foot, tall = 0.0, random.uniform(1.0, 1.25)
    if random.random() < 0.7:
        wood = timber * random.uniform(0.7, 1.3)
        parts.append(_block((edge - 0.24, edge + 0.24), (0.03, 0.47), (0, top), "", wood))
        foot, tall = top, random.uniform(0.2, 0.32)
    reach, shade = random.uniform(0.19, 0.25), random.uniform(0.3, 0.4)
    color, glow = _shade(time, random)
    stand = timber * 0.7
    parts.append(_block((edge - 0.06, edge + 0.06), (0.2, 0.32), (foot, foot + tall), "lamp", stand))
    ends = (edge - reach, edge + reach), (0.26 - reach, 0.26 + reach)
    parts.append(_block(*ends, (foot + tall, foot + tall + shade), "lamp", color, 0.0, glow))
    return parts


def _shade(time: int, random: np.random.Generator) -> tuple[Color, float]:
    """Colour of a lamp's shade, and how strongly it glows: mostly lit when it is dark."""
    lit = random.random() < (0.35 if time in (_DAY, _OVERCAST) else 0.85)
    return _color(random, (0.05, 0.6), (0.55, 1.0), (0.0, 0.2)), random.uniform(0.2, 0.55) if lit else 0.0


def _pendant(scene: Scene, time: int, random: np.random.Generator) -> list[Cuboid]:
    """A lamp that hangs from the ceiling."""
    width, height, depth = scene.size
    x, z = random.uniform(-0.2, 0.2) * width, random.uniform(0.6, 0.8) * depth
    reach, tall = random.uniform(0.2, 0.28), random.uniform(0.25, 0.35)
    bottom = height - random.uniform(0.6, 0.75)
    color, glow = _shade(time, random)
    cord = Cuboid((x - 0.03, bottom + tall, z - 0.03), (x + 0.03, height, z + 0.03), "lamp", _WHITE * 0.1)
    return [cord, Cuboid((x - reach, bottom, z - reach), (x + reach, bottom + tall, z + reach), "lamp", color, 0, glow)]


# --- what is flat ------------------------------------------------------------------------------------------------


def _furnish_walls(scene: Scene, time: int, random: np.random.Generator) -> None:
    """Rectangles where nothing is in the way; then what each of them is."""
    shapes = [False] * int(random.choice([1, 2, 3], p=[0.2, 0.5, 0.3])) + [True] * int(random.random() < 0.65)
    places: list[tuple[int, Pair, Pair, bool]] = []
    for tall in shapes:
        place = _free_place(scene, places, tall, random)
        if place is not None:
            places.append((*place, tall))
    windows = [random.random() < (0.4 if tall else 0.5) for *_, tall in places]
    if places and not any(windows) and random.random() < 0.6:
        windows[random.integers(len(places))] = True
    # All windows of a room look out on one day; what else hangs there has colours of any day.
    view = _palette(time, random)
    curtains = []
    for (plane, u, v, tall), window in zip(places, windows, strict=True):
        look = _look(_some_time(random), random)
        style = "window" if window else _style(tall, random)
        if window:
            look = replace(look, palette=view)
        label = style if style in OBJECTS else "door" if style == "glazed door" else "panel"
        hidden = (0.0, 0.0)
        if random.random() < (0.5 if window else 0.12):
            curtains += _curtains(scene, plane, u, v, random)
            hidden = (random.uniform(0, 0.5), random.uniform(0, 0.5)) if random.random() < 0.5 else hidden
        scene.rectangles.append(Rectangle(plane, u, v, label, style, look, hidden if window else (0.0, 0.0)))
    scene.rectangles += curtains


def _style(tall: bool, random: np.random.Generator) -> str:
    if tall:
        return str(random.choice(["door", "glazed door", "mirror"], p=[0.58, 0.3, 0.12]))
    return str(random.choice(["painting", "board", "mirror", "screen"], p=[0.5, 0.18, 0.16, 0.16]))


def _free_place(
    scene: Scene, taken: list[tuple[int, Pair, Pair, bool]], tall: bool, random: np.random.Generator
) -> tuple[int, Pair, Pair] | None:
    """A plane and extents (u, v) where nothing hangs yet; none if there is no room after a few tries."""
    width, height, depth = scene.size
    for _ in range(8):
        plane = int(random.choice([BACK, BACK, LEFT, RIGHT]))
        if tall:
            across, bottom, top = random.uniform(0.85, 1.2), 0.0, min(random.uniform(1.95, 2.2), height - 0.1)
        else:
            across, bottom = random.uniform(0.9, 1.9), random.uniform(0.75, 1.05)
            top = min(bottom + random.uniform(0.85, 1.45), height - 0.12)
        low, high = (-width / 2, width / 2) if plane == BACK else (1.0, depth)
        if high - low < across + 0.4:
            continue
        left = random.uniform(low + 0.15, high - across - 0.15)
        u = (left, left + across)
        if not any(other == plane and a - 0.15 < u[1] and u[0] < b + 0.15 for other, (a, b), *_ in taken):
            return plane, u, (bottom, top)
    return None


def _curtains(scene: Scene, plane: int, u: Pair, v: Pair, random: np.random.Generator) -> list[Rectangle]:
    """Left and right of something; what they hide of it is not part of its rectangle."""
    cloth = _color(random, (0.0, 0.7), (0.15, 0.95))
    look = Look(Palette(cloth, cloth, cloth, cloth, cloth), 0, 0, 0, (random.random(),))
    bottom = 0.05 if random.random() < 0.5 else max(v[0] - 0.15, 0.05)
    extent = (bottom, min(v[1] + 0.1, scene.size[1]))
    reach = random.uniform(0.25, 0.45)
    sides = ((u[0] - reach, u[0]), (u[1], u[1] + reach))
    return [Rectangle(plane, side, extent, "", "curtain", look) for side in sides]


def _let_sun_in(scene: Scene, random: np.random.Generator) -> None:
    """A patch of sunlight on a wall or the floor, perhaps with the shadow of bars in it."""
    width, height, depth = scene.size
    plane = int(random.choice([BACK, LEFT, RIGHT, FLOOR]))
    low, high = (-width / 2, width / 2) if plane in (BACK, FLOOR) else (1.0, depth)
    across = random.uniform(0.9, 1.6)
    left = random.uniform(low, max(high - across, low))
    bottom = random.uniform(0.3, 0.5) * depth if plane == FLOOR else random.uniform(0.2, 0.9)
    top = min(bottom + random.uniform(0.7, 1.2), depth if plane == FLOOR else height)
    warm = np.array([1.0, 0.9, 0.7])
    look = Look(Palette(warm, warm, warm, warm, warm), 0, 0, 0, tuple(random.random(3).tolist()))
    scene.rectangles.append(Rectangle(plane, (left, left + across), (bottom, top), "", "sunlight", look))


def _lay_rug(scene: Scene, random: np.random.Generator) -> None:
    width, _, depth = scene.size
    across, along = random.uniform(1.2, 2.3), random.uniform(1.0, 1.8)
    x, z = random.uniform(-0.3, 0.3) * width, random.uniform(0.35, 0.6) * depth
    color, second = _color(random, (0.1, 0.9), (0.15, 0.9)), _color(random, (0.1, 0.9), (0.15, 0.9))
    look = Look(Palette(second, color, color, second, color), 0, 0, 0, tuple(random.random(4).tolist()))
    u, v = (x - across / 2, x + across / 2), (z - along / 2, z + along / 2)
    scene.rectangles.append(Rectangle(FLOOR, u, v, "rug", "rug", look))
