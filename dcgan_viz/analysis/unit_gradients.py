"""Guided gradients of many units of a DCGAN discriminator at once, each computed on its receptive field alone.

No autograd: a unit sees a window of the image, and its backward pass is written out as fractionally-strided
convolutions of that window, for all units at the same position of their maps together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.guided_gradient import Rule, check_rule, evaluation
from dcgan_viz.analysis.receptive_field import Window
from dcgan_viz.networks.modules import Discriminator

Item = TypeVar("Item")

FORWARD_BATCH = 64
UNIT_BATCH = {"cpu": 64, "cuda": 1024, "mps": 256}
"""Units explained together: a CPU's caches want few, a GPU is filled by many."""

FEW_CHANNELS = 4
"""At most so many channels of an image are led back to by one matrix product instead of a convolution."""

MASK_BYTES = 2**28
"""Memory for which rectifiers were open; as many images as fit are explained together."""


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
    discriminator: Discriminator, layer: int, images: Tensor, units: Sequence[Unit], rule: Rule = "keep"
) -> Tensor:
    """Guided gradients of many units, each computed on its receptive field alone.

    One forward pass of the images serves all units. Units at the same position of their map go through the backward
    pass together, clipped at each layer to what they see.

    Parameters
    ----------
    discriminator : Discriminator
        Evaluated with its running statistics, whatever mode it is in.
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
        If there is no such rule.

    Examples
    --------
    >>> from dcgan_viz.networks import dcgan
    >>> discriminator = Discriminator(dcgan(16, width=4).discriminator).eval()
    >>> unit_gradients(discriminator, 2, torch.rand(5, 3, 16, 16), [Unit(image=4, map=0, row=1, column=2)]).shape
    torch.Size([1, 3, 16, 16])
    """
    check_rule(rule)
    gradients = torch.zeros(len(units), *images.shape[1:])
    backward = _Backward(discriminator, layer, rule)
    by_image: dict[int, list[int]] = {}
    for index, unit in enumerate(units):
        by_image.setdefault(unit.image, []).append(index)
    numbers = list(by_image)
    while numbers:
        taken, numbers = numbers[: backward.images_at_once], numbers[backward.images_at_once :]
        opened = backward.opened(images, taken)
        places: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for position, image in enumerate(taken):
            for index in by_image[image]:
                places.setdefault((units[index].row, units[index].column), []).append((index, position))
        for (row, column), members in places.items():
            for chunk in _chunks(members, UNIT_BATCH.get(discriminator.head.weight.device.type, 64)):
                chosen = [index for index, _ in chunk]
                maps, positions = [units[index].map for index in chosen], [position for _, position in chunk]
                window, values = backward(opened, maps, positions, row, column)
                rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
                gradients[chosen, :, rows, columns] = values.float().cpu()
    return gradients


