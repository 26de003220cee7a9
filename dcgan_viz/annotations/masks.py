"""Where objects are, as masks: from boxes on samples, or from COCO files on photographs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dcgan_viz.annotations.boxes import Box
from dcgan_viz.annotations.coco import FARTHEST, Annotation, Category, Coco, Id, Picture
from dcgan_viz.annotations.runs import decode_runs
from dcgan_viz.data.decoding import square
from dcgan_viz.data.images import ImageSet, load_images
from dcgan_viz.data.pixels import read_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import LENIENT, read_json, shown

MAXIMUM_TOTAL = 2**28
"""Pixels of all pictures of a folder with masks together, 1 GiB: 65,536 of 64x64."""


@dataclass(frozen=True)
class Runs:
    """A mask as run lengths, column by column; as text if they are compressed."""

    __pydantic_config__: ClassVar = LENIENT

    counts: tuple[int, ...] | str


@dataclass(frozen=True)
class _Shape(Annotation):
    __pydantic_config__: ClassVar = LENIENT

    segmentation: tuple[tuple[float, ...], ...] | Runs | None = None

    def __post_init__(self) -> None:
        polygons = self.segmentation if isinstance(self.segmentation, tuple) else ()
        if any(len(polygon) < 6 or len(polygon) % 2 for polygon in polygons):
            raise UserError("a polygon is a list x, y, x, y, ... of at least three corners")
        if any(abs(value) > FARTHEST for values in (self.bbox or (), *polygons) for value in values):
            raise UserError(f"a corner lies more than {FARTHEST:,} pixels away from its picture")


@dataclass(frozen=True)
class _Picture(Picture):
    __pydantic_config__: ClassVar = LENIENT

    file_name: str = field(kw_only=True)
    width: float = field(kw_only=True)
    height: float = field(kw_only=True)


@dataclass(frozen=True)
class _Shapes(Coco):
    __pydantic_config__: ClassVar = LENIENT

    images: tuple[_Picture, ...]
    annotations: tuple[_Shape, ...]


@dataclass(frozen=True)
class _Categories:
    __pydantic_config__: ClassVar = LENIENT

    categories: tuple[Category, ...]

    def __post_init__(self) -> None:
        if {category.id for category in self.categories} != {*range(1, len(self.categories) + 1)}:
            raise UserError("categories must be numbered 1, 2, 3 and so on, as the grey levels of the masks are")

    @property
    def names(self) -> tuple[str, ...]:
        """By their numbers."""
        return tuple(category.name for category in sorted(self.categories, key=lambda category: int(category.id)))


def box_masks(boxes: Iterable[Box], count: int, size: int) -> NDArray[np.bool_]:
    """Which pixels lie inside a box, by their centres.

    Returns
    -------
    ndarray of bool (count, size, size)

    Examples
    --------
    >>> int(box_masks([Box(1, "window", 0, 0, 2, 3)], count=2, size=4)[1].sum())
    6
    """
    masks = np.zeros((count, size, size), bool)
    centres = np.arange(size) + 0.5
    for box in boxes:
        rows = (box.top <= centres) & (centres < box.top + box.height)
        columns = (box.left <= centres) & (centres < box.left + box.width)
        masks[box.image] |= rows[:, None] & columns
    return masks


def load_coco(
    annotations: str | Path, images: str | Path, label: str, size: int, channels: int = 3
) -> tuple[ImageSet, NDArray[np.bool_]]:
    """Photographs and the masks of one object in them, from COCO JSON.

    Pictures and masks are squared alike: cropped at the centre, then resized. Polygons are filled and uncompressed
    runs are laid out; an object with neither is taken for its box.

    Parameters
    ----------
    annotations : path
        COCO JSON whose images are named by their place in `images`.
    images : path
        A folder or zip.
    label : str
        A category.
    size, channels : int
        What to make of each picture.

    Returns
    -------
    ImageSet
        The annotated images, in the order of their names.
    ndarray of bool (N, size, size)

    Raises
    ------
    UserError
        If the file is not COCO JSON, has no such category, or names images that are not there.
    """
    path = Path(annotations)
    data = read_json(path, _Shapes, "is not readable COCO JSON", "write it again with its tool")
    entries = {picture.file_name: picture for picture in data.images}
    numbers = {category.id for category in data.categories if category.name == label}
    if not numbers:
        names = ", ".join(shown(category.name, quoted=False) for category in data.categories)
        raise UserError(f"{path} has no category {label!r}: choose from {names}")
    pictures = load_images(images, size, channels)
    missing = sorted(set(entries) - set(pictures.names))
    if missing:
        raise UserError(f"{path} names {missing[0]} and {len(missing) - 1} more images that are not in {images}")
    chosen = [index for index, name in enumerate(pictures.names) if name in entries]
    kept = ImageSet(pictures.pixels[chosen], tuple(pictures.names[index] for index in chosen))
    by_image: dict[Id, list[_Shape]] = {}
    for shape in data.annotations:
        if shape.category_id in numbers:
            by_image.setdefault(shape.image_id, []).append(shape)
    masks = [_mask(by_image.get(entries[name].id, []), entries[name], size, path) for name in kept.names]
    return kept, np.stack(masks)


def polygon_mask(polygons: Sequence[Sequence[float]], height: int, width: int) -> NDArray[np.bool_]:
    """Which pixels (height, width) lie inside COCO polygons, each a list x0, y0, x1, y1, ..., by their centres.

    Examples
    --------
    >>> int(polygon_mask([[0, 0, 2, 0, 2, 2, 0, 2]], 4, 4).sum())
    4
    """
    from skimage.draw import polygon

    mask = np.zeros((height, width), bool)
    for outline in polygons:
        points = np.asarray(outline, np.float64).reshape(-1, 2) - 0.5
        mask[polygon(points[:, 1], points[:, 0], mask.shape)] = True
    return mask


def load_masks(folder: str | Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8], tuple[str, ...]]:
    """Pictures with a label for every pixel, from a folder as ``dcgan-viz rooms`` writes it.

    Parameters
    ----------
    folder : path
        ``images/``, ``masks/`` with the same names, whose grey levels are labels, and ``annotations.json``, whose COCO
        categories name them.

    Returns
    -------
    ndarray of uint8 (N, H, W, 3)
        The pictures, in the order of their names.
    ndarray of uint8 (N, H, W)
        Label k is the k-th name; 0 is everything else.
    tuple of str
        The names.

    Raises
    ------
    UserError
        If a part is missing or damaged, or a picture and its mask differ in size.
    """
    path = Path(folder)
    try:
        return _load_masks(path)
    except (OSError, UserError) as error:
        raise UserError(
            f"{path} does not hold images/, masks/ of the same names and sizes and annotations.json with categories "
            f"({error}): dcgan-viz rooms writes such folders"
        ) from error


def _load_masks(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8], tuple[str, ...]]:
    data = read_json(folder / "annotations.json", _Categories, "is not readable COCO JSON", "write it again")
    files = sorted(f.name for f in (folder / "images").iterdir() if not f.name.startswith("."))
    if not files:
        raise UserError("images/ is empty")
    first = read_pixels(folder / "images" / files[0], "RGB")
    height, width = first.shape[:2]
    if len(files) * height * width > MAXIMUM_TOTAL:
        raise UserError(
            f"{len(files):,} pictures of {width}x{height} are more than {MAXIMUM_TOTAL:,} pixels: give fewer"
        )
    pixels = np.empty((len(files), height, width, 3), np.uint8)
    masks = np.empty((len(files), height, width), np.uint8)
    for index, name in enumerate(files):
        picture, mask = read_pixels(folder / "images" / name, "RGB"), read_pixels(folder / "masks" / name, "L")
        if not picture.shape[:2] == mask.shape == (height, width):
            raise UserError(f"{name} and its mask are not both of the first picture's {width}x{height} pixels")
        pixels[index], masks[index] = picture, mask
    return pixels, masks, data.names


def _mask(shapes: list[_Shape], picture: _Picture, size: int, path: Path) -> NDArray[np.bool_]:
    width, height = round(picture.width), round(picture.height)
    page = Image.new("L", (width, height))
    draw = ImageDraw.Draw(page)
    for shape in shapes:
        if isinstance(shape.segmentation, Runs):
            try:
                mask = decode_runs(shape.segmentation.counts, width, height)
            except UserError as error:
                raise UserError(f"{path}: {shape.name}: {error}") from error
            page.paste(255, mask=Image.fromarray(mask))
        elif shape.segmentation:
            for polygon in shape.segmentation:
                draw.polygon(polygon, fill=255)
        elif shape.bbox is None:
            raise UserError(f"{path}: {shape.name} has no box, no polygon and no runs")
        else:
            left, top, across, down = shape.bbox
            if across > 0 and down > 0:
                draw.rectangle((left, top, max(left, left + across - 1), max(top, top + down - 1)), fill=255)
    return square(page, size, 1)[..., 0] > 127
