from __future__ import annotations

import numpy as np
import pytest
import torch

from dcgan_viz.data.images import ImageSet, to_tensor
from dcgan_viz.data.labels import Labels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.classifier import classify, measure_accuracy
from dcgan_viz.judges.classifier_training import disturb_pictures, train_classifier
from dcgan_viz.judges.splitting import hold_out, near_duplicates


def drawings(count: int = 240) -> tuple[ImageSet, Labels]:
    """Noise with a dark or a bright upper half: not to be told by colour or mean, and the same when mirrored."""
    random = np.random.default_rng(0)
    pixels = random.integers(60, 190, (count, 16, 16, 3))
    numbers = random.integers(0, 2, count)
    step = np.where(numbers == 1, 45, -45)[:, None, None, None]
    pixels[:, :8] += step
    pixels[:, 8:] -= step
    names = tuple(f"{i}.png" for i in range(count))
    subsets = tuple(("even", "odd", "")[i % 3] for i in range(count))
    return ImageSet(pixels.astype(np.uint8), names), Labels(("dark", "bright"), numbers, subsets)


def test_what_can_be_told_apart_is_told_apart() -> None:
    images, labels = drawings()
    classifier = train_classifier(images, labels, epochs=8, batch_size=32, data="drawings", terms="none")
    accuracy = classifier.card.accuracies[0]
    assert accuracy.share > 0.9
    assert [a.subset for a in classifier.card.accuracies] == ["all", "even", "odd"]
    assert classifier.card.classes == ("dark", "bright")
    assert (classifier.card.size, classifier.card.data, classifier.card.terms) == (16, "drawings", "none")
    # The accuracy is that of pictures that were not trained on.
    aside = hold_out(near_duplicates(images.pixels), 0.2, 0)
    assert accuracy.pictures == aside.sum() == classifier.card.training["held out"]
    again = measure_accuracy(classify(classifier, images.tensor(np.flatnonzero(aside))), labels.numbers[aside], "all")
    assert again == accuracy
    assert not classifier.network.training


def test_labels_at_random_are_not_learned() -> None:
    images, labels = drawings()
    shuffled = Labels(labels.classes, np.random.default_rng(5).permutation(labels.numbers), labels.subsets)
    accuracy = train_classifier(images, shuffled, epochs=4, batch_size=32).card.accuracies[0]
    assert accuracy.interval.low < 0.5


def test_seeds_reproduce_and_pictures_without_a_class_are_left_out() -> None:
    images, labels = drawings(120)
    numbers = labels.numbers.copy()
    numbers[::4] = -1
    partly = Labels(labels.classes, numbers, labels.subsets)
    first, again, other = (
        train_classifier(images, partly, epochs=1, batch_size=32, seed=seed).network.state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    card = train_classifier(images, partly, epochs=1, batch_size=32, seed=1).card
    assert card.training["pictures"] + card.training["held out"] == 90


def test_the_changes_are_small_and_mirror_half() -> None:
    random = np.random.default_rng(0)
    ramp = np.tile(np.linspace(60, 190, 32).astype(np.uint8)[:, None], (32, 1, 3))
    images = to_tensor(np.stack([ramp] * 400))
    changed = disturb_pictures(images, random)
    assert changed.shape == images.shape
    assert changed.abs().max() <= 1
    left, right = changed[..., :16].mean((1, 2, 3)), changed[..., 16:].mean((1, 2, 3))
    assert 0.4 < (left < right).float().mean() < 0.6
    assert ((changed.mean((1, 2, 3)) - images.mean((1, 2, 3))).abs() < 0.35).all()


def test_too_few_pictures_are_refused() -> None:
    images, labels = drawings(40)
    with pytest.raises(UserError, match="32 pictures to train on cannot fill a batch of 64"):
        train_classifier(images, labels)
    lonely = Labels(("dark", "bright"), np.array([1] + [0] * 39), labels.subsets)
    with pytest.raises(UserError, match="no picture of 'bright' left to"):
        train_classifier(images, lonely, batch_size=8)
