"""What networks read when readings of their weights are run: latents of each prior, with a label beside them or without."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dcgan_viz.model import draw_latents
from dcgan_viz.networks.spec import Prior

CLASSES = 10
"""Of the labels that conditional generators read: digits, CIFAR-10."""

CONDITIONAL = {
    f"{prior}, a label {place}": (prior, place) for prior in ("normal", "uniform") for place in ("last", "first")
}
"""Sources of conditional generators: a latent, and one label of ten as zeros and a one."""


def latents(source: str, count: int, latent: int, seed: int = 0) -> Tensor:
    """Latents (count, latent) of a source, the same every time."""
    if source in CONDITIONAL:
        prior, place = CONDITIONAL[source]
        z = latents(prior, count, latent - CLASSES, seed)
        labels = torch.from_numpy(np.eye(CLASSES, dtype=np.float32)[np.arange(count) % CLASSES])
        return torch.cat([z, labels] if place == "last" else [labels, z], 1)
    kind: Prior = "normal" if source == "normal" else "uniform"
    z = draw_latents(count, latent, kind, np.random.default_rng(seed))
    return (z + 1) / 2 if source == "unit" else z
