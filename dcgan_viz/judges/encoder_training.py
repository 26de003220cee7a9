"""Training an encoder on labelled pictures."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dcgan_viz.data.images import ImageSet, evenly_spaced
from dcgan_viz.data.labels import Labels
from dcgan_viz.devices import find_device
from dcgan_viz.errors import UserError
from dcgan_viz.judges.classifier import measure_accuracy
from dcgan_viz.judges.encoder import BATCH, SIZE, Encoder, EncoderCard
from dcgan_viz.judges.encoder_network import WIDTHS, EncoderNetwork
from dcgan_viz.networks.statistics import recalibrate
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.versions import versions

LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, LABEL_SMOOTHING = 0.15, 0.9, 5e-4, 0.1
SHIFT, CUTOUT = 3, 8
"""Pixels of 32: at most so far a picture is shifted, and the side of the square that is greyed out."""

AVERAGE_DECAY = 0.995
RECALIBRATION = 2048
"""Pictures that the batch-norm statistics of the averaged weights are measured on."""


def train_encoder(
    images: ImageSet,
    labels: Labels,
    learned: NDArray[np.bool_],
    *,
    name: str,
    epochs: int = 20,
    batch_size: int = 128,
    widths: tuple[int, ...] = WIDTHS,
    seed: int = 0,
    device: str = "cpu",
    data: str = "not stated",
    terms: str = "not stated",
    progress: Progress = silent,
) -> Encoder:
    """Train an encoder, and measure it on the pictures that were kept aside.

    Stochastic gradient descent with one cycle of the learning rate; pictures are mirrored, shifted and partly greyed
    out (DeVries & Taylor 2017) at random, labels smoothed; the weights are a moving average over the steps. bf16,
    channels-last.

    Parameters
    ----------
    images : ImageSet
        32x32.
    labels : Labels
        One entry a picture; those without a class are left out.
    learned : ndarray of bool (N,)
        Which pictures to train on; the others are kept aside for the accuracy on the card.
    name : str
        Of the encoder.
    epochs, batch_size : int
    widths : tuple of int
        Of `EncoderNetwork`.
    seed : int
    device : str
    data, terms : str
        For the card.
    progress : Progress

    Returns
    -------
    Encoder
        In evaluation mode.

    Raises
    ------
    UserError
        If the pictures are not 32x32, a batch cannot be filled, or a part of the split lacks a class.
    """
    place = find_device(device)
    _check(images, labels, learned, batch_size)
    torch.manual_seed(seed)
    channels = images.pixels.shape[-1]
    network = EncoderNetwork(channels, len(labels.classes), widths).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    chosen = np.flatnonzero(learned & (labels.numbers >= 0))
    steps = epochs * (len(chosen) // batch_size)
    optimiser = torch.optim.SGD(
        network.parameters(), LEARNING_RATE, momentum=MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.2)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE_DECAY))
    random = np.random.default_rng([seed, 0])
    order = np.zeros(0, np.int64)
    for _ in progress(range(steps), Stage("training", steps)):
        if len(order) < batch_size:
            order = random.permutation(chosen)
        batch, order = np.sort(order[:batch_size]), order[batch_size:]
        pictures = disturb(images.tensor(batch), random).to(place).contiguous(memory_format=torch.channels_last)
        with torch.autocast(place.type, torch.bfloat16):
            scores = network(pictures)
        target = torch.from_numpy(labels.numbers[batch]).to(place)
        loss = functional.cross_entropy(scores.float(), target, label_smoothing=LABEL_SMOOTHING)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
    # Filled in place: the average is a copy of the same type that torch knows as a module only.
    network.load_state_dict(average.module.state_dict())
    calibration = images.tensor(chosen[evenly_spaced(len(chosen), RECALIBRATION)]).to(place)
    recalibrate(network.requires_grad_(False), calibration.split(BATCH))
    aside = np.flatnonzero(~learned & (labels.numbers >= 0))
    accuracy = measure_accuracy(_probabilities(network, images, aside, place), labels.numbers[aside], "held out")
    training = {
        "pictures": len(chosen),
        "held out": len(aside),
        "epochs": epochs,
        "batch size": batch_size,
        "seed": seed,
        "device": place.type,
        "versions": versions(),
    }
    return Encoder(network, EncoderCard(name, labels.classes, channels, data, terms, accuracy, training, widths))


def _check(images: ImageSet, labels: Labels, learned: NDArray[np.bool_], batch_size: int) -> None:
    if images.pixels.shape[1:3] != (SIZE, SIZE):
        raise UserError(
            f"an encoder reads {SIZE}x{SIZE} pictures, not {images.pixels.shape[1]}x{images.pixels.shape[2]}"
        )
    if (learned & (labels.numbers >= 0)).sum() < batch_size:
        raise UserError(f"the pictures to train on do not fill a batch of {batch_size}: give more")
    for number, name in enumerate(labels.classes):
        for part, among in (("train on", learned), ("measure it on", ~learned)):
            if not (labels.numbers[among] == number).any():
                raise UserError(f"there is no picture of {name!r} to {part}: give more pictures of it")


def disturb(images: Tensor, random: np.random.Generator) -> Tensor:
    """The pictures (N, C, H, W), each mirrored or not, shifted, and with a square greyed out.

    Examples
    --------
    >>> disturb(torch.ones(2, 3, 32, 32), np.random.default_rng(0)).shape
    torch.Size([2, 3, 32, 32])
    """
    count, _, height, width = images.shape
    mirrored = torch.from_numpy(random.random(count) < 0.5)
    images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    padded = functional.pad(images, (SHIFT,) * 4, mode="reflect")
    tops, lefts = (torch.from_numpy(random.integers(0, 2 * SHIFT + 1, count)) for _ in range(2))
    rows = tops[:, None] + torch.arange(height)
    columns = lefts[:, None] + torch.arange(width)
    shifted = padded[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    tops = torch.from_numpy(random.integers(-CUTOUT // 2, height - CUTOUT // 2, count))
    lefts = torch.from_numpy(random.integers(-CUTOUT // 2, width - CUTOUT // 2, count))
    inside_rows = (torch.arange(height) >= tops[:, None]) & (torch.arange(height) < tops[:, None] + CUTOUT)
    inside_columns = (torch.arange(width) >= lefts[:, None]) & (torch.arange(width) < lefts[:, None] + CUTOUT)
    return shifted.masked_fill((inside_rows[:, :, None] & inside_columns[:, None, :])[:, None], 0.0)


@torch.no_grad()
def _probabilities(
    network: EncoderNetwork, images: ImageSet, indices: NDArray[np.int64], place: torch.device
) -> NDArray[np.float32]:
    parts = [
        network(images.tensor(i).to(place)).softmax(1).cpu() for i in np.array_split(indices, -(-len(indices) // BATCH))
    ]
    return torch.cat(parts).numpy()
