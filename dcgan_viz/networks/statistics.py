"""Batch-norm statistics for evaluation, measured anew."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dcgan_viz.errors import UserError
from dcgan_viz.networks.protocol import TorchModule

Norm = nn.BatchNorm1d | nn.BatchNorm2d


@torch.no_grad()
def recalibrate(network: TorchModule, batches: Sequence[Tensor]) -> int:
    """Set every batch-norm's running statistics from given inputs.

    A DCGAN trains on batch statistics, and what its running averages hold is a mixture of old weights (and, in a
    discriminator, of real and generated images). Here the mean and the biased variance of all examples are measured at
    one batch-norm after the other, in the order in which they are reached, with those before it in evaluation mode
    already: each then gives maps of mean 0 and variance 1 on these inputs, however they were split into batches.
    Ioffe & Szegedy (2015, algorithm 2) call for these statistics of the population.

    Parameters
    ----------
    network : Module
        Changed in place; left in evaluation mode.
    batches : sequence of Tensor
        Inputs of the network, on its device. They are read once for every batch-norm.

    Returns
    -------
    int
        How many examples were used.

    Raises
    ------
    UserError
        If there are fewer than two examples.

    Examples
    --------
    >>> network = nn.Sequential(nn.BatchNorm1d(1))
    >>> recalibrate(network, [torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0]])])
    3
    >>> network[0].running_mean.item(), round(network[0].running_var.item(), 4)
    (3.0, 2.6667)
    """
    filled = [batch for batch in batches if len(batch)]
    examples = sum(map(len, filled))
    if examples < 2:
        raise UserError(f"batch-norm statistics are measured on 2 examples or more, not on {examples}")
    network.eval()
    # Two examples, since a batch-norm that has no statistics yet takes those of the batch.
    two = torch.cat([batch[:2] for batch in filled[:2]])[:2]
    for norm in _in_order(network, two):
        mean, variance = _moments(network, norm, filled)
        place = next((t for t in (norm.running_mean, norm.weight) if t is not None), filled[0])
        norm.running_mean = mean.to(place.device, torch.float32)
        norm.running_var = variance.to(place.device, torch.float32)
    return examples


class _Reached(Exception):  # noqa: N818
    """A batch-norm has been measured; the layers behind it need not be computed."""


def _in_order(network: TorchModule, examples: Tensor) -> list[Norm]:
    """The batch-norms in the order in which inputs reach them."""
    reached: list[Norm] = []
    handles = [
        module.register_forward_pre_hook(lambda norm, _: reached.append(norm) if norm not in reached else None)
        for module in network.modules()
        if isinstance(module, Norm)
    ]
    try:
        network(examples)
    finally:
        for handle in handles:
            handle.remove()
    return reached


def _moments(network: TorchModule, norm: Norm, batches: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and biased variance (C,), float64 on the CPU, of what enters a batch-norm."""
    # Not every device has float64, so batches are put together on the CPU (Chan et al. 1983).
    mean = torch.zeros(norm.num_features, dtype=torch.float64)
    squares, seen = torch.zeros_like(mean), 0

    def measure(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal seen
        values = inputs[0].float().transpose(0, 1).flatten(1)
        count = values.shape[1]
        difference = values.mean(1).cpu().double() - mean
        squares.add_(values.var(1, unbiased=False).cpu().double() * count)
        squares.add_(difference**2 * (seen * count / (seen + count)))
        mean.add_(difference * (count / (seen + count)))
        seen += count
        raise _Reached

    handle = norm.register_forward_pre_hook(measure)
    try:
        for batch in batches:
            try:
                network(batch)
            except _Reached:
                continue
    finally:
        handle.remove()
    return mean, squares / seen
