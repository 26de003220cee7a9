"""One sample drawn with many choices of its maps scaled, fast: the next convolution is linear in them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from dcgan_viz.networks.modules import Generator
from dcgan_viz.networks.protocol import GeneratorNetwork

AT_ONCE = 32
"""Choices that are drawn together: more of them fall out of the processor's cache."""

SUMS_AT_ONCE = 128
"""Choices of which one product writes the sums: the fewer, the more often all that the maps contribute is read."""

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
    [32, 32, 32, 4]
    """
    scaled = maps if place is None else maps * place.to(maps)
    if not isinstance(generator, Generator) or len(factors) == 1 or _contributed(generator, layer) > MOST_CONTRIBUTIONS:
        for start in range(0, len(factors), AT_ONCE):
            some = factors[start : start + AT_ONCE].to(maps)
            drawn = generator.draw_from(maps - (1 - some)[..., None, None] * scaled, layer)
            yield slice(start, start + len(some)), drawn.cpu()
        return
    contributions = generator.contributions(scaled[None], layer)[0]
    whole = contributions.sum(0) if place is None else generator.write_sum(maps[None], layer)[0]
    for start in range(0, len(factors), SUMS_AT_ONCE):
        lost = _product(factors[start : start + SUMS_AT_ONCE].to(whole) - 1, contributions.flatten(1))
        for first in range(0, len(lost), AT_ONCE):
            written = lost[first : first + AT_ONCE].add_(whole.flatten())
            drawn = generator.draw_from_sum(written.unflatten(1, whole.shape), layer)
            yield slice(start + first, start + first + len(drawn)), drawn.cpu()


def _product(rows: Tensor, matrix: Tensor) -> Tensor:
    """A matrix product: on AMD's processors NumPy's library takes half as long for it as torch's."""
    if rows.device.type == "cpu":
        return torch.from_numpy(rows.numpy() @ matrix.numpy())
    return rows @ matrix


@torch.no_grad()
def write_sums(generator: GeneratorNetwork, maps: Tensor, layer: int) -> Tensor | None:
    """What the convolution above a layer writes of its maps (N, C, h, w), for `draw_scaled_maps`; None if it is not ours."""
    return generator.write_sum(maps, layer) if isinstance(generator, Generator) else None


@torch.no_grad()
def draw_scaled_maps(
    generator: GeneratorNetwork,
    maps: Tensor,
    written: Tensor | None,
    layer: int,
    factors: Tensor,
    places: Tensor | None = None,
) -> Tensor:
    """Images of samples with their maps multiplied by factors.

    Where the factors are the same for all samples, what is lost is taken from what the next convolution writes of the maps
    as they are, so that few maps take little.

    Parameters
    ----------
    generator : GeneratorNetwork
    maps : Tensor (N, C, h, w)
        Activations of a layer, counted from 1.
    written : Tensor (N, C above, h above, w above), optional
        From `write_sums` of these.
    layer : int
    factors : Tensor (C,) or (N, C)
    places : Tensor of bool (N, h, w), optional
        Positions of the maps that are multiplied; everywhere by default.

    Returns
    -------
    Tensor (N, channels, H, W)
        Float32 in [-1, 1] on the CPU.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> generator, latents = load("rooms").generator, load("rooms").latents(1, seed=0)
    >>> maps, kept = generator.activations(latents, 3), torch.ones(128).index_fill(0, torch.arange(5), 0.0)
    >>> drawn = draw_scaled_maps(generator, maps, write_sums(generator, maps, 3), 3, kept)
    >>> torch.allclose(drawn, generator.draw_from(maps * kept[:, None, None], 3), atol=1e-4)
    True
    """
    where = None if places is None else places[:, None].to(maps.device)
    if written is None or factors.ndim > 1 or not isinstance(generator, Generator):
        chosen = factors[..., None, None].to(maps)
        scaled = maps * (chosen if where is None else torch.where(where, chosen, 1.0))
        return generator.draw_from(scaled, layer).cpu()
    which = torch.nonzero(factors != 1).flatten().to(maps.device)
    if not len(which):
        return generator.draw_from_sum(written, layer).cpu()
    lost = maps[:, which] * (1 - factors.to(maps)[which])[:, None, None]
    taken = generator.write_sum(lost if where is None else lost * where, layer, which)
    return generator.draw_from_sum(written.to(taken) - taken, layer).cpu()


def _contributed(generator: GeneratorNetwork, layer: int) -> int:
    """How many numbers the maps of a layer contribute to the next one."""
    maps, above = generator.numbered_layers[layer - 1 : layer + 1]
    return maps.channels * above.channels * above.size**2
