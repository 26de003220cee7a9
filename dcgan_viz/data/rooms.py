"""Procedural bedrooms with exact masks: pictures of which it is known where every object is.

A scene is a box of a room with cuboids standing in it and rectangles on its walls and floor. Every pixel is a ray that
is met with all of them at once, for a batch of scenes, so that NumPy does the work.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_folder
from dcgan_viz.versions import versions

OBJECTS = ("window", "bed", "lamp", "painting", "door", "rug")
"""Label k of a mask is ``OBJECTS[k - 1]``; 0 is the room itself and furniture without a name."""

ANNOTATIONS_FILE = "annotations.json"
MINIMUM_SIZE, MAXIMUM_SIZE = 32, 256
BATCH = 16
SMALLEST_BOX = 0.002
"""Share of the picture below which the visible part of an object gets no box."""

Floats = NDArray[np.floating[Any]]

_BACK, _LEFT, _RIGHT, _FLOOR, _CEILING = range(5)


@dataclass
class _Rectangle:
    """On a plane of the room, in metres: u along it, v up it (away from the viewer on the floor)."""

    plane: int
    u: tuple[float, float]
    v: tuple[float, float]
    label: str
    color: NDArray[np.float64]
    style: str
    second: NDArray[np.float64]


@dataclass
class _Cuboid:
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    label: str
    color: NDArray[np.float64]
    stripes: float = 0.0
    glow: float = 0.0


@dataclass
class _Scene:
    """A room with what is in it, in metres: x to the right, y up, z away from the viewer."""

    size: tuple[float, float, float]
    camera: tuple[float, float, float]
    yaw: float
    pitch: float
    field_of_view: float
    walls: NDArray[np.float64]
    floor: NDArray[np.float64]
    planks: float
    light: float
    daylight: tuple[float, float, float]
    rectangles: list[_Rectangle] = field(default_factory=list)
    cuboids: list[_Cuboid] = field(default_factory=list)


@dataclass(frozen=True)
class Rooms:
    """A batch of procedural rooms.

    Parameters
    ----------
    pixels : ndarray of uint8 (N, S, S, 3)
    masks : ndarray of uint8 (N, S, S)
        Labels of the objects that are seen, see `OBJECTS`.
    instances : ndarray of uint8 (N, S, S)
        Number of the object within its picture, from 1; 0 where the mask is.
    """

    pixels: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    instances: NDArray[np.uint8]


def draw_rooms(count: int, size: int = 64, *, seed: int = 0, first: int = 0) -> Rooms:
    """Draw procedural bedrooms.

    Room k is a function of the seed and k alone, whatever the size and however many are drawn.

    Parameters
    ----------
    count : int
    size : int
        Side in pixels, 32 to 256.
    seed : int
    first : int
        Number of the first room.

    Returns
    -------
    Rooms

    Raises
    ------
    UserError
        If the size is out of range or `count` is not positive.

    Examples
    --------
    >>> rooms = draw_rooms(3, size=64, seed=0)
    >>> rooms.pixels.shape, rooms.masks.max() <= len(OBJECTS)
    ((3, 64, 64, 3), np.True_)
    """
    if not MINIMUM_SIZE <= size <= MAXIMUM_SIZE:
        raise UserError(f"rooms are drawn {MINIMUM_SIZE} to {MAXIMUM_SIZE} pixels wide, not {size}")
    if count < 1:
        raise UserError(f"draw at least 1 room, not {count}")
    starts = range(first, first + count, BATCH)
    # NumPy lets go of the interpreter's lock inside array operations, so threads share the work.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        batches = list(
            pool.map(lambda start: _render(range(start, min(start + BATCH, first + count)), size, seed), starts)
        )
    return Rooms(*(np.concatenate([getattr(b, name) for b in batches]) for name in ("pixels", "masks", "instances")))


def save_rooms(count: int, folder: str | Path, size: int = 64, *, seed: int = 0) -> Path:
    """Write rooms as ``images/*.png``, ``masks/*.png`` and COCO boxes, all or nothing.

    Parameters
    ----------
    count : int
    folder : path
        Made, or replaced if it holds earlier rooms.
    size, seed : int
        As in `draw_rooms`.

    Returns
    -------
    Path

    Raises
    ------
    UserError
        As `draw_rooms`; also if the folder holds something else, cannot be written, or the disk is full.
    """
    path = Path(folder)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    with atomic_folder(path, ANNOTATIONS_FILE) as temporary, ThreadPoolExecutor(os.cpu_count()) as pool:
        for name in ("images", "masks"):
            (temporary / name).mkdir()
        for start in range(0, count, 64 * BATCH):
            rooms = draw_rooms(min(64 * BATCH, count - start), size, seed=seed, first=start)
            numbers = range(start, start + len(rooms.pixels))
            list(pool.map(lambda k, r=rooms, s=start: _save(r, k - s, temporary, f"room-{k:06}.png"), numbers))
            for number in numbers:
                images.append({"id": number, "file_name": f"room-{number:06}.png", "width": size, "height": size})
                annotations.extend(_boxes(rooms, number - start, number, len(annotations) + 1))
        data = {
            "info": {"description": f"{count} procedural bedrooms", "seed": seed, "versions": versions()},
            "images": images,
            "categories": [{"id": k, "name": name} for k, name in enumerate(OBJECTS, start=1)],
            "annotations": annotations,
        }
        (temporary / ANNOTATIONS_FILE).write_text(json.dumps(data) + "\n")
    return path


def _save(rooms: Rooms, index: int, folder: Path, name: str) -> None:
    Image.fromarray(rooms.pixels[index]).save(folder / "images" / name, compress_level=3)
    Image.fromarray(rooms.masks[index]).save(folder / "masks" / name)


def _boxes(rooms: Rooms, index: int, image: int, number: int) -> Iterator[dict[str, object]]:
    """COCO annotations of the visible objects of one room."""
    mask, instances = rooms.masks[index], rooms.instances[index]
    for instance in np.unique(instances[instances > 0]):
        visible = instances == instance
        area = int(visible.sum())
        if area < SMALLEST_BOX * visible.size:
            continue
        rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
        left, top = int(columns[0]), int(rows[0])
        yield {
            "id": number,
            "image_id": image,
            "category_id": int(mask[visible][0]),
            "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
            "area": area,
            "iscrowd": 0,
        }
        number += 1


# --- what is in a room -------------------------------------------------------------------------------------------


def _color(
    random: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> NDArray[np.float64]:
    """A colour in linear RGB."""
    hue, s, v = random.random(), random.uniform(*saturation), random.uniform(*value)
    wheel = np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    return v * (1 - s + s * wheel.clip(0, 1))


def _compose(seed: int, number: int) -> _Scene:
    random = np.random.default_rng([seed, number])
    width, height, depth = random.uniform(3.2, 5.2), random.uniform(2.3, 2.9), random.uniform(3.6, 5.6)
    wood = np.array([0.45, 0.28, 0.15]) * random.uniform(0.5, 1.5)
    scene = _Scene(
        size=(width, height, depth),
        camera=(random.uniform(-0.28, 0.28) * width, random.uniform(1.25, 1.8), random.uniform(0.05, 0.5)),
        yaw=0.0,
        pitch=random.uniform(-0.24, -0.04),
        field_of_view=random.uniform(1.0, 1.4),
        walls=_color(random, (0.0, 0.5), (0.45, 0.95)),
        floor=wood if random.random() < 0.6 else _color(random, (0, 0.4), (0.15, 0.7)),
        planks=random.uniform(0.1, 0.25) if random.random() < 0.6 else 0.0,
        light=random.uniform(0.35, 0.9),
        daylight=tuple(
            random.uniform(0.75, 1.15) * np.array([random.uniform(0.85, 1.05), 1.0, random.uniform(0.9, 1.2)])
        ),
    )
    x, z = _place_bed(scene, random)
    # A photographer looks towards the bed, not always straight at it.
    towards = np.arctan2(x - scene.camera[0], z - scene.camera[2])
    scene.yaw = float(np.clip(0.65 * towards + random.normal(0, 0.14), -0.65, 0.65))
    for label, chance in (("window", 0.9), ("window", 0.45), ("door", 0.45), ("painting", 0.6), ("painting", 0.35)):
        if random.random() < chance:
            _hang(scene, random, label)
    if random.random() < 0.5:
        _lay_rug(scene, random)
    return scene


def _place_bed(scene: _Scene, random: np.random.Generator) -> tuple[float, float]:
    """A bed with its head to a wall, sometimes a bedside table and a lamp; returns the middle of the bed (x, z)."""
    width, _, depth = scene.size
    wall = random.choice([_BACK, _BACK, _LEFT, _RIGHT])
    across, along = random.uniform(1.2, 2.0), random.uniform(1.9, 2.15)
    top, board = random.uniform(0.42, 0.62), random.uniform(0.85, 1.35)
    room_across = width if wall == _BACK else depth
    centre = random.uniform(-0.5, 0.5) * (room_across - across - 0.5)
    if wall != _BACK:
        centre = max(centre + depth / 2 + 0.4, across / 2 + 1.2)
        centre = min(centre, depth - across / 2 - 0.05)
    cloth, sheet = _color(random, (0, 0.8), (0.2, 0.95)), _color(random, (0, 0.15), (0.75, 1.0))
    timber = _color(random, (0.1, 0.6), (0.1, 0.6))
    stripes = random.uniform(0.15, 0.4) if random.random() < 0.35 else 0.0

    def stand(
        a: tuple[float, float],
        b: tuple[float, float],
        y: tuple[float, float],
        label: str,
        color: NDArray[np.float64],
        stripes: float = 0.0,
        glow: float = 0.0,
    ) -> None:
        """A cuboid by its extent along the wall (a), away from it (b) and in height (y)."""
        if wall == _BACK:
            low, high = (a[0], y[0], depth - b[1]), (a[1], y[1], depth - b[0])
        elif wall == _LEFT:
            low, high = (-width / 2 + b[0], y[0], a[0]), (-width / 2 + b[1], y[1], a[1])
        else:
            low, high = (width / 2 - b[1], y[0], a[0]), (width / 2 - b[0], y[1], a[1])
        scene.cuboids.append(_Cuboid(low, high, label, color, stripes, glow))

    if random.random() < 0.96:
        half = across / 2
        stand((centre - half, centre + half), (0.08, along), (0.0, top - 0.2), "bed", timber)
        stand(
            (centre - half - 0.02, centre + half + 0.02), (0.1, along + 0.02), (top - 0.22, top), "bed", cloth, stripes
        )
        stand((centre - half, centre + half), (0.08, 0.6), (top - 0.05, top + 0.02), "bed", sheet)
        stand((centre - half - 0.03, centre + half + 0.03), (0.0, 0.08), (0.0, board), "bed", timber)
        pillows = 2 if across > 1.5 else 1
        for k in range(pillows):
            middle = centre + (k - (pillows - 1) / 2) * across / 2
            reach = min(0.34, across / 2.4 / pillows + 0.1)
            stand(
                (middle - reach, middle + reach), (0.1, 0.5), (top, top + 0.14), "bed", sheet * random.uniform(0.9, 1)
            )
    if random.random() < 0.65:
        side = random.choice([-1, 1])
        edge = centre + side * (across / 2 + 0.36)
        if random.random() < 0.75:
            stand((edge - 0.2, edge + 0.2), (0.03, 0.43), (0, top), "", timber * random.uniform(0.7, 1.3))
            foot = top
        else:
            foot = 0.0
        tall = random.uniform(0.28, 0.4) if foot else random.uniform(1.1, 1.4)
        shade = _color(random, (0.05, 0.5), (0.8, 1.0))
        glow = random.uniform(0.25, 0.8) if random.random() < 0.6 else 0.0
        stand((edge - 0.03, edge + 0.03), (0.2, 0.26), (foot, foot + tall), "lamp", timber * 0.7)
        stand((edge - 0.15, edge + 0.15), (0.08, 0.38), (foot + tall, foot + tall + 0.26), "lamp", shade, 0.0, glow)
    if wall == _BACK:
        return centre, depth - along / 2
    return (1 if wall == _RIGHT else -1) * (width - along) / 2, centre


def _hang(scene: _Scene, random: np.random.Generator, label: str) -> None:
    """A window, door or painting on a wall where nothing hangs yet; none if there is no room after a few tries."""
    width, height, depth = scene.size
    for _ in range(8):
        plane = int(random.choice([_BACK, _BACK, _LEFT, _RIGHT]))
        if label == "window":
            across, bottom = random.uniform(0.8, 1.8), random.uniform(0.75, 1.05)
            top = min(bottom + random.uniform(0.9, 1.4), height - 0.12)
        elif label == "door":
            across, bottom, top = random.uniform(0.8, 1.0), 0.0, min(random.uniform(1.95, 2.1), height - 0.1)
        else:
            across, bottom = random.uniform(0.35, 0.9), random.uniform(1.3, 1.55)
            top = min(bottom + random.uniform(0.35, 0.65), height - 0.12)
        low, high = (-width / 2, width / 2) if plane == _BACK else (0.9, depth)
        if high - low < across + 0.3:
            continue
        left = random.uniform(low + 0.12, high - across - 0.12)
        u, v = (left, left + across), (bottom, top)
        clash = any(
            r.plane == plane and r.u[0] - 0.1 < u[1] and u[0] < r.u[1] + 0.1 and r.v[0] < v[1] and v[0] < r.v[1]
            for r in scene.rectangles
        )
        if clash:
            continue
        if label == "window":
            if random.random() < 0.55:
                cloth = _color(random, (0.0, 0.7), (0.25, 0.95))
                for a, b in ((u[0] - 0.28, u[0] + 0.1), (u[1] - 0.1, u[1] + 0.28)):
                    drop = 0.05 if random.random() < 0.5 else bottom - 0.15
                    scene.rectangles.append(
                        _Rectangle(plane, (a, b), (drop, min(top + 0.12, height)), "", cloth, "curtain", cloth)
                    )
            frame = _color(random, (0, 0.2), (0.7, 1.0))
            # In front of it in the list, so that curtains hang before the window.
            scene.rectangles.insert(
                0, _Rectangle(plane, u, v, label, frame, "window", _color(random, (0.2, 0.7), (0.3, 0.8)))
            )
        else:
            color, second = _color(random, (0, 0.7), (0.2, 0.95)), _color(random, (0.2, 1.0), (0.2, 1.0))
            scene.rectangles.insert(0, _Rectangle(plane, u, v, label, color, label, second))
        return


def _lay_rug(scene: _Scene, random: np.random.Generator) -> None:
    width, _, depth = scene.size
    across, along = random.uniform(1.0, 2.2), random.uniform(0.9, 1.7)
    x, z = random.uniform(-0.3, 0.3) * width, random.uniform(0.35, 0.6) * depth
    color, second = _color(random, (0.1, 0.9), (0.2, 0.9)), _color(random, (0.1, 0.9), (0.2, 0.9))
    u, v = (x - across / 2, x + across / 2), (z - along / 2, z + along / 2)
    scene.rectangles.append(_Rectangle(_FLOOR, u, v, "rug", color, "rug", second))


# --- how it looks ------------------------------------------------------------------------------------------------


def _render(numbers: range, size: int, seed: int) -> Rooms:
    scenes = [_compose(seed, number) for number in numbers]
    fine = 2 * size
    color, label, instance = _trace(scenes, fine)
    color = color.reshape(len(scenes), size, 2, size, 2, 3).mean((2, 4))
    # Linear light to sRGB, near enough.
    pixels = (255 * np.sqrt(color.clip(0, 1)) + 0.5).astype(np.uint8)
    shown = _most_seen(instance, size)
    masks = np.zeros_like(shown)
    for k in range(len(scenes)):
        masks[k] = label[k][shown[k]]
    return Rooms(pixels, masks, shown)


def _most_seen(instance: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Of the four samples of a pixel the number that most have; ties go to the higher one."""
    quads = (
        instance.reshape(len(instance), size, 2, size, 2).transpose(0, 1, 3, 2, 4).reshape(len(instance), size, size, 4)
    )
    ordered = np.sort(quads, axis=-1)
    # Sorted, a pair of equals in the middle or at an end decides.
    a, b, c, d = np.moveaxis(ordered, -1, 0)
    return np.where(c == d, d, np.where(b == c, c, np.where(a == b, a, d)))


def _column(values: list[float]) -> Floats:
    return np.array(values, np.float32)[:, None, None]


def _trace(scenes: list[_Scene], size: int) -> tuple[Floats, list[NDArray[np.uint8]], NDArray[np.uint8]]:
    """Linear colour (n, size, size, 3), the labels of each scene's instances, and instance numbers (n, size, size)."""
    count = len(scenes)
    steps = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5) * 2
    reach = np.tan(_column([s.field_of_view for s in scenes]) / 2)
    right, up = steps[None, None, :] * reach, -steps[None, :, None] * reach
    pitch, yaw = _column([s.pitch for s in scenes]), _column([s.yaw for s in scenes])
    forward = np.cos(pitch) - up * np.sin(pitch)
    dy: Floats = np.sin(pitch) + up * np.cos(pitch)
    dx: Floats = right * np.cos(yaw) + forward * np.sin(yaw)
    dz: Floats = forward * np.cos(yaw) - right * np.sin(yaw)
    shape = (count, size, size)
    # No ray runs along a plane: dividing by its direction must stay finite.
    dx, dy, dz = (np.broadcast_to(np.where(np.abs(d) < 1e-6, 1e-6, d), shape).astype(np.float32) for d in (dx, dy, dz))
    width, height, depth = (_column([s.size[k] for s in scenes]) for k in range(3))
    ox, oy, oz = (_column([s.camera[k] for s in scenes]) for k in range(3))

    # The wall that a ray meets first from inside.
    tx = (np.sign(dx) * width / 2 - ox) / dx
    ty = (np.where(dy > 0, height, 0) - oy) / dy
    tz = np.where(dz > 0, (depth - oz) / dz, np.float32(1e9))
    distance = np.minimum(np.minimum(tx, ty), tz)
    plane = np.where(
        distance == tz,
        _BACK,
        np.where(distance == tx, np.where(dx > 0, _RIGHT, _LEFT), np.where(dy > 0, _CEILING, _FLOOR)),
    ).astype(np.uint8)
    x, y, z = ox + distance * dx, oy + distance * dy, oz + distance * dz
    on_side = (plane == _LEFT) | (plane == _RIGHT)
    u = np.where(on_side, z, x)
    v = np.where(plane >= _FLOOR, z, y)

    color, shade = _paint_room(scenes, plane, u, v, y, height, depth, z)
    instance = np.zeros(shape, np.uint8)
    labels: list[list[int]] = [[0] for _ in scenes]
    _paint_rectangles(scenes, plane, u, v, color, shade, instance, labels)
    _paint_cuboids(scenes, (dx, dy, dz), (ox, oy, oz), distance, plane, (x, y, z), color, instance, labels)
    return color, [np.array(names, np.uint8) for names in labels], instance


def _paint_room(
    scenes: list[_Scene],
    plane: NDArray[np.uint8],
    u: Floats,
    v: Floats,
    y: Floats,
    height: Floats,
    depth: Floats,
    z: Floats,
) -> tuple[Floats, Floats]:
    """Colour of walls, floor and ceiling, and the light that falls on each pixel."""
    ambient = _column([s.light for s in scenes])
    # Each plane has a light of its own, corners are darker, and it gets darker towards the viewer.
    facing = np.array([0.95, 0.8, 0.85, 0.9, 1.05], np.float32)[plane]
    corner = 1 - 0.25 * np.exp(-np.minimum(y, height - y) * 4) * (plane < _FLOOR)
    shade = ambient * facing * corner * (0.75 + 0.25 * z / depth) + 0.1
    walls = np.stack([s.walls for s in scenes]).astype(np.float32)[:, None, None]
    floors = np.stack([s.floor for s in scenes]).astype(np.float32)[:, None, None]
    planks = _column([s.planks for s in scenes])
    board = np.where(planks > 0, np.floor(u / np.maximum(planks, 0.05)), 0)
    grain = 1 + 0.16 * np.sin(board * 12.9898 + np.floor(v * 0.8 + board) * 78.233) * (planks > 0)
    is_floor, is_ceiling = (plane == _FLOOR)[..., None], (plane == _CEILING)[..., None]
    color = np.where(is_floor, floors * grain[..., None], np.where(is_ceiling, np.float32(0.85), walls))
    return (color * shade[..., None]).astype(np.float32), shade.astype(np.float32)


def _paint_rectangles(
    scenes: list[_Scene],
    plane: NDArray[np.uint8],
    u: Floats,
    v: Floats,
    color: Floats,
    shade: Floats,
    instance: NDArray[np.uint8],
    labels: list[list[int]],
) -> None:
    for k, scene in enumerate(scenes):
        for rectangle in scene.rectangles:
            hit = plane[k] == rectangle.plane
            hit &= (
                (u[k] >= rectangle.u[0]) & (u[k] < rectangle.u[1]) & (v[k] >= rectangle.v[0]) & (v[k] < rectangle.v[1])
            )
            if not hit.any():
                continue
            a = (u[k][hit] - rectangle.u[0]) / (rectangle.u[1] - rectangle.u[0])
            b = (v[k][hit] - rectangle.v[0]) / (rectangle.v[1] - rectangle.v[0])
            painted = _surface(rectangle, a, b, scene)
            lit = np.float32(1) if rectangle.style == "window" else shade[k][hit][:, None]
            color[k][hit] = painted * lit
            instance[k][hit] = _number(labels[k], rectangle.label)


def _number(labels: list[int], label: str, *, join: bool = False) -> int:
    """The instance number of an object that is being painted; parts of one object share theirs."""
    if not label:
        return 0
    name = OBJECTS.index(label) + 1
    if join and name in labels:
        return labels.index(name)
    labels.append(name)
    return len(labels) - 1


def _surface(rectangle: _Rectangle, a: Floats, b: Floats, scene: _Scene) -> Floats:
    """Colour (n, 3) at places a across and b up a rectangle, both from 0 to 1."""
    base, second = rectangle.color.astype(np.float32), rectangle.second.astype(np.float32)
    across, tall = rectangle.u[1] - rectangle.u[0], rectangle.v[1] - rectangle.v[0]
    edge = np.minimum(np.minimum(a, 1 - a) * across, np.minimum(b, 1 - b) * tall)
    if rectangle.style == "window":
        panes = max(round(across / 0.6), 1)
        bar = np.abs((a * panes) % 1 - 0.5) > 0.5 - 0.025 * panes / across
        bar |= np.abs(b - 0.55) < 0.02 / tall
        sky = np.array(scene.daylight, np.float32) * (0.85 + 0.3 * b)[:, None]
        outside = np.where((b < 0.3 + 0.08 * np.sin(9 * a + 5 * across))[:, None], second * 0.8, sky)
        return np.where(((edge < 0.05) | bar)[:, None], base * 0.9, outside)
    if rectangle.style == "curtain":
        return base * (0.8 + 0.3 * np.sin(a * across * 60))[:, None]
    if rectangle.style == "door":
        panel = (np.abs(a - 0.5) < 0.34) & ((np.abs(b - 0.73) < 0.18) | (np.abs(b - 0.28) < 0.2))
        knob = (np.abs(a - 0.9) < 0.04) & (np.abs(b - 0.48) < 0.02)
        return base * np.where(knob, 1.6, np.where(panel, 0.82, np.where(edge < 0.03, 0.7, 1.0)))[:, None]
    if rectangle.style == "painting":
        blob = np.sin(7 * a + 11 * second[0]) * np.cos(6 * b + 9 * second[1]) > 0.1
        inside = np.where(blob[:, None], second, base)
        return np.where((edge < 0.035)[:, None], np.float32(0.12), inside)
    border = edge < 0.12
    return np.where(border[:, None], second, base * (0.9 + 0.1 * np.sign(np.sin(a * across * 25)))[:, None])


def _paint_cuboids(
    scenes: list[_Scene],
    direction: tuple[Floats, Floats, Floats],
    origin: tuple[Floats, Floats, Floats],
    distance: Floats,
    plane: NDArray[np.uint8],
    place: tuple[Floats, Floats, Floats],
    color: Floats,
    instance: NDArray[np.uint8],
    labels: list[list[int]],
) -> None:
    x, y, z = place
    for k, scene in enumerate(scenes):
        inverse = [1 / d[k] for d in direction]
        start = [float(o[k, 0, 0]) for o in origin]
        _cast_shadows(scene, plane[k], x[k], y[k], z[k], color[k])
        nearest = distance[k].copy()
        for cuboid in scene.cuboids:
            entries, leaves = [], []
            for low, high, o, i in zip(cuboid.low, cuboid.high, start, inverse, strict=True):
                one, other = (low - o) * i, (high - o) * i
                entries.append(np.minimum(one, other))
                leaves.append(np.maximum(one, other))
            enter = np.maximum(np.maximum(entries[0], entries[1]), entries[2])
            leave = np.minimum(np.minimum(leaves[0], leaves[1]), leaves[2])
            hit = (enter < leave) & (enter > 0.05) & (enter < nearest)
            number = _number(labels[k], cuboid.label, join=True)
            if not hit.any():
                continue
            t = enter[hit]
            nearest[hit] = t
            side = np.where(t == entries[1][hit], 1.0, np.where(t == entries[2][hit], 0.78, 0.64))
            lit = scene.light * side + 0.1
            if cuboid.stripes:
                along = start[0] + t * direction[0][k][hit]
                lit = lit * (1 + 0.2 * np.sign(np.sin(along * 2 * np.pi / cuboid.stripes)))
            color[k][hit] = cuboid.color * (lit + cuboid.glow)[:, None]
            instance[k][hit] = number
        for cuboid in scene.cuboids:
            if cuboid.glow:
                middle = [(a + b) / 2 for a, b in zip(cuboid.low, cuboid.high, strict=True)]
                away = sum((start[j] + nearest * direction[j][k] - middle[j]) ** 2 for j in range(3))
                warm = np.array([1.0, 0.85, 0.6], np.float32)
                color[k] += (0.25 * cuboid.glow * np.exp(-away * 1.5))[..., None] * warm * (0.3 + color[k])


def _cast_shadows(scene: _Scene, plane: NDArray[np.uint8], x: Floats, y: Floats, z: Floats, color: Floats) -> None:
    """Darken the floor and walls close to what stands there."""
    dark = np.ones_like(x)
    for cuboid in scene.cuboids:
        (x0, y0, z0), (x1, y1, z1) = cuboid.low, cuboid.high
        if y0 > 0.01 and cuboid.label != "bed":
            continue
        gap = np.hypot(
            np.hypot(np.maximum(np.maximum(x0 - x, x - x1), 0), np.maximum(np.maximum(z0 - z, z - z1), 0)),
            np.maximum(y - y1, 0),
        )
        dark = np.minimum(dark, 1 - 0.45 * np.exp(-gap * 7))
    color *= dark[..., None]
