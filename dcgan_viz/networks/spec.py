"""Architectures as data: a specification holds everything needed to build a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AliasChoices, Field

from dcgan_viz.errors import UserError
from dcgan_viz.untrusted import EXACT, validate

Prior = Literal["uniform", "normal"]

PRIOR_DEVIATION: Mapping[Prior, float] = {"uniform": 3**-0.5, "normal": 1.0}
"""Standard deviation of a coordinate of z."""

MINIMUM_SIZE, MAXIMUM_SIZE = 16, 256
MAXIMUM_WIDTH, MAXIMUM_LATENT = 1024, 4096
"""Eight times the paper's width and forty times its latent: networks of gigabytes beyond that are typing errors."""


SAME = -1
"""A padding by which the stride alone decides the size of the maps."""

Activation = Literal["rectifier", "elu", "selu", "gelu", "silu", "softplus", "tanh"]
"""What ends a hidden layer; a rectifier is a ReLU or, with a slope, a LeakyReLU."""

Output = Literal["tanh", "sigmoid", "none"]
"""What ends a generator; a sigmoid's values from 0 to 1 become images in [-1, 1]."""

MAXIMUM_KERNEL, MAXIMUM_STRIDE, MAXIMUM_SIDE = 64, 8, 4096

MAXIMUM_LAYERS = 64
"""Convolutions of one network; the deepest DCGANs have a dozen."""

MAXIMUM_CHANNELS = 2**14
"""Feature maps of one layer: sixteen times the paper's widest."""

MAXIMUM_VALUES = 2**24
"""Values that all maps of one layer hold for one picture, 64 MiB; the paper's largest layer holds 2**17."""

MAXIMUM_WEIGHTS = 2**28
"""Weights of one network, 1 GiB; the paper's have 2**22 to 2**24."""

SMALLEST_EPS = 1e-12
"""Below it, the normalisation of a map that never changes divides by zero."""


