"""Guided gradients of all maps of a layer: this package against captum's per-unit loop, in one run.

Both explain the same units with the same weights: for each map of the layer its strongest unit over the images. The
network is the paper's 64x64 discriminator with a fifth layer on top, with ReLUs, because captum's rule knows no other
rectifier. The results must be equal.

    python benchmarks/guided_backprop.py
    python benchmarks/guided_backprop.py --layer 4 --width 64 --kernel 4 --threads 1
"""

from __future__ import annotations

import copy
import time
import warnings
from dataclasses import replace

import click
import numpy as np
import torch
from captum.attr import NeuronGuidedBackprop
from torch import Tensor, nn

from dcgan_viz.analysis.attribution.randomisation import randomised
from dcgan_viz.analysis.attribution.responses import strongest_responses
from dcgan_viz.analysis.attribution.unit_gradients import Unit, unit_gradients
from dcgan_viz.data.images import TensorImages
from dcgan_viz.networks import dcgan
from dcgan_viz.networks.modules import Discriminator


def captum_network(discriminator: Discriminator, layer: int) -> nn.Sequential:
    """The same layers with the rectifier that captum guides."""
    modules: list[nn.Module] = []
    for number in range(1, layer + 1):
        own = discriminator.layer(number)
        modules.append(nn.Sequential(*[m for m in own if not isinstance(m, nn.LeakyReLU)], nn.ReLU()))
    return nn.Sequential(*modules).eval()


def with_captum(network: nn.Sequential, images: Tensor, units: list[Unit]) -> Tensor:
    """One forward and one backward pass a unit."""
    explain = NeuronGuidedBackprop(network, network[-1])
    return torch.cat(
        [
            explain.attribute(images[u.image][None].requires_grad_(), (u.map, u.row, u.column)).detach().cpu()
            for u in units
        ]
    )


def differences(ours: Tensor, theirs: Tensor) -> Tensor:
    """Largest difference of each unit's gradient, relative to its largest value."""
    scale = theirs.abs().amax((1, 2, 3)).clamp(min=np.finfo(np.float32).tiny)
    return (ours - theirs).abs().amax((1, 2, 3)) / scale


def in_float64(discriminator: Discriminator, layer: int, images: Tensor, units: list[Unit]) -> float:
    """The largest difference when nothing is rounded across a rectifier's threshold."""
    precise = copy.deepcopy(discriminator).double()
    inputs = images.double()
    slow = with_captum(captum_network(precise, layer), inputs.to(precise.head.weight.device), units)
    return float(differences(unit_gradients(precise, layer, inputs, units), slow).max())


def floor(discriminator: Discriminator, layer: int, units: list[Unit]) -> float:
    """Multiplications and additions that a windowed backward pass cannot do without, per unit, in MMAC."""
    convolutions = discriminator.spec.convolutions
    total = 0
    for unit in units:
        spans = [(unit.row, unit.row + 1), (unit.column, unit.column + 1)]
        side = discriminator.spec.image_size
        sides = [side := side // c.stride for c in convolutions]
        for number in range(layer, 0, -1):
            own = convolutions[number - 1]
            channels_below = convolutions[number - 2].channels if number > 1 else discriminator.spec.image_channels
            below = sides[number - 2] if number > 1 else discriminator.spec.image_size
            # The first step copies the unit's own kernel; taps that fall into the padding need not be computed.
            if number < layer:
                rows, columns = (
                    sum(0 <= p * own.stride - own.padding + tap < below for p in range(*s) for tap in range(own.kernel))
                    for s in spans
                )
                total += rows * columns * own.channels * channels_below
            spans = [
                (
                    max(first * own.stride - own.padding, 0),
                    min((last - 1) * own.stride - own.padding + own.kernel, below),
                )
                for first, last in spans
            ]
    return total / len(units) / 1e6


def peak(device: torch.device) -> float:
    """GMAC/s of a large float32 matrix product: what the device can do."""
    a, b = torch.randn(2, 2048, 2048, device=device)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        (a @ b).sum().item()
        best = min(best, time.perf_counter() - start)
    return 2048**3 / best / 1e9


@click.command()
@click.option("--layer", "layers", type=int, multiple=True, default=(4, 5), show_default=True)
@click.option("--width", default=128, show_default=True, help="128 is the paper's.")
@click.option("--kernel", default=5, show_default=True, help="5 is the paper's.")
@click.option("--images", "count", default=64, show_default=True)
@click.option("--units", "limit", type=int, help="Explain only so many maps.  [default: all]")
@click.option("--threads", type=int, help="[default: all cores]")
@click.option("--device", default="cpu", show_default=True)
@click.option("--repeats", default=3, show_default=True, help="The fastest counts, for both.")
def main(
    layers: tuple[int, ...],
    width: int,
    kernel: int,
    count: int,
    limit: int | None,
    threads: int | None,
    device: str,
    repeats: int,
) -> None:
    """Time both and print the ratio."""
    warnings.filterwarnings("ignore", message="Setting backward hooks")
    if threads:
        torch.set_num_threads(threads)
    place = torch.device(device)
    spec = replace(dcgan(64, width=width, kernel=kernel, top_layer=True).discriminator, slope=0.0)
    torch.manual_seed(0)
    images = torch.rand(count, 3, 64, 64) * 2 - 1
    discriminator = randomised(Discriminator(spec).to(place), range(1, 6), images, seed=0)
    gmacs = peak(place)
    print(f"torch {torch.__version__}, {place}, {torch.get_num_threads()} threads, matrix product {gmacs:.0f} GMAC/s")
    for layer in layers:
        channels = spec.convolutions[layer - 1].channels
        maps = range(min(limit or channels, channels))
        units = [response.unit for response in strongest_responses(discriminator, layer, TensorImages(images), maps, 1)]
        network = captum_network(discriminator, layer)
        inputs = images.to(place)
        with_captum(network, inputs, units[:2])
        unit_gradients(discriminator, layer, images, units[:2])
        ours, theirs = [], []
        for _ in range(repeats):
            start = time.perf_counter()
            fast = unit_gradients(discriminator, layer, images, units)
            ours.append(time.perf_counter() - start)
            start = time.perf_counter()
            slow = with_captum(network, inputs, units)
            theirs.append(time.perf_counter() - start)
        alike = float((differences(fast, slow) < 1e-5).double().mean())
        exact = in_float64(discriminator, layer, images, units[:: max(len(units) // 16, 1)])
        assert exact < 1e-5, f"the results differ by {exact:.1e}"
        needed = floor(discriminator, layer, units)
        reached = needed * len(units) / 1e3 / min(ours) / gmacs
        print(
            f"layer {layer}: {len(units)} units on {count} images: captum {min(theirs):.2f} s, ours {min(ours):.2f} s: "
            f"{min(theirs) / min(ours):.1f}x\n"
            f"  equal: largest relative difference {exact:.0e} in float64; {100 * alike:.1f} % of units within 1e-5 in "
            f"float32, where a rectifier's input can round to either side of 0\n"
            f"  floor: {needed:.0f} MMAC a unit, done at {100 * reached:.0f} % of the matrix product's speed"
        )


if __name__ == "__main__":
    main()
