"""Blind trials: shuffled pictures of several conditions, and the key to them, which whoever judges does not see.

A trial is a folder. ``pictures/`` and ``trial.json`` are what the judge is shown; ``key.json`` says which picture was
drawn how and is opened only for the report; ``answers.json`` is what has been judged so far.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcgan_viz.data.pixels import read_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.folders import check_folder, staged_folder
from dcgan_viz.untrusted import EXACT, MAXIMUM_CARD, read_json

AnswerKind = Literal["boxes", "yes-no"]

TRIAL_FILE, KEY_FILE, ANSWERS_FILE, PICTURES_FOLDER = "trial.json", "key.json", "answers.json", "pictures"


MAXIMUM_PICTURES = 10_000
"""Nobody judges more; a number beyond is a mistake."""

MAXIMUM_BYTES = 2**30
"""Of all pictures of a trial together."""

REMEDY = "name a folder that holds a blind trial, or make the trial again"


@dataclass(frozen=True)
class _SheetFile:
    """``trial.json``."""

    __pydantic_config__: ClassVar = EXACT

    question: str
    answer_kind: AnswerKind
    count: int
    digest: str

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAXIMUM_PICTURES:
            raise UserError(f"count must be from 1 to {MAXIMUM_PICTURES:,}, not {self.count}")


@dataclass(frozen=True)
class _KeyFile:
    """``key.json``."""

    __pydantic_config__: ClassVar = EXACT

    trial: str
    seed: int
    conditions: tuple[str, ...]
    condition: tuple[int, ...]
    pair: tuple[int, ...]
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        if not self.conditions or len(set(self.conditions)) < len(self.conditions) or self.seed < 0:
            raise UserError("it must name its conditions, each once, and a seed from 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sheet:
    """What the judge of a blind trial is shown, and nothing more.

    Parameters
    ----------
    pictures : ndarray of uint8 (N, H, W, C)
        In the order in which they are judged.
    question : str
        Such as "Draw a box around every window".
    answer_kind : {"boxes", "yes-no"}
        How it is answered: with boxes, none where there is nothing, or with a word. Both allow "unclear".
    """

    pictures: NDArray[np.uint8]
    question: str
    answer_kind: AnswerKind

    @property
    def width(self) -> int:
        """Of a picture, in pixels."""
        return int(self.pictures.shape[2])

    @property
    def height(self) -> int:
        """Of a picture, in pixels."""
        return int(self.pictures.shape[1])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of pictures, question and kind of answer: what a key and answers belong to."""
        state = hashlib.sha256(json.dumps([self.question, self.answer_kind, self.pictures.shape]).encode())
        state.update(np.ascontiguousarray(self.pictures).data)
        return state.hexdigest()


@dataclass(frozen=True, kw_only=True, eq=False)
class BlindTrial(Sheet):
    """A sheet with its key.

    Parameters
    ----------
    pictures, question, answer_kind
        As in `Sheet`.
    conditions : tuple of str
        Names of the ways in which pictures were drawn; the first is what the others are compared with first.
    condition : ndarray of int64 (N,)
        Which of them each picture is of.
    pair : ndarray of int64 (N,)
        Which latent, or other matched set, each picture is of; every one has one picture of every condition.
    seed : int
        Of the shuffle.
    settings : mapping
        How the pictures were drawn, as plain data; part of the result.
    """

    conditions: tuple[str, ...]
    condition: NDArray[np.int64]
    pair: NDArray[np.int64]
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)


