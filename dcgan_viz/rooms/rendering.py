"""Pictures of scenes.

Every pixel is a ray, and all rays are met with one object at once, so that NumPy does the work: within the part of the
picture that can show it.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.rooms.scene import BACK, CEILING, FLOOR, LEFT, OBJECTS, RIGHT, Cuboid, Rectangle, Scene, Triple
from dcgan_viz.rooms.surfaces import Floats, paint, pattern

_NEAR = 0.05
"""Metres from the viewer within which nothing is seen."""

_Part = tuple[slice, slice]
"""Rows and columns of a picture."""


@dataclass
class View:
    """The rays of a picture, one for each of its pixels, and what they meet in the empty room.

    `direction` and `place` have a part for each of x, y, z; that of `direction` in y is the same along a row and has
    one column alone.
    """

    origin: tuple[float, float, float]
    direction: tuple[Floats, Floats, Floats]
    distance: Floats
    plane: NDArray[np.uint8]
    place: tuple[Floats, Floats, Floats]


@dataclass
class Canvas:
    """A picture that is being painted: linear colour (3, S, S), instance numbers (S, S) and the label of each number."""

    color: Floats
    instance: NDArray[np.uint8]
    labels: list[int]

    def number(self, label: str, *, join: bool = False) -> int:
        """The instance number of an object that is being painted; parts of one object share theirs."""
        if not label:
            return 0
        name = OBJECTS.index(label) + 1
        if join and name in self.labels:
            return self.labels.index(name)
        self.labels.append(name)
        return len(self.labels) - 1


def render(scene: Scene, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Pixels (S, S, 3), labels (S, S) and instance numbers (S, S), from four rays a pixel."""
    view = look(scene, 2 * size)
    canvas, shade = paint_room(scene, view)
    flat, solid = parts_seen(scene, 2 * size)
    _paint_rectangles(scene, flat, view, canvas, shade)
    cast_shadows(scene, view, canvas)
    _paint_cuboids(scene, solid, view, canvas)
    a, b, c, d = (canvas.color[:, i::2, j::2] for i in (0, 1) for j in (0, 1))
    linear = (a + b + c + d) / 4
    # Linear light to sRGB, near enough.
    pixels = (255 * np.sqrt(linear.clip(0, 1)) + 0.5).astype(np.uint8)
    shown = _most_seen(canvas.instance)
    return pixels.transpose(1, 2, 0), np.array(canvas.labels, np.uint8)[shown], shown


