"""What an ablation did: to the object, to every other object, and to the rest of the picture, over new samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.forgetting.ablation import draw_scaled
from dcgan_viz.analysis.latent.similarity import local_similarity
from dcgan_viz.analysis.memorization.image_vectors import quarter_features
from dcgan_viz.data.images import to_pixels
from dcgan_viz.judges.segmenter import PRESENT_PIXELS, Segmenter, areas, segment
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer
from dcgan_viz.statistics import Estimate, Seed, bootstrap_estimate, estimate_of, resampled_means, share_estimate

DIMMED = "pixels dimmed alike"
"""The control that needs no maps."""

PAPER = "the paper's rule"

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
    removed : Estimate
        Share of its pixels that are gone over all samples; negative where there are more than before.
    present_before, present_after : Estimate
        Share of the samples that show it.
    """

    object: str
    area_before: float
    area_after: float
    removed: Estimate
    present_before: Estimate
    present_after: Estimate


@dataclass(frozen=True)
class Effect:
    """What one choice of maps did.

    Parameters
    ----------
    choice : str
        ``chosen maps``, ``random maps`` or ``activation-matched maps``, whose controls are other maps for every sample;
        ``the paper's rule``, all maps of positive weight, where others were chosen; ``pixels dimmed alike``: no maps, but
        the objects' regions and the rest of each picture as drawn, moved by the mean change of their channels that the
        chosen maps cause.
    maps : int
        How many are scaled down; 0 for the pixels.
    objects : tuple of ObjectEffect
        Every object that the segmenter knows.
    similarity_outside : Estimate
        SSIM of luminance outside the forgotten objects' regions, 1 where nothing changed.
    feature_distance : Estimate
        Distance in the discriminator's features of the pictures before and after, the objects' regions left as they
        were, over the mean distance of unrelated samples: 0 where nothing changed, 1 another picture.
    margin : Estimate
        Share of the forgotten objects' pixels that the chosen maps removed beyond this choice, paired over
        samples; 0 for themselves.
    replaced : tuple of tuple of float
        What stands where each thing was: a row for the background and each object before, a column for each after, as
        shares of the row; all 0 for what was not there.
    """

    choice: str
    maps: int
    objects: tuple[ObjectEffect, ...]
    similarity_outside: Estimate
    feature_distance: Estimate
    margin: Estimate
    replaced: tuple[tuple[float, ...], ...]

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
    places: Tensor | None = None,
    seed: Seed = 0,
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
    latents : Tensor (N, latent_dim)
    places : Tensor of bool (N, h, w), optional
        As in `draw_scaled`.
    seed : int
        Of the bootstrap.

    Returns
    -------
    tuple of Effect
        One for each choice, and one of the pixels dimmed alike.
    """
    counts = {name: int((factor.reshape(-1, layer.channels)[0] != 1).sum()) for name, factor in choices.items()}
    counts[DIMMED] = 0
    seen = _look(model, layer, list(choices.values()), segmenter, forgotten, latents, places)
    index = [segmenter.objects.index(name) for name in forgotten]
    means, replicates = seen.area.mean(0), resampled_means(seen.area, seed=seed)
    gone = 1 - _ratio(means[1:, index].sum(-1), means[0, index].sum(-1))
    gone_replicates = 1 - _ratio(replicates[:, 1:, index].sum(-1), replicates[:, :1, index].sum(-1))
    return tuple(
        Effect(
            choice=name,
            maps=count,
            objects=tuple(
                _object_effect(label, seen.area[:, [0, k + 1], o], replicates[:, [0, k + 1], o])
                for o, label in enumerate(segmenter.objects)
            ),
            similarity_outside=bootstrap_estimate(seen.similarity[k], seed=seed),
            feature_distance=bootstrap_estimate(seen.distance[k], seed=seed),
            margin=estimate_of(float(gone[0] - gone[k]), gone_replicates[:, 0] - gone_replicates[:, k], len(latents)),
            replaced=tuple(map(tuple, seen.replaced[k].tolist())),
        )
        for k, (name, count) in enumerate(counts.items())
    )


@dataclass(frozen=True)
class _Seen:
    """What a segmenter and the discriminator saw of new samples: each choice of maps, then the pixels dimmed alike.

    Parameters
    ----------
    area : ndarray of float64 (N, 1 + choices, objects)
        Share of each picture that an object covers, as drawn first.
    similarity, distance : ndarray of float64 (choices, N)
        As in `Effect`.
    replaced : ndarray of float64 (choices, 1 + objects, 1 + objects)
        As in `Effect`.
    """

    area: NDArray[np.float64]
    similarity: NDArray[np.float64]
    distance: NDArray[np.float64]
    replaced: NDArray[np.float64]


def _look(
    model: DCGAN,
    layer: Layer,
    choices: Sequence[Tensor],
    segmenter: Segmenter,
    forgotten: Sequence[str],
    latents: Tensor,
    places: Tensor | None,
) -> _Seen:
    """Draw the samples with every choice of maps, and read the pictures."""
    objects, labels = len(segmenter.objects), [segmenter.label(name) for name in forgotten]
    ways = len(choices) + 1
    area, similar = np.empty((len(latents), 1 + ways, objects)), np.empty((ways, len(latents)))
    moved = np.zeros((ways, objects + 1, objects + 1))
    features, distant = [], []
    factors = [torch.ones(layer.channels), *choices]
    for batch, (before, *after) in draw_scaled(model, layer, factors, latents, places):
        found = segment(segmenter, before)
        region = _grown(np.isin(found, labels))
        features.append(quarter_features(model.discriminator, before))
        area[batch, 0] = areas(found, objects)
        moved_in_features = []
        for k, images in enumerate([*after, dimmed_alike(before, after[0], region)]):
            labelled = segment(segmenter, images)
            area[batch, k + 1] = areas(labelled, objects)
            np.add.at(moved[k], (found.ravel(), labelled.ravel()), 1)
            similar[k, batch] = _similarity_outside(to_pixels(before), to_pixels(images), region)
            elsewhere = torch.where(torch.from_numpy(region)[:, None], before, images)
            moved_in_features.append((quarter_features(model.discriminator, elsewhere) - features[-1]).norm(dim=1))
        distant.append(torch.stack(moved_in_features))
    unchanged = torch.cat(features)
    # The first half of the samples against the second: pairs that have nothing to do with each other.
    half = len(unchanged) // 2
    unrelated = float((unchanged[:half] - unchanged[half : 2 * half]).norm(dim=1).mean()) if half else float("nan")
    return _Seen(
        area,
        similar,
        (torch.cat(distant, dim=1) / unrelated).double().numpy(),
        moved / np.maximum(moved.sum(2, keepdims=True), 1),
    )


def _object_effect(name: str, area: NDArray[np.float64], replicates: NDArray[np.float64]) -> ObjectEffect:
    """The effect on one object from its area (N, 2) before and after, and from resampled means (resamples, 2) of it."""
    before, after = area.mean(0)
    present = (area >= PRESENT_PIXELS).sum(0)
    return ObjectEffect(
        object=name,
        area_before=float(before),
        area_after=float(after),
        removed=estimate_of(
            float(1 - _ratio(after, before)), 1 - _ratio(replicates[:, 1], replicates[:, 0]), len(area)
        ),
        present_before=share_estimate(int(present[0]), len(area)),
        present_after=share_estimate(int(present[1]), len(area)),
    )


def dimmed_alike(before: Tensor, after: Tensor, region: NDArray[np.bool_]) -> Tensor:
    """Pictures (n, C, H, W) of which region and rest are moved by the mean change of each channel there, and no more.

    Examples
    --------
    >>> before, after = torch.zeros(1, 1, 1, 4), torch.tensor([[[[0.4, 0.0, 0.3, 0.1]]]])
    >>> dimmed_alike(before, after, np.array([[[True, True, False, False]]])).flatten().tolist()
    [0.20000000298023224, 0.20000000298023224, 0.20000000298023224, 0.20000000298023224]
    """
    inside = torch.from_numpy(region)[:, None].to(before)
    change, moved = after - before, before.clone()
    for part in (inside, 1 - inside):
        size = part.sum((2, 3), keepdim=True).clamp(min=1)
        moved += part * ((change * part).sum((2, 3), keepdim=True) / size)
    return moved.clamp(-1, 1)


def _ratio(after: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """After over before; not a number where there was nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(before > 0, after / before, np.nan)


def _grown(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Regions (N, H, W) with a margin around them."""
    grown = functional.max_pool2d(torch.from_numpy(region).float(), 2 * MARGIN + 1, 1, MARGIN)
    return grown.bool().numpy()


def _similarity_outside(
    before: NDArray[np.uint8], after: NDArray[np.uint8], region: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """SSIM (Wang et al. 2004) of luminance, averaged over what lies outside the region of each picture."""
    outside = ~region
    local = local_similarity(before.mean(-1), after.mean(-1))
    sums, pixels = (local * outside).sum((1, 2)), outside.sum((1, 2))
    return np.where(pixels > 0, sums / np.maximum(pixels, 1), 1.0)
