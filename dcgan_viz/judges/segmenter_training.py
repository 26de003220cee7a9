"""Training a segmenter on pictures with masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dcgan_viz.data.images import to_tensor
from dcgan_viz.devices import find_device
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, SegmenterCard, intersection_over_union, segment
from dcgan_viz.judges.segmenter_network import SegmentationNetwork
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.versions import versions

LEARNING_RATE, WEIGHT_DECAY = 3e-3, 1e-3
BLURS = (0.0, 0.6, 1.0)
"""Standard deviations in pixels: what a generator draws is softer than what it was trained on."""

NOISE, BRIGHTNESS, CONTRAST = 0.06, 0.15, 0.25


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
) -> Segmenter:
    """Train a segmenter, and measure it on pictures that were kept aside.

    Pictures are mirrored, blurred, made noisy, brighter or darker at random, so that the segmenter also reads what a
    generator draws. AdamW with one cycle of the learning rate; classes weigh by the inverse root of their area.

    Parameters
    ----------
    pixels : ndarray of uint8 (N, S, S, C)
    masks : ndarray of uint8 (N, S, S)
        Label k is ``objects[k - 1]``; 0 is everything else.
    objects : tuple of str
    held_out : int
        The last so many pictures are kept aside for the IoU on the card.
    steps, batch_size, seed : int
    device : str
    data : str
        For the card.
    progress : Progress
        Shows how far the training is.

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
    random = np.random.default_rng(seed)
    channels, size = pixels.shape[-1], pixels.shape[1]
    network = SegmentationNetwork(channels, len(objects) + 1).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    count = len(pixels) - held_out
    shares = np.bincount(masks[:count].ravel(), minlength=len(objects) + 1) / masks[:count].size
    weights = torch.tensor(1 / np.sqrt(np.maximum(shares, 1e-4)), dtype=torch.float32)
    weights = (weights / weights.mean()).to(place)
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.2)
    network.train()
    for _ in progress(range(steps), Stage("training", steps)):
        chosen = np.sort(random.integers(0, count, batch_size))
        images, labels = to_tensor(pixels[chosen]), torch.from_numpy(masks[chosen].astype(np.int64))
        mirrored = torch.from_numpy(random.random(batch_size) < 0.5)
        images[mirrored], labels[mirrored] = images[mirrored].flip(-1), labels[mirrored].flip(-1)
        images = _disturb(images, random).to(place).contiguous(memory_format=torch.channels_last)
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
    found = segment(segmenter, to_tensor(pixels[count:]))
    return replace(segmenter, card=replace(card, held_out_iou=intersection_over_union(found, masks[count:], objects)))


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


def _disturb(images: Tensor, random: np.random.Generator) -> Tensor:
    """The pictures (N, C, H, W) blurred, brightened and made noisy, each batch by its own amounts."""
    blur = BLURS[random.integers(len(BLURS))]
    if blur:
        offsets = torch.arange(-2, 3, dtype=torch.float32)
        kernel = torch.exp(-(offsets**2) / (2 * blur**2))
        kernel = torch.outer(kernel, kernel) / kernel.sum() ** 2
        padded = functional.pad(images, (2, 2, 2, 2), mode="reflect")
        images = functional.conv2d(padded, kernel.expand(images.shape[1], 1, 5, 5), groups=images.shape[1])
    shape = (len(images), 1, 1, 1)
    contrast = torch.from_numpy(random.uniform(1 - CONTRAST, 1 + CONTRAST, shape).astype(np.float32))
    brightness = torch.from_numpy(random.uniform(-BRIGHTNESS, BRIGHTNESS, shape).astype(np.float32))
    noise = torch.from_numpy(random.standard_normal(images.shape, dtype=np.float32)) * NOISE * float(random.random())
    return (images * contrast + brightness + noise).clamp(-1, 1)
