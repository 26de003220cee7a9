"""The checkpoint testifies: its running statistics are what its own layers produced when it was trained.

Each reading of the weights (prior, activation, order of layers, strides, …) is run on latents as in training, on batch
statistics, and what every normalisation then meets is compared with what the file says it met. Readings that agree less
fall away layer by layer, so that thousands of them cost little more than the few that remain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from dcgan_viz.foreign.chains import Chain, Link
from dcgan_viz.foreign.evidence import Evidence, examine, hellinger, roughly, weigh
from dcgan_viz.foreign.geometry import Geometry
from dcgan_viz.foreign.knowledge import Step
from dcgan_viz.networks.modules import make_activation
from dcgan_viz.networks.spec import Activation

EXAMPLES, FEWEST = 512, 32
"""Latents, or pictures, on which readings are run, and to how few they go down where maps are large."""

FIRST = 256
"""Examples on which the first normalisation is judged, at the least: what is odd of few latents is the same in all its units."""

BATCH = 64
"""Examples that a normalisation sees at once."""

VALUES = 2**18, 2**21, 2**24
"""Values of maps that a reading keeps: in the search, in the comparison of the last few, and where that tells no two apart."""

LOOKED_AT = 24
"""Readings of a layer that are run; of more, those are whose stored means agree best with what a mean input gives."""

KEPT, KEPT_BLINDLY = 24, 96
"""Prefixes of readings that go on at once, after the first normalisation and before it."""

LOST = 30.0, 20.0, 20.0
"""By how much less likely than the best a prefix falls away, as a logarithm."""

APART = 4.0
"""Logarithm of the odds, custom's and the statistics', at which a reading is told apart from the best: 55 to 1."""

CALM, LEAST_TRUST = 0.01, 1 / 3
"""Drift up to which maps are taken to move each on its own, and what power of the odds remains in the worst case."""

FITS = 0.08
"""Drift, in deviations of a map, up to which a reading is said to fit."""

STRAINED = 8.0
"""Strain of a layer up to which a reading is said to fit."""

RARE = 3.0
"""What unusualness of 1 takes from a reading's logarithmic odds."""


RARE_SLOPES = {0.0: 0.0, 0.2: 0.0, 0.01: 1.0, 0.1: 1.3, 0.05: 1.8}
"""How unusual rectifiers are, by their slope: 0.01 is what a LeakyReLU has of which nobody thought."""


LABELLED = 6.0
"""How unusual a label beside z is. Of many latents ten are a small part, which moves hardly more than chance does: what is a
label shows by far more than this."""


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

    @cached_property
    def unusual(self) -> float:
        """0 for what almost everybody does; decides between readings that the statistics do not tell apart."""
        rare = RARE_SLOPES.get(self.slope, 0.5) if self.activation == "rectifier" else 0.7
        rare += (
            2.5 * (1e-4 < self.eps <= 0.01)
            + 0.3 * (self.source in ("unit", "sigmoid"))
            + LABELLED * ("label" in self.source)
        )
        rare += 0.3 * (self.eps == 0.8) + 1.4 * (self.eps == 0.9)
        return rare + 0.4 * (not self.first_activated) + 0.3 * (not self.norm_first)


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

    @cached_property
    def unusual(self) -> float:
        """How far from what almost everybody does.

        The epsilon of 0.8 comes from one family of code, whose generators upsample: elsewhere it is as rare as any.
        """
        strided = not any(step.upsample > 1 for step in self.geometry.steps)
        return self.habits.unusual + self.geometry.unusual + 1.2 * (self.habits.eps == 0.8 and strided)

    @cached_property
    def key(self) -> Hashable:
        """What is equal where two readings are the same."""
        return id(self.chain), self.geometry, self.habits


