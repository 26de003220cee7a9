"""Boxes around objects in a model's samples, as COCO JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.annotations.coco import Annotation, Coco
from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file, json_holds, refuse_existing, say_replaced
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.spec import MAXIMUM_SIDE
from dcgan_viz.untrusted import LENIENT, read_json, shown
from dcgan_viz.words import counted

MAXIMUM_SAMPLES = 100_000
"""Samples that one file can be about; nobody looks at more."""


@dataclass(frozen=True)
class Box:
    """One object in one picture, in pixels of that picture.

    Parameters
    ----------
    image : int
        Index of the sample.
    label : str
        What the object is.
    left, top, width, height : float
        As in COCO: the corner, then the sides.
    """

    image: int
    label: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class _Info:
    __pydantic_config__: ClassVar = LENIENT

    count: int
    seed: int
    size: int
    generator_digest: str
    method: str
    reviewed: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAXIMUM_SAMPLES or self.seed < 0 or not 1 <= self.size <= MAXIMUM_SIDE:
            raise UserError(
                f"seed {self.seed}, count {self.count} and size {self.size} are not those of 1 to {MAXIMUM_SAMPLES:,} "
                f"samples of up to {MAXIMUM_SIDE} pixels a side"
            )
        outside = [index for index in self.reviewed or () if not 0 <= index < self.count]
        if outside:
            raise UserError(f"sample {outside[0]} was reviewed, and the {self.count} samples are numbered from 0")


@dataclass(frozen=True)
class _Origin:
    __pydantic_config__: ClassVar = LENIENT

    contributor: str
    dcgan_viz: _Info


@dataclass(frozen=True)
class _File(Coco):
    __pydantic_config__: ClassVar = LENIENT

    info: _Origin = field(kw_only=True)


@dataclass(frozen=True)
class Annotations:
    """Boxes on the samples that one generator draws with one seed.

    Parameters
    ----------
    boxes : tuple of Box
    looked_for : tuple of str
        The objects that were looked for in every sample; a sample without a box of one does not show it.
    count, seed : int
        The samples: ``model.latents(count, seed)``.
    size : int
        Side of the samples in pixels.
    generator_digest : str
        ``model.generator_digest()`` of the weights that drew them.
    contributor, method : str
        Who drew the boxes, and how.
    reviewed : tuple of int, optional
        The samples that were looked at; None for all.
    """

    boxes: tuple[Box, ...]
    looked_for: tuple[str, ...]
    count: int
    seed: int
    size: int
    generator_digest: str
    contributor: str
    method: str
    reviewed: tuple[int, ...] | None = None

    def reviewed_images(self) -> tuple[int, ...]:
        """The samples that were looked at, in ascending order."""
        return tuple(range(self.count)) if self.reviewed is None else self.reviewed

    def of(self, label: str) -> tuple[Box, ...]:
        """The boxes of one object.

        Raises
        ------
        UserError
            If there are none; the message lists the objects that there are.
        """
        boxes = tuple(box for box in self.boxes if box.label == label)
        if not boxes:
            raise UserError(
                f"no {label!r} is annotated: choose from {', '.join(self.looked_for) or 'nothing at all'}, "
                "or give boxes of it as `annotations`"
            )
        return boxes

    def check_belongs_to(self, model: DCGAN) -> None:
        """Refuse boxes that were drawn on the samples of other weights.

        Raises
        ------
        UserError
            If the generator's weights or its images' size are not those that were annotated.
        """
        size = model.image_shape[1]
        if self.size != size:
            raise UserError(f"these boxes are on {self.size}-pixel samples, but {model.card.name} draws {size}")
        digest = model.generator_digest()
        if self.generator_digest != digest:
            raise UserError(
                f"these boxes were drawn on samples of other weights ({self.generator_digest[:12]}) than those of "
                f"{model.card.name} ({digest[:12]}): annotate its own samples"
            )


def load_annotations(path: str | Path) -> Annotations:
    """Read COCO JSON that `save_annotations` wrote.

    Parameters
    ----------
    path : path
        Its ``info`` names the seed and the digest of the generator whose samples were annotated.

    Raises
    ------
    UserError
        If the file is missing or damaged, lacks what COCO or this package requires, or a box does not lie in
        its image.
    """
    file = Path(path)
    remedy = "write them with dcgan-viz annotate"
    data = read_json(file, _File, "is not readable COCO JSON of boxes on a model's samples", remedy)
    info = data.info.dcgan_viz
    labels = {category.id: category.name for category in data.categories}
    sizes = {image.id: (image.width, image.height) for image in data.images}
    try:
        boxes = tuple(
            _read_box(entry, labels[entry.category_id], sizes[entry.image_id], info) for entry in data.annotations
        )
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    return Annotations(
        boxes=boxes,
        looked_for=tuple(dict.fromkeys(labels.values())),
        count=info.count,
        seed=info.seed,
        size=info.size,
        generator_digest=info.generator_digest,
        contributor=data.info.contributor,
        method=info.method,
        reviewed=None if info.reviewed is None else tuple(sorted(set(info.reviewed))),
    )


def _read_box(entry: Annotation, label: str, size: tuple[float | None, float | None], info: _Info) -> Box:
    index, side = entry.image_id, info.size
    if not isinstance(index, int) or not 0 <= index < info.count:
        raise UserError(f"{entry.name} is on image {shown(index)}, and the {info.count} samples are numbered from 0")
    if size != (side, side):
        raise UserError(f"{entry.name} is on an image of size {size}, and the samples are {side}x{side}")
    if entry.bbox is None:
        raise UserError(f"{entry.name} has no bbox")
    left, top, width, height = entry.bbox
    inside = 0 <= left and 0 <= top and left + width <= side and top + height <= side
    if not (inside and width > 0 and height > 0):
        raise UserError(
            f"the box of {entry.name}, {[*entry.bbox]}, does not lie in its {side}x{side} image: correct it"
        )
    return Box(index, label, left, top, width, height)


def sample_name(index: int) -> str:
    """The file name of a sample, in annotations and where samples are written.

    Examples
    --------
    >>> sample_name(7)
    'sample-0007.png'
    """
    return f"sample-{index:04}.png"


def save_annotations(annotations: Annotations, path: str | Path, overwrite: bool = False) -> Path:
    """Write boxes as COCO JSON, with where they come from in ``info``.

    Parameters
    ----------
    annotations : Annotations
    path : path
        Replaced if such boxes are there.
    overwrite : bool
        Replace whatever file is there.

    Raises
    ------
    UserError
        If another file is there, the folder cannot be written, or the disk is full.
    """
    target = Path(path)
    refuse_existing(target, overwrite, lambda file: json_holds(file, "info", "dcgan_viz", "generator_digest"))
    data = {
        "info": {
            "description": f"{', '.join(annotations.looked_for)} in {counted(annotations.count, 'sample')}",
            "contributor": annotations.contributor,
            "dcgan_viz": {
                "seed": annotations.seed,
                "count": annotations.count,
                "size": annotations.size,
                "generator_digest": annotations.generator_digest,
                "method": annotations.method,
                "reviewed": annotations.reviewed,
            },
        },
        "licenses": [],
        "images": [
            {
                "id": index,
                "file_name": sample_name(index),
                "width": annotations.size,
                "height": annotations.size,
            }
            for index in range(annotations.count)
        ],
        **coco_objects(annotations.boxes, annotations.looked_for),
    }
    with atomic_file(target) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n")
        if overwrite:
            say_replaced(target)
    return target


def coco_objects(boxes: Iterable[Box], labels: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """The categories and annotations of COCO JSON."""
    numbers = {label: index for index, label in enumerate(labels, start=1)}
    return {
        "categories": [{"id": number, "name": label, "supercategory": ""} for label, number in numbers.items()],
        "annotations": [
            {
                "id": index,
                "image_id": box.image,
                "category_id": numbers[box.label],
                "bbox": [box.left, box.top, box.width, box.height],
                "segmentation": [],
                "area": box.width * box.height,
                "iscrowd": 0,
            }
            for index, box in enumerate(boxes, start=1)
        ],
    }


def find_annotations(model: DCGAN, label: str) -> Path:
    """The file beside a model that holds boxes of an object.

    Raises
    ------
    UserError
        If the model comes without one; the message lists the objects that are annotated.
    """
    folder = model.folder / "annotations" if model.folder else None
    files = sorted(folder.glob("*.json")) if folder and folder.is_dir() else []
    for file in files:
        if file.stem == label:
            return file
    known = ", ".join(file.stem for file in files)
    raise UserError(
        f"{model.card.name} has no boxes of {label!r}"
        + (f" (it has {known})" if known else "")
        + ": give some as `annotations`"
    )


def merge_annotations(parts: Sequence[Annotations]) -> Annotations:
    """Boxes of several objects on the same samples as one.

    Parameters
    ----------
    parts : sequence of Annotations
        At least one.

    Raises
    ------
    UserError
        If they are on different samples.
    """
    first = parts[0]
    for part in parts[1:]:
        if (part.count, part.seed, part.generator_digest) != (first.count, first.seed, first.generator_digest):
            raise UserError(
                f"the boxes of {', '.join(part.looked_for)} are on other samples (seed {part.seed}, {part.count}) than "
                f"those of {', '.join(first.looked_for)} (seed {first.seed}, {first.count}): annotate the same ones"
            )
    reviewed = set.intersection(*(set(part.reviewed_images()) for part in parts))
    return replace(
        first,
        boxes=tuple(dict.fromkeys(box for part in parts for box in part.boxes)),
        looked_for=tuple(dict.fromkeys(label for part in parts for label in part.looked_for)),
        contributor=", ".join(dict.fromkeys(part.contributor for part in parts)),
        reviewed=tuple(sorted(reviewed)),
    )


def inside_boxes(boxes: Iterable[Box], count: int, image_size: int, map_size: int) -> NDArray[np.bool_]:
    """Which positions of feature maps lie inside a box.

    A position of a map stands for the square of the image above it, and lies inside a box when the centre
    of that square does. A box too small to hold any centre takes the position that its own centre is in.

    Parameters
    ----------
    boxes : iterable of Box
    count : int
        Images.
    image_size, map_size : int
        Sides of the images, in which the boxes are, and of the feature maps.

    Returns
    -------
    ndarray of bool (count, map_size, map_size)

    Examples
    --------
    >>> inside_boxes([Box(0, "window", 0, 0, 2, 4)], 1, image_size=4, map_size=2)[0]
    array([[ True, False],
           [ True, False]])
    """
    mask = np.zeros((count, map_size, map_size), bool)
    stride = image_size / map_size
    centres = (np.arange(map_size) + 0.5) * stride
    for box in boxes:
        rows = (box.top <= centres) & (centres <= box.top + box.height)
        columns = (box.left <= centres) & (centres <= box.left + box.width)
        if not rows.any():
            rows[int((box.top + box.height / 2) // stride)] = True
        if not columns.any():
            columns[int((box.left + box.width / 2) // stride)] = True
        mask[box.image] |= rows[:, None] & columns
    return mask
