"""Sets that are larger than the memory they may take: the same results, from every source, in the same memory."""

from __future__ import annotations

import io
import pickle
import tarfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file
from scipy.io import savemat
from torch.nn import functional

import dcgan_viz.data.images
from dcgan_viz.analysis.memorization.copy_search import BLOCK
from dcgan_viz.analysis.memorization.memorization import memorization
from dcgan_viz.analysis.quality.evaluation import evaluate
from dcgan_viz.data.images import CALIBRATION_IMAGES, ImageSet, load_images
from dcgan_viz.data.on_disk import on_disk
from dcgan_viz.errors import Notice, UserError
from dcgan_viz.model import DCGAN, load
from dcgan_viz.networks import dcgan
from dcgan_viz.results import Result

SIDE, MANY = 32, 2500
Pixels = NDArray[np.uint8]


def pictures(count: int) -> Pixels:
    """Blocks of colour, each different, which PNG packs well."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2)


def png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", compress_level=1)
    return file.getvalue()


def folder(path: Path, pixels: Pixels) -> Path:
    (path / "folder").mkdir()
    for number, picture in enumerate(pixels):
        (path / "folder" / f"{number:05}.png").write_bytes(png(picture))
    return path / "folder"


def zipped(path: Path, pixels: Pixels) -> Path:
    with zipfile.ZipFile(path / "pictures.zip", "w") as archive:
        for number, picture in enumerate(pixels):
            archive.writestr(f"{number:05}.png", png(picture))
    return path / "pictures.zip"


def tarred(path: Path, pixels: Pixels, first: int = 0) -> Path:
    with tarfile.open(path, "w") as archive:
        for number, picture in enumerate(pixels, first):
            data = png(picture)
            member = tarfile.TarInfo(f"{number:05}.png")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def tar(path: Path, pixels: Pixels) -> Path:
    return tarred(path / "pictures.tar", pixels)


def shards(path: Path, pixels: Pixels) -> Path:
    half = len(pixels) // 2
    tarred(path / "train-000.tar", pixels[:half])
    tarred(path / "train-001.tar", pixels[half:], half)
    return path / "train-{000..001}.tar"


def npy(path: Path, pixels: Pixels) -> Path:
    np.save(path / "pictures.npy", pixels)
    return path / "pictures.npy"


def npz(path: Path, pixels: Pixels) -> Path:
    np.savez(path / "pictures.npz", x=pixels)
    return path / "pictures.npz"


def lmdb(path: Path, pixels: Pixels) -> Path:
    module = pytest.importorskip("lmdb")
    with module.open(str(path / "lmdb"), map_size=2**28) as environment, environment.begin(write=True) as transaction:
        for number, picture in enumerate(pixels):
            transaction.put(f"{number:040x}".encode(), png(picture))
    return path / "lmdb"


def planes(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).reshape(len(pixels), -1)


def cifar_binary(path: Path, pixels: Pixels) -> Path:
    records = np.concatenate([np.zeros((len(pixels), 1), np.uint8), planes(pixels)], 1)
    (path / "data_batch_1.bin").write_bytes(records.tobytes())
    (path / "batches.meta.txt").write_text("thing\n")
    return path


def cifar_python(path: Path, pixels: Pixels) -> Path:
    (path / "data_batch_1").write_bytes(pickle.dumps({"data": planes(pixels), "labels": [0] * len(pixels)}, 3))
    (path / "batches.meta").write_bytes(pickle.dumps({"label_names": ["thing"]}, 2))
    return path


def svhn(path: Path, pixels: Pixels) -> Path:
    savemat(path / "train_32x32.mat", {"X": pixels.transpose(1, 2, 3, 0), "y": np.ones((len(pixels), 1), np.uint8)})
    return path / "train_32x32.mat"


def hugging_face(path: Path, pixels: Pixels) -> Path:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows = {"image": [{"bytes": png(picture), "path": None} for picture in pixels]}
    features = datasets.Features({"image": datasets.Image()})
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(path / "set"))
    return path / "set"


Write = Callable[[Path, Pixels], Path]
STREAMED: tuple[Write, ...] = (folder, zipped, tar, shards, npy, lmdb, cifar_binary, hugging_face)
WHOLE: tuple[Write, ...] = (npz, cifar_python, svhn)
"""Files that hold all pictures in one piece, which is read: an ``.npz`` of 4 GiB at most, the others as large as published."""


def of_every(*kinds: Write) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("write", kinds, ids=lambda write: write.__name__)


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda size: monkeypatch.setattr(dcgan_viz.data.images, "MEMORY_BUDGET", size)


@of_every(*STREAMED, *WHOLE)
def test_every_source_is_read_alike_within_memory_and_beyond(
    write: Write, tmp_path: Path, budget: Callable[[int], None]
) -> None:
    pixels = pictures(12)
    path = write(tmp_path, pixels)
    within = load_images(path, 16)
    budget(1000)
    with pytest.warns(Notice, match=r"12 pictures of 16x16 take 0.0 GiB, and 0 GiB are held in memory at most"):
        beyond = load_images(path, 16)
    assert isinstance(beyond.pixels, np.memmap)
    assert not isinstance(within.pixels, np.memmap)
    assert np.array_equal(beyond.pixels, within.pixels)
    assert tuple(beyond.names) == tuple(within.names)
    budget(2**20)
    assert np.array_equal(load_images(path, SIDE).pixels, pixels)


@of_every(*STREAMED)
def test_what_is_beyond_memory_takes_none_of_it(write: Write, tmp_path: Path, budget: Callable[[int], None]) -> None:
    budget(1000)

    def peak(count: int) -> int:
        place = tmp_path / str(count)
        place.mkdir()
        path = write(place, pictures(count))
        load_images(path, SIDE)
        tracemalloc.start()
        load_images(path, SIDE)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)
        few, many = peak(200), peak(500)
    # Names and places of 300 more, past buffers that are taken once; their pictures would be 3,072 bytes each.
    assert many - few < 300 * 300


def test_a_full_disk_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"has no room for 8388608.0 GiB of pictures .* TMPDIR"):
        on_disk((2**53,))


@pytest.fixture(scope="module")
def model(make_model: Callable[..., DCGAN], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(dcgan(16, width=4, latent_dim=8)).save(tmp_path_factory.mktemp("model") / "tiny")


class Asked:
    """Notes how many pictures are asked for at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most, real = 0, ImageSet.tensor

        def tensor(images: ImageSet, indices: slice | NDArray[np.int64]) -> torch.Tensor:
            found = real(images, indices)
            self.most = max(self.most, len(found))
            return found

        monkeypatch.setattr(ImageSet, "tensor", tensor)


