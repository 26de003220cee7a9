"""Generators of known truth, seeded: families that people write, and random ones, as training leaves them.

Weights are not those of an initialisation: kernels have a spectrum, gains and shifts and biases are spread, and weights move a
little while statistics are taken, as moving averages over a few dozen batches.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.candidates import ALIKE
from dcgan_viz.foreign.importing import import_pair
from dcgan_viz.foreign.weights import Weights

First = Literal["conv", "linear"]

STEPS = 60
"""Batches over which statistics are taken."""


@dataclass(frozen=True)
class Move:
    """A convolution: kernel, stride, padding, output padding, and how often it upsamples before; ``plain`` is `Conv2d`."""

    kernel: int
    stride: int = 2
    padding: int = 1
    more: int = 0
    upsample: int = 1
    plain: bool = False


@dataclass(frozen=True)
class Truth:
    """A generator, and how its statistics were taken.

    ``moves`` are those after the projection; ``side`` is the side that the projection writes; ``growth`` is the share by which
    all weights of a map move one way with each batch, as they do early in training.
    """

    moves: tuple[Move, ...]
    widths: tuple[int, ...] = (32, 24, 16)
    latent: int = 24
    side: int = 4
    first: First = "conv"
    first_norm: Literal["maps", "units", "none"] = "maps"
    first_activated: bool = True
    activation: str = "relu"
    slope: float = 0.0
    norm_first: bool = True
    eps: float = 1e-5
    first_eps: float = 1e-5
    prior: Literal["normal", "uniform", "unit", "labelled"] = "normal"
    bias: bool = False
    channels: int = 3
    batch: int = 32
    momentum: float = 0.1
    drift: float = 0.002
    scale: float = 1.0
    growth: float = 0.0


class Drawn(nn.Module):
    """The network that a truth describes, written out."""

    def __init__(self, truth: Truth) -> None:
        super().__init__()
        self.truth = truth
        widths = truth.widths
        if truth.first == "conv":
            self.first: nn.Module = nn.ConvTranspose2d(truth.latent, widths[0], truth.side, 1, 0, bias=truth.bias)
        else:
            self.first = nn.Linear(truth.latent, widths[0] * truth.side**2, bias=truth.bias)
        kind = {"maps": nn.BatchNorm2d, "units": nn.BatchNorm1d}.get(truth.first_norm)
        units = widths[0] * (truth.side**2 if truth.first_norm == "units" else 1)
        self.first_norm = None if kind is None else kind(units, eps=truth.first_eps, momentum=truth.momentum)
        self.body = nn.ModuleList()
        for k, move in enumerate(truth.moves):
            last = k == len(truth.moves) - 1
            before, after = widths[k], truth.channels if last else widths[k + 1]
            if move.plain:
                layer: nn.Module = nn.Conv2d(before, after, move.kernel, 1, move.padding, bias=truth.bias or last)
            else:
                numbers = move.kernel, move.stride, move.padding, move.more
                layer = nn.ConvTranspose2d(before, after, *numbers, bias=truth.bias)
            self.body.append(layer)
            if not last:
                self.body.append(nn.BatchNorm2d(after, eps=truth.eps, momentum=truth.momentum))

    def act(self, x: Tensor) -> Tensor:
        if self.truth.activation == "relu":
            return functional.leaky_relu(x, self.truth.slope)
        kinds = {"elu": functional.elu, "selu": functional.selu, "tanh": torch.tanh, "silu": functional.silu}
        return kinds[self.truth.activation](x)

    def ended(self, x: Tensor, norm: nn.Module | None, activated: bool) -> Tensor:
        for part in ("norm", "act") if self.truth.norm_first else ("act", "norm"):
            if part == "norm" and norm is not None:
                x = norm(x)
            if part == "act" and activated:
                x = self.act(x)
        return x

    def forward(self, z: Tensor) -> Tensor:
        truth = self.truth
        x = self.first(z if truth.first == "linear" else z[:, :, None, None])
        shape = (len(z), truth.widths[0], truth.side, truth.side)
        x = x if truth.first_norm == "units" else x.view(shape)
        x = self.ended(x, self.first_norm, truth.first_activated).view(shape)
        for k, move in enumerate(truth.moves):
            if move.upsample > 1:
                x = functional.interpolate(x, scale_factor=move.upsample)
            x = self.body[2 * k](x)
            if k < len(truth.moves) - 1:
                x = self.ended(x, self.body[2 * k + 1], True)
        return torch.tanh(x)


def drawn(prior: str, count: int, latent: int) -> Tensor:
    """Latents (count, latent) of a prior."""
    if prior == "normal":
        return torch.randn(count, latent)
    if prior == "labelled":
        labels = torch.eye(10)[torch.randint(10, (count,))]
        return torch.cat([torch.randn(count, latent - 10), labels], 1)
    z = torch.rand(count, latent)
    return z if prior == "unit" else 2 * z - 1


@torch.no_grad()
def trained(truth: Truth, seed: int = 0) -> Drawn:
    """The network as training leaves it, in evaluation mode."""
    torch.manual_seed(seed)
    network = Drawn(truth)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            weight = module.weight
            rows = weight.flatten(1)
            # A spectrum that falls off, as training makes it, and maps that differ in strength.
            u, _, v = torch.linalg.svd(torch.randn_like(rows), full_matrices=False)
            spectrum = torch.arange(1, u.shape[1] + 1).float().pow(-0.5)
            rows = (u * spectrum) @ v
            strength = torch.exp(0.3 * torch.randn(weight.shape[1] if weight.ndim == 4 else weight.shape[0]))
            rows = rows.view_as(weight)
            rows = rows * (strength.view(1, -1, 1, 1) if weight.ndim == 4 else strength[:, None])
            smooth = rows if weight.ndim == 2 or weight.shape[-1] < 3 else 0.5 * rows + 0.5 * rows.mean((2, 3), True)
            weight.copy_(0.03 * truth.scale * smooth / smooth.std())
            if module.bias is not None:
                nn.init.normal_(module.bias, 0, 0.03)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.weight.copy_(torch.exp(0.25 * torch.randn_like(module.weight)))
            nn.init.normal_(module.bias, -0.1, 0.3)
    # What training ends with is the latest; what came before lay a random walk away.
    trends = [_trend(p) if truth.growth else torch.zeros_like(p) for p in network.parameters()]
    final = [p + trend for p, trend in zip(network.parameters(), trends, strict=True)]
    walk = [truth.drift * p.std(correction=0) * torch.randn(STEPS, *p.shape).cumsum(0) for p in final]
    for moved, trend in zip(walk, trends, strict=True):
        moved += truth.growth * trend * torch.arange(STEPS).view(-1, *[1] * trend.ndim)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    network.train()
    for step in range(STEPS):
        for parameter, last, moved in zip(network.parameters(), final, walk, strict=True):
            parameter.copy_(last + moved[step] - moved[-1])
        for norm in norms:
            # Long before, it has forgotten where it began.
            norm.momentum = truth.momentum if step else 1.0
        network(drawn(truth.prior, truth.batch, truth.latent))
    for norm in norms:
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.fill_(5000)
    return network.eval()


def _trend(parameter: Tensor) -> Tensor:
    """Where all weights of a map go that reads what is never negative: one way."""
    if parameter.ndim < 2:
        return torch.zeros_like(parameter)
    maps = (1, -1, 1, 1) if parameter.ndim == 4 else (-1, 1)
    alike = torch.randn(parameter.shape[1 if parameter.ndim == 4 else 0]).view(maps)
    return (0.5 * parameter.std() * alike).expand_as(parameter)


_FOUR = (Move(4), Move(4), Move(4))
_UP = Move(3, 1, 1, upsample=2, plain=True)
_REFINE = Move(3, 1, 1, plain=True)
_GAN = Truth(
    (_UP, _UP, _REFINE), (24, 24, 16), first="linear", first_activated=False, slope=0.2, eps=0.8, bias=True, side=7
)
_UDACITY = Truth(_FOUR, first="linear", first_norm="none", first_activated=False, prior="uniform", bias=True)
_FIVE = Move(5, 2, 2, 1)
_KERAS = Truth((_FIVE, _FIVE), (32, 16), first="linear", first_norm="units", slope=0.3, side=7, channels=1)

FAMILIES: dict[str, Truth] = {
    "tutorial": Truth(_FOUR),
    "tutorial, uniform": Truth(_FOUR, prior="uniform"),
    "tutorial, unit": Truth(_FOUR, prior="unit", batch=64),
    "tutorial, LeakyReLU 0.2": Truth(_FOUR, slope=0.2, batch=64),
    "tutorial, LeakyReLU 0.01": Truth(_FOUR, slope=0.01, batch=64),
    "tutorial, ELU": Truth(_FOUR, activation="elu"),
    "tutorial, norm last": Truth(_FOUR, norm_first=False, bias=True),
    "tutorial, norm last, LeakyReLU 0.2": Truth(_FOUR, norm_first=False, slope=0.2, bias=True, prior="uniform"),
    "tutorial, eps 0.8": Truth(_FOUR, eps=0.8, first_eps=0.8, slope=0.2),
    "tutorial, eps 1e-3": Truth(_FOUR, eps=1e-3, first_eps=1e-3),
    "tutorial, batches of 16": Truth(_FOUR, batch=16, drift=0.004),
    "tutorial, nothing after the projection": Truth(_FOUR, first_activated=False),
    "tutorial, 64 pixels": Truth((*_FOUR, Move(4)), (48, 32, 16, 8)),
    "Coursera": Truth((Move(4, 1, 0), Move(3, 2, 0), Move(4, 2, 0)), side=3, bias=True, channels=1),
    "Udacity": _UDACITY,
    "Udacity, ReLU first": replace(_UDACITY, first_activated=True),
    "Udacity, LeakyReLU 0.2": replace(_UDACITY, first_activated=True, slope=0.2, prior="normal"),
    "a convolution without norm first": Truth(_FOUR, first_norm="none", bias=True),
    "PyTorch-GAN": _GAN,
    "PyTorch-GAN, batches of 64": replace(_GAN, batch=64, prior="uniform"),
    "PyTorch-GAN, ReLU": replace(_GAN, slope=0.0, side=8),
    "PyTorch-GAN, eps 1e-5": replace(_GAN, eps=1e-5),
    "Keras-like": _KERAS,
    "Keras-like, uniform": replace(_KERAS, prior="uniform", slope=0.2, eps=1e-3, first_eps=1e-3),
    "Keras-like, momentum 0.01": replace(_KERAS, momentum=0.01),
    "the paper's": Truth((_FIVE, _FIVE, _FIVE), first="linear", first_norm="units", prior="uniform"),
    "Keras-GAN": replace(_GAN, slope=0.0, eps=1e-5, first_norm="none", first_activated=True),
    "7x7 at once, early in training": Truth((Move(4), Move(4)), (48, 24), side=7, channels=1, batch=64, growth=0.012),
    "tutorial, early in training": Truth((*_FOUR, Move(4)), (48, 32, 16, 8), batch=64, growth=0.006),
    "7x7 at once": Truth((Move(4), Move(4)), (32, 16), side=7, channels=1),
    "anime, 5s3p1": Truth((*_FOUR, Move(5, 3, 1)), (32, 24, 16, 8)),
    "2x2 kernels": Truth((Move(2, 2, 0), Move(2, 2, 0), Move(2, 2, 0))),
    "floored": Truth((Move(3, 2, 1), Move(4), Move(4)), slope=0.2, channels=1),
    "refining": Truth((Move(3, 1, 1), Move(4), Move(4), _REFINE), (32, 24, 16, 12)),
    "kernel 6": Truth((Move(6, 2, 2), Move(6, 2, 2), Move(6, 2, 2)), prior="uniform", bias=True),
}
"""What people publish, small."""


def random_truth(seed: int) -> Truth:
    """A generator of parts that people use, put together at random, that ends in pictures of 28 to 64 pixels."""
    random = np.random.default_rng([7, seed])

    def pick(*options: object) -> object:
        return options[int(random.integers(len(options)))]

    kinds = [Move(4), Move(4), Move(5, 2, 2, 1), Move(3, 2, 1, 1), Move(6, 2, 2), Move(2, 2, 0), _UP]
    fillers = [Move(3, 1, 1), Move(5, 1, 2), _REFINE]
    odd = [Move(3, 2, 0), Move(4, 2, 0), Move(3, 2, 1), Move(4, 1, 0), Move(3, 1, 0), Move(5, 2, 1), Move(5, 2, 2)]
    while True:
        side = int(pick(3, 4, 4, 7, 8))  # type: ignore[call-overload]
        kind = pick(*kinds)
        moves = [kind if random.random() < 0.7 else pick(*kinds) for _ in range(int(random.integers(2, 4)))]
        if random.random() < 0.4:
            moves.insert(int(random.integers(len(moves))), pick(*fillers))
        if random.random() < 0.3:
            moves[int(random.integers(len(moves) - 1))] = pick(*odd)
        sizes = [side]
        for move in moves:
            assert isinstance(move, Move)
            n = sizes[-1] * move.upsample
            sizes.append((n - 1) * move.stride - 2 * move.padding + move.kernel + move.more if not move.plain else n)
        if sizes[-1] in (28, 32, 64) and min(sizes) > 1:
            break
    first = pick("conv", "linear")
    slope, activation = pick((0.0, "relu"), (0.0, "relu"), (0.2, "relu"), (0.2, "relu"), (0.1, "relu"), (0.0, "elu"))  # type: ignore[misc]
    eps = float(pick(1e-5, 1e-5, 1e-5, 1e-3, 0.8))  # type: ignore[arg-type]
    first_norm = pick("maps", "maps", "none", "units" if first == "linear" else "maps")
    top = int(pick(24, 32, 48))  # type: ignore[call-overload]
    return Truth(
        tuple(m for m in moves if isinstance(m, Move)),
        tuple(max(top * 3 ** (-k) * 2**k, 8).__int__() for k in range(len(moves))),
        latent=int(pick(16, 24, 50)),  # type: ignore[call-overload]
        side=side,
        first=first,  # type: ignore[arg-type]
        first_norm=first_norm,  # type: ignore[arg-type]
        first_activated=bool(random.random() < 0.75),
        activation=str(activation),
        slope=float(slope),
        norm_first=bool(random.random() < 0.8),
        eps=eps,
        first_eps=float(pick(eps, 1e-5)),  # type: ignore[arg-type]
        prior=pick("normal", "normal", "uniform", "unit") if random.random() < 0.9 else "uniform",  # type: ignore[arg-type]
        bias=bool(random.random() < 0.6),
        channels=int(pick(1, 3)),  # type: ignore[call-overload]
        batch=int(pick(16, 32, 64)),  # type: ignore[call-overload]
        drift=float(pick(0.0, 0.002, 0.004)),  # type: ignore[arg-type]
        scale=float(pick(0.7, 1.0, 2.0)),  # type: ignore[arg-type]
    )


def seed_of(name: str) -> int:
    """A seed of a name's own."""
    return zlib.crc32(name.encode()) % 2**31


