from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.features import pooled
from dcgan_viz.analysis.features.pooled import extract_features, feature_sizes, pooled_features
from dcgan_viz.data.images import TensorImages
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN


def images(count: int) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_features_are_the_largest_activation_in_each_cell(tiny_model: DCGAN) -> None:
    network, pictures = tiny_model.discriminator, images(3)
    found = pooled_features(network, pictures)
    expected: list[list[float]] = [[], [], []]
    for layer in network.numbered_layers:
        maps = network.activations(pictures, layer.number).detach().numpy()
        cells = min(4, layer.size)
        side = layer.size // cells
        for row, picture in zip(expected, maps, strict=True):
            for one in picture:
                row += [
                    float(one[i * side : (i + 1) * side, j * side : (j + 1) * side].max())
                    for i in range(cells)
                    for j in range(cells)
                ]
    np.testing.assert_allclose(found.numpy(), np.array(expected), atol=1e-6)
    assert found.shape[1] == sum(feature_sizes(network))


def test_an_images_features_do_not_depend_on_how_many_there_are(tiny_model: DCGAN, tmp_path: Path) -> None:
    many = extract_features(tiny_model.discriminator, TensorImages(images(140)), tmp_path / "a.npy", digest="x")
    few = extract_features(tiny_model.discriminator, TensorImages(images(140)[:130]), tmp_path / "b.npy", digest="x")
    assert np.array_equal(many[:130], few)
    assert many.dtype == np.float16
    np.testing.assert_allclose(many, pooled_features(tiny_model.discriminator, images(140)).numpy(), atol=2e-2)


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


def test_a_killed_extraction_goes_on_and_ends_alike(
    tiny_model: DCGAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooled, "BATCH", 8)
    monkeypatch.setattr(pooled, "ROWS_A_SAVE", 16)
    network, pictures = tiny_model.discriminator, images(70)
    whole = extract_features(network, TensorImages(pictures), tmp_path / "whole.npy", digest="x")
    with pytest.raises(KilledError):
        extract_features(network, Failing(pictures, 40), tmp_path / "part.npy", digest="x")
    assert not (tmp_path / "part.npy").exists()
    again = Failing(pictures, 1000)
    found = extract_features(network, again, tmp_path / "part.npy", digest="x")
    assert np.array_equal(found, whole)
    assert again.read == 5  # 32 of 70 rows had been noted
    assert sorted(p.name for p in tmp_path.iterdir()) == ["part.npy", "whole.npy"]


def test_what_was_begun_with_others_is_refused(
    tiny_model: DCGAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooled, "BATCH", 8)
    monkeypatch.setattr(pooled, "ROWS_A_SAVE", 16)
    with pytest.raises(KilledError):
        extract_features(tiny_model.discriminator, Failing(images(70), 40), tmp_path / "f.npy", digest="x")
    with pytest.raises(UserError, match="begun with another images"):
        extract_features(tiny_model.discriminator, TensorImages(images(70)), tmp_path / "f.npy", digest="y")
    note = tmp_path / "f.part.json"
    note.write_text(json.dumps([1]))
    with pytest.raises(UserError, match="does not say how far"):
        extract_features(tiny_model.discriminator, TensorImages(images(70)), tmp_path / "f.npy", digest="x")


def test_files_that_are_there_are_left(tiny_model: DCGAN, tmp_path: Path) -> None:
    for name, sentence in (("f.npy", "is there already"), ("g.part.npy", "is in the way")):
        (tmp_path / name).write_bytes(b"mine")
        with pytest.raises(UserError, match=sentence):
            extract_features(
                tiny_model.discriminator,
                TensorImages(images(4)),
                tmp_path / name.replace(".part", ""),
                digest="x",
            )
        assert (tmp_path / name).read_bytes() == b"mine"


def test_features_beyond_half_precision_are_refused(tiny_model: DCGAN, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="features of image 0"):
        extract_features(tiny_model.discriminator, TensorImages(images(2) * 1e7), tmp_path / "f.npy", digest="x")
    assert not (tmp_path / "f.npy").exists()
