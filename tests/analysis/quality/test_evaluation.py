from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from dcgan_viz.analysis.quality.distances import frechet_distance
from dcgan_viz.analysis.quality.evaluation import Some, evaluate
from dcgan_viz.data.images import TensorImages
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN


class Averages:
    """Stands in for an encoder: the mean colour of each quarter of a picture."""

    name, note, dimensions = "averages", "not trained", 12

    def features(self, images: Tensor) -> Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


def photographs(count: int, seed: int = 0) -> TensorImages:
    return TensorImages(torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1)


def test_its_distance_is_that_of_the_samples_to_the_first_half(tiny_model: DCGAN) -> None:
    images = photographs(500)
    result = evaluate(tiny_model, images, Averages(), samples=240, seed=3)
    order = np.random.default_rng([3, 1]).permutation(500)
    real = Averages().features(images.images[np.sort(order[:240])]).numpy()
    other = Averages().features(images.images[np.sort(order[240:480])]).numpy()
    generated = Averages().features(tiny_model.sample(240, seed=3)).numpy()
    assert result.quality.frechet.value == pytest.approx(frechet_distance(real, generated), rel=1e-4)
    assert result.floor.frechet.value == pytest.approx(frechet_distance(real, other), rel=1e-4)
    assert result.settings["images_of_each"] == 240


def test_the_same_seed_gives_the_same_numbers(tiny_model: DCGAN) -> None:
    first, second = (evaluate(tiny_model, photographs(400), Averages(), seed=1) for _ in range(2))
    assert first.numbers() == second.numbers()


def test_it_takes_no_more_than_half_of_the_real_images(tiny_model: DCGAN) -> None:
    assert evaluate(tiny_model, photographs(410), Averages(), samples=5000).settings["images_of_each"] == 205


def test_too_few_images_are_refused(tiny_model: DCGAN) -> None:
    with pytest.raises(UserError, match="at least 400 real images"):
        evaluate(tiny_model, photographs(300), Averages())


def test_some_of_a_set_are_the_chosen_ones() -> None:
    images = photographs(10)
    some = Some(images, np.array([1, 4, 7]))
    assert torch.equal(some.tensor(slice(1, 3)), images.images[[4, 7]])
    assert len(some) == 3


def test_an_encoder_that_sees_no_difference_says_so(tiny_model: DCGAN) -> None:
    drawn = TensorImages(tiny_model.sample(600, seed=9))
    assert "cannot tell" in evaluate(tiny_model, drawn, Averages()).caveat
    assert evaluate(tiny_model, photographs(600), Averages()).caveat == ""
