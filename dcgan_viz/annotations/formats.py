"""Boxes as other annotation tools write them: Pascal VOC, YOLO, LabelMe, VIA, COCO.

Which of them a file is shows in what it holds; nothing is guessed.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any
from xml.etree import ElementTree

from dcgan_viz.annotations.class_names import find_class_names
from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import parse_xml, read_text

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


def read_foreign(path: str | Path, side: float) -> Foreign:
    """Read the annotations in a file, or in all annotation files of a folder and its subfolders.

    Polygons become the rectangles around them.

    Parameters
    ----------
    path : path
    side : float
        Side of the square pictures in pixels. YOLO gives boxes in shares of it.

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
        name, found, declared = _read(file, place, side)
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
    files = [f for f in inside if f.suffix.lower() in ENDINGS and f.name not in (SAMPLES_FILE, "classes.txt")]
    if not files:
        endings = Counter(f.suffix.lower() or "no ending" for f in inside if f.is_file())
        found = ", ".join(f"{number} {ending}" for ending, number in endings.most_common(5)) or "nothing"
        raise UserError(f"{place} holds no annotations (found: {found}): known formats are {KNOWN}")
    if len(files) > MAXIMUM_FILES:
        raise UserError(f"{place} holds {len(files):,} annotation files, more than {MAXIMUM_FILES:,}: give fewer")
    return files


def _read(file: Path, place: Path, side: float) -> tuple[str, list[Picture], Iterable[str]]:
    """Format, pictures and declared labels of one file."""
    text = read_text(file)
    start = text.lstrip()[:1]
    name = "XML" if start == "<" else "JSON" if start in ("{", "[") else file.suffix.lower().lstrip(".")
    try:
        if start == "<":
            root = parse_xml(text, file)
            if root.tag != "annotation":
                raise _unknown(file, f"XML of <{root.tag[:40]}>")
            name = "Pascal VOC"
            return name, [_voc(root)], ()
        if name == "JSON":
            data = json.loads(text)
            name = _json_format(data, file)
            return name, *_JSON_READERS[name](data)
        header = text.partition("\n")[0]
        if "region_shape_attributes" in header:
            name = "VIA"
            return name, *_via(_via_rows(text))
        if file.suffix.lower() == ".txt":
            name = "YOLO"
            names = find_class_names(file, place)
            return name, [Picture(f"{file.stem}.png", tuple(_yolo(text, names, side)))], names.values()
    except UserError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, csv.Error) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{file} is damaged {name} ({reason}): write it again with its tool") from error
    raise _unknown(file, f"text that begins with {header[:60]!r}" if start else "nothing in it")


def _unknown(file: Path, found: str) -> UserError:
    return UserError(f"{file} is of no known format (found: {found}): known are {KNOWN}")


def _base(name: str) -> str:
    """A file name without its folders, which may be those of Windows."""
    return PureWindowsPath(name).name


def _around(label: str, across: Sequence[float], down: Sequence[float]) -> Region:
    xs, ys = [float(x) for x in across], [float(y) for y in down]
    return Region(label, min(xs), min(ys), max(xs), max(ys))


# --- Pascal VOC ----------------------------------------------------------------------------------------------------


def _voc(root: ElementTree.Element) -> Picture:
    """Coordinates are edges counted from 0, as labelImg and CVAT write them (the 2007 data count pixels from 1)."""

    def value(element: ElementTree.Element, tag: str) -> str:
        text = element.findtext(tag)
        if text is None or not text.strip():
            raise KeyError(tag)
        return text.strip()

    regions = []
    for entry in root.iterfind("object"):
        x0, y0, x1, y1 = (float(value(entry, f"bndbox/{tag}")) for tag in ("xmin", "ymin", "xmax", "ymax"))
        regions.append(Region(value(entry, "name"), x0, y0, x1, y1))
    size = (float(value(root, "size/width")), float(value(root, "size/height")))
    return Picture(_base(value(root, "filename")), tuple(regions), size)


# --- YOLO ----------------------------------------------------------------------------------------------------------


def _yolo(text: str, names: dict[int, str], side: float) -> Iterator[Region]:
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 5:
            raise ValueError(f"line {number} has {len(words)} words, not a class and 4 numbers")
        x, y, width, height = (float(word) * side for word in words[1:])
        if int(words[0]) not in names:
            raise ValueError(f"line {number} is of class {words[0]}, and the classes are {sorted(names)}")
        yield Region(names[int(words[0])], x - width / 2, y - height / 2, x + width / 2, y + height / 2)