@dataclass(frozen=True)
class Convolution:
    """One (fractionally-strided) convolution and what follows it.

    Parameters
    ----------
    channels : int
        Feature maps that it writes.
    kernel : int
        Side of the square kernel: 3, 4 or 5 in the networks of this package.
    stride : int
        2 halves (in a discriminator) or doubles (in a generator) the side of the maps; 1 keeps it.
    norm : bool
        Whether it is batch-normalised.
    bias : bool
        Whether it adds a bias of its own; the paper's do not, imported networks may.
    padding : int
        Zero padding in pixels; by default the one that makes the stride alone decide the size of the maps.
    output_padding : int
        What a fractionally-strided convolution adds at the lower and right end; by default what doubles the size. A
        discriminator has none.
    upsample : int
        How many times a generator repeats each pixel of what the convolution reads, in rows and columns.
    activated : bool
        Whether the network's activation ends the layer; without it the layer is linear.
    unit_norm : bool
        Whether every unit of the maps has a normalisation of its own, as in the paper's projection.
    """

    __pydantic_config__: ClassVar = EXACT

    channels: int
    kernel: int
    stride: int
    norm: bool = True
    bias: bool = False
    padding: int = SAME
    output_padding: int = SAME
    upsample: int = 1
    activated: bool = True
    unit_norm: bool = False

    def __post_init__(self) -> None:
        _check_range("channels", self.channels, 1, MAXIMUM_CHANNELS)
        _check_range("kernel", self.kernel, 1, MAXIMUM_KERNEL)
        _check_range("stride", self.stride, 1, MAXIMUM_STRIDE)
        _check_range("upsample", self.upsample, 1, MAXIMUM_STRIDE)
        if self.padding == SAME and self.stride == 1 and self.kernel % 2 == 0:
            raise UserError(
                f"a {self.kernel}x{self.kernel} kernel at stride 1 cannot keep the size of its maps: use an odd one, or "
                "give its padding"
            )
        if SAME in (self.padding, self.output_padding) and self.stride > 2:
            raise UserError(f"stride {self.stride} needs its padding given")
        resolved = {"padding": (self.kernel - 1) // 2, "output_padding": self.kernel % 2 if self.stride == 2 else 0}
        for name, value in resolved.items():
            if getattr(self, name) == SAME:
                object.__setattr__(self, name, value)
        _check_range("padding", self.padding, 0, MAXIMUM_KERNEL)
        _check_range("output_padding", self.output_padding, 0, self.stride - 1)

    def side_above(self, side: int) -> int:
        """Side of the maps that it draws, in a generator, from maps of a side."""
        return (side * self.upsample - 1) * self.stride - 2 * self.padding + self.kernel + self.output_padding

    def side_below(self, side: int) -> int:
        """Side of the maps that it reads, in a discriminator, out of maps of a side."""
        return (side + 2 * self.padding - self.kernel) // self.stride + 1


def _check_range(name: str, value: float, low: float, high: float) -> None:
    # Written so that NaN fails.
    if not low <= value <= high:
        raise UserError(f"{name} {value} is not supported: choose one from {low:,} to {high:,}")


def _check_sizes(network: str, sizes: tuple[int, ...]) -> None:
    wrong = [size for size in sizes if not 1 <= size <= MAXIMUM_SIDE]
    if wrong:
        listing = " → ".join(map(str, sizes))
        raise UserError(f"the maps of this {network} would have sides {listing}, and {wrong[0]} is none")


def _check_memory(channels: int, sizes: Sequence[int], convolutions: Sequence[Convolution], weights: int) -> None:
    """Refuse networks that no machine could hold, before anything is built.

    Parameters
    ----------
    channels : int
        Maps that the first convolution reads.
    sizes : sequence of int
        Sides of those maps and of each convolution's.
    convolutions : sequence of Convolution
    weights : int
        Of what comes before and after the convolutions.
    """
    widths = [channels, *(c.channels for c in convolutions)]
    upsampled = [w * (s * c.upsample) ** 2 for w, s, c in zip(widths, sizes, convolutions, strict=False)]
    largest = max(*upsampled, widths[-1] * sizes[-1] ** 2)
    if largest > MAXIMUM_VALUES:
        raise UserError(
            f"a layer would hold {largest:,} values a picture, and at most {MAXIMUM_VALUES:,} are supported"
        )
    weights += sum(before * c.channels * c.kernel**2 for before, c in zip(widths, convolutions, strict=False))
    if weights > MAXIMUM_WEIGHTS:
        raise UserError(f"the network would have {weights:,} weights, and at most {MAXIMUM_WEIGHTS:,} are supported")


@dataclass(frozen=True)
class GeneratorSpec:
    """A generator: a latent, its projection to maps, then fractionally-strided convolutions.

    Layer 1 is the projection; the last layer writes the image. In the paper's networks every hidden layer is batch
    normalised and ends in a ReLU, and a tanh ends the last; the fields with defaults describe other people's.

    Parameters
    ----------
    latent_dim : int
        Dimensions of z.
    prior : {"uniform", "normal"}
        U(-1, 1), as in the paper, or N(0, 1).
    base_channels, base_size : int
        Maps that the projection writes and their side.
    convolutions : tuple of Convolution
        Layers 2, 3, … up to the image.
    norm_eps : float
        Epsilon of every batch normalisation.
    base_norm, base_bias, base_activated : bool
        Whether the projection is normalised (each unit on its own), has a bias, and ends in the activation.
    activation : Activation
        Of hidden layers.
    negative_slope : float
        Of a rectifier below zero: 0 is a ReLU.
    norm_first : bool
        Whether the normalisation comes before the activation, as in the paper, or after it.
    output : {"tanh", "sigmoid", "none"}
    """

    __pydantic_config__: ClassVar = EXACT

    latent_dim: Annotated[int, Field(validation_alias=AliasChoices("latent_dim", "latent"))]
    prior: Prior
    base_channels: int
    convolutions: tuple[Convolution, ...]
    base_size: int = 4
    norm_eps: float = 1e-5
    base_norm: bool = True
    base_bias: bool = False
    base_activated: bool = True
    activation: Activation = "rectifier"
    negative_slope: Annotated[float, Field(validation_alias=AliasChoices("negative_slope", "slope"))] = 0.0
    norm_first: bool = True
    output: Output = "tanh"

    def __post_init__(self) -> None:
        _check_range("a latent of dimensions", self.latent_dim, 1, MAXIMUM_CHANNELS)
        _check_range("base_channels", self.base_channels, 1, MAXIMUM_CHANNELS)
        _check_range("norm_eps", self.norm_eps, SMALLEST_EPS, 1)
        _check_range("negative_slope", self.negative_slope, 0, 1)
        for name, value, known in (
            ("prior", self.prior, Prior),
            ("activation", self.activation, Activation),
            ("output", self.output, Output),
        ):
            if value not in get_args(known):
                raise UserError(f"{name} {value!r} is not known: choose {' or '.join(get_args(known))}")
        if not 1 <= len(self.convolutions) <= MAXIMUM_LAYERS:
            raise UserError(f"a generator ends in 1 to {MAXIMUM_LAYERS} convolutions, not {len(self.convolutions)}")
        _check_sizes("generator", self.sizes)
        projection = self.latent_dim * self.base_channels * self.base_size**2
        _check_memory(self.base_channels, self.sizes, self.convolutions, projection)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of the maps of layers 1, 2, … up to the image."""
        sizes = [self.base_size]
        for convolution in self.convolutions:
            sizes.append(convolution.side_above(sizes[-1]))
        return tuple(sizes)

    @property
    def image_size(self) -> int:
        """Side of the image in pixels."""
        return self.sizes[-1]

    @property
    def image_channels(self) -> int:
        """Channels of the image: 1 (grey) or 3 (RGB)."""
        return self.convolutions[-1].channels


@dataclass(frozen=True)
class DiscriminatorSpec:
    """A discriminator: strided convolutions with LeakyReLU, flattened to one linear unit.

    Parameters
    ----------
    image_channels, image_size : int
        The image that it reads.
    convolutions : tuple of Convolution
        Layers 1, 2, … from the image.
    negative_slope : float
        Slope of the LeakyReLU below zero.
    norm_eps : float
        Epsilon of every batch normalisation.
    head_bias : bool
        Whether the linear unit has a bias; the paper's has none, imported ones may.
    activation : Activation
        Of every layer.
    norm_first : bool
        Whether the normalisation comes before the activation, as in the paper, or after it.
    unit_pixels : bool
        Whether it was trained on images in [0, 1]; it is given them in [-1, 1] all the same.
    """

    __pydantic_config__: ClassVar = EXACT

    image_channels: int
    image_size: int
    convolutions: tuple[Convolution, ...]
    negative_slope: Annotated[float, Field(validation_alias=AliasChoices("negative_slope", "slope"))] = 0.2
    norm_eps: float = 1e-5
    head_bias: bool = False
    activation: Activation = "rectifier"
    norm_first: bool = True
    unit_pixels: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.convolutions) <= MAXIMUM_LAYERS:
            raise UserError(f"a discriminator has 1 to {MAXIMUM_LAYERS} convolutions, not {len(self.convolutions)}")
        _check_range("image_channels", self.image_channels, 1, MAXIMUM_CHANNELS)
        _check_range("norm_eps", self.norm_eps, SMALLEST_EPS, 1)
        _check_range("negative_slope", self.negative_slope, 0, 1)
        if self.activation not in get_args(Activation):
            raise UserError(f"activation {self.activation!r} is not known: choose {' or '.join(get_args(Activation))}")
        _check_sizes("discriminator", self.sizes)
        _check_memory(self.image_channels, self.sizes, self.convolutions, 0)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of the image and of the maps of layers 1, 2, …."""
        sizes = [self.image_size]
        for convolution in self.convolutions:
            sizes.append(convolution.side_below(sizes[-1]))
        return tuple(sizes)

    @property
    def final_size(self) -> int:
        """Side of the last layer's maps."""
        return self.sizes[-1]

    @property
    def plain(self) -> bool:
        """Whether every layer is a convolution, a normalisation and a rectifier in the paper's order, on [-1, 1]."""
        usual = all(c.activated and not c.unit_norm for c in self.convolutions)
        return usual and self.activation == "rectifier" and self.norm_first and not self.unit_pixels


@dataclass(frozen=True)
class NetworkSpec:
    """A generator and the discriminator that reads its images, None where it is missing."""

    __pydantic_config__: ClassVar = EXACT

    generator: GeneratorSpec
    discriminator: DiscriminatorSpec | None

    def __post_init__(self) -> None:
        if self.generator.image_channels not in (1, 3):
            raise UserError(f"images have 1 or 3 channels, not {self.generator.image_channels}")
        if self.discriminator is None:
            return
        generated = (self.generator.image_channels, self.generator.image_size)
        read = (self.discriminator.image_channels, self.discriminator.image_size)
        if generated != read:
            raise UserError(
                f"the generator draws {generated[0]}x{generated[1]}x{generated[1]} images but the "
                f"discriminator reads {read[0]}x{read[1]}x{read[1]}"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        size = self.generator.image_size
        return self.generator.image_channels, size, size

    def to_dict(self) -> dict[str, Any]:
        """The specification as plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NetworkSpec:
        """The specification that `to_dict` wrote.

        Raises
        ------
        UserError
            If a field is missing, unknown or out of range.
        """
        try:
            return validate(data, cls)
        except UserError as error:
            raise UserError(f"this is not a network specification of dcgan-viz: {error}") from error


def dcgan(
    size: int = 64,
    *,
    channels: int = 3,
    width: int = 128,
    discriminator_width: int | None = None,
    kernel: int = 5,
    latent_dim: int = 100,
    prior: Prior = "uniform",
    top_layer: bool = False,
) -> NetworkSpec:
    """The paper's pair for square images of a given size.

    Every stride-2 layer of the discriminator halves the maps down to 4x4 and doubles their number, from its width to
    at most 8 times as many; the generator mirrors it (Radford et al. 2015, Figure 1).

    Parameters
    ----------
    size : int
        Side of the image: a power of two from 16 to 256.
    channels : int
        1 (grey) or 3 (RGB).
    width : int
        Maps of the discriminator's first layer and of the generator's last hidden one; the paper's is 128.
    discriminator_width : int, optional
        Maps of the discriminator's first layer, where it is to be narrower or wider than the generator.
    kernel : int
        3, 4 or 5; the paper's is 5.
    latent_dim, prior
        As in `GeneratorSpec`.
    top_layer : bool
        Add a 3x3 stride-1 convolution, as wide as the last, on top of the discriminator.

    Returns
    -------
    NetworkSpec

    Raises
    ------
    UserError
        If a value is out of range.

    Examples
    --------
    >>> spec = dcgan(64)
    >>> [c.channels for c in spec.discriminator.convolutions]
    [128, 256, 512, 1024]
    >>> [c.channels for c in dcgan(64, discriminator_width=64).discriminator.convolutions]
    [64, 128, 256, 512]
    """
    if size & (size - 1) or not MINIMUM_SIZE <= size <= MAXIMUM_SIZE:
        raise UserError(f"image size {size} is not a power of two from {MINIMUM_SIZE} to {MAXIMUM_SIZE}")
    if channels not in (1, 3):
        raise UserError(f"images have 1 or 3 channels, not {channels}")
    if kernel not in (3, 4, 5):
        raise UserError(f"kernel {kernel} is not supported: choose 3, 4 or 5")
    discriminator_width = width if discriminator_width is None else discriminator_width
    for name, value in (("width", width), ("the discriminator's width", discriminator_width)):
        if not 1 <= value <= MAXIMUM_WIDTH:
            raise UserError(f"{name} must be from 1 to {MAXIMUM_WIDTH}, not {value}")
    if not 1 <= latent_dim <= MAXIMUM_LATENT:
        raise UserError(f"z has from 1 to {MAXIMUM_LATENT} dimensions, not {latent_dim}")
    narrowing, widening = _doubling(discriminator_width, size), _doubling(width, size)[::-1]
    down = [Convolution(w, kernel, 2, norm=i > 0) for i, w in enumerate(narrowing)]
    if top_layer:
        down.append(Convolution(narrowing[-1], 3, 1))
    up = [Convolution(w, kernel, 2) for w in widening[1:]]
    up.append(Convolution(channels, kernel, 2, norm=False))
    return NetworkSpec(
        GeneratorSpec(latent_dim, prior, widening[0], tuple(up)),
        DiscriminatorSpec(channels, size, tuple(down)),
    )


def _doubling(width: int, size: int) -> list[int]:
    """The maps of a discriminator's strided layers for images of a size."""
    return [width * min(2**i, 8) for i in range(size.bit_length() - 3)]
