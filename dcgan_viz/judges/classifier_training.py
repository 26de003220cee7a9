"""Training a classifier of an attribute on labelled pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dcgan_viz.data.images import ImageSet
from dcgan_viz.data.labels import UNLABELLED, Labels
from dcgan_viz.devices import find_device
from dcgan_viz.errors import UserError
from dcgan_viz.judges.classifier import Accuracy, Classifier, ClassifierCard, classify, measure_accuracy
from dcgan_viz.judges.classifier_network import ClassifierNetwork
from dcgan_viz.judges.splitting import hold_out, near_duplicates
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.versions import versions
from dcgan_viz.words import counted

LEARNING_RATE, WEIGHT_DECAY, LABEL_SMOOTHING = 3e-3, 0.05, 0.05
ROTATION, ZOOM, SHIFT = 0.15, 0.12, 0.08
"""Radians, share of the size, share of the side: at most so much, at random, as crops of other photographs differ."""

BRIGHTNESS, CONTRAST, SATURATION = 0.15, 0.25, 0.4
BLURRED = 0.3
"""Share of batches that are blurred: what a generator draws is softer than what is trained on."""


def train_classifier(
    images: ImageSet,
    labels: Labels,
    *,
    held_out: float = 0.2,
    epochs: int = 32,
    batch_size: int = 64,
    seed: int = 0,
    device: str = "cpu",
    data: str = "not stated",
    terms: str = "not stated",
    progress: Progress = silent,
) -> Classifier:
    """Train a classifier, and measure it on pictures that were kept aside.

    Pictures are mirrored, turned, zoomed, shifted and changed in colour a little at random. AdamW with one cycle of
    the learning rate, smoothed labels, bf16 channels-last. Near-duplicates stay on one side of the split, so that
    the accuracy is not that of remembering; the same person in two photographs may still be on both.

    Parameters
    ----------
    images : ImageSet
        Square, at least 16 pixels.
    labels : Labels
        One entry a picture; those without a class are left out.
    held_out : float
        Share of the pictures that is kept aside for the accuracies on the card.
    epochs, batch_size, seed : int
    device : str
    data, terms : str
        For the card.
    progress : Progress
        Shows how far the training is.

    Returns
    -------
    Classifier
        In evaluation mode.

    Raises
    ------
    UserError
        If too few pictures have a class, or a class would have none to train on or to be measured on.
    """
    place = find_device(device)
    labelled = np.flatnonzero(labels.numbers != UNLABELLED)
    pixels, truth = images.pixels[labelled], labels.numbers[labelled]
    subsets = np.array(labels.subsets)[labelled]
    groups = near_duplicates(pixels)
    aside = hold_out(groups, held_out, seed)
    learned = np.flatnonzero(~aside)
    _check(labels.classes, truth[learned], truth[aside], batch_size)
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    size, channels = pixels.shape[1], pixels.shape[-1]
    network = ClassifierNetwork(channels, len(labels.classes)).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = epochs * (len(learned) // batch_size)
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.2)
    network.train()
    prepared = ImageSet(pixels, tuple(images.names[int(i)] for i in labelled))
    order = np.zeros(0, np.int64)
    for _ in progress(range(steps), Stage("training", steps)):
        if len(order) < batch_size:
            order = random.permutation(learned)
        chosen, order = order[:batch_size], order[batch_size:]
        batch = (
            disturb_pictures(prepared.tensor(chosen), random).to(place).contiguous(memory_format=torch.channels_last)
        )
        with torch.autocast(place.type, torch.bfloat16):
            scores = network(batch)
        target = torch.from_numpy(truth[chosen]).to(place)
        loss = functional.cross_entropy(scores.float(), target, label_smoothing=LABEL_SMOOTHING)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    card = ClassifierCard(
        labels.classes,
        size,
        channels,
        data,
        terms,
        training={
            "pictures": len(learned),
            "held out": int(aside.sum()),
            "split": f"at random, seed {seed}, near-duplicates on one side; people may be on both",
            "near-duplicates": int(len(groups) - len(np.unique(groups))),
            "epochs": epochs,
            "batch_size": batch_size,
            "seed": seed,
            "device": place.type,
            "versions": versions(),
        },
    )
    classifier = Classifier(network.eval().requires_grad_(False), card)
    probabilities = classify(classifier, prepared.tensor(np.flatnonzero(aside)))
    accuracies: list[Accuracy] = [measure_accuracy(probabilities, truth[aside], "all")]
    for subset in sorted({*subsets[aside]} - {""}):
        part = subsets[aside] == subset
        accuracies.append(measure_accuracy(probabilities[part], truth[aside][part], str(subset)))
    return replace(classifier, card=replace(card, accuracies=tuple(accuracies)))


def _check(classes: tuple[str, ...], learned: NDArray[np.int64], aside: NDArray[np.int64], batch_size: int) -> None:
    if len(learned) < batch_size:
        raise UserError(
            f"{counted(len(learned), 'picture')} to train on cannot fill a batch of {batch_size}: give more"
        )
    for number, name in enumerate(classes):
        for part, numbers in (("train on", learned), ("measure it on", aside)):
            if not (numbers == number).any():
                raise UserError(f"there is no picture of {name!r} left to {part}: give more pictures of it")


def disturb_pictures(images: Tensor, random: np.random.Generator) -> Tensor:
    """The pictures (N, C, H, W) changed a little, each by its own amounts."""
    count = len(images)

    def amounts(reach: float) -> Tensor:
        return torch.from_numpy(random.uniform(-reach, reach, count).astype(np.float32))

    angle, scale = amounts(ROTATION), 1 + amounts(ZOOM)
    mirror = torch.from_numpy(np.where(random.random(count) < 0.5, -1, 1).astype(np.float32))
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    rows = [torch.stack([mirror * cosine, -sine, 2 * amounts(SHIFT)], 1)]
    rows.append(torch.stack([mirror * sine, cosine, 2 * amounts(SHIFT)], 1))
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    images = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    if random.random() < BLURRED:
        images = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="reflect"), 3, 1)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (1 + amounts(SATURATION)[:, None, None, None])
    level = images.mean((1, 2, 3), keepdim=True)
    images = level + (images - level) * (1 + amounts(CONTRAST)[:, None, None, None])
    return (images + amounts(BRIGHTNESS)[:, None, None, None]).clamp(-1, 1)
