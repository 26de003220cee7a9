"""A trained pair of networks with its card: load it by name or folder, save it, sample it."""

from __future__ import annotations

import hashlib
import json
import runpy
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dcgan_viz.devices import find_device
from dcgan_viz.errors import UserError
from dcgan_viz.folders import check_folder, is_half_replaced, staged_folder
from dcgan_viz.networks.layers import Layer, discriminator_layers, generator_layers
from dcgan_viz.networks.modules import Discriminator, Generator, NoDiscriminator, make_discriminator
from dcgan_viz.networks.protocol import DiscriminatorNetwork, GeneratorNetwork
from dcgan_viz.networks.spec import NetworkSpec, Prior
from dcgan_viz.networks.weights import WEIGHTS_FILE, network_tensors, open_tensors, save_network, save_tensors
from dcgan_viz.statistics import Seed
from dcgan_viz.untrusted import EXACT, MAXIMUM_CARD, check_plain, parse_json, read_json

CARD_FILE, PAGE_FILE = "card.json", "README.md"

SAMPLE_BATCH = 64
"""Samples are always drawn in batches of this size, so that a seed gives the same bytes every time."""


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
            return check_plain(data, cls)
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
            judge = () if spec.discriminator is None else discriminator_layers(spec.discriminator)
            layers = (*generator_layers(spec.generator), *judge)
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
        else:
            yield f"{prefix}{key}", value


