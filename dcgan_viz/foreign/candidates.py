"""Readings that were compared, side by side, and the refusal to choose between those that nothing tells apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dcgan_viz.errors import UserError
from dcgan_viz.foreign.building import build_generator
from dcgan_viz.foreign.geometry import Geometry
from dcgan_viz.foreign.sources import CONDITIONAL, latents
from dcgan_viz.foreign.testimony import APART, RARE, Reading, Verdict
from dcgan_viz.networks.layers import name_activation
from dcgan_viz.networks.spec import Output

SAME = 1 / 255
"""Mean difference of pixels, on a scale of 2, below which two readings draw the same: half a grey level of 256."""

ALIKE = 8 / 255
"""Mean difference up to which the eye takes two pictures for the same: four grey levels of 256."""

SHOWN, DRAWN = 8, 6
"""Candidates on a sheet, and pictures of each."""

PRIORS = {"normal": "z from N(0, 1)", "uniform": "z from U(-1, 1)", "unit": "z from U(0, 1)"}


@dataclass(frozen=True, eq=False)
class Candidate:
    """One reading of a generator's weights, and what it draws.

    Parameters
    ----------
    name : str
        What it does otherwise than the first; of the first, what it does.
    behind : float
        Logarithm of the odds against it, beside the first.
    images : Tensor (N, C, H, W)
        Of the same latents as the others', if these are of one prior.
    """

    name: str
    behind: float
    images: Tensor


class UndecidedError(UserError):
    """More than one reading of a generator's weights is possible.

    Parameters
    ----------
    message : str
    candidates : sequence of Candidate
    """

    def __init__(self, message: str, candidates: Sequence[Candidate] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


def traits(reading: Reading) -> dict[str, str]:
    """What weights do not hold of a reading, in words, by the parameter that gives it."""
    habits = reading.habits
    found = {
        "prior": _prior(habits.source),
        "activation": name_activation(habits.activation, habits.slope),
        "projection": f"{'' if habits.first_activated else 'no '}activation after the projection",
        "norm": f"normalisation {'before' if habits.norm_first else 'after'} the activation",
        "eps": f"epsilon {habits.eps:g}",
        "first_eps": f"epsilon {habits.first_eps:g} in the first normalisation",
        "strides": describe(reading.geometry),
        "order": ", ".join(modules(reading)),
    }
    if reading.chain[0].norm is None:
        del found["first_eps"]
    return found


def _prior(source: str) -> str:
    if source not in CONDITIONAL:
        return PRIORS.get(source, source)
    prior, place = CONDITIONAL[source]
    return f"{PRIORS[prior]}, and a label {place}"


def different(first: Reading, second: Reading) -> dict[str, str]:
    """The traits of a second reading that a first does not have."""
    own = traits(first)
    return {name: words for name, words in traits(second).items() if words != own[name]}


def modules(reading: Reading) -> list[str]:
    """Names of modules as they run."""
    return [name for link in reading.chain for name in (link.name, *([link.norm.name] if link.norm else []))]


def describe(geometry: Geometry) -> str:
    """Strides and whatever else is not usual, for the command line's lists."""
    values = {
        "strides": [s.stride for s in geometry.steps],
        "paddings": [s.padding for s in geometry.steps],
        "output paddings": [s.output_padding for s in geometry.steps],
        "upsamples": [s.upsample for s in geometry.steps],
    }
    usual = {"output paddings": 0, "upsamples": 1}
    told = {name: numbers for name, numbers in values.items() if any(n != usual.get(name) for n in numbers)}
    return ", ".join(f"{name} {','.join(map(str, numbers))}" for name, numbers in told.items())


def unheard(verdict: Verdict) -> list[tuple[Reading, float]]:
    """Readings that are not told apart from the chosen one, and move as it does: those of other habits.

    Parameters
    ----------
    verdict : Verdict

    Returns
    -------
    list of (Reading, float)
        With the logarithm of the odds against each: the statistics' and custom's, or custom's alone.
    """
    chosen = verdict.reading
    silent = {r.habits: r for r in reversed(verdict.alike) if r.geometry.steps == chosen.geometry.steps}
    found = [(r, RARE * (r.unusual - chosen.unusual)) for r in reversed(silent.values()) if r.habits != chosen.habits]
    return [(r, behind) for r, behind in (*verdict.rivals, *found) if behind < APART]


def apart(first: Reading, second: Reading) -> float:
    """Mean difference of pixels between what two readings draw; infinite where pictures or priors differ."""
    if first.habits.source != second.habits.source:
        return float("inf")
    ours, theirs = _pictures(first, "tanh"), _pictures(second, "tanh")
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return float("inf")
    return float((ours - theirs).abs().mean())


@torch.no_grad()
def _pictures(reading: Reading, output: Output) -> Tensor | None:
    try:
        generator = build_generator(reading, output)
    except UserError:
        return None
    z = latents("normal" if reading.habits.source == "normal" else "uniform", DRAWN, generator.spec.latent_dim)
    return generator(z)


def compare(verdict: Verdict, output: Output = "tanh") -> tuple[Candidate, ...]:
    """The readings that came furthest, each drawn; of those that draw the same, the most usual.

    Parameters
    ----------
    verdict : Verdict
    output : {"tanh", "sigmoid", "none"}
        What ends the generator.

    Returns
    -------
    tuple of Candidate
        The verdict's own first, others by their likelihood, 8 at most.
    """
    chosen = verdict.reading
    found: list[tuple[Reading, Candidate]] = []
    # Geometries that no statistics see are nearly as usual, or no rivals.
    moves = [r for r in verdict.alike if r.habits == chosen.habits and r.unusual < chosen.unusual + 1]
    silent = unheard(replace(verdict, rivals=())) if verdict.fits else []
    unseen = [(r, 0.0) for r in (*moves[:4], *(r for r, _ in silent))]
    for reading, behind in (*unseen, *sorted(verdict.rivals, key=lambda rival: rival[1])):
        images = _pictures(reading, output)
        if images is None or any(_same(reading, images, other, c.images) for other, c in found):
            continue
        words = different(chosen, reading) if found else traits(chosen)
        name = ", ".join(text for trait, text in words.items() if trait != "order" or found)
        found.append((reading, Candidate(name, behind, images)))
        if len(found) == SHOWN:
            break
    return tuple(candidate for _, candidate in found)


def _same(reading: Reading, images: Tensor, other: Reading, others: Tensor) -> bool:
    same = reading.habits.source == other.habits.source and images.shape == others.shape
    return same and float((images - others).abs().mean()) < SAME
