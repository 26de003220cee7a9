"""Training images that are there more than once: generators copy them first, and a search must not be deaf to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from dcgan_viz.analysis.memorization.image_vectors import pixel_vectors
from dcgan_viz.data.images import Images
from dcgan_viz.progress import Progress, Stage, silent

DUPLICATE = 0.1
"""Images whose pixel vectors are nearer than this are one: at 8x8, they correlate by more than 0.995."""

BLOCK = 1024


@dataclass(frozen=True)
class Duplicates:
    """Near-duplicates among training images, each group of which counts as one image.

    Parameters
    ----------
    repeated : int
        Images that are near-duplicates of an earlier one.
    largest : int
        Images in the largest group; 1 where nothing is repeated.
    """

    repeated: int
    largest: int


def first_alike(images: Images, progress: Progress = silent) -> NDArray[np.int64]:
    """For each image the number of the first one in its group of near-duplicates, which may be itself.

    Groups are joined where any two images are nearer than `DUPLICATE` in pixels. Near-duplicates lie near on every
    axis, so only those within that distance on the first principal axis are compared: about a tenth of all pairs.

    Parameters
    ----------
    images : Images
        Of which 64 numbers a channel are kept in memory.
    progress : Progress

    Returns
    -------
    ndarray of int64 (n,)

    Examples
    --------
    >>> from dcgan_viz.data.images import TensorImages
    >>> pictures = torch.rand(3, 3, 16, 16)
    >>> first_alike(TensorImages(pictures[[0, 1, 0, 2, 1]]))
    array([0, 1, 0, 3, 1])
    """
    starts = range(0, len(images), BLOCK)
    stage = Stage("looking for duplicates", len(starts), "block")
    vectors = torch.cat(
        [pixel_vectors(images.tensor(slice(start, start + BLOCK))) for start in progress(starts, stage)]
    )
    return _firsts(vectors)


def _firsts(vectors: Tensor) -> NDArray[np.int64]:
    count = len(vectors)
    _, axes = torch.linalg.eigh(vectors.T @ vectors)
    place, order = (vectors @ axes[:, -1]).sort()
    ordered, labels = vectors[order], np.arange(count)
    nearest = 1 - DUPLICATE**2 / 2
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        # What lies beyond is farther than a duplicate from all of the block.
        end = int(torch.searchsorted(place, place[stop - 1] + DUPLICATE, right=True))
        alike = torch.nonzero(ordered[start:stop] @ ordered[start:end].T > nearest).numpy() + start
        pairs = labels[alike[alike[:, 0] < alike[:, 1]]]
        if len(pairs):
            graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
            labels = connected_components(graph, directed=False)[1][labels]
    groups = np.empty(count, np.int64)
    groups[order.numpy()] = labels
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    return first[group].astype(np.int64)


def count_duplicates(firsts: NDArray[np.int64]) -> Duplicates:
    """How many images repeat another, from what `first_alike` gave.

    Examples
    --------
    >>> count_duplicates(np.array([0, 1, 0, 3, 0]))
    Duplicates(repeated=2, largest=3)
    """
    sizes = np.bincount(firsts)
    return Duplicates(int((sizes - 1).clip(min=0).sum()), int(sizes.max()))
