"""The record of a run: JSON lines for programs, TensorBoard for eyes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from dcgan_viz.data.images import to_pixels
from dcgan_viz.files import atomic_file, writing
from dcgan_viz.media.pictures import tile
from dcgan_viz.training.step import StepMeans
from dcgan_viz.words import counted

METRICS_FILE, DAMAGED_FILE, TENSORBOARD = "metrics.jsonl", "metrics.damaged.jsonl", "tensorboard"


class RunLog:
    """Writes ``metrics.jsonl`` and ``tensorboard/`` in a run's folder.

    Parameters
    ----------
    folder : Path
    done : int
        Steps already done. What an interrupted run logged after its last checkpoint is done again, so it is dropped.
    say : callable
        Is told when lines cannot be read; these are kept in ``metrics.damaged.jsonl``.
    """

    def __init__(self, folder: Path, done: int = 0, say: Callable[[str], None] = lambda sentence: None) -> None:
        # Late: importing it takes a second.
        from torch.utils.tensorboard import SummaryWriter

        self.path = folder / METRICS_FILE
        kept, damaged = _sort_lines(self.path, done)
        if damaged:
            aside = folder / DAMAGED_FILE
            _append(aside, damaged)
            say(f"{counted(len(damaged), 'damaged line')} of {self.path} set aside in {aside}")
        with atomic_file(self.path) as temporary:
            temporary.write_bytes(b"".join(kept))
        with writing(folder):
            self.file = self.path.open("a")
            # TensorBoard writes in a thread of its own, which would print its traceback beside our sentence on a full disk.
            self.thread_hook = threading.excepthook
            threading.excepthook = self._report_unless_disk
            self.tensorboard = SummaryWriter(str(folder / TENSORBOARD), purge_step=done + 1)

    def write(self, step: int, means: StepMeans, images_per_second: float, quality: float | None = None) -> None:
        """Add the means since the last line and, where it was measured, the quality."""
        values = {name: round(value, 5) for name, value in vars(means).items()}
        if quality is not None:
            values["quality"] = quality
        with writing(self.path):
            self.file.write(
                json.dumps({"step": step, **values, "images_per_second": round(images_per_second, 1)}) + "\n"
            )
            self.file.flush()
            for name, value in values.items():
                self.tensorboard.add_scalar(name, value, step)
            self.tensorboard.add_scalar("images_per_second", images_per_second, step)

    def picture(self, step: int, samples: Tensor) -> None:
        """Add a grid of samples (N, C, H, W) in [-1, 1], and bring to disk what TensorBoard still holds back."""
        with writing(self.path):
            self.tensorboard.add_image("samples", tile(to_pixels(samples)), step, dataformats="HWC")
            self.tensorboard.flush()

    def close(self) -> None:
        """Write what is still held back."""
        with writing(self.path):
            self.file.close()
            self.tensorboard.close()
        threading.excepthook = self.thread_hook

    def _report_unless_disk(self, failure: threading.ExceptHookArgs) -> None:
        if not issubclass(failure.exc_type, OSError):
            self.thread_hook(failure)


def _sort_lines(path: Path, done: int) -> tuple[list[bytes], list[bytes]]:
    """The lines of a log up to a step, and those that are none."""
    kept: list[bytes] = []
    damaged: list[bytes] = []
    if not path.exists():
        return kept, damaged
    with writing(path):
        lines = path.read_bytes().splitlines(keepends=True)
    for line in lines:
        if not line.endswith(b"\n"):
            # Cut short by a kill, and so behind the last checkpoint.
            continue
        try:
            if json.loads(line)["step"] <= done:
                kept.append(line)
        except (ValueError, KeyError, TypeError, RecursionError):
            damaged.append(line)
    return kept, damaged


def _append(path: Path, lines: list[bytes]) -> None:
    """Add lines to a file, unless they are there already."""
    with writing(path):
        before = path.read_bytes() if path.exists() else b""
    added = b"".join(lines)
    if not before.endswith(added):
        with atomic_file(path) as temporary:
            temporary.write_bytes(before + added)
