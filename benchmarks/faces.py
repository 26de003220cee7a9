"""How many pasted faces ``faces`` finds, and how often it sees one where there is none.

    python benchmarks/faces.py lsun_bedrooms_10k.zip utkface_9780.zip --count 200

Faces of UTKFace, 96 pixels a side with some forehead and chin, are pasted into bedrooms at 64 to 96 pixels, every other one
turned by up to 20 degrees. Found is a face whose detection has its centre within the middle half of what was pasted. A false
alarm is a detection in a bedroom without a pasted face; bedrooms may have real ones on their walls.
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path

import numpy as np
from PIL import Image

from dcgan_viz.data.faces.detection import Detection, Detector, cascade_detector, yunet_detector
from dcgan_viz.data.images import evenly_spaced
from dcgan_viz.data.sources import open_images
from dcgan_viz.statistics import share_estimate

LEAST = 32


def paste(
    bedroom: Image.Image, face: Image.Image, turned: bool, random: np.random.Generator
) -> tuple[Image.Image, tuple]:
    """A bedroom with a face somewhere, and where: left, top, side and roll."""
    room = bedroom.resize((2 * bedroom.width, 2 * bedroom.height), Image.Resampling.BICUBIC)
    side = int(random.integers(64, 97))
    roll = float(random.uniform(-20, 20)) if turned else 0.0
    cut = face.resize((side, side), Image.Resampling.LANCZOS)
    mask = Image.new("L", cut.size, 255).rotate(-roll)
    left, top = int(random.integers(0, room.width - side)), int(random.integers(0, room.height - side))
    room.paste(cut.rotate(-roll, Image.Resampling.BICUBIC), (left, top), mask)
    return room, (left, top, side, roll)


def hits(face: Detection, place: tuple) -> bool:
    """Whether a detection is of what was pasted."""
    left, top, side, _ = place
    x, y = face.centre
    return bool(
        abs(x - left - side / 2) < side / 4 and abs(y - top - side / 2) < side / 4 and 0.3 < face.side / side < 1.3
    )


def measure(name: str, detect: Detector, rooms: list, faces: list) -> None:
    """Recall and false alarms, with and without the demand for eyes."""
    random = np.random.default_rng(0)
    pasted = [paste(room, face, k % 2 == 1, random) for k, (room, face) in enumerate(zip(rooms, faces, strict=True))]
    start = time.process_time()
    found = [(detect(np.asarray(picture), LEAST), place) for picture, place in pasted]
    seconds = time.process_time() - start
    empty = [
        detect(np.asarray(room.resize((2 * room.width, 2 * room.height), Image.Resampling.BICUBIC)), LEAST)
        for room in rooms
    ]
    for eyes in (False, True):
        kept = [[f for f in one if f.eyes or not eyes] for one in empty]
        words = "with both eyes" if eyes else "all detections"
        for turn in (0, 1):
            got = [any(hits(f, place) and (f.eyes or not eyes) for f in one) for one, place in found[turn::2]]
            print(
                f"{name}, {words}, {'turned' if turn else 'upright'}: recall {share_estimate(sum(got), len(got)):.1%}"
            )
        alarms = share_estimate(sum(bool(one) for one in kept), len(kept), over="bedrooms")
        print(f"{name}, {words}: bedrooms with a false alarm {alarms:.1%}")
    errors = [abs(f.roll - place[3]) for one, place in found for f in one if hits(f, place) and f.eyes]
    print(
        f"{name}: roll off by {np.median(errors):.1f} degrees (median of {len(errors)}); {seconds / len(found):.3f} s an image"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bedrooms", type=Path)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--yunet", type=Path)
    options = parser.parse_args()
    pictures = []
    for path in (options.bedrooms, options.faces):
        source = open_images(path)
        entries = [source.entry(index) for index in evenly_spaced(len(source), options.count)]
        pictures.append([Image.open(io.BytesIO(entry)).convert("RGB") for entry in entries])  # type: ignore[arg-type]
    measure("cascades", cascade_detector(), *pictures)
    if options.yunet is not None:
        measure("YuNet", yunet_detector(options.yunet), *pictures)


if __name__ == "__main__":
    main()
