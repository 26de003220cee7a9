"""The authors' networks by name, with the training settings that go with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dcgan_viz.errors import UserError
from dcgan_viz.networks.spec import Convolution, DiscriminatorSpec, GeneratorSpec, NetworkSpec, dcgan


@dataclass(frozen=True)
class Preset:
    """A pair of networks by name.

    Parameters
    ----------
    summary : str
        What it is, in one line.
    build : callable
        Returns the `NetworkSpec`; takes the keyword options of `dcgan` where `adjustable`.
    training : mapping
        `TrainingSettings` fields that differ from the paper's.
    adjustable : bool
        Whether the options of `dcgan` can be chosen.
    """

    summary: str
    build: Callable[..., NetworkSpec]
    training: Mapping[str, Any] = field(default_factory=dict)
    adjustable: bool = True


def imagenet32() -> NetworkSpec:
    """The ImageNet-1k 32x32 pair: six 3x3 convolutions, every second one of stride 1, z of 256.

    The discriminator's widths are the paper's. The released code fixes the generator's strides
    (2, 1, 2, 1, 2, 1) and its 512 base maps; its hidden widths are this package's choice, each
    doubling of the side halving the maps.
    """
    down = tuple(
        Convolution(c, 3, s, norm=i > 0)
        for i, (c, s) in enumerate([(128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2)])
    )
    up = tuple(Convolution(c, 3, s) for c, s in [(256, 2), (256, 1), (128, 2), (128, 1), (64, 2)])
    return NetworkSpec(
        GeneratorSpec(256, "uniform", 512, (*up, Convolution(3, 3, 1, norm=False))),
        DiscriminatorSpec(3, 32, down),
    )


def svhn32(**options: Any) -> NetworkSpec:
    """The SVHN 32x32 pair of the released weights: 64-128-256, Gaussian z of 100."""
    return dcgan(**{"size": 32, "width": 64, "prior": "normal", **options})


PRESETS: dict[str, Preset] = {
    "lsun64": Preset("the paper's 64x64 pair for LSUN bedrooms", dcgan),
    "faces64": Preset("the paper's 64x64 pair for faces (the LSUN networks)", dcgan),
    "imagenet32": Preset("the paper's 32x32 ImageNet-1k pair, 3x3 kernels", imagenet32, adjustable=False),
    "svhn32": Preset("the released 32x32 SVHN pair, Gaussian z", svhn32, {"learning_rate": 5e-4, "batch_size": 64}),
}


def preset(name: str, **options: Any) -> NetworkSpec:
    """The networks of a preset, with options of `dcgan` where it allows them.

    Parameters
    ----------
    name : str
        A key of `PRESETS`.
    **options
        Any of size, channels, width, discriminator_width, kernel, latent_dim, prior and top_layer.

    Raises
    ------
    UserError
        If there is no such preset, or it is fixed and options were given.

    Examples
    --------
    >>> preset("lsun64", width=64).generator.base_channels
    512
    """
    if name not in PRESETS:
        raise UserError(f"there is no preset {name!r}: choose one of {', '.join(PRESETS)}")
    chosen = PRESETS[name]
    if options and not chosen.adjustable:
        raise UserError(
            f"the preset {name} is fixed, so {', '.join(options)} cannot be changed: start from lsun64 instead"
        )
    return chosen.build(**options)


def dcgan_options(spec: NetworkSpec) -> dict[str, Any] | None:
    """The options with which `dcgan` builds these networks, or None if it cannot.

    Examples
    --------
    >>> dcgan_options(dcgan(32, width=64, discriminator_width=16, top_layer=True))["discriminator_width"]
    16
    >>> dcgan_options(imagenet32()) is None
    True
    """
    if spec.discriminator is None:
        return None
    generator, down = spec.generator, spec.discriminator.convolutions
    options: dict[str, Any] = {
        "size": generator.image_size,
        "channels": generator.image_channels,
        # The maps of the layer before the image, which is the projection where there is but one other.
        "width": [generator.base_channels, *(c.channels for c in generator.convolutions)][-2],
        "discriminator_width": down[0].channels,
        "kernel": down[0].kernel,
        "latent_dim": generator.latent_dim,
        "prior": generator.prior,
        "top_layer": down[-1].stride == 1,
    }
    try:
        return options if dcgan(**options) == spec else None
    except UserError:
        return None
