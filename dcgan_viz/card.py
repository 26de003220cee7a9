"""A model's card: what it is, how it was trained, what is wrong with it. Read without its weights, and without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

from dcgan_viz.errors import UserError
from dcgan_viz.networks.layers import Layer, discriminator_layers, generator_layers
from dcgan_viz.networks.spec import NetworkSpec
from dcgan_viz.untrusted import EXACT, MAXIMUM_CARD, read_json, validate

CARD_FILE, PAGE_FILE = "card.json", "README.md"


@dataclass(frozen=True)
class Card:
    """What a model is, what it was trained on and how, and what is wrong with it.

    Parameters
    ----------
    name : str
    summary : str
        One line.
    networks : NetworkSpec or None
        None of live modules, whose code alone says what they are.
    data : str
        The images that it was trained on.
    terms : str
        Under which terms these were given.
    training : dict
        Steps, images seen, settings, device, versions.
    commands : tuple of str
        The commands that reproduce it.
    weaknesses : tuple of str
        What a user must know before trusting it.
    """

    __pydantic_config__: ClassVar = EXACT

    name: str
    summary: str
    networks: NetworkSpec | None
    data: str = "not stated"
    terms: str = "not stated"
    training: dict[str, Any] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = ()

    @property
    def specification(self) -> NetworkSpec:
        """The architectures.

        Raises
        ------
        UserError
            If the networks are live modules, which have no specification.
        """
        if self.networks is None:
            raise UserError(f"the networks of {self.name} are live modules, and this needs a model of this package")
        return self.networks

    def to_dict(self) -> dict[str, Any]:
        """The card as plain data for JSON."""
        return {**asdict(self), "networks": None if self.networks is None else self.networks.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Card:
        """The card that `to_dict` wrote.

        Raises
        ------
        UserError
            If a field is missing, unknown, of another type or out of range.
        """
        try:
            return validate(data, cls)
        except UserError as error:
            raise UserError(f"this is not a model card of dcgan-viz: {error}") from error

    def page(self, layers: Sequence[Layer] = ()) -> str:
        """The card as a readable Markdown page.

        Parameters
        ----------
        layers : sequence of Layer
            Of live modules, which the card does not describe.
        """
        spec = self.networks
        if spec is not None:
            above = () if spec.discriminator is None else discriminator_layers(spec.discriminator)
            layers = (*generator_layers(spec.generator), *above)
        lines = {
            side: [f"- {a}" for a in layers if a.side == side] or ["none"] for side in ("generator", "discriminator")
        }
        rows = "\n".join(f"| {key} | {value} |" for key, value in _flatten(self.training))
        return "\n".join(
            [
                f"# {self.name}",
                "",
                self.summary,
                "",
                f"**Data.** {self.data}",
                "",
                f"**Terms.** {self.terms}",
                "",
                "**Generator**",
                "",
                *lines["generator"],
                "",
                "**Discriminator**",
                "",
                *lines["discriminator"],
                "",
                "**Training**",
                "",
                "| setting | value |",
                "| --- | --- |",
                rows,
                "",
                *(["**Reproduce it**", "", "```", *self.commands, "```", ""] if self.commands else []),
                *(["**Weaknesses**", "", *(f"- {w}" for w in self.weaknesses), ""] if self.weaknesses else []),
            ]
        )


def _flatten(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{key}", ", ".join(map(str, value)) or "none"
        else:
            yield f"{prefix}{key}", value


def bundled_models() -> tuple[str, ...]:
    """Names of the models that come with the package."""
    trained = resources.files("dcgan_viz.trained")
    return tuple(sorted(entry.name for entry in trained.iterdir() if (entry / CARD_FILE).is_file()))


def load_card(name: str | Path) -> Card:
    """The card of a bundled model by name, or of a model folder by path; no weights are read.

    Raises
    ------
    UserError
        If there is no such model, or its card is damaged.

    Examples
    --------
    >>> load_card("bedrooms").networks.image_shape
    (3, 64, 64)
    """
    return read_card(find_model(name) / CARD_FILE)


def find_model(name: str | Path) -> Path:
    """The folder of a bundled model by name, or of a model or training run by path.

    Raises
    ------
    UserError
        If there is none.
    """
    for folder in (Path(name), Path(name) / "model"):
        if (folder / CARD_FILE).is_file():
            return folder
    if str(name) in bundled_models():
        # Bundled models are plain folders in every supported way of installing.
        return Path(str(resources.files("dcgan_viz.trained") / str(name)))
    if str(name).endswith((".py", ".py:")):
        raise UserError(
            f"{name} names no function: give {str(name).removesuffix(':')}:FUNCTION, one that makes a model"
        )
    if (Path(name) / "checkpoints").is_dir():
        raise UserError(
            f"{name} is a training run that has not written its model yet: let it end, or go on with it by "
            f"dcgan-viz train DATA --out {name} --resume"
        )
    raise UserError(
        f"there is no model {name}: give one of {', '.join(bundled_models()) or 'no bundled models'}, "
        f"or a folder with {CARD_FILE} and weights"
    )


def read_card(path: Path) -> Card:
    """The card in a file.

    Raises
    ------
    UserError
        If it is missing, damaged or of something else.
    """
    return read_json(path, Card, "is not a model card of dcgan-viz", "copy the model again", MAXIMUM_CARD)
