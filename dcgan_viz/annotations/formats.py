"""Boxes as other annotation tools write them: Pascal VOC, YOLO, LabelMe, VIA, COCO.

Which of them a file is shows in what it holds; nothing is guessed.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any, ClassVar
from xml.etree.ElementTree import Element

from dcgan_viz.annotations.class_names import find_class_names
from dcgan_viz.annotations.coco import FARTHEST, Coco, Id
from dcgan_viz.errors import UserError
from dcgan_viz.folders import MANIFEST_FILE
from dcgan_viz.untrusted import LENIENT, load_plain, parse_json, parse_xml, read_text, shown

KNOWN = (
    "Pascal VOC (.xml), YOLO (.txt with classes.txt or data.yaml), LabelMe (.json), VIA (project or export as .json, "
    "or .csv), COCO (.json)"
)
ENDINGS = (".xml", ".txt", ".json", ".csv")
MAXIMUM_FILES = 20_000

SAMPLES_FILE = "samples.json"
"""Describes samples that were written for annotation; not itself an annotation."""


@dataclass(frozen=True)
class Region:
    """A rectangle around one object, in pixels of the picture that was annotated.

    Parameters
    ----------
    label : str
    left, top, right, bottom : float
        Edges: the picture's own are 0 and its width or height.
    """

    label: str
    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        # Written so that what is not finite fails.
        if not all(abs(edge) <= FARTHEST for edge in (self.left, self.top, self.right, self.bottom)):
            raise UserError(
                f"the box around {shown(self.label)} lies more than {FARTHEST:,} pixels away from its picture"
            )


@dataclass(frozen=True)
class Picture:
    """What was drawn on one picture.

    Parameters
    ----------
    name : str
        The picture's file name without folders.
    regions : tuple of Region
        None if somebody found nothing there.
    size : tuple of float (width, height), optional
        Of the picture, where the file states it.
    """

    name: str
    regions: tuple[Region, ...]
    size: tuple[float, float] | None = None


@dataclass(frozen=True)
class Foreign:
    """What another tool wrote.

    Parameters
    ----------
    format : str
        Its name.
    pictures : tuple of Picture
    labels : tuple of str
        The objects that are declared or drawn, in the order of their names.
    """

    format: str
    pictures: tuple[Picture, ...]
    labels: tuple[str, ...]


ClassNames = Callable[[Path, Path], dict[int, str]]
"""Finds the names of YOLO's classes, given a file with boxes and what the user gave."""


def read_foreign(path: str | Path, side: float, class_names: ClassNames = find_class_names) -> Foreign:
    """Read the annotations in a file, or in all annotation files of a folder and its subfolders.

    Polygons become the rectangles around them.

    Parameters
    ----------
    path : path
    side : float
        Side of the square pictures in pixels. YOLO gives boxes in shares of it.
    class_names : callable
        Finds the names of YOLO's classes.

    Returns
    -------
    Foreign

    Raises
    ------
    UserError
        If the files are of no known format or of several, damaged, too large, or not there.
    """
    place = Path(path)
    files = _annotation_files(place)
    pictures: list[Picture] = []
    formats: Counter[str] = Counter()
    labels: set[str] = set()
    for file in files:
        name, found, declared = _read(file, place, side, class_names)
        formats[name] += 1
        pictures += found
        labels |= {*declared, *(region.label for picture in found for region in picture.regions)}
    if len(formats) > 1:
        counts = ", ".join(f"{name}: {number}" for name, number in formats.most_common())
        raise UserError(f"{place} holds files of several formats ({counts}): give a folder or file of one of them")
    return Foreign(next(iter(formats)), tuple(pictures), tuple(sorted(labels)))


def _annotation_files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UserError(f"there is no {place}: give a file or folder with annotations")
    inside = [f for f in sorted(place.rglob("*")) if not any(p.startswith(".") for p in f.relative_to(place).parts)]
    files = [
        f for f in inside if f.suffix.lower() in ENDINGS and f.name not in (SAMPLES_FILE, MANIFEST_FILE, "classes.txt")
    ]
    if not files:
        endings = Counter(f.suffix.lower() or "no ending" for f in inside if f.is_file())
        found = ", ".join(f"{number} {ending}" for ending, number in endings.most_common(5)) or "nothing"
        raise UserError(f"{place} holds no annotations (found: {found}): known formats are {KNOWN}")
    if len(files) > MAXIMUM_FILES:
        raise UserError(f"{place} holds {len(files):,} annotation files, more than {MAXIMUM_FILES:,}: give fewer")
    return files


def _read(file: Path, place: Path, side: float, class_names: ClassNames) -> tuple[str, list[Picture], Iterable[str]]:
    """Format, pictures and declared labels of one file."""
    name, read = _recognise(read_text(file), file, place, side, class_names)
    try:
        return name, *read()
    except UserError as error:
        raise UserError(f"{file} is damaged {name} ({error}): write it again with its tool") from error


Read = tuple[list[Picture], Iterable[str]]
"""Pictures, and the labels that are declared beside those that are drawn."""


