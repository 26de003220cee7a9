"""The paper's 3072-128-3072 denoising autoencoder (section 4.1.1), whose code, in bits, is a picture's semantic hash.

The paper names dropout and rectifiers, and leaves open the noise, the rate, the threshold and the optimiser. Here each
picture is brought to mean 0 and deviation 1, so that its brightness does not matter; the noise is Gaussian; a bit says
whether its unit's rectifier lets anything through.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.statistics import stream

SIDE, CODE = 32, 128
"""Of a crop in pixels, and of its code in bits."""
NOISE = 0.3
"""Standard deviation of what is added to pictures of deviation 1."""
DROPOUT = 0.5
STEPS, BATCH, LEARNING_RATE = 1000, 128, 1e-3
FLAT = 0.02
"""Added to a picture's deviation, of values from 0 to 1: a flat one has no contrast to bring out."""


class Autoencoder(nn.Module):
    """Two linear layers with a rectifier between them.

    Parameters
    ----------
    size : int
        Values of a picture.
    """

    def __init__(self, size: int = 3 * SIDE**2) -> None:
        super().__init__()
        self.encoder = nn.Linear(size, CODE)
        self.decoder = nn.Linear(CODE, size)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (n, 3072) as they are drawn from their codes."""
        code: Tensor = functional.dropout(functional.relu(self.encoder(pictures)), DROPOUT, self.training)
        drawn: Tensor = self.decoder(code)
        return drawn


def train_autoencoder(
    crops: NDArray[np.uint8], *, steps: int = STEPS, seed: int = 0, progress: Progress = silent
) -> Autoencoder:
    """Train the autoencoder on crops to draw each from a noisy copy of it.

    Parameters
    ----------
    crops : ndarray of uint8 (N, 32, 32, 3)
        May be memory-mapped; batches are drawn from all of it.
    steps : int
    seed : int
    progress : Progress

    Returns
    -------
    Autoencoder
        In evaluation mode.

    Examples
    --------
    >>> crops = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    >>> network = train_autoencoder(crops, steps=2)
    >>> encode(network, crops).shape
    (8, 16)
    """
    random = np.random.default_rng(stream(seed, 0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Autoencoder()
        optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
        for _ in progress(range(steps), Stage("training the autoencoder", steps)):
            pictures = _contrasted(crops[np.sort(random.integers(0, len(crops), BATCH))])
            drawn = network(pictures + NOISE * torch.randn_like(pictures))
            optimiser.zero_grad(set_to_none=True)
            functional.mse_loss(drawn, pictures).backward()
            optimiser.step()
    return network.eval().requires_grad_(False)


def encode(network: Autoencoder, crops: NDArray[np.uint8], progress: Progress = silent) -> NDArray[np.uint8]:
    """The codes of crops, eight bits a byte.

    Parameters
    ----------
    network : Autoencoder
    crops : ndarray of uint8 (N, 32, 32, 3)
    progress : Progress

    Returns
    -------
    ndarray of uint8 (N, 16)
    """
    codes = np.empty((len(crops), CODE // 8), np.uint8)
    starts = range(0, len(crops), 4096)
    with torch.no_grad():
        for start in progress(starts, Stage("encoding", len(starts), "batch")):
            code = network.encoder(_contrasted(crops[start : start + 4096])) > 0
            codes[start : start + 4096] = np.packbits(code.numpy(), axis=1)
    return codes


def _contrasted(crops: NDArray[np.uint8]) -> Tensor:
    """Crops as rows of mean 0 and, but for flat ones, deviation 1."""
    rows = torch.from_numpy(crops.reshape(len(crops), -1).astype(np.float32)) / 255
    return (rows - rows.mean(1, keepdim=True)) / (rows.std(1, keepdim=True) + FLAT)
