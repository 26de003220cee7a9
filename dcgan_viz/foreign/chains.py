"""The layers in a state dict, and the chains that they can form.

A state dict names modules in the order in which they were registered, which is mostly, but not always, the order in which
they run. Here every layer knows how many maps it reads and writes; orders and pairings of normalisations are those that fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.weights import Weights, natural

Side = Literal["generator", "discriminator"]

MAXIMUM_LAYERS = 24
MAXIMUM_CHAINS, MAXIMUM_STEPS = 64, 20_000
"""Ways in which layers fit together that are looked at; more are asked about."""

_CONDITIONAL = re.compile(r"emb|label|cond(?!v)", re.I)
_LIVE = "give the network itself: dcgan_viz.wrap takes it, or a command as the model file.py:function"


@dataclass(frozen=True, eq=False)
class Norm:
    """A batch normalisation.

    Parameters
    ----------
    name : str
    gain, shift, mean, variance : Tensor (maps,)
    batches : int, optional
        How many its running statistics have seen.
    measured : bool
        Whether there are running statistics.
    """

    name: str
    gain: Tensor
    shift: Tensor
    mean: Tensor
    variance: Tensor
    batches: int | None = None
    measured: bool = True

    @property
    def width(self) -> int:
        """Maps, or units, that it normalises."""
        return self.mean.numel()


@dataclass(frozen=True, eq=False)
class Link:
    """A linear or convolutional layer with the normalisation that belongs to it.

    Parameters
    ----------
    name : str
    weight : Tensor
        (out, in) of a linear layer; (in, out, k, k) of a generator's convolution, as if it were fractionally strided;
        (out, in, k, k) of a discriminator's.
    bias : Tensor, optional
    norm : Norm, optional
    forward : bool
        Whether a generator's convolution was an ordinary one, whose kernel is turned around here.
    """

    name: str
    weight: Tensor
    bias: Tensor | None
    norm: Norm | None = None
    forward: bool = False

    @property
    def linear(self) -> bool:
        """Whether it is a linear layer."""
        return self.weight.ndim == 2

    @property
    def kernel(self) -> int:
        """Side of the kernel, 0 of a linear layer."""
        return 0 if self.linear else self.weight.shape[-1]


Chain = tuple[Link, ...]


@dataclass(frozen=True)
class Chains:
    """The chains that layers can form, the most natural first.

    Parameters
    ----------
    options : tuple of Chain
    open_question : str
        What distinguishes them, if there are several.
    """

    options: tuple[Chain, ...]
    open_question: str = ""


def find_chains(weights: Weights, side: Side, order: Sequence[str] = ()) -> Chains:
    """The chains that the layers of a state dict can form.

    Parameters
    ----------
    weights : Weights
    side : {"generator", "discriminator"}
    order : sequence of str
        Names of the modules in the order in which they run, if the user gave it.

    Raises
    ------
    UserError
        If a DCGAN has no such module, or the layers form no chain.
    """
    layers, norms, sequence = _modules(weights)
    if order:
        sequence = _ordered(order, sequence)
        layers = [s for s in sequence if isinstance(s, Link)]
    as_drawn = bool(weights.known.as_drawn)
    orders = [_paths(layers, side, fixed=True, as_drawn=as_drawn)] if order else _orders(layers, side, as_drawn)
    chains: list[Chain] = []
    several_pairings = False
    for paths in orders:
        for path in paths:
            pairings = _pairings(path, norms, sequence, side)
            several_pairings |= len(pairings) > 1
            chains += pairings
    if not chains:
        raise UserError(f"{weights.source}: {_no_chain(layers, norms, side)}")
    question = ""
    if several_pairings:
        question = "which normalisation follows which layer"
    elif len(orders) > 1:
        question = "in which order its layers run"
    return Chains(tuple(chains[:MAXIMUM_CHAINS]), question)


def _modules(weights: Weights) -> tuple[list[Link], list[Norm], list[Link | Norm]]:
    """Layers and normalisations, each in its order, and all of them in theirs."""
    grouped: dict[str, dict[str, Tensor]] = {}
    for name, tensor in weights.tensors.items():
        module, _, entry = name.rpartition(".")
        grouped.setdefault(module, {})[entry] = tensor
    try:
        _check_hidden_norms(weights.versions, grouped)
        sequence = [
            _norm(name, entries, weights.measured) if "running_mean" in entries else _layer(name, entries)
            for name, entries in grouped.items()
        ]
    except UserError as error:
        # Of the generator or of the discriminator: one command reads both.
        raise UserError(f"{weights.source}: {error}") from error
    layers = [s for s in sequence if isinstance(s, Link)]
    norms = [s for s in sequence if isinstance(s, Norm)]
    if not any(layer.weight.ndim == 4 for layer in layers):
        raise UserError(f"{weights.source} holds no convolutions, so it is not a DCGAN's")
    if len(layers) > MAXIMUM_LAYERS:
        raise UserError(f"{weights.source} has {len(layers)} layers, more than a DCGAN has: {_LIVE}")
    return layers, norms, sequence


def _check_hidden_norms(versions: Mapping[str, int], grouped: Mapping[str, object]) -> None:
    """Refuse normalisations without entries of their own, which only PyTorch's versions of modules show."""
    for name, version in versions.items():
        inside = any(other == name or other.startswith(f"{name}.") for other in grouped)
        if version == 2 and not inside:
            raise UserError(
                f"the module {name} is a normalisation that keeps nothing (InstanceNorm2d, most likely), which batch "
                f"normalisation cannot stand for: {_LIVE}"
            )


