"""Keras weights that were saved without their configuration: every generator that their shapes allow, as a configuration.

Names and shapes tell kinds, orders and widths of layers. They do not tell strides, which are tried: with the padding "same",
with which almost everybody draws, or with "valid" throughout.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.geometry import RARE_SIZES
from dcgan_viz.foreign.weights import natural

EPSILON = 1e-3
"""Of a BatchNormalization, unless told otherwise."""

MAXIMUM_CONVOLUTIONS, MAXIMUM_ORDERS = 8, 8

_NUMBERED = {4: ("gamma", "beta", "moving_mean", "moving_variance")}
"""What the numbered variables of a normalisation in Keras 3 are, by how many there are."""


@dataclass(frozen=True)
class Stored:
    """A layer as a file of weights tells it.

    Parameters
    ----------
    name : str
    shapes : mapping of str to tuple of int
        Of its variables by their names; in Keras 3 these are numbers. Empty of layers that have none.
    """

    name: str
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def variables(self) -> dict[str, str]:
        """Names of a layer's variables in Keras, and in the file."""
        if not all(name.isdigit() for name in self.shapes):
            return {name: name for name in self.shapes}
        numbers = sorted(self.shapes, key=int)
        flat = all(len(shape) == 1 for shape in self.shapes.values())
        names = _NUMBERED.get(len(numbers), ()) if flat else ("kernel", "bias")
        if len(names) < len(numbers):
            raise UserError(f"its layer {self.name} has {len(numbers)} variables whose names are not kept")
        return dict(zip(names, numbers, strict=False))

    def shape(self, variable: str) -> tuple[int, ...]:
        """The shape of a variable; empty where there is none."""
        return tuple(self.shapes.get(self.variables.get(variable, ""), ()))

    @property
    def kind(self) -> str:
        """The class of the layer, "" where it has no variables."""
        if not self.shapes:
            return ""
        if self.shape("moving_mean"):
            return "BatchNormalization"
        kernel = self.shape("kernel")
        if len(kernel) == 2:
            return "Dense"
        if len(kernel) == 4 and kernel[0] == kernel[1] and 0 not in kernel:
            return "Conv2DTranspose" if "transpose" in self.name or "deconv" in self.name.lower() else "Conv2D"
        raise UserError(f"its layer {self.name} ({', '.join(self.variables)}) is not one that a plain DCGAN has")

    @property
    def widths(self) -> tuple[int, int]:
        """Maps, or units, that it reads and writes."""
        kernel = self.shape("kernel")
        return (kernel[-1], kernel[-2]) if self.kind == "Conv2DTranspose" else (kernel[-2], kernel[-1])


def configurations(layers: Sequence[Stored], ordered: bool) -> Iterator[tuple[dict[str, Any], float]]:
    """The generators that layers may form, and how unusual each is.

    Parameters
    ----------
    layers : sequence of Stored
        Those without variables too, if the file names them.
    ordered : bool
        Whether they are in the order in which they run; otherwise that is found by widths.

    Yields
    ------
    dict
        The configuration of a Sequential model without activations.
    float

    Raises
    ------
    UserError
        If they form none, or more than strides are open; the message is the end of a sentence about the file.
    """
    strange = [layer.name for layer in layers if "padding" in layer.name or "cropping" in layer.name]
    if strange:
        raise UserError(f"its layer {strange[0]} has sizes that no weights tell")
    for order in [list(layers)] if ordered else _orders(layers):
        yield from _strided(order)


def _strided(layers: list[Stored]) -> Iterator[tuple[dict[str, Any], float]]:
    """The configurations of layers in their order."""
    weighted = [layer for layer in layers if layer.kind in ("Dense", "Conv2D", "Conv2DTranspose")]
    convolutions = [layer for layer in weighted if layer.kind != "Dense"]
    if not convolutions or len(convolutions) > MAXIMUM_CONVOLUTIONS:
        raise UserError(f"it has {len(convolutions)} convolutions")
    if weighted[-1].kind == "Dense" or convolutions[-1].widths[1] not in (1, 3):
        raise UserError("its last layer draws no picture, so that it is a discriminator's or no DCGAN's")
    for before, layer in pairwise(weighted):
        if not _follows(before, layer):
            raise UserError(f"its layer {layer.name} cannot read what {before.name} writes")
    bare = weighted[0].kind != "Dense"
    named = any(not layer.shapes for layer in layers)
    choices = [_choices(layer, bare and layer is weighted[0], named, layers) for layer in convolutions]
    for padding in ("same", "valid"):
        for moves in product(*choices):
            chosen = dict(zip((layer.name for layer in convolutions), moves, strict=True))
            unusual = sum(cost for _, _, cost in moves) + (padding == "valid")
            side = _side(weighted, chosen, padding)
            if side in RARE_SIZES:
                yield _configuration(layers, chosen, padding), unusual + RARE_SIZES[side]


def _orders(layers: Sequence[Stored]) -> list[list[Stored]]:
    """Layers with variables by their numbers: dense ones, then convolutions as widths follow, each with its normalisation."""
    kinds: dict[str, list[Stored]] = {}
    for layer in sorted(layers, key=lambda layer: natural(layer.name)):
        kinds.setdefault(layer.kind, []).append(layer)
    dense, norms = kinds.get("Dense", []), kinds.get("BatchNormalization", [])
    orders = [
        paired
        for merged in _merged(dense[-1:], kinds.get("Conv2D", []), kinds.get("Conv2DTranspose", []))
        for paired in _paired([*dense[:-1], *merged], norms)
    ]
    if not 0 < len(orders) <= MAXIMUM_ORDERS:
        raise UserError(f"its layers follow one another in {len(orders) or 'no'} ways")
    return orders


