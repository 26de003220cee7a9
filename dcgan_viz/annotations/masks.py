"""Where objects are, as masks: from boxes on samples, or from COCO files on photographs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dcgan_viz.annotations.boxes import Box
from dcgan_viz.annotations.runs import decode_runs
from dcgan_viz.data.images import ImageSet, load_images, square
from dcgan_viz.errors import UserError


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
    try:
        data = json.loads(path.read_text())
        entries = {str(e["file_name"]): (e["id"], int(e["width"]), int(e["height"])) for e in data["images"]}
        names = {c["id"]: str(c["name"]) for c in data["categories"]}
        objects = [a for a in data["annotations"] if names[a["category_id"]] == label]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not readable COCO JSON: {type(error).__name__} {error}") from error
    if label not in names.values():
        raise UserError(f"{path} has no category {label!r}: choose from {', '.join(names.values())}")
    pictures = load_images(images, size, channels)
    missing = sorted(set(entries) - set(pictures.names))
    if missing:
        raise UserError(f"{path} names {missing[0]} and {len(missing) - 1} more images that are not in {images}")
    chosen = [index for index, name in enumerate(pictures.names) if name in entries]
    kept = ImageSet(pictures.pixels[chosen], tuple(pictures.names[index] for index in chosen))
    by_image: dict[Any, list[dict[str, Any]]] = {}
    for found in objects:
        by_image.setdefault(found["image_id"], []).append(found)
    masks = np.stack([_mask(by_image.get(entries[n][0], []), *entries[n][1:], size, path) for n in kept.names])
    return kept, masks


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
        categories = json.loads((path / "annotations.json").read_text())["categories"]
        names = tuple(str(c["name"]) for c in sorted(categories, key=lambda c: int(c["id"])))
        files = sorted(f.name for f in (path / "images").iterdir() if not f.name.startswith("."))
        with Image.open(path / "images" / files[0]) as first:
            width, height = first.size
        pixels = np.empty((len(files), height, width, 3), np.uint8)
        masks = np.empty((len(files), height, width), np.uint8)
        for index, name in enumerate(files):
            with Image.open(path / "images" / name) as picture, Image.open(path / "masks" / name) as mask:
                pixels[index], masks[index] = np.asarray(picture.convert("RGB")), np.asarray(mask.convert("L"))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(
            f"{path} does not hold images/, masks/ of the same names and sizes and annotations.json with categories "
            f"({type(error).__name__}: {error}): dcgan-viz rooms writes such folders"
        ) from error
    return pixels, masks, names


def _mask(objects: list[dict[str, Any]], width: int, height: int, size: int, path: Path) -> NDArray[np.bool_]:
    page = Image.new("L", (width, height))
    draw = ImageDraw.Draw(page)
    for found in objects:
        drawn = found.get("segmentation")
        try:
            if isinstance(drawn, list) and drawn:
                for polygon in drawn:
                    draw.polygon([float(v) for v in polygon], fill=255)
            elif isinstance(drawn, dict):
                mask = decode_runs(drawn["counts"], width, height)
                page.paste(255, mask=Image.fromarray(mask))
            else:
                left, top, across, down = (float(v) for v in found["bbox"])
                draw.rectangle((left, top, left + across - 1, top + down - 1), fill=255)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: annotation {found.get('id')} has no box, no polygon and no runs: {error}"
            ) from error
    return square(page, size, 1)[..., 0] > 127
