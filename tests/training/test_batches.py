"""The batches of a step, whichever way they come to the device, are those of a plain loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dcgan_viz.data.images import ImageSet
from dcgan_viz.training import batches as module
from dcgan_viz.training.batches import Batches, Feed, ReadAhead, Resident, choose_feed
from dcgan_viz.training.settings import TrainingSettings

CPU = torch.device("cpu")


def plain(
    pixels: NDArray[np.uint8], settings: TrainingSettings, rank: int, world: int, step: int
) -> tuple[Tensor, float]:
    """A batch, picture by picture, and the next random number."""
    a_step = settings.batch_size * world
    epoch, batch = divmod(step, len(pixels) // a_step)
    order = np.random.default_rng([settings.seed, epoch]).permutation(len(pixels))
    first = batch * a_step + rank * settings.batch_size
    random = np.random.default_rng([settings.seed, rank, step, 1])
    mirrored = random.random(settings.batch_size) < 0.5 if settings.flip else np.zeros(settings.batch_size, bool)
    pictures = []
    for number, flip in zip(sorted(order[first : first + settings.batch_size]), mirrored, strict=True):
        picture = pixels[number][:, ::-1] if flip else pixels[number]
        pictures.append((picture.astype(np.float32) / np.float32(127.5) - np.float32(1)).transpose(2, 0, 1))
    return torch.from_numpy(np.stack(pictures)), random.random()


@pytest.fixture
def mapped(tmp_path: Path) -> NDArray[np.uint8]:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (23, 6, 6, 3), dtype=np.uint8))
    return np.load(tmp_path / "a.npy", mmap_mode="r")


@pytest.mark.parametrize("feed", ["direct", "resident", "ahead"])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.filterwarnings("error")
def test_every_way_gives_the_bits_of_a_plain_loop(
    feed: str, flip: bool, mapped: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    def chosen(pixels: NDArray[np.uint8], device: torch.device, indices, batch_size: int) -> Feed:
        if feed == "direct":
            return choose_feed(pixels, device, indices, batch_size)
        return Resident(pixels, device) if feed == "resident" else ReadAhead(pixels, device, indices, batch_size)

    monkeypatch.setattr(module, "choose_feed", chosen)
    settings = TrainingSettings(steps=1, batch_size=4, flip=flip, seed=5)
    for rank, world in ((0, 1), (1, 2)):
        batches = Batches(ImageSet(mapped, ("",) * 23), settings, rank, world, CPU)
        kept = []
        # Over the end of an epoch, back, and to a step that was not expected.
        for step in (0, 1, 2, 3, 4, 5, 6, 1, 9, 10):
            real, random = batches.at(step)
            expected, following = plain(mapped, settings, rank, world, step)
            assert torch.equal(real, expected), step
            assert random.random() == following
            kept.append((real, expected))
        # A buffer that is read into again belongs to nobody.
        assert all(torch.equal(real, expected) for real, expected in kept)


@pytest.mark.parametrize("flip", [False, True])
def test_a_device_is_told_few_things_a_batch(flip: bool, mapped: NDArray[np.uint8]) -> None:
    """Each launch takes as long for a small batch as for a large one."""
    settings = TrainingSettings(steps=1, batch_size=4, flip=flip)
    batches = Batches(ImageSet(mapped, ("",) * 23), settings, memory_format=torch.channels_last)
    feeds = {
        Resident(mapped, CPU): ["index"],
        ReadAhead(mapped, CPU, batches.indices, 4): ["_to_copy", *(["index"] if flip else [])],
    }
    for batches.feed, of_feed in feeds.items():
        with Told() as told:
            batches.at(0)
        assert told.operations == [*of_feed, "div", "sub_"]


class Told(TorchDispatchMode):
    """Writes down what touches the values of tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[str] = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        if not function.is_view:
            self.operations.append(function.overloadpacket.__name__)
        return function(*arguments, **(options or {}))


def test_what_is_read_ahead_is_the_next_step(mapped: NDArray[np.uint8]) -> None:
    read = []

    class Watched(np.ndarray):
        def take(self, indices, *arguments, **options):
            read.append(list(indices))
            return np.asarray(self).take(indices, *arguments, **options)

    feed = ReadAhead(mapped.view(Watched), CPU, lambda step: np.array([step, step + 1]), 2)
    for step in range(3):
        feed(step, np.array([step, step + 1]), None)
    feed.thread.shutdown()
    assert read == [[0, 1], [1, 2], [2, 3], [3, 4]]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("share", [0.5, 0.0])
def test_a_device_sees_what_the_processor_sees(
    share: float, mapped: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESIDENT_SHARE", share)
    settings = TrainingSettings(steps=1, batch_size=4, flip=True)
    images = ImageSet(mapped, ("",) * 23)
    device = Batches(images, settings, device=torch.device("cuda"))
    assert isinstance(device.feed, Resident if share else ReadAhead)
    for step in range(12):
        assert torch.allclose(device.at(step)[0].cpu(), plain(mapped, settings, 0, 1, step)[0], atol=1e-6)
