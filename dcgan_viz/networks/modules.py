"""The networks themselves: torch modules built from a specification, layer by numbered layer."""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

from torch import Tensor, nn

from dcgan_viz.networks.spec import DiscriminatorSpec, GeneratorSpec


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
        units = spec.base_channels * spec.base_size**2
        layers: list[nn.Module] = [
            nn.Sequential(
                OrderedDict(
                    # The authors normalise every unit of the projection on its own, before the reshape.
                    linear=nn.Linear(spec.latent, units, bias=False),
                    norm=nn.BatchNorm1d(units, eps=spec.norm_eps),
                    reshape=nn.Unflatten(1, (spec.base_channels, spec.base_size, spec.base_size)),
                    activation=nn.ReLU(),
                )
            )
        ]
        channels = spec.base_channels
        for number, convolution in enumerate(spec.convolutions, start=2):
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            parts["convolution"] = nn.ConvTranspose2d(
                channels,
                convolution.channels,
                convolution.kernel,
                convolution.stride,
                convolution.padding,
                convolution.output_padding,
                bias=convolution.bias,
            )
            if convolution.norm:
                parts["norm"] = nn.BatchNorm2d(convolution.channels, eps=spec.norm_eps)
            last = number == len(spec.convolutions) + 1
            parts["activation"] = nn.Tanh() if last else nn.ReLU()
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
    activation: nn.LeakyReLU


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
        for convolution in spec.convolutions:
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            parts["convolution"] = nn.Conv2d(
                channels,
                convolution.channels,
                convolution.kernel,
                convolution.stride,
                convolution.padding,
                bias=convolution.bias,
            )
            if convolution.norm:
                parts["norm"] = nn.BatchNorm2d(convolution.channels, eps=spec.norm_eps)
            parts["activation"] = nn.LeakyReLU(spec.slope)
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
