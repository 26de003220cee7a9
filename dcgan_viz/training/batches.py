"""The real images of every step, and the random numbers that go with them, as functions of seed and step."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dcgan_viz.data.images import ImageSet
from dcgan_viz.errors import UserError
from dcgan_viz.training.settings import TrainingSettings


class Batches:
    """What each process of a run sees.

    Parameters
    ----------
    images : ImageSet
    settings : TrainingSettings
    rank, processes : int
        The number of this process, and how many there are.

    Attributes
    ----------
    images_a_step : int
        Of all processes.
    steps_an_epoch : int
        Batches of the images; what does not fill one is left for another epoch's order.

    Raises
    ------
    UserError
        If there are fewer images than one step takes.
    """

    def __init__(self, images: ImageSet, settings: TrainingSettings, rank: int = 0, processes: int = 1) -> None:
        self.images, self.settings, self.rank = images, settings, rank
        self.images_a_step = settings.batch_size * processes
        self.steps_an_epoch = len(images) // self.images_a_step
        if self.steps_an_epoch == 0:
            raise UserError(
                f"{len(images)} images do not fill one batch of {settings.batch_size} on {processes} device(s): give "
                "more images or a smaller batch size"
            )
        self.epoch, self.order = -1, np.empty(0, np.int64)

    def at(self, step: int) -> tuple[Tensor, np.random.Generator]:
        """The batch of this process (N, C, H, W) in [-1, 1] of a step, and the random numbers for the rest of it."""
        settings = self.settings
        epoch, batch = divmod(step, self.steps_an_epoch)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, np.random.default_rng([settings.seed, epoch]).permutation(len(self.images))
        first = batch * self.images_a_step + self.rank * settings.batch_size
        random = np.random.default_rng([settings.seed, self.rank, step, 1])
        # In ascending order a memory-mapped array is read forwards.
        real = self.images.tensor(np.sort(self.order[first : first + settings.batch_size]))
        if settings.flip:
            mirrored = torch.from_numpy(random.random(len(real)) < 0.5)
            real[mirrored] = real[mirrored].flip(-1)
        return real, random


def spread_out(images: ImageSet, count: int) -> Tensor:
    """`count` images evenly spread over a set, or all if there are fewer, as float images."""
    return images.tensor(np.unique(np.linspace(0, len(images) - 1, count).round().astype(np.int64)))
