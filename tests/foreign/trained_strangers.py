"""Pairs as repositories and tutorials write them, odd names and all, trained for a few dozen batches.

What each needs to be imported is beside it: nothing, for most. Widths are small, everything else is as published.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LATENT = 10


class AnimeG(nn.Module):
    """chenyuntc's book: 96 pixels, since the last layer triples them by 5s3p1."""

    def __init__(self, nz: int = LATENT, ngf: int = 4) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 8, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 8),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, 3, 5, 3, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.main(z[:, :, None, None])


class AnimeD(nn.Module):
    def __init__(self, ndf: int = 4) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(3, ndf, 5, 3, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 4),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 4, 1, 4, 1, 0, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x).flatten()


class BlocksG(nn.Module):
    """Blocks of three, and a last convolution with its bias."""

    def __init__(self, f: int = 3, norm: Callable[[nn.Module], nn.Module] = lambda m: m) -> None:
        super().__init__()
        self.norm = norm
        self.net = nn.Sequential(
            self._block(LATENT, f * 8, 4, 1, 0),
            self._block(f * 8, f * 4, 4, 2, 1),
            self._block(f * 4, f * 2, 4, 2, 1),
            nn.ConvTranspose2d(f * 2, 3, kernel_size=4, stride=2, padding=1),
            nn.Tanh(),
        )

    def _block(self, i: int, o: int, k: int, s: int, p: int) -> nn.Module:
        convolution = self.norm(nn.ConvTranspose2d(i, o, k, s, p, bias=False))
        return nn.Sequential(convolution, nn.BatchNorm2d(o), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.view(-1, LATENT, 1, 1))


