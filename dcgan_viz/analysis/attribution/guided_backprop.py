"""Guided backpropagation over a discriminator's feature maps: the paper's Figure 5, for any layer and any images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.attribution.guided_gradient import Rule
from dcgan_viz.analysis.attribution.randomisation import randomised
from dcgan_viz.analysis.attribution.responses import Question, Response, ask, collect, strongest_responses
from dcgan_viz.analysis.attribution.unit_gradients import unit_gradients
from dcgan_viz.data.images import Images, spread_over, to_pixels
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer
from dcgan_viz.networks.protocol import DiscriminatorNetwork
from dcgan_viz.results import Result, Settings
from dcgan_viz.words import counted


class GuidedBackpropSettings(Settings):
    """How a `GuidedBackprop` was obtained."""

    images: str
    image_count: int
    rule: Rule
    random_filters: str


@dataclass(frozen=True, kw_only=True)
class GuidedBackprop(Result):
    """What excites a layer's maps, and the guided gradient of these responses; the same for random filters.

    Parameters
    ----------
    layer : Layer
    maps : tuple of int
    top : int
        Responses a map.
    receptive_field : int
        Side in pixels, unclipped.
    responses, random_responses : tuple of Response
        Of the trained filters and of random ones, map by map, strongest first.
    gradients, random_gradients : ndarray of float32 (maps, top, C, S, S)
        Guided gradients, zero outside the receptive fields.
    pictures, random_pictures : ndarray of uint8 (maps, top, S, S, C)
        The images that were responded to.
    """

    settings: GuidedBackpropSettings
    layer: Layer
    maps: tuple[int, ...]
    top: int
    receptive_field: int
    responses: tuple[Response, ...]
    random_responses: tuple[Response, ...]
    gradients: NDArray[np.float32]
    random_gradients: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    random_pictures: NDArray[np.uint8]

    def sentences(self) -> str:
        """What was looked through, and which map responds most strongly."""
        strongest = max(self.responses, key=lambda response: response.value)
        return (
            f"{len(self.maps)} of {counted(self.layer.channels, 'map')} of layer {self.layer.number}, "
            f"{self.settings['image_count']} {self.settings['images']}; map {strongest.map} responds most strongly "
            f"({strongest.value:.2f})"
        )


def guided_backprop(
    model: DCGAN,
    images: Tensor | Images,
    *,
    layer: int | str | None = None,
    maps: Sequence[int] | None = tuple(range(6)),
    top: int = 4,
    rule: Rule = "keep",
    seed: int = 0,
    source: str = "images",
) -> GuidedBackprop:
    """Guided backpropagation over a discriminator's feature maps (Radford et al. 2015, section 6.2 and Figure 5).

    Parameters
    ----------
    model : DCGAN
    images : Tensor (N, C, S, S) or Images
        In [-1, 1]: photographs, or samples of the model. An `ImageSet` or `Samples` is read in batches, any number
        in bounded memory.
    layer : int or str, optional
        Number or name of a discriminator layer; the last by default, as in the paper.
    maps : sequence of int, optional
        Which maps, counted from 0; None for all.
    top : int
        Images a map.
    rule : {"keep", "zero"}
        What LeakyReLU does below zero; see `guided_gradient`.
    seed : int
        Of the random filters.
    source : str
        What the images are, for the caption.

    Returns
    -------
    GuidedBackprop

    Raises
    ------
    UserError
        If the layer or a map does not exist, or there are fewer images than `top`.
    """
    question = ask(model, images, layer, maps, at_least=max(top, 2))
    calibration = spread_over(question.images)
    random = randomised(model.discriminator, range(1, len(model.discriminator_layers) + 1), calibration, seed)
    responses, gradients, shown = _explain(model.discriminator, question, top, rule)
    random_responses, random_gradients, random_shown = _explain(random, question, top, rule)
    return GuidedBackprop(
        settings={
            "model": model.card.name,
            "images": source,
            "image_count": len(question.images),
            "rule": rule,
            "seed": seed,
            "random_filters": (
                f"all layers drawn anew, batch-norm statistics measured on {len(calibration)} of the same images"
            ),
        },
        layer=question.layer,
        maps=question.maps,
        top=top,
        receptive_field=model.discriminator.receptive_field(question.layer.number).size,
        responses=responses,
        random_responses=random_responses,
        gradients=gradients,
        random_gradients=random_gradients,
        pictures=shown,
        random_pictures=random_shown,
    )


def _explain(
    discriminator: DiscriminatorNetwork, question: Question, top: int, rule: Rule
) -> tuple[tuple[Response, ...], NDArray[np.float32], NDArray[np.uint8]]:
    number, maps = question.layer.number, question.maps
    responses = strongest_responses(discriminator, number, question.images, maps, top)
    needed, units = collect(question.images, responses)
    gradients = unit_gradients(discriminator, number, needed, units, rule).numpy()
    pictures = to_pixels(needed)[[unit.image for unit in units]]
    return (
        responses,
        gradients.reshape(len(maps), top, *gradients.shape[1:]),
        pictures.reshape(len(maps), top, *pictures.shape[1:]),
    )
