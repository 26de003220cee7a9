"""The losses between two lines of the log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dcgan_viz.errors import UserError
from dcgan_viz.training.step import StepMeans

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class MeanLosses:
    """Losses summed on the device and read once a tick, since reading them waits for it.

    Parameters
    ----------
    fabric : Fabric
    images_a_step : int
        Of all processes.
    """

    def __init__(self, fabric: Fabric, images_a_step: int) -> None:
        self.fabric, self.images_a_step = fabric, images_a_step
        self.sums = torch.zeros(4, device=fabric.device)
        self.restart()

    def restart(self) -> None:
        """Begin a new tick."""
        self.sums.zero_()
        self.start, self.steps, self.restored = time.perf_counter(), 0, 0

    def add(self, losses: Tensor) -> None:
        """Add one step's losses (4,)."""
        self.sums += losses
        self.steps += 1

    def read(self) -> tuple[StepMeans, float]:
        """The means over steps and devices, and the images per second; begins a new tick."""
        means = StepMeans(*(self._reduced() / self.steps).tolist())
        rate = (self.steps - self.restored) * self.images_a_step / (time.perf_counter() - self.start)
        self.restart()
        return means, rate

    def tensors(self) -> dict[str, Tensor]:
        """What has been summed since the last tick, over all devices, by name."""
        return {"tick.sums": self._reduced(), "tick.steps": torch.tensor(self.steps)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` took.

        Raises
        ------
        UserError
            If it is something else.
        """
        self.restart()
        sums, steps = tensors.get("tick.sums"), tensors.get("tick.steps")
        if sums is None and steps is None:
            return
        if sums is None or steps is None or sums.shape != self.sums.shape or steps.shape != ():
            raise UserError("the checkpoint's sums of losses are damaged")
        self.sums.copy_(sums)
        self.steps = self.restored = int(steps)

    def _reduced(self) -> Tensor:
        reduced = self.fabric.all_reduce(self.sums.clone(), reduce_op="mean")
        assert isinstance(reduced, Tensor)
        return reduced
