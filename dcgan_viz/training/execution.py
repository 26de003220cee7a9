"""How a run uses its devices: precision, memory layout, one process or several."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from dcgan_viz.devices import find_device
from dcgan_viz.networks.spec import NetworkSpec
from dcgan_viz.training.settings import TrainingSettings
from dcgan_viz.training.step import Adversaries

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Precision = Literal["auto", "fp32", "bf16"]

PROBE_BATCH, PROBE_STEPS = 32, 3
"""The paper's networks take seconds a step on a CPU, so the probe is short and its batches small."""


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

    precision: Literal["fp32", "bf16"]
    channels_last: bool

    def __str__(self) -> str:
        return f"{self.precision}{' channels-last' if self.channels_last else ''}"

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout as torch names it."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


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
    if device != "auto":
        find_device(device)
    processes, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    # Fabric passes it on under its older name, which every supported torch knows.
    warnings.filterwarnings("ignore", message=".*broadcast_buffers")
    fabric = Fabric(
        accelerator=device,
        # Two batch-norm forwards before one backward crash DDP when it also broadcasts buffers.
        strategy=DDPStrategy(broadcast_buffers=False) if processes > 1 else "auto",
        devices=local,
        num_nodes=processes // local,
        precision="bf16-mixed" if execution.precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric


def choose_execution(
    networks: NetworkSpec,
    settings: TrainingSettings,
    device: str,
    precision: Precision,
    say: Callable[[str], None] = lambda message: None,
) -> Execution:
    """The way to run that was asked for or, for ``auto``, the fastest over a few steps of each.

    A named precision is not measured, so that a seed gives the same weights every time: layouts differ in the last
    bits. bf16 then takes channels-last and fp32 does not.
    """
    if precision != "auto":
        return Execution(precision, channels_last=precision == "bf16")
    options = [Execution(p, layout) for p in ("fp32", "bf16") for layout in (False, True)]
    say("measuring which precision and memory layout are fastest here")
    rates = {option: _images_per_second(networks, settings, device, option) for option in options}
    fastest = max(options, key=rates.__getitem__)
    # Each process has measured for itself; all must take the same way.
    chosen: Execution = launch(device, fastest).broadcast(fastest)
    say(", ".join(f"{option} {rate:.0f} img/s" for option, rate in rates.items()) + f": taking {chosen}")
    return chosen


def _images_per_second(networks: NetworkSpec, settings: TrainingSettings, device: str, execution: Execution) -> float:
    fabric = launch(device, execution)
    players = Adversaries(fabric, networks, settings, execution.memory_format)
    count = min(settings.batch_size, PROBE_BATCH)
    real = torch.zeros(count, *networks.image_shape)
    real = fabric.to_device(real.contiguous(memory_format=execution.memory_format))
    random = np.random.default_rng(0)
    seconds = []
    for number in range(PROBE_STEPS):
        start = time.perf_counter()
        # Reading a loss waits for the device.
        players.step(real, number, random).generator.item()
        seconds.append(time.perf_counter() - start)
    # The first step also plans kernels and allocates memory.
    return count / min(seconds[1:])
