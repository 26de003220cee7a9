"""The images that a model was trained on, drawn again where a seed is enough to do so."""

from __future__ import annotations

import numpy as np

from dcgan_viz.data.images import ImageSet
from dcgan_viz.errors import UserError
from dcgan_viz.model import Card
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.rooms.drawing import draw_rooms

ROOMS = "procedural rooms"
"""What a card's ``training`` calls the rooms that a model was trained on: ``{"seed": 0, "first": 0, "count": 20000}``."""

HELD_OUT_FIRST = 1_000_000
"""Held-out rooms are numbered from here, or from behind the training rooms if these reach so far."""

BATCH = 256


def is_procedural(card: Card) -> bool:
    """Whether the images that a model was trained on can be drawn again.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> is_procedural(load("bedrooms").card)
    False
    """
    return ROOMS in card.training


def training_rooms(card: Card, progress: Progress = silent) -> ImageSet:
    """The rooms that a model was trained on.

    Raises
    ------
    UserError
        If the card does not say which these are.
    """
    seed, first, count = _rooms(card)
    return _draw(card, seed, first, count, "drawing the training rooms", progress)


def held_out_rooms(card: Card, count: int, progress: Progress = silent) -> ImageSet:
    """Rooms of the same seed that a model was not trained on.

    Raises
    ------
    UserError
        If the card does not say which rooms it was trained on.
    """
    seed, first, trained = _rooms(card)
    return _draw(card, seed, max(HELD_OUT_FIRST, first + trained), count, "drawing other rooms", progress)


def _rooms(card: Card) -> tuple[int, int, int]:
    try:
        rooms = card.training[ROOMS]
        seed, first, count = (int(rooms[key]) for key in ("seed", "first", "count"))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"the card of {card.name} does not say which procedural rooms it was trained on (seed, first and count "
            f'under "{ROOMS}"): give its training images'
        ) from error
    return seed, first, count


def _draw(card: Card, seed: int, first: int, count: int, what: str, progress: Progress) -> ImageSet:
    spec = card.specification.generator
    channels, size = spec.image_channels, spec.image_size
    if channels != 3:
        raise UserError(f"procedural rooms have colours, but {card.name} draws {channels} channel: give its images")
    pixels = np.empty((count, size, size, 3), np.uint8)
    starts = range(0, count, BATCH)
    for start in progress(starts, Stage(what, len(starts), "block")):
        number = min(BATCH, count - start)
        pixels[start : start + number] = draw_rooms(number, size, seed=seed, first=first + start).pixels
    return ImageSet(pixels, tuple(f"room {first + k}" for k in range(count)))
