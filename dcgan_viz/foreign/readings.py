"""Which reading of a pair's weights is taken, and what of it was decided by what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from torch import Tensor

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.candidates import (
    ALIKE,
    SAME,
    UndecidedError,
    apart,
    compare,
    describe,
    different,
    modules,
    traits,
    unheard,
)
from dcgan_viz.foreign.chains import Chain, Chains, Side, find_chains
from dcgan_viz.foreign.geometry import Geometry, discriminator_geometries, generator_geometries
from dcgan_viz.foreign.knowledge import Knowledge, Source, Step, Wishes
from dcgan_viz.foreign.sources import CLASSES, CONDITIONAL, latents
from dcgan_viz.foreign.testimony import (
    APART,
    EXAMPLES,
    LABELLED,
    RARE,
    Habits,
    Reading,
    Verdict,
    discriminator_layer,
    generator_layer,
    weigh_readings,
)
from dcgan_viz.foreign.weights import Weights

GEOMETRIES, READINGS = 48, 40_000
"""Ways to stride that are looked at, and ways to read altogether; of more, the most usual."""

FINE = 0.1
"""Variance of a normalisation's maps, median, below which an epsilon of 1e-3 can be heard."""

CLEAR, ENLARGED = 0.5, 1.0
"""How much more usual than the next a geometry must be to be taken where no statistics tell; than one that enlarges last."""

_HABITS = (
    *(Habits(slope=slope) for slope in (0.0, 0.2, 0.01, 0.1, 0.3)),
    *(Habits(activation) for activation in ("elu", "selu", "silu", "gelu", "tanh", "softplus")),
    # Whoever writes BatchNorm2d(channels, 0.8) means the momentum, and gets this epsilon; often not in the first.
    *(Habits(slope=slope, eps=0.8, first_eps=first) for slope in (0.0, 0.2, 0.01, 0.1) for first in (0.8, 1e-5)),
)
_KERAS = tuple(Habits(slope=slope, eps=1e-3, first_eps=1e-3) for slope in (0.0, 0.2, 0.3, 0.01, 0.1))
"""Keras' epsilon, which is heard only where variances are small."""

EPSILONS = 1e-5, 1e-3, 0.8, 0.9
"""Those that people use: PyTorch's, Keras', and momenta in the wrong place."""

SLIGHT = 0.01, 0.05, 0.1
"""Slopes of rectifiers that leak a little, which a search does not tell apart."""

HEARD = 6
"""How many ways to draw are shown to the discriminator, where the generator's own statistics do not see how they differ."""


