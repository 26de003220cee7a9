"""Checkpoints: one safetensors file that holds everything a run needs to go on."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from dcgan_viz.errors import UserError
from dcgan_viz.files import writing
from dcgan_viz.networks.weights import TensorFile, open_tensors, save_tensors
from dcgan_viz.untrusted import EXACT, parse_json, shown

ENTRIES = ("step", "exp_avg", "exp_avg_sq")
"""What Adam remembers of a parameter."""

_NAME = re.compile(r"step-(\d{8})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """The whole state of a run after a step.

    Parameters
    ----------
    step : int
        Batches done. With the seed it is also the position of the sampler and the state of the random
        numbers, since both are functions of (seed, step).
    tensors : mapping of str to Tensor
        Weights, buffers and optimiser state, named ``generator.…``, ``generator_optimizer.…`` and so on.
    run : mapping
        Plain data that identifies the run: its networks, settings and images.
    """

    step: int
    tensors: Mapping[str, Tensor]
    run: Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """What a checkpoint says beside its tensors.

    Parameters
    ----------
    step : int
    run : dict
        As in `Checkpoint`.
    """

    __pydantic_config__: ClassVar = EXACT

    step: int
    run: dict[str, Any]

    def __post_init__(self) -> None:
        if self.step < 0:
            raise UserError(f"step {self.step} is below 0")


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint after `step` steps lies."""
    return folder / f"step-{step:08d}.safetensors"


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint under a temporary name, then rename it.

    Raises
    ------
    UserError
        If a value is not finite, the folder cannot be written, or the disk is full.
    """
    state = json.dumps({"step": checkpoint.step, "run": checkpoint.run})
    return save_tensors(checkpoint.tensors, checkpoint_path(folder, checkpoint.step), {"dcgan_viz_checkpoint": state})


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; nothing is unpickled.

    Raises
    ------
    UserError
        If the file is missing, truncated or something else.
    """
    with open_tensors(path) as file:
        state = _state(file)
        return Checkpoint(state.step, file.read(), state.run)


def read_state(path: Path) -> State:
    """What a checkpoint says beside its tensors, which are not read.

    Raises
    ------
    UserError
        As in `load_checkpoint`.
    """
    with open_tensors(path) as file:
        return _state(file)


def _state(file: TensorFile) -> State:
    try:
        return parse_json(file.metadata.get("dcgan_viz_checkpoint", ""), State)
    except UserError as error:
        raise UserError(f"{file.path} is not a whole checkpoint of dcgan-viz ({error})") from error


def list_checkpoints(folder: Path) -> list[int]:
    """Steps of the checkpoints in a folder, ascending."""
    if not folder.is_dir():
        return []
    return sorted(int(m[1]) for f in folder.iterdir() if (m := _NAME.fullmatch(f.name)))


def prune_checkpoints(folder: Path, newest: int, every: int, protect: Collection[int | None] = ()) -> None:
    """Remove all checkpoints but the newest, every so-many-th step's and those that are protected.

    Parameters
    ----------
    folder : Path
    newest : int
        How many of the newest stay.
    every : int
        Checkpoints at multiples of this step stay for good; 0 for none.
    protect : collection of int
        Steps whose checkpoints stay, such as the last healthy one; None is no step.
    """
    for step in list_checkpoints(folder)[:-newest]:
        if step not in protect and not (every and step % every == 0):
            remove_checkpoint(folder, step)


def remove_checkpoint(folder: Path, step: int) -> None:
    """Remove the checkpoint of a step.

    Raises
    ------
    UserError
        If it cannot be removed.
    """
    path = checkpoint_path(folder, step)
    with writing(path):
        path.unlink(missing_ok=True)


def optimizer_tensors(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as named tensors."""
    state = optimizer.state_dict()["state"]
    return {f"{name}.{i}.{key}": torch.as_tensor(v) for i, entry in state.items() for key, v in entry.items()}


def restore_optimizer(name: str, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the state that `optimizer_tensors` took back.

    Raises
    ------
    UserError
        If it is not of these parameters.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith(f"{name}."):
            found = re.fullmatch(rf"([0-9]{{1,6}})\.({'|'.join(ENTRIES)})", key.removeprefix(f"{name}."))
            index, entry = (int(found[1]), found[2]) if found else (len(parameters), "")
            if index >= len(parameters) or tensor.shape != (() if entry == "step" else parameters[index].shape):
                raise UserError(f"the checkpoint's {shown(key)} belongs to other networks or is damaged")
            if tensor.ndim:
                # Fused Adam walks weights and moments in memory order, so both must have the same strides.
                tensor = torch.empty_like(parameters[index]).copy_(tensor)
            state.setdefault(index, {})[entry] = tensor
    if state and not all(len(state.get(index, {})) == len(ENTRIES) for index in range(len(parameters))):
        raise UserError(f"the checkpoint lacks a part of {name}: it is damaged")
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
