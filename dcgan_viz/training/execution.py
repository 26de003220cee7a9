"""How a run uses its devices: precision, memory layout, one process or several."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import distributed

from dcgan_viz.devices import computes_bf16, find_device
from dcgan_viz.untrusted import EXACT

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Precision = Literal["auto", "fp32", "bf16"]

LETTING_GO = 0.25
"""Seconds in which a thread that is due lets go of a tensor, on a busy machine too."""


@dataclass(frozen=True)
class Execution:
    """How a run uses its device.

    Parameters
    ----------
    precision : {"fp32", "bf16"}
        bf16 is mixed: weights and optimiser stay float32.
    channels_last : bool
        Memory layout of images and weights.
    """

    __pydantic_config__: ClassVar = EXACT

    precision: Literal["fp32", "bf16"]
    channels_last: bool

    def __str__(self) -> str:
        return f"{self.precision}{' channels-last' if self.channels_last else ''}"

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout as torch names it."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


def choose_device(device: str = "auto") -> str:
    """The device that was asked for or, for ``auto``, the first of cuda, mps and cpu that is there.

    Raises
    ------
    UserError
        If there is no such device.

    Examples
    --------
    >>> choose_device("cpu")
    'cpu'
    """
    if device != "auto":
        find_device(device)
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_execution(device: str, precision: Precision = "auto") -> Execution:
    """The way to run that was asked for or, for ``auto``, the one that suits the device.

    That is bf16 where the device has instructions for it (CUDA from compute capability 8.0, processors with AMX or
    AVX-512 BF16) and fp32 elsewhere, with the layout that goes with it: bf16 is channels-last, fp32 is not. Nothing is
    timed, since precisions and layouts differ in the weights that they lead to: the same command and seed give the
    same weights.

    Parameters
    ----------
    device : str
        As `choose_device` gives it.
    precision : {"auto", "fp32", "bf16"}

    Returns
    -------
    Execution

    Examples
    --------
    >>> print(choose_execution("cpu", "fp32"))
    fp32
    >>> print(choose_execution("cpu", "bf16"))
    bf16 channels-last
    """
    if precision == "auto":
        precision = "bf16" if computes_bf16(torch.device(device)) else "fp32"
    return Execution(precision, channels_last=precision == "bf16")


def launch(device: str, execution: Execution) -> Fabric:
    """A Fabric on the device; under torchrun, this process's share of it.

    Raises
    ------
    UserError
        If there is no such device.
    """
    # Late: it takes seconds to import.
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    processes, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    # Fabric passes it on under its older name, which every supported torch knows.
    warnings.filterwarnings("ignore", message=".*broadcast_buffers")
    place = torch.device(choose_device(device))
    fabric = Fabric(
        accelerator=place.type,
        # Two batch-norm forwards before one backward crash DDP when it also broadcasts buffers.
        strategy=DDPStrategy(broadcast_buffers=False) if processes > 1 else "auto",
        devices=local if place.index is None else [place.index],
        num_nodes=processes // local,
        precision="bf16-mixed" if execution.precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric


@contextmanager
def settled_threads() -> Iterator[None]:
    """Around the work of a process of several: at its end no thread of its group is about to need the interpreter.

    Such a thread lets go of the last tensor that it summed a moment after the sum is known, and needs the interpreter
    for it. If that is at its end by then, the process aborts after all its work is done. The group stays, for another run
    of the same process: torch cannot form it again.
    """
    try:
        yield
    finally:
        if distributed.is_initialized():
            time.sleep(LETTING_GO)
