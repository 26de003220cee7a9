from __future__ import annotations

import warnings

import numpy as np
import pytest

from dcgan_viz.analysis.features.protocols import PROTOCOLS, Protocol, make_task
from dcgan_viz.data.images import ImageSet
from dcgan_viz.data.labelled import LabelledImages, LabelledSplit
from dcgan_viz.errors import Notice, UserError


def data(counts: tuple[int, ...], first: int = 0) -> LabelledImages:
    """Pictures whose only pixel is their number."""
    numbers = np.concatenate([np.full(count, k) for k, count in enumerate(counts)])
    pixels = np.arange(first, first + len(numbers), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return LabelledImages(ImageSet(pixels, tuple(map(str, range(len(numbers))))), ("a", "b")[: len(counts)], numbers)


GENERAL = Protocol("general", per_class=2, validation=0.25)


def test_every_picture_has_one_place_and_keeps_its_class() -> None:
    task = make_task(LabelledSplit(data((20, 10)), None), GENERAL, held_out=0.4)
    shown = task.images.pixels.ravel()
    assert sorted(shown.tolist()) == list(range(30))
    assert np.array_equal(task.numbers, (shown >= 20).astype(int))
    # The last of each class are for the test, the same for every seed.
    assert sorted(shown[task.test].tolist()) == [*range(12, 20), *range(26, 30)]
    assert (task.pool, task.training) == (14, 18)
    other = make_task(LabelledSplit(data((20, 10)), None), GENERAL, held_out=0.4, seed=1)
    assert np.array_equal(other.images.pixels[other.test], task.images.pixels[task.test])
    assert not np.array_equal(other.images.pixels[other.validation], task.images.pixels[task.validation])


def test_draws_are_balanced_differ_and_come_again() -> None:
    task = make_task(LabelledSplit(data((20, 10)), data((3, 3), 100)), GENERAL)
    draws = [task.draw(3, (0, 0, k)) for k in range(20)]
    assert all(np.bincount(task.numbers[rows]).tolist() == [3, 3] for rows in draws)
    assert all(rows.max() < task.pool and len(set(rows.tolist())) == 6 for rows in draws)
    assert len({tuple(rows) for rows in draws}) > 15
    assert np.array_equal(draws[4], task.draw(3, (0, 0, 4)))
    assert task.draw(None, (0, 0, 0)).tolist() == list(range(task.pool))


def test_too_few_of_a_class_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"50 labels of each class are drawn, and a has only \d+ images?: give more"):
        make_task(LabelledSplit(data((20, 10)), None), Protocol("general", 50, 0.25))
    with pytest.raises(UserError, match="b has 1 images, too few to train and to test on"):
        make_task(LabelledSplit(data((20, 1)), None), GENERAL)
    with pytest.raises(UserError, match="5,000 of the training images are for validation, and there are 30"):
        make_task(LabelledSplit(data((20, 10)), data((3, 3))), PROTOCOLS["cifar10"])
    test = data((3, 3))
    alone = LabelledImages(test.images, test.classes, np.zeros(6, np.int64))
    with pytest.raises(UserError, match="there is no image of b to be tested on"):
        make_task(LabelledSplit(data((20, 10)), alone), GENERAL)


def test_an_exact_protocol_wants_the_official_parts() -> None:
    with pytest.raises(UserError, match="svhn-1000 needs the official training and test images"):
        make_task(LabelledSplit(data((20, 10)), None), PROTOCOLS["svhn-1000"])


def test_the_protocols_of_the_paper() -> None:
    svhn, cifar = PROTOCOLS["svhn-1000"], PROTOCOLS["cifar10"]
    assert (svhn.per_class, svhn.validation, svhn.draws, svhn.tuning_draws) == (100, 10_000, 100, 10)
    assert svhn.exact
    assert svhn.remeasure
    assert svhn.published[0].accuracy == pytest.approx(1 - 0.2248)
    assert cifar.per_class is None
    assert cifar.published[0].accuracy == 0.828


def test_few_validation_images_are_said() -> None:
    with pytest.warns(Notice, match="C is chosen on 26 validation images, and on fewer than 100"):
        make_task(LabelledSplit(data((100, 50)), None), GENERAL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_task(LabelledSplit(data((100, 140)), data((3, 3))), Protocol("general", 2, 100))
