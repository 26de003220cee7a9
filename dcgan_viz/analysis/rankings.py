"""Ways to rank a generator's maps by how much they have to do with an object."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.ablation import draw_without
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer

Ranking = Literal["regression", "iou", "difference", "causal"]

QUANTILES = np.linspace(0.05, 0.99, 48)
MAPS_AT_ONCE = 16


def rank_maps_by(
    ranking: Ranking,
    model: DCGAN,
    layer: Layer,
    latents: Tensor,
    maps: NDArray[np.float32],
    inside: NDArray[np.bool_],
    inside_pixels: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """A score for each map; the higher, the more it has to do with the object.

    Parameters
    ----------
    ranking : {"iou", "difference", "causal"}
        ``iou``: intersection over union of the boxes with where the map is above a threshold, at its best threshold
        (GAN Dissection, Bau et al. 2018). ``difference``: mean activation inside the boxes minus outside, in standard
        deviations. ``causal``: mean change of a pixel inside the boxes minus outside when this map alone is zeroed, in
        grey levels.
    model : DCGAN
    layer : Layer
    latents : Tensor (N, latent)
        Of the annotated samples that show the object.
    maps : ndarray of float32 (N, C, h, w)
        The layer's activations for them.
    inside : ndarray of bool (N, h, w)
    inside_pixels : ndarray of bool (N, H, W)
        The boxes at the resolution of the maps and of the image.

    Returns
    -------
    ndarray of float64 (C,)

    Raises
    ------
    UserError
        If there is no such ranking.
    """
    if ranking == "iou":
        return np.array([_best_iou(maps[:, m], inside) for m in range(maps.shape[1])])
    if ranking == "difference":
        flat = maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1).astype(np.float64)
        within = inside.ravel()
        spread = np.maximum(flat.std(1), np.finfo(np.float32).tiny)
        return (flat[:, within].mean(1) - flat[:, ~within].mean(1)) / spread
    if ranking == "causal":
        return _causal(model, layer, latents, inside_pixels)
    raise UserError(f"there is no ranking {ranking!r}: choose from {', '.join(get_args(Ranking))}")


def _best_iou(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    best = 0.0
    for threshold in np.unique(np.quantile(values, QUANTILES)):
        active = values > threshold
        best = max(best, float((active & inside).sum() / (active | inside).sum()))
    return best


def _causal(model: DCGAN, layer: Layer, latents: Tensor, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    before = to_pixels(model.generate(latents)).astype(np.float64)
    effects = []
    for start in range(0, layer.channels, MAPS_AT_ONCE):
        # The layers below are computed once for so many maps.
        choices = [[m] for m in range(start, min(start + MAPS_AT_ONCE, layer.channels))]
        for images in draw_without(model, layer, choices, latents):
            change = np.abs(to_pixels(images) - before).mean(-1)
            effects.append(change[inside].mean() - change[~inside].mean())
    return np.array(effects)


def choose_maps(weights: NDArray[np.float64], top: int | None = None) -> tuple[int, ...]:
    """The maps to zero, most telling first: all of positive weight, or the `top` highest.

    Raises
    ------
    UserError
        If `top` is more than there are maps, or no weight is positive.

    Examples
    --------
    >>> choose_maps(np.array([0.5, -1.0, 2.0]))
    (2, 0)
    """
    ranking = np.argsort(-weights, kind="stable")
    if top is not None:
        if not 1 <= top <= len(weights):
            raise UserError(f"--top {top} is out of range: the layer has {len(weights)} maps")
        return tuple(int(m) for m in ranking[:top])
    chosen = tuple(int(m) for m in ranking if weights[m] > 0)
    if not chosen:
        raise UserError("the regression gave no map a positive weight: zero the highest ones with --top K")
    return chosen
