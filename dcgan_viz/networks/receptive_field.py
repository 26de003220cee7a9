"""Which part of the image a discriminator's unit sees."""

from __future__ import annotations

from dataclasses import dataclass

from dcgan_viz.networks.spec import DiscriminatorSpec


@dataclass(frozen=True)
class Window:
    """A rectangle of rows and columns, the ends excluded.

    Parameters
    ----------
    top, left, bottom, right : int
    """

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class ReceptiveField:
    """The square of the image that a layer's units see.

    Parameters
    ----------
    size : int
        Side in pixels, before it is clipped at the border.
    stride : int
        Pixels between the fields of neighbouring units.
    offset : int
        First row (and column) that the unit at 0 sees; negative where it looks into the padding.
    image_size : int
        Side of the image.
    """

    size: int
    stride: int
    offset: int
    image_size: int

    def window(self, row: int, column: int) -> Window:
        """The part of the image that the unit at a position sees, clipped at the border."""
        top, left = row * self.stride + self.offset, column * self.stride + self.offset
        limit = self.image_size
        return Window(max(top, 0), max(left, 0), min(top + self.size, limit), min(left + self.size, limit))


def receptive_field(spec: DiscriminatorSpec, layer: int) -> ReceptiveField:
    """The receptive field of the units of a discriminator's layer, from its kernels, strides and padding.

    Parameters
    ----------
    spec : DiscriminatorSpec
    layer : int
        Counted from 1.

    Examples
    --------
    >>> from dcgan_viz.networks import dcgan
    >>> receptive_field(dcgan(64).discriminator, 4).size
    61
    """
    size, stride, offset = 1, 1, 0
    for convolution in reversed(spec.convolutions[:layer]):
        size = (size - 1) * convolution.stride + convolution.kernel
        offset = offset * convolution.stride - convolution.padding
        stride *= convolution.stride
    return ReceptiveField(size, stride, offset, spec.image_size)
