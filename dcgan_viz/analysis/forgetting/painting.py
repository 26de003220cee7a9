"""An object's maps removed or inserted at a place of one sample only, as GANPaint does (Bau et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.forgetting.ablation import Ablation
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import PRESENT_PIXELS, Segmenter, areas, segment
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer


@dataclass(frozen=True)
class Stroke:
    """Some maps zeroed, or raised to a level, at some positions of one sample.

    Parameters
    ----------
    sample : int
        Which of the samples that are drawn.
    maps : tuple of int
    places : ndarray of bool (h, w)
        Positions of the layer.
    levels : ndarray of float32 (C,), optional
        What each map of the layer is raised to, see `strong_levels`; zeroed without.
    """

    sample: int
    maps: tuple[int, ...]
    places: NDArray[np.bool_]
    levels: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class SeenObject:
    """How much of an object a segmenter sees on a few samples, before and after.

    Parameters
    ----------
    object : str
    removed : float, optional
        Share of its pixels that are gone; negative where there are more. None where there were none.
    present_before, present_after : int
        Samples that show it.
    """

    object: str
    removed: float | None
    present_before: int
    present_after: int


@dataclass(frozen=True)
class Preview:
    """A few samples before and after, and what a segmenter sees in them.

    Parameters
    ----------
    before, after : ndarray of uint8 (N, H, W, C)
    seen_before, seen_after : ndarray of uint8 (N, H, W), optional
        The segmenter's labels.
    objects : tuple of SeenObject
        Empty without a segmenter. Of these few samples only: see `measure_effects` for intervals and controls.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    seen_before: NDArray[np.uint8] | None
    seen_after: NDArray[np.uint8] | None
    objects: tuple[SeenObject, ...]


@dataclass(frozen=True)
class Untouched:
    """A few samples as drawn, with what every edit of them begins with.

    Parameters
    ----------
    layer : Layer
        Of the generator.
    maps : Tensor (N, C, h, w)
        Its activations.
    pixels : ndarray of uint8 (N, H, W, C)
    seen : ndarray of uint8 (N, H, W), optional
        A segmenter's labels.
    """

    layer: Layer
    maps: Tensor
    pixels: NDArray[np.uint8]
    seen: NDArray[np.uint8] | None


@torch.no_grad()
def untouched(model: DCGAN, layer: Layer, latents: Tensor, segmenter: Segmenter | None) -> Untouched:
    """Draw a few samples whose maps of a layer will be edited again and again.

    Parameters
    ----------
    model : DCGAN
    layer : Layer
        Of the generator, below the image.
    latents : Tensor (N, latent_dim)
    segmenter : Segmenter, optional
    """
    maps = model.generator.activations(latents, layer.number)
    images = model.generator.draw_from(maps, layer.number).cpu()
    return Untouched(layer, maps, to_pixels(images), None if segmenter is None else segment(segmenter, images))


@torch.no_grad()
def draw_painted(model: DCGAN, ablation: Ablation, strokes: Sequence[Stroke], start: Untouched) -> Tensor:
    """Images (N, channels, H, W) with an ablation everywhere, then strokes in their order.

    Parameters
    ----------
    model : DCGAN
    ablation : Ablation
        Of all samples.
    strokes : sequence of Stroke
    start : Untouched
        Of the ablation's layer.

    Raises
    ------
    UserError
        If a stroke is of a sample, a map or positions that are not there.
    """
    layer = start.layer
    maps = start.maps * ablation.factors[:, None, None].to(start.maps)
    for stroke in strokes:
        if not 0 <= stroke.sample < len(maps):
            raise UserError(f"there are {len(maps)} samples, and none is number {stroke.sample}")
        if stroke.places.shape != (layer.size, layer.size):
            raise UserError(
                f"the maps of layer {layer.number} are {layer.size}x{layer.size}, not {stroke.places.shape}"
            )
        # Checks the maps.
        chosen = list(ablation.of(stroke.maps).maps)
        places = torch.from_numpy(stroke.places).to(maps.device)
        levels = np.zeros(layer.channels, np.float32) if stroke.levels is None else stroke.levels
        raised = torch.from_numpy(levels)[chosen, None, None].to(maps)
        maps[stroke.sample, chosen] = torch.where(places, raised, maps[stroke.sample, chosen])
    return model.generator.draw_from(maps, layer.number).cpu()


def preview(
    model: DCGAN, ablation: Ablation, strokes: Sequence[Stroke], start: Untouched, segmenter: Segmenter | None
) -> Preview:
    """Draw a few samples with maps zeroed or painted, and count what a segmenter sees before and after.

    Parameters
    ----------
    model, ablation, strokes, start
        As in `draw_painted`.
    segmenter : Segmenter, optional
        The one that saw the samples untouched.

    Returns
    -------
    Preview

    Examples
    --------
    >>> from dcgan_viz import load
    >>> from dcgan_viz.analysis.forgetting.ablation import paper_layer
    >>> model = load("rooms")
    >>> start = untouched(model, paper_layer(model), model.latents(2, seed=0), None)
    >>> found = preview(model, Ablation(paper_layer(model), ()), [], start, None)
    >>> bool((found.before == found.after).all())
    True
    """
    images = draw_painted(model, ablation, strokes, start)
    after = to_pixels(images)
    if segmenter is None or start.seen is None:
        return Preview(start.pixels, after, None, None, ())
    seen = segment(segmenter, images)
    covered = [areas(labels, len(segmenter.objects)) for labels in (start.seen, seen)]
    objects = []
    for k, name in enumerate(segmenter.objects):
        first, second = (float(area[:, k].sum()) for area in covered)
        present_before, present_after = (int((area[:, k] >= PRESENT_PIXELS).sum()) for area in covered)
        removed = 1 - second / first if first else None
        objects.append(SeenObject(name, removed, present_before, present_after))
    return Preview(start.pixels, after, start.seen, seen, tuple(objects))
