"""A pair that others trained as a model of this package: weights read, compared, built, and what is known of them told."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dcgan_viz.card import Card
from dcgan_viz.data.arrays import read_arrays
from dcgan_viz.errors import UserError
from dcgan_viz.foreign.building import build_discriminator, build_generator
from dcgan_viz.foreign.candidates import PRIORS, SAME, apart, different, unheard
from dcgan_viz.foreign.drawing import look
from dcgan_viz.foreign.knowledge import Knowledge, Source
from dcgan_viz.foreign.readings import ENLARGED, hear, read_discriminator, read_generator
from dcgan_viz.foreign.sources import latents
from dcgan_viz.foreign.testimony import EXAMPLES, Reading, Verdict
from dcgan_viz.foreign.weights import Weights
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import name_activation
from dcgan_viz.networks.modules import Discriminator, Generator, NoDiscriminator
from dcgan_viz.networks.spec import NetworkSpec, Output
from dcgan_viz.networks.statistics import recalibrate

RECALIBRATION, BATCH = 4096, 128
"""Examples on which running statistics are measured anew, as many at once as the authors trained with."""

CHECKED = 1e-4
"""Largest difference from the original's outputs at which an import is proven."""


@dataclass(frozen=True)
class Told:
    """Whence each thing is known that weights do not hold.

    Parameters
    ----------
    given, decided, granted : tuple of str
        By the user; by the checkpoint's own statistics; by custom alone.
    statistics : str
        How these fit, in a sentence.
    """

    given: tuple[str, ...]
    decided: tuple[str, ...]
    granted: tuple[str, ...]
    statistics: str


@dataclass(frozen=True)
class Imported:
    """A pair that was imported.

    Parameters
    ----------
    generator : Generator
    discriminator : Discriminator or None
    told : mapping of str to Told
        Of the generator and, if there is one, of the discriminator.
    verdicts : mapping of str to Verdict
        Where the checkpoint was asked.
    sources : mapping of str to str
        Files and their SHA-256.
    looks : str
        What is wrong with what it draws; empty where nothing is.
    """

    generator: Generator
    discriminator: Discriminator | None
    told: dict[str, Told]
    sources: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    looks: str = ""

    @property
    def summary(self) -> str:
        """One line for the card."""
        channels, size = self.generator.spec.image_channels, self.generator.spec.image_size
        missing = "" if self.discriminator is not None else " without its discriminator"
        return f"a {size}x{size} {'grey' if channels == 1 else 'colour'} DCGAN imported from {', '.join(self.sources)}{missing}"

    @property
    def weaknesses(self) -> tuple[str, ...]:
        """What a user must know before trusting it."""
        found = []
        for side, told in self.told.items():
            if told.granted:
                found.append(
                    f"Of the {side} these were taken for granted, since nothing tells: {', '.join(told.granted)}."
                )
            found.append(f"{side.capitalize()}: {told.statistics}.")
        if self.looks:
            found.append(f"Judged by drawing, {self.looks}.")
        return tuple(found)

    def model(self, name: str, data: str = "not stated", terms: str = "not stated") -> DCGAN:
        """The pair as a model with its card.

        Parameters
        ----------
        name, data, terms : str
            As on a `Card`.
        """
        critic = self.discriminator
        networks = NetworkSpec(self.generator.spec, None if critic is None else critic.spec)
        card = Card(
            name, self.summary, networks, data, terms, training={"imported": self.record}, weaknesses=self.weaknesses
        )
        return DCGAN(self.generator, NoDiscriminator() if critic is None else critic, card)

    @property
    def record(self) -> dict[str, Any]:
        """The import as plain data for the card."""
        fits = {
            side: {str(f.layer): {"distance": round(f.distance, 4), "ratio": round(f.ratio, 3)} for f in verdict.fits}
            for side, verdict in self.verdicts.items()
        }
        known = {
            side: {"given": list(t.given), "decided by statistics": list(t.decided)} for side, t in self.told.items()
        }
        return {"files": self.sources, "reading": known, "statistics": fits}


