from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dcgan_viz.analysis.memorization.nearest import FOLDS, NearestSearch


def unit(seed: int, count: int) -> Tensor:
    points = torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32))
    return points / points.norm(dim=1, keepdim=True)


def distance(a: Tensor, b: Tensor) -> float:
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


@pytest.mark.parametrize("size", [16, 23, 48, 100])
def test_it_agrees_with_a_loop(size: int) -> None:
    """Folds deal the references of each block like cards; both views of a query count; itself does not."""
    queries, references = torch.stack([unit(0, 9), unit(1, 9)]), unit(2, 100)
    own = np.full(9, -1)
    own[3], own[5], own[6] = 71, 2, 71
    # Two queries that are the same reference: a picture, and what was made of it.
    references[71] = queries[0, 6] = queries[1, 3]
    names = np.random.default_rng(0).permutation(1000)[:100]
    names[71], names[2] = 71, 2
    search = NearestSearch(queries, own)
    blocks = list(zip(references.split(size), np.split(names, range(size, 100, size)), strict=True))
    for block, numbers in blocks:
        search.add(block, numbers)
    found = search.result()
    for k in range(9):
        near: list[tuple[float, int, int]] = []
        for block, numbers in blocks:
            near += [
                (min(distance(q, r) for q in queries[:, k]), int(n), place % FOLDS)
                for place, (r, n) in enumerate(zip(block, numbers, strict=True))
                if n != own[k]
            ]
        first = min(near)
        folds = [min((d for d, _, f in near if f == fold), default=math.inf) for fold in range(FOLDS)]
        assert found.distance[k] == pytest.approx(first[0], abs=1e-3)
        assert found.number[k] == first[1]
        assert found.relative[k] == pytest.approx(first[0] / float(np.median(folds)), abs=2e-3)


def test_many_queries_are_compared_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, references = unit(0, 50)[None], unit(1, 40)

    def result() -> tuple[np.ndarray, ...]:
        search = NearestSearch(queries, np.where(np.arange(50) < 40, np.arange(50), -1))
        search.add(references, np.arange(40))
        found = search.result()
        return found.distance, found.relative, found.number

    whole = result()
    monkeypatch.setattr("dcgan_viz.analysis.memorization.nearest.QUERIES", 7)
    for a, b in zip(whole, result(), strict=True):
        assert np.allclose(a, b, atol=1e-4)


def test_a_copy_stands_out_even_where_duplicates_fill_all_folds() -> None:
    """However alike the nearest of the folds are, the typical distance is no less than a sixth."""
    references = unit(0, 320)
    references[:200] = references[0]
    near = references[0] + 0.08 * unit(5, 1)[0]
    search = NearestSearch(torch.stack([references[0], near / near.norm()])[None])
    search.add(references, np.arange(320))
    assert search.result().relative[0] < 0.01
    assert 0 < search.result().relative[1] < 0.6
