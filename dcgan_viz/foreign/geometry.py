"""Strides and paddings, which weights do not tell: all that lead from maps of one side to pictures of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dcgan_viz.foreign.chains import Chain, Link
from dcgan_viz.foreign.knowledge import Step, Wishes

RARE_SIZES = {
    **{16: 1.0, 28: 0.0, 32: 0.0, 48: 0.5, 56: 1.2, 64: 0.0, 80: 0.8, 96: 0.0, 112: 1.2, 128: 0.0},
    **{160: 0.8, 192: 0.8, 224: 0.5, 256: 0.0, 512: 0.5},
}
"""Sides of pictures that people train on, where nothing says which, and how unusual each is.

Usual are digits' 28 pixels, powers of two from 32, and anime faces' 96; hardly anybody takes 16, or other multiples of 7.
"""

IMAGE_SIZES = tuple(RARE_SIZES)

UNPADDED = 0.4
"""How unusual it is, at the most, to pad nowhere."""

KEPT = 48
"""Ways to a side that are followed at once, the most usual first."""

_USUAL_UP = {
    (1, 1, 0, 0): 0.0,
    (2, 2, 0, 0): 0.0,
    (3, 2, 1, 1): 0.1,
    (3, 1, 1, 0): 0.2,
    (3, 2, 1, 0): 0.6,
    (3, 2, 0, 0): 0.6,
    (3, 1, 0, 0): 0.8,
    (4, 2, 1, 0): 0.0,
    (4, 1, 0, 0): 0.6,
    (4, 2, 0, 0): 0.6,
    (4, 4, 0, 0): 1.8,
    (5, 2, 2, 1): 0.0,
    (5, 1, 2, 0): 0.6,
    (5, 1, 0, 0): 0.8,
    (6, 2, 2, 0): 0.0,
    (7, 1, 3, 0): 0.1,
    (7, 1, 0, 0): 0.5,
    (8, 2, 3, 0): 0.1,
    (8, 4, 2, 0): 0.2,
}
"""How unusual a fractionally-strided convolution is, by kernel, stride, padding and output padding."""

_CROPPED = {(1, 1, 2, 0): 0.1, (4, 2, 3, 0): 0.6}
"""The same of a last convolution that cuts a border off: digits' 28 pixels out of 32."""

_TRIPLED = {(5, 3, 1, 0): 0.0, (5, 2, 2, 1): 0.4}, {(5, 3, 1): 0.0, (5, 2, 2): 0.4}
"""The same up and down of a kernel of 5 next to the pictures where all others are of 4: anime faces of 96 pixels, and nearly
as often the paper's step."""

_ANIME = (4, 4, 4, 4, 5)
"""Kernels of the network that everybody draws these faces with, who does not take the paper's step."""

_USUAL_DOWN = {
    (1, 1, 0): 0.0,
    (2, 2, 0): 0.0,
    (3, 2, 1): 0.0,
    (3, 1, 1): 0.2,
    (3, 2, 0): 0.5,
    (3, 1, 0): 0.6,
    (4, 2, 1): 0.0,
    (4, 2, 0): 0.5,
    (4, 1, 0): 0.6,
    (5, 2, 2): 0.0,
    (5, 1, 2): 0.6,
    (5, 2, 1): 0.6,
    (5, 2, 0): 0.7,
    (5, 1, 0): 0.7,
    (6, 2, 2): 0.0,
    (7, 2, 3): 0.1,
    (7, 1, 3): 0.2,
}


@dataclass(frozen=True)
class Geometry:
    """Steps of a chain, and the sides of its maps.

    Parameters
    ----------
    steps : tuple of Step
        Of the convolutions after a generator's projection, or of those of a discriminator.
    sizes : tuple of int
        Sides before the first and after each.
    unusual : float
        0 for the steps that almost everybody takes.
    """

    steps: tuple[Step, ...]
    sizes: tuple[int, ...]
    unusual: float


