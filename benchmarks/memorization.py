"""How long and in how much memory many samples are compared with many training images.

python benchmarks/memorization.py --training 100000 --samples 10000
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import torch

from dcgan_viz.analysis.memorization.memorization import memorization
from dcgan_viz.data.images import ImageSet, load_images
from dcgan_viz.model import load

BATCH = 1000


@click.command()
@click.option("--training", default=20_000, show_default=True)
@click.option("--samples", default=2_000, show_default=True)
@click.option("--model", default="bedrooms", show_default=True)
def main(training: int, samples: int, model: str) -> None:
    """Write smooth random images to memory-mapped arrays and time the whole test."""
    loaded = load(model)
    channels, size, _ = loaded.image_shape
    with tempfile.TemporaryDirectory() as folder:
        sets = [
            _write(Path(folder) / f"{k}.npy", count, size, channels, k) for k, count in enumerate((training, samples))
        ]
        start = time.perf_counter()
        result = memorization(loaded, sets[0], sets[1], samples=samples)
        seconds = time.perf_counter() - start
    # Linux counts in KiB; memory-mapped pages that the system may drop are included.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(result.verdict)
    print(
        f"{samples} samples and {result.settings['reference_images']} held-out images against {training} training images "
        f"of {size}x{size}: {seconds:.0f} s on {torch.get_num_threads()} threads, peak memory {peak:.2f} GiB"
    )


def _write(path: Path, count: int, size: int, channels: int, seed: int) -> ImageSet:
    random = np.random.default_rng(seed)
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (count, size, size, channels))
    for start in range(0, count, BATCH):
        number = min(BATCH, count - start)
        small = torch.from_numpy(random.normal(size=(number, channels, 8, 8)).astype(np.float32))
        large = torch.nn.functional.interpolate(small, size=size, mode="bilinear")
        array[start : start + number] = large.mul(64).add(128).clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    array.flush()
    return load_images(path, size, channels)


if __name__ == "__main__":
    main()
