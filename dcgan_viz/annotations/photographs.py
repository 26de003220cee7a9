"""Boxes around an object on a user's own photographs, as COCO JSON that says which photographs they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from dcgan_viz.annotations import coco
from dcgan_viz.annotations.boxes import Box, coco_objects
from dcgan_viz.data.decoding import Entry, UnreadableError, upright_size
from dcgan_viz.data.images import evenly_spaced, some
from dcgan_viz.data.sources import Source
from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file, json_holds, refuse_existing
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.untrusted import LENIENT, read_json, shown
from dcgan_viz.words import counted

MAXIMUM_PHOTOGRAPHS = 20_000


@dataclass(frozen=True)
class Photograph:
    """What a photograph is known by.

    Parameters
    ----------
    name : str
        Its place in the folder or archive.
    digest : str
        SHA-256 of its file.
    width, height : int
        In pixels, the right way up.
    """

    name: str
    digest: str
    width: int
    height: int


@dataclass(frozen=True)
class PhotographBoxes:
    """Boxes on photographs.

    Parameters
    ----------
    boxes : tuple of Box
        In pixels of the photographs the right way up.
    looked_for : tuple of str
        The objects that were looked for in every photograph.
    photographs : tuple of Photograph
        Those that `Box.image` counts.
    contributor, method : str
        Who drew the boxes, and how.
    reviewed : tuple of int
        The photographs that were looked at, in ascending order.
    """

    boxes: tuple[Box, ...]
    looked_for: tuple[str, ...]
    photographs: tuple[Photograph, ...]
    contributor: str
    method: str
    reviewed: tuple[int, ...]

    def reviewed_images(self) -> tuple[int, ...]:
        """The photographs that were looked at, in ascending order."""
        return self.reviewed


@dataclass(frozen=True)
class _Picture(coco.Picture):
    __pydantic_config__: ClassVar = LENIENT

    sha256: str = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.file_name is None or self.width is None:
            raise UserError("file_name, width and height are needed")


@dataclass(frozen=True)
class _Info:
    __pydantic_config__: ClassVar = LENIENT

    photographs: int
    method: str
    reviewed: tuple[int, ...]


@dataclass(frozen=True)
class _Origin:
    __pydantic_config__: ClassVar = LENIENT

    contributor: str
    dcgan_viz: _Info


@dataclass(frozen=True)
class _File(coco.Coco):
    __pydantic_config__: ClassVar = LENIENT

    images: tuple[_Picture, ...]
    info: _Origin = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        count = self.info.dcgan_viz.photographs
        if not 1 <= count <= MAXIMUM_PHOTOGRAPHS or [image.id for image in self.images] != list(range(count)):
            raise UserError(f"images are numbered from 0, as many as info.dcgan_viz.photographs says ({count})")
        outside = [index for index in self.info.dcgan_viz.reviewed if not 0 <= index < count]
        if outside:
            raise UserError(f"photograph {outside[0]} was reviewed, and the {count} photographs are numbered from 0")


def identify(source: Source, limit: int | None = None, *, progress: Progress = silent) -> tuple[Photograph, ...]:
    """What the photographs of a source are known by.

    Parameters
    ----------
    source : Source
        From `open_images`.
    limit : int, optional
        Take at most this many, evenly spread.
    progress : Progress

    Raises
    ------
    UserError
        If one cannot be read, or there are more than 20,000.
    """
    chosen = evenly_spaced(len(source), limit)
    if len(chosen) > MAXIMUM_PHOTOGRAPHS:
        raise UserError(f"{source.path} holds {len(chosen):,} pictures, more than {MAXIMUM_PHOTOGRAPHS:,}: take fewer")
    found = []
    for index in progress(chosen, Stage("reading photographs", len(chosen), "image")):
        try:
            entry = source.entry(index)
            found.append(Photograph(source.names[index], _digest(entry), *upright_size(entry)))
        except UnreadableError as error:
            raise UserError(
                f"{shown(source.names[index], quoted=False)} in {source.path} is not a readable image: {error}"
            ) from error
    return tuple(found)


def locate(photographs: Sequence[Photograph], source: Source) -> tuple[int, ...]:
    """The places of photographs in a source, wherever they have been moved and however they are called there.

    Raises
    ------
    UserError
        If one is not there, or has changed.
    """
    digests: dict[int, str] = {}

    def digest(index: int) -> str:
        try:
            return digests.setdefault(index, _digest(source.entry(index)))
        except UnreadableError:
            return ""

    by_name = {name: index for index, name in enumerate(source.names)}
    places = [by_name.get(p.name) for p in photographs]
    same = [place is not None and digest(place) == p.digest for place, p in zip(places, photographs, strict=True)]
    if not all(same):
        by_digest = {digest(index): index for index in range(len(source))}
        places = [by_digest.get(p.digest) for p in photographs]
    lost = [
        f"{shown(p.name, quoted=False)} {'has changed' if p.name in by_name else 'is not there'}"
        for p, place in zip(photographs, places, strict=True)
        if place is None
    ]
    if lost:
        raise UserError(
            f"{len(lost)} of the {len(photographs)} photographs that were annotated are not in {source.path} "
            f"({some(lost)}): boxes hold for the very pictures on which they were drawn"
        )
    return tuple(place for place in places if place is not None)


def _digest(entry: Entry) -> str:
    if isinstance(entry, np.ndarray):
        return hashlib.sha256(f"{entry.shape}".encode() + entry.tobytes()).hexdigest()
    if isinstance(entry, bytes):
        return hashlib.sha256(entry).hexdigest()
    try:
        with entry.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableError(str(error.strerror)) from error


def load_photograph_boxes(path: str | Path) -> PhotographBoxes:
    """Read COCO JSON that `save_photograph_boxes` wrote.

    Raises
    ------
    UserError
        If the file is missing or damaged, is about something else, or a box does not lie in its photograph.
    """
    file = Path(path)
    remedy = "draw some with dcgan-viz annotate --images"
    data = read_json(file, _File, "is not readable COCO JSON of boxes on photographs", remedy)
    labels = {category.id: category.name for category in data.categories}
    try:
        return PhotographBoxes(
            boxes=tuple(_read_box(entry, labels, data.images) for entry in data.annotations),
            looked_for=tuple(dict.fromkeys(labels.values())),
            photographs=tuple(
                Photograph(p.file_name or "", p.sha256, int(p.width or 0), int(p.height or 0)) for p in data.images
            ),
            contributor=data.info.contributor,
            method=data.info.dcgan_viz.method,
            reviewed=tuple(sorted(set(data.info.dcgan_viz.reviewed))),
        )
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def _read_box(entry: coco.Annotation, labels: dict[coco.Id, str], pictures: Sequence[_Picture]) -> Box:
    # The numbers of the pictures were checked to be their places.
    index = int(entry.image_id)
    picture = pictures[index]
    if entry.bbox is None:
        raise UserError(f"{entry.name} has no bbox")
    left, top, width, height = entry.bbox
    inside = left >= 0 and top >= 0 and left + width <= (picture.width or 0) and top + height <= (picture.height or 0)
    if not (inside and width > 0 and height > 0):
        raise UserError(f"the box of {entry.name}, {[*entry.bbox]}, does not lie in its photograph: correct it")
    return Box(index, labels[entry.category_id], left, top, width, height)


def save_photograph_boxes(boxes: PhotographBoxes, path: str | Path) -> Path:
    """Write boxes as COCO JSON, with the digest of each photograph.

    Such boxes that are there already are replaced.

    Raises
    ------
    UserError
        If another file is there, or it cannot be written.
    """
    target = Path(path)
    refuse_existing(target, is_ours=lambda file: json_holds(file, "info", "dcgan_viz", "photographs"))
    data = {
        "info": {
            "description": f"{', '.join(boxes.looked_for)} in {counted(len(boxes.photographs), 'photograph')}",
            "contributor": boxes.contributor,
            "dcgan_viz": {
                "photographs": len(boxes.photographs),
                "method": boxes.method,
                "reviewed": boxes.reviewed,
            },
        },
        "licenses": [],
        "images": [
            {"id": index, "file_name": p.name, "width": p.width, "height": p.height, "sha256": p.digest}
            for index, p in enumerate(boxes.photographs)
        ],
        **coco_objects(boxes.boxes, boxes.looked_for),
    }
    with atomic_file(target) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n")
    return target
