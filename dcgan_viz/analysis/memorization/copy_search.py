"""Queries against a training set of any size, which is read, and its features computed, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.memorization.duplicates import first_alike
from dcgan_viz.analysis.memorization.image_vectors import (
    FEATURE_BATCH,
    QuarterSpace,
    fit_features,
    pixel_vectors,
    quarter_features,
)
from dcgan_viz.analysis.memorization.nearest import Nearest, NearestSearch
from dcgan_viz.analysis.memorization.views import nearest_views
from dcgan_viz.data.images import Images
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.protocol import DiscriminatorNetwork
from dcgan_viz.progress import Progress, Stage, silent

BLOCK = 1024
HEAD_BLOCKS = 4


class TrainingSet:
    """Different training images in blocks of about a thousand, each from all over the set, so that any represents it.

    Of near-duplicates only the first is in a block: what is there twenty times is one image, and none the less copied.

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
    images : Images
    progress : Progress

    Attributes
    ----------
    firsts : ndarray of int64 (n,)
        For each image the first of its near-duplicates.
    different : ndarray of int64
        Numbers of the images that are the first.
    blocks : list of ndarray of int64
        Numbers of the images of every block.
    space : QuarterSpace
        Fitted on the first four blocks.
    kept : Tensor (n, k)
        Feature vectors of these.
    """

    def __init__(self, discriminator: DiscriminatorNetwork, images: Images, progress: Progress = silent) -> None:
        self.images = images
        self.firsts = first_alike(images, progress)
        self.different = np.flatnonzero(self.firsts == np.arange(len(images)))
        count = -(-len(self.different) // BLOCK)
        self.blocks = [self.different[k::count] for k in range(count)]
        head = min(count, HEAD_BLOCKS)
        self.head = [
            torch.cat([quarter_features(discriminator, x) for x in images.tensor(self.blocks[b]).split(FEATURE_BATCH)])
            for b in progress(range(head), Stage("fitting features", head, "block"))
        ]
        self.space = fit_features(discriminator, torch.cat(self.head))
        self.kept = self.space.project(torch.cat(self.head))

    def vectors(self, block: int) -> tuple[Tensor, Tensor]:
        """Pixel and feature vectors of a block."""
        images = self.images.tensor(self.blocks[block])
        known = block < len(self.head)
        return pixel_vectors(images), self.space.project(self.head[block]) if known else self.space.vectors(images)


@dataclass(frozen=True)
class OtherSet:
    """A few images that nobody was trained on, in place of the training images.

    Parameters
    ----------
    images : Images
    numbers : ndarray of int64 (n,)
        Which.
    space : QuarterSpace
        That of the training images.
    """

    images: Images
    numbers: NDArray[np.int64]
    space: QuarterSpace

    @property
    def blocks(self) -> list[NDArray[np.int64]]:
        """All of them, as one block."""
        return [self.numbers]

    def vectors(self, block: int) -> tuple[Tensor, Tensor]:
        """Pixel and feature vectors of a block."""
        images = self.images.tensor(self.blocks[block])
        return pixel_vectors(images), self.space.vectors(images)


@dataclass(frozen=True)
class Query:
    """Pictures whose nearest training images are looked for.

    Parameters
    ----------
    pixels : Tensor (2, n, d)
        As they are and mirrored.
    features : Tensor (1, n, k) or (1, 0, k)
        As they are; none where only pixels are of interest. A mirrored copy is found in pixels, and to find it in
        features as well would take twice as long.
    own : ndarray of int64 (n,)
        The training image that a picture is itself, or a duplicate of, and cannot be a copy of; -1 for none.
    """

    pixels: Tensor
    features: Tensor
    own: NDArray[np.int64]

    @property
    def whole(self) -> bool:
        """Whether it is looked for in features as well, and in views of the training images."""
        return self.features.shape[1] > 0


def query(
    space: QuarterSpace,
    images: Images,
    numbers: NDArray[np.int64],
    alter: Callable[[Tensor], Tensor] | None = None,
    *,
    firsts: NDArray[np.int64] | None = None,
) -> Query:
    """Some of a set of images, altered or not, as a query.

    Parameters
    ----------
    space : QuarterSpace
    images : Images
    numbers : ndarray of int64 (n,)
        Which.
    alter : callable, optional
        What to do to them (n, C, H, W) before.
    firsts : ndarray of int64, optional
        Given where they are training images, which are not to find themselves: `TrainingSet.firsts`.
    """
    pixels, features = [], []
    for start in range(0, len(numbers), FEATURE_BATCH):
        batch = images.tensor(numbers[start : start + FEATURE_BATCH])
        batch = batch if alter is None else alter(batch)
        pixels.append(_both_ways(batch))
        features.append(space.vectors(batch)[None])
    itself = np.full(len(numbers), -1) if firsts is None else firsts[numbers]
    return Query(torch.cat(pixels, dim=1), torch.cat(features, dim=1), itself)


def walk_query(space: QuarterSpace, model: DCGAN, walks: Tensor) -> tuple[Query, NDArray[np.float32]]:
    """Closed walks (walks, steps, latent_dim) as a query in pixels, and how much the picture changes at each step.

    Returns
    -------
    Query
        ``walks * steps`` pictures.
    ndarray of float32 (walks, steps)
        Root mean square change of a pixel from each picture to the next, from the last to the first.
    """
    pixels, changes = [], []
    for latents in walks:
        images = model.generate(latents)
        pixels.append(_both_ways(images))
        changes.append((images.roll(-1, 0) - images).square().mean((1, 2, 3)).sqrt())
    found = torch.cat(pixels, dim=1)
    nothing = torch.empty(1, 0, space.components.shape[1])
    return Query(found, nothing, np.full(found.shape[1], -1)), torch.stack(changes).numpy()


def search(
    training: TrainingSet | OtherSet, queries: list[Query], progress: Progress = silent
) -> list[tuple[Nearest, Nearest]]:
    """The training images nearest to the pictures of each query, in pixels and in features.

    Every image of the training set is compared once, whatever the number of queries. For queries that are also looked
    for in features, the nearest ones in pixels are then tried moved, cropped, turned and in grey.
    """
    own = np.concatenate([q.own for q in queries])
    with_features = np.concatenate([np.full(len(q.own), q.whole) for q in queries])
    in_pixels = NearestSearch(torch.cat([q.pixels for q in queries], dim=1), own)
    in_features = NearestSearch(torch.cat([q.features for q in queries], dim=1), own[with_features])
    blocks = range(len(training.blocks))
    for block in progress(blocks, Stage("comparing with training images", len(blocks), "block")):
        pixels, features = training.vectors(block)
        in_pixels.add(pixels, training.blocks[block])
        in_features.add(features, training.blocks[block])
    found, candidates = in_pixels.result(), in_pixels.fold_numbers.numpy()[with_features]
    viewed = nearest_views(in_pixels.queries[:, torch.from_numpy(with_features)], candidates, training.images, progress)
    for plain, refined in (
        (found.distance, viewed.distance),
        (found.relative, viewed.relative),
        (found.number, viewed.number),
    ):
        plain[with_features] = refined
    return list(
        zip(
            _split(found, [q.pixels.shape[1] for q in queries]),
            _split(in_features.result(), [q.features.shape[1] for q in queries]),
            strict=True,
        )
    )


def facing(pictures: Tensor, others: Tensor) -> Tensor:
    """The other images (n, C, H, W), each mirrored if its picture is nearer to it then, in pixels."""
    plain, mirrored = (pixel_vectors(others) * _both_ways(pictures)).sum(2)
    return torch.where((mirrored > plain)[:, None, None, None], others.flip(-1), others)


def _both_ways(images: Tensor) -> Tensor:
    return torch.stack([pixel_vectors(images), pixel_vectors(images.flip(-1))])


def _split(found: Nearest, lengths: list[int]) -> list[Nearest]:
    ends = np.cumsum([0, *lengths])
    return [found.part(a, b) for a, b in pairwise(ends.tolist())]
