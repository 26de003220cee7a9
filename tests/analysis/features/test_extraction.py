from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.features import extraction
from dcgan_viz.analysis.features.extraction import Extractor, digest_of_pixels, extract_features
from dcgan_viz.analysis.features.pooled import discriminator_extractor, pooled_features
from dcgan_viz.data.images import TensorImages
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN


def images(count: int) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture
def extractor(tiny_model: DCGAN) -> Extractor:
    return discriminator_extractor(tiny_model.discriminator, "fp32")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "BATCH", 8)
    monkeypatch.setattr(extraction, "ROWS_A_SAVE", 16)


def test_an_images_features_do_not_depend_on_how_many_there_are(
    tiny_model: DCGAN, extractor: Extractor, tmp_path: Path
) -> None:
    many = extract_features(extractor, TensorImages(images(140)), tmp_path / "a.npy", digest="x").values
    few = extract_features(extractor, TensorImages(images(140)[:130]), tmp_path / "b.npy", digest="x").values
    assert np.array_equal(many[:130], few)
    assert many.dtype == np.float16
    np.testing.assert_allclose(many, pooled_features(tiny_model.discriminator, images(140)).numpy(), atol=2e-2)


def test_what_is_in_the_array_stands_beside_it(extractor: Extractor, tmp_path: Path) -> None:
    extract_features(extractor, TensorImages(images(4)), tmp_path / "f.npy", digest="x", about={"model": "tiny"})
    said = json.loads((tmp_path / "f.json").read_text())
    assert said["parts"][1] == {"name": "layer 2", "columns": [64, 192]}
    assert said["of"]["shape"] == [4, 320]
    assert said["model"] == "tiny"


class KilledError(Exception):
    pass


class Failing:
    """Images that cannot be read from some batch on."""

    def __init__(self, pictures: Tensor, first_bad: int) -> None:
        self.pictures, self.first_bad, self.read = pictures, first_bad, 0

    def __len__(self) -> int:
        return len(self.pictures)

    def tensor(self, indices: slice | NDArray[np.int64]) -> Tensor:
        assert isinstance(indices, slice)
        if indices.start >= self.first_bad:
            raise KilledError
        self.read += 1
        return self.pictures[indices]


@pytest.mark.usefixtures("small_batches")
def test_an_interrupted_extraction_goes_on_and_ends_alike(extractor: Extractor, tmp_path: Path) -> None:
    pictures = images(70)
    whole = extract_features(extractor, TensorImages(pictures), tmp_path / "whole.npy", digest="x").values
    with pytest.raises(KilledError):
        extract_features(extractor, Failing(pictures, 40), tmp_path / "part.npy", digest="x")
    assert not (tmp_path / "part.npy").exists()
    again = Failing(pictures, 1000)
    found = extract_features(extractor, again, tmp_path / "part.npy", digest="x")
    assert np.array_equal(found.values, whole)
    assert found.first == 32  # of 70 rows had been noted
    assert again.read == 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["part.json", "part.npy", "whole.json", "whole.npy"]


KILLED = """
import os, signal, sys
import torch
import dcgan_viz.analysis.features.extraction as module
from dcgan_viz.data.images import TensorImages
module.BATCH, module.ROWS_A_SAVE = 8, 16
def progress(starts, stage):
    for start in starts:
        if start == 40:
            os.kill(os.getpid(), signal.SIGKILL)
        yield start
means = module.Extractor("means", {"a": 3}, "means", lambda images: images.mean((2, 3)))
pictures = torch.rand(70, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
module.extract_features(means, TensorImages(pictures), sys.argv[1], digest="x", progress=progress)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("small_batches")
def test_a_killed_extraction_goes_on_and_ends_alike(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "f.npy"], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.part.json", "f.part.npy"]
    means = Extractor("means", {"a": 3}, "means", lambda pictures: pictures.mean((2, 3)))
    found = extract_features(means, TensorImages(images(70)), tmp_path / "f.npy", digest="x")
    assert found.first == 32
    np.testing.assert_allclose(found.values, images(70).mean((2, 3)).numpy(), atol=1e-3)


@pytest.mark.usefixtures("small_batches")
def test_what_was_begun_with_others_is_refused(extractor: Extractor, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        extract_features(extractor, Failing(images(70), 40), tmp_path / "f.npy", digest="x")
    with pytest.raises(UserError, match="begun with another images"):
        extract_features(extractor, TensorImages(images(70)), tmp_path / "f.npy", digest="y")
    note = tmp_path / "f.part.json"
    note.write_text(json.dumps([1]))
    with pytest.raises(UserError, match="does not say how far"):
        extract_features(extractor, TensorImages(images(70)), tmp_path / "f.npy", digest="x")


def test_what_is_there_is_left_as_it_is_or_refused(extractor: Extractor, tmp_path: Path) -> None:
    pictures = TensorImages(images(12))
    extract_features(extractor, pictures, tmp_path / "f.npy", digest="x")
    before = (tmp_path / "f.npy").stat()
    again = extract_features(extractor, Failing(images(12), 0), tmp_path / "f.npy", digest="x")
    assert again.first == 12
    assert (tmp_path / "f.npy").stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(UserError, match="already exists"):
        extract_features(extractor, pictures, tmp_path / "f.npy", digest="other")
    extract_features(extractor, pictures, tmp_path / "f.npy", digest="other", overwrite=True)


def test_files_of_others_are_left(extractor: Extractor, tmp_path: Path) -> None:
    for name, sentence in (("f.npy", "already exists"), ("g.part.npy", "is in the way"), ("h.json", "already exists")):
        (tmp_path / name).write_bytes(b"mine")
        with pytest.raises(UserError, match=sentence):
            extract_features(extractor, TensorImages(images(4)), tmp_path / f"{name[0]}.npy", digest="x")
        assert (tmp_path / name).read_bytes() == b"mine"


def test_features_beyond_half_precision_are_refused(extractor: Extractor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="features of image 0"):
        extract_features(extractor, TensorImages(images(2) * 1e7), tmp_path / "f.npy", digest="x")
    assert not (tmp_path / "f.npy").exists()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_without_room_is_one_sentence_before_anything_is_computed(extractor: Extractor, tmp_path: Path) -> None:
    unread = Failing(images(200), 0)
    with files_of_at_most(100_000), pytest.raises(UserError, match=r"cannot write .*f.npy: .*free some space"):
        extract_features(extractor, unread, tmp_path / "f.npy", digest="x")
    assert not list(tmp_path.iterdir())


def test_the_digest_is_of_all_pixels() -> None:
    pixels = np.zeros((3, 4, 4, 3), np.uint8)
    one = digest_of_pixels(pixels)
    pixels[2, 3, 3, 2] = 1
    assert digest_of_pixels(pixels) != one
    assert digest_of_pixels(pixels.reshape(3, 2, 8, 3)) != digest_of_pixels(pixels)
