"""Groups of what is linked in pairs, and of vectors that are near: what every search for duplicates ends in."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

BLOCK = 1024


def first_linked(pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """For each of so many the number of the first that it is linked to, through others too; its own for none.

    Parameters
    ----------
    pairs : ndarray of int64 (n, 2)
    count : int

    Returns
    -------
    ndarray of int64 (count,)

    Examples
    --------
    >>> first_linked(np.array([[4, 2], [2, 1]]), 6)
    array([0, 1, 1, 3, 1, 5])
    """
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    return first[label].astype(np.int64)


def first_within(vectors: Tensor, distance: float) -> NDArray[np.int64]:
    """For each vector the number of the first of its group, in which each is nearer than a distance to some other.

    Vectors that are near lie near on every axis, so only those within that distance on the first principal axis are
    compared.

    Parameters
    ----------
    vectors : Tensor (n, d)
        Of length 1.
    distance : float

    Returns
    -------
    ndarray of int64 (n,)

    Examples
    --------
    >>> first_within(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6], [1.0, 0.0]]), 0.9)
    array([0, 0, 0, 0])
    >>> first_within(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6], [1.0, 0.0]]), 0.5)
    array([0, 1, 2, 0])
    """
    count = len(vectors)
    _, axes = torch.linalg.eigh(vectors.T @ vectors)
    place, order = (vectors @ axes[:, -1]).sort()
    ordered, firsts = vectors[order], np.arange(count)
    nearest = 1 - distance**2 / 2
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        # What lies beyond is farther than the distance from all of the block.
        end = int(torch.searchsorted(place, place[stop - 1] + distance, right=True))
        alike = torch.nonzero(ordered[start:stop] @ ordered[start:end].T > nearest).numpy() + start
        pairs = firsts[alike[alike[:, 0] < alike[:, 1]]]
        if len(pairs):
            firsts = first_linked(pairs, count)[firsts]
    groups = np.empty(count, np.int64)
    groups[order.numpy()] = firsts
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    return first[group].astype(np.int64)
