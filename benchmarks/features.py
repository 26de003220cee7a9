"""How fast features are extracted, beside one forward hook a layer in fp32.

    python benchmarks/features.py

The usual way keeps every layer's maps by a hook and pools them afterwards. Both are timed in the processor's seconds,
which other work on the machine changes little; the faster of `--repeats`. Whether bf16 changes what the features say
is measured too: by the relative difference, and by the share of images whose nearest neighbour stays the same.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.attribution.randomisation import remeasured
from dcgan_viz.analysis.features.pooled import pooled_features
from dcgan_viz.networks import preset
from dcgan_viz.networks.modules import Discriminator


@torch.no_grad()
def by_hooks(discriminator: Discriminator, images: Tensor) -> Tensor:
    """Every layer's maps from a hook, then pooled."""
    kept: list[Tensor] = []
    handles = [layer.register_forward_hook(lambda _, __, maps: kept.append(maps)) for layer in discriminator.layers]
    discriminator(images.to(discriminator.device))
    for handle in handles:
        handle.remove()
    return torch.cat(
        [functional.adaptive_max_pool2d(maps, min(4, maps.shape[-1])).flatten(1) for maps in kept], 1
    ).cpu()


def seconds(function: Callable[[], Tensor], repeats: int, device: str) -> float:
    """The processor's seconds of the fastest of several runs; those of the clock on another device."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    found = []
    for _ in range(repeats):
        start = clock()
        function()
        found.append(clock() - start)
    return min(found)


def operations(discriminator: Discriminator, images: Tensor) -> int:
    """Additions and multiplications of the convolutions."""
    found = []
    convolutions = [m for m in discriminator.modules() if isinstance(m, torch.nn.Conv2d)]
    handles = [
        m.register_forward_hook(lambda m, _, maps: found.append(2 * maps.numel() * m.weight[0].numel()))
        for m in convolutions
    ]
    discriminator(images.to(discriminator.device))
    for handle in handles:
        handle.remove()
    return sum(found)


def neighbours(features: Tensor) -> Tensor:
    """The nearest other image of each."""
    distances = torch.cdist(features, features)
    return distances.fill_diagonal_(torch.inf).argmin(1)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    matrix = torch.rand(2048, 2048, device=options.device)
    product = 2 * len(matrix) ** 3 / seconds(lambda: (matrix @ matrix)[0].cpu(), options.repeats, options.device)
    print(f"a matrix product in fp32 does {product / 1e9:.0f} GFLOP a second on {options.device}")
    for name in ("imagenet32", "svhn32"):
        torch.manual_seed(0)
        images = torch.rand(options.images, 3, 32, 32) * 2 - 1
        discriminator = remeasured(
            Discriminator(preset(name).discriminator).requires_grad_(False).to(options.device), images
        )
        assert isinstance(discriminator, Discriminator)
        usual = seconds(lambda network=discriminator, x=images: by_hooks(network, x), options.repeats, options.device)
        exact, half = by_hooks(discriminator, images), pooled_features(discriminator, images, "bf16")
        # Convolutions of other layouts round otherwise, on a GPU to TF32.
        assert (exact - pooled_features(discriminator, images, "fp32")).norm() < 1e-3 * exact.norm()
        for precision in ("fp32", "bf16"):
            ours = seconds(
                lambda network=discriminator, x=images, p=precision: pooled_features(network, x, p),
                options.repeats,
                options.device,
            )
            print(
                f"{name}: {options.images / ours:.0f} images a second on {options.device} in {precision}, "
                f"{operations(discriminator, images) / ours / 1e9:.0f} GFLOP a second, {usual / ours:.1f} times as many as "
                f"by hooks in fp32 ({options.images / usual:.0f})",
                flush=True,
            )
        same = (neighbours(exact) == neighbours(half)).float().mean()
        print(
            f"{name}: bf16 differs by {(exact - half).norm() / exact.norm():.1e} of the features' length; {same:.1%} of "
            "the images keep their nearest neighbour",
            flush=True,
        )


if __name__ == "__main__":
    main()
