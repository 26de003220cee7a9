"""The networks themselves: torch modules built from a specification, layer by numbered layer."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from dcgan_viz.networks.spec import Activation, Convolution, DiscriminatorSpec, GeneratorSpec


class SignedSigmoid(nn.Module):
    """A sigmoid's picture in [-1, 1]: 2 σ(x) - 1, which is tanh(x / 2)."""

    def forward(self, values: Tensor) -> Tensor:
        """Values in [-1, 1] from any."""
        return torch.tanh(values / 2)


class UnitPixels(nn.Module):
    """Images in [-1, 1] as the ones in [0, 1] that a network was trained on."""

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1] from those in [-1, 1]."""
        return (images + 1) / 2


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}
_OUTPUTS: dict[str, Callable[[], nn.Module]] = {"tanh": nn.Tanh, "sigmoid": SignedSigmoid, "none": nn.Identity}


def make_activation(activation: Activation, slope: float) -> nn.Module:
    """The module of a hidden layer's activation."""
    if activation == "rectifier":
        return nn.LeakyReLU(slope) if slope else nn.ReLU()
    return _ACTIVATIONS[activation]()


def _projection(spec: GeneratorSpec) -> nn.Sequential:
    """Layer 1: the authors normalise every unit of the projection on its own, before the reshape."""
    units = spec.base_channels * spec.base_size**2
    norm = [("norm", nn.BatchNorm1d(units, eps=spec.norm_eps))] if spec.base_norm else []
    activation = [("activation", make_activation(spec.activation, spec.slope))] if spec.base_activated else []
    reshape = ("reshape", nn.Unflatten(1, (spec.base_channels, spec.base_size, spec.base_size)))
    after = [*norm, reshape, *activation] if spec.norm_first else [*activation, *norm, reshape]
    linear = ("linear", nn.Linear(spec.latent, units, bias=spec.base_bias))
    return nn.Sequential(OrderedDict[str, nn.Module]([linear, *after]))


def _ending(
    spec: GeneratorSpec | DiscriminatorSpec, convolution: Convolution, size: int, output: nn.Module | None = None
) -> OrderedDict[str, nn.Module]:
    """What follows a convolution that writes maps of a size: normalisation and activation, or the output."""
    norm: list[tuple[str, nn.Module]] = []
    if convolution.norm and convolution.unit_norm:
        shape = (convolution.channels, size, size)
        units = nn.BatchNorm1d(math.prod(shape), eps=spec.norm_eps)
        norm = [("flatten", nn.Flatten()), ("norm", units), ("reshape", nn.Unflatten(1, shape))]
    elif convolution.norm:
        norm = [("norm", nn.BatchNorm2d(convolution.channels, eps=spec.norm_eps))]
    activation: list[tuple[str, nn.Module]] = []
    if output is not None:
        activation = [("activation", output)]
    elif convolution.activated:
        activation = [("activation", make_activation(spec.activation, spec.slope))]
    return OrderedDict([*norm, *activation] if spec.norm_first or output is not None else [*activation, *norm])


class Generator(nn.Module):
    """Draws images from latents.

    `layers[k - 1]` is layer k: its output is the layer's feature maps, after the rectifier. Layer 1
    projects z, the last writes the image.

    Parameters
    ----------
    spec : GeneratorSpec

    Examples
    --------
    >>> from dcgan_viz.networks import dcgan
    >>> generator = Generator(dcgan(16, width=4).generator)
    >>> import torch
    >>> generator(torch.zeros(2, 100)).shape
    torch.Size([2, 3, 16, 16])
    """

    def __init__(self, spec: GeneratorSpec) -> None:
        super().__init__()
        self.spec = spec
        layers: list[nn.Module] = [_projection(spec)]
        channels = spec.base_channels
        for number, (convolution, size) in enumerate(zip(spec.convolutions, spec.sizes[1:], strict=True), start=2):
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            if convolution.upsample > 1:
                parts["upsample"] = nn.Upsample(scale_factor=convolution.upsample, mode="nearest")
            parts["convolution"] = nn.ConvTranspose2d(
                channels,
                convolution.channels,
                convolution.kernel,
                convolution.stride,
                convolution.padding,
                convolution.output_padding,
                bias=convolution.bias,
            )
            last = number == len(spec.convolutions) + 1
            parts |= _ending(spec, convolution, size, _OUTPUTS[spec.output]() if last else None)
            layers.append(nn.Sequential(parts))
            channels = convolution.channels
        self.layers = nn.ModuleList(layers)
        self.apply(initialise)

    def forward(self, z: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] from latents (N, latent)."""
        maps = z
        for layer in self.layers:
            maps = layer(maps)
        return maps


class DiscriminatorLayer(nn.Sequential):
    """A convolution, its batch normalisation (``norm``, absent in the first layer) and the LeakyReLU."""

    convolution: nn.Conv2d


class Discriminator(nn.Module):
    """Scores images: the logit of the probability that an image is real.

    `layers[k - 1]` is convolution layer k from the image: its output is the layer's feature maps,
    after the LeakyReLU.

    Parameters
    ----------
    spec : DiscriminatorSpec

    Examples
    --------
    >>> from dcgan_viz.networks import dcgan
    >>> discriminator = Discriminator(dcgan(16, width=4).discriminator)
    >>> import torch
    >>> discriminator(torch.zeros(2, 3, 16, 16)).shape
    torch.Size([2])
    """

    def __init__(self, spec: DiscriminatorSpec) -> None:
        super().__init__()
        self.spec = spec
        layers: list[nn.Module] = []
        channels = spec.image_channels
        for convolution, size in zip(spec.convolutions, spec.sizes[1:], strict=True):
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            if spec.unit_pixels and not layers:
                parts["pixels"] = UnitPixels()
            parts["convolution"] = nn.Conv2d(
                channels,
                convolution.channels,
                convolution.kernel,
                convolution.stride,
                convolution.padding,
                bias=convolution.bias,
            )
            parts |= _ending(spec, convolution, size)
            layers.append(DiscriminatorLayer(parts))
            channels = convolution.channels
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(channels * spec.final_size**2, 1, bias=spec.head_bias)
        self.apply(initialise)

    def layer(self, number: int) -> DiscriminatorLayer:
        """Layer `number`, counted from 1."""
        return cast(DiscriminatorLayer, self.layers[number - 1])

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N,) of images (N, C, H, W) in [-1, 1]."""
        maps = images
        for layer in self.layers:
            maps = layer(maps)
        return self.head(maps.flatten(1)).squeeze(1)


def initialise(module: nn.Module) -> None:
    """The authors' initial weights: N(0, 0.02), batch-norm gain N(1, 0.02) and bias 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
