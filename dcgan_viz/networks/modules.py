"""The networks themselves: torch modules built from a specification, layer by numbered layer."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from dcgan_viz.errors import UserError
from dcgan_viz.networks.layers import Layer, discriminator_layers, find_layer, generator_layers
from dcgan_viz.networks.receptive_field import ReceptiveField, receptive_field
from dcgan_viz.networks.spec import Activation, Convolution, DiscriminatorSpec, GeneratorSpec, Prior


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


def make_activation(activation: Activation, negative_slope: float) -> nn.Module:
    """The module of a hidden layer's activation."""
    if activation == "rectifier":
        return nn.LeakyReLU(negative_slope) if negative_slope else nn.ReLU()
    return _ACTIVATIONS[activation]()


def _projection(spec: GeneratorSpec) -> nn.Sequential:
    """Layer 1: the authors normalise every unit of the projection on its own, before the reshape."""
    units = spec.base_channels * spec.base_size**2
    norm = [("norm", nn.BatchNorm1d(units, eps=spec.norm_eps))] if spec.base_norm else []
    activation = [("activation", make_activation(spec.activation, spec.negative_slope))] if spec.base_activated else []
    reshape = ("reshape", nn.Unflatten(1, (spec.base_channels, spec.base_size, spec.base_size)))
    after = [*norm, reshape, *activation] if spec.norm_first else [*activation, *norm, reshape]
    linear = ("linear", nn.Linear(spec.latent_dim, units, bias=spec.base_bias))
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
        activation = [("activation", make_activation(spec.activation, spec.negative_slope))]
    return OrderedDict([*norm, *activation] if spec.norm_first or output is not None else [*activation, *norm])


