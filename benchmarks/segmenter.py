"""How far the segmenters of `rooms` can be trusted: on new procedural rooms, on patches, on rooms outlined by eye.

python benchmarks/segmenter.py
"""

from __future__ import annotations

import json

import click
import numpy as np

from dcgan_viz.annotations.masks import polygon_mask
from dcgan_viz.data.images import to_tensor
from dcgan_viz.judges.patches import PatchCheck, check_patches
from dcgan_viz.judges.segmenter import Segmenter, find_judge, find_segmenter, intersection_over_union, segment
from dcgan_viz.model import DCGAN, load
from dcgan_viz.rooms.drawing import OBJECTS, Rooms, draw_rooms

SAMPLES_SEED = 4242


@click.command()
@click.option("--rooms", "count", default=1000, show_default=True, help="New procedural rooms, and generated ones.")
def main(count: int) -> None:
    """Print the intersection over union with the truth, what patches are taken for, and how outlines by eye agree."""
    model = load("rooms")
    rooms = draw_rooms(count, 64, seed=7)
    for name, segmenter in (("segmenter", find_segmenter(model)), ("judge", find_judge(model))):
        assert segmenter is not None
        print(f"{name}:")
        _report(model, segmenter, rooms)


def _report(model: DCGAN, segmenter: Segmenter, rooms: Rooms) -> None:
    count = len(rooms.pixels)
    images = to_tensor(rooms.pixels)
    ious = intersection_over_union(segment(segmenter, images), rooms.masks, OBJECTS)
    print(f"{count} new rooms (seed 7): IoU " + ", ".join(f"{name} {iou:.2f}" for name, iou in ious.items()))
    _print_patches("new rooms", check_patches(segmenter, images, rooms.masks))
    _print_patches("generated rooms", check_patches(segmenter, model.sample(count, seed=7)))
    _print_outlines(model, segmenter)


def _print_patches(where: str, check: PatchCheck) -> None:
    for name in check.objects:
        column = check.shares[:, check.objects.index(name)]
        listing = ", ".join(f"{kind} {100 * share:.1f} %" for kind, share in zip(check.kinds, column, strict=True))
        print(f"patches in {check.patches} {where}, taken for {name}: {listing}")


def _print_outlines(model: DCGAN, segmenter: Segmenter) -> None:
    assert model.folder is not None
    outlines = json.loads((model.folder / "segmenter" / "outlines.json").read_text())
    found = segment(segmenter, model.sample(len(outlines["images"]), SAMPLES_SEED))
    for category in outlines["categories"]:
        truth = np.zeros(found.shape, bool)
        for drawn in outlines["annotations"]:
            if drawn["category_id"] == category["id"]:
                truth[drawn["image_id"]] |= polygon_mask(drawn["segmentation"], *found.shape[1:])
        seen = found == segmenter.label(category["name"])
        clear = np.array([category["name"] not in image["unclear"] for image in outlines["images"]])
        for which, chosen in (("", np.ones_like(clear)), (" in which the eye was sure", clear)):
            both, either = (seen & truth)[chosen].sum((1, 2)), (seen | truth)[chosen].sum((1, 2))
            again = np.random.default_rng(0).integers(0, len(both), (2000, len(both)))
            low, high = np.quantile(both[again].sum(1) / either[again].sum(1), [0.025, 0.975])
            print(
                f"{len(both)} generated rooms outlined by eye{which}, {category['name']}: IoU "
                f"{both.sum() / either.sum():.2f} [{low:.2f}, {high:.2f}]"
            )


if __name__ == "__main__":
    main()
