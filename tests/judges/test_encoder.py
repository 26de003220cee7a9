from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan_viz.data.images import ImageSet, TensorImages
from dcgan_viz.data.labels import Labels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.encoder import Encoder, EncoderCard, at_encoder_size, encode, load_encoder
from dcgan_viz.judges.encoder_network import EncoderNetwork
from dcgan_viz.judges.encoder_training import disturb, train_encoder


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(EncoderNetwork(3, 2, (4, 6, 8)).eval(), EncoderCard("tiny", ("a", "b"), widths=(4, 6, 8)))


def squares(count: int) -> tuple[ImageSet, Labels]:
    """Pictures of two classes: bright above, or bright below."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 128, (count, 32, 32, 3), dtype=np.uint8)
    numbers = np.arange(count) % 2
    pixels[numbers == 0, :16] += 127
    pixels[numbers == 1, 16:] += 127
    names = tuple(f"{n}/{k}" for k, n in enumerate(numbers))
    return ImageSet(pixels, names), Labels(("above", "below"), numbers.astype(np.int64), ("",) * count)


def test_what_is_encoded_does_not_depend_on_the_batch(encoder: Encoder) -> None:
    images = torch.rand(130, 3, 64, 64) * 2 - 1
    features = encode(encoder, TensorImages(images))
    assert features.shape == (130, 18)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features[129:], encode(encoder, TensorImages(images[129:])), rtol=1e-5, atol=1e-5)


def test_features_are_what_the_head_reads(encoder: Encoder) -> None:
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(encoder.network.head(encoder.features(images)), encoder.network(images))


def test_larger_images_are_averaged_over_areas() -> None:
    stripes = torch.ones(1, 1, 64, 64)
    stripes[..., ::2] = -1
    assert at_encoder_size(stripes)[..., 2:-2].abs().max() < 0.3


def test_grey_images_are_read_and_others_refused(encoder: Encoder) -> None:
    grey = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(encoder.features(grey), encoder.features(grey.expand(-1, 3, -1, -1)))
    with pytest.raises(UserError, match="3 channel"):
        encoder.features(torch.rand(2, 2, 32, 32))


def test_it_is_saved_and_loaded(encoder: Encoder, tmp_path: Path) -> None:
    loaded = load_encoder(encoder.save(tmp_path / "encoder"))
    images = torch.rand(2, 3, 32, 32)
    assert loaded.card == encoder.card
    torch.testing.assert_close(loaded.features(images), encoder.features(images), atol=1e-2, rtol=1e-2)


def test_a_folder_that_is_no_encoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no whole encoder"):
        load_encoder(tmp_path)


@pytest.mark.slow
def test_it_learns_and_is_measured_on_what_it_did_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    # A few steps are fewer than the average reaches back.
    monkeypatch.setattr("dcgan_viz.judges.encoder_training.AVERAGE_DECAY", 0.5)
    images, labels = squares(96)
    learned = np.arange(96) < 64
    encoder = train_encoder(images, labels, learned, name="squares", epochs=6, batch_size=16, widths=(4, 6, 8))
    accuracy = encoder.card.accuracy
    assert accuracy is not None
    assert accuracy.pictures == 32
    assert accuracy.share > 0.9
    again = train_encoder(images, labels, learned, name="squares", epochs=6, batch_size=16, widths=(4, 6, 8))
    assert torch.equal(again.features(images.tensor(slice(0, 4))), encoder.features(images.tensor(slice(0, 4))))


def test_a_class_without_pictures_is_named() -> None:
    images, labels = squares(64)
    learned = (labels.numbers == 0) & (np.arange(64) < 40)
    with pytest.raises(UserError, match="no picture of 'below' to train on"):
        train_encoder(images, labels, learned, name="x", batch_size=16)


@pytest.mark.slow
def test_statistics_do_not_depend_on_the_order_of_the_classes() -> None:
    """Folders are read class by class: statistics of batches of one class would leave out how classes differ."""
    images, labels = squares(400)
    order = np.argsort(labels.numbers, kind="stable")
    images = ImageSet(images.pixels[order], tuple(images.names[k] for k in order))
    labels = Labels(labels.classes, labels.numbers[order], labels.subsets)
    learned = np.arange(400) % 4 > 0
    encoder = train_encoder(images, labels, learned, name="x", epochs=2, batch_size=16, widths=(4, 6, 8))
    features = encoder.features(images.tensor(np.flatnonzero(learned)))
    assert features.mean(0).abs().max() < 1e-3
    assert (features.var(0) - 1).abs().max() < 0.02


def test_disturbed_pictures_are_shifts_of_the_picture_or_of_its_mirror_image() -> None:
    picture = torch.rand(1, 1, 32, 32) + 1
    disturbed = disturb(picture, np.random.default_rng(5))[0, 0]
    padded = [torch.nn.functional.pad(p, (3,) * 4, mode="reflect")[0, 0] for p in (picture, picture.flip(-1))]
    windows = [p[i : i + 32, j : j + 32] for p in padded for i in range(7) for j in range(7)]
    assert any(bool(((window == disturbed) | (disturbed == 0)).all()) for window in windows)
    assert 0 < int((disturbed == 0).sum()) <= 64