def _most_seen(instance: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of the four samples of a pixel the number that most have; ties go to the higher one."""
    a, b, c, d = (instance[i::2, j::2] for i in (0, 1) for j in (0, 1))
    a, b, c, d = np.minimum(a, b), np.maximum(a, b), np.minimum(c, d), np.maximum(c, d)
    a, c, b, d = np.minimum(a, c), np.maximum(a, c), np.minimum(b, d), np.maximum(b, d)
    b, c = np.minimum(b, c), np.maximum(b, c)
    # Sorted, a pair of equals in the middle or at an end decides.
    return np.where(c == d, d, np.where(b == c, c, np.where(a == b, a, d)))


def look(scene: Scene, size: int) -> View:
    """The rays of a picture of `size` pixels, and where each meets the empty room."""
    steps = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5) * 2
    reach = np.tan(np.float32(scene.field_of_view) / 2)
    right, up = steps * reach, -steps[:, None] * reach
    pitch, yaw = np.float32(scene.pitch), np.float32(scene.yaw)
    forward = np.cos(pitch) - up * np.sin(pitch)
    dy = np.sin(pitch) + up * np.cos(pitch)
    dx = right * np.cos(yaw) + forward * np.sin(yaw)
    dz = forward * np.cos(yaw) - right * np.sin(yaw)
    # No ray runs along a plane: dividing by its direction must stay finite.
    dx, dy, dz = (np.where(np.abs(d) < 1e-6, np.float32(1e-6), d) for d in (dx, dy, dz))
    width, height, depth = (np.float32(s) for s in scene.size)
    ox, oy, oz = (np.float32(o) for o in scene.camera)

    # The wall that a ray meets first from inside.
    tx = (np.sign(dx) * width / 2 - ox) / dx
    ty = (np.where(dy > 0, height, 0) - oy) / dy
    tz = np.where(dz > 0, (depth - oz) / dz, np.float32(1e9))
    distance = np.minimum(np.minimum(tx, ty), tz)
    sides, ends = np.array([LEFT, RIGHT], np.uint8), np.array([FLOOR, CEILING], np.uint8)
    plane = np.where(distance == tx, np.where(dx > 0, sides[1], sides[0]), np.where(dy > 0, ends[1], ends[0]))
    plane[distance == tz] = BACK
    return View(
        (float(ox), float(oy), float(oz)),
        (dx, dy, dz),
        distance,
        plane,
        (ox + distance * dx, oy + distance * dy, oz + distance * dz),
    )


def parts_seen(scene: Scene, size: int) -> tuple[list[_Part], list[_Part]]:
    """Rows and columns outside which nothing is seen of each rectangle and of each cuboid."""
    extents = [_extent(rectangle, scene) for rectangle in scene.rectangles] + [(c.low, c.high) for c in scene.cuboids]
    if not extents:
        return [], []
    ends = np.array(extents, float) - scene.camera
    # Eight corners: the low and the high end in each direction.
    x, y, z = ends[:, :, 0, None, None], ends[:, None, :, 1, None], ends[:, None, None, :, 2]
    forward = x * np.sin(scene.yaw) + z * np.cos(scene.yaw)
    away = forward * np.cos(scene.pitch) + y * np.sin(scene.pitch)
    reach = np.tan(scene.field_of_view / 2) * np.maximum(away, _NEAR)
    right = (x * np.cos(scene.yaw) - z * np.sin(scene.yaw)) / reach
    down = (forward * np.sin(scene.pitch) - y * np.cos(scene.pitch)) / reach
    # Corners behind the viewer tell nothing. One pixel more on each side, because rays are rounded.
    seen = (away.min((1, 2, 3)) > _NEAR)[:, None]
    pixels = (np.stack([down, right], 1) + 1) / 2 * size
    first = np.where(seen, np.floor(pixels.min((2, 3, 4))) - 1, 0).clip(0, size).astype(int).tolist()
    last = np.where(seen, np.ceil(pixels.max((2, 3, 4))) + 1, size).clip(0, size).astype(int).tolist()
    parts = [(slice(r0, r1), slice(c0, c1)) for (r0, c0), (r1, c1) in zip(first, last, strict=True)]
    return parts[: len(scene.rectangles)], parts[len(scene.rectangles) :]


def paint_room(scene: Scene, view: View) -> tuple[Canvas, Floats]:
    """Walls, floor and ceiling, and how bright it is at each pixel."""
    x, y, z = view.place
    height, depth = np.float32(scene.size[1]), np.float32(scene.size[2])
    # Each plane has a light of its own, corners are darker, it gets darker towards the viewer, and light gathers.
    facing = np.array([0.95, 0.8, 0.85, 0.9, 1.05], np.float32)
    corner = 1 - 0.25 * np.exp(-np.minimum(y, height - y) * 4) * (view.plane < FLOOR)
    px, py, pz = (np.float32(p) for p in scene.pool)
    pool = 0.35 * np.exp(-0.25 * ((x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2))
    shade = facing[view.plane] * corner * (0.62 + 0.2 * z / depth + pool)
    light = scene.light + 0.1
    plain = np.stack([scene.accent.color, scene.wall.color, scene.wall.color, scene.floor.color, np.full(3, 0.85)])
    color = (plain * light).T.astype(np.float32).take(view.plane, axis=1)
    shades = shade.copy()
    for plane, surface in ((BACK, scene.accent), (LEFT, scene.wall), (RIGHT, scene.wall), (FLOOR, scene.floor)):
        here = np.flatnonzero(view.plane.ravel() == plane)
        if surface.pattern == "plain" or not len(here):
            continue
        u, v = (z if plane in (LEFT, RIGHT) else x).ravel()[here], (z if plane == FLOOR else y).ravel()[here]
        shades.ravel()[here] *= pattern(surface, plane, u, v)
    color *= shades
    return Canvas(color, np.zeros(view.plane.shape, np.uint8), [0]), shade * np.float32(light.mean())


def _paint_rectangles(scene: Scene, parts: list[_Part], view: View, canvas: Canvas, shade: Floats) -> None:
    x, y, z = view.place
    for rectangle, part in zip(scene.rectangles, parts, strict=True):
        u = (z if rectangle.plane in (LEFT, RIGHT) else x)[part]
        v = (z if rectangle.plane == FLOOR else y)[part]
        hit = view.plane[part] == rectangle.plane
        hit &= (u >= rectangle.u[0]) & (u < rectangle.u[1]) & (v >= rectangle.v[0]) & (v < rectangle.v[1])
        if not hit.any():
            continue
        a = (u[hit] - rectangle.u[0]) / np.float32(rectangle.u[1] - rectangle.u[0])
        b = (v[hit] - rectangle.v[0]) / np.float32(rectangle.v[1] - rectangle.v[0])
        painted = paint(rectangle, a, b)
        if rectangle.style == "sunlight":
            for channel, values in zip(canvas.color, painted, strict=True):
                channel[part][hit] *= 1 + values
            continue
        # All that hangs on a wall takes the room's light alike, a window as well: else it could be told by that.
        light = shade[part][hit]
        painted *= light if rectangle.style in ("curtain", "rug") else 0.55 + 0.5 * light
        for channel, values in zip(canvas.color, painted, strict=True):
            channel[part][hit] = values
        canvas.instance[part][hit] = canvas.number(rectangle.label)


def _extent(rectangle: Rectangle, scene: Scene) -> tuple[Triple, Triple]:
    """The corners of a rectangle in the room."""
    width, _, depth = scene.size
    (u0, u1), (v0, v1) = rectangle.u, rectangle.v
    if rectangle.plane == BACK:
        return (u0, v0, depth), (u1, v1, depth)
    if rectangle.plane == FLOOR:
        return (u0, 0.0, v0), (u1, 0.0, v1)
    side = -width / 2 if rectangle.plane == LEFT else width / 2
    return (side, v0, u0), (side, v1, u1)


def cast_shadows(scene: Scene, view: View, canvas: Canvas) -> None:
    """Darken floor and walls close to what stands there: by the darkest shadow, that of the nearest cuboid."""
    standing = [c for c in scene.cuboids if c.low[1] <= 0.01 or c.label == "bed"]
    if not standing:
        return
    x, y, z = view.place
    squares = []
    for cuboid in standing:
        # The nearest point of it, from the floor up to its top.
        away = np.square(x - x.clip(cuboid.low[0], cuboid.high[0]))
        away += np.square(z - z.clip(cuboid.low[2], cuboid.high[2]))
        away += np.square(y - np.minimum(y, np.float32(cuboid.high[1])))
        squares.append(away)
    canvas.color *= 1 - np.float32(0.45) * np.exp(-7 * np.sqrt(functools.reduce(np.minimum, squares)))


def _paint_cuboids(scene: Scene, parts: list[_Part], view: View, canvas: Canvas) -> None:
    origin, direction = view.origin, view.direction
    nearest = view.distance.copy()
    inverse = [1 / d for d in direction]
    for cuboid, part in zip(scene.cuboids, parts, strict=True):
        number = canvas.number(cuboid.label, join=True)
        entries, leaves = [], []
        inverses = (inverse[0][part], inverse[1][part[0]], inverse[2][part])
        for low, high, o, i in zip(cuboid.low, cuboid.high, origin, inverses, strict=True):
            one, other = (low - o) * i, (high - o) * i
            entries.append(np.minimum(one, other))
            leaves.append(np.maximum(one, other))
        enter = np.maximum(np.maximum(entries[0], entries[1]), entries[2])
        leave = np.minimum(np.minimum(leaves[0], leaves[1]), leaves[2])
        hit = (enter < leave) & (enter > _NEAR) & (enter < nearest[part])
        if not hit.any():
            continue
        t = enter[hit]
        # Brightest from above; farther away a little darker.
        side = np.where(enter == entries[1], 1.0, np.where(enter == entries[2], 0.78, 0.62))[hit] * (1.12 - 0.05 * t)
        if cuboid.stripes:
            along = origin[0] + t * direction[0][part][hit]
            side = side * (1 + 0.2 * np.sign(np.sin(along * (2 * math.pi / cuboid.stripes))))
        for channel, strength, light in zip(canvas.color, cuboid.color, scene.light, strict=True):
            channel[part][hit] = strength * (light * side + (0.1 + cuboid.glow))
        canvas.instance[part][hit] = number
        nearest[part][hit] = t
    for cuboid in scene.cuboids:
        if cuboid.glow:
            _shine(cuboid, view, nearest, canvas)


def _shine(lamp: Cuboid, view: View, nearest: Floats, canvas: Canvas) -> None:
    """The warm light of a lamp on what is near it."""
    middle = [(a + b) / 2 for a, b in zip(lamp.low, lamp.high, strict=True)]
    away = sum((o + nearest * d - m) ** 2 for o, d, m in zip(view.origin, view.direction, middle, strict=True))
    light = np.float32(0.3 * lamp.glow) * np.exp(-away * np.float32(1.5))
    for channel, warm in zip(canvas.color, np.array([1.0, 0.85, 0.6], np.float32), strict=True):
        channel += light * warm * (0.3 + channel)