def _recognise(
    text: str, file: Path, place: Path, side: float, class_names: ClassNames
) -> tuple[str, Callable[[], Read]]:
    """The format of a file, and what reads it."""
    start = text.lstrip()[:1]
    if start == "<":
        root = parse_xml(text, file)
        if root.tag != "annotation":
            raise _unknown(file, f"XML of <{shown(root.tag, quoted=False)}>")
        return "Pascal VOC", partial(_voc, root)
    if start in ("{", "["):
        try:
            data = load_plain(text)
        except UserError as error:
            raise UserError(f"{file} is damaged JSON ({error}): write it again with its tool") from error
        name = _json_format(data, file)
        return name.removesuffix(" project"), partial(_JSON_READERS[name], text)
    if "region_shape_attributes" in text.partition("\n")[0]:
        return "VIA", partial(_via_csv, text)
    if file.suffix.lower() == ".txt":
        return "YOLO", partial(_yolo, text, f"{file.stem}.png", class_names(file, place), side)
    raise _unknown(file, f"text that begins with {shown(text.partition(chr(10))[0])}" if start else "nothing in it")


def _unknown(file: Path, found: str) -> UserError:
    return UserError(f"{file} is of no known format (found: {found}): known are {KNOWN}")


def _base(name: str) -> str:
    """A file name without its folders, which may be those of Windows."""
    return PureWindowsPath(name).name


def _around(label: str, across: Sequence[float], down: Sequence[float]) -> Region:
    return Region(label, min(across), min(down), max(across), max(down))


def _number(text: str, place: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"{place}: expected a number, found {shown(text)}") from error


# --- Pascal VOC ----------------------------------------------------------------------------------------------------


def _voc(root: Element) -> Read:
    """Coordinates are edges counted from 0, as labelImg and CVAT write them (the 2007 data count pixels from 1)."""

    def value(element: Element, tag: str, what: str) -> str:
        text = element.findtext(tag)
        if text is None or not text.strip():
            raise UserError(f"{what} has no {tag!r}")
        return text.strip()

    def number(element: Element, tag: str, what: str) -> float:
        return _number(value(element, tag, what), f"{what}, {tag}")

    regions = []
    for index, entry in enumerate(root.iterfind("object"), start=1):
        what = f"object {index}"
        edges = [number(entry, f"bndbox/{tag}", what) for tag in ("xmin", "ymin", "xmax", "ymax")]
        regions.append(Region(value(entry, "name", what), *edges))
    size = (number(root, "size/width", "it"), number(root, "size/height", "it"))
    return [Picture(_base(value(root, "filename", "it")), tuple(regions), size)], ()


# --- YOLO ----------------------------------------------------------------------------------------------------------