def _norm(name: str, entries: Mapping[str, Tensor], measured: bool) -> Norm:
    mean = entries["running_mean"]
    gain = entries.get("weight", torch.ones_like(mean))
    shift = entries.get("bias", torch.zeros_like(mean))
    variance = entries.get("running_var")
    known = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    if variance is None or not set(entries) <= known:
        raise UserError(
            f"the batch normalisation {name} has the entries {', '.join(entries)} instead of the usual ones: {_LIVE}"
        )
    if mean.ndim != 1 or any(t.shape != mean.shape for t in (gain, shift, variance)):
        shapes = ", ".join(f"{n} {tuple(t.shape)}" for n, t in entries.items())
        raise UserError(
            f"the entries of the batch normalisation {name} do not fit together ({shapes}): the file is damaged"
        )
    if (variance < 0).any():
        raise UserError(f"the batch normalisation {name} has negative variances: the file is damaged")
    counter = entries.get("num_batches_tracked")
    return Norm(name, gain, shift, mean, variance, None if counter is None else int(counter.item()), measured)


def _layer(name: str, entries: Mapping[str, Tensor]) -> Link:
    weight, bias = entries.get("weight"), entries.get("bias")
    listing = ", ".join(entries)
    if weight is None or not set(entries) <= {"weight", "bias"}:
        raise UserError(f"the layer {name} ({listing}) is not one that a plain DCGAN has: {_LIVE}")
    if weight.ndim == 2 and bias is None and _CONDITIONAL.search(name):
        raise UserError(
            f"the layer {name} looks like an embedding of labels, so this network is conditional: bind a label and "
            f"{_LIVE}"
        )
    if weight.ndim == 1:
        what = "a PReLU" if bias is None else "an instance, group or layer normalisation, or one without statistics"
        raise UserError(f"the layer {name} is {what}, which a plain chain does not have: {_LIVE}")
    square = weight.ndim == 4 and weight.shape[2] == weight.shape[3]
    if not (weight.ndim == 2 or square) or 0 in weight.shape or (bias is not None and bias.ndim != 1):
        raise UserError(f"the layer {name} has weights {tuple(weight.shape)}, which no layer of a DCGAN has: {_LIVE}")
    return Link(name, weight, bias)


def _ordered(order: Sequence[str], sequence: Sequence[Link | Norm]) -> list[Link | Norm]:
    named = {module.name: module for module in sequence}
    if sorted(order) != sorted(named):
        raise UserError(f"the order must name every module once: {', '.join(named)}")
    return [named[name] for name in order]


def _orders(layers: list[Link], side: Side, as_drawn: bool) -> list[list[Chain]]:
    """Orders in which each layer reads what the one before writes, each with its readings as a chain.

    As registered and as numbered, if these fit; any other otherwise.
    """
    numbered = sorted(layers, key=lambda layer: natural(layer.name))
    usual = [layers] if numbered == layers else [layers, numbered]
    found = [paths for order in usual if (paths := _paths(order, side, fixed=True, as_drawn=as_drawn))]
    if not found:
        found = [[path] for path in _paths(layers, side, fixed=False, as_drawn=as_drawn)]
    return found


def _paths(layers: list[Link], side: Side, *, fixed: bool, as_drawn: bool) -> list[Chain]:
    """Ways to chain all layers, in their order or any; a generator's square convolutions may be of either kind."""
    found: list[Chain] = []
    steps = 0
    readings = {layer.name: _readings(layer, side, as_drawn) for layer in layers}

    def extend(path: Chain, rest: list[Link]) -> None:
        nonlocal steps
        steps += 1
        if steps > MAXIMUM_STEPS or len(found) >= MAXIMUM_CHAINS:
            return
        if not rest:
            if _ends(path[-1], side):
                found.append(path)
            return
        for k, layer in enumerate(rest[:1] if fixed else rest):
            for reading in readings[layer.name] if path else _first_readings(layer, readings[layer.name]):
                if _follows(path, reading, side):
                    extend((*path, reading), rest[:k] + rest[k + 1 :])

    extend((), layers)
    # Most networks have convolutions of one kind; one that is not square tells which.
    return sorted(found, key=lambda p: sum(a.forward != b.forward for a, b in pairwise(p[1:])))