class _Backward:
    """The backward pass below a layer, with batch normalisation folded into the kernels."""

    def __init__(self, discriminator: Discriminator, layer: int, rule: Rule) -> None:
        self.discriminator, self.layer = discriminator, layer
        self.slope = discriminator.spec.slope if rule == "keep" else 0.0
        # Channels-last is what the convolution kernels of CPUs and GPUs run fastest on.
        self.kernels = [
            self._kernel(number).contiguous(memory_format=torch.channels_last) for number in range(1, layer + 1)
        ]
        maps = [c.channels for c in discriminator.spec.convolutions[:layer]]
        sizes = self._sizes()[1:]
        self.images_at_once = max(MASK_BYTES // sum(c * s * s for c, s in zip(maps, sizes, strict=True)), 1)

    def _sizes(self) -> list[int]:
        """Sides of the image and of each layer's maps."""
        sizes = [self.discriminator.spec.image_size]
        for convolution in self.discriminator.spec.convolutions[: self.layer]:
            sizes.append(sizes[-1] // convolution.stride)
        return sizes

    def _kernel(self, number: int) -> Tensor:
        module = self.discriminator.layer(number)
        norm = getattr(module, "norm", None)
        if norm is None:
            return module.convolution.weight
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        return module.convolution.weight * gain[:, None, None, None]

    def opened(self, images: Tensor, chosen: list[int]) -> list[Tensor]:
        """Which rectifiers were open, bool (n, C, h, w) for each layer."""
        batches = []
        with evaluation(self.discriminator):
            for numbers in _chunks(chosen, FORWARD_BATCH):
                maps = images[numbers].to(self.discriminator.head.weight)
                maps = maps.contiguous(memory_format=torch.channels_last)
                masks = []
                for module in self.discriminator.layers[: self.layer]:
                    maps = module(maps)
                    # The rectifier keeps the sign, so its output tells on which side its input was.
                    masks.append(maps > 0)
                batches.append(masks)
        return [torch.cat(masks) for masks in zip(*batches, strict=True)]

    def __call__(
        self, opened: list[Tensor], maps: list[int], images: list[int], row: int, column: int
    ) -> tuple[Window, Tensor]:
        """Guided gradients of the units of some maps at one position: a window of the image, (n, C, h, w) there."""
        sizes = self._sizes()
        convolutions = self.discriminator.spec.convolutions
        window = Window(row, column, row + 1, column + 1)
        top = torch.where(opened[-1][images, maps, row, column], 1.0, self.slope)
        # One unit's gradient below its convolution is the kernel that it reads with.
        gradient = self.kernels[-1][maps] * top[:, None, None, None]
        for number in range(self.layer, 0, -1):
            stride, padding = convolutions[number - 1].stride, convolutions[number - 1].padding
            if number < self.layer:
                window, gradient = _backward_step(
                    window, gradient, self.kernels[number - 1], stride, padding, sizes[number - 1]
                )
            else:
                window, gradient = _clip(window, gradient, stride, padding, sizes[number - 1])
            if number > 1:
                passed = opened[number - 2][images, :, window.top : window.bottom, window.left : window.right]
                gradient = gradient.clamp(min=0)
                gradient = torch.where(passed, gradient, gradient * self.slope)
        return window, gradient


def _chunks(items: list[Item], size: int) -> Iterator[list[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _backward_step(
    window: Window, gradient: Tensor, kernel: Tensor, stride: int, padding: int, size: int
) -> tuple[Window, Tensor]:
    """The gradient (n, C, h, w) in a window of a convolution's maps, led back through it to the window below."""
    side = kernel.shape[-1]
    if kernel.shape[1] <= FEW_CHANNELS:
        # A convolution fills its vectors with channels, and an image has three: one product over all taps is faster.
        count, channels, height, width = gradient.shape
        flat = gradient.permute(0, 2, 3, 1).reshape(-1, channels)
        taps = (flat @ kernel.flatten(1)).view(count, height * width, -1).transpose(1, 2)
        below = ((height - 1) * stride + side, (width - 1) * stride + side)
        return _clip(window, functional.fold(taps, below, side, stride=stride), stride, padding, size)
    # What lies in the padding is not computed: at 4x4 maps that is a quarter of the work.
    skipped, more = [], []
    for first, last in ((window.top, window.bottom), (window.left, window.right)):
        before, after = max(padding - first * stride, 0), max((last - 1) * stride - padding + side - size, 0)
        # The convolution leaves out as much at the end as at the beginning, less `more`, which is below the stride.
        skipped.append(min(before, after + stride - 1))
        more.append(max(skipped[-1] - after, 0))
    gradient = functional.conv_transpose2d(gradient, kernel, None, stride, skipped, more)
    return _clip(window, gradient, stride, padding, size, (skipped[0], skipped[1]))


def _clip(
    window: Window, gradient: Tensor, stride: int, padding: int, size: int, skipped: tuple[int, int] = (0, 0)
) -> tuple[Window, Tensor]:
    """The window one layer down, without what lies in the padding; `skipped` rows and columns of it are gone already."""
    top, left = window.top * stride - padding + skipped[0], window.left * stride - padding + skipped[1]
    height, width = gradient.shape[-2:]
    clipped = Window(max(top, 0), max(left, 0), min(top + height, size), min(left + width, size))
    rows = slice(clipped.top - top, clipped.bottom - top)
    columns = slice(clipped.left - left, clipped.right - left)
    return clipped, gradient[..., rows, columns]
