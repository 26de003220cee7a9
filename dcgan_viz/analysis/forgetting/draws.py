"""Samples drawn with many choices of their maps scaled, fast: the next convolution is linear in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
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
    generator: GeneratorNetwork, maps: Tensor, layer: int, factors: Tensor, places: Tensor | None = None
) -> Iterator[tuple[int, slice, Tensor]]:
    """Images of samples with their maps multiplied by one choice of factors after the other.

    What every map adds to the next layer's convolution is computed once; then every choice is a row of a matrix product,
    where the convolution itself would take four times as many multiplications with 4x4 kernels, and six with 5x5.
    Networks that are not ours are run from the maps on for every choice.

    Parameters
    ----------
    generator : GeneratorNetwork
    maps : Tensor (N, C, h, w)
        Activations of a layer, counted from 1.
    layer : int
    factors : Tensor (choices, C)
    places : Tensor of bool (N, h, w), optional
        Positions of the maps that are multiplied; everywhere by default.

    Yields
    ------
    int
        The sample.
    slice
        The choices of a batch.
    Tensor (n, channels, H, W)
        Float32 in [-1, 1] on the CPU.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> model = load("rooms")
    >>> maps = model.activations(model.latents(1, seed=0), 3)
    >>> [images.shape[0] for _, _, images in draw_choices(model.generator, maps, 3, torch.ones(100, 128))]
    [32, 32, 32, 4]
    """
    contributions: Tensor | None = None
    lost: Tensor | None = None
    for index, sample in enumerate(maps):
        scaled = sample if places is None else sample * places[index].to(sample)
        if (
            not isinstance(generator, Generator)
            or len(factors) == 1
            or _contributed(generator, layer) > MOST_CONTRIBUTIONS
        ):
            for start in range(0, len(factors), AT_ONCE):
                some = factors[start : start + AT_ONCE].to(sample)
                drawn = generator.draw_from(sample - (1 - some)[..., None, None] * scaled, layer)
                yield index, slice(start, start + len(some)), drawn.cpu()
            continue
        # The memory of the last sample: taking it anew would take longer than filling it.
        contributions = generator.contributions(scaled[None], layer, contributions)
        whole = generator.write_sum(sample[None], layer)[0]
        for start in range(0, len(factors), SUMS_AT_ONCE):
            lost = _product(factors[start : start + SUMS_AT_ONCE].to(whole) - 1, contributions[0].flatten(1), lost)
            for first in range(0, len(lost), AT_ONCE):
                written = lost[first : first + AT_ONCE].add_(whole.flatten())
                drawn = generator.draw_from_sum(written.unflatten(1, whole.shape), layer)
                yield index, slice(start + first, start + first + len(drawn)), drawn.cpu()


def _product(rows: Tensor, matrix: Tensor, out: Tensor | None) -> Tensor:
    """A matrix product, in the memory of a former one if it fits there.

    On AMD's processors NumPy's library takes half as long for it as torch's.
    """
    if out is None or len(out) < len(rows):
        out = rows.new_empty(len(rows), matrix.shape[1])
    product = out[: len(rows)]
    if rows.device.type == "cpu":
        np.matmul(rows.numpy(), matrix.numpy(), out=product.numpy())
        return product
    return torch.matmul(rows, matrix, out=product)


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
    before: Tensor | None = None,
) -> Tensor:
    """Images of samples with their maps multiplied by factors.

    Where the factors are the same for all samples, what is lost is taken from what the next convolution writes of the maps
    as they are, or multiplied by like factors, so that few maps take little.

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
    before : Tensor (C,), optional
        By what the maps were multiplied there when `written` was written; by 1 by default.

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
    if written is None or factors.ndim > 1 or not isinstance(generator, Generator):
        chosen = factors[..., None, None].to(maps)
        where = None if places is None else places[:, None].to(maps.device)
        scaled = maps * (chosen if where is None else torch.where(where, chosen, 1.0))
        return generator.draw_from(scaled, layer).cpu()
    unscaled = torch.ones_like(factors)
    sums = rewrite_sums(generator, maps, written, layer, unscaled if before is None else before, factors, places)
    return torch.cat([generator.draw_from_sum(part, layer).cpu() for part in sums.split(AT_ONCE)])


@torch.no_grad()
def rewrite_sums(
    generator: GeneratorNetwork,
    maps: Tensor,
    written: Tensor,
    layer: int,
    before: Tensor,
    after: Tensor,
    places: Tensor | None = None,
) -> Tensor:
    """What the convolution above a layer writes of maps that are multiplied by other factors than when it wrote.

    Parameters
    ----------
    generator : GeneratorNetwork
        One of this package's own, whose next convolution is known: no other has sums.
    maps : Tensor (N, C, h, w)
        Activations of a layer, counted from 1.
    written : Tensor (N, C above, h above, w above)
        What the convolution wrote of the maps multiplied by `before`.
    layer : int
    before, after : Tensor (C,)
    places : Tensor of bool (N, h, w), optional
        Positions of the maps that are multiplied; everywhere by default.

    Returns
    -------
    Tensor (N, C above, h above, w above)
        On the device of the generator.
    """
    which = torch.nonzero(after != before).flatten().to(maps.device)
    if not len(which):
        return written
    lost = maps[:, which] * (before - after).to(maps)[which][:, None, None]
    taken = cast(Generator, generator).write_sum(
        lost if places is None else lost * places[:, None].to(lost), layer, which
    )
    return written.to(taken) - taken


def _contributed(generator: GeneratorNetwork, layer: int) -> int:
    """How many numbers the maps of a layer contribute to the next one."""
    maps, above = generator.numbered_layers[layer - 1 : layer + 1]
    return maps.channels * above.channels * above.size**2