class _Chain(nn.Module):
    """Layers that follow one another: `layers[k - 1]` is layer k, and its output is that layer's feature maps."""

    layers: nn.ModuleList

    @property
    def numbered_layers(self) -> tuple[Layer, ...]:
        """The layers in order, the first number 1."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._reference.device

    @property
    def _reference(self) -> Tensor:
        """A weight: of its device and type are all inputs."""
        return next(self.parameters())

    def activations(self, inputs: Tensor, layer: int) -> Tensor:
        """Feature maps (N, C, h, w) of a layer after its rectifier.

        Parameters
        ----------
        inputs : Tensor
            Latents (N, latent_dim) of a generator, images (N, C, H, W) in [-1, 1] of a discriminator; on any device.
        layer : int
            Counted from 1.

        Raises
        ------
        UserError
            If there is no such layer.

        Examples
        --------
        >>> from dcgan_viz.networks import dcgan
        >>> Generator(dcgan(16, width=4).generator).activations(torch.zeros(2, 100), layer=1).shape
        torch.Size([2, 8, 4, 4])
        """
        return self._run(inputs.to(self._reference), 0, find_layer(self.numbered_layers, layer).number)

    def all_activations(self, inputs: Tensor, last: int | None = None) -> list[Tensor]:
        """Feature maps of layers 1, 2, … up to `last` (all by default), in one pass.

        Examples
        --------
        >>> from dcgan_viz.networks import dcgan
        >>> discriminator = Discriminator(dcgan(16, width=4).discriminator)
        >>> [maps.shape[1] for maps in discriminator.all_activations(torch.zeros(2, 3, 16, 16))]
        [4, 8]
        """
        end = len(self.layers) if last is None else find_layer(self.numbered_layers, last).number
        maps, found = inputs.to(self._reference), []
        for layer in self.layers[:end]:
            maps = layer(maps)
            found.append(maps)
        return found

    def folded_weight(self, layer: int) -> Tensor:
        """The weight of a layer, as the batch normalisation after it scales it: each output's by γ / √(variance + ε).

        Returns
        -------
        Tensor
            (units, latent_dim) in layer 1 of a generator, (C, C below, k, k) in a discriminator, (C below, C, k, k) in the
            other layers of a generator.

        Raises
        ------
        UserError
            If the normalisation does not follow the linear map directly.

        Examples
        --------
        >>> from dcgan_viz.networks import dcgan
        >>> Generator(dcgan(16, width=4).generator).folded_weight(1).shape
        torch.Size([128, 100])
        """
        found = find_layer(self.numbered_layers, layer)
        parts = dict(self.layers[found.number - 1].named_children())
        names = [name for name in parts if name in ("linear", "convolution", "norm", "activation", "flatten")]
        linear, norm = parts[names[0]], cast(nn.BatchNorm2d, parts.get("norm"))
        weight = cast(Tensor, linear.weight)
        if norm is None:
            return weight
        if names[1] != "norm":
            raise UserError(
                f"the normalisation of {found.side} layer {found.number} does not follow a linear map directly, or has "
                "other numbers for every unit, so that the layer has no folded weight"
            )
        outputs = 1 if isinstance(linear, nn.ConvTranspose2d) else 0
        gain = norm.weight / torch.sqrt(cast(Tensor, norm.running_var) + norm.eps)
        return weight * gain.view([-1 if axis == outputs else 1 for axis in range(weight.ndim)])

    def redrawn(self, layers: Iterable[int], seed: int) -> Self:
        """A copy with some layers' weights drawn anew, as before training.

        Running statistics stay as they are: measure them anew with `recalibrate`.

        Parameters
        ----------
        layers : iterable of int
            Counted from 1.
        seed : int
            Layer k is drawn from (seed, k), whichever others are; the same weights on every device.
        """
        network = copy.deepcopy(self)
        with torch.random.fork_rng(devices=[]):
            for number in layers:
                torch.manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
                network.layers[number - 1].cpu().apply(initialise)
        return network.to(self.device)

    def _run(self, maps: Tensor, start: int, end: int) -> Tensor:
        for layer in self.layers[start:end]:
            maps = layer(maps)
        return maps


class Generator(_Chain):
    """Draws images from latents.

    Layer 1 projects z, the last writes the image. `activations`, `draw_from` and the other verbs are what analyses use.

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

    @property
    def numbered_layers(self) -> tuple[Layer, ...]:
        """The layers from z to the image."""
        return generator_layers(self.spec)

    @property
    def latent_dim(self) -> int:
        """Dimensions of z."""
        return self.spec.latent_dim

    @property
    def prior(self) -> Prior:
        """What z is drawn from."""
        return self.spec.prior

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        return self.spec.image_channels, self.spec.image_size, self.spec.image_size

    def forward(self, z: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] from latents (N, latent_dim)."""
        return self._run(z, 0, len(self.layers))

    def draw_from(self, maps: Tensor, layer: int) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] from feature maps (N, C, h, w) of a layer, counted from 1.

        Examples
        --------
        >>> from dcgan_viz.networks import dcgan
        >>> generator, z = Generator(dcgan(16, width=4).generator).eval(), torch.zeros(2, 100)
        >>> torch.equal(generator.draw_from(generator.activations(z, 1), 1), generator(z))
        True
        """
        return self._run(maps.to(self._reference), layer, len(self.layers))

    def write_sum(self, maps: Tensor, layer: int, which: Tensor | None = None) -> Tensor:
        """What the next layer's convolution writes, without its bias, of maps of a layer (N, C, h, w) below the image.

        Parameters
        ----------
        maps : Tensor (N, C, h, w)
        layer : int
            Counted from 1.
        which : Tensor of int64 (n,), optional
            Of which of the layer's maps `maps` has these (N, n, h, w); all by default. In half of them there is half the
            work.

        Returns
        -------
        Tensor (N, C above, h above, w above)

        Examples
        --------
        >>> from dcgan_viz.networks import dcgan
        >>> generator, z = Generator(dcgan(16, width=4).generator).eval(), torch.randn(2, 100)
        >>> maps, first, second = generator.activations(z, 1), torch.arange(3), torch.arange(3, 8)
        >>> parts = [generator.write_sum(maps[:, which], 1, which) for which in (first, second)]
        >>> torch.allclose(generator.draw_from_sum(sum(parts), 1), generator(z), atol=1e-6)
        True
        """
        convolution, below = self._reader(maps, layer)
        weight = convolution.weight if which is None else convolution.weight[which.to(below.device)]
        return self._transposed(convolution, below, weight)

    @torch.no_grad()
    def contributions(self, maps: Tensor, layer: int, out: Tensor | None = None) -> Tensor:
        """What each map (N, C, h, w) of a layer, below the image, adds to what the next layer's convolution writes.

        A convolution is linear in the maps: with any of them scaled, what it writes is a weighted sum of these.

        Parameters
        ----------
        maps : Tensor (N, C, h, w)
        layer : int
            Counted from 1.
        out : Tensor (N, C, C above, h above, w above), optional
            Memory to be filled, such as that of an earlier result: for hundreds of megabytes this is three times as fast.

        Returns
        -------
        Tensor (N, C, C above, h above, w above)

        Examples
        --------
        >>> from dcgan_viz.networks import dcgan
        >>> generator, z = Generator(dcgan(16, width=4).generator).eval(), torch.randn(2, 100)
        >>> added = generator.contributions(generator.activations(z, 1), 1)
        >>> added.shape, torch.allclose(generator.draw_from_sum(added.sum(1), 1), generator(z), atol=1e-6)
        (torch.Size([2, 8, 4, 8, 8]), True)
        """
        convolution, below = self._reader(maps, layer)
        # One map at each place of the kernel: what it adds is these times the weights there.
        height, width = convolution.weight.shape[2:]
        everywhere = torch.eye(height * width).to(below).view(1, -1, height, width)
        placed = self._transposed(convolution, below.flatten(0, 1).unsqueeze(1), everywhere)
        shape = (*below.shape[:2], convolution.weight.shape[1], *placed.shape[2:])
        added = placed.new_empty(shape) if out is None else out
        for written, single in zip(added, placed.flatten(2).unflatten(0, below.shape[:2]), strict=True):
            torch.bmm(convolution.weight.flatten(2), single, out=written.flatten(2))
        return added

    def _reader(self, maps: Tensor, layer: int) -> tuple[nn.ConvTranspose2d, Tensor]:
        """The convolution that reads a layer's maps, and the maps as it reads them."""
        parts = dict(self.layers[layer].named_children())
        below = parts.get("upsample", nn.Identity())(maps.to(self._reference))
        return cast(nn.ConvTranspose2d, parts["convolution"]), below

    @staticmethod
    def _transposed(convolution: nn.ConvTranspose2d, maps: Tensor, weight: Tensor) -> Tensor:
        """A convolution with other weights, without its bias."""
        padding = cast(tuple[int, ...], convolution.padding)
        return nn.functional.conv_transpose2d(
            maps, weight, None, convolution.stride, padding, convolution.output_padding
        )

    def draw_from_sum(self, written: Tensor, layer: int) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] from a sum of the `contributions` (N, C above, h above, w above) of a layer."""
        parts = dict(self.layers[layer].named_children())
        bias = cast(nn.ConvTranspose2d, parts["convolution"]).bias
        maps = written.to(self._reference)
        if bias is not None:
            maps = maps + bias[:, None, None]
        for name, part in parts.items():
            if name not in ("upsample", "convolution"):
                maps = part(maps)
        if layer + 1 == len(self.layers):
            return maps
        return self._draw_image(self._run(maps, layer + 1, len(self.layers) - 1))

    def _draw_image(self, maps: Tensor) -> Tensor:
        """The last layer: as few channels as an image has are drawn by a product and a sum in a third of the time."""
        convolution, below = self._reader(maps, len(self.layers) - 1)
        patches = convolution.weight.flatten(1).T
        if len(patches) > convolution.in_channels or below.device.type != "cpu":
            return self.layers[-1](maps)
        written = nn.functional.fold(
            patches @ below.flatten(2),
            self.image_shape[1:],
            cast(tuple[int, ...], convolution.kernel_size),
            padding=cast(tuple[int, ...], convolution.padding),
            stride=convolution.stride,
        )
        return self.draw_from_sum(written, len(self.layers) - 1)

    def with_scaled_maps(self, layer: int, factors: Tensor) -> Self:
        """A copy that draws with the maps of a layer, below the image, multiplied by factors (C,).

        A map that is multiplied is the same as multiplied weights by which the next layer reads it.
        """
        edited = copy.deepcopy(self)
        weight = edited.layers[layer].get_submodule("convolution").get_parameter("weight")
        # (in, out, k, k): the first axis is the map that is read.
        weight.data *= factors.to(weight)[:, None, None, None]
        return edited


class DiscriminatorLayer(nn.Sequential):
    """A convolution, its batch normalisation (``norm``, absent in the first layer) and the LeakyReLU."""

    convolution: nn.Conv2d


class Discriminator(_Chain):
    """Scores images: the logit of the probability that an image is real.

    Convolution layers count from the image; their maps are read after the LeakyReLU.

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
        """The module of layer `number`, counted from 1."""
        return cast(DiscriminatorLayer, self.layers[number - 1])

    @property
    def numbered_layers(self) -> tuple[Layer, ...]:
        """The convolution layers from the image."""
        return discriminator_layers(self.spec)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        return self.spec.image_channels, self.spec.image_size, self.spec.image_size

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N,) of images (N, C, H, W) in [-1, 1]."""
        return self._score(self._run(images, 0, len(self.layers)))

    def logits_from(self, maps: Tensor, layer: int) -> Tensor:
        """Logits (N,) from feature maps (N, C, h, w) of a layer, counted from 1."""
        return self._score(self._run(maps.to(self._reference), layer, len(self.layers)))

    def receptive_field(self, layer: int) -> ReceptiveField:
        """The square of the image that the units of a layer see."""
        return receptive_field(self.spec, layer)

    def _score(self, maps: Tensor) -> Tensor:
        return self.head(maps.flatten(1)).squeeze(1)


class NoDiscriminator(Discriminator):
    """Stands where a model came without its discriminator: whatever is asked of it is refused in a sentence.

    Examples
    --------
    >>> NoDiscriminator()(torch.zeros(1, 3, 16, 16))
    Traceback (most recent call last):
    dcgan_viz.errors.UserError: this needs a discriminator, and the model has none: import it with one
    """

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise UserError("this needs a discriminator, and the model has none: import it with one")


def make_discriminator(spec: DiscriminatorSpec | None) -> Discriminator:
    """The discriminator of a specification, or what stands where there is none."""
    return NoDiscriminator() if spec is None else Discriminator(spec)


def initialise(module: nn.Module) -> None:
    """The authors' initial weights: N(0, 0.02), batch-norm gain N(1, 0.02) and bias 0."""
    if next((weight.is_meta for weight in module.parameters(recurse=False)), True):
        # Nothing to draw; torch would import its compiler for that, which takes seconds.
        return
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
