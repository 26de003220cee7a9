"""A model's samples as files for other annotation tools, and the boxes that come back."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

from PIL import Image

from dcgan_viz.annotations.boxes import MAXIMUM_SAMPLES, Annotations, Box, sample_name
from dcgan_viz.annotations.formats import SAMPLES_FILE, Picture, Region, read_foreign
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.folders import check_folder, staged_folder
from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.spec import MAXIMUM_SIDE
from dcgan_viz.untrusted import EXACT, MAXIMUM_CARD, read_json

FINEST = 256
"""Boxes are kept to 1/256 of a pixel, which binary fractions hold exactly: no sum of two rounds out of its image."""


@dataclass(frozen=True)
class ExportedSamples:
    """Which samples were written, as ``samples.json`` beside them says.

    Parameters
    ----------
    model : str
        Its name.
    generator_digest : str
    count, seed : int
        ``model.latents(count, seed)``.
    size : int
        Side of the samples in pixels.
    scale : int
        How many times they were enlarged.
    """

    __pydantic_config__: ClassVar = EXACT

    model: str
    generator_digest: str
    count: int
    seed: int
    size: int
    scale: int

    def __post_init__(self) -> None:
        counts = {
            "count": (self.count, MAXIMUM_SAMPLES),
            "size": (self.size, MAXIMUM_SIDE),
            "scale": (self.scale, 1000),
        }
        for name, (value, most) in counts.items():
            if not 1 <= value <= most:
                raise UserError(f"{name} must be from 1 to {most:,}, not {value}")
        if self.seed < 0:
            raise UserError(f"seed must not be negative, not {self.seed}")


def save_samples(
    model: DCGAN,
    folder: str | Path,
    *,
    count: int,
    seed: int,
    scale: int = 1,
    smooth: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write a model's samples as ``sample-0000.png`` and so on, with ``samples.json`` that says which they are.

    They are drawn and written a batch at a time, so that there may be any number of them.

    Parameters
    ----------
    model : DCGAN
    folder : path
        Made, or written into beside what lies there.
    count, seed : int
    scale : int
        Enlarge the pictures.
    smooth : bool
        Enlarge them smoothly, instead of making each pixel a square.
    overwrite : bool
        Replace files of the same names, whoever wrote them.

    Returns
    -------
    Path

    Raises
    ------
    UserError
        If somebody else's file has one of the names, the folder cannot be written, or the disk is full.
    """
    path = Path(folder)
    check_folder(path, "Samples", (SAMPLES_FILE, *map(sample_name, range(count))), overwrite)
    size = model.image_shape[1]
    written = ExportedSamples(model.card.name, model.generator_digest(), count, seed, size, scale)
    resampling = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    latents = model.latents(count, seed)
    with staged_folder(path, "Samples", overwrite=overwrite) as stage:
        for start in range(0, count, SAMPLE_BATCH):
            pixels = to_pixels(model.generate(latents[start : start + SAMPLE_BATCH]))
            for index, picture in enumerate(pixels, start):
                image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
                if scale > 1:
                    image = image.resize((size * scale, size * scale), resampling)
                image.save(stage / sample_name(index))
        (stage / SAMPLES_FILE).write_text(json.dumps(asdict(written), indent=1) + "\n")
    return path


def export_samples(model: DCGAN, folder: str | Path, *, count: int = 150, seed: int = 2015, scale: int = 1) -> Path:
    """Write a model's samples for other annotation tools, as `save_samples` does.

    Parameters
    ----------
    model : DCGAN
    folder : path
        New or empty: annotations that lie in an old one are of other samples.
    count, seed : int
    scale : int
        Enlarge the pictures, smoothly, for tools that show them as they are.

    Returns
    -------
    Path

    Raises
    ------
    UserError
        If the folder holds anything or cannot be written.
    """
    path = Path(folder)
    if path.is_dir() and any(path.iterdir()):
        raise UserError(f"{path} already holds files, perhaps annotations: choose a new folder")
    return save_samples(model, path, count=count, seed=seed, scale=scale, smooth=True)


def find_samples(annotations: str | Path) -> ExportedSamples:
    """The ``samples.json`` in a folder with annotations, or in one of the two folders above the file or folder.

    Raises
    ------
    UserError
        If there is none, or it is damaged.
    """
    place = Path(annotations).absolute()
    for folder in (place, *place.parents[:2]):
        if (folder / SAMPLES_FILE).is_file():
            return load_samples(folder / SAMPLES_FILE)
    raise UserError(
        f"there is no {SAMPLES_FILE} with {annotations} or up to two folders above it: copy there the one that "
        "dcgan-viz annotate --export-samples wrote beside the pictures"
    )


