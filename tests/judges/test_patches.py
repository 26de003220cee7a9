from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dcgan_viz.judges.patches import KINDS, check_patches, paste_patches
from dcgan_viz.judges.segmenter import Segmenter, SegmenterCard, segment


class Brightness(nn.Module):
    """Calls "window" whatever is bright, and "bed" nothing."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(threshold))

    def forward(self, images: Tensor) -> Tensor:
        bright = (images.mean(1) > self.threshold).float()
        return torch.stack([1 - bright, bright, torch.full_like(bright, -1)], 1)


def judge(threshold: float) -> Segmenter:
    return Segmenter(Brightness(threshold), SegmenterCard(("window", "bed"), 32, 3, "nothing"))  # type: ignore[arg-type]


@pytest.fixture
def pictures() -> tuple[Tensor, np.ndarray]:
    """Grey pictures; half show a brighter window."""
    random = np.random.default_rng(0)
    images, labels = torch.full((60, 3, 32, 32), -0.2), np.zeros((60, 32, 32), np.uint8)
    for index in range(30):
        top, left = random.integers(0, 20, 2)
        images[index, :, top : top + 12, left : left + 12] = 0.3
        labels[index, top : top + 12, left : left + 12] = 1
    return images, labels


def test_a_judge_of_brightness_is_found_out(pictures) -> None:
    images, labels = pictures
    check = check_patches(judge(0.0), images, labels)
    window = dict(zip(check.kinds, check.shares[:, 0], strict=True))
    assert window["white"] == 1
    assert window["black"] == 0
    assert 0.2 < window["coloured"] < 0.8
    # Pieces that show a window are not asked for windows.
    assert window["crop"] == 0
    assert check.worst("window") == ("white", 1.0)
    assert (check.shares[:, 1] == 0).all()
    [warning] = check.warnings
    assert warning.startswith("100 % of the area of white patches, which show nothing, is taken for window")
    assert not check_patches(judge(2.0), images, labels).warnings
    assert check.to_dict()["white"] == {"window": 1.0, "bed": 0.0}


def test_shares_agree_with_pixels_counted_one_by_one(pictures) -> None:
    images, labels = pictures
    segmenter = judge(0.0)
    check = check_patches(segmenter, images, labels, seed=3)
    for row, kind in enumerate(KINDS):
        pasted = paste_patches(images, labels, kind, np.random.default_rng(3))
        found = segment(segmenter, pasted.images)
        taken = area = 0
        for index in range(60):
            patch = [(i, j) for i in range(32) for j in range(32) if pasted.where[index, i, j]]
            if kind == "crop" and any(pasted.labels[index, i, j] == 1 for i, j in patch):
                continue
            area += len(patch)
            taken += sum(found[index, i, j] == 1 for i, j in patch)
        assert check.shares[row, 0] == pytest.approx(taken / area)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_patch_changes(pictures, kind: str) -> None:
    images, labels = pictures
    before, masks = images.clone(), labels.copy()
    pasted = paste_patches(images, labels, kind, np.random.default_rng(1))
    assert torch.equal(images, before)
    assert np.array_equal(labels, masks)
    outside = torch.from_numpy(~pasted.where)[:, None].expand_as(images)
    assert torch.equal(pasted.images[outside], images[outside])
    assert np.array_equal(pasted.labels[~pasted.where], labels[~pasted.where])
    assert pasted.images.abs().max() <= 1
    for where in pasted.where:
        rows, columns = np.nonzero(where)
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert 4 <= np.ptp(rows) + 1 <= 13
    if kind == "crop":
        # What a piece shows moves with it.
        inside = pasted.where & (pasted.labels == 1)
        assert inside.any()
        assert (pasted.images[:, 0].numpy()[inside] == np.float32(0.3)).all()
    else:
        assert not pasted.labels[pasted.where].any()
    again = paste_patches(images, labels, kind, np.random.default_rng(1))
    assert torch.equal(again.images, pasted.images)


def test_half_of_the_patches_lie_over_objects(pictures) -> None:
    images, labels = pictures
    alone = np.zeros_like(labels)
    over = [
        (paste_patches(images, m, "white", np.random.default_rng(0)).where & (labels == 1)) for m in (labels, alone)
    ]
    hits, by_chance = (where[:30].any((1, 2)).mean() for where in over)
    assert hits > by_chance + 0.1


def test_without_labels_the_judge_says_what_is_shown(pictures) -> None:
    images, _ = pictures
    segmenter = judge(0.0)
    own = check_patches(segmenter, images)
    assert np.array_equal(own.shares, check_patches(segmenter, images, segment(segmenter, images)).shares)
