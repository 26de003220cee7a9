"""Networks of this package as plain sequences of torch modules, for whatever writes them in another form."""

from __future__ import annotations

import copy

import torch
from torch import nn

from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.modules import Discriminator, Generator, NoDiscriminator, SignedSigmoid, UnitPixels


def plain_generator(model: DCGAN) -> list[nn.Module]:
    """The modules of a generator, from latents (N, latent) to images (N, C, H, W), copied.

    Raises
    ------
    UserError
        If the model's networks are not this package's.
    """
    return [module for modules in plain_generator_layers(model) for module in modules]


def plain_generator_layers(model: DCGAN) -> list[list[nn.Module]]:
    """The same modules, layer by layer.

    Raises
    ------
    UserError
        As `plain_generator`.
    """
    generator = model.generator
    if not isinstance(generator, Generator):
        raise UserError(f"{model.card.name} has networks of its own code, which only that code can export")
    return [[m for m in layer.children() if not _idle(m)] for layer in copy.deepcopy(generator).eval().layers]


def plain_discriminator(model: DCGAN) -> list[nn.Module] | None:
    """The modules of a discriminator, from images to logits (N, 1), copied; None where there is none."""
    discriminator = model.discriminator
    if isinstance(discriminator, NoDiscriminator):
        return None
    if not isinstance(discriminator, Discriminator):
        raise UserError(f"{model.card.name} has networks of its own code, which only that code can export")
    own = copy.deepcopy(discriminator).eval()
    return [*(m for layer in own.layers for m in layer.children() if not _idle(m)), nn.Flatten(), own.head]


def _idle(module: nn.Module) -> bool:
    return isinstance(module, nn.Identity)


@torch.no_grad()
def without_own_modules(modules: list[nn.Module]) -> list[nn.Module]:
    """The same function by torch's modules alone: tanh(x / 2) after a convolution is tanh after half of it.

    `UnitPixels` at the beginning stays.
    """
    plain: list[nn.Module] = []
    for module in modules:
        if isinstance(module, SignedSigmoid):
            weighted = plain[-1]
            assert isinstance(weighted, nn.ConvTranspose2d | nn.BatchNorm2d)
            for parameter in weighted.parameters():
                parameter.mul_(0.5)
            plain.append(nn.Tanh())
        else:
            plain.append(module)
    return plain


def reads_unit_pixels(modules: list[nn.Module]) -> bool:
    """Whether a discriminator's first module takes images to [0, 1]."""
    return isinstance(modules[0], UnitPixels)
