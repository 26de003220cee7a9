"""How far the segmenter of `rooms` can be trusted: on new procedural rooms, and on generated ones outlined by eye.

python benchmarks/segmenter.py
"""

from __future__ import annotations

import json

import click
import numpy as np

from dcgan_viz.annotations.masks import polygon_mask
from dcgan_viz.data.images import to_tensor
from dcgan_viz.judges.segmenter import find_segmenter, intersection_over_union, segment
from dcgan_viz.model import load
from dcgan_viz.rooms.drawing import OBJECTS, draw_rooms
from dcgan_viz.statistics import interval_of

SAMPLES_SEED = 4242
UNSURE_BEDS = (1, 5, 7, 9, 10, 14, 18, 20)
"""Samples whose bed the one who drew the outlines was least certain of."""


@click.command()
@click.option("--rooms", "count", default=1000, show_default=True, help="New procedural rooms.")
def main(count: int) -> None:
    """Print the intersection over union with the truth, and with outlines drawn by eye."""
    model = load("rooms")
    segmenter = find_segmenter(model)
    assert segmenter is not None
    assert model.folder is not None
    rooms = draw_rooms(count, 64, seed=7)
    ious = intersection_over_union(segment(segmenter, to_tensor(rooms.pixels)), rooms.masks, OBJECTS)
    print(f"{count} new rooms (seed 7): " + ", ".join(f"{name} {iou:.2f}" for name, iou in ious.items()))

    outlines = json.loads((model.folder / "segmenter" / "outlines.json").read_text())
    found = segment(segmenter, model.sample(len(outlines["images"]), SAMPLES_SEED))
    for category in outlines["categories"]:
        truth = np.zeros(found.shape, bool)
        for drawn in outlines["annotations"]:
            if drawn["category_id"] == category["id"]:
                truth[drawn["image_id"]] |= polygon_mask(drawn["segmentation"], *found.shape[1:])
        seen = found == segmenter.label(category["name"])
        sure = [k for k in range(len(found)) if category["name"] != "bed" or k not in UNSURE_BEDS]
        for which, chosen in (("all", range(len(found))), ("certain", sure)):
            both = (seen & truth).sum((1, 2))[list(chosen)]
            either = (seen | truth).sum((1, 2))[list(chosen)]
            random = np.random.default_rng(0).integers(0, len(both), (2000, len(both)))
            interval = interval_of(both[random].sum(1) / either[random].sum(1))
            print(
                f"{len(both)} generated rooms outlined by eye ({which}), {category['name']}: IoU "
                f"{both.sum() / either.sum():.2f} [{interval.low:.2f}, {interval.high:.2f}]"
            )


if __name__ == "__main__":
    main()
