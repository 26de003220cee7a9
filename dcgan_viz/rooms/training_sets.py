"""The images that a model was trained on: drawn again where a seed is enough to do so, or kept beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dcgan_viz.data.images import ImageSet, load_images
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.rooms.drawing import draw_rooms

ROOMS = "procedural rooms"
"""What a card's ``training`` calls the rooms that a model was trained on: ``{"seed": 0, "first": 0, "count": 20000}``."""

TRAINING_FILE, HELD_OUT_FILE = "training-images.zip", "held-out-images.zip"
"""Where a model's folder keeps the images that it was trained on, if these are few, and others of their kind."""

HELD_OUT_FIRST = 1_000_000
"""Held-out rooms are numbered from here, or from behind the training rooms if these reach so far."""

BATCH = 256


def has_training_images(model: DCGAN) -> bool:
    """Whether the images that a model was trained on come with it, or can be drawn again.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> has_training_images(load("bedrooms")), has_training_images(load("rooms"))
    (False, True)
    """
    return ROOMS in model.card.training or _kept(model, TRAINING_FILE) is not None


def training_images(model: DCGAN, progress: Progress = silent, most: int | None = None) -> ImageSet:
    """The images that a model was trained on; of rooms the first `most`, since to draw tens of thousands takes minutes.

    Raises
    ------
    UserError
        If they neither come with the model nor does its card say from which seed to draw them.
    """
    kept = _kept(model, TRAINING_FILE)
    if kept is not None:
        return _load(model, kept, progress)
    seed, first, count = _rooms(model)
    drawn = count if most is None else min(count, most)
    return _draw(model, seed, first, drawn, "drawing the training rooms", progress)


def count_training_images(model: DCGAN) -> int | None:
    """How many rooms a model was trained on; None where images are kept beside it.

    Raises
    ------
    UserError
        As `training_images`.
    """
    return None if _kept(model, TRAINING_FILE) is not None else _rooms(model)[2]


def held_out_images(model: DCGAN, count: int, progress: Progress = silent) -> ImageSet:
    """Images of the same kind that a model was not trained on; fewer than `count` where fewer are kept.

    Raises
    ------
    UserError
        As `training_images`.
    """
    kept = _kept(model, HELD_OUT_FILE)
    if kept is not None:
        images = _load(model, kept, progress)
        return ImageSet(images.pixels[:count], images.names[:count])
    seed, first, trained = _rooms(model)
    return _draw(model, seed, max(HELD_OUT_FIRST, first + trained), count, "drawing other rooms", progress)


def _kept(model: DCGAN, name: str) -> Path | None:
    path = model.folder / name if model.folder else None
    return path if path is not None and path.is_file() else None


def _load(model: DCGAN, path: Path, progress: Progress) -> ImageSet:
    channels, size, _ = model.image_shape
    return load_images(path, size, channels, progress=progress)


def _rooms(model: DCGAN) -> tuple[int, int, int]:
    try:
        rooms = model.card.training[ROOMS]
        seed, first, count = (int(rooms[key]) for key in ("seed", "first", "count"))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"the card of {model.card.name} does not say which procedural rooms it was trained on (seed, first and "
            f'count under "{ROOMS}"), and no images are kept beside it: give its training images'
        ) from error
    return seed, first, count


def _draw(model: DCGAN, seed: int, first: int, count: int, what: str, progress: Progress) -> ImageSet:
    channels, size, _ = model.image_shape
    if channels != 3:
        raise UserError(
            f"procedural rooms have colours, but {model.card.name} draws {channels} channel: give its images"
        )
    pixels = np.empty((count, size, size, 3), np.uint8)
    starts = range(0, count, BATCH)
    for start in progress(starts, Stage(what, len(starts), "block")):
        number = min(BATCH, count - start)
        pixels[start : start + number] = draw_rooms(number, size, seed=seed, first=first + start).pixels
    return ImageSet(pixels, tuple(f"room {first + k}" for k in range(count)))
