"""Numbered layers: what a layer is called, and what it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dcgan_viz.errors import UserError
from dcgan_viz.networks.spec import DiscriminatorSpec, GeneratorSpec

Side = Literal["generator", "discriminator"]


@dataclass(frozen=True)
class Layer:
    """One numbered layer of a network.

    Parameters
    ----------
    side : {"generator", "discriminator"}
    number : int
        Counted from 1: from z in a generator, from the image in a discriminator.
    name : str
        The module path, such as ``layers.0``.
    kind : str
        What the layer does, such as ``conv 5x5 /2``.
    channels, size : int
        Feature maps and the side of each.
    activation : str
        The rectifier that ends it.
    """

    side: Side
    number: int
    name: str
    kind: str
    channels: int
    size: int
    activation: str

    def __str__(self) -> str:
        return f"{self.number}: {self.kind}, {self.channels} maps of {self.size}x{self.size}, {self.activation}"


def generator_layers(spec: GeneratorSpec) -> tuple[Layer, ...]:
    """The layers of a generator, from z to the image.

    Examples
    --------
    >>> from dcgan_viz.networks import dcgan
    >>> print(generator_layers(dcgan(64).generator)[2])
    3: deconv 5x5 x2, 256 maps of 16x16, ReLU
    """
    size = spec.base_size
    layers = [Layer("generator", 1, "layers.0", f"project z({spec.latent})", spec.base_channels, size, "ReLU")]
    for number, convolution in enumerate(spec.convolutions, start=2):
        size *= convolution.stride
        kind = f"deconv {convolution.kernel}x{convolution.kernel} x{convolution.stride}"
        activation = "tanh" if number == len(spec.convolutions) + 1 else "ReLU"
        layers.append(Layer("generator", number, f"layers.{number - 1}", kind, convolution.channels, size, activation))
    return tuple(layers)


def discriminator_layers(spec: DiscriminatorSpec) -> tuple[Layer, ...]:
    """The convolution layers of a discriminator, from the image.

    Examples
    --------
    >>> from dcgan_viz.networks import dcgan
    >>> print(discriminator_layers(dcgan(64).discriminator)[0])
    1: conv 5x5 /2, 128 maps of 32x32, LeakyReLU 0.2
    """
    size = spec.image_size
    layers = []
    for number, convolution in enumerate(spec.convolutions, start=1):
        size //= convolution.stride
        kind = f"conv {convolution.kernel}x{convolution.kernel} /{convolution.stride}"
        activation = f"LeakyReLU {spec.slope}"
        layers.append(
            Layer("discriminator", number, f"layers.{number - 1}", kind, convolution.channels, size, activation)
        )
    return tuple(layers)


def find_layer(layers: tuple[Layer, ...], wanted: int | str) -> Layer:
    """The layer of a number or a name.

    Parameters
    ----------
    layers : tuple of Layer
    wanted : int or str
        3, "3" or "layers.2".

    Raises
    ------
    UserError
        If there is none; the message lists those that there are.
    """
    for layer in layers:
        if str(wanted) in (str(layer.number), layer.name):
            return layer
    listing = "; ".join(str(layer) for layer in layers)
    raise UserError(f"the {layers[0].side} has no layer {wanted}: choose from {listing}")
