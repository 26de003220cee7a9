"""CIFAR-10 and CIFAR-100 as they are distributed, in the binary version and the one for Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.data.decoding import Entry
from dcgan_viz.data.sources.plain_pickle import read_pickle
from dcgan_viz.data.sources.source import Source
from dcgan_viz.errors import UserError

PIXELS = 3 * 32 * 32
TRAINING = (*(f"data_batch_{number}" for number in range(1, 6)), "train")
TEST = ("test_batch", "test")
CLASS_FILES = ("batches.meta.txt", "fine_label_names.txt")
CLASS_PICKLES = {"batches.meta": "label_names", "meta": "fine_label_names"}


class CifarSource(Source):
    """Batches of CIFAR: of a folder all those for training, or one file.

    Each picture lies in the folder of its class; CIFAR-100's are the fine ones.

    Raises
    ------
    UserError
        If a batch is damaged or missing.
    """

    kind = "batches of CIFAR"

    def __init__(self, path: Path) -> None:
        batches = batches_in(path) if path.is_dir() else [path]
        folder = path if path.is_dir() else path.parent
        classes = _classes(folder)
        self.pixels = []
        names: list[str] = []
        for batch in batches:
            pixels, labels = _read_binary(batch) if batch.suffix == ".bin" else _read_pickled(batch)
            if labels.max(initial=0) >= len(classes) > 0:
                raise UserError(f"{batch} has class {labels.max()}, and {folder} names {len(classes)} classes")
            self.pixels.append(pixels)
            known = classes or [str(number) for number in range(256)]
            names.extend(f"{known[label]}/{batch.stem}[{index}]" for index, label in enumerate(labels.tolist()))
        self.starts = np.cumsum([0, *map(len, self.pixels)])
        unread = [name for name in TEST for name in (name, f"{name}.bin") if path.is_dir() and (path / name).is_file()]
        super().__init__(path, tuple(names), [f"{name} (give the file for the test pictures)" for name in unread])

    def _entry(self, index: int) -> Entry:
        batch = int(np.searchsorted(self.starts, index, "right")) - 1
        pixels: NDArray[np.uint8] = self.pixels[batch][index - self.starts[batch]]
        return np.ascontiguousarray(pixels.reshape(3, 32, 32).transpose(1, 2, 0))


def batches_in(folder: Path) -> list[Path]:
    """The batches for training in a folder; none if it is not CIFAR's."""
    marks = (*CLASS_FILES, *CLASS_PICKLES)
    if not any((folder / mark).is_file() for mark in marks):
        return []
    for ending in ("", ".bin"):
        found = [path for name in TRAINING if (path := folder / f"{name}{ending}").is_file()]
        if found:
            return found
    return []


def is_batch(path: Path) -> bool:
    """Whether a file is a batch, by its name."""
    return path.name.removesuffix(".bin") in (*TRAINING, *TEST)


def _classes(folder: Path) -> Sequence[str]:
    for name in CLASS_FILES:
        if (folder / name).is_file():
            return (folder / name).read_text("latin-1").split()
    for name, key in CLASS_PICKLES.items():
        if (folder / name).is_file():
            return [_safe(label) for label in read_pickle(folder / name).get(key, [])]
    return ()


def _safe(label: Any) -> str:
    return (label.decode("latin-1") if isinstance(label, bytes) else str(label)).replace("/", "_")


def _read_binary(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Records of one class (CIFAR-10) or a coarse and a fine one (CIFAR-100), then the pixels."""
    size = path.stat().st_size
    before = next((count for count in (1, 2) if size and size % (PIXELS + count) == 0), None)
    if before is None:
        raise UserError(f"{path} is cut off: its {size:,} bytes are no whole number of CIFAR's records")
    records = np.memmap(path, np.uint8, "r").reshape(-1, PIXELS + before)
    return records[:, before:], records[:, before - 1].astype(np.int64)


def _read_pickled(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    batch = read_pickle(path)
    pixels = batch.get("data")
    try:
        labels = np.array([int(label) for label in batch.get("labels", batch.get("fine_labels", ()))], np.int64)
    except (TypeError, ValueError, OverflowError):
        labels = np.empty(0, np.int64)
    if not isinstance(pixels, np.ndarray) or pixels.shape != (len(labels), PIXELS) or labels.min(initial=0) < 0:
        shape = getattr(pixels, "shape", "no pixels")
        raise UserError(f"{path} is not a batch of CIFAR: it holds {shape} and {len(labels)} labels, not (N, {PIXELS})")
    return pixels, labels
