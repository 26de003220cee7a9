"""The record of a run: JSON lines for programs, TensorBoard for eyes."""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor

from dcgan_viz.data.images import to_pixels
from dcgan_viz.files import atomic_file, writing
from dcgan_viz.media.pictures import tile
from dcgan_viz.training.step import StepMeans


class RunLog:
    """Writes ``metrics.jsonl`` and ``tensorboard/`` in a run's folder.

    Parameters
    ----------
    folder : Path
    done : int
        Steps already done. What an interrupted run logged after its last checkpoint is done again, so it is dropped.
    """

    def __init__(self, folder: Path, done: int) -> None:
        # Late: importing it takes a second.
        from torch.utils.tensorboard import SummaryWriter

        self.path = folder / "metrics.jsonl"
        kept = [line for line in _whole_lines(self.path) if json.loads(line)["step"] <= done]
        with atomic_file(self.path) as temporary:
            temporary.write_text("".join(kept))
        with writing(folder):
            self.file = self.path.open("a")
            self.tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1)

    def write(self, step: int, means: StepMeans, images_per_second: float) -> None:
        """Add the means since the last line."""
        values = {name: round(value, 5) for name, value in vars(means).items()}
        with writing(self.path):
            self.file.write(
                json.dumps({"step": step, **values, "images_per_second": round(images_per_second, 1)}) + "\n"
            )
            self.file.flush()
            for name, value in values.items():
                self.tensorboard.add_scalar(name, value, step)
            self.tensorboard.add_scalar("images_per_second", images_per_second, step)

    def picture(self, step: int, samples: Tensor) -> None:
        """Add a grid of samples (N, C, H, W) in [-1, 1]."""
        self.tensorboard.add_image("samples", tile(to_pixels(samples)), step, dataformats="HWC")

    def close(self) -> None:
        """Write what is still held back."""
        self.file.close()
        self.tensorboard.close()


def _whole_lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open() as file:
        # A line cut short by a kill has no newline at its end.
        return [line for line in file if line.endswith("\n")]
