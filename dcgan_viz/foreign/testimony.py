"""The checkpoint testifies: its running statistics are what its own layers produced when it was trained.

Each reading of the weights (prior, activation, order of layers, strides, …) is run on latents as in training, on batch
statistics, and what every normalisation then meets is compared with what the file says it met. Readings that agree less
fall away layer by layer, so that thousands of them cost little more than the few that remain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dcgan_viz.foreign.chains import Chain, Link, Norm
from dcgan_viz.foreign.geometry import Geometry
from dcgan_viz.foreign.knowledge import Step
from dcgan_viz.networks.modules import make_activation
from dcgan_viz.networks.spec import Activation

EXAMPLES, FEWEST = 512, 16
"""Latents, or pictures, on which readings are run, and to how few they go down where maps are large."""

VALUES, VALUES_FINALLY = 2**19, 2**22
"""Values of maps that a reading keeps, in the search among many and in the judgement among the last few."""

KEPT, KEPT_BLINDLY = 8, 48
"""Prefixes of readings that go on at once, after the first normalisation and before it."""

FITS = 0.1
"""Mean Hellinger distance up to which statistics are said to fit; right readings of published files have 0.005 to 0.03."""

TIED = 1.15, 0.004
"""Readings whose distance is at most so many times the best, or so much more, are not told apart."""

MOMENTUM = 0.1
"""By which PyTorch's running statistics move to each batch's, unless told otherwise."""


@dataclass(frozen=True)
class Habits:
    """What a network does that neither weights nor shapes tell.

    Parameters
    ----------
    activation : Activation
    slope : float
        Of a rectifier below zero.
    first_activated : bool
        Whether a generator's projection ends in the activation.
    norm_first : bool
        Whether normalisations come before activations.
    eps : float
        Of the normalisations; of the first one `first_eps`.
    first_eps : float
    source : str
        What the network reads: a prior, or a kind of pictures.
    """

    activation: Activation = "rectifier"
    slope: float = 0.0
    first_activated: bool = True
    norm_first: bool = True
    eps: float = 1e-5
    first_eps: float = 1e-5
    source: str = "normal"

    @property
    def unusual(self) -> float:
        """0 for what almost everybody does; decides between readings that the statistics do not tell apart."""
        rare = 0.0 if self.activation == "rectifier" and self.slope in (0.0, 0.2) else 0.3
        rare += 0.3 * (self.source in ("unit", "sigmoid"))
        return rare + 0.4 * (not self.first_activated) + 0.3 * (not self.norm_first) + 0.3 * (self.eps > 0.01)


@dataclass(frozen=True, eq=False)
class Reading:
    """One way to read weights.

    Parameters
    ----------
    chain : Chain
    geometry : Geometry
    habits : Habits
    """

    chain: Chain
    geometry: Geometry
    habits: Habits

    @property
    def unusual(self) -> float:
        """How far from what almost everybody does."""
        return self.habits.unusual + self.geometry.unusual


@dataclass(frozen=True)
class LayerFit:
    """How one layer's computed statistics compare with the stored ones.

    Parameters
    ----------
    layer : int
        Counted from 1.
    distance : float
        Hellinger distance of normal distributions, root mean square over maps: 0 alike, 1 apart.
    ratio : float
        Computed standard deviations over stored ones, geometric mean.
    """

    layer: int
    distance: float
    ratio: float


@dataclass(frozen=True)
class Verdict:
    """What the statistics say.

    Parameters
    ----------
    reading : Reading
        The most usual one of those that agree best.
    fits : tuple of LayerFit
        Of its layers that have a normalisation.
    tied : tuple of Reading
        All that agree as well, the chosen one first.
    rivals : tuple of (Reading, float)
        Others that were run to the end, with their distance.
    """

    reading: Reading
    fits: tuple[LayerFit, ...]
    tied: tuple[Reading, ...]
    rivals: tuple[tuple[Reading, float], ...] = ()

    @property
    def distance(self) -> float | None:
        """Mean distance over layers; None where nothing is normalised."""
        return sum(f.distance for f in self.fits) / len(self.fits) if self.fits else None

    @property
    def finalists(self) -> tuple[Reading, ...]:
        """All that were run to the end."""
        return (*self.tied, *(reading for reading, _ in self.rivals))

    @property
    def agrees(self) -> bool:
        """Whether the statistics are there and fit."""
        return self.distance is not None and self.distance <= FITS

    def decided(self, value: Callable[[Reading], Hashable]) -> bool:
        """Whether all readings that agree as well have the same value."""
        return self.distance is not None and len({value(r) for r in self.tied}) == 1


@dataclass(eq=False)
class _Branch:
    """Readings that are the same so far."""

    readings: list[Reading]
    maps: Tensor
    fits: tuple[LayerFit, ...]

    @property
    def distance(self) -> float:
        return sum(f.distance for f in self.fits) / max(len(self.fits), 1)


@dataclass(frozen=True)
class Layers:
    """How the layers of a reading are run, for one side.

    Parameters
    ----------
    key : callable
        From a reading and a number to what is equal for readings whose layer of this number does the same.
    layer : callable
        From a reading and a number to the `Layer`.
    """

    key: Callable[[Reading, int], Hashable]
    layer: Callable[[Reading, int], Layer]


@torch.no_grad()
def judge(
    readings: Sequence[Reading], inputs: Callable[[str], Tensor], layers: Layers, values: int = VALUES
) -> Verdict:
    """Run readings layer by layer, and keep those that agree best with the stored statistics.

    Parameters
    ----------
    readings : sequence of Reading
        Not empty, of chains of the same length.
    inputs : callable
        From a source's name to what the network reads, (N, …).
    layers : Layers
    values : int
        Of maps that each keeps: on how many examples deep layers are run.

    Returns
    -------
    Verdict
    """
    by_source: dict[str, list[Reading]] = {}
    for reading in readings:
        by_source.setdefault(reading.habits.source, []).append(reading)
    branches = [_Branch(group, inputs(source), ()) for source, group in by_source.items()]
    last = max(
        (k for r in readings for k, n in enumerate(r.chain) if n.norm is not None and n.norm.measured), default=-1
    )
    for number in range(last + 1):
        branches = _pruned([b for branch in branches for b in _split(branch, number, layers, values)])
    return _verdict(branches)


@dataclass(frozen=True)
class Layer:
    """One layer of a reading.

    Parameters
    ----------
    link : Link
    run : callable
        From what the layer reads to what its weights make of it.
    activation : Activation or None
    slope : float
    norm_first : bool
    eps : float
    values : int
        Numbers that it writes for one example.
    """

    link: Link
    run: Callable[[Tensor], Tensor]
    activation: Activation | None
    slope: float
    norm_first: bool
    eps: float
    values: int

    def __call__(self, maps: Tensor) -> tuple[Tensor, tuple[float, float] | None]:
        """What the layer writes on batch statistics, and distance and ratio of these to the stored ones."""
        maps = self.run(maps)
        fit = None
        if not self.norm_first:
            maps = self._activated(maps)
        if self.link.norm is not None:
            maps, fit = normalised(maps, self.link.norm, self.eps)
        if self.norm_first:
            maps = self._activated(maps)
        return maps, fit

    def _activated(self, maps: Tensor) -> Tensor:
        return maps if self.activation is None else make_activation(self.activation, self.slope)(maps)


def normalised(maps: Tensor, norm: Norm, eps: float) -> tuple[Tensor, tuple[float, float]]:
    """Maps (N, C, …) normalised on their own statistics, and how these compare with the stored ones.

    A normalisation of as many numbers as maps have units treats each unit on its own.
    """
    shape = maps.shape
    if norm.width != shape[1]:
        maps = maps.flatten(1)
    axes = [0, *range(2, maps.ndim)]
    view = (1, -1, *[1] * (maps.ndim - 2))
    variance, mean = torch.var_mean(maps, axes, correction=0)
    fit = _compare(mean, variance, norm)
    maps = (maps - mean.view(view)) * (variance + eps).rsqrt().view(view)
    return (maps * norm.gain.view(view) + norm.shift.view(view)).view(shape), fit


def _compare(mean: Tensor, variance: Tensor, norm: Norm) -> tuple[float, float]:
    """Hellinger distance (root mean square over maps) and ratio of deviations (geometric mean)."""
    mean, variance = mean.double(), variance.double().clamp(min=1e-20)
    if norm.batches is not None and norm.batches > 0:
        # Running statistics start at 0 and 1, and have moved to the batches' only so far.
        moved = 1 - (1 - MOMENTUM) ** norm.batches
        mean, variance = moved * mean, moved * variance + (1 - moved)
    stored, expected = norm.variance.double().clamp(min=1e-20), norm.mean.double()
    total = variance + stored
    overlap = (2 * (variance * stored).sqrt() / total).sqrt() * torch.exp(-((mean - expected) ** 2) / (4 * total))
    ratio = math.exp(0.5 * (variance / stored).log().median().item())
    return (1 - overlap).clamp(min=0).mean().sqrt().item(), ratio


def _split(branch: _Branch, number: int, layers: Layers, values: int) -> list[_Branch]:
    """A branch one layer further, divided by what its readings do there."""
    groups: dict[Hashable, list[Reading]] = {}
    for reading in branch.readings:
        groups.setdefault(layers.key(reading, number), []).append(reading)
    further = []
    for group in groups.values():
        layer = layers.layer(group[0], number)
        maps, fit = layer(branch.maps[: max(values // layer.values, FEWEST)])
        fits = branch.fits if fit is None else (*branch.fits, LayerFit(number + 1, *fit))
        further.append(_Branch(group, maps, fits))
    return further


def _pruned(branches: list[_Branch]) -> list[_Branch]:
    """The branches that agree best so far, and of many that agree alike the most usual."""
    best = min(branch.distance for branch in branches)
    near = [branch for branch in branches if branch.distance <= 1.5 * best + 0.02]
    near.sort(key=lambda b: (round(b.distance, 2), min(r.unusual for r in b.readings)))
    return near[: KEPT if near[0].fits else KEPT_BLINDLY]


def _verdict(branches: list[_Branch]) -> Verdict:
    best = min(branch.distance for branch in branches)
    tied = [b for b in branches if b.distance <= max(TIED[0] * best, best + TIED[1])]
    # Readings of one unusualness keep the order in which they were given.
    ranked = sorted(((r.unusual, r, b) for b in tied for r in b.readings), key=lambda item: item[0])
    _, chosen, branch = ranked[0]
    others = [b for b in branches if b not in tied]
    rivals = tuple((min(b.readings, key=lambda r: r.unusual), b.distance) for b in others)
    return Verdict(chosen, branch.fits, tuple(r for _, r, _ in ranked), rivals)


def _generator_key(reading: Reading, number: int) -> Hashable:
    habits, link = reading.habits, reading.chain[number]
    own = habits.first_activated if number == 0 else habits.eps
    shared = habits.first_eps, habits.norm_first, habits.activation, habits.slope
    return id(link.weight), link.norm, reading.geometry.steps[number], own, shared


def _generator_layer(reading: Reading, number: int) -> Layer:
    habits, link, step = reading.habits, reading.chain[number], reading.geometry.steps[number]
    activated = habits.first_activated or number > 0
    maps, side = _maps_and_side(reading, number)
    return Layer(
        link,
        _generator_run(link, step, number, maps, side),
        habits.activation if activated else None,
        habits.slope,
        habits.norm_first,
        habits.eps if number else habits.first_eps,
        maps * side**2,
    )


def _maps_and_side(reading: Reading, number: int) -> tuple[int, int]:
    """Maps that a linear layer's units are folded into, and their side."""
    link = reading.chain[number]
    side = reading.geometry.sizes[number]
    return (link.weight.shape[0] // side**2 if link.linear else link.weight.shape[1]), side


def _generator_run(link: Link, step: Step, number: int, maps: int, side: int) -> Callable[[Tensor], Tensor]:
    def run(inputs: Tensor) -> Tensor:
        if link.linear:
            return functional.linear(inputs.flatten(1), link.weight, link.bias).unflatten(1, (maps, side, side))
        if number == 0:
            inputs = inputs[:, :, None, None]
        if step.upsample > 1:
            inputs = functional.interpolate(inputs, scale_factor=step.upsample, mode="nearest")
        return functional.conv_transpose2d(
            inputs, link.weight, link.bias, step.stride, step.padding, step.output_padding
        )

    return run


def _step(reading: Reading, number: int) -> Step | None:
    steps = reading.geometry.steps
    return steps[number] if number < len(steps) else None


def _discriminator_key(reading: Reading, number: int) -> Hashable:
    link = reading.chain[number]
    return id(link.weight), link.norm, _step(reading, number), reading.habits


def _discriminator_layer(reading: Reading, number: int) -> Layer:
    habits, link = reading.habits, reading.chain[number]
    step = _step(reading, number)
    side = 1 if step is None or link.linear else reading.geometry.sizes[number + 1]
    run = _discriminator_run(link, step)
    values = len(link.weight) * side**2
    return Layer(link, run, habits.activation, habits.slope, habits.norm_first, habits.eps, values)


def _discriminator_run(link: Link, step: Step | None) -> Callable[[Tensor], Tensor]:
    def run(inputs: Tensor) -> Tensor:
        if link.linear or step is None:
            return functional.linear(inputs.flatten(1), link.weight, link.bias)
        return functional.conv2d(inputs, link.weight, link.bias, step.stride, step.padding)

    return run


GENERATOR = Layers(_generator_key, _generator_layer)
DISCRIMINATOR = Layers(_discriminator_key, _discriminator_layer)
