"""Which images excite a discriminator's feature maps most, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dcgan_viz.analysis.attribution.unit_gradients import Unit
from dcgan_viz.data.images import Images, TensorImages
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.evaluation import evaluation
from dcgan_viz.networks.layers import Layer, find_layer
from dcgan_viz.networks.protocol import DiscriminatorNetwork
from dcgan_viz.networks.receptive_field import Window

FORWARD_BATCH = 64


@dataclass(frozen=True)
class Response:
    """One of the strongest responses of a feature map.

    Parameters
    ----------
    map, rank : int
        Counted from 0; rank 0 is the strongest.
    image : int
        Which of the images.
    row, column : int
        Where in the map.
    value : float
        The activation, after its rectifier.
    window : Window
        The receptive field in the image, clipped at the border.
    """

    map: int
    rank: int
    image: int
    row: int
    column: int
    value: float
    window: Window

    @property
    def unit(self) -> Unit:
        """The unit that responded."""
        return Unit(self.image, self.map, self.row, self.column)


@torch.no_grad()
def strongest_responses(
    discriminator: DiscriminatorNetwork, layer: int, images: Images, maps: Sequence[int], top: int
) -> tuple[Response, ...]:
    """For each map the images that excite it most, each with the position of its strongest unit.

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
        Evaluated with its running statistics.
    layer : int
    images : Images
        Read in batches; memory does not grow with their number.
    maps : sequence of int
    top : int
        Images a map, at most N.

    Returns
    -------
    tuple of Response
        Map by map in the order given, strongest first; ties go to the earlier image.
    """
    field = discriminator.receptive_field(layer)
    chosen = torch.as_tensor(list(maps))
    best = torch.empty(0, len(chosen))
    best_image = torch.empty(0, len(chosen), dtype=torch.int64)
    best_place = torch.empty(0, len(chosen), dtype=torch.int64)
    size = 1
    with evaluation(discriminator):
        for first in range(0, len(images), FORWARD_BATCH):
            activations = discriminator.activations(images.tensor(slice(first, first + FORWARD_BATCH)), layer)
            size = activations.shape[-1]
            values, places = activations[:, chosen].flatten(2).max(2)
            numbers = torch.arange(first, first + len(values))[:, None].expand(-1, len(chosen))
            best = torch.cat([best, values.cpu()])
            best_image, best_place = torch.cat([best_image, numbers]), torch.cat([best_place, places.cpu()])
            order = torch.sort(best, dim=0, descending=True, stable=True).indices[:top]
            best, best_image, best_place = (t.gather(0, order) for t in (best, best_image, best_place))
    responses = []
    for column, number in enumerate(chosen.tolist()):
        for rank in range(len(best)):
            row, place = divmod(int(best_place[rank, column]), size)
            value, image = float(best[rank, column]), int(best_image[rank, column])
            responses.append(Response(number, rank, image, row, place, value, field.window(row, place)))
    return tuple(responses)


@dataclass(frozen=True)
class Question:
    """Which maps of which layer, asked of which images.

    Parameters
    ----------
    layer : Layer
    maps : tuple of int
    images : Images
    """

    layer: Layer
    maps: tuple[int, ...]
    images: Images


def ask(
    model: DCGAN, images: Tensor | Images, layer: int | str | None, maps: Sequence[int] | None, at_least: int = 2
) -> Question:
    """Check what an analysis of a discriminator's maps was asked for.

    Parameters
    ----------
    model : DCGAN
    images : Tensor (N, C, S, S) or Images
    layer : int or str, optional
        Number or name; the last by default, as in the paper.
    maps : sequence of int, optional
        Counted from 0; None for all.
    at_least : int
        Images that are needed.

    Raises
    ------
    UserError
        If the layer or a map does not exist, or the images are too few or of another size.
    """
    layers = model.discriminator_layers
    chosen_layer = layers[-1] if layer is None else find_layer(layers, layer)
    chosen = tuple(range(chosen_layer.channels)) if maps is None else tuple(maps)
    wrong = [m for m in chosen if not 0 <= m < chosen_layer.channels]
    if wrong:
        raise UserError(
            f"layer {chosen_layer.number} has {chosen_layer.channels} maps, numbered from 0 to "
            f"{chosen_layer.channels - 1}: there is no map {wrong[0]}"
        )
    if len(images) < at_least:
        raise UserError(f"too few images ({len(images)}): give at least {at_least}")
    pictures = TensorImages(images) if isinstance(images, Tensor) else images
    shape = tuple(pictures.tensor(slice(1)).shape[1:])
    if shape != model.image_shape:
        raise UserError(f"the images are {shape}, but the model reads {model.image_shape}")
    return Question(chosen_layer, chosen, pictures)


def collect(images: Images, responses: Sequence[Response]) -> tuple[Tensor, list[Unit]]:
    """The images that responded, each once (n, C, S, S), and the units that did, numbered by them."""
    numbers, places = np.unique([response.image for response in responses], return_inverse=True)
    units = [replace(response.unit, image=int(place)) for response, place in zip(responses, places, strict=True)]
    return images.tensor(numbers), units
