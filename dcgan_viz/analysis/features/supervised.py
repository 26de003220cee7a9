"""A convolutional network of the discriminator's shape, trained on the labels alone: the paper's supervised control."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from dcgan_viz.data.images import Images
from dcgan_viz.devices import computes_bf16
from dcgan_viz.networks.protocol import DiscriminatorNetwork

LEARNING_RATE, WEIGHT_DECAY, BATCH = 1e-3, 1e-4, 64
SEEN = 30_000
"""Images that are seen in training, but each at least `EPOCHS[0]` times and at most `EPOCHS[1]` times."""

EPOCHS = (8, 30)


def supervised_predictions(
    discriminator: DiscriminatorNetwork,
    images: Images,
    numbers: NDArray[np.int64],
    labelled: NDArray[np.int64],
    validation: NDArray[np.int64],
    test: NDArray[np.int64],
    seed: int | tuple[int, ...],
) -> NDArray[np.int64]:
    """What a network of the discriminator's shape, trained on labelled images from fresh weights, says of the test images.

    Adam with weight decay, no augmentation; the weights of the epoch that is best on the validation images are taken, as
    the paper's random search chose by validation error. The one output unit is replaced by one for each class.

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
        Only its shape is used.
    images : Images
    numbers : ndarray of int64 (N,)
        The classes of all images.
    labelled, validation, test : ndarray of int64
        Rows of `images`.
    seed : int or tuple of int

    Returns
    -------
    ndarray of int64 (len(test),)
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
            found: Tensor = head(maps.flatten(1))
        return found.float()

    @torch.no_grad()
    def predictions(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        trunk.eval()
        parts = [scores(images.tensor(rows[k : k + 256])).argmax(1).cpu().numpy() for k in range(0, len(rows), 256)]
        return np.concatenate(parts)

    parameters = [*trunk.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    best, kept = -1.0, (trunk.state_dict(), head.state_dict())
    size = min(BATCH, len(labelled))
    for _ in range(int(np.clip(SEEN // len(labelled), *EPOCHS))):
        trunk.train()
        order = random.permutation(labelled)
        for start in range(0, len(order) - size + 1, size):
            rows = order[start : start + size]
            target = torch.from_numpy(numbers[rows]).to(device)
            loss = functional.cross_entropy(scores(images.tensor(rows)), target)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        right = float(np.mean(predictions(validation) == numbers[validation]))
        if right > best:
            best, kept = right, copy.deepcopy((trunk.state_dict(), head.state_dict()))
    trunk.load_state_dict(kept[0])
    head.load_state_dict(kept[1])
    return predictions(test)