def _yolo(text: str, picture: str, names: dict[int, str], side: float) -> Read:
    regions = []
    for index, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 5:
            raise UserError(f"line {index} has {len(words)} words, not a class and 4 numbers")
        x, y, width, height = (_number(word, f"line {index}") * side for word in words[1:])
        number = int(words[0]) if re.fullmatch("[0-9]{1,9}", words[0]) else words[0]
        if number not in names:
            listed = sorted(names)[:20]
            raise UserError(f"line {index} is of class {shown(number, quoted=False)}, and the classes are {listed}")
        label = names[int(number)]
        regions.append(Region(label, x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return [Picture(picture, tuple(regions))], names.values()


# --- JSON ----------------------------------------------------------------------------------------------------------


def _json_format(data: Any, file: Path) -> str:
    if not isinstance(data, dict):
        raise _unknown(file, "JSON that is a list")
    if {"images", "annotations", "categories"} <= data.keys():
        info = data.get("info")
        if isinstance(info, dict) and "dcgan_viz" in info:
            raise UserError(f"{file} needs no import: it is ready for forget")
        return "COCO"
    if {"shapes", "imagePath"} <= data.keys():
        return "LabelMe"
    if "_via_img_metadata" in data:
        return "VIA project"
    if data and all(isinstance(e, dict) and {"filename", "regions"} <= e.keys() for e in data.values()):
        return "VIA"
    keys = ", ".join(shown(key) for key in list(data)[:5])
    raise _unknown(file, f"JSON with {keys or 'nothing'} in it")


def _coco(text: str) -> Read:
    data = parse_json(text, Coco)
    labels = {category.id: category.name for category in data.categories}
    regions: dict[Id, list[Region]] = {image.id: [] for image in data.images}
    for index, entry in enumerate(data.annotations):
        if entry.bbox is None:
            raise UserError(f"annotations[{index}].bbox is missing")
        left, top, width, height = entry.bbox
        regions[entry.image_id].append(Region(labels[entry.category_id], left, top, left + width, top + height))
    pictures = []
    for index, image in enumerate(data.images):
        if image.file_name is None:
            raise UserError(f"images[{index}].file_name is missing")
        size = None if image.width is None or image.height is None else (image.width, image.height)
        pictures.append(Picture(_base(image.file_name), tuple(regions[image.id]), size))
    return pictures, labels.values()


@dataclass(frozen=True)
class _LabelMeShape:
    __pydantic_config__: ClassVar = LENIENT

    label: str
    points: tuple[tuple[float, float], ...]
    # Its first versions drew polygons alone, and did not say so.
    shape_type: str = "polygon"

    def __post_init__(self) -> None:
        if self.shape_type not in ("rectangle", "polygon"):
            what = f"a {shown(self.shape_type, quoted=False)} around {shown(self.label)}"
            raise UserError(f"{what}; rectangles and polygons can be read")
        if not self.points:
            raise UserError("it has no points")


@dataclass(frozen=True)
class _LabelMe:
    __pydantic_config__: ClassVar = LENIENT

    shapes: tuple[_LabelMeShape, ...]
    imagePath: str  # noqa: N815
    imageWidth: float | None = None  # noqa: N815
    imageHeight: float | None = None  # noqa: N815

    def __post_init__(self) -> None:
        if (self.imageWidth is None) != (self.imageHeight is None):
            raise UserError("imageWidth and imageHeight belong together")


def _labelme(text: str) -> Read:
    data = parse_json(text, _LabelMe)
    regions = [_around(shape.label, *zip(*shape.points, strict=True)) for shape in data.shapes]
    size = None if data.imageWidth is None or data.imageHeight is None else (data.imageWidth, data.imageHeight)
    return [Picture(_base(data.imagePath), tuple(regions), size)], ()


# --- VGG Image Annotator -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _ViaShape:
    __pydantic_config__: ClassVar = LENIENT

    name: str
    x: float | None = None
    y: float | None = None
    width: float | None = None
    height: float | None = None
    all_points_x: tuple[float, ...] = ()
    all_points_y: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in ("rect", "polygon"):
            raise UserError(f"a region of shape {shown(self.name)}; rect and polygon can be read")
        if not all(self.sides()):
            raise UserError("a rect needs x, y, width and height, a polygon as many all_points_x as all_points_y")

    def sides(self) -> tuple[Sequence[float], Sequence[float]]:
        """Where the corners are, across and down; nothing if the shape is not whole."""
        if self.name == "polygon":
            points = (self.all_points_x, self.all_points_y)
            return points if len(points[0]) == len(points[1]) else ((), ())
        if self.x is None or self.y is None or self.width is None or self.height is None:
            return (), ()
        return (self.x, self.x + self.width), (self.y, self.y + self.height)


@dataclass(frozen=True)
class _ViaRegion:
    __pydantic_config__: ClassVar = LENIENT

    shape_attributes: _ViaShape
    region_attributes: dict[str, str | float | bool | dict[str, Any] | None]

    def __post_init__(self) -> None:
        if not self.labels():
            raise UserError("a region without an attribute that names its object")

    def labels(self) -> list[str]:
        """All that it is called: the user names the attributes, so which of them is the object is not known."""
        found: set[str] = set()
        for value in self.region_attributes.values():
            # A checkbox has its choices as keys.
            chosen = [key for key, on in value.items() if on] if isinstance(value, dict) else [value]
            found |= {str(label).strip() for label in chosen if label is not None}
        return sorted(found - {""})


@dataclass(frozen=True)
class _ViaEntry:
    __pydantic_config__: ClassVar = LENIENT

    filename: str
    # Version 1 numbers the regions in an object.
    regions: tuple[_ViaRegion, ...] | dict[str, _ViaRegion]


@dataclass(frozen=True)
class _ViaProject:
    __pydantic_config__: ClassVar = LENIENT

    _via_img_metadata: dict[str, _ViaEntry]


def _via_project(text: str) -> Read:
    return _via_pictures(parse_json(text, _ViaProject)._via_img_metadata.values())


def _via(text: str) -> Read:
    return _via_pictures(parse_json(text, dict[str, _ViaEntry]).values())


def _via_pictures(entries: Iterable[_ViaEntry]) -> Read:
    pictures = []
    for entry in entries:
        listed = entry.regions.values() if isinstance(entry.regions, dict) else entry.regions
        regions = tuple(_around(label, *r.shape_attributes.sides()) for r in listed for label in r.labels())
        pictures.append(Picture(_base(entry.filename), regions))
    return pictures, ()


def _via_csv(text: str) -> Read:
    """The CSV export, one region a row."""
    regions: dict[str, list[_ViaRegion]] = {}
    rows = csv.DictReader(io.StringIO(text.lstrip("#"), newline=""))
    try:
        for row in rows:
            name, shape, attributes = (row.get(f) for f in ("filename", "region_shape_attributes", "region_attributes"))
            if name is None or shape is None or attributes is None:
                raise UserError("it ends too early")
            found = regions.setdefault(name, [])
            if load_plain(shape):
                text = f'{{"shape_attributes": {shape}, "region_attributes": {attributes}}}'
                found.append(parse_json(text, _ViaRegion))
    except (UserError, csv.Error) as error:
        raise UserError(f"line {rows.line_num}: {error}") from error
    return _via_pictures(_ViaEntry(name, tuple(found)) for name, found in regions.items())


_JSON_READERS: dict[str, Callable[[str], Read]] = {
    "COCO": _coco,
    "LabelMe": _labelme,
    "VIA": _via,
    "VIA project": _via_project,
}
