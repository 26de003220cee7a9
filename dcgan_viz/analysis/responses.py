"""Which images excite a discriminator's feature maps most, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dcgan_viz.analysis.guided_gradient import evaluation
from dcgan_viz.analysis.receptive_field import Window, receptive_field
from dcgan_viz.analysis.unit_gradients import Unit
from dcgan_viz.data.images import Images
from dcgan_viz.networks.modules import Discriminator

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
    discriminator: Discriminator, layer: int, images: Images, maps: Sequence[int], top: int
) -> tuple[Response, ...]:
    """For each map the images that excite it most, each with the position of its strongest unit.

    Parameters
    ----------
    discriminator : Discriminator
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
    field = receptive_field(discriminator.spec, layer)
    chosen = torch.as_tensor(list(maps))
    best = torch.empty(0, len(chosen))
    best_image = torch.empty(0, len(chosen), dtype=torch.int64)
    best_place = torch.empty(0, len(chosen), dtype=torch.int64)
    size = 1
    with evaluation(discriminator):
        for first in range(0, len(images), FORWARD_BATCH):
            activations = images.tensor(slice(first, first + FORWARD_BATCH)).to(discriminator.head.weight)
            for module in discriminator.layers[:layer]:
                activations = module(activations)
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
