"""A convolutional network of the discriminator's shape, trained on the labels alone: the paper's supervised control."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR

from dcgan_viz.data.images import Images
from dcgan_viz.devices import computes_bf16
from dcgan_viz.networks.protocol import DiscriminatorNetwork

SEEN = 30_000
"""Images that are seen in training, but each at least `EPOCHS[0]` times and at most `EPOCHS[1]` times."""

EPOCHS = (8, 30)


@dataclass(frozen=True)
class Setting:
    """How a supervised network is trained.

    Parameters
    ----------
    rate, decay : float
        Learning rate, which falls to 0 along a cosine, and weight decay of AdamW.
    dropout : float
        Of the features that the last layer reads.
    batch : int
    """

    rate: float = 1e-3
    decay: float = 1e-4
    dropout: float = 0.0
    batch: int = 64

    def __str__(self) -> str:
        return f"rate {self.rate:.1e}, decay {self.decay:.1e}, dropout {self.dropout:g}, batches of {self.batch}"


@dataclass(frozen=True)
class Supervised:
    """What a network that was trained on labels says.

    Parameters
    ----------
    predictions : ndarray of int64 (n,)
        Of the test images.
    validation : float
        Its accuracy on the validation images, after the best epoch.
    """

    predictions: NDArray[np.int64]
    validation: float


def drawn_settings(count: int, seed: int) -> tuple[Setting, ...]:
    """The usual setting, and random others.

    Examples
    --------
    >>> drawn_settings(1, 0)
    (Setting(rate=0.001, decay=0.0001, dropout=0.0, batch=64),)
    """
    random = np.random.default_rng(seed)
    others = [
        Setting(
            rate=float(10 ** random.uniform(-4, -2.3)),
            decay=float(10 ** random.uniform(-5, -0.5)),
            dropout=float(random.choice((0.0, 0.25, 0.5))),
            batch=int(random.choice((32, 64, 128))),
        )
        for _ in range(count - 1)
    ]
    return (Setting(), *others)


def train_supervised(
    discriminator: DiscriminatorNetwork,
    images: Images,
    numbers: NDArray[np.int64],
    labelled: NDArray[np.int64],
    validation: NDArray[np.int64],
    test: NDArray[np.int64],
    setting: Setting,
    seed: int | tuple[int, ...],
) -> Supervised:
    """Train a network of the discriminator's shape on labelled images, from fresh weights, and ask it about the test images.

    AdamW, no augmentation; the weights of the epoch that is best on the validation images are taken, as the paper's
    random search chose by validation error. The one output unit is replaced by one for each class.

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
        Only its shape is used.
    images : Images
    numbers : ndarray of int64 (N,)
        The classes of all images.
    labelled, validation, test : ndarray of int64
        Rows of `images`; there may be none to test on.
    setting : Setting
    seed : int or tuple of int

    Returns
    -------
    Supervised
    """
    random = np.random.default_rng(seed)
    drawn = int(random.integers(2**31))
    device = discriminator.device
    layers = discriminator.numbered_layers
    trunk = discriminator.redrawn(range(1, len(layers) + 1), drawn).requires_grad_(True)
    torch.manual_seed(drawn)
    head = nn.Linear(layers[-1].channels * layers[-1].size ** 2, int(numbers.max()) + 1).to(device)
    half = computes_bf16(device)

    def scores(batch: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            maps = trunk.activations(batch.to(device).contiguous(memory_format=torch.channels_last), len(layers))
            found: Tensor = head(functional.dropout(maps.flatten(1), setting.dropout, trunk.training))
        return found.float()

    @torch.no_grad()
    def predictions(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        trunk.eval()
        parts = [scores(images.tensor(rows[k : k + 256])).argmax(1).cpu().numpy() for k in range(0, len(rows), 256)]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    parameters = [*trunk.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, setting.rate, weight_decay=setting.decay)
    size = min(setting.batch, len(labelled))
    epochs = int(np.clip(SEEN // len(labelled), *EPOCHS))
    schedule = CosineAnnealingLR(optimiser, epochs * (len(labelled) // size))
    best, kept = -1.0, (trunk.state_dict(), head.state_dict())
    for _ in range(epochs):
        trunk.train()
        order = random.permutation(labelled)
        for start in range(0, len(order) - size + 1, size):
            rows = order[start : start + size]
            target = torch.from_numpy(numbers[rows]).to(device)
            loss = functional.cross_entropy(scores(images.tensor(rows)), target)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
        right = float(np.mean(predictions(validation) == numbers[validation]))
        if right > best:
            best, kept = right, copy.deepcopy((trunk.state_dict(), head.state_dict()))
    trunk.load_state_dict(kept[0])
    head.load_state_dict(kept[1])
    return Supervised(predictions(test), best)
