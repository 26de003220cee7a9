"""Where to compute."""

from __future__ import annotations

from typing import Any

import torch

from dcgan_viz.errors import UserError


def find_device(name: str | torch.device) -> torch.device:
    """The device of a name, if this machine has it.

    Parameters
    ----------
    name : str or torch.device
        ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises
    ------
    UserError
        If the name means nothing, or there is no such device.

    Examples
    --------
    >>> find_device("cpu")
    device(type='cpu')
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"{name} is not a device: choose cpu, cuda or mps") from error
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(device.type, False):
        raise UserError(f"there is no device {name} here: choose `device=cpu`, or install a torch that supports it")
    return device


def computes_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bf16: CUDA from compute capability 8.0, AMX or AVX-512 BF16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # Asked by torch from 2.7 on; before that, and where it does not know, fp32 is never wrong.
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False