def load_samples(file: Path) -> ExportedSamples:
    """Read a ``samples.json``.

    Raises
    ------
    UserError
        If it is not what `export_samples` writes.
    """
    return read_json(
        file,
        ExportedSamples,
        "is damaged",
        "write the samples again with dcgan-viz annotate --export-samples",
        MAXIMUM_CARD,
    )


def import_boxes(
    path: str | Path, label: str, samples: ExportedSamples, model: DCGAN, *, contributor: str = "not stated"
) -> Annotations:
    """Boxes that were drawn with another tool on a model's samples.

    A sample counts as looked at if its annotation file is there, or if it is listed in a file of many pictures.

    Parameters
    ----------
    path : path
        A file or folder in any format that `dcgan_viz.annotations.formats.read_foreign` knows.
    label : str
        The object; boxes of others are left out.
    samples : ExportedSamples
        What was annotated.
    model : DCGAN
        The model that drew them.
    contributor : str
        Who drew the boxes.

    Returns
    -------
    Annotations

    Raises
    ------
    UserError
        If the samples are of other weights, the file is damaged or of no known format, a picture is not one of the
        samples, is there twice or of another size, a box lies outside its picture by more than a pixel, or there is
        no such object.
    """
    method = f"drawn with another tool on samples enlarged {samples.scale} times"
    annotations = Annotations(
        (), (label,), samples.count, samples.seed, samples.size, samples.generator_digest, contributor, method
    )
    annotations.check_belongs_to(model)
    foreign = read_foreign(path, samples.size * samples.scale)
    pictures = _by_sample(foreign.pictures, samples, path)
    if label not in foreign.labels:
        there = ", ".join(repr(name[:40]) for name in foreign.labels[:10]) or "nothing at all"
        raise UserError(f"{path} has no {label!r}: it has {there}")
    boxes = (
        _box(region, index, samples, path)
        for index, picture in pictures.items()
        for region in picture.regions
        if region.label == label
    )
    return replace(
        annotations,
        boxes=tuple(sorted(boxes, key=lambda box: (box.image, box.top, box.left))),
        method=f"{method}, imported from {foreign.format}",
        reviewed=tuple(sorted(pictures)),
    )


def _by_sample(pictures: tuple[Picture, ...], samples: ExportedSamples, path: str | Path) -> dict[int, Picture]:
    """The pictures by the number of their sample."""
    side = samples.size * samples.scale
    numbered: dict[int, Picture] = {}
    for picture in pictures:
        digits = re.fullmatch(r"sample-([0-9]{4,9})\.png", picture.name)
        index = int(digits[1]) if digits else -1
        if not (0 <= index < samples.count and picture.name == sample_name(index)):
            raise UserError(
                f"{path} has boxes for {picture.name[:80]!r}, which is none of the {samples.count} samples "
                f"({sample_name(0)} to {sample_name(samples.count - 1)}): keep their names, and remove others"
            )
        if index in numbered:
            raise UserError(f"{path} has {picture.name} twice: remove one of them")
        width, height = picture.size or (side, side)
        if not width == height == side:
            raise UserError(
                f"{path} has {picture.name} at {width:g}x{height:g} pixels, but it was written {side}x{side} "
                f"({samples.size} enlarged {samples.scale} times): annotate the pictures as they were written"
            )
        numbered[index] = picture
    return numbered


def _box(region: Region, index: int, samples: ExportedSamples, path: str | Path) -> Box:
    """A region in pixels of the sample; an edge may lie a pixel outside, as tools round, and is then moved inside."""
    side = samples.size * samples.scale
    edges = (region.left, region.top, region.right, region.bottom)
    said = f"{path}: the box from {edges[0]:g}, {edges[1]:g} to {edges[2]:g}, {edges[3]:g} on {sample_name(index)}"
    if not all(-1 <= edge <= side + 1 for edge in edges):
        raise UserError(f"{said} does not lie in its {side}x{side} pixels: correct it")
    left, top, right, bottom = (round(min(max(e, 0), side) / samples.scale * FINEST) / FINEST for e in edges)
    if not (left < right and top < bottom):
        raise UserError(f"{said} has no area: remove it")
    return Box(index, region.label, left, top, right - left, bottom - top)
