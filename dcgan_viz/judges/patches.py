"""Plain patches pasted into pictures: a judge that takes these for objects looks for brightness, not for objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from dcgan_viz.judges.segmenter import Segmenter

KINDS = ("white", "black", "coloured", "noise", "blurred", "crop")
"""One colour, grains, a smooth play of colours, a piece of another picture."""

ALLOWED = 0.05
"""Share of the patches' area that may be taken for an object."""

SMALLEST_SIDE, LARGEST_SIDE = 0.125, 0.4
"""Of a patch, as shares of the picture's side."""

AT_OBJECTS = 0.5
"""Share of the patches that lie over an object, if there is one."""


@dataclass(frozen=True)
class PatchCheck:
    """For what a segmenter takes patches that show nothing.

    Parameters
    ----------
    kinds : tuple of str
        Of patches, see `KINDS`.
    objects : tuple of str
    shares : ndarray of float64 (kinds, objects)
        Of the area of all patches of a kind, how much was taken for an object; pieces of pictures count where they
        show nothing of that object. NaN where none counts.
    patches : int
        Patches of each kind.
    """

    kinds: tuple[str, ...]
    objects: tuple[str, ...]
    shares: NDArray[np.float64]
    patches: int

    def worst(self, name: str) -> tuple[str, float]:
        """The kind of patch that is most often taken for an object, and the share of its area."""
        of_object = self.shares[:, self.objects.index(name)]
        if np.isnan(of_object).all():
            return self.kinds[0], float("nan")
        kind = int(np.nanargmax(of_object))
        return self.kinds[kind], float(of_object[kind])

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for each object for which more than `ALLOWED` of some kind of patch is taken."""
        sentences = []
        for name in self.objects:
            kind, share = self.worst(name)
            if share > ALLOWED:
                sentences.append(
                    f"{100 * share:.0f} % of the area of {kind} patches, which show nothing, is taken for {name}: "
                    f"areas of {name} that this segmenter measures may be no more than that"
                )
        return tuple(sentences)

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Shares by kind and object, for JSON: without those that are NaN."""
        return {
            kind: {name: float(share) for name, share in zip(self.objects, row, strict=True) if not np.isnan(share)}
            for kind, row in zip(self.kinds, self.shares, strict=True)
        }


def check_patches(
    segmenter: Segmenter, images: Tensor, labels: NDArray[np.uint8] | None = None, *, seed: int = 0
) -> PatchCheck:
    """Paste a patch of each kind into every picture and see for what a segmenter takes it.

    Parameters
    ----------
    segmenter : Segmenter
    images : Tensor (N, C, S, S)
        In [-1, 1].
    labels : ndarray of uint8 (N, S, S), optional
        What the pictures show; by default what the segmenter sees there. Half of the patches are pasted over objects,
        and pieces of pictures are not asked for what they do show.
    seed : int
        Of the patches.

    Returns
    -------
    PatchCheck
    """
    from dcgan_viz.judges.segmenter import segment

    shown = segment(segmenter, images) if labels is None else labels
    objects = segmenter.objects
    shares = np.full((len(KINDS), len(objects)), np.nan)
    for row, kind in enumerate(KINDS):
        # Each kind at the same places.
        pasted = paste_patches(images, shown, kind, np.random.default_rng(seed))
        found = segment(segmenter, pasted.images)
        for label in range(1, len(objects) + 1):
            counts = np.ones(len(images), bool)
            if kind == "crop":
                counts = ~((pasted.labels == label) & pasted.where).any((1, 2))
            if counts.any():
                where = pasted.where[counts]
                shares[row, label - 1] = (where & (found[counts] == label)).sum() / where.sum()
    return PatchCheck(KINDS, objects, shares, len(images))


@dataclass(frozen=True)
class Pasted:
    """Pictures with a patch in each.

    Parameters
    ----------
    images : Tensor (N, C, S, S)
    labels : ndarray of uint8 (N, S, S)
        0 within plain patches; within pieces of other pictures what these show.
    where : ndarray of bool (N, S, S)
        The patches.
    """

    images: Tensor
    labels: NDArray[np.uint8]
    where: NDArray[np.bool_]


def paste_patches(images: Tensor, labels: NDArray[np.uint8], kind: str, random: np.random.Generator) -> Pasted:
    """Paste a rectangle into a copy of each picture, half of them over objects.

    Parameters
    ----------
    images : Tensor (N, C, S, S)
        In [-1, 1].
    labels : ndarray of uint8 (N, S, S)
        What they show; 0 is nothing.
    kind : str
        Of `KINDS`.
    random : numpy Generator

    Returns
    -------
    Pasted

    Examples
    --------
    >>> images, labels = torch.zeros(2, 3, 16, 16), np.zeros((2, 16, 16), np.uint8)
    >>> pasted = paste_patches(images, labels, "white", np.random.default_rng(0))
    >>> bool((pasted.images[torch.from_numpy(pasted.where)[:, None].expand(-1, 3, -1, -1)] == 1).all())
    True
    """
    images, labels, originals, truth = images.clone(), labels.copy(), images, labels
    where = np.zeros(labels.shape, bool)
    for index, (rows, columns) in enumerate(_rectangles(truth, random)):
        patch = images[index, :, rows, columns]
        where[index, rows, columns] = True
        labels[index, rows, columns] = 0
        if kind == "crop":
            other = int(random.integers(len(images)))
            height, width = patch.shape[1:]
            top = int(random.integers(images.shape[2] - height + 1))
            left = int(random.integers(images.shape[3] - width + 1))
            piece = (slice(top, top + height), slice(left, left + width))
            patch.copy_(originals[other, :, *piece])
            labels[index, rows, columns] = truth[other, *piece]
        else:
            patch.copy_(_plain(kind, patch, random))
    return Pasted(images, labels, where)


def _rectangles(labels: NDArray[np.uint8], random: np.random.Generator) -> Iterator[tuple[slice, slice]]:
    size = labels.shape[1]
    for mask in labels:
        height, width = (random.uniform(SMALLEST_SIDE, LARGEST_SIDE, 2) * size).round().astype(int).clip(1)
        row, column = random.integers(0, size, 2)
        shown = np.unique(mask)
        shown = shown[shown > 0]
        at_object, which, pixel = random.random(3)
        if at_object < AT_OBJECTS and len(shown):
            rows, columns = np.nonzero(mask == shown[int(which * len(shown))])
            row, column = rows[int(pixel * len(rows))], columns[int(pixel * len(rows))]
        top = int(np.clip(row - height // 2, 0, size - height))
        left = int(np.clip(column - width // 2, 0, size - width))
        yield slice(top, top + int(height)), slice(left, left + int(width))


def _plain(kind: str, patch: Tensor, random: np.random.Generator) -> Tensor:
    """A patch (C, h, w) that shows nothing."""
    channels = len(patch)
    if kind in ("white", "black"):
        return torch.full_like(patch, 1.0 if kind == "white" else -1.0)
    if kind == "coloured":
        return torch.from_numpy(random.uniform(-1, 1, (channels, 1, 1)).astype(np.float32)).expand_as(patch)
    if kind == "noise":
        return torch.from_numpy(random.uniform(-1, 1, tuple(patch.shape)).astype(np.float32))
    colours = torch.from_numpy(random.uniform(-1, 1, (1, channels, 3, 3)).astype(np.float32))
    return functional.interpolate(colours, patch.shape[1:], mode="bilinear", align_corners=True)[0]
