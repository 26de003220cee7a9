"""The Inception network that published Fréchet distances are computed with, from its weights file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dcgan_viz.data.images import to_pixels
from dcgan_viz.devices import find_device
from dcgan_viz.errors import UserError

DIMENSIONS = 2048


@dataclass(frozen=True)
class Inception:
    """torch-fidelity's Inception, which gives the numbers that papers print.

    Parameters
    ----------
    network : nn.Module
    file : Path
        Where its weights came from.
    """

    network: nn.Module
    file: Path

    @property
    def name(self) -> str:
        """Under which every number names it."""
        return "inception-v3"

    @property
    def note(self) -> str:
        """What it was trained on, in a phrase."""
        return f"trained with labels on ImageNet, weights from {self.file.name}, pool3 features"

    @property
    def dimensions(self) -> int:
        """Of the feature space."""
        return DIMENSIONS

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Features (N, 2048), float32, of images (N, 1 or 3, H, W) in [-1, 1], on the CPU."""
        pixels = torch.from_numpy(to_pixels(images)).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
        place = next(self.network.parameters()).device
        found: Tensor = self.network(pixels.contiguous().to(place))[0]
        return found.float().cpu()


def load_inception(file: str | Path, device: str | torch.device = "cpu") -> Inception:
    """Load the Inception network of torch-fidelity from its weights, ``weights-inception-2015-12-05-6726825d.pth``.

    The file is read as plain tensors first, and torch-fidelity, which would unpickle whatever is in it, is given a copy
    that was written here.

    Raises
    ------
    UserError
        If torch-fidelity is not installed, or the file is not its state dict.
    """
    path, place = Path(file), find_device(device)
    extractor = _extractor()
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(
            f"{path} is not a file of weights that can be read without running code ({type(error).__name__}): download "
            "weights-inception-2015-12-05-6726825d.pth of torch-fidelity again"
        ) from error
    try:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "weights.pth"
            torch.save(tensors, copy)
            network = extractor("inception-v3", [str(DIMENSIONS)], feature_extractor_weights_path=str(copy))
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path} holds other weights than torch-fidelity's Inception: {reason}") from error
    return Inception(network.eval().requires_grad_(False).to(place), path)


def _extractor() -> Any:
    """torch-fidelity's class, which also wants torchvision to be there."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"Inception is computed by torch-fidelity, which cannot be imported ({error}): install it with "
            "pip install -c constraints.txt -e '.[inception]', beside a torchvision that fits your torch"
        ) from error
    return FeatureExtractorInceptionV3
