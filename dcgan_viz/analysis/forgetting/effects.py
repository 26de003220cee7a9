"""What an ablation did: to the object, to every other object, and to the rest of the picture, over new samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from skimage.metrics import structural_similarity
from torch import Tensor

from dcgan_viz.analysis.forgetting.ablation import draw_scaled
from dcgan_viz.analysis.memorization.memorization import feature_vectors
from dcgan_viz.data.images import to_pixels
from dcgan_viz.judges.segmenter import PRESENT_PIXELS, Segmenter, areas, segment
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer
from dcgan_viz.statistics import Interval, bootstrap_interval, middle, resampled_means

MARGIN = 2
"""Pixels around an object that count as its region: its frame and what the deconvolutions smear."""


@dataclass(frozen=True)
class ObjectEffect:
    """What an ablation did to one object, by a segmenter.

    Parameters
    ----------
    object : str
    area_before, area_after : float
        Mean share of a picture that it covers.
    removed : float
        Share of its pixels that are gone over all samples; negative where there are more than before.
    removed_interval : Interval
        95 %, from resampling samples.
    present_before, present_after : float
        Share of the samples that show it.
    present_before_interval, present_after_interval : Interval
    """

    object: str
    area_before: float
    area_after: float
    removed: float
    removed_interval: Interval
    present_before: float
    present_before_interval: Interval
    present_after: float
    present_after_interval: Interval


@dataclass(frozen=True)
class Effect:
    """What one choice of maps did.

    Parameters
    ----------
    choice : str
        ``chosen maps``, ``random maps`` or ``activation-matched maps``; the controls are other maps for every sample.
    objects : tuple of ObjectEffect
        Every object that the segmenter knows.
    similarity_outside : float
        SSIM of luminance outside the forgotten objects' regions, 1 where nothing changed.
    similarity_outside_interval : Interval
    feature_distance : float
        Distance in the discriminator's features of the pictures before and after, the objects' regions left as they
        were, over the mean distance of unrelated samples: 0 where nothing changed, 1 another picture.
    feature_distance_interval : Interval
    margin : float
        Share of the forgotten objects' pixels that the chosen maps removed beyond this choice; 0 for themselves.
    margin_interval : Interval
        Paired over samples.
    """

    choice: str
    objects: tuple[ObjectEffect, ...]
    similarity_outside: float
    similarity_outside_interval: Interval
    feature_distance: float
    feature_distance_interval: Interval
    margin: float
    margin_interval: Interval

    def on(self, name: str) -> ObjectEffect:
        """The effect on one object."""
        return next(effect for effect in self.objects if effect.object == name)


def measure_effects(
    model: DCGAN,
    layer: Layer,
    choices: Mapping[str, Tensor],
    segmenter: Segmenter,
    forgotten: Sequence[str],
    latents: Tensor,
    *,
    where: Tensor | None = None,
    seed: int = 0,
) -> tuple[Effect, ...]:
    """Measure what choices of maps do to new samples.

    Parameters
    ----------
    model : DCGAN
    layer : Layer
        Of the generator.
    choices : mapping of str to Tensor (C,) or (N, C)
        Factors of the maps, as in `draw_scaled`; the first is compared with each.
    segmenter : Segmenter
    forgotten : sequence of str
        Objects that were to go.
    latents : Tensor (N, latent)
    where : Tensor of bool (N, h, w), optional
        As in `draw_scaled`.
    seed : int
        Of the bootstrap.

    Returns
    -------
    tuple of Effect
        One for each choice.
    """
    objects = len(segmenter.objects)
    labels = [segmenter.label(name) for name in forgotten]
    covered: list[list[NDArray[np.float64]]] = [[] for _ in range(len(choices) + 1)]
    similar: list[list[NDArray[np.float64]]] = [[] for _ in choices]
    distant: list[list[Tensor]] = [[] for _ in choices]
    features: list[Tensor] = []
    factors = [torch.ones(layer.channels), *choices.values()]
    for _, (before, *after) in draw_scaled(model, layer, factors, latents, where):
        found = segment(segmenter, before)
        region = _grown(np.isin(found, labels))
        features.append(feature_vectors(model.discriminator, before))
        covered[0].append(areas(found, objects))
        for k, images in enumerate(after):
            covered[k + 1].append(areas(segment(segmenter, images), objects))
            similar[k].append(_similarity_outside(to_pixels(before), to_pixels(images), region))
            elsewhere = torch.where(torch.from_numpy(region)[:, None], before, images)
            distant[k].append(feature_vectors(model.discriminator, elsewhere))
    area = np.stack([np.concatenate(batches) for batches in covered], axis=1)
    unchanged = torch.cat(features)
    # The first half of the samples against the second: pairs that have nothing to do with each other.
    half = len(unchanged) // 2
    unrelated = float((unchanged[:half] - unchanged[half : 2 * half]).norm(dim=1).mean()) if half else float("nan")
    means, replicates = area.mean(0), resampled_means(area, seed=seed)
    present = (area >= PRESENT_PIXELS).astype(np.float64)
    shares, present_replicates = present.mean(0), resampled_means(present, seed=seed)
    index = [label - 1 for label in labels]
    gone = 1 - _ratio(means[1:, index].sum(-1), means[0, index].sum(-1))
    gone_replicates = 1 - _ratio(replicates[:, 1:, index].sum(-1), replicates[:, :1, index].sum(-1))
    effects = []
    for k, name in enumerate(choices):
        found_effects = tuple(
            ObjectEffect(
                object=label,
                area_before=float(means[0, o]),
                area_after=float(means[k + 1, o]),
                removed=float(1 - _ratio(means[k + 1, o], means[0, o])),
                removed_interval=middle(1 - _ratio(replicates[:, k + 1, o], replicates[:, 0, o])),
                present_before=float(shares[0, o]),
                present_before_interval=middle(present_replicates[:, 0, o]),
                present_after=float(shares[k + 1, o]),
                present_after_interval=middle(present_replicates[:, k + 1, o]),
            )
            for o, label in enumerate(segmenter.objects)
        )
        outside = np.concatenate(similar[k])
        distance = ((torch.cat(distant[k]) - unchanged).norm(dim=1) / unrelated).double().numpy()
        effects.append(
            Effect(
                choice=name,
                objects=found_effects,
                similarity_outside=float(outside.mean()),
                similarity_outside_interval=bootstrap_interval(outside, seed=seed),
                feature_distance=float(distance.mean()),
                feature_distance_interval=bootstrap_interval(distance, seed=seed),
                margin=float(gone[0] - gone[k]),
                margin_interval=middle(gone_replicates[:, 0] - gone_replicates[:, k]),
            )
        )
    return tuple(effects)


def _ratio(after: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """After over before; not a number where there was nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(before > 0, after / before, np.nan)


def _grown(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Regions (N, H, W) with a margin around them."""
    square = np.ones((1, 2 * MARGIN + 1, 2 * MARGIN + 1), bool)
    grown: NDArray[np.bool_] = binary_dilation(region, square)
    return grown


def _similarity_outside(
    before: NDArray[np.uint8], after: NDArray[np.uint8], region: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """SSIM (Wang et al. 2004) of luminance, averaged over what lies outside the region of each picture."""
    similarities = np.ones(len(before))
    for k, (a, b, inside) in enumerate(zip(before.mean(-1), after.mean(-1), region, strict=True)):
        if not inside.all():
            _, local = structural_similarity(a, b, data_range=255, full=True)
            similarities[k] = local[~inside].mean()
    return similarities
