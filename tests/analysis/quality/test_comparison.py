from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from dcgan_viz.analysis.quality.comparison import compare
from dcgan_viz.analysis.quality.distances import kernel_difference, kernel_estimate
from dcgan_viz.data.images import TensorImages, to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.figures.quality.comparison import comparison_figure
from dcgan_viz.model import DCGAN
from dcgan_viz.networks import dcgan


class Averages:
    """Stands in for an encoder: the mean colour of each quarter of a picture."""

    name, note, dimensions = "averages", "not trained", 12

    def features(self, images: Tensor) -> Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


def slow_kernel(real: np.ndarray, generated: np.ndarray) -> float:
    """The unbiased squared maximum mean discrepancy, pair by pair."""

    def mean(a: np.ndarray, b: np.ndarray, same: bool) -> float:
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if not (same and i == j)]
        return float(np.mean([(a[i] @ b[j] / len(a[i]) + 1) ** 3 for i, j in pairs]))

    return 1000 * (mean(real, real, True) + mean(generated, generated, True) - 2 * mean(real, generated, False))


def test_the_difference_is_that_of_the_distances_over_the_same_blocks() -> None:
    random = np.random.default_rng(0)
    real, first, second = (random.normal(shift, 1, (60, 4)) for shift in (0, 0.5, 0.2))
    found = kernel_difference(real, first, second)
    assert found.value == pytest.approx(slow_kernel(real, first) - slow_kernel(real, second), rel=1e-3)
    left_out = []
    for block in range(20):
        kept = np.arange(60) % 20 != block
        left_out.append(slow_kernel(real[kept], first[kept]) - slow_kernel(real[kept], second[kept]))
    error = np.sqrt(19 / 20 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    assert found.high - found.value == pytest.approx(2.093 * error, rel=2e-3)
    # Paired, its interval is narrower than two distances that have nothing in common would allow.
    alone = [kernel_estimate(real, x) for x in (first, second)]
    assert found.high - found.low < np.hypot(*(e.high - e.low for e in alone))


def test_every_model_is_measured_on_the_same_latents_and_images(tiny_model: DCGAN) -> None:
    other = replace(tiny_model, card=replace(tiny_model.card, name="other"))
    images = TensorImages(tiny_model.sample(500, seed=4) + 0.1)
    result = compare([tiny_model, other], images, Averages(), samples=220, seed=2)
    assert result.models[0].kernel == result.models[1].kernel
    assert result.models[0].farther is None
    assert (result.models[1].farther.value, result.models[1].farther.high) == (0, 0)
    assert result.same_latents
    assert np.array_equal(result.pictures[0], to_pixels(tiny_model.sample(12, seed=2)))
    assert result.settings["images_of_each"] == 220
    figure = comparison_figure(result)
    assert "Every column is one latent" in figure.said


def test_a_worse_model_is_farther(make_model: Callable[..., DCGAN], tiny_model: DCGAN) -> None:
    images = TensorImages(tiny_model.sample(600, seed=4))
    worse = make_model(dcgan(16, width=4, latent_dim=5))
    result = compare([tiny_model, worse], images, Averages(), samples=300)
    assert result.models[1].farther.low > 0
    assert result.models[0].kernel.low < result.floor.high
    assert not result.same_latents


def test_what_cannot_be_compared_is_refused(make_model: Callable[..., DCGAN], tiny_model: DCGAN) -> None:
    images = TensorImages(tiny_model.sample(400, seed=4))
    with pytest.raises(UserError, match="2 to 12 models"):
        compare([tiny_model], images, Averages())
    with pytest.raises(UserError, match="tiny draws 3x16x16, tiny draws 3x32x32"):
        compare([tiny_model, make_model(dcgan(32, width=4, latent_dim=8))], images, Averages())
    with pytest.raises(UserError, match="at least 400 real images"):
        compare([tiny_model, tiny_model], TensorImages(images.images[:300]), Averages())


def test_models_are_called_as_they_were_typed_where_their_cards_do_not_tell_them_apart(tiny_model: DCGAN) -> None:
    images = TensorImages(tiny_model.sample(400, seed=4))
    result = compare([tiny_model, tiny_model], images, Averages(), samples=200, names=["runs/a", "runs/b"])
    assert [entry.model for entry in result.models] == result.settings["models"] == ["runs/a", "runs/b"]
