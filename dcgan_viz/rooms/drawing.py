"""Procedural bedrooms with exact masks: pictures of which it is known where every object is.

A scene is a box of a room with cuboids standing in it and rectangles on its walls and floor.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.annotations.runs import encode_runs
from dcgan_viz.errors import UserError
from dcgan_viz.folders import check_folder, staged_folder
from dcgan_viz.rooms.rendering import render
from dcgan_viz.rooms.scene import OBJECTS as OBJECTS
from dcgan_viz.rooms.scene import compose
from dcgan_viz.versions import versions

ANNOTATIONS_FILE = "annotations.json"
MINIMUM_SIZE, MAXIMUM_SIZE = 32, 256
BATCH = 64
WORTH_PROCESSES = 256 * 64**2
"""Pixels from which on drawing takes longer than starting processes to share it."""

SMALLEST_BOX = 0.002
"""Share of the picture below which the visible part of an object gets no box."""


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
    rooms = [render(compose(seed, number), size) for number in numbers]
    return [np.stack(parts) for parts in zip(*rooms, strict=True)]


def save_rooms(count: int, folder: str | Path, size: int = 64, *, seed: int = 0, overwrite: bool = False) -> Path:
    """Write rooms as ``images/*.png``, ``masks/*.png`` and COCO boxes, all or nothing.

    Parameters
    ----------
    count : int
    folder : path
        Made, or written into beside what lies there.
    size, seed : int
        As in `draw_rooms`.
    overwrite : bool
        Replace files of the same names, whoever wrote them.

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
