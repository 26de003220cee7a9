"""Weights of small networks as safetensors files."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from dcgan_viz.errors import UserError


def save_weights(network: nn.Module, path: Path) -> None:
    """Write parameters and running statistics as fp16, without the counters that evaluation does not use."""
    tensors = {
        name: tensor.half().cpu().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(tensors, path)
    # safetensors writes files that only their owner can read.
    path.chmod(0o644)


def fill_weights(network: nn.Module, path: Path) -> None:
    """Read what `save_weights` wrote into a network.

    Raises
    ------
    UserError
        If the file does not hold exactly this network's tensors.
    SafetensorError, OSError, RuntimeError
        If it is missing or damaged, or a tensor has another shape.
    """
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    wrong = [name for name in (*missing, *unexpected) if not name.endswith("num_batches_tracked")]
    if wrong:
        raise UserError(f"{path} lacks or adds the tensor {wrong[0]}")
