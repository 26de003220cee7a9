"""The real images of every step, and the random numbers that go with them, as functions of seed and step."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.data.images import ImageSet
from dcgan_viz.errors import UserError
from dcgan_viz.training.settings import TrainingSettings
from dcgan_viz.words import counted

RESIDENT_SHARE = 0.5
"""Of a CUDA device's free memory: sets that take no more stay there."""

Flips = NDArray[np.bool_]

Feed = Callable[[int, NDArray[np.int64], Flips | None], Tensor]
"""The pictures of a step, whose numbers are given in ascending order, as uint8 (n, H, W, C) on the device; some mirrored."""


class Batches:
    """What each process of a run sees.

    Pictures are uint8 until they are on the device, and there are mirrored and become floats.

    Parameters
    ----------
    images : ImageSet
    settings : TrainingSettings
    rank, processes : int
        The number of this process, and how many there are.
    device : torch.device
        Where the batches are wanted.
    memory_format : torch.memory_format
        And in which layout.

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

    def __init__(
        self,
        images: ImageSet,
        settings: TrainingSettings,
        rank: int = 0,
        processes: int = 1,
        device: torch.device = torch.device("cpu"),  # noqa: B008 (it cannot be changed)
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.settings, self.rank, self.device, self.count = settings, rank, device, len(images)
        self.memory_format = memory_format
        self.images_a_step = settings.batch_size * processes
        self.steps_an_epoch = len(images) // self.images_a_step
        if self.steps_an_epoch == 0:
            raise UserError(
                f"{counted(len(images), 'image')} cannot fill one batch of {settings.batch_size} on "
                f"{counted(processes, 'device')}: give more images, or smaller batches with `batch_size`"
            )
        self.epoch, self.order = -1, np.empty(0, np.int64)
        self.feed = choose_feed(images.pixels, device, self.indices, settings.batch_size)

    def indices(self, step: int) -> NDArray[np.int64]:
        """The numbers of this process's images in a step; in ascending order a memory-mapped array is read forwards."""
        epoch, batch = divmod(step, self.steps_an_epoch)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, np.random.default_rng([self.settings.seed, epoch]).permutation(self.count)
        first = batch * self.images_a_step + self.rank * self.settings.batch_size
        return np.sort(self.order[first : first + self.settings.batch_size])

    def at(self, step: int) -> tuple[Tensor, np.random.Generator]:
        """The batch of this process (N, C, H, W) in [-1, 1] of a step, and the random numbers for the rest of it."""
        random = np.random.default_rng([self.settings.seed, self.rank, step, 1])
        chosen = self.indices(step)
        mirrored = random.random(len(chosen)) < 0.5 if self.settings.flip else None
        # Mirrored and laid out while a value is one byte: as floats both would move four times as much.
        pixels = self.feed(step, chosen, mirrored).permute(0, 3, 1, 2).contiguous(memory_format=self.memory_format)
        return (pixels / 127.5).sub_(1.0), random


def choose_feed(
    pixels: NDArray[np.uint8],
    device: torch.device,
    indices: Callable[[int], NDArray[np.int64]],
    batch_size: int,
) -> Feed:
    """What brings pictures to a device.

    From memory to the processor; a set that fits on a CUDA device stays there; any other is read a step ahead.

    Parameters
    ----------
    pixels : ndarray of uint8 (N, H, W, C)
        May be memory-mapped.
    device : torch.device
    indices : callable
        The numbers of the pictures of a step.
    batch_size : int

    Returns
    -------
    Feed
    """
    if device.type == "cpu":
        return lambda step, chosen, mirrored: _mirrored(torch.from_numpy(pixels[chosen]), mirrored)
    if device.type == "cuda" and pixels.nbytes <= RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
        return Resident(pixels, device)
    return ReadAhead(pixels, device, indices, batch_size)


def _mirrored(pictures: Tensor, mirrored: Flips | None) -> Tensor:
    if mirrored is None:
        return pictures
    return torch.where(torch.from_numpy(mirrored)[:, None, None, None], pictures.flip(2), pictures)


