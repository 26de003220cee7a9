"""Where to compute."""

from __future__ import annotations

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
        raise UserError(f"{name} is no device: choose cpu, cuda or mps") from error
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(device.type, False):
        raise UserError(f"there is no device {name} here: choose --device cpu, or install a torch that supports it")
    return device
