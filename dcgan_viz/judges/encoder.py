"""Pictures as points of a feature space that no generator here has seen: what the quality of samples is measured in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dcgan_viz.data.images import Images
from dcgan_viz.devices import find_device
from dcgan_viz.errors import UserError
from dcgan_viz.judges.classifier import Accuracy
from dcgan_viz.judges.encoder_network import WIDTHS, EncoderNetwork
from dcgan_viz.networks.weights import WEIGHTS_FILE, check_judge, open_tensors, reading_folder, save_folder
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.untrusted import EXACT, MAXIMUM_CARD, read_json
from dcgan_viz.words import counted

CARD_FILE = "encoder.json"
BUNDLED = "encoder"
"""Folder of the encoder that comes with the package, among the trained models."""

SIZE = 32
BATCH = 128


class ImageEncoder(Protocol):
    """What pictures are measured in: a network that nothing here was trained with or against."""

    @property
    def name(self) -> str:
        """Under which every number names it."""
        ...

    @property
    def note(self) -> str:
        """What it was trained on, and how well, in a phrase."""
        ...

    @property
    def dimensions(self) -> int:
        """Of the feature space."""
        ...

    def features(self, images: Tensor) -> Tensor:
        """Features (N, dimensions), float32, of images (N, 1 or 3, H, W) in [-1, 1] of any size, on the CPU."""
        ...


@dataclass(frozen=True)
class EncoderCard:
    """What an encoder was trained to tell apart, and how well it does.

    Parameters
    ----------
    name : str
        Under which every number that is measured with it names it.
    classes : tuple of str
    channels : int
        Of the pictures, which are brought to 32x32.
    data, terms : str
        What it was trained on, and under which terms these were given.
    accuracy : Accuracy, optional
        On pictures that it was not trained on.
    training : mapping
        Settings, versions and the command.
    widths : tuple of int
        Of `EncoderNetwork`.
    """

    __pydantic_config__: ClassVar = EXACT

    name: str
    classes: tuple[str, ...]
    channels: int = 3
    data: str = "not stated"
    terms: str = "not stated"
    accuracy: Accuracy | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    widths: tuple[int, ...] = WIDTHS

    def __post_init__(self) -> None:
        check_judge(self.classes, SIZE, self.channels, self.widths)
        if SIZE % 2 ** (len(self.widths) - 1):
            raise UserError(f"{len(self.widths)} scales cannot halve {SIZE} pixels")


@dataclass(frozen=True)
class Encoder:
    """A trained encoder in evaluation mode, with its card."""

    network: EncoderNetwork
    card: EncoderCard

    @property
    def name(self) -> str:
        """Under which every number names it."""
        return self.card.name

    @property
    def note(self) -> str:
        """What it was trained on, and how well, in a phrase."""
        accuracy = self.card.accuracy
        right = "" if accuracy is None else f", right on {100 * accuracy.share:.1f} % of held-out pictures"
        return f"trained with labels on {self.card.data}{right}"

    @property
    def dimensions(self) -> int:
        """Of the feature space."""
        return sum(self.card.widths)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Features (N, dimensions), float32, of images (N, C, H, W) in [-1, 1], on the CPU.

        Grey images are repeated over the encoder's channels.

        Raises
        ------
        UserError
            If the images have other channels than the encoder.
        """
        channels = self.card.channels
        if images.shape[1] == 1 != channels:
            images = images.expand(-1, channels, -1, -1)
        if images.shape[1] != channels:
            raise UserError(
                f"the encoder {self.name} reads pictures of {counted(channels, 'channel')}, and these have {images.shape[1]}"
            )
        place = next(self.network.parameters()).device
        return self.network.features(at_encoder_size(images.to(place))).float().cpu()

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write weights and card as a folder, all or nothing."""
        return save_folder(self.network, self.card, folder, CARD_FILE, overwrite)


def load_encoder(folder: str | Path | None = None, device: str | torch.device = "cpu") -> Encoder:
    """Load an encoder, by default the one that comes with the package.

    Raises
    ------
    UserError
        If the files are missing, damaged or do not fit together.

    Examples
    --------
    >>> load_encoder().dimensions
    480
    """
    path = Path(str(resources.files("dcgan_viz.trained") / BUNDLED)) if folder is None else Path(folder)
    place = find_device(device)
    with reading_folder(path, "encoder", "dcgan-viz train-encoder"):
        card = read_json(path / CARD_FILE, EncoderCard, "does not fit", "copy it again", MAXIMUM_CARD)
        with open_tensors(path / WEIGHTS_FILE) as file:
            network = file.network(lambda: EncoderNetwork(card.channels, len(card.classes), card.widths))
    return Encoder(network.to(place), card)


def at_encoder_size(images: Tensor) -> Tensor:
    """Images (N, C, H, W) at 32x32, averaged over areas when they are larger, so that nothing aliases (Parmar et al. 2022).

    Examples
    --------
    >>> at_encoder_size(torch.ones(1, 3, 64, 64)).shape
    torch.Size([1, 3, 32, 32])
    """
    if images.shape[-2:] == (SIZE, SIZE):
        return images
    return functional.interpolate(images, (SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False)


def encode(
    encoder: ImageEncoder,
    images: Images,
    progress: Progress = silent,
    what: str = "encoding",
) -> NDArray[np.float32]:
    """Features of images, a batch at a time.

    Parameters
    ----------
    encoder : ImageEncoder
    images : Images
        Of any size.
    progress : Progress
    what : str
        What the loop is called there.

    Returns
    -------
    ndarray of float32 (N, dimensions)
    """
    starts = range(0, len(images), BATCH)
    features = np.empty((len(images), encoder.dimensions), np.float32)
    for start in progress(starts, Stage(what, len(starts), "batch")):
        features[start : start + BATCH] = encoder.features(images.tensor(slice(start, start + BATCH))).numpy()
    return features