def import_pair(
    generator: Weights,
    discriminator: Weights | None = None,
    *,
    source: Source | None = None,
    output: Output | None = None,
    generator_known: Knowledge | None = None,
    discriminator_known: Knowledge | None = None,
) -> Imported:
    """Networks out of the weights of a DCGAN's pair.

    What weights do not hold is asked of the checkpoint itself (`dcgan_viz.foreign.testimony`), then of custom; where
    neither decides, of the user, by an error that names the option.

    Parameters
    ----------
    generator, discriminator : Weights
        The discriminator may be missing.
    source : {"uniform", "normal", "unit"}, optional
        What z was drawn from: U(-1, 1), N(0, 1) or U(0, 1).
    output : {"tanh", "sigmoid", "none"}, optional
        What ends the generator.
    generator_known, discriminator_known : Knowledge, optional
        What else is known.

    Raises
    ------
    UserError
        If the layers are not those of a plain DCGAN, or something must be asked.
    """
    known = (generator_known or Knowledge()).over(generator.known)
    output = output or known.output
    endings = ("tanh", "sigmoid") if output is None else (output,)
    critic_known = discriminator_known or Knowledge()
    if discriminator is not None:
        critic_known = critic_known.over(discriminator.known)
    witness = None if discriminator is None else partial(_hear, discriminator, critic_known, endings)
    verdict = read_generator(generator, known, source, discriminator, witness)
    size = verdict.reading.geometry.sizes[-1]
    testimony = None
    if discriminator is not None:
        pictures = _pictures(verdict.reading)
        try:
            testimony = read_discriminator(discriminator, critic_known, size, pictures, endings)
        except RuntimeError as error:
            raise UserError(
                f"the discriminator cannot read what the generator draws ({error}): give two that were trained together, or "
                "the generator alone"
            ) from error
    ending: Output = output or "tanh"
    if testimony is not None and output is None and _heard(testimony, lambda r: r.habits.source):
        ending = "sigmoid" if testimony.reading.habits.source == "sigmoid" else "tanh"
    network = build_generator(verdict.reading, ending)
    told = {"generator": _tell(verdict, known, source, output, ending, testimony)}
    verdicts = {"generator": verdict}
    critic = None
    if testimony is not None:
        critic = build_discriminator(testimony.reading, size)
        told["discriminator"] = _tell_discriminator(testimony, critic_known)
        verdicts["discriminator"] = testimony
    _measure_anew(network, critic, generator, discriminator, told)
    with torch.no_grad():
        looks = look(network(latents(network.spec.prior, 64, network.spec.latent_dim)))
    sources = {weights.source: weights.digest for weights in (generator, discriminator) if weights is not None}
    return Imported(network, critic, told, sources, verdicts, looks)


def _hear(discriminator: Weights, known: Knowledge, endings: Sequence[str], reading: Reading) -> Verdict | None:
    """What a discriminator's statistics say of the pictures that a reading of its generator draws."""
    return hear(discriminator, known, reading.geometry.sizes[-1], _pictures(reading), endings)


def _measure_anew(
    network: Generator,
    critic: Discriminator | None,
    generator: Weights,
    discriminator: Weights | None,
    told: dict[str, Told],
) -> None:
    """Running statistics for weights that came without them."""
    z = latents(network.spec.prior, RECALIBRATION, network.spec.latent_dim)
    if not generator.measured:
        recalibrate(network, z.split(BATCH))
        told["generator"] = replace(told["generator"], statistics=_measured(len(z), "latents"))
    if critic is not None and discriminator is not None and not discriminator.measured:
        with torch.no_grad():
            recalibrate(critic, [network(batch) for batch in z.split(BATCH)])
        told["discriminator"] = replace(
            told["discriminator"], statistics=_measured(len(z), "pictures of its generator")
        )


def measure_discriminator(imported: Imported, photographs: Tensor) -> Imported:
    """The pair with its discriminator's running statistics measured anew on what it was trained on.

    Where a file keeps none they were measured on pictures of the generator.

    Parameters
    ----------
    imported : Imported
        Its discriminator is changed.
    photographs : Tensor (N, C, H, W)
        In [-1, 1].
    """
    if imported.discriminator is None:
        raise UserError("photographs measure a discriminator's statistics, and none is imported")
    recalibrate(imported.discriminator, photographs.split(BATCH))
    told = replace(imported.told["discriminator"], statistics=_measured(len(photographs), "photographs"))
    return replace(imported, told={**imported.told, "discriminator": told})


def _measured(count: int, what: str) -> str:
    return f"its running statistics were measured anew on {count:,} {what}"


def _pictures(reading: Reading) -> Callable[[str], Tensor]:
    """Pictures of a generator as a discriminator read them in training, by how the generator ends."""
    raw = build_generator(reading, "none")
    with torch.no_grad():
        values = torch.cat([raw(z) for z in latents(raw.spec.prior, EXAMPLES, raw.spec.latent_dim).split(BATCH)])

    def pictures(ending: str) -> Tensor:
        return {"tanh": torch.tanh, "sigmoid": torch.sigmoid}.get(ending, lambda v: v)(values)

    return pictures


