from __future__ import annotations

import numpy as np

from dcgan_viz.judges.splitting import hold_out, near_duplicates


def test_copies_are_found_though_mirrored_brightened_noisy_or_large() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 200, (6, 16, 16, 3), dtype=np.uint8).repeat(2, 1).repeat(2, 2)
    noisy = (pixels[1] + random.normal(0, 5, pixels[1].shape)).clip(0, 255).astype(np.uint8)
    copies = np.stack([pixels[0, :, ::-1], noisy, pixels[2] + 50, noisy[:, ::-1]])
    groups = near_duplicates(np.concatenate([pixels, copies]))
    assert groups.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 1]


def test_groups_agree_with_correlations_one_by_one_whatever_the_block(monkeypatch) -> None:
    random = np.random.default_rng(1)
    bases = random.integers(0, 256, (5, 16, 16, 1)).astype(float)
    # Half-way between two bases lie pictures that correlate with both, but not enough.
    pixels = np.concatenate([bases, (bases + np.roll(bases, 1, 0)) / 2, 0.8 * bases + 0.2 * np.roll(bases, 1, 0)])
    pixels = pixels.round().astype(np.uint8)
    vectors = pixels[..., 0].astype(float)
    count = len(pixels)
    groups = list(range(count))
    for a in range(count):
        for b in range(count):
            alike = max(
                np.corrcoef(vectors[a].ravel(), vectors[b].ravel())[0, 1],
                np.corrcoef(vectors[a].ravel(), vectors[b][:, ::-1].ravel())[0, 1],
            )
            if alike > 0.95:
                old, new = groups[b], groups[a]
                groups = [new if g == old else g for g in groups]
    found = near_duplicates(pixels)
    same = np.equal.outer(groups, groups)
    assert np.array_equal(np.equal.outer(found, found), same)
    assert same.sum() > count
    monkeypatch.setattr("dcgan_viz.judges.splitting.BLOCK", 4)
    monkeypatch.setattr("dcgan_viz.data.duplicates.linked.BLOCK", 3)
    assert np.array_equal(near_duplicates(pixels), found)


def test_whole_groups_are_held_out() -> None:
    groups = np.random.default_rng(2).integers(0, 300, 1000)
    aside = hold_out(groups, 0.25, seed=3)
    assert 0.23 < aside.mean() <= 0.25
    assert not set(groups[aside]) & set(groups[~aside])
    assert np.array_equal(aside, hold_out(groups, 0.25, seed=3))
    assert not np.array_equal(aside, hold_out(groups, 0.25, seed=4))


def test_plain_pictures_divide_by_nothing() -> None:
    assert len(set(near_duplicates(np.zeros((3, 16, 16, 3), np.uint8)))) == 3
