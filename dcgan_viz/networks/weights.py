"""Small networks as folders: a card, and the weights as a safetensors file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from dcgan_viz.errors import UserError
from dcgan_viz.files import atomic_folder

WEIGHTS_FILE = "weights.safetensors"


def save_folder(network: nn.Module, card: Any, folder: str | Path, card_file: str) -> Path:
    """Write weights (fp16) and card, a dataclass, as a folder, all or nothing."""
    with atomic_folder(Path(folder), card_file) as temporary:
        save_weights(network, temporary / WEIGHTS_FILE)
        (temporary / card_file).write_text(json.dumps(asdict(card), indent=2) + "\n")
    return Path(folder)


@contextmanager
def reading_folder(folder: Path, kind: str, command: str) -> Iterator[None]:
    """Say in one sentence that a folder holds no whole network of a kind, whatever is wrong with it."""
    try:
        yield
    except (
        UserError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
        SafetensorError,
    ) as error:
        raise UserError(
            f"{folder} holds no whole {kind} ({type(error).__name__}: {error}): make one with {command}"
        ) from error


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
