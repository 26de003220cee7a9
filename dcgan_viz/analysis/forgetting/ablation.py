"""Zeroing feature maps of a generator: which, how far and where, and the pictures that are drawn without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.forgetting.draws import draw_scaled_maps, write_sums
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, segment
from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.layers import Layer, find_layer
from dcgan_viz.words import counted

Where = Literal["everywhere", "object"]


@dataclass(frozen=True)
class Ablation:
    """Which maps of a generator's layer are scaled down, how far, and where.

    Parameters
    ----------
    layer : Layer
        Of the generator, below the image.
    maps : tuple of int
        Counted from 0; none leaves the picture as it is.
    strength : float
        The maps are multiplied by 1 - strength after their rectifier: 1 zeroes them, as in the paper.
    where : {"everywhere", "object"}
        Everywhere, as in the paper, or only where the object is, see `object_places`.

    Raises
    ------
    UserError
        If the layer has no such map, or the strength is not in (0, 1].

    Examples
    --------
    >>> from dcgan_viz import load
    >>> model = load("bedrooms")
    >>> windows = Ablation(paper_layer(model), (3, 17))
    >>> before, after = draw_with(model, [windows.of(()), windows], model.latents(2, seed=0))
    >>> after.shape, str(windows)
    (torch.Size([2, 3, 64, 64]), '2 maps of generator layer 3 zeroed everywhere')
    """

    layer: Layer
    maps: tuple[int, ...]
    strength: float = 1.0
    where: Where = "everywhere"

    def __post_init__(self) -> None:
        wrong = [m for m in self.maps if not 0 <= m < self.layer.channels]
        if wrong:
            raise UserError(
                f"layer {self.layer.number} has maps 0 to {self.layer.channels - 1}: there is no {wrong[0]}"
            )
        if not 0 < self.strength <= 1:
            raise UserError(f"a strength of {self.strength} is out of range: choose above 0, at most 1")
        if self.where not in get_args(Where):
            raise UserError(f"maps cannot be zeroed {self.where!r}: choose everywhere or object")

    def __str__(self) -> str:
        return f"{counted(len(self.maps), 'map')} of generator layer {self.layer.number} {self.done}"

    @property
    def done(self) -> str:
        """What happens to the maps, in words."""
        how = "zeroed" if self.strength == 1 else f"multiplied by {1 - self.strength:g}"
        return f"{how} {'everywhere' if self.where == 'everywhere' else 'where the object is'}"

    @property
    def factors(self) -> Tensor:
        """By what each map of the layer (channels,) is multiplied."""
        return scaled(self.layer.channels, self.maps, self.strength)

    def of(self, maps: Sequence[int]) -> Ablation:
        """The same of other maps."""
        return replace(self, maps=tuple(int(m) for m in maps))


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


def paper_layer(model: DCGAN) -> Layer:
    """The layer of the paper's experiment: the second highest hidden convolution, 16x16 in 64x64 networks.

    Its 200 positive maps do not fit the 128 maps of the highest one at 32x32.
    """
    layers = model.generator_layers
    return layers[max(len(layers) - 3, 0)]


def choose_layer(model: DCGAN, layer: int | str | None) -> Layer:
    """A generator layer with maps to zero, by number or name; the paper's by default.

    Raises
    ------
    UserError
        If there is no such layer, or it draws the image itself.
    """
    chosen = paper_layer(model) if layer is None else find_layer(model.generator_layers, layer)
    if chosen.number == len(model.generator_layers):
        raise UserError(f"layer {chosen.number} is the image itself: choose a layer below it")
    return chosen


@torch.no_grad()
def draw_scaled(
    model: DCGAN, layer: Layer, factors: Sequence[Tensor], latents: Tensor, places: Tensor | None = None
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
    latents : Tensor (N, latent_dim)
    places : Tensor of bool (N, h, w), optional
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
        written = write_sums(model.generator, below, layer.number)
        where = None if places is None else places[batch]
        drawn = [
            draw_scaled_maps(model.generator, below, written, layer.number, f if f.ndim == 1 else f[batch], where)
            for f in factors
        ]
        yield batch, drawn


def draw_with(
    model: DCGAN, ablations: Sequence[Ablation], latents: Tensor, places: Tensor | None = None
) -> list[Tensor]:
    """Images drawn with each of several ablations of one layer.

    Parameters
    ----------
    model : DCGAN
    ablations : sequence of Ablation
    latents : Tensor (N, latent_dim)
    places : Tensor of bool (N, h, w), optional
        Where the object is, for ablations there alone.

    Returns
    -------
    list of Tensor (N, channels, H, W)
        One for each ablation, float32 in [-1, 1] on the CPU.

    Raises
    ------
    UserError
        If the ablations differ in layer or place, or places are missing.
    """
    first = ablations[0]
    if any((a.layer, a.where) != (first.layer, first.where) for a in ablations):
        raise UserError("ablations are drawn together if they are of one layer and at one place")
    if first.where == "object" and places is None:
        raise UserError("an ablation where the object is needs the places: see object_places")
    factors = [ablation.factors for ablation in ablations]
    where = places if first.where == "object" else None
    batches = [drawn for _, drawn in draw_scaled(model, first.layer, factors, latents, where)]
    return [torch.cat(images) for images in zip(*batches, strict=True)]


def edited(model: DCGAN, ablation: Ablation) -> DCGAN:
    """A model that draws with an ablation: every other analysis can be run on it.

    Parameters
    ----------
    model : DCGAN
        Left as it is.
    ablation : Ablation
        Everywhere.

    Returns
    -------
    DCGAN
        Its card says what was done.

    Raises
    ------
    UserError
        If the ablation is not everywhere: weights know no places.
    """
    if ablation.where != "everywhere":
        raise UserError("a model that has forgotten draws without the maps everywhere: leave out where='object'")
    generator = model.generator.with_scaled_maps(ablation.layer.number, ablation.factors)
    card = replace(
        model.card,
        name=f"{model.card.name}-edited",
        summary=f"{model.card.summary}; {ablation}",
        weaknesses=(
            *model.card.weaknesses,
            f"Edited: {ablation} ({', '.join(map(str, sorted(ablation.maps)))}).",
        ),
    )
    return DCGAN(generator, model.discriminator, card)


def object_places(model: DCGAN, segmenter: Segmenter, labels: Sequence[str], latents: Tensor, layer: Layer) -> Tensor:
    """Positions (N, h, w) of a layer above which a segmenter sees one of the objects, and those beside them."""
    found = np.isin(segment(segmenter, model.generate(latents)), [segmenter.label(label) for label in labels])
    scale = found.shape[1] // layer.size
    seen = found.reshape(len(found), layer.size, scale, layer.size, scale).any((2, 4))
    return functional.max_pool2d(torch.from_numpy(seen).float(), 3, 1, padding=1) > 0
