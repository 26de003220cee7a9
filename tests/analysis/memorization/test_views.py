from __future__ import annotations

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.memorization.image_vectors import pixel_vectors
from dcgan_viz.analysis.memorization.planted import ALTERATIONS
from dcgan_viz.analysis.memorization.views import PLACEMENTS, image_views, nearest_views
from dcgan_viz.data.images import TensorImages, to_tensor
from dcgan_viz.rooms.drawing import draw_rooms


@pytest.fixture(scope="module")
def rooms() -> torch.Tensor:
    return to_tensor(draw_rooms(40, seed=3).pixels)


def test_views_are_what_they_are_called(rooms: torch.Tensor) -> None:
    views = image_views(rooms[:5])
    assert views.shape == (len(PLACEMENTS) + 1, 5, 192)
    # By four pixels to the left, which shows what lies right of the middle.
    moved = torch.cat([rooms[:5, :, :, 4:], rooms[:5, :, :, -4:].flip(-1)], dim=3)
    right = next(k for k, p in enumerate(PLACEMENTS) if p.tolist() == [[1, 0, 0.125], [0, 1, 0]])
    assert (views[right] * pixel_vectors(moved)).sum(1).min() > 0.995
    grey = rooms[:5].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    assert torch.allclose(views[-1], pixel_vectors(grey))


def test_the_nearest_candidate_is_that_of_a_loop(rooms: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan_viz.analysis.memorization.views.BATCH", 3)
    queries = torch.stack([pixel_vectors(rooms[:6]), pixel_vectors(rooms[:6].flip(-1))])
    candidates = np.random.default_rng(0).integers(6, 40, (6, 4))
    candidates[2, 1] = -1
    found = nearest_views(queries, candidates, TensorImages(rooms))
    views = image_views(rooms)
    for k in range(6):
        distances = [
            min((2 - 2 * float(q @ v)) ** 0.5 for q in queries[:, k] for v in views[:, c]) if c >= 0 else np.inf
            for c in candidates[k]
        ]
        assert found.distance[k] == pytest.approx(min(distances), abs=1e-3)
        assert found.number[k] == candidates[k][int(np.argmin(distances))]
        assert found.relative[k] == pytest.approx(min(distances) / np.median(distances), abs=2e-3)


@pytest.mark.parametrize("kind", ["shifted by 3 pixels", "in grey", "cropped to 80 %", "turned by 10°"])
def test_a_view_brings_a_copy_nearer(rooms: torch.Tensor, kind: str) -> None:
    """Also where what was done lies between two views."""
    copies = pixel_vectors(ALTERATIONS[kind](rooms))
    plain = (copies * pixel_vectors(rooms)).sum(1)
    tried = (copies * image_views(rooms)).sum(2).amax(0)
    assert ((2 - 2 * tried).clamp(min=0).sqrt() < 0.8 * (2 - 2 * plain).sqrt()).float().mean() > 0.9