class _Picked:
    """Takes pictures (N, H, W, C) by number and mirrors some, in one pass over them on the device.

    Numbers travel in one piece of pinned memory: a copy from any other makes the processor wait until the device has
    done all that it was told before.
    """

    def __init__(self, shape: tuple[int, ...], device: torch.device) -> None:
        _, height, width, _ = shape
        self.device, self.rows = device, torch.arange(height, device=device)[None, :, None]
        self.forwards, self.backwards = np.arange(width), np.arange(width)[::-1]

    def __call__(self, pictures: Tensor, numbers: NDArray[np.int64], mirrored: Flips | None) -> Tensor:
        if mirrored is None:
            return pictures[self._sent(numbers)]
        columns = np.where(mirrored[:, None], self.backwards, self.forwards)
        sent = self._sent(np.concatenate([numbers[:, None], columns], axis=1))
        return pictures[sent[:, :1, None], self.rows, sent[:, None, 1:]]

    def _sent(self, numbers: NDArray[np.int64]) -> Tensor:
        tensor = torch.from_numpy(numbers)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor


class Resident:
    """Pictures that are all on the device, as uint8.

    Parameters
    ----------
    pixels : ndarray of uint8 (N, H, W, C)
    device : torch.device
    """

    def __init__(self, pixels: NDArray[np.uint8], device: torch.device) -> None:
        self.pixels = torch.empty(pixels.shape, dtype=torch.uint8, device=device)
        self.picked = _Picked(pixels.shape, device)
        for start in range(0, len(pixels), 4096):
            # A copy: of a memory map, which cannot be written, torch warns.
            self.pixels[start : start + 4096].copy_(torch.from_numpy(np.array(pixels[start : start + 4096])))

    def __call__(self, step: int, chosen: NDArray[np.int64], mirrored: Flips | None) -> Tensor:
        """The chosen pictures."""
        return self.picked(self.pixels, chosen, mirrored)


class ReadAhead:
    """Pictures from a memory map: while a step is computed, a thread reads those of the next into pinned memory.

    Parameters
    ----------
    pixels : ndarray of uint8 (N, H, W, C)
    device : torch.device
    indices : callable
        The numbers of the pictures of a step.
    batch_size : int
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        device: torch.device,
        indices: Callable[[int], NDArray[np.int64]],
        batch_size: int,
    ) -> None:
        self.pixels, self.device, self.indices = pixels, device, indices
        self.picked = _Picked(pixels.shape, device)
        pinned = device.type == "cuda"
        shape = (batch_size, *pixels.shape[1:])
        # One is read into while the other is copied to the device.
        self.buffers = [torch.empty(shape, dtype=torch.uint8, pin_memory=pinned) for _ in range(2)]
        self.copied: list[torch.cuda.Event | None] = [None, None]
        self.thread = ThreadPoolExecutor(1)
        self.ahead: tuple[int, Future[None]] | None = None

    def __call__(self, step: int, chosen: NDArray[np.int64], mirrored: Flips | None) -> Tensor:
        """The chosen pictures; those of the next step are then read."""
        if self.ahead is None or self.ahead[0] != step:
            self._begin(step, chosen)
        assert self.ahead is not None
        self.ahead[1].result()
        pictures = self.buffers[step % 2].to(self.device, non_blocking=True, copy=True)
        if self.device.type == "cuda":
            self.copied[step % 2] = torch.cuda.current_stream(self.device).record_event()
        self._begin(step + 1, self.indices(step + 1))
        return pictures if mirrored is None else self.picked(pictures, np.arange(len(pictures)), mirrored)

    def _begin(self, step: int, chosen: NDArray[np.int64]) -> None:
        self.ahead = (step, self.thread.submit(self._read, step % 2, chosen))

    def _read(self, slot: int, chosen: NDArray[np.int64]) -> None:
        copied = self.copied[slot]
        if copied is not None:
            copied.synchronize()
        # Only with a mode is the buffer written directly; no number is out of range.
        np.take(self.pixels, chosen, axis=0, out=self.buffers[slot].numpy(), mode="clip")
