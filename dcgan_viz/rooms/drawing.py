"""Procedural bedrooms with exact masks: pictures of which it is known where every object is.

A scene is a box of a room with cuboids standing in it and rectangles on its walls and floor. Every pixel is a ray, and
all rays are met with one object at once, so that NumPy does the work: within the part of the picture that can show it.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.annotations.runs import encode_runs
from dcgan_viz.errors import UserError
from dcgan_viz.folders import check_folder, staged_folder
from dcgan_viz.versions import versions

OBJECTS = ("window", "bed", "lamp", "painting", "door", "rug")
"""Label k of a mask is ``OBJECTS[k - 1]``; 0 is the room itself and furniture without a name."""

ANNOTATIONS_FILE = "annotations.json"
MINIMUM_SIZE, MAXIMUM_SIZE = 32, 256
BATCH = 64
WORTH_PROCESSES = 256 * 64**2
"""Pixels from which on drawing takes longer than starting processes to share it."""

SMALLEST_BOX = 0.002
"""Share of the picture below which the visible part of an object gets no box."""

Floats = NDArray[np.floating[Any]]
_Triple = tuple[float, float, float]
_Window = tuple[slice, slice]

_NEAR = 0.05
"""Metres from the viewer within which nothing is seen."""

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
    low: _Triple
    high: _Triple
    label: str
    color: NDArray[np.float64]
    stripes: float = 0.0
    glow: float = 0.0


@dataclass
class _Scene:
    """A room with what is in it, in metres: x to the right, y up, z away from the viewer."""

    size: _Triple
    camera: _Triple
    yaw: float
    pitch: float
    field_of_view: float
    walls: NDArray[np.float64]
    floor: NDArray[np.float64]
    planks: float
    light: float
    daylight: _Triple
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
    batches = [range(k, min(k + BATCH, first + count)) for k in range(first, first + count, BATCH)]
    # Threads would wait for the interpreter's lock: the arrays are too small to keep NumPy out of it for long.
    jobs = cpu_count() if count * size**2 >= WORTH_PROCESSES else 1
    drawn = Parallel(n_jobs=jobs)(delayed(_draw)(numbers, size, seed) for numbers in batches)
    return Rooms(*(np.concatenate(parts) for parts in zip(*drawn, strict=True)))


def _draw(numbers: range, size: int, seed: int) -> list[NDArray[np.uint8]]:
    rooms = [_render(_compose(seed, number), size) for number in numbers]
    return [np.stack(parts) for parts in zip(*rooms, strict=True)]


def save_rooms(count: int, folder: str | Path, size: int = 64, *, seed: int = 0, overwrite: bool = False) -> Path:
    """Write rooms as ``images/*.png``, ``masks/*.png`` and COCO boxes, all or nothing.

    Parameters
    ----------
    count : int
    folder : path
        Made, or written into; of what lies there only earlier rooms are replaced.
    size, seed : int
        As in `draw_rooms`.
    overwrite : bool
        Replace files of the same names, whosever they are.

    Returns
    -------
    Path

    Raises
    ------
    UserError
        As `draw_rooms`; also if somebody else's file has one of the names, the folder cannot be written, or the disk
        is full.
    """
    path = Path(folder)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    first = (f"{name}/{_room_name(0)}" for name in ("images", "masks"))
    check_folder(path, "Rooms", (ANNOTATIONS_FILE, *first), overwrite)
    with staged_folder(path, "Rooms", overwrite=overwrite) as stage, ThreadPoolExecutor(os.cpu_count()) as pool:
        for name in ("images", "masks"):
            (stage / name).mkdir()
        for start in range(0, count, 64 * BATCH):
            rooms = draw_rooms(min(64 * BATCH, count - start), size, seed=seed, first=start)
            numbers = range(start, start + len(rooms.pixels))
            list(pool.map(lambda k, r=rooms, s=start: _save(r, k - s, stage, _room_name(k)), numbers))
            for number in numbers:
                images.append({"id": number, "file_name": _room_name(number), "width": size, "height": size})
                annotations.extend(_boxes(rooms, number - start, number, len(annotations) + 1))
        data = {
            "info": {"description": f"{count} procedural bedrooms", "seed": seed, "versions": versions()},
            "images": images,
            "categories": [{"id": k, "name": name} for k, name in enumerate(OBJECTS, start=1)],
            "annotations": annotations,
        }
        (stage / ANNOTATIONS_FILE).write_text(json.dumps(data) + "\n")
    return path


def _room_name(number: int) -> str:
    return f"room-{number:06}.png"


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
            "segmentation": {"size": list(visible.shape), "counts": encode_runs(visible)},
            "iscrowd": 0,
        }
        number += 1


# --- what is in a room -------------------------------------------------------------------------------------------


def _color(
    random: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> NDArray[np.float64]:
    """A colour in linear RGB."""
    hue, s, v = random.random(), random.uniform(*saturation), random.uniform(*value)
    wheel = (min(max(abs((hue * 6 + turn) % 6 - 3) - 1, 0), 1) for turn in (0, 4, 2))
    return np.array([v * (1 - s + s * share) for share in wheel])


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
        # A NumPy number, so what stands beside the bed is traced in float64; the pictures hang on it to the last bit.
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


@dataclass
class _View:
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
class _Canvas:
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


def _render(scene: _Scene, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Pixels, mask and instances of one room, from four rays a pixel."""
    view = _look(scene, 2 * size)
    canvas, shade = _paint_room(scene, view)
    flat, solid = _windows(scene, 2 * size)
    _paint_rectangles(scene, flat, view, canvas, shade)
    _cast_shadows(scene, view, canvas)
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


def _look(scene: _Scene, size: int) -> _View:
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
    sides, ends = np.array([_LEFT, _RIGHT], np.uint8), np.array([_FLOOR, _CEILING], np.uint8)
    plane = np.where(distance == tx, np.where(dx > 0, sides[1], sides[0]), np.where(dy > 0, ends[1], ends[0]))
    plane[distance == tz] = _BACK
    return _View(
        (float(ox), float(oy), float(oz)),
        (dx, dy, dz),
        distance,
        plane,
        (ox + distance * dx, oy + distance * dy, oz + distance * dz),
    )


def _windows(scene: _Scene, size: int) -> tuple[list[_Window], list[_Window]]:
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
    windows = [(slice(r0, r1), slice(c0, c1)) for (r0, c0), (r1, c1) in zip(first, last, strict=True)]
    return windows[: len(scene.rectangles)], windows[len(scene.rectangles) :]


def _paint_room(scene: _Scene, view: _View) -> tuple[_Canvas, Floats]:
    """Walls, floor and ceiling, and the light that falls on each pixel."""
    x, y, z = view.place
    height, depth = np.float32(scene.size[1]), np.float32(scene.size[2])
    # Each plane has a light of its own, corners are darker, and it gets darker towards the viewer.
    facing = np.float32(scene.light) * np.array([0.95, 0.8, 0.85, 0.9, 1.05], np.float32)
    corner = 1 - 0.25 * np.exp(-np.minimum(y, height - y) * 4) * (view.plane < _FLOOR)
    shade = facing[view.plane] * corner * (0.75 + 0.25 * z / depth) + 0.1
    plain = np.stack([scene.walls] * 3 + [scene.floor, np.full(3, 0.85)], axis=1).astype(np.float32)
    color = plain.take(view.plane, axis=1)
    if scene.planks:
        floor = view.plane == _FLOOR
        board = np.floor(x[floor] / np.float32(scene.planks))
        grain = 1 + 0.16 * np.sin(board * 12.9898 + np.floor(z[floor] * 0.8 + board) * 78.233)
        for channel, strength in zip(color, plain[:, _FLOOR], strict=True):
            channel[floor] = strength * grain
    color *= shade
    return _Canvas(color, np.zeros(view.plane.shape, np.uint8), [0]), shade


def _paint_rectangles(scene: _Scene, windows: list[_Window], view: _View, canvas: _Canvas, shade: Floats) -> None:
    x, y, z = view.place
    for rectangle, window in zip(scene.rectangles, windows, strict=True):
        u = (z if rectangle.plane in (_LEFT, _RIGHT) else x)[window]
        v = (z if rectangle.plane == _FLOOR else y)[window]
        hit = view.plane[window] == rectangle.plane
        hit &= (u >= rectangle.u[0]) & (u < rectangle.u[1]) & (v >= rectangle.v[0]) & (v < rectangle.v[1])
        if not hit.any():
            continue
        a = (u[hit] - rectangle.u[0]) / (rectangle.u[1] - rectangle.u[0])
        b = (v[hit] - rectangle.v[0]) / (rectangle.v[1] - rectangle.v[0])
        painted = _surface(rectangle, a, b, scene)
        if rectangle.style != "window":
            painted = painted * shade[window][hit]
        for channel, values in zip(canvas.color, painted, strict=True):
            channel[window][hit] = values
        canvas.instance[window][hit] = canvas.number(rectangle.label)


def _extent(rectangle: _Rectangle, scene: _Scene) -> tuple[_Triple, _Triple]:
    """The corners of a rectangle in the room."""
    width, _, depth = scene.size
    (u0, u1), (v0, v1) = rectangle.u, rectangle.v
    if rectangle.plane == _BACK:
        return (u0, v0, depth), (u1, v1, depth)
    if rectangle.plane == _FLOOR:
        return (u0, 0.0, v0), (u1, 0.0, v1)
    side = -width / 2 if rectangle.plane == _LEFT else width / 2
    return (side, v0, u0), (side, v1, u1)


def _surface(rectangle: _Rectangle, a: Floats, b: Floats, scene: _Scene) -> Floats:
    """Colour (3, n) at places a across and b up a rectangle, both from 0 to 1."""
    base, second = rectangle.color.astype(np.float32)[:, None], rectangle.second.astype(np.float32)[:, None]
    across, tall = rectangle.u[1] - rectangle.u[0], rectangle.v[1] - rectangle.v[0]
    edge = np.minimum(np.minimum(a, 1 - a) * across, np.minimum(b, 1 - b) * tall)
    if rectangle.style == "window":
        panes = max(round(across / 0.6), 1)
        bar = np.abs((a * panes) % 1 - 0.5) > 0.5 - 0.025 * panes / across
        bar |= np.abs(b - 0.55) < 0.02 / tall
        sky = np.array(scene.daylight, np.float32)[:, None] * (0.85 + 0.3 * b)
        outside = np.where(b < 0.3 + 0.08 * np.sin(9 * a + 5 * across), second * 0.8, sky)
        return np.where((edge < 0.05) | bar, base * 0.9, outside)
    if rectangle.style == "curtain":
        return base * (0.8 + 0.3 * np.sin(a * across * 60))
    if rectangle.style == "door":
        panel = (np.abs(a - 0.5) < 0.34) & ((np.abs(b - 0.73) < 0.18) | (np.abs(b - 0.28) < 0.2))
        knob = (np.abs(a - 0.9) < 0.04) & (np.abs(b - 0.48) < 0.02)
        return base * np.where(knob, 1.6, np.where(panel, 0.82, np.where(edge < 0.03, 0.7, 1.0)))
    if rectangle.style == "painting":
        blob = np.sin(7 * a + 11 * second[0]) * np.cos(6 * b + 9 * second[1]) > 0.1
        return np.where(edge < 0.035, np.float32(0.12), np.where(blob, second, base))
    return np.where(edge < 0.12, second, base * (0.9 + 0.1 * np.sign(np.sin(a * across * 25))))


def _cast_shadows(scene: _Scene, view: _View, canvas: _Canvas) -> None:
    """Darken the floor and walls close to what stands there: by the darkest shadow, that of the nearest cuboid."""
    standing = [c for c in scene.cuboids if c.low[1] <= 0.01 or c.label == "bed"]
    if not standing:
        return
    x, y, z = (p.ravel() for p in view.place)
    # Exact distances are dear. Rough ones (squared) tell which cuboids may cast the darkest shadow on a pixel.
    rough = []
    for cuboid in standing:
        squares = np.square(x - x.clip(float(cuboid.low[0]), float(cuboid.high[0])))
        squares += np.square(z - z.clip(float(cuboid.low[2]), float(cuboid.high[2])))
        squares += np.square(y - np.minimum(y, cuboid.high[1]))
        rough.append(squares)
    darkest = np.exp(np.sqrt(functools.reduce(np.minimum, rough)) * -7)
    # What is as dark but for rounding; a shadow of less than half of float32's resolution leaves the colour as it is.
    reach = np.square(np.log(np.maximum(darkest * (1 - 4e-6) - 3e-7, 6e-8)) / 7)
    dark = np.ones(len(x))
    for cuboid, squares in zip(standing, rough, strict=True):
        (x0, _, z0), (x1, y1, z1) = cuboid.low, cuboid.high
        here = np.flatnonzero(squares <= reach)
        a, b, c = x[here], y[here], z[here]
        aside = np.hypot(np.maximum(np.maximum(x0 - a, a - x1), 0), np.maximum(np.maximum(z0 - c, c - z1), 0))
        gap = np.hypot(aside, np.maximum(b - y1, 0))
        dark[here] = np.minimum(dark[here], 1 - 0.45 * np.exp(-gap * 7))
    canvas.color *= dark.reshape(view.plane.shape)


def _paint_cuboids(scene: _Scene, windows: list[_Window], view: _View, canvas: _Canvas) -> None:
    origin, direction = view.origin, view.direction
    nearest = view.distance.copy()
    inverse = [1 / d for d in direction]
    for cuboid, window in zip(scene.cuboids, windows, strict=True):
        number = canvas.number(cuboid.label, join=True)
        parts = (inverse[0][window], inverse[1][window[0]], inverse[2][window])
        entries, leaves = [], []
        for low, high, o, i in zip(cuboid.low, cuboid.high, origin, parts, strict=True):
            one, other = (low - o) * i, (high - o) * i
            entries.append(np.minimum(one, other))
            leaves.append(np.maximum(one, other))
        enter = np.maximum(np.maximum(entries[0], entries[1]), entries[2])
        leave = np.minimum(np.minimum(leaves[0], leaves[1]), leaves[2])
        hit = (enter < leave) & (enter > _NEAR) & (enter < nearest[window])
        if not hit.any():
            continue
        t = enter[hit]
        side = np.where(enter == entries[1], 1.0, np.where(enter == entries[2], 0.78, 0.64))[hit]
        lit = scene.light * side + 0.1
        if cuboid.stripes:
            along = origin[0] + t * direction[0][window][hit]
            lit = lit * (1 + 0.2 * np.sign(np.sin(along * 2 * np.pi / cuboid.stripes)))
        lit = lit + cuboid.glow
        for channel, strength in zip(canvas.color, cuboid.color, strict=True):
            channel[window][hit] = strength * lit
        canvas.instance[window][hit] = number
        nearest[window][hit] = t
    for cuboid in scene.cuboids:
        if cuboid.glow:
            middle = [(a + b) / 2 for a, b in zip(cuboid.low, cuboid.high, strict=True)]
            away = sum((o + nearest * d - m) ** 2 for o, d, m in zip(origin, direction, middle, strict=True))
            light = 0.25 * cuboid.glow * np.exp(-away * 1.5)
            for channel, warm in zip(canvas.color, np.array([1.0, 0.85, 0.6], np.float32), strict=True):
                channel += light * warm * (0.3 + channel)
