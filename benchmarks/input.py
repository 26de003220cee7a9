"""How much of training is spent on its input.

    python benchmarks/input.py pictures.npy --width 128 --device cuda
    python benchmarks/input.py pictures.npy --width 16 --device cpu --steps 20

Two numbers for each way in which pictures come to the device. *Alone*: the device is waited for before and after a batch is made,
so that the batch and the step are timed one after the other. *In a run*: nothing is waited for, and steps with new pictures are
compared with steps that see one batch again and again; what the two differ by is what the input costs, most of it overlapping
with the step. Blocks of both kinds take turns, since other work on the machine slows both. Medians; seconds are the processor's
on a CPU, and the clock's elsewhere.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from dcgan_viz.data.images import ImageSet, load_images
from dcgan_viz.networks import dcgan
from dcgan_viz.training import batches as feeding
from dcgan_viz.training.batches import Batches
from dcgan_viz.training.execution import choose_execution, launch
from dcgan_viz.training.settings import TrainingSettings
from dcgan_viz.training.step import Adversaries

WARM_UP = 5
BLOCKS = 10
SHARES = {"cpu": {"from memory": 0.0}, "cuda": {"on the device": 1.0, "read ahead": 0.0}}
"""What of a device's memory a set may take, by the way of feeding that follows from it."""


class Measured:
    """A trainer whose input and steps are timed apart and together.

    Parameters
    ----------
    images : ImageSet
    options : Namespace
        Width, batch size, device and steps.
    """

    def __init__(self, images: ImageSet, options: argparse.Namespace) -> None:
        settings = TrainingSettings(steps=options.steps, batch_size=options.batch_size, flip=True)
        self.execution = choose_execution(options.device)
        fabric = launch(options.device, self.execution)
        self.device = fabric.device
        self.players = Adversaries(fabric, dcgan(64, width=options.width), settings, self.execution.memory_format)
        self.batches = Batches(images, settings, device=fabric.device, memory_format=self.execution.memory_format)
        self.clock: Callable[[], float] = time.process_time if self.device.type == "cpu" else time.perf_counter

    def now(self) -> float:
        """Seconds, once the device has done what it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self.clock()

    def alone(self, steps: int) -> tuple[float, float]:
        """Seconds of making a batch, and of the step that uses it."""
        times = []
        for step in range(steps):
            start = self.now()
            real, random = self.batches.at(step)
            made = self.now()
            self.players.step(real, step, random)
            times.append((made - start, self.now() - made))
        fed, computed = np.median(times[min(WARM_UP, steps // 2) :], axis=0)
        return float(fed), float(computed)

    def in_a_run(self, steps: int) -> tuple[float, float]:
        """Seconds of a step with new pictures, and with the same ones."""
        same, _ = self.batches.at(0)
        each = max(1, steps // BLOCKS)
        times = []
        for block in range(BLOCKS):
            start = self.now()
            for step in range(block * each, (block + 1) * each):
                self.players.step(*self.batches.at(step)[:1], step, np.random.default_rng(step))
            fed = self.now()
            for step in range(block * each, (block + 1) * each):
                self.players.step(same, step, np.random.default_rng(step))
            times.append((fed - start, self.now() - fed))
        new, old = np.median(times[1:], axis=0) / each
        return float(new), float(old)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    images = load_images(options.images, 64)
    for name, share in SHARES[torch.device(options.device).type].items():
        feeding.RESIDENT_SHARE = share
        measured = Measured(images, options)
        fed, computed = measured.alone(options.steps)
        new, same = measured.in_a_run(options.steps)
        print(
            f"{options.device}, {measured.execution}, width {options.width}, batch {options.batch_size}, {name}: alone, images "
            f"{1000 * fed:.2f} ms and step {1000 * computed:.2f} ms, {fed / (fed + computed):.2%} of both; in a run "
            f"{1000 * new:.2f} ms with new images and {1000 * same:.2f} ms with the same, {1 - same / new:.2%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
