"""Killed at any write or rename, a run that is resumed ends with the same bytes as one that was not."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dcgan_viz.data.images import ImageSet
from dcgan_viz.networks import dcgan
from dcgan_viz.training.checkpoints import list_checkpoints
from dcgan_viz.training.loop import resume_training, train
from dcgan_viz.training.settings import TrainingSettings

IMAGES = ImageSet(np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8), ("noise",) * 12)
NETWORKS, SETTINGS = dcgan(16, width=2, latent_dim=4), TrainingSettings(steps=3, batch_size=4, ema=0.5)
OPTIONS: dict[str, Any] = {"keep": 1, "device": "cpu"}

CHANGES = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.chmod",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.utime",
}


class Killed(BaseException):
    """What stands for SIGKILL: no clean-up behind it changes anything on disk any more."""


class Disk:
    """Counts changes of a folder by this thread and, from a given one on, lets none happen."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.count, self.last = 0, sys.maxsize
        sys.addaudithook(self.audit)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None or threading.current_thread() is not threading.main_thread():
            return
        writes = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if (event in CHANGES or writes) and self.folder in str(arguments[0]):
            self.count += 1
            if self.count > self.last:
                raise Killed

    @contextmanager
    def until(self, folder: Path, last: int = sys.maxsize) -> Iterator[None]:
        self.folder, self.count, self.last = str(folder), 0, last
        try:
            yield
        finally:
            self.folder = None


@pytest.fixture(scope="module")
def disk() -> Disk:
    # A hook cannot be removed: there is one, which does nothing unless it is told to.
    return Disk()


@contextmanager
def process(number: int) -> Iterator[None]:
    """Another process than this one, which does not live: no process has so high a number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 2**30 + number)
        yield


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan_viz.training.snapshot.RECALIBRATION_SAMPLES", 8)
    monkeypatch.setattr("dcgan_viz.training.loop.GRID_SAMPLES", 4)

    class Writer:
        """TensorBoard's own writing takes most of the time and is not what is looked at."""

        def __getattr__(self, _: str) -> Any:
            return lambda *arguments, **options: None

    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter", lambda *arguments, **options: Writer())


def whole_run(folder: Path) -> None:
    train(IMAGES, NETWORKS, SETTINGS, folder, precision="fp32", checkpoint_every=1, **OPTIONS)


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of all files, without what a clock wrote into the log."""
    found = {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
    found["metrics.jsonl"] = re.sub(rb'"images_per_second": [\d.]+', b"", found["metrics.jsonl"])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("first", "apart"), [(3, 9), pytest.param(0, 1, marks=pytest.mark.long)], ids=["some", "all"])
def test_every_crash_point_ends_with_the_same_bytes(first: int, apart: int, disk: Disk, tmp_path: Path) -> None:
    with disk.until(tmp_path / "whole"):
        whole_run(tmp_path / "whole")
    points, expected = disk.count, contents(tmp_path / "whole")
    assert points > 40
    assert {"model/card.json", "samples/step-00000001.png", "checkpoints/step-00000003.safetensors"} <= expected.keys()
    for point in range(first, points, apart):
        folder = tmp_path / f"{point}"
        with process(point), disk.until(folder, point), suppress(Killed):
            whole_run(folder)
        if list_checkpoints(folder / "checkpoints"):
            result = resume_training(IMAGES, folder, **OPTIONS)
            assert (result.finished, result.steps) == (True, 3), point
        else:
            whole_run(folder)
        assert contents(folder) == expected, point