def _heard(verdict: Verdict, value: Callable[[Reading], Hashable]) -> bool:
    """Whether the statistics fit and leave a value no choice."""
    return verdict.agrees and verdict.decided(value)


def _tell(
    verdict: Verdict,
    known: Knowledge,
    source: Source | None,
    output: Output | None,
    ending: Output,
    testimony: Verdict | None,
) -> Told:
    habits = verdict.reading.habits
    told = _Teller(verdict, _drawn_alike(verdict))
    told.add("prior", PRIORS[habits.source], source is not None, lambda r: r.habits.source)
    told.add_habits(known)
    told.add_last()
    after = "" if habits.first_activated else "no "
    told.add(
        "projection",
        f"{after}activation after the projection",
        known.first_activated is not None,
        lambda r: r.habits.first_activated,
    )
    told.add_geometry(known)
    heard = testimony is not None and _heard(testimony, lambda r: r.habits.source)
    told.place(f"{ending} at the end" if ending != "none" else "nothing at the end", output is not None, heard)
    return told.told


def _drawn_alike(verdict: Verdict) -> dict[str, str]:
    """What nothing tells apart of a generator, by the trait in which it differs, and how much that changes."""
    found: dict[str, str] = {}
    for reading, _ in sorted(unheard(verdict), key=lambda pair: pair[1]):
        change = apart(verdict.reading, reading)
        for trait, words in different(verdict.reading, reading).items():
            found.setdefault(
                trait, f" (with {words} a pixel would change by {change * 127.5:.2g} grey levels on average)"
            )
    found.setdefault("eps", _of_another_epsilon(verdict))
    found.setdefault("strides", _of_other_sides(verdict))
    return found


def _of_another_epsilon(verdict: Verdict) -> str:
    """How much an epsilon would change that nothing hears, though hardly anybody has it; nothing where one does not see it."""
    chosen = verdict.reading
    same = [
        r for r in verdict.alike if r.geometry.steps == chosen.geometry.steps and [*different(chosen, r)] == ["eps"]
    ]
    change, eps = max(((apart(chosen, r), r.habits.eps) for r in same), default=(0.0, 0.0))
    return (
        f" (with epsilon {eps:g} a pixel would change by {change * 127.5:.2g} grey levels on average)"
        if change >= SAME
        else ""
    )


def _of_other_sides(verdict: Verdict) -> str:
    """The sides of pictures that somewhat less usual strides would give, where statistics allow them as well."""
    chosen = verdict.reading
    near = {r.geometry.sizes[-1] for r in verdict.alike if r.unusual < chosen.unusual + ENLARGED}
    others = " or ".join(f"{side}x{side}" for side in sorted(near - {chosen.geometry.sizes[-1]}))
    return f" (less usual ones would make {others} pixels)" if others else ""


def _tell_discriminator(verdict: Verdict, known: Knowledge) -> Told:
    told = _Teller(verdict, {})
    told.add_habits(known)
    told.add_geometry(known)
    if verdict.contradicted:
        return replace(
            told.told, statistics=_statistics(verdict, guess="the most usual one is taken, which is a guess")
        )
    return told.told