@dataclass(frozen=True, eq=False)
class LayerFit:
    """How one layer's computed statistics compare with the stored ones.

    Parameters
    ----------
    layer : int
        Counted from 1.
    distance : float
        Hellinger distance of normal distributions, root mean square over maps: 0 alike, 1 apart.
    ratio : float
        Computed deviation over the stored one, median over maps.
    strain : float
        Squares of differences over what they should be, mean over maps: about 1 where a reading is right.
    stored, computed : Tensor (2, maps)
        Means and deviations.
    """

    layer: int
    distance: float
    ratio: float
    strain: float
    stored: Tensor
    computed: Tensor


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
        All that are not told apart, the chosen one first.
    alike : tuple of Reading
        Those of them that do the same as the chosen one wherever statistics are kept.
    rivals : tuple of (Reading, float)
        Others, the most usual of those that do the same, with the logarithm of the odds against each.
    considered : int
        Readings.
    drift : float, optional
        By how many deviations statistics must have moved while they were taken, if the reading is right.
    likelihood : float
        Of the statistics, if the reading is right, as a logarithm; but for a constant of the file.
    """

    reading: Reading
    fits: tuple[LayerFit, ...]
    tied: tuple[Reading, ...]
    alike: tuple[Reading, ...] = ()
    rivals: tuple[tuple[Reading, float], ...] = ()
    considered: int = 1
    drift: float | None = None
    likelihood: float = 0.0

    @property
    def distance(self) -> float | None:
        """Mean distance over layers; None where nothing is normalised."""
        return sum(f.distance for f in self.fits) / len(self.fits) if self.fits else None

    @property
    def agrees(self) -> bool:
        """Whether the statistics are there and fit."""
        return self.drift is not None and self.drift <= FITS and all(fit.strain <= STRAINED for fit in self.fits)

    @property
    def contradicted(self) -> bool:
        """Whether the statistics are there and do not fit."""
        return self.distance is not None and not self.agrees

    def decided(self, value: Callable[[Reading], Hashable]) -> bool:
        """Whether all readings that are not told apart have the same value."""
        return self.distance is not None and len({value(r) for r in self.tied}) == 1


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a reading.

    Parameters
    ----------
    link : Link
    move : Hashable
        What `run` does with the weights.
    run : callable
        From what the layer reads to what its weights make of it.
    activation : (Activation, float) or None
        With the slope below zero.
    norm_first : bool
    eps : float
    shape : tuple of int
        Of what it writes for one example.
    """

    link: Link
    move: Hashable
    run: Callable[[Tensor], Tensor]
    activation: tuple[Activation, float] | None
    norm_first: bool
    eps: float
    shape: tuple[int, ...]

    @property
    def _late(self) -> bool:
        """Whether its normalisation meets what the activation writes."""
        return self.link.norm is not None and not self.norm_first and self.activation is not None

    @property
    def produces(self) -> Hashable:
        """What is equal where the normalisation meets the same."""
        return id(self.link.weight), self.link.norm, self.move, self.activation if self._late else None

    @property
    def normalises(self) -> Hashable:
        """What is equal, beside `produces`, where the normalisation makes the same."""
        return self.eps if self.link.norm is not None else None

    @property
    def writes(self) -> Hashable:
        """What is equal, beside these, where the layer writes the same."""
        return self.activation, self._late

    def produced(self, inputs: Tensor) -> Tensor:
        """What the normalisation meets; what the weights make where there is none."""
        maps = self.run(inputs)
        return self._per_number(self._activated(maps) if self._late else maps)

    def normalised(self, produced: Tensor) -> Tensor:
        """What a layer's normalisation makes, on batch statistics as in training; what it is given where there is none."""
        norm = self.link.norm
        if norm is None:
            return produced
        batches = produced.unflatten(0, (-1, min(BATCH, len(produced))))
        axes = [1, *range(3, batches.ndim)]
        variance, mean = torch.var_mean(batches, axes, correction=0, keepdim=True)
        view = (-1, *[1] * (produced.ndim - 2))
        scale = (variance + self.eps).rsqrt() * norm.gain.view(view)
        return torch.addcmul(norm.shift.view(view) - mean * scale, batches, scale).flatten(0, 1)

    def written(self, normalised: Tensor) -> Tensor:
        """What the layer writes of that."""
        maps = normalised.reshape(len(normalised), *self.shape)
        return maps if self._late else self._activated(maps)

    def rough(self, inputs: Tensor, mean: Tensor) -> float:
        """Likelihood of the stored means, at little cost: what the weights make of a mean input is the mean."""
        assert self.link.norm is not None
        maps = self.produced(inputs[:16]) if self._late else self.produced(mean)
        return roughly(maps.flatten(2).mean((0, 2)) if maps.ndim > 2 else maps.mean(0), self.link.norm)

    def _per_number(self, maps: Tensor) -> Tensor:
        """A normalisation of as many numbers as maps have units treats each unit on its own."""
        norm = self.link.norm
        return maps if norm is None or norm.width == maps.shape[1] else maps.flatten(1)

    def _activated(self, maps: Tensor) -> Tensor:
        return maps if self.activation is None else make_activation(*self.activation)(maps)


Layers = Callable[[Reading, int], Layer]
"""From a reading and a number, counted from 0, to its layer."""


@dataclass(eq=False)
class _Branch:
    """Readings that are the same so far, up to what the last normalisation meets."""

    readings: list[Reading]
    maps: Tensor
    layer: Layer | None = None
    evidence: tuple[tuple[int, Evidence], ...] = ()
    score: float = 0.0

    @property
    def odds(self) -> float:
        return self.score - _rare(self.readings)


def _rare(readings: Sequence[Reading]) -> float:
    return RARE * min(r.unusual for r in readings)


