"""What a copier may have done to a training image: moved, cropped, turned or greyed it, for a search to try."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.memorization.image_vectors import pixel_vectors
from dcgan_viz.analysis.memorization.nearest import Nearest, relative_distances
from dcgan_viz.data.images import Images
from dcgan_viz.progress import Progress, Stage, silent

SHIFT, CROPS, CORNERS, ANGLES = 4.0, (0.85, 0.72), 1.0, (-8.0, 8.0)
"""Pixels of a 64-pixel image in eight directions; sides of crops, in the middle and in the corners; degrees."""

WORKING_SIDE = 32
BATCH = 256


def _placements() -> Tensor:
    """Affine maps (V, 2, 3) from a view to the image that it shows, in coordinates from -1 to 1."""
    found = [
        (1.0, 0.0, SHIFT / 32 * x, SHIFT / 32 * y) for x, y in product((0, -1, 1), repeat=2)
    ]  # The first is the image as it is.
    found += [
        (side, 0.0, (1 - side) * CORNERS * x, (1 - side) * CORNERS * y)
        for side in CROPS
        for x, y in ((0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
    ]
    found += [(1.0, angle, 0.0, 0.0) for angle in ANGLES]
    turns = [np.deg2rad(angle) for _, angle, _, _ in found]
    return torch.tensor(
        [
            [[side * np.cos(t), -side * np.sin(t), x], [side * np.sin(t), side * np.cos(t), y]]
            for (side, _, x, y), t in zip(found, turns, strict=True)
        ],
        dtype=torch.float32,
    )


PLACEMENTS = _placements()


def image_views(images: Tensor) -> Tensor:
    """Pixel vectors (V, n, d) of images (n, C, H, W) as they are, moved, cropped, turned and in grey.

    Examples
    --------
    >>> images = torch.rand(2, 3, 64, 64)
    >>> torch.allclose(image_views(images)[0], pixel_vectors(images), atol=1e-3)
    True
    """
    side = min(WORKING_SIDE, images.shape[-1])
    small = functional.adaptive_avg_pool2d(images, side)
    views = [pixel_vectors(images)]
    for placement in PLACEMENTS[1:]:
        # The same for all images, and computed once.
        grid = functional.affine_grid(placement[None], list(small[:1].shape), align_corners=False)
        grid = grid.expand(len(small), -1, -1, -1)
        views.append(pixel_vectors(functional.grid_sample(small, grid, padding_mode="reflection", align_corners=False)))
    grey = images.mean(1, keepdim=True).expand_as(images)
    return torch.stack([*views, pixel_vectors(grey)])


def nearest_views(
    queries: Tensor, candidates: NDArray[np.int64], images: Images, progress: Progress = silent
) -> Nearest:
    """The nearest of few candidates for each query, in whichever view of a candidate is nearest.

    The candidates are the nearest reference of every fold, as a plain search found them: all of them get the same views,
    so that the typical distance falls with the nearest where a view makes everything nearer.

    Parameters
    ----------
    queries : Tensor (views, n, d)
        Pixel vectors; of several views of a query the nearest counts.
    candidates : ndarray of int64 (n, folds)
        Numbers of images; -1 for none.
    images : Images
        Read a batch at a time, each once.
    progress : Progress

    Returns
    -------
    Nearest
    """
    similarity = torch.full(candidates.shape, -torch.inf).flatten()
    order = candidates.ravel().argsort(kind="stable")
    ordered = candidates.ravel()[order]
    wanted = np.unique(ordered[ordered >= 0])
    starts = range(0, len(wanted), BATCH)
    for start in progress(starts, Stage("trying shifts, crops and turns", len(starts), "batch")):
        numbers = wanted[start : start + BATCH]
        views = image_views(images.tensor(numbers))
        bounds = np.searchsorted(ordered, numbers, "left"), np.searchsorted(ordered, numbers, "right")
        for k, (first, last) in enumerate(zip(*bounds, strict=True)):
            places = order[first:last]
            asked = queries[:, torch.from_numpy(places // candidates.shape[1])]
            similarity[torch.from_numpy(places)] = (asked @ views[:, k].T).amax((0, 2))
    folds = similarity.view(candidates.shape)
    best, fold = folds.max(1)
    distance, relative = relative_distances(best, folds)
    return Nearest(distance, relative, np.take_along_axis(candidates, fold.numpy()[:, None], 1)[:, 0])