def _merged(path: list[Stored], *queues: list[Stored]) -> Iterator[list[Stored]]:
    """Ways to merge lists into a chain."""
    if not any(queues):
        yield path
    for k, queue in enumerate(queues):
        if queue and (not path or _follows(path[-1], queue[0])):
            yield from _merged([*path, queue[0]], *(q[1:] if j == k else q for j, q in enumerate(queues)))


def _paired(weighted: list[Stored], norms: list[Stored]) -> Iterator[list[Stored]]:
    """Ways to put normalisations, in their order, each after a hidden layer of its width."""
    if not norms:
        yield weighted
        return
    for k, layer in enumerate(weighted[:-1]):
        width = _norm_width(norms[0])
        if width == layer.widths[1] or (layer.kind == "Dense" and width == weighted[k + 1].widths[0]):
            for rest in _paired(weighted[k + 1 :], norms[1:]):
                yield [*weighted[: k + 1], norms[0], *rest]


def _follows(before: Stored, layer: Stored) -> bool:
    """Whether a layer reads what another writes; a dense one only what a dense one writes."""
    written, read = before.widths[1], layer.widths[0]
    if layer.kind == "Dense" or before.kind != "Dense":
        return written == read and (layer.kind != "Dense" or before.kind == "Dense")
    return written % read == 0 and math.isqrt(written // read) ** 2 * read == written


def _choices(layer: Stored, first: bool, named: bool, layers: Sequence[Stored]) -> list[tuple[int, int, float]]:
    """Strides, upsamplings and how unusual these are."""
    if first:
        return [(1, 1, 0.0)]
    if layer.kind == "Conv2DTranspose":
        return [(2, 1, 0.0), (1, 1, 0.4)]
    if not named:
        return [(1, 2, 0.0), (1, 1, 0.1)]
    place = layers.index(layer)
    before = next((k for k in range(place - 1, -1, -1) if layers[k].shape("kernel")), -1)
    enlarged = sum("upsampling" in other.name.replace("_", "") for other in layers[before + 1 : place])
    return [(1, 2**enlarged, 0.0)]


def _side(weighted: Sequence[Stored], chosen: Mapping[str, tuple[int, int, float]], padding: str) -> int:
    """Side of the pictures."""
    side = 1
    for before, layer in zip([None, *weighted], weighted, strict=False):
        if layer.kind == "Dense":
            continue
        if before is not None and before.kind == "Dense":
            side = math.isqrt(before.widths[1] // layer.widths[0])
        stride, more, _ = chosen[layer.name]
        kernel = layer.shape("kernel")[0]
        transposed = layer.kind == "Conv2DTranspose"
        valid = transposed and (padding == "valid" or before is None)
        side = (side - 1) * stride + max(kernel, stride) if valid else side * stride * more
    return side


def _configuration(
    layers: Sequence[Stored], chosen: Mapping[str, tuple[int, int, float]], padding: str
) -> dict[str, Any]:
    weighted = [layer for layer in layers if layer.kind in ("Dense", "Conv2D", "Conv2DTranspose")]
    latent = weighted[0].widths[0]
    bare = weighted[0].kind != "Dense"
    made: list[dict[str, Any]] = []

    def add(kind: str, name: str, **settings: Any) -> None:
        made.append({"class_name": kind, "config": {"name": name, **settings}})

    add("InputLayer", "input", batch_shape=[None, 1, 1, latent] if bare else [None, latent])
    open_units: tuple[int, int] | None = None
    following = {layer.name: after for layer, after in pairwise(weighted)}
    for layer in layers:
        per_unit = open_units is not None and _norm_width(layer) == open_units[0]
        if open_units is not None and layer.kind and not per_unit:
            side = math.isqrt(open_units[0] // open_units[1])
            add("Reshape", f"reshape_{layer.name}", target_shape=[side, side, open_units[1]])
            open_units = None
        if layer.kind == "Dense":
            after = following[layer.name]
            open_units = (layer.widths[1], after.widths[0]) if after.kind != "Dense" else None
            add("Dense", layer.name, units=layer.widths[1], use_bias=bool(layer.shape("bias")))
        elif layer.kind == "BatchNormalization":
            switches = {"scale": bool(layer.shape("gamma")), "center": bool(layer.shape("beta"))}
            add("BatchNormalization", layer.name, axis=-1, epsilon=EPSILON, **switches)
        elif layer.kind:
            stride, more, _ = chosen[layer.name]
            if more > 1:
                add("UpSampling2D", f"up_{layer.name}", size=[more, more])
            first = bare and layer is weighted[0]
            valid = layer.kind == "Conv2DTranspose" and (padding == "valid" or first)
            settings = {"strides": [stride, stride], "padding": "valid" if valid else "same"}
            add(layer.kind, layer.name, use_bias=bool(layer.shape("bias")), **settings)
    return {"class_name": "Sequential", "config": {"name": "model", "layers": made}}


def _norm_width(layer: Stored) -> int:
    """How many numbers a normalisation treats; 0 of other layers."""
    return layer.shape("moving_mean")[0] if layer.kind == "BatchNormalization" else 0