@dataclass(eq=False)
class _Step:
    """A branch one layer further, before that layer is run."""

    branch: _Branch
    readings: list[Reading]
    inputs: Tensor
    mean: Tensor
    layer: Layer

    @property
    def promise(self) -> float:
        return self.branch.score - _rare(self.readings) + self.layer.rough(self.inputs, self.mean)

    def taken(self, number: int, values: int) -> _Branch:
        layer, branch = self.layer, self.branch
        count = _count(values // math.prod(layer.shape), len(self.inputs))
        if layer.link.norm is None or not layer.link.norm.measured:
            return _Branch(self.readings, layer.produced(self.inputs[:count]), layer, branch.evidence, branch.score)
        maps = layer.produced(self.inputs[: count if branch.evidence else max(count, FIRST)])
        evidence = (*branch.evidence, (number + 1, examine(maps, layer.link.norm)))
        score = branch.score + evidence[-1][1].rough_likelihood
        return _Branch(self.readings, maps[:count], layer, evidence, score)


def _count(wanted: int, there: int) -> int:
    """Examples that are run: whole batches."""
    count = min(max(wanted, FEWEST), there)
    return count if count < BATCH else count - count % BATCH


def weigh_readings(
    readings: Sequence[Reading],
    inputs: Callable[[str, int], Tensor],
    layers: Layers,
    varied: Callable[[Reading], Sequence[Reading]] = lambda reading: (reading,),
) -> Verdict:
    """Run readings layer by layer, and keep those that agree best with the stored statistics.

    The search runs on few examples, and whichever of many readings is closest on these is so by chance too: the last few
    are compared on more, and on others, and those that remain alike on still more.

    Parameters
    ----------
    readings : sequence of Reading
        Not empty, of chains of the same length.
    inputs : callable
        From a source's name, and the number of the turn (0 to 2), to what the network reads, (N, …).
    layers : callable
        From a reading and a number to its layer.
    varied : callable, optional
        From a reading to all that are compared where the search has found it: it, and those that are too many to be searched.

    Returns
    -------
    Verdict
    """
    found = _run(readings, inputs, layers, 0)
    searched = found
    if found[0].evidence:
        again = {v.key: v for branch in found for reading in branch.readings for v in varied(reading)}
        found = _run(list(again.values()), inputs, layers, 1)
        if len(near := _near(found)) > 1:
            found = _run([r for branch in near for r in branch.readings], inputs, layers, 2)
    verdict = _verdict(found, len(readings))
    kept = {reading.key for branch in found for reading in branch.readings}
    best = max(branch.odds for branch in searched)
    lost = tuple(
        (min(b.readings, key=lambda r: r.unusual), max(best - b.odds, LOST[-1]))
        for b in searched
        if not any(reading.key in kept for reading in b.readings)
    )
    return replace(verdict, rivals=(*verdict.rivals, *lost))


@torch.no_grad()
def _run(readings: Sequence[Reading], inputs: Callable[[str, int], Tensor], layers: Layers, turn: int) -> list[_Branch]:
    """Readings grouped by what they do where statistics are kept, those that agree best."""
    by_source: dict[str, list[Reading]] = {}
    for reading in readings:
        by_source.setdefault(reading.habits.source, []).append(reading)
    branches = [_Branch(group, inputs(source, turn)) for source, group in by_source.items()]
    last = max(
        (k for r in readings for k, n in enumerate(r.chain) if n.norm is not None and n.norm.measured), default=-1
    )
    for number in range(last + 1):
        steps = [step for branch in branches for step in _steps(branch, number, layers)]
        if len(steps) > LOOKED_AT and all(s.layer.link.norm is not None and s.layer.link.norm.measured for s in steps):
            steps = sorted(steps, key=lambda s: -s.promise)
            # The mean says little of what was read: of each source one is looked at.
            of_sources = {step.readings[0].habits.source: step for step in reversed(steps)}
            steps = [*dict.fromkeys((*steps[:LOOKED_AT], *of_sources.values()))]
        branches = _pruned([step.taken(number, VALUES[turn]) for step in steps], turn)
    return branches


def _groups(readings: list[Reading], key: Callable[[Reading], Hashable]) -> list[list[Reading]]:
    groups: dict[Hashable, list[Reading]] = {}
    for reading in readings:
        groups.setdefault(key(reading), []).append(reading)
    return list(groups.values())


def _steps(branch: _Branch, number: int, layers: Layers) -> Iterator[_Step]:
    """The ways on from a branch: first divided by what its last layer writes, then by what the next one produces."""
    for group, maps in _written(branch, number, layers):
        mean = maps.mean(0, keepdim=True)
        for further in _groups(group, lambda r: layers(r, number).produces):
            yield _Step(branch, further, maps, mean, layers(further[0], number))


def _written(branch: _Branch, number: int, layers: Layers) -> Iterator[tuple[list[Reading], Tensor]]:
    """What a branch's last layer writes, with the readings that write it; each normalisation is computed once."""
    if branch.layer is None:
        yield branch.readings, branch.maps
        return
    for alike in _groups(branch.readings, lambda r: layers(r, number - 1).normalises):
        normalised = layers(alike[0], number - 1).normalised(branch.maps)
        for group in _groups(alike, lambda r: layers(r, number - 1).writes):
            yield group, layers(group[0], number - 1).written(normalised)


def _near(branches: list[_Branch]) -> list[_Branch]:
    """Those that are not told apart from the best, or hardly."""
    best = max(branches, key=lambda branch: branch.odds)
    trust = _trust(weigh([evidence for _, evidence in best.evidence])[1])
    return [branch for branch in branches if branch.odds >= best.odds - APART - APART / trust]


def _trust(drift: float | None) -> float:
    """Power to which odds of statistics are raised whose weights have moved: maps move together, and count as fewer."""
    return 1.0 if drift is None else max(min(1.0, CALM / drift), LEAST_TRUST)


def _pruned(branches: list[_Branch], turn: int) -> list[_Branch]:
    """The branches that agree best so far, and of many that agree alike the most usual."""
    if turn and branches[0].evidence:
        for branch in branches:
            branch.score = weigh([evidence for _, evidence in branch.evidence])[0]
    # What is usual stays if it is near only with custom's odds: what comes later may be for it.
    score, odds = max(b.score for b in branches), max(b.odds for b in branches)
    near = [b for b in branches if b.score >= score - LOST[turn] or b.odds >= odds - LOST[turn]]
    near.sort(key=lambda b: -b.odds)
    return near[: KEPT if near[0].evidence else KEPT_BLINDLY]


def _verdict(branches: list[_Branch], considered: int) -> Verdict:
    weighed = [weigh([e for _, e in b.evidence]) if b.evidence else (0.0, None) for b in branches]
    trust = _trust(max(weighed, key=lambda each: each[0])[1])
    odds = [trust * score - _rare(branch.readings) for (score, _), branch in zip(weighed, branches, strict=True)]
    tied = [k for k, each in enumerate(odds) if each >= max(odds) - APART]
    # Readings of one unusualness keep the order in which they were given.
    ranked = sorted(
        ((trust * weighed[k][0] - RARE * r.unusual, r, k) for k in tied for r in branches[k].readings),
        key=lambda item: -item[0],
    )
    _, chosen, own = ranked[0]
    alike = tuple(r for _, r, k in ranked if k == own)
    rivals = [
        (min(b.readings, key=lambda r: r.unusual), odds[own] - odds[k]) for k, b in enumerate(branches) if k != own
    ]
    fits = tuple(
        LayerFit(number, hellinger(e), _ratio(e), e.strain(), e.stored, e.computed)
        for number, e in branches[own].evidence
    )
    tied_readings = tuple(r for _, r, _ in ranked)
    likelihood, drift = weighed[own]
    return Verdict(chosen, fits, tied_readings, alike, tuple(rivals), considered, drift, likelihood)


def _ratio(evidence: Evidence) -> float:
    return math.exp(-evidence.misfit[1].median().item())


def generator_layer(reading: Reading, number: int) -> Layer:
    """One layer of a generator's reading."""
    habits, link, step = reading.habits, reading.chain[number], reading.geometry.steps[number]
    activated = habits.first_activated or number > 0
    maps, side = _maps_and_side(reading, number)
    return Layer(
        link,
        (step, side if link.linear else 0),
        _generator_run(link, step, number, maps, side),
        (habits.activation, habits.slope) if activated else None,
        habits.norm_first,
        habits.eps if number else habits.first_eps,
        (maps, side, side),
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


def discriminator_layer(reading: Reading, number: int) -> Layer:
    """One layer of a discriminator's reading."""
    habits, link, steps = reading.habits, reading.chain[number], reading.geometry.steps
    step = steps[number] if number < len(steps) else None
    sides = () if step is None or link.linear else (reading.geometry.sizes[number + 1],) * 2
    run = _discriminator_run(link, step)
    activation = habits.activation, habits.slope
    return Layer(link, step, run, activation, habits.norm_first, habits.eps, (len(link.weight), *sides))


def _discriminator_run(link: Link, step: Step | None) -> Callable[[Tensor], Tensor]:
    def run(inputs: Tensor) -> Tensor:
        if link.linear or step is None:
            return functional.linear(inputs.flatten(1), link.weight, link.bias)
        return functional.conv2d(inputs, link.weight, link.bias, step.stride, step.padding)

    return run
