"""The discriminator's maps as features: every layer max-pooled to 4x4 and concatenated (Radford et al. 2015, 5.1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.features.extraction import Extractor, digest_of_tensors
from dcgan_viz.devices import computes_bf16
from dcgan_viz.networks.evaluation import evaluation
from dcgan_viz.networks.protocol import DiscriminatorNetwork

GRID = 4

Precision = Literal["auto", "fp32", "bf16"]


def feature_sizes(discriminator: DiscriminatorNetwork) -> tuple[int, ...]:
    """How many features each layer contributes, from the first layer on.

    Examples
    --------
    >>> from dcgan_viz.networks import preset
    >>> from dcgan_viz.networks.modules import Discriminator
    >>> sum(feature_sizes(Discriminator(preset("imagenet32").discriminator)))
    28672
    """
    return tuple(layer.channels * min(GRID, layer.size) ** 2 for layer in discriminator.numbered_layers)


@torch.no_grad()
def pooled_features(discriminator: DiscriminatorNetwork, images: Tensor, precision: Precision = "fp32") -> Tensor:
    """Features (N, d), float32 on the CPU, of images (N, C, H, W) in [-1, 1].

    The maps of every layer after their rectifier, max-pooled to 4x4 (smaller ones stay as they are), flattened and
    concatenated from the first layer to the last.

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
        Evaluated with its running statistics.
    images : Tensor
    precision : {"auto", "fp32", "bf16"}
        Of the convolutions; ``auto`` is bf16 where the device has instructions for it.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> model = load("bedrooms")
    >>> pooled_features(model.discriminator, model.sample(2)).shape
    torch.Size([2, 23552])
    """
    device = discriminator.device
    half = chosen_precision(discriminator, precision) == "bf16"
    with evaluation(discriminator), torch.autocast(device.type, torch.bfloat16, enabled=half):
        every = discriminator.all_activations(images.to(device).contiguous(memory_format=torch.channels_last))
        pooled = [functional.adaptive_max_pool2d(maps, min(GRID, maps.shape[-1])) for maps in every]
    return torch.cat([maps.float().flatten(1) for maps in pooled], dim=1).cpu()


def chosen_precision(discriminator: DiscriminatorNetwork, precision: Precision) -> Literal["fp32", "bf16"]:
    """The precision that was asked for or, for ``auto``, the fast one of the network's device."""
    if precision == "auto":
        return "bf16" if computes_bf16(discriminator.device) else "fp32"
    return precision


def discriminator_extractor(
    discriminator: DiscriminatorNetwork, precision: Precision = "auto", name: str = "the discriminator's features"
) -> Extractor:
    """A discriminator's pooled maps as an `Extractor`, a part for each layer.

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
    precision : {"auto", "fp32", "bf16"}
        As in `pooled_features`.
    name : str
        What they are, in words.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> discriminator_extractor(load("bedrooms").discriminator).parts
    {'layer 1': 1024, 'layer 2': 2048, 'layer 3': 4096, 'layer 4': 8192, 'layer 5': 8192}
    """
    chosen = chosen_precision(discriminator, precision)
    layers = discriminator.numbered_layers
    return Extractor(
        name,
        {f"layer {layer.number}": n for layer, n in zip(layers, feature_sizes(discriminator), strict=True)},
        digest_of_tensors(discriminator.state_dict(), f"max-pooled to {GRID}x{GRID} in {chosen}"),
        lambda images: pooled_features(discriminator, images, chosen),
    )
