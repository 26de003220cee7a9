"""Where objects are in pictures, told by a segmenter: presence and area without a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.devices import find_device
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter_network import WIDTHS, SegmentationNetwork, fused
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.weights import WEIGHTS_FILE, check_judge, open_tensors, reading_folder, save_folder
from dcgan_viz.untrusted import EXACT, MAXIMUM_CARD, read_json

CARD_FILE = "segmenter.json"
FOLDER = "segmenter"
JUDGE_FOLDER = "judge"
BATCH = 64
MAXIMUM_OBJECTS = 255

PRESENT_PIXELS = 0.004
"""Share of a picture that an object must cover to count as present: 16 pixels of 64x64."""


@dataclass(frozen=True)
class SegmenterCard:
    """What a segmenter knows, and how well.

    Parameters
    ----------
    objects : tuple of str
        Label k of a mask is ``objects[k - 1]``; 0 is everything else.
    size, channels : int
        Of the pictures.
    data : str
        What it was trained on.
    held_out_iou : mapping of str to float
        Intersection over union of each object with the truth, over held-out pictures.
    patches : mapping of str to mapping
        For each kind of patch that shows nothing and each object, the share of the patches' area that was taken for it
        (`dcgan_viz.judges.patches.PatchCheck`).
    training : mapping
        Settings, versions and the command.
    widths : tuple of int
        Of `SegmentationNetwork`.
    """

    # Intersection over union is NaN where neither picture has the object.
    __pydantic_config__: ClassVar = {**EXACT, "allow_inf_nan": True}

    objects: tuple[str, ...]
    size: int
    channels: int
    data: str
    held_out_iou: Mapping[str, float] = field(default_factory=dict)
    patches: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    widths: tuple[int, ...] = WIDTHS

    def __post_init__(self) -> None:
        check_judge(self.objects, self.size, self.channels, self.widths)
        if len(self.objects) > MAXIMUM_OBJECTS:
            raise UserError(f"it names {len(self.objects)} objects, and labels are numbers up to {MAXIMUM_OBJECTS}")
        if self.size % 2 ** (len(self.widths) - 1):
            raise UserError(f"{len(self.widths)} scales cannot halve and double {self.size} pixels")


@dataclass(frozen=True)
class Segmenter:
    """A trained segmentation network with its card."""

    network: SegmentationNetwork
    card: SegmenterCard

    @cached_property
    def fused_network(self) -> SegmentationNetwork:
        """The network for evaluation alone, a third faster; gradients pass through it to the pictures."""
        # Whoever asks first may do so in inference mode, whose tensors take no part in gradients for good.
        with torch.inference_mode(False):
            return fused(self.network)

    @property
    def objects(self) -> tuple[str, ...]:
        """The names of the labels from 1 on."""
        return self.card.objects

    def label(self, name: str) -> int:
        """The number of an object's label.

        Raises
        ------
        UserError
            If it does not know the object; the message lists those that it does.
        """
        if name not in self.objects:
            raise UserError(f"the segmenter knows no {name!r}: choose from {', '.join(self.objects)}")
        return self.objects.index(name) + 1

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write weights and card as a folder, all or nothing.

        Raises
        ------
        UserError
            If somebody else's file has one of the names and `overwrite` is not set, the folder cannot be written, or
            the disk is full.
        """
        return save_folder(self.network, self.card, folder, CARD_FILE, overwrite)


def load_segmenter(folder: str | Path, device: str | torch.device = "cpu") -> Segmenter:
    """Load a segmenter that `Segmenter.save` wrote.

    Raises
    ------
    UserError
        If the files are missing, damaged or do not fit together.
    """
    path = Path(folder)
    with reading_folder(path, "segmenter", "dcgan-viz train-segmenter"):
        card = read_json(path / CARD_FILE, SegmenterCard, "does not fit", "copy it again", MAXIMUM_CARD)
        with open_tensors(path / WEIGHTS_FILE) as file:
            network = file.network(lambda: SegmentationNetwork(card.channels, len(card.objects) + 1, card.widths))
    return Segmenter(network.to(find_device(device)), card)


def find_segmenter(model: DCGAN) -> Segmenter | None:
    """The segmenter that lies beside a model, if there is one."""
    return _beside(model, FOLDER)


def find_judge(model: DCGAN) -> Segmenter | None:
    """The second segmenter beside a model, trained on other pictures, which measures what the first has ranked."""
    return _beside(model, JUDGE_FOLDER)


def _beside(model: DCGAN, name: str) -> Segmenter | None:
    folder = model.folder / name if model.folder else None
    if folder is None or not (folder / CARD_FILE).is_file():
        return None
    return load_segmenter(folder, model.device)


@torch.inference_mode()
def segment(segmenter: Segmenter, images: Tensor) -> NDArray[np.uint8]:
    """The label of every pixel.

    Parameters
    ----------
    segmenter : Segmenter
    images : Tensor (N, C, H, W)
        In [-1, 1], of the segmenter's size.

    Returns
    -------
    ndarray of uint8 (N, H, W)

    Raises
    ------
    UserError
        If the images are of another size.
    """
    card = segmenter.card
    if images.shape[1:] != (card.channels, card.size, card.size):
        raise UserError(
            f"the segmenter reads {card.channels}x{card.size}x{card.size} pictures, not "
            f"{'x'.join(map(str, images.shape[1:]))}"
        )
    device = next(segmenter.network.parameters()).device
    labels = [
        segmenter.fused_network(batch.to(device).contiguous(memory_format=torch.channels_last)).argmax(1).byte().cpu()
        for batch in images.split(BATCH)
    ]
    return torch.cat(labels).numpy()


def areas(labels: NDArray[np.uint8], objects: int) -> NDArray[np.float64]:
    """The share of each picture that each object covers: (N, objects) for labels (N, H, W).

    Examples
    --------
    >>> areas(np.array([[[0, 1], [2, 1]]], np.uint8), objects=2)
    array([[0.5 , 0.25]])
    """
    flat = labels.reshape(len(labels), -1)
    return np.stack([(flat == k).mean(1) for k in range(1, objects + 1)], axis=1)


def intersection_over_union(
    found: NDArray[np.uint8], truth: NDArray[np.uint8], objects: Sequence[str]
) -> dict[str, float]:
    """IoU of each object over all pictures together; NaN where neither has any.

    Parameters
    ----------
    found, truth : ndarray of uint8 (N, H, W)
        Labels.
    objects : sequence of str
        Names of labels 1, 2, …
    """
    result = {}
    for label, name in enumerate(objects, start=1):
        a, b = found == label, truth == label
        union = int((a | b).sum())
        result[name] = float((a & b).sum() / union) if union else float("nan")
    return result
