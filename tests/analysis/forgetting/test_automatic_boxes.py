from __future__ import annotations

import numpy as np

from dcgan_viz.analysis.forgetting.automatic_boxes import automatic_boxes, find_boxes
from dcgan_viz.judges.segmenter import PRESENT_PIXELS, Segmenter, segment
from dcgan_viz.model import DCGAN


def regions(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """Pixels that touch, also at corners, by filling from each."""
    left, found = {(int(y), int(x)) for y, x in np.argwhere(mask)}, []
    while left:
        region, edge = set(), [min(left)]
        while edge:
            y, x = edge.pop()
            if (y, x) in left:
                left.remove((y, x))
                region.add((y, x))
                edge += [(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        found.append(region)
    return found


def test_every_region_that_is_large_enough_has_its_box(tiny_model: DCGAN, tiny_segmenter: Segmenter) -> None:
    found = automatic_boxes(tiny_model, tiny_segmenter, ["window"], count=12, seed=3)
    labels = segment(tiny_segmenter, tiny_model.sample(12, 3))
    expected = []
    for image, picture in enumerate(labels):
        for region in regions(picture == 1):
            if len(region) >= PRESENT_PIXELS * 256:
                rows, columns = [y for y, _ in region], [x for _, x in region]
                corner, opposite = (min(columns), min(rows)), (max(columns) + 1, max(rows) + 1)
                expected.append((image, *corner, opposite[0] - corner[0], opposite[1] - corner[1]))
    assert sorted((b.image, b.left, b.top, b.width, b.height) for b in found.boxes) == sorted(expected)
    assert expected
    assert (found.count, found.seed, found.looked_for) == (12, 3, ("window",))


def test_without_boxes_beside_the_model_they_are_the_segmenters(tiny_model: DCGAN, tiny_segmenter: Segmenter) -> None:
    assert find_boxes(tiny_model, ["bed"], tiny_segmenter) == automatic_boxes(tiny_model, tiny_segmenter, ["bed"])