def weights(truth: Truth, seed: int) -> tuple[Weights, Drawn]:
    """What its file would hold, and the network."""
    network = trained(truth, seed)
    return Weights({n: t.float() for n, t in network.state_dict().items()}, "here"), network


def assess(truth: Truth, seed: int) -> str:
    """What an import with nothing told makes of a network.

    "right" if it draws the same to 1e-4; "granted" if it draws the same to half a grey level on average, and says what it took
    for granted; "asked" if it names a parameter that settles it; "refused" if it names none; "wrong" otherwise.
    """
    file, network = weights(truth, seed)
    try:
        found = import_pair(file)
    except UserError as error:
        return "asked" if "`" in str(error) else "refused"
    z = drawn(truth.prior, 16, truth.latent)
    with torch.no_grad():
        theirs: Tensor = network(z)
        ours = found.generator(2 * z - 1 if truth.prior == "unit" else z)
    prior = "normal" if truth.prior == "normal" else "uniform"
    if found.generator.spec.prior != prior or ours.shape != theirs.shape:
        return "wrong"
    difference = (ours - theirs).abs()
    if difference.max() < 1e-4:
        return "right"
    said = any("a pixel would change" in what for what in found.told["generator"].granted)
    return "granted" if said and difference.mean() < ALIKE else "wrong"
