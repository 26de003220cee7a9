"""Training a segmenter on pictures with masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from joblib import cpu_count
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from dcgan_viz.data.images import to_tensor
from dcgan_viz.devices import find_device
from dcgan_viz.errors import UserError
from dcgan_viz.judges.disturbance import disturb
from dcgan_viz.judges.patches import KINDS, check_patches, paste_patches
from dcgan_viz.judges.segmenter import Segmenter, SegmenterCard, intersection_over_union, segment
from dcgan_viz.judges.segmenter_network import SegmentationNetwork
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.versions import versions

LEARNING_RATE, WEIGHT_DECAY = 3e-3, 1e-3
PATCHED = 0.3
"""Share of the pictures into which a patch that shows nothing is pasted."""

PATCH_PICTURES = 500
"""Held-out pictures that the check with patches takes at most."""


def train_segmenter(
    pixels: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    objects: tuple[str, ...],
    *,
    held_out: int,
    steps: int = 2000,
    batch_size: int = 64,
    seed: int = 0,
    device: str = "cpu",
    data: str = "not stated",
    progress: Progress = silent,
    say: Callable[[str], None] = lambda sentence: None,
) -> Segmenter:
    """Train a segmenter, and measure it on pictures that were kept aside.

    Pictures are mirrored, bent, blurred, made noisy, brighter or darker at random, so that the segmenter also reads
    what a generator draws; patches that show nothing are pasted into three in ten, so that it looks for objects and
    not for brightness. AdamW with one cycle of the learning rate; rare classes weigh more, by the fourth root.

    Parameters
    ----------
    pixels : ndarray of uint8 (N, S, S, C)
    masks : ndarray of uint8 (N, S, S)
        Label k is ``objects[k - 1]``; 0 is everything else.
    objects : tuple of str
    held_out : int
        The last so many pictures are kept aside, for the IoU and the check with patches on the card.
    steps, batch_size, seed : int
    device : str
    data : str
        For the card.
    progress : Progress
        Shows how far the training is.
    say : callable
        Receives a sentence for each object for which patches that show nothing are taken.

    Returns
    -------
    Segmenter
        In evaluation mode.

    Raises
    ------
    UserError
        If pictures and masks do not fit together, a label has no name, or too few pictures are left.
    """
    _check(pixels, masks, objects, held_out, batch_size)
    place = find_device(device)
    torch.manual_seed(seed)
    channels, size = pixels.shape[-1], pixels.shape[1]
    network = SegmentationNetwork(channels, len(objects) + 1).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    count = len(pixels) - held_out
    shares = np.bincount(masks[:count].ravel(), minlength=len(objects) + 1) / masks[:count].size
    weights = torch.tensor(np.maximum(shares, 1e-4) ** -0.25, dtype=torch.float32)
    weights = (weights / weights.mean()).to(place)
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.2)
    network.train()
    batches = _Batches(pixels[:count], masks[:count], batch_size, steps, seed)
    # On a GPU a step is shorter than making its batch, which other processes then do; the batches are the same.
    workers = 0 if place.type == "cpu" else min(8, cpu_count())
    loader = DataLoader(batches, batch_size=None, num_workers=workers, pin_memory=workers > 0)
    for images, labels in progress(loader, Stage("training", steps)):
        images = images.to(place).contiguous(memory_format=torch.channels_last)
        with torch.autocast(place.type, torch.bfloat16):
            scores = network(images)
        loss = functional.cross_entropy(scores.float(), labels.to(place), weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    card = SegmenterCard(
        objects,
        size,
        channels,
        data,
        training={
            "pictures": count,
            "held out": held_out,
            "steps": steps,
            "batch_size": batch_size,
            "seed": seed,
            "device": place.type,
            "versions": versions(),
        },
    )
    segmenter = Segmenter(network.eval().requires_grad_(False), card)
    return _measured(segmenter, to_tensor(pixels[count:]), masks[count:], say)


class _Batches(Dataset[tuple[Tensor, Tensor]]):
    """The batch of every step, a function of the seed and the step."""

    def __init__(
        self, pixels: NDArray[np.uint8], masks: NDArray[np.uint8], batch_size: int, steps: int, seed: int
    ) -> None:
        self.pixels, self.masks, self.batch_size, self.steps, self.seed = pixels, masks, batch_size, steps, seed

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        random = np.random.default_rng([self.seed, step])
        chosen = np.sort(random.integers(0, len(self.pixels), self.batch_size))
        return _batch(self.pixels[chosen], self.masks[chosen], random)


def _batch(pixels: NDArray[np.uint8], masks: NDArray[np.uint8], random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Images (N, C, S, S) and labels (N, S, S) to train on: mirrored, with patches, disturbed."""
    images, labels = to_tensor(pixels), masks.copy()
    mirrored = random.random(len(images)) < 0.5
    images[mirrored], labels[mirrored] = images[mirrored].flip(-1), labels[mirrored][..., ::-1]
    kinds = random.choice(len(KINDS) + 1, len(images), p=[1 - PATCHED] + [PATCHED / len(KINDS)] * len(KINDS))
    for number, kind in enumerate(KINDS, start=1):
        chosen = np.flatnonzero(kinds == number)
        if len(chosen):
            pasted = paste_patches(images[chosen], labels[chosen], kind, random)
            images[chosen], labels[chosen] = pasted.images, pasted.labels
    images, labels = disturb(images, labels, random)
    return images, torch.from_numpy(labels.astype(np.int64))


def _measured(segmenter: Segmenter, images: Tensor, labels: NDArray[np.uint8], say: Callable[[str], None]) -> Segmenter:
    """With what it finds in held-out pictures on its card."""
    card = segmenter.card
    ious = intersection_over_union(segment(segmenter, images), labels, card.objects)
    patches = check_patches(segmenter, images[:PATCH_PICTURES], labels[:PATCH_PICTURES])
    for warning in patches.warnings:
        say(warning)
    return replace(segmenter, card=replace(card, held_out_iou=ious, patches=patches.to_dict()))


def _check(
    pixels: NDArray[np.uint8], masks: NDArray[np.uint8], objects: tuple[str, ...], held_out: int, batch_size: int
) -> None:
    if pixels.shape[:3] != masks.shape or pixels.shape[1] != pixels.shape[2] or pixels.shape[1] % 8:
        raise UserError(
            f"pictures {pixels.shape} and masks {masks.shape} do not fit: both are square, of one size that is a "
            "multiple of 8, and as many"
        )
    if masks.max(initial=0) > len(objects):
        raise UserError(f"a mask holds label {masks.max()}, but only {len(objects)} objects are named")
    if held_out < 1 or len(pixels) - held_out < batch_size:
        raise UserError(
            f"{len(pixels)} pictures with {held_out} held out leave {len(pixels) - held_out} to train on, and a batch "
            f"is {batch_size}: give more, and hold out at least 1"
        )
