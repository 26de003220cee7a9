"""Generators and discriminators as strangers write them, in plain torch, settled as training leaves them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm


class View(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.reshape(len(inputs), *self.shape)


def settled(network: nn.Module, batches: list[Tensor]) -> nn.Module:
    """The network with gains that matter and the running statistics of long training, in evaluation mode."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
            if module.affine:
                nn.init.normal_(module.weight, 1, 0.3)
                nn.init.normal_(module.bias, 0, 0.3)
    network.train()
    with torch.no_grad():
        for batch in batches:
            network(batch)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.num_batches_tracked is not None:
            module.num_batches_tracked.fill_(5000)
    return network.eval()


def tutorial_generator(act: Callable[[], nn.Module] = nn.ReLU, **norm: Any) -> nn.Module:
    """PyTorch's tutorial and pytorch/examples: 4s1p0, then 4s2p1."""
    return nn.Sequential(
        View(12, 1, 1),
        nn.ConvTranspose2d(12, 16, 4, 1, 0, bias=False),
        nn.BatchNorm2d(16, **norm),
        act(),
        nn.ConvTranspose2d(16, 12, 4, 2, 1, bias=False),
        nn.BatchNorm2d(12, **norm),
        act(),
        nn.ConvTranspose2d(12, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )


def tutorial_discriminator(slope: float = 0.2) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1, bias=False),
        nn.LeakyReLU(slope, inplace=True),
        nn.Conv2d(8, 16, 4, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.LeakyReLU(slope, inplace=True),
        nn.Conv2d(16, 1, 4, 1, 0, bias=False),
        nn.Sigmoid(),
        nn.Flatten(0),
    )


class Coursera(nn.Module):
    """3s2, 4s1, 3s2, 4s2, all without padding, with biases: 28x28; 16x16 with a last stride of 1."""

    def __init__(self, last_stride: int = 2) -> None:
        super().__init__()
        self.gen = nn.Sequential(
            self.block(12, 20, 3, 2),
            self.block(20, 16, 4, 1),
            self.block(16, 8, 3, 2),
            self.block(8, 1, 4, last_stride, last=True),
        )

    def block(self, before: int, after: int, kernel: int, stride: int, last: bool = False) -> nn.Module:
        convolution = nn.ConvTranspose2d(before, after, kernel, stride)
        return nn.Sequential(convolution, *([nn.Tanh()] if last else [nn.BatchNorm2d(after), nn.ReLU(inplace=True)]))

    def forward(self, z: Tensor) -> Tensor:
        return self.gen(z.view(len(z), -1, 1, 1))


def coursera_discriminator(padding: int = 0) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, padding),
        nn.BatchNorm2d(8),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 16, 4, 2, padding),
        nn.BatchNorm2d(16),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 1, 4, 2),
        nn.Flatten(0),
    )


class Udacity(nn.Module):
    """A linear layer, then 4s2p1; functional ReLUs, and no activation after the projection."""

    def __init__(self, first_activated: bool = False) -> None:
        super().__init__()
        self.first_activated = first_activated
        self.fc = nn.Linear(12, 16 * 16)
        self.t_conv1 = nn.Sequential(nn.ConvTranspose2d(16, 12, 4, 2, 1, bias=False), nn.BatchNorm2d(12))
        self.t_conv2 = nn.Sequential(nn.ConvTranspose2d(12, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8))
        self.t_conv3 = nn.Sequential(nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=False))

    def forward(self, z: Tensor) -> Tensor:
        maps = self.fc(z).view(-1, 16, 4, 4)
        maps = torch.relu(maps) if self.first_activated else maps
        return torch.tanh(self.t_conv3(torch.relu(self.t_conv2(torch.relu(self.t_conv1(maps))))))


class UdacityDiscriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1, bias=False))
        self.conv2 = nn.Sequential(nn.Conv2d(8, 12, 4, 2, 1, bias=False), nn.BatchNorm2d(12))
        self.conv3 = nn.Sequential(nn.Conv2d(12, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16))
        self.fc = nn.Linear(16 * 16, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps = images
        for convolution in (self.conv1, self.conv2, self.conv3):
            maps = nn.functional.leaky_relu(convolution(maps), 0.2)
        return self.fc(maps.flatten(1)).flatten()


class PyTorchGan(nn.Module):
    """eriklindernoren's PyTorch-GAN: upsample and convolve, 0.8 in the place of epsilon, no activation first."""

    def __init__(self) -> None:
        super().__init__()
        self.l1 = nn.Sequential(nn.Linear(12, 16 * 8**2))
        self.conv_blocks = nn.Sequential(
            nn.BatchNorm2d(16),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(16, 16, 3, stride=1, padding=1),
            nn.BatchNorm2d(16, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(16, 8, 3, stride=1, padding=1),
            nn.BatchNorm2d(8, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8, 1, 3, stride=1, padding=1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.conv_blocks(self.l1(z).view(len(z), 16, 8, 8))


class PyTorchGanDiscriminator(nn.Module):
    """Its discriminator: convolution, LeakyReLU, dropout, then the normalisation."""

    def __init__(self) -> None:
        super().__init__()

        def block(before: int, after: int, bn: bool = True) -> list[nn.Module]:
            layers: list[nn.Module] = [nn.Conv2d(before, after, 3, 2, 1), nn.LeakyReLU(0.2), nn.Dropout2d(0.0)]
            return [*layers, nn.BatchNorm2d(after, 0.8)] if bn else layers

        self.model = nn.Sequential(*block(1, 8, bn=False), *block(8, 12), *block(12, 16))
        self.adv_layer = nn.Sequential(nn.Linear(16 * 4**2, 1), nn.Sigmoid())

    def forward(self, images: Tensor) -> Tensor:
        return self.adv_layer(self.model(images).flatten(1)).flatten()


def keras_like_generator() -> nn.Module:
    """Five by five, as in the paper; normalisation of every unit before the reshape."""
    return nn.Sequential(
        nn.Linear(12, 16 * 16, bias=False),
        nn.BatchNorm1d(16 * 16),
        nn.ReLU(),
        View(16, 4, 4),
        nn.ConvTranspose2d(16, 8, 5, 2, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 3, 5, 2, 2, 1, bias=False),
        nn.Tanh(),
    )


def info_gan_generator() -> nn.Module:
    """Two linear layers, each with its normalisation, then 4s2p1 from 7x7."""
    return nn.Sequential(
        nn.Linear(12, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Linear(32, 8 * 49),
        nn.BatchNorm1d(8 * 49),
        nn.ReLU(),
        View(8, 7, 7),
        nn.ConvTranspose2d(8, 8, 4, 2, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 1, 4, 2, 1),
        nn.Sigmoid(),
    )


def info_gan_discriminator() -> nn.Module:
    """Convolutions, a hidden linear layer, one unit; on pictures in [0, 1]."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 12, 4, 2, 1),
        nn.BatchNorm2d(12),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(12 * 49, 32),
        nn.BatchNorm1d(32),
        nn.LeakyReLU(0.2),
        nn.Linear(32, 1),
        nn.Flatten(0),
    )


def extra_layers_generator() -> nn.Module:
    """Strided layers with refining ones between, and an ordinary convolution at the end."""
    return nn.Sequential(
        View(12, 1, 1),
        nn.ConvTranspose2d(12, 16, 4, 1, 0, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 16, 3, 1, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 6, 4, 2, 1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 3, 3, 1, 1),
        nn.Tanh(),
    )


def threes_generator() -> nn.Module:
    """Kernel 3 with stride 2 and output padding, between layers of stride 1."""
    return nn.Sequential(
        View(12, 1, 1),
        nn.ConvTranspose2d(12, 16, 4, 1, 0),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 12, 3, 2, 1, 1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.ConvTranspose2d(12, 12, 3, 1, 1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.ConvTranspose2d(12, 1, 3, 2, 1, 1),
        nn.Tanh(),
    )


def norm_last_generator() -> nn.Module:
    """Normalisation after the activation."""
    return nn.Sequential(
        View(12, 1, 1),
        nn.ConvTranspose2d(12, 16, 4, 1, 0),
        nn.ReLU(),
        nn.BatchNorm2d(16),
        nn.ConvTranspose2d(16, 12, 4, 2, 1),
        nn.ReLU(),
        nn.BatchNorm2d(12),
        nn.ConvTranspose2d(12, 3, 4, 2, 1),
        nn.Tanh(),
    )


def floored_generator() -> nn.Module:
    """4x4 to 7x7 by 3s2p1, then doubled twice: 28x28."""
    return nn.Sequential(
        View(12, 1, 1),
        nn.ConvTranspose2d(12, 16, 4, 1, 0, bias=False),
        nn.BatchNorm2d(16),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(16, 12, 3, 2, 1, bias=False),
        nn.BatchNorm2d(12),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(12, 8, 4, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
    )


def floored_discriminator() -> nn.Module:
    """28 → 14 → 7 → 3, the last by 3s2p0, and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 12, 4, 2, 1),
        nn.BatchNorm2d(12),
        nn.LeakyReLU(0.2),
        nn.Conv2d(12, 16, 3, 2, 0),
        nn.BatchNorm2d(16),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(16 * 9, 1),
        nn.Flatten(0),
    )


def twos_discriminator() -> nn.Module:
    """2x2 kernels without normalisation, with dropout."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 2, 2),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3),
        nn.Conv2d(8, 12, 2, 2),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(12 * 16, 1),
        nn.Flatten(0),
    )


def spectral_discriminator(norm: Callable[..., nn.Module]) -> nn.Module:
    return nn.Sequential(
        norm(nn.Conv2d(3, 8, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        norm(nn.Conv2d(8, 8, 3, 1, 1)),
        nn.LeakyReLU(0.2),
        norm(nn.Conv2d(8, 16, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        norm(nn.Linear(16 * 16, 1)),
        nn.Flatten(0),
    )


def wide_generator() -> nn.Module:
    """ngf * 16, ngf * 8, …: five doublings to 128x128."""
    widths = [16, 8, 6, 4, 4, 3]
    layers: list[nn.Module] = [View(12, 1, 1), nn.ConvTranspose2d(12, 16, 4, 1, 0, bias=False)]
    for before, after in pairwise(widths):
        layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, nn.Tanh())


@dataclass(frozen=True)
class Stranger:
    """A pair as somebody wrote it, and what an import must be told."""

    generator: Callable[[], nn.Module]
    discriminator: Callable[[], nn.Module] | None = None
    prior: str = "normal"
    asked: str = ""
    """Sentence by which import asks for the slope of its generator's rectifier, zero: eight maps hardly tell it."""


STRANGERS: dict[str, Stranger] = {
    "tutorial": Stranger(tutorial_generator, tutorial_discriminator),
    "tutorial, uniform z": Stranger(tutorial_generator, tutorial_discriminator, "uniform"),
    "tutorial, z in [0, 1]": Stranger(tutorial_generator, None, "unit"),
    "tutorial, alone": Stranger(tutorial_generator),
    "LeakyReLU in the generator": Stranger(
        lambda: tutorial_generator(lambda: nn.LeakyReLU(0.2)), tutorial_discriminator
    ),
    "LeakyReLU 0.1": Stranger(lambda: tutorial_generator(lambda: nn.LeakyReLU(0.1))),
    "ELU": Stranger(lambda: tutorial_generator(nn.ELU)),
    "no gains": Stranger(lambda: tutorial_generator(affine=False)),
    "Coursera": Stranger(Coursera, coursera_discriminator),
    "Coursera, alone": Stranger(Coursera),
    "Coursera's kernels, 16 pixels": Stranger(lambda: Coursera(1), lambda: coursera_discriminator(1)),
    "Udacity": Stranger(Udacity, UdacityDiscriminator, "uniform"),
    "Udacity, ReLU first": Stranger(lambda: Udacity(True), UdacityDiscriminator, "uniform"),
    "PyTorch-GAN": Stranger(PyTorchGan, PyTorchGanDiscriminator),
    "five by five": Stranger(keras_like_generator, None, "uniform"),
    "InfoGAN": Stranger(info_gan_generator, info_gan_discriminator),
    "refining layers": Stranger(extra_layers_generator, None, asked="16x16 or 32x32 pixels: .* give `size`"),
    "kernel 3": Stranger(threes_generator),
    "norm after the activation": Stranger(norm_last_generator, tutorial_discriminator),
    "floored": Stranger(floored_generator, floored_discriminator),
    "2x2 kernels": Stranger(tutorial_generator, twos_discriminator),
    "spectral norm": Stranger(tutorial_generator, lambda: spectral_discriminator(spectral_norm)),
    "spectral norm, parametrised": Stranger(
        tutorial_generator, lambda: spectral_discriminator(parametrizations.spectral_norm)
    ),
    "weight norm": Stranger(tutorial_generator, lambda: spectral_discriminator(weight_norm)),
    "weight norm, parametrised": Stranger(
        tutorial_generator,
        lambda: spectral_discriminator(parametrizations.weight_norm),
    ),
    "128 pixels": Stranger(wide_generator),
}