COMMANDS = {
    "train": "train {data} --size 16 --width 4 --batch-size 8 --precision fp32 --device cpu --steps 2 --out run",
    "features": "features {model} {data} --precision fp32 --out f.npy",
}


def outcome(run: Any, command: str, data: Path, model: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a command has written, as numbers."""
    place.mkdir()
    monkeypatch.chdir(place)
    result = run(*COMMANDS[command].format(data=data, model=model).split())
    assert result.exit_code == 0, result.output
    if command == "features":
        return np.load("f.npy").tolist()
    (checkpoint,) = (place / "run" / "checkpoints").glob("*.safetensors")
    return {name: values.tolist() for name, values in load_file(checkpoint).items()}


READ = {
    **COMMANDS,
    "evaluate": "evaluate --model {model} --data {data} --out result",
    "memorization": "memorization --model {model} --data {data} --out result",
    "held out": "memorization --model {model} --data {data} --held-out {data} --out result",
}


@of_every(*STREAMED, *WHOLE)
def test_every_command_reads_every_source(
    write: Write, refused: Callable[..., str], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    pixels = pictures(12)
    data, expected = write(tmp_path / "data", pixels), load_images(npy(tmp_path, pixels), 16).pixels
    real = load_images
    left = 0

    def read(*arguments: Any, **options: Any) -> ImageSet:
        """Reads as always, and ends the command after the last time."""
        nonlocal left
        images, left = real(*arguments, **options), left - 1
        assert np.array_equal(images.pixels, expected)
        if not left:
            raise UserError("all of it was read")
        return images

    monkeypatch.setattr("dcgan_viz.data.images.load_images", read)
    for name, command in READ.items():
        left = command.count("{data}")
        assert "all of it was read" in refused(*command.format(data=data, model=model).split()), name


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_finds_the_same_within_memory_and_beyond(
    command: str, run: Any, model: Path, tmp_path: Path, budget: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcgan_viz.training.snapshot.RECALIBRATION_SAMPLES", 16)
    data = npz(tmp_path, pictures(MANY))
    within = outcome(run, command, data, model, tmp_path / "within", monkeypatch)
    budget(1000)
    asked = Asked(monkeypatch)
    assert outcome(run, command, data, model, tmp_path / "beyond", monkeypatch) == within
    assert asked.most <= CALIBRATION_IMAGES < MANY


FEWEST = {"evaluate": 200, "memorization": 100}


class Colours:
    """An encoder: the mean colours of the four quarters."""

    name, note, dimensions = "colours", "", 12

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return functional.adaptive_avg_pool2d(images, 2).flatten(1)


@pytest.mark.slow
@pytest.mark.parametrize("analysis", [evaluate, memorization], ids=lambda analysis: analysis.__name__)
def test_an_analysis_finds_the_same_within_memory_and_beyond(
    analysis: Callable[..., Result],
    model: Path,
    tmp_path: Path,
    budget: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, network = npz(tmp_path, pictures(MANY)), load(model)

    def found() -> dict[str, Any]:
        images = load_images(data, 16)
        return analysis(network, images, encoder=Colours(), samples=FEWEST[analysis.__name__]).numbers()

    within = found()
    budget(1000)
    asked = Asked(monkeypatch)
    with pytest.warns(Notice, match="are held in memory at most"):
        assert found() == within
    assert asked.most <= BLOCK < MANY


@of_every(*STREAMED, *WHOLE)
@pytest.mark.parametrize("command", ["train", "features"])
def test_quick_commands_take_every_source(
    command: str,
    write: Write,
    run: Any,
    model: Path,
    tmp_path: Path,
    budget: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dcgan_viz.training.snapshot.RECALIBRATION_SAMPLES", 16)
    budget(1000)
    (tmp_path / "source").mkdir()
    outcome(run, command, write(tmp_path / "source", pictures(12)), model, tmp_path / "here", monkeypatch)
