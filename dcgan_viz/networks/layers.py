"""Numbered layers: what a layer is called, and what it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dcgan_viz.errors import UserError
from dcgan_viz.networks.spec import Activation, Convolution, DiscriminatorSpec, GeneratorSpec

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
    hidden = name_activation(spec.activation, spec.negative_slope)
    ending = hidden if spec.base_activated else "linear"
    sizes = spec.sizes
    layers = [Layer("generator", 1, "layers.0", f"project z({spec.latent_dim})", spec.base_channels, sizes[0], ending)]
    for number, convolution in enumerate(spec.convolutions, start=2):
        kind = _drawing(convolution)
        ending = hidden if convolution.activated else "linear"
        if number == len(spec.convolutions) + 1:
            ending = "linear" if spec.output == "none" else spec.output
        size = sizes[number - 1]
        layers.append(Layer("generator", number, f"layers.{number - 1}", kind, convolution.channels, size, ending))
    return tuple(layers)


def _drawing(convolution: Convolution) -> str:
    """What a generator's layer does: of stride 1 it is fractionally strided in name only."""
    kernel = f"{convolution.kernel}x{convolution.kernel}"
    before = f"upsample x{convolution.upsample}, " if convolution.upsample > 1 else ""
    if convolution.stride > 1:
        return f"{before}deconv {kernel} x{convolution.stride}"
    # Of another padding it makes maps larger or smaller, which a convolution does not do without one.
    return (
        f"{before}conv {kernel}" if before or 2 * convolution.padding == convolution.kernel - 1 else f"deconv {kernel}"
    )


def discriminator_layers(spec: DiscriminatorSpec) -> tuple[Layer, ...]:
    """The convolution layers of a discriminator, from the image.

    Examples
    --------
    >>> from dcgan_viz.networks import dcgan
    >>> print(discriminator_layers(dcgan(64).discriminator)[0])
    1: conv 5x5 /2, 128 maps of 32x32, LeakyReLU 0.2
    """
    hidden = name_activation(spec.activation, spec.negative_slope)
    layers = []
    for number, (convolution, size) in enumerate(zip(spec.convolutions, spec.sizes[1:], strict=True), start=1):
        kind = f"conv {convolution.kernel}x{convolution.kernel} /{convolution.stride}"
        ending = hidden if convolution.activated else "linear"
        layers.append(Layer("discriminator", number, f"layers.{number - 1}", kind, convolution.channels, size, ending))
    return tuple(layers)


def name_activation(activation: Activation, negative_slope: float) -> str:
    """What an activation is called in listings.

    Examples
    --------
    >>> name_activation("rectifier", 0.2)
    'LeakyReLU 0.2'
    """
    if activation == "rectifier":
        return f"LeakyReLU {negative_slope}" if negative_slope else "ReLU"
    return {"elu": "ELU", "selu": "SELU", "gelu": "GELU", "silu": "SiLU"}.get(activation, activation)


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