def read_generator(
    weights: Weights,
    known: Knowledge,
    source: Source | None,
    discriminator: Weights | None = None,
    witness: Callable[[Reading], Verdict | None] | None = None,
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
    witness : callable, optional
        From a reading of the generator to what the discriminator's statistics say of its pictures.

    Raises
    ------
    UserError
        If the weights are no chain, or what the statistics leave open must be asked.
    """
    chains, geometries = _drawn(weights, known)
    if discriminator is not None:
        critics = _discriminator_chains(discriminator)
        geometries = {key: _readable(group, critics) for key, group in geometries.items()}
    geometries = {key: _usual(group) for key, group in geometries.items()}
    if not any(geometries.values()):
        raise _no_way(chains, known.wishes)
    latent = _latent(chains)

    sources: tuple[str, ...] = (source,) if source else ("normal", "uniform", "unit")
    if source is None and latent >= 2 * CLASSES:
        sources = (*sources, *CONDITIONAL)
    found = weigh_readings(
        _readings(chains, geometries, known, sources, "generator"),
        lambda name, turn: latents(name, (1, 2, 8)[turn] * EXAMPLES, latent, seed=turn),
        generator_layer,
        lambda reading: _near(reading, known),
    )
    if found.reading.habits.source in CONDITIONAL and found.distance is not None:
        prior, place = CONDITIONAL[found.reading.habits.source]
        raise UserError(
            f"this generator looks conditional: its statistics fit {latent - CLASSES} numbers of a {prior} distribution and a "
            f"label of {CLASSES} classes, as zeros and a one, that comes {place}. Bind a label and give the network itself: "
            "dcgan_viz.wrap takes it, or a command as the model file.py:function; if it is not, give `prior`"
        )
    _ask_order(found, chains, "generator")
    _refuse_what_never_ran(found, known, source)
    _refuse_what_does_not_fit(found, known, source)
    if witness is not None:
        found = _heard_by(found, witness)
    _settle(found, known, "generator")
    _refuse_what_is_open(found)
    return found


def _drawn(weights: Weights, known: Knowledge) -> tuple[Chains, dict[int, list[Geometry]]]:
    """The chains that a generator's layers can form, and the geometries of each by its id."""
    options: list[Chain] = []
    geometries = {}
    for way in weights.ways or (weights,):
        found = find_chains(way, "generator", known.order)
        options += found.options
        wishes = known.over(way.known).wishes
        for chain in found.options:
            ways = generator_geometries(chain, wishes)
            geometries[id(chain)] = [replace(g, unusual=g.unusual + way.unusual) for g in ways]
    return Chains(tuple(options), found.open_question), geometries


def _near(reading: Reading, known: Knowledge) -> Sequence[Reading]:
    """A reading with every epsilon that people use, and where it leaks a little, with the other slopes of as little."""
    habits = reading.habits
    slopes = [s for s in SLIGHT if known.slope is None and habits.slope in SLIGHT]
    others = [replace(reading, habits=replace(habits, slope=slope)) for slope in slopes]
    if not _normed(reading.chain):
        return (reading, *others)
    pairs = []
    for eps in EPSILONS if known.eps is None else (known.eps,):
        alone = EPSILONS[0] if reading.chain[0].norm is not None else eps
        firsts = (eps, alone) if known.first_eps is None else (known.first_eps,)
        pairs += [(eps, first) for first in dict.fromkeys(firsts)]
    others += [replace(reading, habits=replace(habits, eps=eps, first_eps=first)) for eps, first in pairs]
    return (reading, *others)


def _heard_by(verdict: Verdict, witness: Callable[[Reading], Verdict | None]) -> Verdict:
    """Of ways that a generator's own statistics do not see, the one whose pictures its discriminator has met."""
    chosen = verdict.reading
    moves = [r for r in verdict.alike if r.habits == chosen.habits and r.unusual <= chosen.unusual + ENLARGED]
    silent = [r for r, _ in unheard(replace(verdict, rivals=())) if _matters(chosen, r)]
    ways = [*{r.geometry.steps: r for r in reversed(moves)}.values()][::-1] + silent
    if len(ways) < 2:
        return verdict
    heard = [(said, r) for r in ways[:HEARD] if (said := witness(r)) is not None and said.fits]
    ranked = sorted(heard, key=lambda pair: RARE * pair[1].unusual - pair[0].likelihood)
    odds = [said.likelihood - RARE * reading.unusual for said, reading in ranked]
    # Of pictures that are all too unlike those which it has met, it says nothing.
    if len(odds) < 2 or odds[0] - odds[1] < APART or not ranked[0][0].agrees:
        return verdict
    best = ranked[0][1]

    def remain(readings: Iterable[Reading]) -> tuple[Reading, ...]:
        """Without those that were heard and are not the best, and all that move or draw as they do."""
        steps = {r.geometry.steps for _, r in ranked[1:]} - {best.geometry.steps}
        habits = {r.habits for _, r in ranked[1:]} - {best.habits}
        return tuple(r for r in readings if r.geometry.steps not in steps and r.habits not in habits)

    return replace(verdict, reading=best, tied=remain(verdict.tied), alike=remain(verdict.alike))


def _missing(known: Knowledge, source: Source | None) -> str:
    """Names of parameters that settle what weights do not tell, but for those that were given."""
    given = {
        "prior": source is not None,
        "activation": known.activation is not None or known.slope is not None,
        "projection": known.first_activated is not None,
        "norm": known.norm_first is not None,
        "eps": known.eps is not None,
        "strides": bool(known.wishes.steps or known.wishes.strides),
        "paddings": bool(known.wishes.steps or known.wishes.paddings),
    }
    return ", ".join(f"`{name}`" for name, there in given.items() if not there)


def _refuse_what_never_ran(verdict: Verdict, known: Knowledge, source: Source | None) -> None:
    """Raise where all running statistics are as a normalisation begins with them, so that they tell nothing."""
    norms = [link.norm for link in verdict.reading.chain if link.norm is not None and link.norm.measured]
    missing = _missing(known, source)
    if missing and norms and all((n.mean == 0).all() and (n.variance == 1).all() for n in norms):
        raise UserError(
            "all running means of its normalisations are 0 and all variances 1, as before the first batch: the network was "
            "never trained, or its statistics were lost. If it is trained, load it, let it draw a hundred batches in training "
            "mode (`generator.train()`) and save its state_dict anew; if it shall be imported as it is, give all that its "
            f"statistics do not tell: {missing}"
        )


def _refuse_what_does_not_fit(verdict: Verdict, known: Knowledge, source: Source | None) -> None:
    """Raise where none of several readings of a generator gives its statistics."""
    missing = _missing(known, source)
    if missing and verdict.contradicted and verdict.considered > 1:
        raise _undecided(
            f"no way to read these weights gives their running statistics: in the best of {verdict.considered:,} "
            f"({', '.join(traits(verdict.reading).values())}) they are too far off, by deviations "
            f"{', '.join(f'{fit.ratio:.2f}' for fit in verdict.fits)} times the stored ones (distance {verdict.distance:.3f}). "
            "If it was saved while its weights still moved, they lag behind: let it draw a hundred batches in training mode "
            "(`generator.train()`) and save its state_dict anew. It may also be conditional, interpolate between pixels, drop "
            "units out, or be no plain chain of layers: give the network itself, dcgan_viz.wrap takes it; or all that is not "
            f"certain: {missing}",
            verdict,
            "generator",
        )


def _refuse_what_is_open(verdict: Verdict) -> None:
    """Raise where two readings of a generator that draw differently agree alike."""
    if verdict.distance is None:
        return
    chosen = verdict.reading
    behind = [r for r, _ in unheard(verdict) if _matters(chosen, r) and not _leaks_alike(chosen, r)]
    if behind:
        names = dict.fromkeys(name for reading in behind for name in different(chosen, reading))
        own = traits(chosen)
        ways = "; or ".join(dict.fromkeys(", ".join(different(chosen, reading).values()) for reading in behind[:4]))
        raise _undecided(
            f"its statistics do not tell {', '.join(own[name] for name in names)} from {ways}: give "
            + " and ".join(dict.fromkeys(f"`{option}`" for r in behind for option in _options(chosen, r))),
            verdict,
            "generator",
        )


def _options(chosen: Reading, rival: Reading) -> list[str]:
    """Parameters that tell two readings apart: of geometries the side, or else the first list in which they differ."""
    ways = chosen.geometry, rival.geometry
    lists = {"strides": "stride", "upsamples": "upsample", "paddings": "padding", "output_paddings": "output_padding"}
    moves = [name for name, of in lists.items() if len({tuple(getattr(s, of) for s in way.steps) for way in ways}) > 1]
    moves = ["size"] if ways[0].sizes[-1] != ways[1].sizes[-1] else moves[:1]
    return [option for name in different(chosen, rival) for option in (moves if name == "strides" else [name])]


def _leaks_alike(chosen: Reading, rival: Reading) -> bool:
    """Whether a rival has another slope below zero, and draws much the same.

    The more usual one is then taken for granted, and the card says how much the other would change: while weights still move,
    statistics seldom tell slopes apart.
    """
    slopes = [*different(chosen, rival)] == ["activation"] and rival.habits.activation == "rectifier"
    return slopes and apart(chosen, rival) < ALIKE


def _matters(chosen: Reading, rival: Reading) -> bool:
    """Whether one sees that a rival draws otherwise."""
    return apart(chosen, rival) >= SAME


def read_discriminator(
    weights: Weights, known: Knowledge, size: int, pictures: Callable[[str], Tensor], sources: Sequence[str]
) -> Verdict:
    """The reading of a discriminator's weights that agrees best with its statistics; the most usual one where none does.

    A discriminator has mostly seen photographs, and its generator's pictures may be too unlike them to tell anything.

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
    chains, readings, found = _compared(weights, known, size, pictures, sources)
    _ask_order(found, chains, "discriminator")
    _settle(found, known, "discriminator")
    if not found.contradicted:
        return found
    # Which of all readings happens to be the least bad is then no evidence for its strides and slope.
    usual = min(readings, key=lambda r: r.unusual + (r.habits.slope != 0.2))
    return replace(weigh_readings([usual], _turns(pictures), discriminator_layer), considered=found.considered)


def hear(
    weights: Weights, known: Knowledge, size: int, pictures: Callable[[str], Tensor], sources: Sequence[str]
) -> Verdict | None:
    """What a discriminator's statistics say of pictures, whatever else they leave open; None if it cannot read them.

    Parameters
    ----------
    weights, known, size, pictures, sources
        As in `read_discriminator`.
    """
    try:
        return _compared(weights, known, size, pictures, sources)[-1]
    except (RuntimeError, UserError):
        return None


def _compared(
    weights: Weights, known: Knowledge, size: int, pictures: Callable[[str], Tensor], sources: Sequence[str]
) -> tuple[Chains, list[Reading], Verdict]:
    chains = find_chains(weights, "discriminator", known.order)
    geometries = {id(c): _usual(discriminator_geometries(c, size, known.wishes)) for c in chains.options}
    if not any(geometries.values()):
        raise UserError(
            f"no strides and paddings lead from {size}x{size} pictures through kernels {_kernels(chains)} to one score: "
            "give those you know, or a network that fits the generator"
        )

    readings = _readings(chains, geometries, known, sources, "discriminator")
    return chains, readings, weigh_readings(readings, _turns(pictures), discriminator_layer)


def _turns(pictures: Callable[[str], Tensor]) -> Callable[[str, int], Tensor]:
    """One half of the pictures for the search, the other for those that it leaves."""
    half = EXAMPLES // 2
    return lambda name, turn: pictures(name)[min(turn, 1) * half :][:half]


def _readings(
    chains: Chains, geometries: dict[int, list[Geometry]], known: Knowledge, sources: Sequence[str], side: Side
) -> list[Reading]:
    """All ways to read weights that what is known allows."""
    usual = _HABITS if side == "generator" else sorted(_HABITS, key=lambda h: (h.slope != 0.2, h.unusual))
    norms = [link.norm for chain in chains.options[:1] for link in chain if link.norm is not None]
    fine = any(norm.variance.median() < FINE for norm in norms)
    habits = _distinct(_given(each, known) for each in (*usual, *_KERAS[: len(_KERAS) * fine]))
    varied = {
        normed: [
            v
            for each in habits
            for v in _varied(each, known, sources, side, normed)
            # Labels are looked for beside what is usual otherwise.
            if v.source not in CONDITIONAL or v.unusual < LABELLED + 0.5
        ]
        for normed in (True, False)
    }
    most = max(READINGS // (len(chains.options) * len(varied[True])), 1)
    return [
        Reading(chain, geometry, each)
        for chain in chains.options
        for geometry in _usual(geometries[id(chain)], most)
        for each in varied[_normed(chain)]
    ]


def _given(habits: Habits, known: Knowledge) -> Habits:
    """Habits with what the user gave; a slope alone is that of a rectifier."""
    activation = known.activation or ("rectifier" if known.slope is not None else habits.activation)
    slope = habits.slope if known.slope is None else known.slope
    eps, first = (habits.eps, habits.first_eps) if known.eps is None else (known.eps, known.eps)
    first = first if known.first_eps is None else known.first_eps
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


def _normed(chain: Chain) -> bool:
    return any(link.norm is not None for link in chain)


def _usual(geometries: list[Geometry], most: int = GEOMETRIES) -> list[Geometry]:
    """The most usual ways, and those nearly as usual that differ from one in the last step, which no statistics hear."""
    best: dict[tuple[Step, ...], float] = {}
    for geometry in geometries[:most]:
        best.setdefault(geometry.steps[:-1], geometry.unusual)
    others = [g for g in geometries[most:] if g.unusual <= best.get(g.steps[:-1], -CLEAR) + CLEAR]
    return geometries[:most] + others


def _discriminator_chains(discriminator: Weights) -> Sequence[Chain]:
    """The chains of a generator's discriminator; one that is none is refused, and its generator needs it not."""
    try:
        return find_chains(discriminator, "discriminator").options
    except UserError as error:
        raise UserError(f"{error}. Without this discriminator the generator can be imported alone") from error


def _readable(geometries: list[Geometry], chains: Sequence[Chain]) -> list[Geometry]:
    """Geometries to pictures that a discriminator can read, as usual as both are together."""
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


def _ask_order(verdict: Verdict, chains: Chains, side: Side) -> None:
    """Ask which module follows which, unless the statistics tell; custom does not."""
    if chains.open_question and not (verdict.agrees and verdict.decided(lambda r: tuple(modules(r)))):
        listing = "; or ".join(dict.fromkeys(",".join(modules(r)) for r in verdict.tied[:4]))
        raise _undecided(
            f"shapes and statistics leave open {chains.open_question} in the {side}: give `order`, such as {listing}",
            verdict,
            side,
        )


def _settle(verdict: Verdict, known: Knowledge, side: Side) -> None:
    """Ask what neither statistics nor custom decide; of custom alone only what is far more usual than the rest."""
    sources = {r.habits.source for r in verdict.tied}
    if side == "generator" and len(sources) > 1 and verdict.distance is None:
        raise UserError(
            "the weights do not tell what z was drawn from in training: give `prior=normal` or `prior=uniform`"
        )
    # Of those that do the same wherever statistics are kept, custom decides.
    chosen = verdict.reading.geometry
    others = [r.geometry for r in verdict.alike if r.geometry.steps != chosen.steps]
    # Whether the last convolution reads its maps enlarged, whoever wrote it decided without a thought to what is usual.
    near = [
        g
        for g in others
        if g.unusual - chosen.unusual < (ENLARGED if g.steps[-1].upsample != chosen.steps[-1].upsample else CLEAR)
    ]
    sides = {g.sizes[-1] for g in (chosen, *near)}
    if side == "generator" and len(sides) > 1 and known.wishes.size is None:
        raise _undecided(
            f"its pictures may be {' or '.join(f'{s}x{s}' for s in sorted(sides))} pixels: the weights do not tell, give `size`",
            verdict,
            side,
        )
    if not near:
        return
    ways = "; or ".join(describe(g) for g in (chosen, min(near, key=lambda g: g.unusual)))
    option = "`strides`" if side == "generator" else "`discriminator_strides`"
    raise _undecided(
        f"the {side}'s weights and statistics leave open how its convolutions move: {ways}: give {option}",
        verdict,
        side,
    )


def _undecided(message: str, verdict: Verdict, side: Side) -> UndecidedError:
    return UndecidedError(message, compare(verdict) if side == "generator" else ())