def generator_geometries(chain: Chain, wishes: Wishes) -> list[Geometry]:
    """The ways from a generator's projection to its pictures, the most usual first.

    The first step is that of the projection: the padding crops what a convolution of a 1x1 map writes.

    Parameters
    ----------
    chain : Chain
    wishes : Wishes

    Raises
    ------
    UserError
        If lists of the wrong length were given, or nothing leads to the side that was given.
    """
    first, *rest = chain
    wishes.check(sum(not link.linear for link in chain))
    beginnings: dict[int, list[Geometry]] = {}
    if first.linear:
        # Linear layers that follow are convolutions of a 1x1 map.
        side = _side(first.weight.shape[0], rest[0].weight.shape[0]) if not rest[0].linear else 1
        beginnings[side] = [Geometry((Step(1, 0),), (side,), 0.0)]
    else:
        starts = [(step.padding, step.output_padding) for step in wishes.steps[:1]]
        for padding, more in starts or ((0, 0), (1, 0), (0, 1)):
            side = first.kernel - 2 * padding + more
            steps = [s for s in range(1 + more, 5) if wishes.allow(0, Step(s, padding, more))]
            if side > 0 and steps:
                beginnings[side] = [Geometry((Step(steps[0], padding, more),), (side,), 0.8 * padding + more)]
    strided = any(not link.forward and not link.linear for link in rest)
    ways = beginnings
    number = 0 if first.linear else 1
    for k, link in enumerate(rest, start=1):
        if link.linear:
            above = rest[k].weight.shape[0] if not rest[k].linear else link.weight.shape[0]
            side = _side(link.weight.shape[0], above)
            ways = {side: [_extended(g, Step(1, 0), side, 0.0) for group in ways.values() for g in group]}
            continue
        given = [(wishes.steps[number], 0.0)] if wishes.steps else None
        moves = given or [
            (
                step,
                cost + (0.6 if link is rest[-1] and (_only_widens(link, step) or _halves_anime(chain, step)) else 0.0),
            )
            for step, cost in _up_steps(link, link is rest[-1], _others_are_fours(chain, link))
        ]
        options = [(step, cost) for step, cost in moves if wishes.allow(number, step)]
        ways = _advance(ways, options, link.kernel, _up_side, strided)
        number += 1
    if wishes.steps:
        return _arrived(ways, wishes.size, range(1, IMAGE_SIZES[-1] + 1))
    ways = {
        side: [replace(g, unusual=_of_family(g) + _crops_to(side, chain[-1], g)) for g in group]
        for side, group in ways.items()
    }
    if wishes.size is not None:
        return _arrived(ways, wishes.size, ())
    sized = {
        side: [replace(g, unusual=g.unusual + RARE_SIZES.get(side, 0.0)) for g in group] for side, group in ways.items()
    }
    return _arrived(sized, None, IMAGE_SIZES)


def discriminator_geometries(chain: Chain, image_size: int, wishes: Wishes) -> list[Geometry]:
    """The ways from pictures to the maps that a discriminator's last convolution writes, the most usual first.

    The last link of a chain is its head: a convolution there reads all maps at once.

    Parameters
    ----------
    chain : Chain
    image_size : int
    wishes : Wishes
    """
    body, head = chain[:-1], chain[-1]
    convolutions = [link for link in body if not link.linear]
    wishes.check(len(convolutions) + (not head.linear))
    ways = {image_size: [Geometry((), (image_size,), 0.0)]}
    for number, link in enumerate(convolutions):
        given = [(wishes.steps[number], 0.0)] if wishes.steps else None
        steps = _down_steps(link.kernel, number == 0 and _others_are_fours(chain, link))
        options = given or [(step, cost) for step, cost in steps if wishes.allow(number, step)]
        ways = _advance(ways, options, link.kernel, _down_side)
    units = chain[len(convolutions)]
    if units.linear:
        side = _side(units.weight.shape[1], convolutions[-1].weight.shape[0])
        return _arrived(ways, side, ())
    found = []
    for geometry in _arrived(ways, None, range(1, 33)):
        given = [(wishes.steps[-1], 0.0)] if wishes.steps else None
        for step, cost in given or _head_steps(head.kernel, geometry.sizes[-1]):
            if wishes.allow(len(convolutions), step):
                found.append(_extended(geometry, step, 1, cost))
    return sorted(found, key=lambda g: g.unusual)


def _head_steps(kernel: int, side: int) -> list[tuple[Step, float]]:
    """Steps of a convolution that writes a single number for maps of a side; where it does not, its numbers are averaged."""
    if kernel == side:
        return [(Step(1, 0), 0.0)]
    if kernel > side:
        return [
            (Step(s, p), 0.8)
            for s in (2, 1)
            for p in (1, 2)
            if (side + 2 * p - kernel) // s == 0 <= side + 2 * p - kernel
        ]
    if side - kernel < 2:
        return [(Step(2, 0), 0.6)]
    return [(Step(1, 0), 3.0)]


def _side(units: int, maps: int) -> int:
    return round((units / maps) ** 0.5)


def _others_are_fours(chain: Chain, link: Link) -> bool:
    colour = 3 in link.weight.shape[:2]
    return link.kernel == 5 and colour and all(other.kernel in (0, 4) for other in chain if other is not link)


def _only_widens(link: Link, step: Step) -> bool:
    """Whether a convolution of stride 1 adds a border and nothing else, with which nobody ends a network."""
    return not link.forward and link.kernel > 1 and step.stride == 1 and step.padding == 0


def _of_family(geometry: Geometry) -> float:
    """How unusual steps are: not very if none pads, as in a course that leaves all paddings out."""
    unpadded = all(step.padding == 0 == step.output_padding and step.upsample == 1 for step in geometry.steps)
    return min(geometry.unusual, UNPADDED) if unpadded else geometry.unusual