class BlocksD(nn.Module):
    """Its last convolution has stride 2 on 4x4 maps."""

    def __init__(self, f: int = 4, norm: Callable[[nn.Module], nn.Module] = lambda m: m) -> None:
        super().__init__()
        self.norm = norm
        self.disc = nn.Sequential(
            norm(nn.Conv2d(3, f, kernel_size=4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            self._block(f, f * 2, 4, 2, 1),
            self._block(f * 2, f * 4, 4, 2, 1),
            norm(nn.Conv2d(f * 4, 1, kernel_size=4, stride=2, padding=0)),
            nn.Sigmoid(),
        )

    def _block(self, i: int, o: int, k: int, s: int, p: int) -> nn.Module:
        return nn.Sequential(self.norm(nn.Conv2d(i, o, k, s, p, bias=False)), nn.BatchNorm2d(o), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> Tensor:
        return self.disc(x).flatten()


class FlatG(nn.Module):
    """deconv1, deconv1_bn, …, with functional activations and biases."""

    def __init__(self, d: int = 4) -> None:
        super().__init__()
        self.deconv1 = nn.ConvTranspose2d(LATENT, d * 8, 4, 1, 0)
        self.deconv1_bn = nn.BatchNorm2d(d * 8)
        self.deconv2 = nn.ConvTranspose2d(d * 8, d * 4, 4, 2, 1)
        self.deconv2_bn = nn.BatchNorm2d(d * 4)
        self.deconv3 = nn.ConvTranspose2d(d * 4, d * 2, 4, 2, 1)
        self.deconv3_bn = nn.BatchNorm2d(d * 2)
        self.deconv4 = nn.ConvTranspose2d(d * 2, 1, 4, 2, 1)

    def forward(self, input: Tensor) -> Tensor:
        x = functional.relu(self.deconv1_bn(self.deconv1(input.view(-1, LATENT, 1, 1))))
        x = functional.relu(self.deconv2_bn(self.deconv2(x)))
        x = functional.relu(self.deconv3_bn(self.deconv3(x)))
        return torch.tanh(self.deconv4(x))


class FlatD(nn.Module):
    def __init__(self, d: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, d, 4, 2, 1)
        self.conv2 = nn.Conv2d(d, d * 2, 4, 2, 1)
        self.conv2_bn = nn.BatchNorm2d(d * 2)
        self.conv3 = nn.Conv2d(d * 2, d * 4, 4, 2, 1)
        self.conv3_bn = nn.BatchNorm2d(d * 4)
        self.conv4 = nn.Conv2d(d * 4, 1, 4, 1, 0)

    def forward(self, input: Tensor) -> Tensor:
        x = functional.leaky_relu(self.conv1(input), 0.2)
        x = functional.leaky_relu(self.conv2_bn(self.conv2(x)), 0.2)
        x = functional.leaky_relu(self.conv3_bn(self.conv3(x)), 0.2)
        return torch.sigmoid(self.conv4(x)).flatten()


class SevenG(nn.Module):
    """7x7 at once, then doubled twice: MNIST."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(nn.ConvTranspose2d(LATENT, 24, 7, 1, 0, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.layer2 = nn.Sequential(nn.ConvTranspose2d(24, 12, 4, 2, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        self.layer3 = nn.Sequential(nn.ConvTranspose2d(12, 1, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.layer3(self.layer2(self.layer1(x[:, :, None, None])))


class SevenD(nn.Module):
    """28 → 14 → 7 → 3, floored, and a 3x3 kernel over what is left."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(1, 6, 4, 2, 1, bias=False), nn.LeakyReLU(0.2))
        self.layer2 = nn.Sequential(nn.Conv2d(6, 12, 4, 2, 1, bias=False), nn.BatchNorm2d(12), nn.LeakyReLU(0.2))
        self.layer3 = nn.Sequential(nn.Conv2d(12, 24, 4, 2, 1, bias=False), nn.BatchNorm2d(24), nn.LeakyReLU(0.2))
        self.layer4 = nn.Sequential(nn.Conv2d(24, 1, 3, 1, 0, bias=False), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).view(-1)


class TwosG(nn.Module):
    """2x2 kernels of stride 2, from 4x4."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.ConvTranspose2d(LATENT, 24, 4)
        self.a_n = nn.BatchNorm2d(24)
        self.b = nn.ConvTranspose2d(24, 16, 2, 2)
        self.b_n = nn.BatchNorm2d(16)
        self.c = nn.ConvTranspose2d(16, 8, 2, 2)
        self.c_n = nn.BatchNorm2d(8)
        self.d = nn.ConvTranspose2d(8, 3, 2, 2)

    def forward(self, z: Tensor) -> Tensor:
        x = z.unflatten(1, (-1, 1, 1))
        for layer, norm in ((self.a, self.a_n), (self.b, self.b_n), (self.c, self.c_n)):
            x = norm(layer(x)).relu()
        return self.d(x).tanh()


class EmbeddedG(nn.Module):
    """Conditional by an embedding of the label that is multiplied to z."""

    def __init__(self) -> None:
        super().__init__()
        self.label_emb = nn.Embedding(5, LATENT)
        self.body = BlocksG()

    def forward(self, z: Tensor) -> Tensor:
        return self.body(z * self.label_emb.weight[0])


class TwoBranchG(nn.Module):
    """Conditional by a second first layer whose maps are put beside those of z."""

    def __init__(self) -> None:
        super().__init__()
        self.deconv1_1 = nn.ConvTranspose2d(LATENT, 12, 4, 1, 0)
        self.deconv1_1_bn = nn.BatchNorm2d(12)
        self.deconv1_2 = nn.ConvTranspose2d(5, 12, 4, 1, 0)
        self.deconv1_2_bn = nn.BatchNorm2d(12)
        self.deconv2 = nn.ConvTranspose2d(24, 12, 4, 2, 1)
        self.deconv2_bn = nn.BatchNorm2d(12)
        self.deconv3 = nn.ConvTranspose2d(12, 3, 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = functional.relu(self.deconv1_1_bn(self.deconv1_1(z[:, :, None, None])))
        y = functional.relu(self.deconv1_2_bn(self.deconv1_2(z[:, :5, None, None].sign())))
        return torch.tanh(self.deconv3(functional.relu(self.deconv2_bn(self.deconv2(torch.cat([x, y], 1))))))


class AttentionG(nn.Module):
    """Self-attention between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.l1 = nn.Sequential(nn.ConvTranspose2d(LATENT, 16, 4), nn.BatchNorm2d(16), nn.ReLU())
        self.query_conv = nn.Conv2d(16, 4, 1)
        self.key_conv = nn.Conv2d(16, 4, 1)
        self.value_conv = nn.Conv2d(16, 16, 1)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.l2 = nn.Sequential(nn.ConvTranspose2d(16, 3, 4, 2, 1), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        x = self.l1(z[:, :, None, None])
        weights = torch.softmax(self.query_conv(x).flatten(2).mT @ self.key_conv(x).flatten(2), -1)
        return self.l2(x + self.gamma * (self.value_conv(x).flatten(2) @ weights.mT).view_as(x))


class InstanceG(nn.Module):
    """Instance normalisation, of which a state dict has no entries."""

    def __init__(self) -> None:
        super().__init__()
        self.m = nn.Sequential(
            nn.ConvTranspose2d(LATENT, 16, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 12, 4, 2, 1),
            nn.InstanceNorm2d(12),
            nn.ReLU(),
            nn.ConvTranspose2d(12, 3, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.m(z[:, :, None, None])


def in_data_parallel(state: dict[str, Tensor]) -> dict[str, Any]:
    return {f"module.{n}": t for n, t in state.items()}


def checkpoint(state: dict[str, Tensor]) -> dict[str, Any]:
    return {
        "epoch": 20,
        "model_state_dict": state,
        "optimizer_state_dict": {"state": {}, "param_groups": []},
        "loss": 0.5,
    }


def plain(state: dict[str, Tensor]) -> dict[str, Any]:
    return state


@dataclass(frozen=True)
class Trained:
    """A pair, how it is trained and saved, and what import asks."""

    generator: Callable[[], nn.Module]
    discriminator: Callable[[], nn.Module]
    prior: str = "normal"
    saved: Callable[[dict[str, Tensor]], dict[str, Any]] = plain
    asked: str = ""
    """Sentence by which import asks for the slope of its rectifier, zero."""


TRAINED: dict[str, Trained] = {
    "anime, 5s3p1": Trained(AnimeG, AnimeD, asked="32x32 or 48x48 pixels: .* give `size`"),
    "flat, DataParallel": Trained(FlatG, FlatD, saved=in_data_parallel),
    "7x7 at once, checkpoint": Trained(SevenG, SevenD, saved=checkpoint),
    "2x2 kernels": Trained(TwosG, BlocksD),
}

REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "embedding": (EmbeddedG, "label_emb looks like an embedding of labels, so this network is conditional"),
    "two branches": (TwoBranchG, "do not follow one another"),
    "attention": (AttentionG, "gamma.* that a plain DCGAN has"),
    "instance norm": (InstanceG, "m.3 is a normalisation that keeps nothing"),
}


def pictures(count: int, channels: int, size: int) -> Tensor:
    """Bright blobs on dark ground, smooth as photographs are."""
    coarse = torch.rand(count, channels, 5, 5) * 2 - 1
    return functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(-1, 1)


def latents(prior: str, count: int) -> Tensor:
    return torch.randn(count, LATENT) if prior == "normal" else 2 * torch.rand(count, LATENT) - 1


def train(
    generator: nn.Module, discriminator: nn.Module, prior: str = "normal", output: str = "tanh", steps: int = 40
) -> None:
    """A few dozen steps of a GAN's training, batches of 24; afterwards in evaluation mode."""
    for network in (generator, discriminator):
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                nn.init.normal_(module.weight, 1, 0.02)
    optimisers = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in (generator, discriminator)]
    with torch.no_grad():
        channels, size = generator(latents(prior, 2)).shape[1:3]
    bounded = any(isinstance(m, nn.Sigmoid) for m in discriminator.modules()) or isinstance(discriminator, FlatD)
    loss = functional.binary_cross_entropy if bounded else functional.binary_cross_entropy_with_logits
    generator.train()
    discriminator.train()
    for _ in range(steps):
        real = pictures(24, channels, size)
        real = (real + 1) / 2 if output == "sigmoid" else real
        fake = generator(latents(prior, 24))
        scores = [discriminator(real).flatten(), discriminator(fake.detach()).flatten()]
        optimisers[1].zero_grad()
        (loss(scores[0], torch.ones(24)) + loss(scores[1], torch.zeros(24))).backward()
        optimisers[1].step()
        optimisers[0].zero_grad()
        loss(discriminator(fake).flatten(), torch.ones(24)).backward()
        optimisers[0].step()
    generator.eval()
    discriminator.eval()
