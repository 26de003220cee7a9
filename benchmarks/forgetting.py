"""A dose-response curve: the layers below the ablated one computed once a sample, against drawing every dose from z.

Both count the same objects' pixels with the same segmenter, and must agree.

    python benchmarks/forgetting.py
    python benchmarks/forgetting.py --samples 500 --doses 10
"""

from __future__ import annotations

import time

import click
import numpy as np
import torch

from dcgan_viz.analysis.forgetting.ablation import draw_scaled, paper_layer, scaled
from dcgan_viz.judges.segmenter import areas, find_segmenter, segment
from dcgan_viz.model import load


@click.command()
@click.option("--model", default="rooms", show_default=True)
@click.option("--samples", default=2000, show_default=True)
@click.option("--doses", "count", default=20, show_default=True)
def main(model: str, samples: int, count: int) -> None:
    """Time both and print the gain."""
    loaded = load(model)
    segmenter = find_segmenter(loaded)
    if segmenter is None:
        raise click.UsageError(f"{model} has no segmenter beside it")
    layer = paper_layer(loaded)
    latents = loaded.latents(samples, seed=0)
    objects = len(segmenter.objects)
    factors = [scaled(layer.channels, range(int(k))) for k in np.linspace(0, layer.channels, count)]
    for _, images in draw_scaled(loaded, layer, factors[:1], latents[:64]):
        segment(segmenter, images[0])

    def anew(batch: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        """Every layer, from z to the picture."""
        return next(draw_scaled(loaded, layer, [factor], batch))[1][0]

    start = time.perf_counter()
    drawn = [images for _, images in draw_scaled(loaded, layer, factors, latents[:256])]
    reused_drawing = time.perf_counter() - start
    start = time.perf_counter()
    for batch in latents[:256].split(64):
        for factor in factors:
            anew(batch, factor)
    recomputed_drawing = time.perf_counter() - start

    start = time.perf_counter()
    reused = np.concatenate(
        [
            np.stack([areas(segment(segmenter, images), objects) for images in batch], axis=1)
            for _, batch in draw_scaled(loaded, layer, factors, latents)
        ]
    )
    once = time.perf_counter() - start
    start = time.perf_counter()
    recomputed = np.concatenate(
        [
            np.stack([areas(segment(segmenter, anew(z, factor)), objects) for factor in factors], axis=1)
            for z in latents.split(64)
        ]
    )
    every_time = time.perf_counter() - start
    difference = np.abs(reused - recomputed).max()
    assert difference < 1e-3, f"the two differ by {difference}"
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {samples} samples x {count} doses of {model}\n"
        f"drawing alone ({len(drawn)} batches): {reused_drawing:.1f} s against {recomputed_drawing:.1f} s: "
        f"{recomputed_drawing / reused_drawing:.1f}x\n"
        f"with the segmenter: {once:.1f} s against {every_time:.1f} s: {every_time / once:.1f}x"
    )


if __name__ == "__main__":
    main()
