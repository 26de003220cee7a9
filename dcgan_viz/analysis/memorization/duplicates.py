"""Training images that are there more than once: generators copy them first, and a search must not be deaf to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_viz.analysis.memorization.image_vectors import pixel_vectors
from dcgan_viz.data.duplicates.linked import first_within
from dcgan_viz.data.images import Images
from dcgan_viz.progress import Progress, Stage, silent

DUPLICATE = 0.1
"""Images whose pixel vectors are nearer than this are one: at 8x8, they correlate by more than 0.995."""

BLOCK = 1024


@dataclass(frozen=True)
class Repeats:
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

    Groups are joined where any two images are nearer than `DUPLICATE` in pixels. What repeats for the eye, such as a crop,
    is for `dcgan_viz.data.duplicates` to find; here it matters what a search in these pixels would be deaf to.

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
    return first_within(vectors, DUPLICATE)


def count_duplicates(firsts: NDArray[np.int64]) -> Repeats:
    """How many images repeat another, from what `first_alike` gave.

    Examples
    --------
    >>> count_duplicates(np.array([0, 1, 0, 3, 0]))
    Repeats(repeated=2, largest=3)
    """
    sizes = np.bincount(firsts)
    return Repeats(int((sizes - 1).clip(min=0).sum()), int(sizes.max()))