class _Teller:
    """Sorts what is known by whence it is known."""

    def __init__(self, verdict: Verdict, alike: Mapping[str, str]) -> None:
        self.verdict = verdict
        self.alike = alike
        self.given: list[str] = []
        self.decided: list[str] = []
        self.granted: list[str] = []

    def place(self, what: str, given: bool, decided: bool) -> None:
        (self.given if given else self.decided if decided else self.granted).append(what)

    def add(self, trait: str, what: str, given: bool, value: Callable[[Reading], Hashable]) -> None:
        decided = _heard(self.verdict, value)
        self.place(what if given or decided else what + self.alike.get(trait, ""), given, decided)

    def add_habits(self, known: Knowledge) -> None:
        habits = self.verdict.reading.habits
        given = known.activation is not None or known.slope is not None
        words = name_activation(habits.activation, habits.slope)
        self.add("activation", words, given, lambda r: (r.habits.activation, r.habits.slope))
        if any(link.norm is not None for link in self.verdict.reading.chain):
            order = "before" if habits.norm_first else "after"
            self.add("norm", f"normalisation {order} it", known.norm_first is not None, lambda r: r.habits.norm_first)
            if "eps" in known.customary:
                self.place(f"epsilon {habits.eps:g}", given=False, decided=False)
            else:
                self.add("eps", f"epsilon {habits.eps:g}", known.eps is not None, lambda r: r.habits.eps)

    def add_last(self) -> None:
        """The activation that no normalisation follows, if it was told by those before."""
        habits, chain = self.verdict.reading.habits, self.verdict.reading.chain
        words = name_activation(habits.activation, habits.slope)
        if words in self.decided and habits.norm_first and chain[-1].norm is None:
            self.granted.append(f"{words} after the last hidden layer too")

    def add_geometry(self, known: Knowledge) -> None:
        steps = self.verdict.reading.geometry.steps
        what = (
            f"strides {','.join(str(s.stride) for s in steps)} and paddings {','.join(str(s.padding) for s in steps)}"
        )
        given = bool(known.wishes.steps or (known.wishes.strides and known.wishes.paddings))
        self.add("strides", what, given, lambda r: r.geometry.steps)

    @property
    def told(self) -> Told:
        return Told(tuple(self.given), tuple(self.decided), tuple(self.granted), _statistics(self.verdict))


def _statistics(verdict: Verdict, guess: str = "the best of them is a guess") -> str:
    """How the statistics fit, in a sentence without its full stop."""
    if verdict.distance is None:
        return "it keeps no running statistics, so none could be compared with what its layers produce"
    ratios = ", ".join(f"{fit.ratio:.2f}" for fit in verdict.fits)
    numbers = f"distance {verdict.distance:.3f}, deviations {ratios} times the stored ones"
    if verdict.agrees:
        return f"its running statistics are what these layers produce ({numbers})"
    return f"no reading of its weights produces its running statistics, and {guess} ({numbers})"


def check(imported: Imported, path: Path) -> dict[str, float]:
    """Compare with what the original network made of its inputs.

    Parameters
    ----------
    imported : Imported
    path : Path
        An ``.npz`` file with ``z`` (N, latent) or (N, latent, 1, 1) and ``images`` (N, C, H, W) as the original draws
        them, or ``images`` and ``scores`` (N,), logits or probabilities of the original discriminator; or all three.

    Returns
    -------
    dict of str to float
        Largest absolute difference of images and of scores.

    Raises
    ------
    UserError
        If the file is no such one, or a difference exceeds 1e-4.
    """
    arrays = _pairs(path)
    differences: dict[str, float] = {}
    with torch.no_grad():
        if "z" in arrays:
            z = arrays["z"].flatten(1)
            # The network that is built draws from U(-1, 1) what the original drew from U(0, 1).
            z = 2 * z - 1 if imported.verdicts["generator"].reading.habits.source == "unit" else z
            drawn = imported.generator(z)
            if imported.generator.spec.output == "sigmoid":
                drawn = (drawn + 1) / 2
            differences["images"] = _difference(drawn, arrays["images"], "images", path)
        if "scores" in arrays and imported.discriminator is not None:
            given, images = arrays["scores"].flatten(), arrays["images"]
            images = 2 * images - 1 if imported.discriminator.spec.unit_pixels else images
            logits = imported.discriminator(images)
            scores = torch.sigmoid(logits) if 0 <= given.min() and given.max() <= 1 else logits
            differences["scores"] = _difference(scores, given, "scores", path)
    for name, difference in differences.items():
        if not difference <= CHECKED:
            raise UserError(
                f"the {name} in {path} differ by up to {difference:.2g} from those of the imported network, and should "
                f"by {CHECKED:g} at most: what was taken for granted is wrong ({'; '.join(imported.weaknesses)})"
            )
    return differences


def _pairs(path: Path) -> dict[str, Tensor]:
    try:
        found = read_arrays(path)
        names = [name for name in found if name in ("z", "images", "scores")]
        arrays = {name: torch.from_numpy(found[name].astype("float32")) for name in names}
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is not a readable .npz file of arrays ({error})") from error
    if "images" not in arrays or len(arrays) < 2:
        raise UserError(f"{path} needs the arrays z and images, or images and scores, of the original networks")
    return arrays


def _difference(ours: Tensor, theirs: Tensor, name: str, path: Path) -> float:
    if ours.shape != theirs.shape:
        raise UserError(f"{path}: {name} has shape {tuple(theirs.shape)}, and the network makes {tuple(ours.shape)}")
    return float((ours - theirs).abs().max())
