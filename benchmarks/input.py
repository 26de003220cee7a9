"""What share of a training step its images take: how long the batch is waited for, and how long the step is.

    python benchmarks/input.py pictures.npy --width 128 --device cuda
    python benchmarks/input.py pictures.npy --width 16 --device cpu --steps 20

Between two steps the device is waited for, so that each part is its own; in a run they overlap, and the share is smaller.
Medians over the steps.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from dcgan_viz.data.images import load_images
from dcgan_viz.networks import dcgan
from dcgan_viz.training.batches import Batches
from dcgan_viz.training.execution import choose_execution, launch
from dcgan_viz.training.settings import TrainingSettings
from dcgan_viz.training.step import Adversaries


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
    settings = TrainingSettings(steps=options.steps, batch_size=options.batch_size, flip=True)
    execution = choose_execution(options.device)
    fabric = launch(options.device, execution)
    players = Adversaries(fabric, dcgan(64, width=options.width), settings, execution.memory_format)
    batches = Batches(images, settings, device=fabric.device)

    def wait() -> float:
        if fabric.device.type == "cuda":
            torch.cuda.synchronize(fabric.device)
        return time.perf_counter()

    times = []
    for step in range(options.steps + 3):
        start = wait()
        real, random = batches.at(step)
        real = fabric.to_device(real.contiguous(memory_format=execution.memory_format))
        waited = wait()
        players.step(real, step, random)
        times.append((waited - start, wait() - waited))
    # The first few warm up.
    fed, computed = np.median(times[3:], axis=0)
    print(
        f"{options.device}, {execution}, width {options.width}, batch {options.batch_size}: images {1000 * fed:.2f} ms, step "
        f"{1000 * computed:.2f} ms; images are {fed / (fed + computed):.2%} of both"
    )


if __name__ == "__main__":
    main()
