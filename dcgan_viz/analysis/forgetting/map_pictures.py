"""What single maps of a generator draw: where they are strongest, and the picture with and without them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_viz.analysis.forgetting.ablation import Ablation, draw_with
from dcgan_viz.data.images import to_pixels
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer
from dcgan_viz.results import Result, Settings


class MapPicturesSettings(Settings):
    """How a `MapPictures` was obtained."""

    generator_digest: str
    ranking: str
    samples: int


@dataclass(frozen=True, kw_only=True)
class MapPictures(Result):
    """Samples on which single maps are strongest.

    Parameters
    ----------
    layer : Layer
    maps : tuple of int
    scores : tuple of float
        What the maps were ranked by.
    label : str
        The object that they were ranked for.
    before, after : ndarray of uint8 (maps, top, H, W, C)
        The samples in which each map has its highest mean activation, as drawn and without that map.
    activations : ndarray of float32 (maps, top, h, w)
    """

    settings: MapPicturesSettings
    layer: Layer
    maps: tuple[int, ...]
    scores: tuple[float, ...]
    label: str
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    activations: NDArray[np.float32]

    def sentences(self) -> str:
        """The map that ranks highest."""
        return f"the highest-ranked map for {self.label} is {self.maps[0]}"


def picture_maps(
    model: DCGAN,
    layer: Layer,
    scores: NDArray[np.float64],
    label: str,
    ranking: str,
    *,
    count: int = 12,
    top: int = 3,
    samples: int = 256,
    seed: int = 0,
) -> MapPictures:
    """Draw the samples in which the highest-ranked maps are strongest, with and without each.

    Parameters
    ----------
    model : DCGAN
    layer : Layer
        Of the generator.
    scores : ndarray of float64 (C,)
    label, ranking : str
        For which object and how the maps were ranked.
    count, top : int
        Maps, and samples a map.
    samples, seed : int
        The samples that are looked through.

    Returns
    -------
    MapPictures
    """
    maps = tuple(int(m) for m in np.argsort(-scores, kind="stable")[:count])
    latents = model.latents(samples, seed)
    activations = model.activations(latents, layer.number)[:, list(maps)]
    strongest = activations.mean((2, 3)).topk(min(top, samples), dim=0).indices
    nothing = Ablation(layer, ())
    before, after = [], []
    for k, number in enumerate(maps):
        drawn, without = draw_with(model, [nothing, nothing.of((number,))], latents[strongest[:, k]])
        before.append(to_pixels(drawn))
        after.append(to_pixels(without))
    return MapPictures(
        settings={
            "model": model.card.name,
            "generator_digest": model.generator_digest(),
            "ranking": ranking,
            "samples": samples,
            "seed": seed,
        },
        layer=layer,
        maps=maps,
        scores=tuple(float(scores[m]) for m in maps),
        label=label,
        before=np.stack(before),
        after=np.stack(after),
        activations=torch.stack([activations[strongest[:, k], k] for k in range(len(maps))]).numpy(),
    )
