"""One object on a user's own photographs, from the boxes of any tool, as masks on the photographs squared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.annotations.class_names import find_class_names_or_numbers
from dcgan_viz.annotations.formats import Foreign, Picture, Region, read_foreign
from dcgan_viz.annotations.masks import load_coco
from dcgan_viz.annotations.photographs import load_photograph_boxes, locate
from dcgan_viz.data.decoding import UnreadableError, decode_square, upright_size
from dcgan_viz.data.images import ImageSet, some
from dcgan_viz.data.sources import Source, open_images
from dcgan_viz.errors import UserError
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.untrusted import load_plain, read_text, shown
from dcgan_viz.words import counted

Size = tuple[int, int]
"""Width and height of a photograph the right way up."""


@dataclass(frozen=True)
class PhotographObjects:
    """Photographs and where an object is on them.

    Parameters
    ----------
    images : ImageSet
        The annotated photographs, cropped at the centre to squares and resized.
    masks : ndarray of bool (N, S, S)
    label : str
        The object.
    format : str
        Whose boxes they were.
    found : int
        Photographs there are, annotated or not.
    boxes : int
        Boxes of the object on the annotated photographs.
    outside, cut : int
        Those that lie outside of the crop, and those of which only a part lies in it.
    """

    images: ImageSet
    masks: NDArray[np.bool_]
    label: str
    format: str
    found: int
    boxes: int
    outside: int
    cut: int

    def __str__(self) -> str:
        said = (
            f"{counted(self.boxes, 'box')} of {self.label} ({self.format}) on {len(self.images)} of "
            f"{counted(self.found, 'photograph')}"
        )
        lost = f"{self.outside} outside of the centre crop, {self.cut} cut by it"
        return f"{said}; {lost if self.outside or self.cut else 'all lie in the centre crop'}"


@dataclass(frozen=True)
class _Drawn:
    """The regions of one object, in pixels of the photographs, by their places in the source."""

    format: str
    label: str
    regions: Mapping[int, Sequence[Region]]


def load_objects(
    annotations: str | Path,
    images: str | Path,
    label: str,
    size: int,
    channels: int = 3,
    *,
    progress: Progress = silent,
) -> PhotographObjects:
    """Photographs and masks of one object on them, from boxes that were drawn with any tool.

    Boxes are in pixels of the photographs as a viewer shows them, turned as their metadata say, or of copies that were
    made smaller. What is cropped off a photograph is cropped off its boxes. A box that holds no pixel's centre is the
    pixel in which its own centre lies. Polygons and runs of COCO are laid out as they are.

    Parameters
    ----------
    annotations : path
        Boxes from ``annotate --images``, or a file or folder in any format that
        `dcgan_viz.annotations.formats.read_foreign` knows.
    images : path
        What `open_images` opens.
    label : str
        The object by its name, or by the number of its class in YOLO and COCO.
    size, channels : int
        What to make of each photograph.
    progress : Progress

    Returns
    -------
    PhotographObjects
        Of the annotated photographs alone, in the order of the source.

    Raises
    ------
    UserError
        If the boxes cannot be read, are of other photographs or none of the object, or one does not lie in its
        photograph.
    """
    path, source = Path(annotations), open_images(images)
    data = _plain_coco(path)
    category = None if data is None else _category(data, label)
    if data is not None and category is not None and _has_shapes(data, category[0]):
        return _from_shapes(path, source, data, category, size, channels)
    drawn = _read(path, source, label, data)
    places = sorted(drawn.regions)
    pixels = np.empty((len(places), size, size, channels), np.uint8)
    masks = np.zeros((len(places), size, size), bool)
    outside = cut = 0
    for row in progress(range(len(places)), Stage("reading photographs", len(places), "image")):
        place = places[row]
        try:
            entry = source.entry(place)
            pixels[row] = decode_square(entry, size, channels).pixels
            whole = upright_size(entry)
        except UnreadableError as error:
            name = shown(source.names[place], quoted=False)
            raise UserError(f"{name} in {source.path} is not a readable image: {error}") from error
        for region in drawn.regions[place]:
            kept = _in_crop(region, whole, size)
            outside += kept is None
            if kept is not None:
                rectangle, is_cut = kept
                cut += is_cut
                _fill(masks[row], rectangle)
    images_kept = ImageSet(pixels, tuple(source.names[place] for place in places))
    boxes = sum(len(regions) for regions in drawn.regions.values())
    return PhotographObjects(images_kept, masks, drawn.label, drawn.format, len(source), boxes, outside, cut)


def _read(path: Path, source: Source, label: str, data: dict[str, Any] | None) -> _Drawn:
    info = (data or {}).get("info")
    own = info.get("dcgan_viz") if isinstance(info, dict) else None
    if isinstance(own, dict) and "photographs" in own:
        return _read_own(path, source, label)
    if own is not None:
        raise UserError(f"{path} holds boxes on a model's samples and not on photographs: leave out the photographs")
    numbers: dict[int, str] = {}

    def class_names(file: Path, place: Path) -> dict[int, str]:
        found = find_class_names_or_numbers(file, place)
        numbers.update(found)
        return found

    # Boxes in shares of their pictures become boxes in pixels once these are known.
    foreign = read_foreign(path, 1.0, class_names)
    for category in (data or {}).get("categories", ()):
        if isinstance(category["id"], int):
            numbers[category["id"]] = category["name"]
    name = _resolve(label, foreign, numbers, path)
    places = _places(foreign, source, path)
    regions = {}
    for picture, place in zip(foreign.pictures, places, strict=True):
        if place in regions:
            raise UserError(f"{path} has {shown(picture.name, quoted=False)} twice: remove one of them")
        try:
            whole = upright_size(source.entry(place))
        except UnreadableError as error:
            raise UserError(f"{picture.name} in {source.path} is not a readable image: {error}") from error
        scale = whole if foreign.format == "YOLO" else _scale(picture, whole, path)
        wanted = (region for region in picture.regions if region.label == name)
        regions[place] = tuple(_scaled(region, scale, whole, picture, path) for region in wanted)
    return _Drawn(foreign.format, name, regions)


def _read_own(path: Path, source: Source, label: str) -> _Drawn:
    """Boxes from ``annotate --images``; photographs at which nobody has looked say nothing."""
    boxes = load_photograph_boxes(path)
    if label not in boxes.looked_for:
        raise UserError(f"{path} has no {label!r}: it has {', '.join(map(repr, boxes.looked_for))}")
    places = locate(boxes.photographs, source)
    regions: dict[int, list[Region]] = {places[index]: [] for index in boxes.reviewed}
    for box in boxes.boxes:
        if box.label == label:
            region = Region(label, box.left, box.top, box.left + box.width, box.top + box.height)
            regions.setdefault(places[box.image], []).append(region)
    if not regions:
        raise UserError(f"{path} is about photographs at which nobody has looked yet: go on with dcgan-viz annotate")
    return _Drawn("annotate", label, regions)


def _resolve(label: str, foreign: Foreign, numbers: Mapping[int, str], path: Path) -> str:
    """The name of an object that is given by name or by number."""
    drawn = {region.label for picture in foreign.pictures for region in picture.regions}
    # Names that are no more than numbers are listed where they are used.
    names = sorted(drawn | {name for name in foreign.labels if not name.isdecimal()})
    if label in drawn | set(foreign.labels):
        return label
    if label.isdecimal() and len(label) <= 9 and int(label) in numbers:
        return numbers[int(label)]
    by_name = {name: number for number, name in numbers.items()}
    listed = [f"{shown(name)}{f' ({by_name[name]})' if name in by_name else ''}" for name in names]
    raise UserError(f"{path} has no {label!r}: it has {some(listed, 20) or 'nothing at all'}")


def _places(foreign: Foreign, source: Source, path: Path) -> list[int]:
    """Where in the source the pictures of another tool are, which names them without folders; YOLO without endings."""

    def known_as(name: str) -> str:
        return PurePosixPath(name).stem if foreign.format == "YOLO" else PurePosixPath(name).name

    by_name: dict[str, list[int]] = {}
    for index, name in enumerate(source.names):
        by_name.setdefault(known_as(name), []).append(index)
    places, missing = [], []
    for picture in foreign.pictures:
        found = by_name.get(known_as(picture.name), [])
        if len(found) > 1:
            names = " and ".join(shown(source.names[index], quoted=False) for index in found[:2])
            raise UserError(f"{path} does not say whether it is about {names}: give the photographs of one folder")
        places += found
        missing += [] if found else [shown(known_as(picture.name), quoted=False)]
    if missing:
        raise UserError(
            f"{path} has boxes for {counted(len(missing), 'picture')} not found in {source.path} ({some(missing)}): give the "
            "photographs that were annotated"
        )
    return places


def _scale(picture: Picture, whole: Size, path: Path) -> tuple[float, float]:
    """How many pixels of a photograph a pixel of the annotated picture is, across and down."""
    if picture.size is None or 0 in picture.size:
        return 1, 1
    (width, height), (across, down) = whole, picture.size
    # A copy that was made smaller has the same sides but for rounding.
    if min(abs(across - down * width / height), abs(down - across * height / width)) <= 1:
        return width / across, height / down
    turned = " as a viewer shows it: its tool did not turn it" if (across, down) == (height, width) else ""
    raise UserError(
        f"{path}: {shown(picture.name, quoted=False)} was annotated at {across:g}x{down:g} pixels, but is "
        f"{width}x{height}{turned}: annotate the photograph that is given"
    )


def _scaled(region: Region, scale: tuple[float, float], whole: Size, picture: Picture, path: Path) -> Region:
    """A region in pixels of the photograph; an edge may lie a pixel outside, as tools round, and is then moved in."""
    (across, down), (width, height) = scale, whole
    left, right, top, bottom = region.left * across, region.right * across, region.top * down, region.bottom * down
    said = (
        f"{path}: the box from {left:g}, {top:g} to {right:g}, {bottom:g} on {shown(picture.name, quoted=False)}, of "
        f"{width}x{height} pixels,"
    )
    slack = max(1.0, across, down) if picture.size else 1.0
    if not (-slack <= left and -slack <= top and right <= width + slack and bottom <= height + slack):
        raise UserError(f"{said} does not lie in it: correct it")
    left, right, top, bottom = max(left, 0), min(right, width), max(top, 0), min(bottom, height)
    if not (left < right and top < bottom):
        raise UserError(f"{said} has no area: remove it")
    return Region(region.label, left, top, right, bottom)


def _in_crop(region: Region, whole: Size, size: int) -> tuple[tuple[float, float, float, float], bool] | None:
    """The part of a region in the centre crop, in pixels of that, and whether it is cut; None if there is none."""
    side = min(whole)
    x0, y0 = ((length - side) // 2 for length in whole)
    scale = size / side
    left, right = (region.left - x0) * scale, (region.right - x0) * scale
    top, bottom = (region.top - y0) * scale, (region.bottom - y0) * scale
    inside = max(left, 0.0), max(top, 0.0), min(right, float(size)), min(bottom, float(size))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        return None
    return inside, inside != (left, top, right, bottom)


def _fill(mask: NDArray[np.bool_], rectangle: tuple[float, float, float, float]) -> None:
    """Add the pixels whose centres lie in a rectangle, or the one in which its own centre lies."""
    left, top, right, bottom = rectangle
    centres = np.arange(len(mask)) + 0.5
    columns, rows = (left <= centres) & (centres < right), (top <= centres) & (centres < bottom)
    if not columns.any():
        columns[int((left + right) / 2)] = True
    if not rows.any():
        rows[int((top + bottom) / 2)] = True
    mask |= rows[:, None] & columns


# --- COCO ----------------------------------------------------------------------------------------------------------


def _plain_coco(path: Path) -> dict[str, Any] | None:
    """What a file holds if it is COCO JSON, unchecked."""
    if not path.is_file():
        return None
    text = read_text(path)
    if not text.lstrip().startswith("{"):
        return None
    try:
        data = load_plain(text)
    except UserError as error:
        raise UserError(f"{path} is damaged JSON ({error}): write it again with its tool") from error
    return data if isinstance(data, dict) and {"images", "annotations", "categories"} <= data.keys() else None


def _category(data: dict[str, Any], label: str) -> tuple[Any, str] | None:
    """The id and the name of a category that is given by name or number."""
    listed = data["categories"] if isinstance(data["categories"], list) else []
    ids = {c["name"]: c.get("id") for c in listed if isinstance(c, dict) and isinstance(c.get("name"), str)}
    if label in ids:
        return ids[label], label
    numbered = (name for name, number in ids.items() if type(number) is int and str(number) == label)
    name = next(numbered, None)
    return None if name is None else (ids[name], name)


def _has_shapes(data: dict[str, Any], category: Any) -> bool:
    """Whether an object has polygons or runs, or no box."""
    listed = data["annotations"] if isinstance(data["annotations"], list) else []
    return any(
        isinstance(entry, dict)
        and entry.get("category_id") == category
        and (entry.get("segmentation") or entry.get("bbox") is None)
        for entry in listed
    )


def _from_shapes(
    path: Path, source: Source, data: dict[str, Any], category: tuple[Any, str], size: int, channels: int
) -> PhotographObjects:
    number, name = category
    kept, masks = load_coco(path, source.path, name, size, channels)
    sizes = {image["id"]: (int(image["width"]), int(image["height"])) for image in data["images"]}
    places = {name: place for place, name in enumerate(source.names)}
    for image in data["images"]:
        stated = Picture(image["file_name"], (), sizes[image["id"]])
        _scale(stated, upright_size(source.entry(places[image["file_name"]])), path)
    objects = [entry for entry in data["annotations"] if entry["category_id"] == number]
    outside = cut = 0
    for entry in objects:
        if entry.get("bbox") is not None:
            left, top, across, down = entry["bbox"]
            part = _in_crop(Region(name, left, top, left + across, top + down), sizes[entry["image_id"]], size)
            outside += part is None
            cut += part is not None and part[1]
    return PhotographObjects(kept, masks, name, "COCO", len(source), len(objects), outside, cut)
