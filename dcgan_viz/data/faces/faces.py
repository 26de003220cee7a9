"""Square, upright crops of the faces in any source of pictures, with where they were and what was left out."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dcgan_viz.data.decoding import UnreadableError, as_seen, quiet_decoders, upright_size
from dcgan_viz.data.faces.detection import Detection, Detector, cascade_detector, yunet_detector
from dcgan_viz.data.sources import open_images
from dcgan_viz.errors import UserError
from dcgan_viz.folders import check_folder, staged_folder
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.untrusted import printable
from dcgan_viz.versions import versions
from dcgan_viz.words import counted

KIND = "Faces"
FOLDER, BOXES, SKIPPED, SUMMARY = "faces", "annotations.json", "skipped.jsonl", "faces.json"
LONGEST = 2048
"""Pictures are looked at no larger than this."""
LOOKED_FOR = 0.5
"""Faces are looked for down to this share of the least side, so that those that are too small are named."""

NONE, SMALL, OUTSIDE, EYELESS = "no face", "too small", "too near to the edge", "eyes not found"
REMEDIES = {
    SMALL: "choose a smaller `least`",
    OUTSIDE: "choose a smaller `margin`",
    EYELESS: "take faces whose eyes were not found too with `without_eyes=True`",
}
"""What lets faces through that were left out for a reason."""


@dataclass(frozen=True)
class Skipped:
    """A picture or a face that gave no crop, and why.

    Parameters
    ----------
    name : str
        Of the picture.
    reason : str
    box : tuple of float, optional
        Left, top, width and height of the face, in pixels of the picture.
    """

    name: str
    reason: str
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Faces:
    """What was cut out.

    Parameters
    ----------
    folder : Path
    pictures, faces : int
        Looked at, and cut out.
    detector : str
    skipped : mapping of str to int
        How many faces and pictures gave no crop, by reason.
    """

    folder: Path
    pictures: int
    faces: int
    detector: str
    skipped: dict[str, int]


def cut_faces(
    source: str | Path,
    out: str | Path,
    *,
    size: int = 128,
    least: int = 64,
    margin: float = 0.3,
    yunet: str | Path | None = None,
    eyes: bool = True,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Faces:
    """Cut every face of a source out, turned upright, in a square with a margin.

    Parameters
    ----------
    source : path
        Whatever `open_images` opens.
    out : path
        The folder to write: ``faces/`` with a PNG a face, ``annotations.json`` with their boxes in the pictures as COCO,
        ``skipped.jsonl`` with what was left out and why, ``faces.json`` with the numbers.
    size : int
        Side of the crops in pixels.
    least : int
        Least side of a face in pixels of its picture: smaller ones are blurred in a crop.
    margin : float
        On each side of a face, in its sides.
    yunet : path, optional
        YuNet's ONNX file; by default OpenCV's cascades find the faces.
    eyes : bool
        Leave out faces without both eyes: of the cascades' false alarms most have none.
    overwrite : bool
        Whether files of the same names may be replaced, whoever wrote them.
    progress : Progress

    Returns
    -------
    Faces

    Raises
    ------
    UserError
        If OpenCV is missing, no face is found, or something is in the way.
    """
    if not 8 <= size <= 1024 or not 8 <= least <= LONGEST or not 0 <= margin <= 2:
        raise UserError(
            f"crops of {size} pixels of faces of {least} with a margin of {margin:g}: give sides from 8 to 1024 and from 8 to "
            f"{LONGEST}, and a margin up to 2"
        )
    folder = Path(out)
    check_folder(folder, KIND, (BOXES, SKIPPED, SUMMARY), overwrite)
    detector = cascade_detector() if yunet is None else yunet_detector(Path(yunet))
    found = open_images(source)
    boxes = _Boxes()
    skipped: list[Skipped] = []
    with staged_folder(folder, KIND, overwrite=overwrite) as stage, quiet_decoders():
        (stage / FOLDER).mkdir()
        for index in progress(range(len(found)), Stage(f"looking for faces in {found.path.name}", len(found), "image")):
            name = found.names[index]
            try:
                picture, scale = _picture(found.entry(index))
            except UnreadableError as error:
                skipped.append(Skipped(name, str(error)))
                continue
            faces = detector(np.asarray(picture), LOOKED_FOR * least * scale)
            if not faces:
                skipped.append(Skipped(name, NONE))
            for number, face in enumerate(faces):
                reason = _reason(face, picture, scale, least, margin, eyes)
                if reason is not None:
                    skipped.append(Skipped(name, reason, _box(face, scale)))
                    continue
                crop = f"{FOLDER}/{index:08d}-{number}.png"
                crop_face(picture, face, size, margin).save(stage / crop)
                boxes.add(index, name, picture, face, scale, crop)
        if not boxes.faces:
            counts = _counts(skipped)
            reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
            # What helps against the most frequent reason against which something does.
            advice = next((REMEDIES[reason] for reason in counts if reason in REMEDIES), "give other pictures")
            raise UserError(f"no face in {source} gives a crop ({reasons}): {advice}")
        result = Faces(folder, len(found), len(boxes.faces), "cascades" if yunet is None else "YuNet", _counts(skipped))
        (stage / BOXES).write_text(json.dumps(boxes.coco(), indent=1) + "\n")
        (stage / SKIPPED).write_text("".join(json.dumps(asdict(s)) + "\n" for s in skipped))
        settings = {"source": str(source), "size": size, "least": least, "margin": margin, "eyes": eyes}
        about = {**asdict(result), "folder": folder.name, "settings": settings, "versions": versions()}
        (stage / SUMMARY).write_text(json.dumps(about, indent=2) + "\n")
    return result


def crop_face(picture: Image.Image, face: Detection, size: int, margin: float) -> Image.Image:
    """A face turned upright, in a square with a margin.

    Parameters
    ----------
    picture : PIL image
    face : Detection
    size : int
        Side of the crop.
    margin : float
        Margin on each side, as a multiple of the face's side.

    Returns
    -------
    PIL image (size, size)

    Examples
    --------
    >>> crop_face(Image.new("RGB", (100, 80)), Detection(20, 20, 30, 30, 1.0), 64, 0.2).size
    (64, 64)
    """
    side = face.side * (1 + 2 * margin)
    x, y = face.centre
    cosine, sine = (f(math.radians(face.roll)) for f in (math.cos, math.sin))
    # At the picture's own size, then resized: a transformation alone would leave out pixels.
    own = max(1, round(side))
    step = side / own
    corner_x = x - cosine * side / 2 + sine * side / 2
    corner_y = y - sine * side / 2 - cosine * side / 2
    matrix = (step * cosine, -step * sine, corner_x, step * sine, step * cosine, corner_y)
    turned = picture.transform((own, own), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return turned.resize((size, size), Image.Resampling.LANCZOS)


def _picture(entry: Any) -> tuple[Image.Image, float]:
    """A picture, no larger than is looked at, and its scale."""
    picture = as_seen(entry, LONGEST)
    return picture, max(picture.size) / max(upright_size(entry))


def _reason(face: Detection, picture: Image.Image, scale: float, least: int, margin: float, eyes: bool) -> str | None:
    if face.side / scale < least:
        return SMALL
    if eyes and not face.eyes:
        return EYELESS
    half = face.side * (0.5 + margin)
    turned = math.radians(abs(face.roll))
    reach = half * (math.cos(turned) + math.sin(turned))
    x, y = face.centre
    inside = reach <= x <= picture.width - reach and reach <= y <= picture.height - reach
    return None if inside else OUTSIDE


def _box(face: Detection, scale: float) -> tuple[float, float, float, float]:
    """In pixels of the whole picture."""
    left, top, width, height = (round(v / scale, 2) for v in (face.left, face.top, face.width, face.height))
    return left, top, width, height


def _counts(skipped: list[Skipped]) -> dict[str, int]:
    known = Counter(s.reason if s.reason in (NONE, SMALL, OUTSIDE, EYELESS) else "not readable" for s in skipped)
    return dict(known.most_common())


class _Boxes:
    """The faces that were cut out, as COCO."""

    def __init__(self) -> None:
        self.images: dict[int, dict[str, Any]] = {}
        self.faces: list[dict[str, Any]] = []

    def add(self, index: int, name: str, picture: Image.Image, face: Detection, scale: float, crop: str) -> None:
        width, height = (round(side / scale) for side in picture.size)
        self.images[index] = {"id": index, "file_name": name, "width": width, "height": height}
        box = _box(face, scale)
        self.faces.append(
            {
                "id": len(self.faces) + 1,
                "image_id": index,
                "category_id": 1,
                "bbox": box,
                "area": round(box[2] * box[3], 2),
                "iscrowd": 0,
                "score": face.score,
                "roll": round(face.roll, 2),
                "crop": crop,
            }
        )

    def coco(self) -> dict[str, Any]:
        return {
            "images": list(self.images.values()),
            "categories": [{"id": 1, "name": "face"}],
            "annotations": self.faces,
        }


def sentences(result: Faces) -> str:
    """What came out, in lines.

    Examples
    --------
    >>> print(sentences(Faces(Path("f"), 10, 4, "cascades", {"no face": 6})))
    4 faces of 10 pictures, found by cascades
    left out: 6 no face
    """
    lines = [f"{counted(result.faces, 'face')} of {counted(result.pictures, 'picture')}, found by {result.detector}"]
    if result.skipped:
        lines.append("left out: " + ", ".join(f"{count:,} {printable(why)}" for why, count in result.skipped.items()))
    return "\n".join(lines)


__all__ = ["Detector", "Faces", "Skipped", "crop_face", "cut_faces", "sentences"]
