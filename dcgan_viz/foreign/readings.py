"""Which reading of a pair's weights is taken, and what of it was decided by what."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.chains import Chain, Chains, Side, find_chains
from dcgan_viz.foreign.geometry import Geometry, discriminator_geometries, generator_geometries
from dcgan_viz.foreign.knowledge import Knowledge, Source, Wishes
from dcgan_viz.foreign.testimony import (
    DISCRIMINATOR,
    EXAMPLES,
    GENERATOR,
    VALUES_FINALLY,
    Habits,
    Reading,
    Verdict,
    judge,
)
from dcgan_viz.foreign.weights import Weights
from dcgan_viz.model import draw_latents
from dcgan_viz.networks.spec import Prior

GEOMETRIES = 16
WIDER = 0.8
"""Rare readings are taken where their distance is so many times that of the usual ones."""

CLOSE = 0.05
"""Distance that a right reading stays below, unless it was trained in an unusual way."""

CLEAR = 0.5
"""How much more usual than the next a geometry must be to be taken where the statistics do not tell."""

_USUAL = tuple(Habits(slope=slope) for slope in (0.2, 0.0))
_RARE = (
    *(Habits(slope=slope) for slope in (0.01, 0.1, 0.3)),
    *(Habits(activation) for activation in ("elu", "selu", "silu", "gelu", "tanh", "softplus")),
    # Whoever writes BatchNorm2d(channels, 0.8) means the momentum, and gets this epsilon; often not in the first.
    *(Habits(slope=slope, eps=0.8, first_eps=first) for slope in (0.2, 0.0) for first in (0.8, 1e-5)),
)


def latents(source: str, count: int, latent: int, seed: int = 0) -> Tensor:
    """Latents (count, latent) of a source, the same every time."""
    prior: Prior = "normal" if source == "normal" else "uniform"
    z = draw_latents(count, latent, prior, np.random.default_rng(seed))
    return (z + 1) / 2 if source == "unit" else z


def read_generator(
    weights: Weights, known: Knowledge, source: Source | None, discriminator: Weights | None = None
) -> Verdict:
    """The reading of a generator's weights that agrees best with its statistics.

    Parameters
    ----------
    weights : Weights
    known : Knowledge
    source : {"uniform", "normal", "unit"}, optional
        What z was drawn from.
    discriminator : Weights, optional
        Of the same pair: only pictures that it can read are considered.

    Raises
    ------
    UserError
        If the weights are no chain, or what the statistics leave open must be asked.
    """
    chains = find_chains(weights, "generator", known.order)
    geometries = {id(chain): _usual(generator_geometries(chain, known.wishes)) for chain in chains.options}
    if discriminator is not None:
        geometries = {key: _readable(group, discriminator) for key, group in geometries.items()}
    if not any(geometries.values()):
        raise _no_way(chains, known.wishes)
    latent = _latent(chains)
    sources = (source,) if source else ("normal", "uniform", "unit")

    def verdict(habits: Sequence[Habits], settled: Reading | None) -> Verdict:
        readings = [
            Reading(chain, geometry, varied)
            for chain in chains.options
            for geometry in geometries[id(chain)]
            for each in habits
            for varied in _varied(each, known, sources, "generator", _normed(chain))
            if settled is None or _only_activation(settled, chain, geometry, varied)
        ]
        return judge(readings, lambda name: latents(name, EXAMPLES, latent), GENERATOR)

    def finally_(readings: Sequence[Reading]) -> Verdict:
        fresh = functools.partial(latents, count=2 * EXAMPLES, latent=latent, seed=1)
        return judge(readings, fresh, GENERATOR, VALUES_FINALLY)

    return _settle(_widened(verdict, finally_, known, "generator"), chains, known, "generator")


def read_discriminator(
    weights: Weights, known: Knowledge, size: int, pictures: Callable[[str], Tensor], sources: Sequence[str]
) -> Verdict:
    """The reading of a discriminator's weights that agrees best with its statistics.

    Parameters
    ----------
    weights : Weights
    known : Knowledge
    size : int
        Side of the pictures.
    pictures : callable
        From a source's name to pictures (N, C, H, W) as the network reads them.
    sources : sequence of str
        The most usual first.

    Raises
    ------
    UserError
        As in `read_generator`.
    """
    chains = find_chains(weights, "discriminator", known.order)
    geometries = {id(c): _usual(discriminator_geometries(c, size, known.wishes)) for c in chains.options}
    if not any(geometries.values()):
        raise UserError(
            f"no strides and paddings lead from {size}x{size} pictures through kernels {_kernels(chains)} to one score: "
            "give those you know, or a network that fits the generator"
        )

    def verdict(habits: Sequence[Habits], settled: Reading | None) -> Verdict:
        readings = [
            Reading(chain, geometry, varied)
            for chain in chains.options
            for geometry in geometries[id(chain)]
            for each in habits
            for varied in _varied(each, known, sources, "discriminator", _normed(chain))
            if settled is None or _only_activation(settled, chain, geometry, varied)
        ]
        return judge(readings, lambda name: pictures(name)[: EXAMPLES // 2], DISCRIMINATOR)

    def finally_(readings: Sequence[Reading]) -> Verdict:
        return judge(readings, lambda name: pictures(name)[EXAMPLES // 2 :], DISCRIMINATOR, VALUES_FINALLY)

    return _settle(_widened(verdict, finally_, known, "discriminator"), chains, known, "discriminator")


def _widened(
    verdict: Callable[[Sequence[Habits], Reading | None], Verdict],
    finally_: Callable[[Sequence[Reading]], Verdict],
    known: Knowledge,
    side: Side,
) -> Verdict:
    """A verdict among what almost everybody does, then among rare activations, and of everything where none of that fits.

    The search runs on few examples, and whichever of many readings is closest on these is so by chance too. The last few
    are therefore judged again, on more and on others.
    """
    usual_first = _USUAL if side == "discriminator" else _USUAL[::-1]
    if known.activation is not None or known.slope is not None or known.eps is not None:
        found = verdict(_distinct(_given(h, known) for h in (*usual_first, *_RARE)), None)
        return found if found.distance is None else finally_(found.finalists)
    usual = verdict(usual_first, None)
    if usual.distance is None:
        return usual
    usual = finally_(usual.finalists)
    refined = finally_(verdict((*usual_first, *_RARE), usual.reading).finalists)
    best = _better(usual, refined)
    if _distance(best) <= CLOSE:
        return best
    return _better(best, finally_(verdict((*usual_first, *_RARE), None).finalists))


def _distance(verdict: Verdict) -> float:
    return math.inf if verdict.distance is None else verdict.distance


def _better(usual: Verdict, wider: Verdict) -> Verdict:
    """The verdict among more readings where it agrees clearly better: a wider choice always fits a little better."""
    return wider if _distance(wider) < WIDER * _distance(usual) else usual


def _given(habits: Habits, known: Knowledge) -> Habits:
    """Habits with what the user gave; a slope alone is that of a rectifier."""
    activation = known.activation or ("rectifier" if known.slope is not None else habits.activation)
    slope = habits.slope if known.slope is None else known.slope
    eps, first = (habits.eps, habits.first_eps) if known.eps is None else (known.eps, known.eps)
    return replace(habits, activation=activation, slope=slope * (activation == "rectifier"), eps=eps, first_eps=first)


def _distinct(habits: Iterable[Habits]) -> list[Habits]:
    return list(dict.fromkeys(habits))


def _varied(habits: Habits, known: Knowledge, sources: Sequence[str], side: Side, normed: bool) -> list[Habits]:
    """Habits in all ways of what weights tell least: what is read, where normalisations stand, how the projection ends."""
    orders = (True, False) if known.norm_first is None and normed else (known.norm_first is not False,)
    first = (True, False) if known.first_activated is None else (known.first_activated,)
    return [
        replace(habits, norm_first=order, first_activated=activated, source=source)
        for source in sources
        for order in orders
        for activated in (first if side == "generator" else (True,))
    ]


def _only_activation(settled: Reading, chain: Chain, geometry: Geometry, habits: Habits) -> bool:
    """Whether a reading differs from a settled one at most in activation and epsilon."""
    same = (settled.habits.source, settled.habits.norm_first, settled.habits.first_activated)
    return (
        chain is settled.chain
        and geometry is settled.geometry
        and same == (habits.source, habits.norm_first, habits.first_activated)
    )


def _normed(chain: Chain) -> bool:
    return any(link.norm is not None for link in chain)


def _usual(geometries: list[Geometry]) -> list[Geometry]:
    return [g for g in geometries[:GEOMETRIES] if g.unusual <= geometries[0].unusual + 2.0]


def _readable(geometries: list[Geometry], discriminator: Weights) -> list[Geometry]:
    """Geometries to pictures that a discriminator can read, as usual as both are together."""
    chains = find_chains(discriminator, "discriminator").options
    costs: dict[int, float] = {}
    for size in {g.sizes[-1] for g in geometries}:
        ways = [g.unusual for chain in chains for g in discriminator_geometries(chain, size, Wishes())[:1]]
        if ways:
            costs[size] = min(ways)
    return sorted(
        (replace(g, unusual=g.unusual + costs[g.sizes[-1]]) for g in geometries if g.sizes[-1] in costs),
        key=lambda g: g.unusual,
    )


def _latent(chains: Chains) -> int:
    weight = chains.options[0][0].weight
    return weight.shape[1] if weight.ndim == 2 else weight.shape[0]


def _kernels(chains: Chains) -> str:
    return ", ".join(str(link.kernel) for link in chains.options[0] if not link.linear)


def _no_way(chains: Chains, wishes: Wishes) -> UserError:
    target = f"{wishes.size}x{wishes.size} pictures" if wishes.size else "pictures of a usual size"
    return UserError(
        f"no strides and paddings that were given or are usual lead through kernels {_kernels(chains)} to {target}, or to "
        "any that the discriminator can read: give `size`, `strides` or `paddings`"
    )


def _settle(verdict: Verdict, chains: Chains, known: Knowledge, side: Side) -> Verdict:
    """Ask what neither statistics nor custom decide; of custom alone only what is far more usual than the rest."""
    sources = {r.habits.source for r in verdict.tied}
    if side == "generator" and len(sources) > 1:
        raise UserError(
            "the weights do not tell what z was drawn from in training: give `prior=normal` or `prior=uniform`"
        )
    if chains.open_question and not (verdict.agrees and verdict.decided(_pairing)):
        listing = "; or ".join(dict.fromkeys(",".join(_modules(r)) for r in verdict.tied[:4]))
        raise UserError(
            f"shapes and statistics leave open {chains.open_question} in the {side}: give `order`, such as {listing}"
        )
    others = [r for r in verdict.tied if r.geometry.steps != verdict.reading.geometry.steps]
    if not others:
        return verdict
    margin = min(r.geometry.unusual for r in others) - verdict.reading.geometry.unusual
    sized = {
        r.geometry.sizes[-1] for r in verdict.tied if r.geometry.unusual < verdict.reading.geometry.unusual + CLEAR
    }
    if margin >= CLEAR:
        return verdict
    if side == "generator" and len(sized) > 1 and known.wishes.size is None:
        raise UserError(
            f"its pictures may be {' or '.join(f'{s}x{s}' for s in sorted(sized))} pixels: the weights do not tell, give `size`"
        )
    ways = "; or ".join(
        _described(r.geometry) for r in (verdict.reading, min(others, key=lambda r: r.geometry.unusual))
    )
    option = "strides" if side == "generator" else "discriminator-strides"
    raise UserError(
        f"the {side}'s weights and statistics leave open how its convolutions move: {ways}: give --{option}"
    )


def _pairing(reading: Reading) -> tuple[str, ...]:
    return tuple(_modules(reading))


def _modules(reading: Reading) -> list[str]:
    names = []
    for link in reading.chain:
        names += [link.name] if link.norm is None else [link.name, link.norm.name]
    return names


def _described(geometry: Geometry) -> str:
    values = {
        "strides": [s.stride for s in geometry.steps],
        "paddings": [s.padding for s in geometry.steps],
        "output paddings": [s.output_padding for s in geometry.steps],
        "upsamples": [s.upsample for s in geometry.steps],
    }
    usual = {"output paddings": 0, "upsamples": 1}
    told = {name: numbers for name, numbers in values.items() if any(n != usual.get(name) for n in numbers)}
    return ", ".join(f"{name} {','.join(map(str, numbers))}" for name, numbers in told.items())
