"""What the maps of a layer are chosen by: annotated samples that show an object, and where it is in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.forgetting.draws import write_sums
from dcgan_viz.analysis.forgetting.logistic import Logistic
from dcgan_viz.analysis.forgetting.probe import Negatives, Positions, Probe, fit_all, fit_probe, gather_positions
from dcgan_viz.analysis.forgetting.probe_baselines import ProbeBaselines, fit_baselines
from dcgan_viz.annotations.boxes import Annotations, inside_boxes
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.layers import Layer
from dcgan_viz.statistics import Seed, stream

NEGATIVES = 1
"""The stream of random numbers of a seed for all that the regression draws."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Annotated samples that show an object, with the activations of a layer.

    Parameters
    ----------
    model : DCGAN
    layer : Layer
        Of the generator.
    label : str
        The object.
    numbers : ndarray of int64 (N,)
        Which of the annotated samples show the object.
    latents : Tensor (N, latent_dim)
        Of these.
    maps : ndarray of float32 (N, C, h, w)
        The layer's activations for them.
    written : Tensor (N, C above, h above, w above), optional
        What the next layer's convolution writes of the maps (`write_sums`); None of a network that is not ours, and
        of a part.
    pictures : ndarray of uint8 (N, H, W, channels)
        The samples themselves.
    inside : ndarray of bool (N, h, w)
    inside_pixels : ndarray of bool (N, H, W)
        The boxes at the resolution of the maps and of the image.
    luminance : ndarray of float32 (N, h, w)
        Of the picture above each position of the maps.
    boxes : int
    segmenter : Segmenter, optional
        Finds the object in pictures, where it knows it.
    negatives : {"random", "matched"}
    regularization : float
        As in `fit_probe`.
    seed : int or sequence of int
        Of the regression, and of whatever else a ranking draws.
    start : Logistic, optional
        Of which samples these are a part: their regression, from which this one is not far.
    """

    model: DCGAN
    layer: Layer
    label: str
    numbers: NDArray[np.int64]
    latents: Tensor
    maps: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    inside: NDArray[np.bool_]
    inside_pixels: NDArray[np.bool_]
    luminance: NDArray[np.float32]
    written: Tensor | None = None
    boxes: int = 0
    segmenter: Segmenter | None = None
    negatives: Negatives = "random"
    regularization: float = 1.0
    seed: Seed = 0
    start: Logistic | None = None

    @cached_property
    def positions(self) -> Positions:
        """The examples of the regression."""
        matching = self.luminance if self.negatives == "matched" else None
        return gather_positions(self.maps, self.inside, stream(self.seed, NEGATIVES), matching)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The weights (C,) of the paper's regression."""
        return self.regression.weights

    @cached_property
    def regression(self) -> Logistic:
        """The paper's regression on all examples."""
        return fit_all(self.positions, self.regularization, self.start)

    @cached_property
    def probe(self) -> Probe:
        """The paper's regression, tested on images that it has not seen."""
        return fit_probe(self.positions, self.regularization, stream(self.seed, NEGATIVES))

    @cached_property
    def baselines(self) -> ProbeBaselines:
        """What the regression finds without the maps, and in boxes that are around nothing."""
        return fit_baselines(
            self.maps,
            self.inside,
            self.luminance,
            match=self.negatives == "matched",
            regularization=self.regularization,
            seed=stream(self.seed, NEGATIVES),
            probe=self.probe,
        )

    def reading_segmenter(self) -> Segmenter:
        """The segmenter.

        Raises
        ------
        UserError
            If there is none that knows the object.
        """
        if self.segmenter is None:
            raise UserError(f"this needs a segmenter that knows {self.label}: give one")
        return self.segmenter

    def part(self, images: NDArray[np.bool_] | NDArray[np.int64], seed: Seed) -> Evidence:
        """The evidence of some of the images alone, with another seed."""
        return replace(
            self,
            numbers=self.numbers[images],
            latents=self.latents[torch.from_numpy(images)],
            maps=self.maps[images],
            written=None,
            pictures=self.pictures[images],
            inside=self.inside[images],
            inside_pixels=self.inside_pixels[images],
            luminance=self.luminance[images],
            seed=seed,
            start=self.regression,
        )


def gather_evidence(
    model: DCGAN,
    layer: Layer,
    annotations: Annotations,
    label: str,
    *,
    negatives: Negatives = "random",
    regularization: float = 1.0,
    segmenter: Segmenter | None = None,
    seed: Seed = 0,
) -> Evidence:
    """Draw the annotated samples that show an object, and read a layer's maps; the parameters are those of `forget`.

    Raises
    ------
    UserError
        If the boxes belong to other weights, or there are none of the object.
    """
    annotations.check_belongs_to(model)
    boxes = annotations.of(label)
    pixels = inside_boxes(boxes, annotations.count, annotations.size, annotations.size)
    shows = pixels.any((1, 2))
    latents = model.latents(annotations.count, annotations.seed)[torch.from_numpy(shows)]
    maps = model.activations(latents, layer.number)
    written, images = _drawn(model, maps, layer.number)
    return Evidence(
        model=model,
        layer=layer,
        label=label,
        numbers=np.flatnonzero(shows),
        latents=latents,
        maps=maps.numpy(),
        written=written,
        pictures=to_pixels(images),
        inside=inside_boxes(boxes, annotations.count, annotations.size, layer.size)[shows],
        inside_pixels=pixels[shows],
        luminance=functional.adaptive_avg_pool2d(images.mean(1, keepdim=True), layer.size)[:, 0].numpy(),
        boxes=len(boxes),
        segmenter=segmenter if segmenter is not None and label in segmenter.objects else None,
        negatives=negatives,
        regularization=regularization,
        seed=seed,
    )


def _drawn(model: DCGAN, maps: Tensor, layer: int) -> tuple[Tensor | None, Tensor]:
    """What the convolution above a layer writes of its maps, where the network is ours, and the pictures."""
    written = [write_sums(model.generator, part, layer) for part in maps.split(SAMPLE_BATCH)]
    known = [sums.cpu() for sums in written if sums is not None]
    if not known:
        return None, model.draw_from(maps, layer)
    return torch.cat(known), model.draw_from_sum(torch.cat(known), layer)
