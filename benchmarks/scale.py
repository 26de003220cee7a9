"""The tables of docs/scale.md: what millions of images take, from slopes that are measured here.

    python benchmarks/scale.py lsun_bedrooms_10k.zip --codes cifar10_jpeg.zip

Every stage runs on one thread at four sizes; a power law through them is what is multiplied. Seconds are the processor's.
Nothing is run at the sizes that are printed, and rates and prices of devices are assumptions that the options state.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from dcgan_viz.data.duplicates import near
from dcgan_viz.data.duplicates.alignment import aligned_correlation
from dcgan_viz.data.duplicates.autoencoder import SIDE, encode, train_autoencoder
from dcgan_viz.data.duplicates.near import collisions, near_pairs
from dcgan_viz.data.images import load_images
from dcgan_viz.data.prepare import prepare
from dcgan_viz.networks import preset
from dcgan_viz.training.execution import choose_execution, launch
from dcgan_viz.training.settings import TrainingSettings
from dcgan_viz.training.step import Adversaries

SIZES = (3_000_000, 100_000_000)
RADII = (12, 24)
EPOCHS, DEVICES = 5, (1, 8)


@dataclass(frozen=True)
class Growth:
    """What a stage took with some numbers of images, as a power of them."""

    counts: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def power(self) -> float:
        """The slope in logarithms; at least 1, below which fixed costs are all that is seen."""
        return max(1.0, float(np.polyfit(np.log(self.counts), np.log(np.maximum(self.values, 1e-6)), 1)[0]))

    def at(self, count: int) -> float:
        """Continued from the largest number."""
        return float(self.values[-1] * (count / self.counts[-1]) ** self.power)

    def __str__(self) -> str:
        return (
            f"{1e6 * self.values[-1] / self.counts[-1]:.1f} µs an image at {self.counts[-1]:,}, power {self.power:.2f}"
        )


def spent() -> float:
    """Seconds of the processor, in this process and those that it has ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def timed(work: Callable[[], object]) -> float:
    """Seconds of the processor that some work in this process takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def prepared(source: Path) -> float:
    """Seconds an image of `prepare`."""
    with tempfile.TemporaryDirectory() as place:
        start = spent()
        found = prepare(source, Path(place) / "out.npy", 64, workers=1)
        return (spent() - start) / found.pictures


def stages(crops: NDArray[np.uint8]) -> tuple[dict[str, Growth], dict[int, Growth], float]:
    """How the stages of `dedup` and the pairs within each radius grow, and the seconds of comparing the pixels of a pair."""
    network = train_autoencoder(crops)
    counts = tuple(len(crops) // share for share in (8, 4, 2, 1))
    times: dict[str, list[float]] = {"codes": [], "equal codes": [], f"codes within {RADII[0]} bits": []}
    pairs: dict[int, list[int]] = {radius: [] for radius in RADII}
    # Small sets would be compared each with each, which large ones are not.
    near.EXHAUSTIVE = 0
    for count in counts:
        part = crops[:count]
        codes = encode(network, part)
        works = (lambda: encode(network, part), lambda: collisions(codes), lambda: near_pairs(codes, RADII[0]))  # noqa: B023
        for name, work in zip(times, works, strict=True):
            times[name].append(timed(work))
        for radius in RADII:
            found = near_pairs(codes, radius)
            pairs[radius].append(len(found))
    few = found[:512]
    seconds = timed(lambda: aligned_correlation(crops[few[:, 0]], crops[few[:, 1]])) / max(len(few), 1)
    growths = {name: Growth(counts, tuple(values)) for name, values in times.items()}
    return growths, {r: Growth(counts, tuple(map(float, values))) for r, values in pairs.items()}, seconds


def flops_an_image(batch: int = 4) -> float:
    """Of a training step at the paper's width."""
    fabric = launch("cpu", choose_execution("cpu", "fp32"))
    spec = preset("lsun64")
    players = Adversaries(fabric, spec, TrainingSettings(steps=1, batch_size=batch), torch.contiguous_format)
    channels, size, _ = spec.image_shape
    with FlopCounterMode(display=False) as counted:
        players.step(torch.zeros(batch, channels, size, size), 0, np.random.default_rng(0))
    return counted.get_total_flops() / batch


def span(seconds: float) -> str:
    """Seconds in words."""
    for unit, name in ((3600, "h"), (60, "min"), (1, "s")):
        if seconds >= unit:
            return f"{seconds / unit:.2g} {name}"
    return "below 1 s"


def row(*cells: object) -> None:
    """A line of a table."""
    print(f"| {' | '.join(map(str, cells))} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="that prepare is timed on")
    parser.add_argument(
        "--codes", type=Path, help="more and smaller images, that dedup is timed on  [default: the same]"
    )
    parser.add_argument("--cores", type=int, default=16)
    parser.add_argument("--teraflops", type=float, default=100, help="that a device is assumed to reach")
    parser.add_argument("--dollars", type=float, default=2.5, help="an hour of a device is assumed to cost")
    parser.add_argument("--efficiency", type=float, default=0.9, help="of eight devices, assumed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    each = prepared(options.images)
    growths, pairs, compared = stages(np.asarray(load_images(options.codes or options.images, SIDE).pixels))
    titles = [f"{count // 10**6} million" for count in SIZES]
    row("step", "measured", *titles)
    row(*["---"] * 4)
    on_cores = [span(count * each / options.cores) for count in SIZES]
    row(f"prepare --size 64, on {options.cores} cores", f"{1000 * each:.2f} ms an image", *on_cores)
    row("disk, 64x64", "12,288 bytes an image", *(f"{count * 12_288 / 1e9:,.0f} GB" for count in SIZES))
    for name, growth in growths.items():
        row(f"{name}, on one core", growth, *(span(growth.at(count)) for count in SIZES))
    row("pixels of near pairs, on one core", f"{1000 * compared:.2f} ms a pair", "by the radius", "by the radius")
    print()
    row("pairs of codes within", *(f"{count:,} images" for count in pairs[RADII[0]].counts), "power", *titles)
    row(*["---"] * 8)
    for radius, growth in pairs.items():
        found = [f"{growth.at(count):.2g}" for count in SIZES]
        row(f"{radius} bits", *(f"{value:,.0f}" for value in growth.values), f"{growth.power:.2f}", *found)
    print()
    flops = flops_an_image()
    rate = options.teraflops * 1e12 / flops
    print(f"{flops / 1e9:.1f} GFLOP an image of a step; at {options.teraflops:g} TFLOP/s {rate:,.0f} images a second")
    row(f"{EPOCHS} epochs", *(f"{count} device{'s' * (count > 1)}" for count in DEVICES))
    row(*["---"] * 3)
    for count, title in zip(SIZES, titles, strict=True):
        cells = []
        for devices in DEVICES:
            hours = count * EPOCHS / (rate * devices * (options.efficiency if devices > 1 else 1)) / 3600
            cells.append(f"{hours:.2g} h, {hours * devices * options.dollars:.2f} dollars")
        row(title, *cells)


if __name__ == "__main__":
    main()
