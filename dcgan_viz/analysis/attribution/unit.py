"""Guided backpropagation of one unit that somebody names, on one picture: no ranking chooses anything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.attribution.guided_gradient import Rule
from dcgan_viz.analysis.attribution.randomisation import randomised
from dcgan_viz.analysis.attribution.responses import ask
from dcgan_viz.analysis.attribution.unit_gradients import Unit, unit_gradients
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.layers import Layer
from dcgan_viz.networks.receptive_field import Window
from dcgan_viz.results import Result, Settings
from dcgan_viz.statistics import stream

COMPARED_SAMPLES = 128
"""Samples of the model whose units the named one is compared with, and on which random filters are calibrated."""

_COMPARED = 1


class UnitSettings(Settings):
    """How an `ExplainedUnit` was obtained."""

    image: str
    rule: Rule
    compared_samples: int
    random_filters: str


@dataclass(frozen=True, kw_only=True)
class ExplainedUnit(Result):
    """The guided gradient of one unit of the discriminator on one picture, beside that of random filters.

    Parameters
    ----------
    layer : Layer
    map, row, column : int
        Counted from 0.
    activation : float
        Of the unit on the picture, after its rectifier.
    percentile : float
        Share of this map's units on samples of the model that respond less, in percent.
    window : Window
        What the unit sees of the picture, clipped at the border.
    picture : ndarray of uint8 (S, S, C)
    gradient, random_gradient : ndarray of float32 (C, S, S)
        Of the trained filters, and of the same unit where all filters are drawn anew; zero outside the window.
    """

    settings: UnitSettings
    layer: Layer
    map: int
    row: int
    column: int
    activation: float
    percentile: float
    window: Window
    picture: NDArray[np.uint8]
    gradient: NDArray[np.float32]
    random_gradient: NDArray[np.float32]

    def sentences(self) -> str:
        """How strongly the unit responds."""
        return (
            f"map {self.map} of layer {self.layer.number} responds with {self.activation:.3f} at row {self.row}, column "
            f"{self.column}: more than {self.percentile:.1f} % of its units on {COMPARED_SAMPLES} samples of the model"
        )


@torch.no_grad()
def explain_unit(
    model: DCGAN,
    image: Tensor,
    unit: tuple[int, int, int],
    *,
    layer: int | str | None = None,
    rule: Rule = "keep",
    seed: int = 0,
    source: str = "a picture",
) -> ExplainedUnit:
    """The guided gradient of one unit on one picture.

    Parameters
    ----------
    model : DCGAN
    image : Tensor (C, S, S)
        In [-1, 1].
    unit : tuple of int
        Map, row and column, counted from 0.
    layer : int or str, optional
        Number or name of a discriminator layer; the last by default.
    rule : {"keep", "zero"}
        As in `guided_gradient`.
    seed : int
        Of the random filters, and of the samples that the unit is compared with.
    source : str
        What the picture is, for the caption.

    Returns
    -------
    ExplainedUnit

    Raises
    ------
    UserError
        If there is no such layer, map or position, or the picture has another size.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> model = load("rooms")
    >>> explain_unit(model, model.sample(1)[0], (7, 2, 3)).gradient.shape
    (3, 64, 64)
    """
    number, row, column = unit
    question = ask(model, image[None], layer, [number], at_least=1)
    chosen = question.layer
    if not (0 <= row < chosen.size and 0 <= column < chosen.size):
        raise UserError(
            f"the maps of layer {chosen.number} are {chosen.size}x{chosen.size}: there is no row {row}, column {column}; "
            f"both count from 0 to {chosen.size - 1}"
        )
    network = model.discriminator
    samples = model.sample(COMPARED_SAMPLES, stream(seed, _COMPARED))
    others = torch.cat(
        [network.activations(batch, chosen.number)[:, number].cpu() for batch in samples.split(SAMPLE_BATCH)]
    )
    activation = float(network.activations(image[None], chosen.number)[0, number, row, column])
    random = randomised(network, range(1, len(model.discriminator_layers) + 1), samples, seed)
    named = [Unit(0, number, row, column)]
    return ExplainedUnit(
        settings={
            "model": model.card.name,
            "image": source,
            "rule": rule,
            "seed": seed,
            "compared_samples": COMPARED_SAMPLES,
            "random_filters": "all layers drawn anew, batch-norm statistics measured on the compared samples",
        },
        layer=chosen,
        map=number,
        row=row,
        column=column,
        activation=activation,
        percentile=float(100 * (others < activation).double().mean()),
        window=network.receptive_field(chosen.number).window(row, column),
        picture=to_pixels(image[None])[0],
        gradient=unit_gradients(network, chosen.number, image[None], named, rule)[0].numpy(),
        random_gradient=unit_gradients(random, chosen.number, image[None], named, rule)[0].numpy(),
    )