def prepare_trial(
    pictures: Mapping[str, NDArray[np.uint8]],
    question: str,
    answer_kind: AnswerKind,
    *,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> BlindTrial:
    """Shuffle pictures so that their order says nothing of how they were drawn.

    The order is random, but no two pictures of one latent stand next to each other, where they would be compared.

    Parameters
    ----------
    pictures : mapping of str to ndarray of uint8 (L, H, W, C)
        By condition; picture l of every condition is drawn from the same latent or otherwise matched. What all others
        are compared with comes first.
    question : str
        What the judge is asked, the same for all pictures.
    answer_kind : {"boxes", "yes-no"}
    settings : mapping, optional
        How the pictures were drawn, as plain data.
    seed : int
        Of the shuffle.

    Returns
    -------
    BlindTrial

    Raises
    ------
    UserError
        If there are fewer than two conditions or latents, or the conditions' pictures differ in number or size.

    Examples
    --------
    >>> drawn, edited = np.zeros((3, 8, 8, 3), np.uint8), np.ones((3, 8, 8, 3), np.uint8)
    >>> trial = prepare_trial({"as drawn": drawn, "edited": edited}, "Is there a window?", "yes-no")
    >>> trial.pictures.shape
    (6, 8, 8, 3)
    >>> bool((trial.pair[1:] == trial.pair[:-1]).any())
    False
    """
    if answer_kind not in get_args(AnswerKind):
        raise UserError(f"{answer_kind!r} is not a kind of answer: choose from {', '.join(get_args(AnswerKind))}")
    shapes = {name: array.shape for name, array in pictures.items()}
    if len(pictures) < 2:
        raise UserError(f"a blind trial compares at least two conditions, and {len(pictures)} was given")
    if len(set(shapes.values())) > 1:
        raise UserError(f"every latent must be drawn once under every condition, alike in size, but there are {shapes}")
    latents = next(iter(shapes.values()))[0]
    if latents < 2:
        raise UserError(f"{latents} latent gives the conditions away: draw at least 2")
    condition, pair = (axis.ravel() for axis in np.indices((len(pictures), latents)))
    order = _shuffle(pair, seed)
    return BlindTrial(
        pictures=np.concatenate(list(pictures.values()))[order],
        question=question,
        answer_kind=answer_kind,
        conditions=tuple(pictures),
        condition=condition[order],
        pair=pair[order],
        seed=seed,
        settings=dict(settings or {}),
    )


def _shuffle(pair: NDArray[np.int64], seed: int) -> list[int]:
    """A random order in which no two neighbours are of one pair."""
    random = np.random.default_rng(seed)
    while True:
        deck: list[int] = random.permutation(len(pair)).tolist()
        order: list[int] = []
        while deck:
            # The next card of the deck, unless it is of the pair that lies on the table.
            fitting = (place for place, card in enumerate(deck) if not order or pair[card] != pair[order[-1]])
            place = next(fitting, None)
            if place is None:
                break
            order.append(deck.pop(place))
        else:
            return order


def check_trial_folder(folder: str | Path, overwrite: bool = False) -> None:
    """Refuse a folder in which `save_trial` would find something in its way, before anything is drawn.

    Raises
    ------
    UserError
        As in `save_trial`.
    """
    path = Path(folder)
    if (path / ANSWERS_FILE).exists():
        raise UserError(f"{path} holds a trial with answers, which would be lost: choose another folder")
    check_folder(path, "BlindTrial", (TRIAL_FILE, KEY_FILE, f"{PICTURES_FOLDER}/{_picture_name(0)}"), overwrite)


def save_trial(trial: BlindTrial, folder: str | Path, overwrite: bool = False) -> Path:
    """Write a trial as a folder, ready to be judged by ``dcgan-viz blind``.

    Parameters
    ----------
    trial : BlindTrial
        From `prepare_trial`.
    folder : path
        Made, or written into beside what lies there.
    overwrite : bool
        Replace an earlier trial and files of the same names, whoever wrote them; answers never.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UserError
        If the folder holds answers, somebody else's file has one of the names, or the folder cannot be written.
    """
    path = Path(folder)
    check_trial_folder(path, overwrite)
    sheet = {"question": trial.question, "answer_kind": trial.answer_kind, "count": len(trial.pictures)}
    key = {
        "trial": trial.digest,
        "seed": trial.seed,
        "conditions": trial.conditions,
        "condition": trial.condition.tolist(),
        "pair": trial.pair.tolist(),
        "settings": trial.settings,
    }
    with staged_folder(path, "BlindTrial", overwrite=overwrite) as stage:
        (stage / PICTURES_FOLDER).mkdir()
        for index, picture in enumerate(trial.pictures):
            image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
            image.save(stage / PICTURES_FOLDER / _picture_name(index))
        (stage / TRIAL_FILE).write_text(json.dumps({**sheet, "digest": trial.digest}, indent=1) + "\n")
        (stage / KEY_FILE).write_text(json.dumps(key) + "\n")
    return path


def load_sheet(folder: str | Path) -> Sheet:
    """Read what the judge of a trial is shown; the key is not opened.

    Parameters
    ----------
    folder : path
        From `save_trial`.

    Returns
    -------
    Sheet

    Raises
    ------
    UserError
        If the folder is no trial, or a file in it is missing, damaged or not the one that was written.
    """
    path = Path(folder)
    data = read_json(path / TRIAL_FILE, _SheetFile, "is damaged", REMEDY, MAXIMUM_CARD)
    sheet = Sheet(
        pictures=_read_pictures(path / PICTURES_FOLDER, data.count),
        question=data.question,
        answer_kind=data.answer_kind,
    )
    if sheet.digest != data.digest:
        raise UserError(f"the pictures or the question of {path} are not those that were written: make the trial again")
    return sheet


def load_trial(folder: str | Path) -> BlindTrial:
    """Read a trial with its key, for the report.

    Parameters
    ----------
    folder : path
        From `save_trial`.

    Returns
    -------
    BlindTrial

    Raises
    ------
    UserError
        If the folder is no trial, or a file in it is missing, damaged or of another trial.
    """
    sheet, path = load_sheet(folder), Path(folder) / KEY_FILE
    key = read_json(path, _KeyFile, "is damaged", REMEDY, MAXIMUM_CARD)
    if key.trial != sheet.digest:
        raise UserError(f"{path} is the key of another trial: put back its own, or make the trial again")
    trial = BlindTrial(
        pictures=sheet.pictures,
        question=sheet.question,
        answer_kind=sheet.answer_kind,
        conditions=key.conditions,
        condition=np.array(key.condition, np.int64),
        pair=np.array(key.pair, np.int64),
        seed=key.seed,
        settings=key.settings,
    )
    conditions = len(trial.conditions)
    latents = len(sheet.pictures) // conditions
    every = {(condition, pair) for condition in range(conditions) for pair in range(latents)}
    named = list(zip(trial.condition.tolist(), trial.pair.tolist(), strict=False))
    if not len(named) == len(trial.pair) == len(trial.condition) == len(sheet.pictures) or {*named} != every:
        raise UserError(f"{path} does not name every latent once under every condition: make the trial again")
    return trial


def _picture_name(index: int) -> str:
    return f"{index:05}.png"


def _read_pictures(folder: Path, count: int) -> NDArray[np.uint8]:
    """All pictures (N, H, W, C) of a trial, whose sizes are looked at before they are decoded."""
    pictures: NDArray[np.uint8] | None = None
    for index in range(count):
        try:
            pixels = read_pixels(folder / _picture_name(index))
        except UserError as error:
            raise UserError(f"{error}: make the trial again") from error
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        if pictures is None:
            if count * pixels.size > MAXIMUM_BYTES:
                raise UserError(
                    f"{folder} would hold {count:,} pictures of {pixels.size:,} bytes: that is not a blind trial"
                )
            pictures = np.empty((count, *pixels.shape), np.uint8)
        if pixels.shape != pictures.shape[1:]:
            raise UserError(
                f"{folder / _picture_name(index)} is not of the size of the first picture: make the trial again"
            )
        pictures[index] = pixels
    assert pictures is not None
    return pictures
