"""Boxes around objects in a model's samples that a segmenter draws, in place of a person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dcgan_viz.annotations.boxes import Annotations, Box, find_annotations, load_annotations, merge_annotations
from dcgan_viz.judges.segmenter import PRESENT_PIXELS, Segmenter, segment
from dcgan_viz.model import DCGAN


def automatic_boxes(
    model: DCGAN, segmenter: Segmenter, labels: Sequence[str] = (), *, count: int = 300, seed: int = 2015
) -> Annotations:
    """Box every connected region that a segmenter finds in a model's samples.

    Parameters
    ----------
    model : DCGAN
    segmenter : Segmenter
    labels : sequence of str
        Objects to box; all that the segmenter knows by default.
    count, seed : int
        The samples.

    Returns
    -------
    Annotations
        Regions below 0.4 % of the picture get no box.

    Raises
    ------
    UserError
        If the segmenter does not know an object or reads pictures of another size.
    """
    # Late: most models have boxes, and need not wait for it.
    from skimage.measure import label as connected
    from skimage.measure import regionprops

    wanted = tuple(labels) or segmenter.objects
    found = segment(segmenter, model.sample(count, seed))
    smallest = PRESENT_PIXELS * found[0].size
    boxes = []
    for name in wanted:
        number = segmenter.label(name)
        for image in range(count):
            for region in regionprops(connected(found[image] == number, connectivity=2)):
                if region.area >= smallest:
                    top, left, bottom, right = region.bbox
                    boxes.append(Box(image, name, float(left), float(top), float(right - left), float(bottom - top)))
    boxes.sort(key=lambda box: (box.image, wanted.index(box.label), box.top, box.left))
    accuracy = ", ".join(f"{name} {segmenter.card.held_out_iou.get(name, np.nan):.2f}" for name in wanted)
    return Annotations(
        boxes=tuple(boxes),
        looked_for=wanted,
        count=count,
        seed=seed,
        size=model.image_shape[1],
        generator_digest=model.generator_digest(),
        contributor="a segmenter",
        method=f"connected regions of a segmenter's labels (its IoU on held-out pictures: {accuracy})",
    )


def find_boxes(model: DCGAN, labels: Sequence[str], segmenter: Segmenter | None = None) -> Annotations:
    """The boxes that lie beside a model, or, where there are none, a segmenter's.

    Raises
    ------
    UserError
        If there is neither.
    """
    folder = model.folder / "annotations" if model.folder else None
    if segmenter is not None and (folder is None or not folder.is_dir()):
        return automatic_boxes(model, segmenter, labels)
    return merge_annotations([load_annotations(find_annotations(model, label)) for label in labels])
