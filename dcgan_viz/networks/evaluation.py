"""Evaluation mode for the time of a computation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dcgan_viz.networks.protocol import TorchModule


@contextmanager
def evaluation(network: TorchModule) -> Iterator[None]:
    """Evaluation mode, so that no image depends on its batch-mates; the modes before are restored.

    Examples
    --------
    >>> from torch import nn
    >>> network = nn.Dropout().train()
    >>> with evaluation(network):
    ...     network.training
    False
    >>> network.training
    True
    """
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
