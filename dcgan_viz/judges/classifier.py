"""Attributes of pictures, told by a classifier that says how often it is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.devices import find_device
from dcgan_viz.errors import UserError
from dcgan_viz.judges.classifier_network import WIDTHS, ClassifierNetwork
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.weights import WEIGHTS_FILE, check_judge, open_tensors, reading_folder, save_folder
from dcgan_viz.statistics import Estimate, Interval, share_estimate
from dcgan_viz.untrusted import EXACT, MAXIMUM_CARD, read_json

CARD_FILE = "classifier.json"
FOLDER = "classifiers"
BATCH = 64
BINS = 10


@dataclass(frozen=True)
class Accuracy:
    """How often a classifier was right on held-out pictures, and whether its probabilities can be believed.

    Parameters
    ----------
    subset : str
        Which of the held-out pictures.
    pictures : int
    share : float
        Of the pictures whose most probable class is the true one.
    interval : Interval
        Its 95 % Wilson interval.
    calibration_error : float
        Expected calibration error over ten bins of the highest probability (Guo et al. 2017): how far confidence and
        accuracy lie apart on average; 0 is perfect.
    """

    __pydantic_config__: ClassVar = EXACT

    subset: str
    pictures: int
    share: float
    interval: Interval
    calibration_error: float

    @property
    def estimate(self) -> Estimate:
        """The share as an estimate; on cards it is written as share and interval."""
        return Estimate(self.share, self.interval.low, self.interval.high, self.pictures, "95 % Wilson over pictures")


@dataclass(frozen=True)
class ClassifierCard:
    """What a classifier tells apart, and how well.

    Parameters
    ----------
    classes : tuple of str
    size, channels : int
        Of the pictures.
    data, terms : str
        What it was trained on, and under which terms these were given.
    accuracies : tuple of Accuracy
        On all held-out pictures first, then on parts of them.
    training : mapping
        Settings, versions and the command.
    widths : tuple of int
        Of `ClassifierNetwork`.
    """

    __pydantic_config__: ClassVar = EXACT

    classes: tuple[str, ...]
    size: int
    channels: int
    data: str = "not stated"
    terms: str = "not stated"
    accuracies: tuple[Accuracy, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    widths: tuple[int, ...] = WIDTHS

    def __post_init__(self) -> None:
        check_judge(self.classes, self.size, self.channels, self.widths)


@dataclass(frozen=True)
class Classifier:
    """A trained classifier in evaluation mode, with its card."""

    network: ClassifierNetwork
    card: ClassifierCard

    def number(self, name: str) -> int:
        """The number of a class.

        Raises
        ------
        UserError
            If it does not know the class; the message lists those that it does.
        """
        if name not in self.card.classes:
            raise UserError(f"the classifier knows no {name!r}: choose from {', '.join(self.card.classes)}")
        return self.card.classes.index(name)

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write weights and card as a folder, all or nothing.

        Raises
        ------
        UserError
            If somebody else's file has one of the names and `overwrite` is not set, the folder cannot be written, or
            the disk is full.
        """
        return save_folder(self.network, self.card, folder, CARD_FILE, overwrite)


def load_classifier(folder: str | Path, device: str | torch.device = "cpu") -> Classifier:
    """Load a classifier that `Classifier.save` wrote.

    Raises
    ------
    UserError
        If the files are missing, damaged or do not fit together.
    """
    path = Path(folder)
    place = find_device(device)
    with reading_folder(path, "classifier", "dcgan-viz train-classifier"):
        card = read_json(path / CARD_FILE, ClassifierCard, "does not fit", "copy it again", MAXIMUM_CARD)
        with open_tensors(path / WEIGHTS_FILE) as file:
            network = file.network(lambda: ClassifierNetwork(card.channels, len(card.classes), card.widths))
    return Classifier(network.to(place), card)


def find_classifier(model: DCGAN, name: str) -> Classifier:
    """The classifier beside a model that knows a class.

    Parameters
    ----------
    model : DCGAN
    name : str
        Such as "woman".

    Raises
    ------
    UserError
        If there is none; the message lists the classes that are known.
    """
    folders = sorted(model.folder.glob(f"{FOLDER}/*/{CARD_FILE}")) if model.folder else []
    classifiers = [load_classifier(file.parent, model.device) for file in folders]
    for classifier in classifiers:
        if name in classifier.card.classes:
            return classifier
    known = ", ".join(c for classifier in classifiers for c in classifier.card.classes)
    raise UserError(
        f"{model.card.name} comes with no classifier of {name!r}"
        + (f" (its classifiers know {known})" if known else "")
        + ": make one with dcgan-viz train-classifier and give it as `classifier`"
    )


@torch.no_grad()
def classify(classifier: Classifier, images: Tensor) -> NDArray[np.float32]:
    """The probability of each class, averaged over a picture and its mirror image.

    Parameters
    ----------
    classifier : Classifier
    images : Tensor (N, C, H, W)
        In [-1, 1], of the size that the classifier was trained on.

    Returns
    -------
    ndarray of float32 (N, classes)

    Raises
    ------
    UserError
        If the images are of another size.

    Examples
    --------
    >>> network = ClassifierNetwork(3, 2).eval()
    >>> classify(Classifier(network, ClassifierCard(("cat", "dog"), 16, 3)), torch.zeros(5, 3, 16, 16)).shape
    (5, 2)
    """
    card = classifier.card
    if images.shape[1:] != (card.channels, card.size, card.size):
        raise UserError(
            f"the classifier was trained on {card.size}x{card.size} pictures of {card.channels} channels, and these are "
            f"{images.shape[3]}x{images.shape[2]} of {images.shape[1]}: train one on pictures of this size"
        )
    device = next(classifier.network.parameters()).device
    found = []
    for batch in images.split(BATCH):
        both = torch.cat([batch, batch.flip(-1)]).to(device)
        plain, mirrored = classifier.network(both).softmax(1).chunk(2)
        found.append(((plain + mirrored) / 2).cpu())
    return torch.cat(found).numpy()


def measure_accuracy(probabilities: NDArray[np.float32], truth: NDArray[np.int64], subset: str) -> Accuracy:
    """How often the most probable class is the true one, and how well calibrated the probabilities are.

    Parameters
    ----------
    probabilities : ndarray of float32 (N, classes)
    truth : ndarray of int64 (N,)
    subset : str
        What these pictures are called.

    Returns
    -------
    Accuracy

    Examples
    --------
    >>> accuracy = measure_accuracy(np.array([[0.9, 0.1], [0.3, 0.7]], np.float32), np.array([0, 0]), "all")
    >>> accuracy.share, round(accuracy.calibration_error, 2)
    (0.5, 0.4)
    """
    right = probabilities.argmax(1) == truth
    confidence = probabilities.max(1)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(right[bins == b].sum() - confidence[bins == b].sum()) for b in np.unique(bins)]
    share = share_estimate(int(right.sum()), len(truth), over="pictures")
    return Accuracy(
        subset=subset,
        pictures=len(truth),
        share=share.value,
        interval=Interval(share.low, share.high),
        calibration_error=float(sum(gaps) / len(truth)),
    )