def _readings(layer: Link, side: Side, as_drawn: bool) -> list[Link]:
    """A layer as it is, and an ordinary convolution of a generator as a fractionally-strided one of stride 1.

    Its channels are exchanged and its kernel turned around.
    """
    if side == "discriminator" or layer.linear or as_drawn:
        return [layer]
    return [layer, replace(layer, weight=layer.weight.transpose(0, 1).flip(2, 3), forward=True)]


def _first_readings(layer: Link, readings: list[Link]) -> list[Link]:
    """Of a first layer as many: an ordinary convolution of a padded 1x1 map is rare, and looked for where shapes show it.

    What reads one or three maps reads pictures, and is a discriminator's.
    """
    written, read = layer.weight.shape[:2]
    return readings if written != read and read > 3 else readings[:1]


def widths(layer: Link, side: Side) -> tuple[int, int]:
    """Maps (or units) that a layer reads and writes."""
    first, second = layer.weight.shape[:2]
    return (first, second) if side == "generator" and not layer.linear else (second, first)


def _follows(path: Chain, layer: Link, side: Side) -> bool:
    """Whether a layer can read what the end of a path writes, or can be the first."""
    into, out = widths(layer, side)
    if layer.bias is not None and layer.bias.numel() != out:
        return False
    if not path:
        # Read from its end, a discriminator is a generator of a single latent.
        return into > 1 if side == "generator" else (not layer.linear and into in (1, 3))
    before = path[-1]
    written = widths(before, side)[1]
    if before.linear == layer.linear:
        return written == into
    if side == "generator":
        return before.linear and _is_square(written, into)
    return layer.linear and _is_square(into, written)


def _ends(layer: Link, side: Side) -> bool:
    """Whether a layer can be the last: it writes an image, or one logit."""
    out = widths(layer, side)[1]
    return out == 1 if side == "discriminator" else not layer.linear and out in (1, 3)


def _is_square(units: int, maps: int) -> bool:
    return units % maps == 0 and round((units // maps) ** 0.5) ** 2 == units // maps


def _pairings(path: Chain, norms: Sequence[Norm], sequence: Sequence[Link | Norm], side: Side) -> list[Chain]:
    """The ways to give each normalisation to a layer of its width: to the one registered before it, if that is plain."""
    adjacent = _adjacent(path, norms, sequence, side)
    if adjacent is not None:
        return [adjacent]
    found: list[tuple[int, ...]] = []
    steps = 0

    def extend(choice: tuple[int, ...]) -> None:
        nonlocal steps
        steps += 1
        if steps > MAXIMUM_STEPS or len(found) >= MAXIMUM_CHAINS:
            return
        if len(choice) == len(norms):
            found.append(choice)
            return
        for k in range(len(path)):
            if k not in choice and norms[len(choice)].width in _norm_widths(path, k, side):
                extend((*choice, k))

    extend(())
    # Most natural is the order in which both were registered.
    found.sort(key=lambda choice: sum(a > b for k, a in enumerate(choice) for b in choice[k + 1 :]))
    owners = [dict(zip(choice, norms, strict=True)) for choice in found]
    return [tuple(replace(layer, norm=owned.get(k)) for k, layer in enumerate(path)) for owned in owners]


def _adjacent(path: Chain, norms: Sequence[Norm], sequence: Sequence[Link | Norm], side: Side) -> Chain | None:
    """Each normalisation with the layer registered right before it, if every one has such a layer of its width."""
    places = {layer.name: k for k, layer in enumerate(path)}
    owners: dict[int, Norm] = {}
    for before, module in zip([None, *sequence], sequence, strict=False):
        if isinstance(module, Norm):
            place = places[before.name] if isinstance(before, Link) else None
            if place is None or module.width not in _norm_widths(path, place, side):
                return None
            owners[place] = module
    return tuple(replace(layer, norm=owners.get(k)) for k, layer in enumerate(path))


def _norm_widths(path: Chain, place: int, side: Side) -> set[int]:
    """How many numbers a normalisation of a layer's output may have: one a map or, before a reshape, one a unit."""
    counts = {widths(path[place], side)[1]}
    if path[place].linear and place + 1 < len(path) and not path[place + 1].linear:
        counts.add(widths(path[place + 1], side)[0])
    return counts


def _no_chain(layers: Sequence[Link], norms: Sequence[Norm], side: Side) -> str:
    shapes = ", ".join(f"{layer.name} {tuple(layer.weight.shape)}" for layer in layers[:12])
    if side == "generator" and layers[-1].weight.shape[0] == 1 and layers[0].weight.shape[1] in (1, 3):
        return f"these are a discriminator's weights ({shapes}): give the generator first"
    widths = ", ".join(f"{norm.name} ({norm.width})" for norm in norms[:12])
    return (
        f"the layers of this {side} do not follow one another: {shapes}"
        + (f", with the normalisations {widths}" if norms else "")
        + f"; if they branch, {_LIVE}"
    )
