from __future__ import annotations

import numpy as np

from dcgan_viz.data.duplicates.duplicates import Duplicates
from dcgan_viz.figures.duplicates import duplicates_figure
from tests.figures.columns import faults


def test_candidates_are_parted_by_the_threshold() -> None:
    result = Duplicates(
        settings={"radius": 4, "threshold": 0.9, "steps": 1, "seed": 0},
        source="pictures",
        pictures=9,
        broken=0,
        groups=2,
        removed=2,
        stages=(),
        detail_limit=0.5,
        names=tuple("abcdefghi"),
        group=np.array([0, 0, 1, 1, 2, 3, 4, 5, 6]),
        candidates=np.array([[0, 1], [2, 3], [4, 5]]),
        distances=np.array([0, 2, 4]),
        correlations=np.array([0.99, 0.95, 0.3], np.float32),
        shown=np.array([0, 1, 2, 3]),
        shown_pictures=np.zeros((4, 96, 96, 3), np.uint8),
    )
    figure = duplicates_figure(result)
    assert not faults(lambda: duplicates_figure(result))
    same, others = (points.get_offsets() for points in figure.axes[0].collections)
    np.testing.assert_allclose(same[:, 1], [0.99, 0.95], rtol=1e-6)
    np.testing.assert_allclose(others[:, 1], [0.3], rtol=1e-6)
    np.testing.assert_allclose(np.concatenate([same, others])[:, 0], [0, 2, 4], atol=0.3)
    assert "2 groups, 2 pictures to leave out" in figure.said
