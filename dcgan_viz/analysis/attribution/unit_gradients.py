"""Guided gradients of many units of a DCGAN discriminator at once, each computed on its receptive field alone.

No autograd: a unit sees a window of the image, and its backward pass is written out for that window, for all units at
the same position of their maps together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from dcgan_viz.analysis.attribution.backward_step import BackwardStep
from dcgan_viz.analysis.attribution.guided_gradient import Rule, check_rule, guided_gradient
from dcgan_viz.networks.evaluation import evaluation
from dcgan_viz.networks.modules import Discriminator
from dcgan_viz.networks.protocol import DiscriminatorNetwork
from dcgan_viz.networks.receptive_field import Window

Item = TypeVar("Item")

FORWARD_BATCH = 64
UNIT_BATCH = {"cpu": 64, "cuda": 1024, "mps": 256}
"""Units explained together: a CPU's caches want few, a GPU is filled by many."""

FACTOR_BYTES = 2**28
"""Memory for what the rectifiers pass; as many images as fit are explained together."""


@dataclass(frozen=True)
class Unit:
    """One position of one feature map, on one image.

    Parameters
    ----------
    image : int
        Index of the image.
    map : int
        Counted from 0.
    row, column : int
    """

    image: int
    map: int
    row: int
    column: int


@torch.no_grad()
def unit_gradients(
    discriminator: DiscriminatorNetwork, layer: int, images: Tensor, units: Sequence[Unit], rule: Rule = "keep"
) -> Tensor:
    """Guided gradients of many units, each on its receptive field alone where the network allows it.

    One forward pass of the images serves all units. Units at the same position of their map go through the backward
    pass together, clipped at each layer to what they see.

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
        Evaluated with its running statistics, whatever mode it is in. A `Discriminator` has its backward pass written
        out; any other network goes the slower way of `guided_gradient`.
    layer : int
        Counted from 1.
    images : Tensor (N, C, S, S)
        On any device; batches move to the discriminator's.
    units : sequence of Unit
        Positions in feature maps after their rectifier.
    rule : {"keep", "zero"}
        As in `guided_gradient`.

    Returns
    -------
    Tensor (len(units), C, S, S)
        float32 on the CPU; zero outside the receptive field.

    Raises
    ------
    UserError
        If there is no such rule, or the network has rectifiers that the rules are not defined for.

    Examples
    --------
    >>> from dcgan_viz.networks import dcgan
    >>> discriminator = Discriminator(dcgan(16, width=4).discriminator).eval()
    >>> unit_gradients(discriminator, 2, torch.rand(5, 3, 16, 16), [Unit(image=4, map=0, row=1, column=2)]).shape
    torch.Size([1, 3, 16, 16])
    """
    check_rule(rule)
    if not (isinstance(discriminator, Discriminator) and discriminator.spec.plain):
        return _by_autograd(discriminator, layer, images, units, rule)
    gradients = torch.zeros(len(units), *images.shape[1:])
    backward = _Backward(discriminator, layer, rule)
    by_image: dict[int, list[int]] = {}
    for index, unit in enumerate(units):
        by_image.setdefault(unit.image, []).append(index)
    numbers = list(by_image)
    while numbers:
        taken, numbers = numbers[: backward.images_at_once], numbers[backward.images_at_once :]
        factors = backward.factors(images, taken)
        places: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for position, image in enumerate(taken):
            for index in by_image[image]:
                places.setdefault((units[index].row, units[index].column), []).append((index, position))
        for (row, column), members in places.items():
            for chunk in _chunks(members, UNIT_BATCH.get(discriminator.device.type, 64)):
                chosen = [index for index, _ in chunk]
                maps, positions = [units[index].map for index in chosen], [position for _, position in chunk]
                window, values = backward(factors, maps, positions, row, column)
                rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
                gradients[chosen, :, rows, columns] = values.float().cpu()
    return gradients


def _by_autograd(
    network: DiscriminatorNetwork, layer: int, images: Tensor, units: Sequence[Unit], rule: Rule
) -> Tensor:
    """Guided gradients of units of any network, (len(units), C, S, S)."""

    def activations(examples: Tensor, chosen: Sequence[Unit]) -> Tensor:
        maps = network.activations(examples, layer)
        return torch.stack([maps[k, unit.map, unit.row, unit.column] for k, unit in enumerate(chosen)])

    found = [torch.zeros(0, *images.shape[1:])]
    for chosen in _chunks(list(units), FORWARD_BATCH):
        examples = images[[unit.image for unit in chosen]].to(network.device)
        gradient = guided_gradient(network, examples, partial(activations, chosen=chosen), rule)
        found.append(gradient.float().cpu())
    return torch.cat(found)


class _Backward:
    """The backward pass below a layer, with batch normalisation folded into the kernels.

    Channels come last in everything here: matrix products over channels then read memory in one run.
    """

    def __init__(self, discriminator: Discriminator, layer: int, rule: Rule) -> None:
        self.discriminator, self.layer = discriminator, layer
        self.negative_slope = discriminator.spec.negative_slope if rule == "keep" else 0.0
        self.steps = [
            BackwardStep(discriminator.folded_weight(number), *self._geometry(number)) for number in range(1, layer + 1)
        ]
        maps = [c.channels for c in discriminator.spec.convolutions[:layer]]
        sizes = self._sizes()[1:]
        values = sum(c * s * s for c, s in zip(maps, sizes, strict=True))
        self.images_at_once = max(FACTOR_BYTES // (values * self.steps[0].kernel.element_size()), 1)

    def _sizes(self) -> list[int]:
        """Sides of the image and of each layer's maps."""
        return list(self.discriminator.spec.sizes[: self.layer + 1])

    def _geometry(self, number: int) -> tuple[int, int, int]:
        """Stride, padding and the side of what the layer reads."""
        convolution = self.discriminator.spec.convolutions[number - 1]
        return convolution.stride, convolution.padding, self._sizes()[number - 1]

    def factors(self, images: Tensor, chosen: list[int]) -> list[Tensor]:
        """By what the rectifiers multiplied, (n, h, w, C) for each layer: 1 where they were open, otherwise the slope.

        As numbers they take four times the memory of booleans, but a product in place a quarter of the time.
        """
        batches = []
        with evaluation(self.discriminator):
            for numbers in _chunks(chosen, FORWARD_BATCH):
                chosen_images = images[numbers].contiguous(memory_format=torch.channels_last)
                layers = self.discriminator.all_activations(chosen_images, self.layer)
                # The rectifier keeps the sign, so its output tells on which side its input was.
                opened = [maps.permute(0, 2, 3, 1) > 0 for maps in layers]
                batches.append(
                    [torch.where(o, 1.0, self.negative_slope).to(m) for o, m in zip(opened, layers, strict=True)]
                )
        return [torch.cat(factors) for factors in zip(*batches, strict=True)]

    def __call__(
        self, factors: list[Tensor], maps: list[int], images: list[int], row: int, column: int
    ) -> tuple[Window, Tensor]:
        """Guided gradients of the units of some maps at one position: a window of the image, (n, C, h, w) there."""
        window, gradient = self.steps[-1].of_units(maps, row, column)
        # A copy: below, the gradient is changed in place.
        gradient = gradient * factors[-1][images, row, column, maps][:, None, None, None]
        for number in range(self.layer - 1, 0, -1):
            passed = factors[number - 1][images, window.top : window.bottom, window.left : window.right]
            gradient.clamp_(min=0).mul_(passed)
            window, gradient = self.steps[number - 1](window, gradient)
        return window, gradient.permute(0, 3, 1, 2)


def _chunks(items: list[Item], size: int) -> Iterator[list[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
