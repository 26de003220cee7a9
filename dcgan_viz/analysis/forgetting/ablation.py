"""Zeroing feature maps of a generator, and how much that changes its pictures, where and where not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.layers import Layer
from dcgan_viz.statistics import Interval, bootstrap_interval


def second_highest_layer(model: DCGAN) -> Layer:
    """The layer of the paper's experiment: the second highest hidden convolution, 16x16 in 64x64 networks.

    Its 200 positive maps do not fit the 128 maps of the highest one at 32x32.
    """
    layers = model.generator_layers
    return layers[max(len(layers) - 3, 0)]


def scaled(channels: int, maps: Sequence[int], strength: float = 1.0) -> Tensor:
    """The factors (channels,) that multiply some maps by 1 - strength and leave the others.

    Examples
    --------
    >>> scaled(4, [1, 3])
    tensor([1., 0., 1., 0.])
    """
    factors = torch.ones(channels)
    factors[list(maps)] = 1 - strength
    return factors


@torch.no_grad()
def draw_scaled(
    model: DCGAN, layer: Layer, factors: Sequence[Tensor], latents: Tensor, where: Tensor | None = None
) -> Iterator[tuple[slice, list[Tensor]]]:
    """Images drawn with the maps of a layer multiplied by factors, after their rectifier, a batch at a time.

    The layers below are computed once for all factors.

    Parameters
    ----------
    model : DCGAN
    layer : Layer
        Of the generator.
    factors : sequence of Tensor (C,) or (N, C)
        One a map, or one a map and sample.
    latents : Tensor (N, latent)
    where : Tensor of bool (N, h, w), optional
        Positions of the maps that are multiplied; everywhere by default.

    Yields
    ------
    slice
        The samples of the batch.
    list of Tensor (n, channels, H, W)
        One for each of the factors, float32 in [-1, 1] on the CPU.
    """
    for start in range(0, len(latents), SAMPLE_BATCH):
        batch = slice(start, start + SAMPLE_BATCH)
        below = model.generator.activations(latents[batch], layer.number)
        drawn = []
        for factor in factors:
            chosen = (factor if factor.ndim == 1 else factor[batch])[..., None, None].to(below.device)
            if where is not None:
                chosen = torch.where(where[batch, None].to(below.device), chosen, 1.0)
            drawn.append(model.generator.draw_from(below * chosen, layer.number).cpu())
        yield batch, drawn


def draw_without(
    model: DCGAN,
    layer: Layer,
    choices: Sequence[Sequence[int]],
    latents: Tensor,
    strength: float = 1.0,
    where: Tensor | None = None,
) -> list[Tensor]:
    """Images drawn with some maps of a layer zeroed after their rectifier.

    Parameters
    ----------
    model : DCGAN
    layer : Layer
        Of the generator.
    choices : sequence of sequences of int
        Which maps to zero; an empty one draws the image as it is.
    latents : Tensor (N, latent)
    strength : float
        The maps are multiplied by 1 - strength.
    where : Tensor of bool (N, h, w), optional
        Positions of the maps that are zeroed; everywhere by default, as in the paper.

    Returns
    -------
    list of Tensor (N, channels, H, W)
        One for each choice, float32 in [-1, 1] on the CPU.
    """
    factors = [scaled(layer.channels, choice, strength) for choice in choices]
    batches = [drawn for _, drawn in draw_scaled(model, layer, factors, latents, where)]
    return [torch.cat(images) for images in zip(*batches, strict=True)]


def without_maps(model: DCGAN, layer: Layer, maps: Sequence[int], strength: float = 1.0) -> DCGAN:
    """A model whose generator draws without some maps, as `draw_without` does: every other analysis can be run on it.

    Parameters
    ----------
    model : DCGAN
        Left as it is.
    layer : Layer
        Of the generator, below the image.
    maps : sequence of int
    strength : float
        As in `draw_without`.

    Returns
    -------
    DCGAN
        Its card says what was done.
    """
    generator = model.generator.with_scaled_maps(layer.number, scaled(layer.channels, maps, strength))
    done = f"{len(maps)} maps of generator layer {layer.number} multiplied by {1 - strength:g}"
    card = replace(
        model.card,
        name=f"{model.card.name}-edited",
        summary=f"{model.card.summary}; {done}",
        weaknesses=(*model.card.weaknesses, f"Edited: {done} ({', '.join(map(str, sorted(maps)))})."),
    )
    return DCGAN(generator, model.discriminator, card)


@dataclass(frozen=True, kw_only=True)
class Change:
    """How much an ablation changes annotated samples, inside the object's boxes and outside.

    Parameters
    ----------
    inside, outside : float
        Mean absolute change of a pixel, in 8-bit grey levels, averaged over images.
    inside_interval, outside_interval : Interval
        95 %, from resampling images.
    brightness_inside, brightness_outside : float
        Mean signed change in grey levels: what is merely darkened shows here.
    """

    inside: float
    inside_interval: Interval
    outside: float
    outside_interval: Interval
    brightness_inside: float
    brightness_outside: float

    @property
    def ratio(self) -> float:
        """Change inside over change outside: 1 is no locality at all."""
        return self.inside / self.outside


def measure_change(
    before: NDArray[np.uint8], after: NDArray[np.uint8], inside: NDArray[np.bool_], seed: int = 0
) -> Change:
    """How much pictures changed inside boxes and outside.

    Parameters
    ----------
    before, after : ndarray of uint8 (N, H, W, channels)
    inside : ndarray of bool (N, H, W)
        With pixels inside and outside in every picture.
    seed : int
        Of the bootstrap over pictures.
    """
    signed = after.astype(np.float64).mean(-1) - before.astype(np.float64).mean(-1)
    absolute = np.abs(after.astype(np.float64) - before.astype(np.float64)).mean(-1)

    def averages(values: NDArray[np.float64], where: NDArray[np.bool_]) -> NDArray[np.float64]:
        return (values * where).sum((1, 2)) / where.sum((1, 2))

    within, without = averages(absolute, inside), averages(absolute, ~inside)
    return Change(
        inside=float(within.mean()),
        inside_interval=bootstrap_interval(within, seed=seed),
        outside=float(without.mean()),
        outside_interval=bootstrap_interval(without, seed=seed),
        brightness_inside=float(averages(signed, inside).mean()),
        brightness_outside=float(averages(signed, ~inside).mean()),
    )
