"""The training image nearest to each of many queries, among any number of them, in bounded memory.

What counts as near depends on the picture: a plain wall lies near to many photographs, a crowded room near to none, and
whatever is blurred lies nearer than what is sharp. A distance is therefore measured against the picture's own typical
distance, as Yoon et al. (2023) and Carlini et al. (2023) do to find copies of diffusion models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

FOLDS = 16
"""The references are dealt into as many folds; the typical distance is the median over folds of the nearest in each."""

TYPICAL_FLOOR = 1 / 6
"""No typical distance counts as less: a picture at less than a tenth is near, however many duplicates fill the folds."""

QUERIES = 4096
"""As many are compared with a block at once."""


@dataclass(frozen=True)
class Nearest:
    """What was found for n queries.

    Parameters
    ----------
    distance : ndarray of float32 (n,)
        To the nearest reference: Euclidean, of vectors of length 1; 0 for equal ones, 1.41 for unrelated ones.
    relative : ndarray of float32 (n,)
        The same as a multiple of the typical distance: the median over 16 folds of the references of the nearest in
        each, at least a sixth. About 0.9 for a new picture whatever its content and sharpness, near 0 for a copy.
    number : ndarray of int64 (n,)
        Of the nearest reference.
    """

    distance: NDArray[np.float32]
    relative: NDArray[np.float32]
    number: NDArray[np.int64]

    def part(self, start: int, stop: int) -> Nearest:
        """Of some queries only."""
        return Nearest(self.distance[start:stop], self.relative[start:stop], self.number[start:stop])


class NearestSearch:
    """Exact search by brute force: references are added in blocks and not kept.

    Parameters
    ----------
    queries : Tensor (views, n, d)
        Vectors of length 1. Of several views of a query, such as its mirror image, the one nearest to a reference counts.
    own : ndarray of int64 (n,), optional
        Number of the reference that is the query itself and no neighbour of it; -1 for none.

    Examples
    --------
    >>> search = NearestSearch(torch.eye(3)[None, :2])
    >>> search.add(torch.eye(3)[[2, 1] * 20], np.arange(40))
    >>> search.result().distance.round(3), search.result().number
    (array([1.414, 0.   ], dtype=float32), array([0, 1]))
    """

    def __init__(self, queries: Tensor, own: NDArray[np.int64] | None = None) -> None:
        self.queries = queries
        self.own = own
        count = queries.shape[1]
        self.folds = torch.full((count, FOLDS), -torch.inf)
        self.fold_numbers = torch.full((count, FOLDS), -1, dtype=torch.int64)

    def add(self, block: Tensor, numbers: NDArray[np.int64]) -> None:
        """Compare all queries with more references.

        Parameters
        ----------
        block : Tensor (m, d)
            Of length 1.
        numbers : ndarray of int64 (m,)
            What each is called.
        """
        missing = -len(block) % FOLDS
        # Dealt like cards, each fold in one piece: a maximum over neighbours in memory is ten times faster.
        dealt = functional.pad(block, (0, 0, 0, missing)).unflatten(0, (-1, FOLDS)).transpose(0, 1).flatten(0, 1)
        names = np.pad(numbers, (0, missing), constant_values=-1).reshape(-1, FOLDS).T.flatten()
        order = names.argsort()
        padded = torch.from_numpy(np.flatnonzero(names == -1))
        views, count, _ = self.queries.shape
        for start in range(0, count, QUERIES // views):
            rows = slice(start, min(start + QUERIES // views, count))
            similarity = (self.queries[:, rows] @ dealt.T).amax(0)
            similarity[:, padded] = -torch.inf
            if self.own is not None:
                # Several queries, a picture and what was made of it, may be the same reference.
                own = self.own[rows]
                place = order[np.searchsorted(names, own, sorter=order).clip(max=len(names) - 1)]
                itself = np.flatnonzero((names[place] == own) & (own >= 0))
                similarity[itself, place[itself]] = -torch.inf
            dealt_similarity = similarity.unflatten(1, (FOLDS, -1))
            # Where in a fold the nearest lies is looked up for those folds alone that have come nearer: ever fewer.
            query, fold = torch.nonzero(dealt_similarity.amax(2) > self.folds[rows], as_tuple=True)
            values, places = dealt_similarity[query, fold].max(1)
            self.folds[start + query, fold] = values
            self.fold_numbers[start + query, fold] = torch.from_numpy(names)[fold * (len(names) // FOLDS) + places]

    def result(self) -> Nearest:
        """What was found among all references so far; at least 16 of them, or the typical distance is infinite."""
        best, fold = self.folds.max(1)
        distance, relative = relative_distances(best, self.folds)
        return Nearest(distance, relative, self.fold_numbers.gather(1, fold[:, None])[:, 0].numpy())


def relative_distances(best: Tensor, folds: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distances (n,) to the nearest, and relative to the typical one, from cosines (n,) and those of the folds (n, folds)."""
    distance = _distance(best)
    typical = _distance(folds).quantile(0.5, dim=1).clamp(min=TYPICAL_FLOOR)
    return distance.numpy(), (distance / typical).numpy()


def _distance(similarity: Tensor) -> Tensor:
    return (2 - 2 * similarity).clamp(min=0).sqrt()
