"""Named concepts: samples of a model that somebody picked because they show the same thing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_file, json_holds, refuse_existing
from dcgan_viz.model import DCGAN
from dcgan_viz.untrusted import EXACT, MAXIMUM_CARD, read_json

CONCEPTS_FILE = "concepts.json"
LEAST_EXEMPLARS = 3
"""The paper found the arithmetic unstable with single exemplars and averaged three."""

MAXIMUM_SAMPLES = 10_000
"""A page shows no more, and a number beyond is a mistake."""

MAXIMUM_NAME = 60


@dataclass(frozen=True)
class _File:
    __pydantic_config__: ClassVar = EXACT

    seed: int
    count: int
    generator_digest: str
    contributor: str
    method: str
    concepts: Any

    def __post_init__(self) -> None:
        if self.seed < 0 or not 1 <= self.count <= MAXIMUM_SAMPLES:
            raise UserError(f"seed {self.seed} and count {self.count} are not numbers of samples")


@dataclass(frozen=True)
class Concepts:
    """Named lists of the samples that one generator draws with one seed.

    Parameters
    ----------
    seed : int
        The samples: number i is ``model.latents(i + 1, seed)[i]``.
    count : int
        How many were looked at; the numbers lie below.
    generator_digest : str
        ``model.generator_digest()`` of the weights that draw them.
    contributor, method : str
        Who picked them, and how.
    exemplars : mapping of str to tuple of int
        Numbers of the samples that show each concept, in the order in which they were picked.
    """

    seed: int
    count: int
    generator_digest: str
    contributor: str = "not stated"
    method: str = "not stated"
    exemplars: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def of(self, name: str, least: int = LEAST_EXEMPLARS) -> tuple[int, ...]:
        """The numbers of the samples that show a concept.

        Raises
        ------
        UserError
            If it is unknown, or has fewer than `least` exemplars; the message lists the concepts that there are.
        """
        if name not in self.exemplars:
            raise UserError(f"there is no concept {name!r}: {self.listing()}")
        found = self.exemplars[name]
        if len(found) < least:
            raise UserError(
                f"{name!r} has {len(found)} exemplars and needs at least {least}, since fewer are unstable: pick more "
                "with dcgan-viz concepts"
            )
        return found

    def listing(self) -> str:
        """What there is to choose from, as the end of a sentence."""
        if not self.exemplars:
            return "none is named yet; name some with dcgan-viz concepts"
        return "choose from " + ", ".join(f"{name} ({len(found)})" for name, found in self.exemplars.items())

    def latents(self, model: DCGAN, name: str, least: int = LEAST_EXEMPLARS) -> Tensor:
        """The latents (n, latent_dim) of a concept's exemplars, on the CPU.

        Raises
        ------
        UserError
            As in `of`.
        """
        numbers = list(self.of(name, least))
        return model.latents(max(numbers) + 1, self.seed)[numbers]

    def check_belongs_to(self, model: DCGAN) -> None:
        """Refuse concepts that were picked from the samples of other weights.

        Raises
        ------
        UserError
            If the generator's weights are not those whose samples were looked at.
        """
        digest = model.generator_digest()
        if self.generator_digest != digest:
            raise UserError(
                f"these concepts were picked from samples of other weights ({self.generator_digest[:12]}) than those of "
                f"{model.card.name} ({digest[:12]}): pick its own with dcgan-viz concepts"
            )


def check_name(name: str) -> str:
    """A concept's name with single spaces, if it can stand in an expression such as ``smiling woman - woman``.

    Raises
    ------
    UserError
        If it is empty or longer than 60 letters, has no letter, or holds a quote or an operator.

    Examples
    --------
    >>> check_name("  red-haired   woman ")
    'red-haired woman'
    """
    plain = " ".join(name.split())
    if not plain or len(plain) > MAXIMUM_NAME or not re.search(r"\w", plain) or not plain.isprintable():
        raise UserError(f"{name!r:.80} is not a name of a concept: give 1 to {MAXIMUM_NAME} printable characters")
    # A hyphen between letters is part of a word; any other would read as a minus.
    if re.search(r"[+−–\"“”=]|(?<!\w)-|-(?!\w)|(?<!\w)['‘’]|['‘’](?!\w)", plain):
        raise UserError(f"the name {plain!r} holds a sign or a quote, which expressions need: leave it out")
    return plain


def check_exemplars(data: Any, count: int) -> dict[str, tuple[int, ...]]:
    """Named lists of sample numbers from JSON, checked.

    Parameters
    ----------
    data : object
        ``{"smiling woman": [3, 17, 42], …}``.
    count : int
        The samples there are.

    Raises
    ------
    UserError
        If that is no such mapping, two names are the same, or a number is no sample's or named twice.

    Examples
    --------
    >>> check_exemplars({"woman": [3, 1]}, 10)
    {'woman': (3, 1)}
    """
    if not isinstance(data, dict):
        raise UserError("concepts are named lists of sample numbers")
    found: dict[str, tuple[int, ...]] = {}
    for given, numbers in data.items():
        name = check_name(str(given))
        if name in found:
            raise UserError(f"there are two concepts {name!r}: give each its own name")
        if not isinstance(numbers, list | tuple) or not all(type(n) is int for n in numbers):
            raise UserError(f"the exemplars of {name!r} must be a list of sample numbers, not {numbers!r:.80}")
        outside = [n for n in numbers if not 0 <= n < count]
        if outside:
            raise UserError(f"{name!r} names sample {outside[0]}, and there are {count}, from 0: correct it")
        if len(set(numbers)) < len(numbers):
            raise UserError(f"{name!r} names a sample twice, which would count double: name each once")
        found[name] = tuple(numbers)
    return found


def load_concepts(path: str | Path) -> Concepts:
    """Read concepts that `save_concepts` wrote.

    Raises
    ------
    UserError
        If the file is missing, damaged or incomplete.
    """
    file = Path(path)
    read = read_json(file, _File, "holds no concepts", "pick some with dcgan-viz concepts", MAXIMUM_CARD)
    try:
        exemplars = check_exemplars(read.concepts, read.count)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    return Concepts(read.seed, read.count, read.generator_digest, read.contributor, read.method, exemplars)


def save_concepts(concepts: Concepts, path: str | Path) -> Path:
    """Write concepts as JSON, whole or not at all; such a file is replaced.

    Raises
    ------
    UserError
        If another file is there, the folder cannot be written, or the disk is full.
    """
    target = Path(path)
    refuse_existing(target, is_ours=lambda file: json_holds(file, "generator_digest"))
    head = {
        "seed": concepts.seed,
        "count": concepts.count,
        "generator_digest": concepts.generator_digest,
        "contributor": concepts.contributor,
        "method": concepts.method,
    }
    # One concept a line, so that the file can be read and edited by hand.
    lines = ",\n".join(f"  {json.dumps(n, ensure_ascii=False)}: {list(e)}" for n, e in concepts.exemplars.items())
    start = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}")
    with atomic_file(target) as temporary:
        temporary.write_text(f'{start},\n "concepts": {{\n{lines}\n }}\n}}\n', encoding="utf-8")
    return target


def find_concepts(model: DCGAN, path: str | Path | None = None) -> Concepts:
    """The concepts of a model: those in a file or, without one, those beside its weights.

    Raises
    ------
    UserError
        If there are none, or they belong to other weights.
    """
    if path is None:
        if model.folder is None or not (model.folder / CONCEPTS_FILE).exists():
            raise UserError(
                f"{model.card.name} comes without concepts: pick some with dcgan-viz concepts, or give `concepts`"
            )
        path = model.folder / CONCEPTS_FILE
    concepts = load_concepts(path)
    concepts.check_belongs_to(model)
    return concepts


def open_concepts(
    model: DCGAN, path: str | Path, *, count: int = 200, seed: int = 2015, contributor: str = "not stated", method: str
) -> Concepts:
    """Concepts to go on with: those in a file, or none yet where there is no file.

    Parameters
    ----------
    model : DCGAN
    path : path
    count : int
        Samples to look at; a file with fewer goes on with so many.
    seed : int
        Of the samples of new concepts; those in the file keep their own.
    contributor, method : str
        Of new concepts.

    Raises
    ------
    UserError
        If the file is damaged or belongs to other weights.
    """
    if not Path(path).exists():
        return Concepts(seed, count, model.generator_digest(), contributor, method)
    concepts = load_concepts(path)
    concepts.check_belongs_to(model)
    return Concepts(
        concepts.seed,
        max(concepts.count, count),
        concepts.generator_digest,
        concepts.contributor,
        concepts.method,
        concepts.exemplars,
    )
