"""One sample drawn with many choices of its maps scaled, fast: the next convolution is linear in them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from dcgan_viz.networks.modules import Generator
from dcgan_viz.networks.protocol import GeneratorNetwork

AT_ONCE = 64
"""Choices that are drawn together: more of them fall out of the processor's cache."""

MOST_CONTRIBUTIONS = 2**28
"""Numbers that may be kept of one sample, a gigabyte: the paper's networks have an eighth of that in every layer."""


@torch.no_grad()
def draw_choices(
    generator: GeneratorNetwork, maps: Tensor, layer: int, factors: Tensor, place: Tensor | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """Images of one sample with its maps multiplied by one choice of factors after the other.

    What every map adds to the next layer's convolution is computed once; then every choice is a row of a matrix product,
    where the convolution itself would take four times as many multiplications with 4x4 kernels, and six with 5x5.
    Networks that are not ours are run from the maps on for every choice.

    Parameters
    ----------
    generator : GeneratorNetwork
    maps : Tensor (C, h, w)
        Activations of a layer, counted from 1.
    layer : int
    factors : Tensor (choices, C)
    place : Tensor of bool (h, w), optional
        Positions of the maps that are multiplied; everywhere by default.

    Yields
    ------
    slice
        The choices of a batch.
    Tensor (n, channels, H, W)
        Float32 in [-1, 1] on the CPU.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> model = load("rooms")
    >>> maps = model.activations(model.latents(1, seed=0), 3)[0]
    >>> [images.shape[0] for _, images in draw_choices(model.generator, maps, 3, torch.ones(100, 128))]
    [64, 36]
    """
    scaled = maps if place is None else maps * place.to(maps)
    if not isinstance(generator, Generator) or len(factors) == 1 or _contributed(generator, layer) > MOST_CONTRIBUTIONS:
        for start in range(0, len(factors), AT_ONCE):
            some = factors[start : start + AT_ONCE].to(maps)
            drawn = generator.draw_from(maps - (1 - some)[..., None, None] * scaled, layer)
            yield slice(start, start + len(some)), drawn.cpu()
        return
    contributions = generator.contributions(scaled[None], layer)[0]
    whole = contributions.sum(0) if place is None else generator.contributions(maps[None], layer)[0].sum(0)
    for start in range(0, len(factors), AT_ONCE):
        some = factors[start : start + AT_ONCE].to(whole)
        written = torch.addmm(whole.flatten(), some - 1, contributions.flatten(1))
        drawn = generator.draw_from_sum(written.unflatten(1, whole.shape), layer)
        yield slice(start, start + len(some)), drawn.cpu()


def _contributed(generator: GeneratorNetwork, layer: int) -> int:
    """How many numbers the maps of a layer contribute to the next one."""
    maps, above = generator.numbered_layers[layer - 1 : layer + 1]
    return maps.channels * above.channels * above.size**2
