"""A trained pair of networks with its card: load it by name or folder, save it, sample it."""

from __future__ import annotations

import hashlib
import json
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dcgan_viz.card import CARD_FILE, PAGE_FILE, Card, find_model, read_card
from dcgan_viz.devices import find_device
from dcgan_viz.errors import UserError
from dcgan_viz.folders import check_folder, is_half_replaced, staged_folder
from dcgan_viz.networks.layers import Layer
from dcgan_viz.networks.modules import Discriminator, Generator, NoDiscriminator, make_discriminator
from dcgan_viz.networks.protocol import DiscriminatorNetwork, GeneratorNetwork
from dcgan_viz.networks.spec import NetworkSpec, Prior
from dcgan_viz.networks.weights import WEIGHTS_FILE, network_tensors, open_tensors, save_network, save_tensors
from dcgan_viz.statistics import Seed
from dcgan_viz.untrusted import parse_json

SAMPLE_BATCH = 64
"""Samples are always drawn in batches of this size, so that a seed gives the same bytes every time."""


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
        """`count` latents (count, latent_dim) of the prior, on the CPU; the same for the same seed, or stream of one.

        The first n latents do not depend on `count`.
        """
        return draw_latents(count, self.latent_dim, self.prior, np.random.default_rng(seed))

    @torch.no_grad()
    def generate(self, latents: Tensor) -> Tensor:
        """Images (N, C, H, W), float32 in [-1, 1] on the CPU, from latents (N, latent_dim).

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

    @torch.no_grad()
    def draw_from_sum(self, written: Tensor, layer: int) -> Tensor:
        """Images as `draw_from` draws them, from what the convolution above a layer wrote (`Generator.write_sum`).

        Raises
        ------
        UserError
            As in `generate`.
        """
        generator = cast(Generator, self.generator)
        return self._finite(torch.cat([generator.draw_from_sum(w, layer).cpu() for w in written.split(SAMPLE_BATCH)]))

    def _finite(self, images: Tensor) -> Tensor:
        if not torch.isfinite(images).all():
            raise UserError(
                f"{self.card.name} draws pictures with values that are not finite: its weights are damaged, or too large "
                "for float32; go back to an earlier checkpoint"
            )
        return images

    @torch.no_grad()
    def activations(self, latents: Tensor, layer: int) -> Tensor:
        """Feature maps (N, C, h, w) of a generator's layer, after its rectifier, on the CPU, for latents (N, latent_dim)."""
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
    def check_folder(folder: str | Path, overwrite: bool = False, again: bool = False) -> None:
        """Refuse a folder in which `save` would find something in its way, before a model is made.

        Raises
        ------
        UserError
            As in `save`.
        """
        check_folder(Path(folder), "DCGAN", (WEIGHTS_FILE, CARD_FILE, PAGE_FILE), overwrite, again)

    def save(self, folder: str | Path, overwrite: bool = False, *, exact: bool = False, again: bool = False) -> Path:
        """Write the model as a folder: weights, card and readable page.

        What else lies in the folder, such as annotations, stays. A model that is there is exchanged by renames and can
        be loaded at every moment.

        Parameters
        ----------
        folder : path
        overwrite : bool
            Replace files of the same names, whoever wrote them.
        exact : bool
            Keep kernels as they are, too; otherwise they become fp16, in half the space.
        again : bool
            Replace a model that is there as long as nobody has changed it, as a run that goes on does.

        Raises
        ------
        UserError
            If somebody else's file has one of the names, the folder cannot be written, or the disk is full.
        """
        path = Path(folder)
        self.check_folder(path, overwrite, again)
        sides = {"generator": self.generator, "discriminator": self.discriminator}
        networks = nn.ModuleDict({side: cast(nn.Module, network) for side, network in sides.items()})
        own = {"networks": json.dumps(self.networks.to_dict())}
        with staged_folder(path, "DCGAN", first=WEIGHTS_FILE, overwrite=overwrite, again=again) as stage:
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
    latents : Tensor (N, latent_dim)

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


def draw_latents(count: int, latent_dim: int, prior: Prior, random: np.random.Generator) -> Tensor:
    """Latents (count, latent_dim), float32, from U(-1, 1) or N(0, 1), on the CPU.

    NumPy draws them one after the other, so the first n of a seed do not depend on `count`.

    Examples
    --------
    >>> bool((draw_latents(2, 3, "uniform", np.random.default_rng(0)).abs() <= 1).all())
    True
    """
    if prior == "normal":
        return torch.from_numpy(random.standard_normal((count, latent_dim), dtype=np.float32))
    return torch.from_numpy(random.random((count, latent_dim), dtype=np.float32)).mul_(2).sub_(1)


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
    if colon and function and own.endswith(".py"):
        return _made_by(Path(own), function).to(place)
    folder = find_model(name)
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


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Modules that lie in a folder can be imported, as by ``python folder/file.py``."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _made_by(file: Path, function: str) -> DCGAN:
    """What a function of the user's own file returns; the file is run as their code."""
    if not file.is_file():
        raise UserError(f"there is no file {file} with a function {function}")
    with _importing_from(file.resolve().parent):
        try:
            make = runpy.run_path(str(file), run_name="dcgan_viz_model").get(function)
        except (ImportError, SyntaxError) as error:
            raise UserError(f"{file} cannot be run: {type(error).__name__}: {error}") from error
        if not callable(make):
            raise UserError(f"{file} has no function {function}: give one that returns what dcgan_viz.wrap makes")
        model = make()
    if not isinstance(model, DCGAN):
        raise UserError(
            f"{function} in {file} returned an object of type {type(model).__name__}: return what dcgan_viz.wrap makes"
        )
    return model


def _networks(spec: NetworkSpec) -> nn.ModuleDict:
    discriminator = make_discriminator(spec.discriminator)
    return nn.ModuleDict({"generator": Generator(spec.generator), "discriminator": discriminator})
