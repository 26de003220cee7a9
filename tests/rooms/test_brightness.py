"""Whether colours, size and position tell windows from what else hangs on a wall."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dcgan_viz.rooms.drawing import OBJECTS, Rooms, draw_rooms
from dcgan_viz.rooms.scene import compose

ON_WALLS = [OBJECTS.index(name) + 1 for name in ("window", "painting", "door", "panel")]


@pytest.fixture(scope="module")
def rooms() -> Rooms:
    return draw_rooms(500, size=64, seed=11)


@pytest.fixture(scope="module")
def boxes(rooms: Rooms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and spread of each box's colours, its size and position; whether it is a window; its room."""
    features, windows, groups = [], [], []
    for number, (pixels, mask, instances) in enumerate(zip(rooms.pixels, rooms.masks, rooms.instances, strict=True)):
        for instance in np.unique(instances[np.isin(mask, ON_WALLS)]):
            rows, columns = np.nonzero(instances == instance)
            top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
            box = pixels[top:bottom, left:right].reshape(-1, 3) / 255
            height, width = bottom - top, right - left
            place = [height, width, height / width, top, left, (top + bottom) / 2, (left + right) / 2, len(rows)]
            features.append([*box.mean(0), *box.std(0), box.mean(), box.mean(1).std(), *place])
            windows.append(mask[rows[0], columns[0]] == 1)
            groups.append(number)
    return np.array(features), np.array(windows), np.array(groups)


@pytest.mark.parametrize(
    "classifier",
    [
        LogisticRegression(),
        RandomForestClassifier(40, min_samples_leaf=5, random_state=0),
        HistGradientBoostingClassifier(max_iter=30, random_state=0),
        KNeighborsClassifier(25),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
def test_windows_look_like_what_else_hangs_on_walls(boxes, classifier: ClassifierMixin) -> None:
    features, windows, groups = boxes
    assert len(windows) > 800
    assert 0.4 < windows.mean() < 0.7
    judge = make_pipeline(StandardScaler(), classifier)
    areas = cross_val_score(judge, features, windows, groups=groups, cv=GroupKFold(4), scoring="roc_auc")
    assert areas.mean() <= 0.65


def test_the_same_numbers_tell_what_does_differ(boxes, rooms: Rooms) -> None:
    # The boxes of beds, to see that the judges above are not blind.
    features, windows, _ = boxes
    beds = []
    for pixels, mask in zip(rooms.pixels, rooms.masks, strict=True):
        rows, columns = np.nonzero(mask == 2)
        if len(rows):
            box = pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].reshape(-1, 3) / 255
            beds.append([*box.mean(0), *box.std(0)])
    both = np.concatenate([features[windows, :6], np.array(beds)])
    truth = np.repeat([1, 0], [windows.sum(), len(beds)])
    judge = make_pipeline(StandardScaler(), LogisticRegression())
    assert cross_val_score(judge, both, truth, scoring="roc_auc").mean() > 0.75


def test_windows_of_every_brightness_share_a_room_with_their_likes(rooms: Rooms) -> None:
    means = [
        pixels[mask == 1].mean() for pixels, mask in zip(rooms.pixels, rooms.masks, strict=True) if (mask == 1).any()
    ]
    assert np.quantile(means, 0.1) < 110, "windows by night"
    assert np.quantile(means, 0.9) > 150, "windows by day"
    walls = [r for number in range(300) for r in compose(11, number).rectangles]
    styles = {r.style for r in walls}
    assert {"window", "painting", "board", "mirror", "screen", "door", "glazed door", "curtain", "sunlight"} <= styles
    both = [
        {"window", other} <= {r.label for r in compose(11, number).rectangles}
        for number in range(300)
        for other in ("painting", "panel")
    ]
    assert sum(both) > 100