def _crops_to(side: int, last: Link, geometry: Geometry) -> float:
    """How much rarer it is to cut a border off at the end where that does not make digits' 28 pixels out of 32."""
    step = geometry.steps[-1]
    return 1.0 * (side != 28 and (last.kernel, step.stride, step.padding, step.output_padding) in _CROPPED)


def _halves_anime(chain: Chain, step: Step) -> bool:
    """Whether a last step makes 64 pixels where the kernels are those of a network that makes 96."""
    return tuple(link.kernel for link in chain) == _ANIME and step == Step(2, 2, 1)


def _up_steps(link: Link, last: bool, after_fours: bool) -> list[tuple[Step, float]]:
    """Steps of a generator's convolution; one of stride 1 may read maps that are upsampled."""
    kernel = link.kernel
    if link.forward:
        # The padding q of an ordinary convolution is kernel - 1 - q of the fractionally-strided one.
        same = [(kernel - 1) // 2] if kernel % 2 else []
        paddings = [(p, 0.0) for p in same] + [(p, 0.8) for p in range(kernel) if p not in same and p >= kernel // 2]
        return [(Step(1, p, 0, u), c + 0.1 * (u == 1)) for p, c in paddings for u in (2, 1)] + [
            (Step(1, p, 0, 4), c + 1.0) for p, c in paddings
        ]
    usual = _USUAL_UP | (_CROPPED if last else {}) | (_TRIPLED[0] if last and after_fours else {})
    moves = [
        (kernel, stride, padding, more)
        for stride in (2, 1, 4, 3)
        if stride <= max(kernel, 2)
        for padding in range(kernel // 2 + 1)
        for more in range(min(stride, 2))
    ]
    steps = []
    for move in moves + [move for move in _CROPPED if last and move[0] == kernel]:
        _, stride, padding, more = move
        rare = 1 + 0.2 * padding + 0.2 * more + 0.5 * (stride > 2)
        steps.append((Step(stride, padding, more), usual.get(move, rare)))
    if kernel % 2 and kernel > 1:
        steps.append((Step(1, (kernel - 1) // 2, 0, 2), 0.2))
    return steps


def _down_steps(kernel: int, tripled: bool = False) -> list[tuple[Step, float]]:
    steps = []
    for stride in (2, 1, 4, 3):
        for padding in range(kernel // 2 + 1):
            move = (kernel, stride, padding)
            usual = _TRIPLED[1].get(move, _USUAL_DOWN.get(move)) if tripled else _USUAL_DOWN.get(move)
            cost = 1 + 0.2 * padding + 0.5 * (stride > 2) if usual is None else usual
            if stride <= max(kernel, 2):
                steps.append((Step(stride, padding), cost))
    return steps


def _up_side(side: int, kernel: int, step: Step) -> int:
    return (side * step.upsample - 1) * step.stride - 2 * step.padding + kernel + step.output_padding


def _down_side(side: int, kernel: int, step: Step) -> int:
    return (side + 2 * step.padding - kernel) // step.stride + 1 if side + 2 * step.padding >= kernel else 0


def _advance(
    ways: dict[int, list[Geometry]],
    options: Sequence[tuple[Step, float]],
    kernel: int,
    move: Callable[[int, int, Step], int],
    strided: bool = False,
) -> dict[int, list[Geometry]]:
    """One convolution further, from every side that was reached."""
    reached: dict[int, list[Geometry]] = {}
    for side, geometries in ways.items():
        for step, cost in options:
            after = move(side, kernel, step)
            if 1 <= after <= IMAGE_SIZES[-1]:
                reached.setdefault(after, []).extend(
                    _extended(g, step, after, cost + _mixes(g, step, strided)) for g in geometries
                )
    return {side: sorted(group, key=lambda g: g.unusual)[:KEPT] for side, group in reached.items()}


def _mixes(geometry: Geometry, step: Step, strided: bool) -> float:
    """How much rarer it is to upsample where others stride: nothing once it was done, since it may well be done again."""
    if any(s.upsample > 1 for s in geometry.steps):
        return 1.2 * (step.stride > 1)
    return float(strided and step.upsample > 1)


def _extended(geometry: Geometry, step: Step, side: int, cost: float) -> Geometry:
    # Whoever pads one layer in an unusual way pads the next one alike.
    repeated = 0.6 if geometry.steps and cost >= 0.2 and step == geometry.steps[-1] else 1.0
    return Geometry((*geometry.steps, step), (*geometry.sizes, side), geometry.unusual + cost * repeated)


def _arrived(ways: dict[int, list[Geometry]], wanted: int | None, usual: Sequence[int]) -> list[Geometry]:
    sides = [wanted] if wanted is not None else [side for side in ways if side in usual]
    return sorted((g for side in sides for g in ways.get(side, ())), key=lambda g: g.unusual)
