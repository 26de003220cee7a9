"""Batch-norm statistics for evaluation, measured anew."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dcgan_viz.networks.protocol import TorchModule


@torch.no_grad()
def recalibrate(network: TorchModule, batches: Iterable[Tensor]) -> int:
    """Set every batch-norm's running statistics from given inputs.

    A DCGAN trains on batch statistics, and what its running averages hold is a mixture of old
    weights (and, in a discriminator, of real and generated images). Here each batch passes once in
    training mode, and the running statistics become the averages over batches of the batch mean and
    biased variance, as the authors' SVHN code computes them.

    Parameters
    ----------
    network : Module
        Changed in place; left in evaluation mode.
    batches : iterable of Tensor
        Inputs of the network, on its device, at least two examples each.

    Returns
    -------
    int
        How many examples were used.

    Examples
    --------
    >>> network = nn.Sequential(nn.BatchNorm1d(1))
    >>> recalibrate(network, [torch.tensor([[1.0], [3.0]])])
    2
    >>> network[0].running_mean.item(), network[0].running_var.item()
    (2.0, 1.0)
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    # Not every device has float64, so the sums are kept on the CPU.
    means = [torch.zeros(n.num_features, dtype=torch.float64) for n in norms]
    variances = [torch.zeros_like(m) for m in means]

    def measure(index: int, inputs: Tensor) -> None:
        dims = [0, *range(2, inputs.ndim)]
        values = inputs.float()
        means[index] += values.mean(dims).cpu()
        variances[index] += values.var(dims, unbiased=False).cpu()

    handles = [
        norm.register_forward_pre_hook(lambda _, inputs, i=i: measure(i, inputs[0])) for i, norm in enumerate(norms)
    ]
    examples = passes = 0
    try:
        network.train()
        for batch in batches:
            network(batch)
            examples += len(batch)
            passes += 1
    finally:
        for handle in handles:
            handle.remove()
        network.eval()
    for norm, mean, variance in zip(norms, means, variances, strict=True):
        norm.running_mean = (mean / passes).to(norm.weight)
        norm.running_var = (variance / passes).to(norm.weight)
    return examples