# --- JSON ----------------------------------------------------------------------------------------------------------


def _json_format(data: Any, file: Path) -> str:
    if isinstance(data, dict):
        if {"images", "annotations", "categories"} <= data.keys():
            if "dcgan_viz" in (data.get("info") or {}):
                raise UserError(f"{file} needs no import: forget --annotations takes it as it is")
            return "COCO"
        if {"shapes", "imagePath"} <= data.keys():
            return "LabelMe"
        entries = data.get("_via_img_metadata", data)
        if "_via_img_metadata" in data or (
            entries and all(isinstance(e, dict) and {"filename", "regions"} <= e.keys() for e in entries.values())
        ):
            return "VIA"
        raise _unknown(file, f"JSON with {', '.join(repr(key[:40]) for key in list(data)[:5]) or 'nothing'} in it")
    raise _unknown(file, "JSON that is a list")


def _coco(data: dict[str, Any]) -> tuple[list[Picture], Iterable[str]]:
    labels = {category["id"]: str(category["name"]) for category in data["categories"]}
    regions: dict[Any, list[Region]] = {image["id"]: [] for image in data["images"]}
    for entry in data["annotations"]:
        left, top, width, height = (float(value) for value in entry["bbox"])
        region = Region(labels[entry["category_id"]], left, top, left + width, top + height)
        regions[entry["image_id"]].append(region)
    pictures = [
        Picture(_base(image["file_name"]), tuple(regions[image["id"]]), _stated(image, "width", "height"))
        for image in data["images"]
    ]
    return pictures, labels.values()


def _labelme(data: dict[str, Any]) -> tuple[list[Picture], Iterable[str]]:
    regions = []
    for shape in data["shapes"]:
        # Its first versions drew polygons alone, and did not say so.
        if shape.get("shape_type", "polygon") not in ("rectangle", "polygon"):
            raise ValueError(f"a {shape['shape_type']} around {shape['label']!r}; rectangles and polygons can be read")
        regions.append(_around(str(shape["label"]), *zip(*shape["points"], strict=True)))
    return [Picture(_base(data["imagePath"]), tuple(regions), _stated(data, "imageWidth", "imageHeight"))], ()


def _stated(entry: dict[str, Any], width: str, height: str) -> tuple[float, float] | None:
    if entry.get(width) is None and entry.get(height) is None:
        return None
    return float(entry[width]), float(entry[height])


# --- VGG Image Annotator -------------------------------------------------------------------------------------------


def _via(data: dict[str, Any]) -> tuple[list[Picture], Iterable[str]]:
    pictures = []
    for entry in data.get("_via_img_metadata", data).values():
        regions = entry["regions"]
        # Version 1 numbers the regions in an object.
        listed = regions.values() if isinstance(regions, dict) else regions
        pictures.append(Picture(_base(entry["filename"]), tuple(r for found in listed for r in _via_region(found))))
    return pictures, ()


def _via_region(region: dict[str, Any]) -> Iterator[Region]:
    """A region under each of its labels: the user names the attributes, so which of them is the object is not known."""
    shape, attributes = region["shape_attributes"], region["region_attributes"]
    if shape["name"] == "rect":
        left, top = float(shape["x"]), float(shape["y"])
        across, down = [left, left + float(shape["width"])], [top, top + float(shape["height"])]
    elif shape["name"] == "polygon":
        across, down = shape["all_points_x"], shape["all_points_y"]
    else:
        raise ValueError(f"a region of shape {shape['name']!r}; rect and polygon can be read")
    labels: set[str] = set()
    for value in attributes.values():
        # A checkbox has its choices as keys.
        labels |= {key for key, chosen in value.items() if chosen} if isinstance(value, dict) else {str(value).strip()}
    labels.discard("")
    if not labels:
        raise ValueError("a region without an attribute that names its object")
    for label in sorted(labels):
        yield _around(label, across, down)


def _via_rows(text: str) -> dict[str, Any]:
    """The CSV export in the form of the JSON export."""
    entries: dict[str, Any] = {}
    for row in csv.DictReader(io.StringIO(text.lstrip("#"), newline="")):
        entry = entries.setdefault(row["filename"], {"filename": row["filename"], "regions": []})
        shape = json.loads(row["region_shape_attributes"])
        if shape:
            attributes = json.loads(row["region_attributes"])
            entry["regions"].append({"shape_attributes": shape, "region_attributes": attributes})
    return entries


_JSON_READERS = {"COCO": _coco, "LabelMe": _labelme, "VIA": _via}
