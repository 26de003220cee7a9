"""The causal sign of maps: raised at a place, do they draw the object there? Bau et al. 2018 asked so first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.forgetting.evidence import Evidence
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter, segment
from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.layers import Layer
from dcgan_viz.results import Result, Settings
from dcgan_viz.statistics import Estimate, bootstrap_estimate, stream

_PLACES, _BOOTSTRAP = 1, 2


class InsertionSettings(Settings):
    """How an `Insertion` was obtained."""

    generator_digest: str
    samples: int
    place: str
    level: str


@dataclass(frozen=True, kw_only=True)
class Insertion(Result):
    """What raising maps at one place of every sample draws there.

    Parameters
    ----------
    object : str
    layer : Layer
    maps : tuple of int
        The object's.
    inserted, ablated : Estimate
        Share of the place that the object covers when the maps are raised there, and when they are zeroed there.
    effect, control_effect : Estimate
        Average causal effect: inserted minus ablated, paired over samples, for the maps and for as many random ones,
        others for every sample.
    patch, white_patch : Estimate
        Share of the place that the object covers when a plain patch is painted there instead: of the mean colour that the
        raised maps give it, and white.
    beyond_patch : Estimate
        Inserted minus the patch of the same colour, paired over samples: what is more than a patch of colour.
    measured_by : str
        Which segmenter, and whether it had a part in the choice of the maps.
    before, after, control, painted, places : ndarray
        Pictures (n, H, W, C) as drawn, with the maps raised, with the random ones raised and with the patch of the same
        colour, uint8, and the place in each, bool (n, H, W).
    """

    settings: InsertionSettings
    object: str
    layer: Layer
    maps: tuple[int, ...]
    inserted: Estimate
    ablated: Estimate
    effect: Estimate
    control_effect: Estimate
    patch: Estimate
    white_patch: Estimate
    beyond_patch: Estimate
    measured_by: str
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    control: NDArray[np.uint8]
    painted: NDArray[np.uint8]
    places: NDArray[np.bool_]

    def sentences(self) -> str:
        """The causal effect, beside that of random maps."""
        return (
            f"raised at a place, the maps draw {self.object} on {self.inserted:.1%} of it, zeroed on {self.ablated:.1%}: "
            f"causal effect {self.effect:+.1%}, of random maps {self.control_effect:+.1%}\n"
            f"a plain patch of the same mean colour is {self.object} on {self.patch:.1%} of it, a white one on "
            f"{self.white_patch:.1%}; beyond the patch of the same colour the maps draw {self.beyond_patch:+.1%} (by "
            f"{self.measured_by})"
        )


def _fitting(layer: Layer, side: int | None) -> int:
    """The side of a square that fits into a layer's maps: a quarter of theirs by default."""
    side = max(layer.size // 4, 1) if side is None else side
    if not 1 <= side <= layer.size:
        raise UserError(f"a square of {side} positions does not fit into maps of {layer.size}x{layer.size}")
    return side


def _squares(size: int, side: int, count: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """A square at a random place in each of so many maps (count, size, size)."""
    corners = random.integers(0, size - side + 1, (count, 2))
    grid = np.arange(size)
    rows = (grid >= corners[:, :1]) & (grid < corners[:, :1] + side)
    columns = (grid >= corners[:, 1:]) & (grid < corners[:, 1:] + side)
    return rows[:, :, None] & columns[:, None, :]


def levels_inside(maps: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mean activation (C,) of maps (N, C, h, w) where the object is: what insertion raises them to."""
    levels: NDArray[np.float32] = maps.transpose(1, 0, 2, 3)[:, inside].mean(1)
    return levels


STRONG = 0.9
"""The quantile of a map's activations where the object is that draws it best without being more than it ever is there."""


def strong_levels(maps: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Activation (C,) of maps (N, C, h, w) that is exceeded at a tenth of the object's positions only.

    The mean is small where a map tells one part of an object: raised to it, hardly anything is seen.

    Examples
    --------
    >>> maps = np.arange(100, dtype=np.float32).reshape(1, 1, 10, 10)
    >>> strong_levels(maps, np.ones((1, 10, 10), bool)).round(1)
    array([89.1], dtype=float32)
    """
    levels: NDArray[np.float32] = np.quantile(maps.transpose(1, 0, 2, 3)[:, inside], STRONG, axis=1)
    return levels.astype(np.float32)


@torch.no_grad()
def insert(
    evidence: Evidence,
    maps: Sequence[int],
    *,
    levels: NDArray[np.float32] | None = None,
    side: int | None = None,
    samples: int = 1000,
    shown: int = 12,
    judge: Segmenter | None = None,
    seed: int = 0,
) -> Insertion:
    """Raise maps in a square at a random place of every sample, and count the object there.

    The average causal effect is the share of the place that the object covers with the maps raised to their usual
    level on the object, less the share with them zeroed there; places where the object is already count too, since
    both pictures are forced.

    Parameters
    ----------
    evidence : Evidence
        Of the object, with a segmenter; `forget` returns it.
    maps : sequence of int
    levels : ndarray of float32 (C,), optional
        What the maps are raised to; by default their mean where the object is, see `levels_inside`.
    side : int, optional
        Of the square, in positions of the layer; a quarter of its side by default.
    samples, shown : int
        New samples, and how many of them to keep as pictures.
    judge : Segmenter, optional
        Measures instead of the segmenter of the evidence, which may have chosen the maps.
    seed : int
        Of the samples, the places, the random maps and the bootstrap.

    Returns
    -------
    Insertion

    Raises
    ------
    UserError
        If the square does not fit, there are no maps, or no segmenter.
    """
    model, layer, label = evidence.model, evidence.layer, evidence.label
    segmenter = evidence.reading_segmenter() if judge is None else judge
    levels = levels_inside(evidence.maps, evidence.inside) if levels is None else levels
    side = _fitting(layer, side)
    if not maps:
        raise UserError("there are no maps to raise: choose at least one")
    random = np.random.default_rng(stream(seed, _PLACES))
    chosen = np.zeros((samples, layer.channels), bool)
    chosen[:, list(maps)] = True
    # Other maps for every sample: the interval then also covers which ones chance picked.
    control = random.permuted(chosen, axis=1)
    places = _squares(layer.size, side, samples, random)
    scale = model.image_shape[1] // layer.size
    above = places.repeat(scale, 1).repeat(scale, 2)
    latents, wanted = model.latents(samples, seed), segmenter.label(label)
    covered: list[list[NDArray[np.float64]]] = []
    pictures: list[list[NDArray[np.uint8]]] = []
    for start in range(0, samples, SAMPLE_BATCH):
        batch = slice(start, start + SAMPLE_BATCH)
        below = model.generator.activations(latents[batch], layer.number)
        untouched, drawn = _draw_in_turn(
            model, layer, below, places[batch], above[batch], (chosen[batch], control[batch]), levels
        )
        covered.append([_share_covered(segment(segmenter, images) == wanted, above[batch]) for images in drawn])
        if start < shown:
            pictures.append(
                [to_pixels(images[: shown - start]) for images in (untouched, drawn[0], drawn[2], drawn[4])]
            )
    inserted, ablated, control_inserted, control_ablated, patch, white = map(np.concatenate, zip(*covered, strict=True))
    before, after, control_shown, painted = map(np.concatenate, zip(*pictures, strict=True))

    def mean(values: NDArray[np.float64]) -> Estimate:
        return bootstrap_estimate(values, seed=stream(seed, _BOOTSTRAP))

    return Insertion(
        settings={
            "model": model.card.name,
            "generator_digest": model.generator_digest(),
            "seed": seed,
            "samples": samples,
            "place": f"a square of {side}x{side} positions at random",
            "level": "mean activation inside the boxes",
        },
        object=label,
        layer=layer,
        maps=tuple(maps),
        inserted=mean(inserted),
        ablated=mean(ablated),
        effect=mean(inserted - ablated),
        control_effect=mean(control_inserted - control_ablated),
        patch=mean(patch),
        white_patch=mean(white),
        beyond_patch=mean(inserted - patch),
        measured_by="the segmenter of the evidence" if judge is None else "a judge that had no part in the choice",
        before=before,
        after=after,
        control=control_shown,
        painted=painted,
        places=above[:shown],
    )


def paint(pictures: Tensor, like: Tensor, places: NDArray[np.bool_]) -> Tensor:
    """Pictures (n, C, H, W) with the place of each filled by the mean colour that other pictures have there.

    Examples
    --------
    >>> like = torch.tensor([[[[1.0, 0.0, 0.5]]]])
    >>> paint(torch.zeros(1, 1, 1, 3), like, np.array([[[True, True, False]]])).flatten().tolist()
    [0.5, 0.5, 0.0]
    """
    where = torch.from_numpy(places)[:, None].to(pictures)
    colour = (like * where).sum((2, 3), keepdim=True) / where.sum((2, 3), keepdim=True)
    return pictures * (1 - where) + colour * where


def _draw_in_turn(
    model: DCGAN,
    layer: Layer,
    below: Tensor,
    places: NDArray[np.bool_],
    above: NDArray[np.bool_],
    choices: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    levels: NDArray[np.float32],
) -> tuple[Tensor, list[Tensor]]:
    """A batch as it is; and with the chosen and the random maps raised and zeroed, the place painted alike and white."""
    drawn = [
        _draw_forced(model, layer, below, places, choice, raised)
        for choice in choices
        for raised in (levels, np.zeros_like(levels))
    ]
    untouched = _draw_forced(model, layer, below, places, np.zeros_like(choices[0]), levels)
    alike = paint(untouched, drawn[0], above)
    return untouched, [*drawn, alike, paint(untouched, torch.ones_like(untouched), above)]


def _draw_forced(
    model: DCGAN,
    layer: Layer,
    below: Tensor,
    places: NDArray[np.bool_],
    forced: NDArray[np.bool_],
    levels: NDArray[np.float32],
) -> Tensor:
    """Images (n, C, H, W) with the forced maps (n, maps) set to a level at the places (n, h, w)."""
    where = torch.from_numpy(places[:, None] & forced[:, :, None, None]).to(below.device)
    raised = torch.from_numpy(levels).to(below.device, below.dtype)[:, None, None]
    return model.generator.draw_from(torch.where(where, raised, below), layer.number).cpu()


def _share_covered(found: NDArray[np.bool_], places: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How much of each place (N, H, W) is covered by what was found."""
    shares: NDArray[np.float64] = (found & places).sum((1, 2)) / places.sum((1, 2))
    return shares
