"""What the segmenter beside `rooms` must be able to do, on rooms that it was not trained on and on generated ones."""

from __future__ import annotations

import pytest

from dcgan_viz.data.images import to_tensor
from dcgan_viz.judges.patches import ALLOWED, check_patches
from dcgan_viz.judges.segmenter import Segmenter, find_segmenter, intersection_over_union, segment
from dcgan_viz.model import DCGAN, load
from dcgan_viz.rooms.drawing import OBJECTS, draw_rooms


@pytest.fixture(scope="module")
def model() -> DCGAN:
    return load("rooms")


@pytest.fixture(scope="module")
def segmenter(model: DCGAN) -> Segmenter:
    found = find_segmenter(model)
    assert found is not None
    return found


@pytest.mark.slow
def test_it_finds_objects_in_rooms_it_has_not_seen(segmenter: Segmenter) -> None:
    rooms = draw_rooms(150, 64, seed=77)
    ious = intersection_over_union(segment(segmenter, to_tensor(rooms.pixels)), rooms.masks, OBJECTS)
    assert set(ious) == set(segmenter.card.held_out_iou) == set(OBJECTS)
    # Paintings and panels are told from windows and from each other by their form alone: often they are not.
    least = {"window": 0.8, "bed": 0.93, "lamp": 0.7, "painting": 0.35, "door": 0.6, "rug": 0.75, "panel": 0.3}
    for name, iou in ious.items():
        assert iou >= least[name], name


@pytest.mark.slow
def test_it_takes_no_patches_for_windows(model: DCGAN, segmenter: Segmenter) -> None:
    rooms = draw_rooms(60, 64, seed=78)
    drawn = check_patches(segmenter, to_tensor(rooms.pixels), rooms.masks)
    generated = check_patches(segmenter, model.sample(60, seed=5))
    for check in (drawn, generated):
        shares = dict(zip(check.kinds, check.shares[:, check.objects.index("window")], strict=True))
        # Pieces of other pictures may show a door or a painting that it takes for a window there, too.
        assert shares.pop("crop") <= 0.2
        assert max(shares.values()) <= ALLOWED, shares
    assert set(segmenter.card.patches) == set(drawn.kinds)