@dataclass(frozen=True)
class DCGAN:
    """A generator and a discriminator in evaluation mode, with their card.

    Analyses ask its networks for what `dcgan_viz.networks.protocol` names, and for nothing else.

    Parameters
    ----------
    generator : GeneratorNetwork
    discriminator : DiscriminatorNetwork
    card : Card
    folder : Path, optional
        Where it was loaded from; annotations lie beside the weights.

    Examples
    --------
    >>> model = load("bedrooms")
    >>> model.sample(2, seed=0).shape
    torch.Size([2, 3, 64, 64])
    """

    generator: GeneratorNetwork
    discriminator: DiscriminatorNetwork
    card: Card
    folder: Path | None = None

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.generator.device

    @property
    def networks(self) -> NetworkSpec:
        """The architectures; live modules have none, and are refused."""
        return self.card.specification

    @property
    def generator_layers(self) -> tuple[Layer, ...]:
        """The numbered layers of the generator."""
        return self.generator.numbered_layers

    @property
    def discriminator_layers(self) -> tuple[Layer, ...]:
        """The numbered layers of the discriminator."""
        return self.discriminator.numbered_layers

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The numbered layers of both networks, or of the generator where there is no discriminator."""
        missing = isinstance(self.discriminator, NoDiscriminator)
        return (*self.generator_layers, *(() if missing else self.discriminator_layers))

    @property
    def latent_dim(self) -> int:
        """Dimensions of z."""
        return self.generator.latent_dim

    @property
    def prior(self) -> Prior:
        """What z is drawn from."""
        return self.generator.prior

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return self.generator.image_shape

    def to(self, device: str | torch.device) -> DCGAN:
        """The same model with its networks moved to a device."""
        self.generator.to(device)
        self.discriminator.to(device)
        return self

    def latents(self, count: int, seed: Seed) -> Tensor:
        """`count` latents (count, latent) of the prior, on the CPU; the same for the same seed, or stream of one.

        The first n latents do not depend on `count`.
        """
        return draw_latents(count, self.latent_dim, self.prior, np.random.default_rng(seed))

    @torch.no_grad()
    def generate(self, latents: Tensor) -> Tensor:
        """Images (N, C, H, W), float32 in [-1, 1] on the CPU, from latents (N, latent).

        Raises
        ------
        UserError
            If the generator draws values that are not finite, as damaged weights make it do.
        """
        return self._finite(torch.cat([self.generator(z.to(self.device)).cpu() for z in latents.split(SAMPLE_BATCH)]))

    @torch.no_grad()
    def draw_from(self, maps: Tensor, layer: int) -> Tensor:
        """Images as `generate` draws them, from the feature maps (N, C, h, w) of a generator's layer.

        Raises
        ------
        UserError
            As in `generate`.
        """
        return self._finite(torch.cat([self.generator.draw_from(m, layer).cpu() for m in maps.split(SAMPLE_BATCH)]))

    def _finite(self, images: Tensor) -> Tensor:
        if not torch.isfinite(images).all():
            raise UserError(
                f"{self.card.name} draws pictures with values that are not finite: its weights are damaged, or too large "
                "for float32; go back to an earlier checkpoint"
            )
        return images

    @torch.no_grad()
    def activations(self, latents: Tensor, layer: int) -> Tensor:
        """Feature maps (N, C, h, w) of a generator's layer, after its rectifier, on the CPU, for latents (N, latent)."""
        return torch.cat([self.generator.activations(z, layer).cpu() for z in latents.split(SAMPLE_BATCH)])

    def sample(self, count: int, seed: Seed = 0) -> Tensor:
        """`count` images (count, C, H, W), float32 in [-1, 1] on the CPU, drawn with a seed."""
        return self.generate(self.latents(count, seed))

    def generator_digest(self) -> str:
        """SHA-256 of the generator's weights: what annotations of its samples belong to."""
        digest = hashlib.sha256()
        for name, tensor in sorted(network_tensors(self.generator).items()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @staticmethod
    def check_folder(folder: str | Path, overwrite: bool = False) -> None:
        """Refuse a folder in which `save` would find something in its way, before a model is made.

        Raises
        ------
        UserError
            As in `save`.
        """
        check_folder(Path(folder), "DCGAN", (WEIGHTS_FILE, CARD_FILE, PAGE_FILE), overwrite)

    def save(self, folder: str | Path, overwrite: bool = False, *, exact: bool = False) -> Path:
        """Write the model as a folder: weights, card and readable page.

        What else lies in the folder, such as annotations, stays. A model that is there is exchanged by renames and can
        be loaded at every moment.

        Parameters
        ----------
        folder : path
        overwrite : bool
            Replace files of the same names, whosever they are.
        exact : bool
            Keep kernels as they are, too; otherwise they become fp16, in half the space.

        Raises
        ------
        UserError
            If somebody else's file has one of the names, the folder cannot be written, or the disk is full.
        """
        path = Path(folder)
        self.check_folder(path, overwrite)
        sides = {"generator": self.generator, "discriminator": self.discriminator}
        networks = nn.ModuleDict({side: cast(nn.Module, network) for side, network in sides.items()})
        own = {"networks": json.dumps(self.networks.to_dict())}
        with staged_folder(path, "DCGAN", first=WEIGHTS_FILE, overwrite=overwrite) as stage:
            if exact:
                save_tensors(network_tensors(networks), stage / WEIGHTS_FILE, own)
            else:
                save_network(networks, stage / WEIGHTS_FILE, own)
            (stage / CARD_FILE).write_text(json.dumps(self.card.to_dict(), indent=2) + "\n")
            (stage / PAGE_FILE).write_text(self.card.page())
        return path


@dataclass(frozen=True)
class Samples:
    """Samples of a model that are drawn when they are asked for.

    Parameters
    ----------
    model : DCGAN
    latents : Tensor (N, latent)

    Examples
    --------
    >>> model = load("bedrooms")
    >>> Samples(model, model.latents(1000, seed=0)).tensor(slice(3)).shape
    torch.Size([3, 3, 64, 64])
    """

    model: DCGAN
    latents: Tensor

    def __len__(self) -> int:
        return len(self.latents)

    def tensor(self, indices: slice | NDArray[np.int64]) -> Tensor:
        """The chosen ones as float32 (n, C, H, W) in [-1, 1]."""
        return self.model.generate(self.latents[indices])


def draw_latents(count: int, latent: int, prior: Prior, random: np.random.Generator) -> Tensor:
    """Latents (count, latent), float32, from U(-1, 1) or N(0, 1), on the CPU.

    NumPy draws them one after the other, so the first n of a seed do not depend on `count`.

    Examples
    --------
    >>> bool((draw_latents(2, 3, "uniform", np.random.default_rng(0)).abs() <= 1).all())
    True
    """
    if prior == "normal":
        return torch.from_numpy(random.standard_normal((count, latent), dtype=np.float32))
    return torch.from_numpy(random.random((count, latent), dtype=np.float32)).mul_(2).sub_(1)


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
    return read_card(_find(name) / CARD_FILE)


def load(name: str | Path, device: str | torch.device = "cpu") -> DCGAN:
    """Load a bundled model by name, or any model folder by path.

    Parameters
    ----------
    name : str or path
        ``"bedrooms"``, a folder that `DCGAN.save` wrote, a training run's folder, or ``file.py:function``, a function of
        your own file, which is run, that returns a `DCGAN`, such as one that `dcgan_viz.wrap` made.
    device : str or torch.device

    Returns
    -------
    DCGAN
        In evaluation mode, float32.

    Raises
    ------
    UserError
        If there is no such model or device, or the files are damaged or do not fit together.

    Examples
    --------
    >>> load("bedrooms").networks.image_shape
    (3, 64, 64)
    """
    place = find_device(device)
    own, colon, function = str(name).rpartition(":")
    if colon and own.endswith(".py"):
        return _made_by(Path(own), function).to(place)
    folder = _find(name)
    card = read_card(folder / CARD_FILE)
    with open_tensors(folder / WEIGHTS_FILE) as file:
        if is_half_replaced(folder) and "networks" in file.metadata:
            # The card may still, or already, be another model's: these weights say themselves what they are of.
            card = replace(card, networks=parse_json(file.metadata["networks"], NetworkSpec))
        networks = file.network(lambda: _networks(card.specification))
    generator, discriminator = networks["generator"], networks["discriminator"]
    assert isinstance(generator, Generator)
    assert isinstance(discriminator, Discriminator)
    return DCGAN(generator, discriminator, card, folder).to(place)


def _made_by(file: Path, function: str) -> DCGAN:
    """What a function of the user's own file returns; the file is run as their code."""
    if not file.is_file():
        raise UserError(f"there is no file {file} with a function {function}")
    try:
        make = runpy.run_path(str(file), run_name="dcgan_viz_model").get(function)
    except (ImportError, SyntaxError) as error:
        raise UserError(f"{file} cannot be run: {type(error).__name__}: {error}") from error
    if not callable(make):
        raise UserError(f"{file} has no function {function}: give one that returns what dcgan_viz.wrap makes")
    model = make()
    if not isinstance(model, DCGAN):
        raise UserError(f"{function} in {file} returned a {type(model).__name__}: return what dcgan_viz.wrap makes")
    return model


def _networks(spec: NetworkSpec) -> nn.ModuleDict:
    judge = make_discriminator(spec.discriminator)
    return nn.ModuleDict({"generator": Generator(spec.generator), "discriminator": judge})


def _find(name: str | Path) -> Path:
    for folder in (Path(name), Path(name) / "model"):
        if (folder / CARD_FILE).is_file():
            return folder
    if str(name) in bundled_models():
        # Bundled models are plain folders in every supported way of installing.
        return Path(str(resources.files("dcgan_viz.trained") / str(name)))
    raise UserError(
        f"there is no model {name}: give one of {', '.join(bundled_models()) or 'no bundled models'}, "
        f"or a folder with {CARD_FILE} and {WEIGHTS_FILE}"
    )


def read_card(path: Path) -> Card:
    """The card in a file.

    Raises
    ------
    UserError
        If it is missing, damaged or of something else.
    """
    return read_json(path, Card, "is not a model card of dcgan-viz", "copy the model again", MAXIMUM_CARD)
