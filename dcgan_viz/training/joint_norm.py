"""Batch normalisation over the batches of all processes, as in one process with the joint batch (SyncBatchNorm).

torch's own needs CUDA, and has no second derivatives, which the gradient penalty asks for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class JointBatchNorm(_BatchNorm):
    """Batch normalisation whose mean and variance are those of the batches of all processes, of equal size each."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions will do."""

    def forward(self, input: Tensor) -> Tensor:
        """The normalised maps (N, C, ...)."""
        if not self.training:
            return super().forward(input)
        dimensions = [d for d in range(input.ndim) if d != 1]
        shape = [1, -1, *[1] * (input.ndim - 2)]
        values = input.float()
        # In two passes: the mean of squares less the square of the mean loses digits.
        mean = _mean_of_all(values.mean(dimensions))
        centred = values - mean.view(shape)
        variance = _mean_of_all(centred.square().mean(dimensions))
        self._remember(mean.detach(), variance.detach(), input.numel() // input.shape[1])
        normalised = centred * (variance + self.eps).rsqrt().view(shape)
        scaled: Tensor = normalised * self.weight.view(shape) + self.bias.view(shape)
        return scaled.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics towards these; the variance without bias, as torch's."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        total = count * torch.distributed.get_world_size()
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (total / (total - 1)), self.momentum)


class _SumOfAll(torch.autograd.Function):
    """The sum over the processes. What each makes of it depends on the values of all: so do gradients, again and again."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        summed = values.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        summed: Tensor = _SumOfAll.apply(gradient)
        return summed


def _mean_of_all(values: Tensor) -> Tensor:
    """The mean over the processes."""
    summed: Tensor = _SumOfAll.apply(values)
    return summed / torch.distributed.get_world_size()


def join_batch_norm(network: nn.Module) -> None:
    """Have every batch normalisation of a network take the batches of all processes for one.

    Parameters
    ----------
    network : Module
        Changed in place; its parameters and their names stay.
    """
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                joint = JointBatchNorm(child.num_features, child.eps, child.momentum)
                joint.load_state_dict(child.state_dict())
                setattr(parent, name, joint.to(child.weight.device))
