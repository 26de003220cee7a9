from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dcgan_viz.analysis.attribution.guided_gradient import guided_gradient
from dcgan_viz.analysis.attribution.unit import COMPARED_SAMPLES, explain_unit
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN


@pytest.mark.parametrize("rule", ["keep", "zero"])
def test_it_is_the_guided_gradient_of_that_one_activation(tiny_model: DCGAN, rule) -> None:
    image = tiny_model.sample(1, seed=3)[0]
    # One that is open: under the rule zero nothing passes a closed one.
    number, row, column = (tiny_model.discriminator.activations(image[None], 2)[0] > 0).nonzero()[0].tolist()
    found = explain_unit(tiny_model, image, (number, row, column), layer=2, rule=rule)

    def target(inputs: Tensor) -> Tensor:
        return tiny_model.discriminator.activations(inputs, 2)[:, number, row, column]

    slow = guided_gradient(tiny_model.discriminator, image[None], target, rule)[0]
    assert torch.allclose(torch.from_numpy(found.gradient), slow, atol=1e-6)
    assert found.gradient.any()
    assert found.activation == pytest.approx(float(target(image[None])))
    seen = found.window
    outside = torch.ones(16, 16, dtype=torch.bool)
    outside[seen.top : seen.bottom, seen.left : seen.right] = False
    assert not found.gradient[:, outside.numpy()].any()
    assert not torch.allclose(torch.from_numpy(found.random_gradient), slow)


def test_the_percentile_counts_the_maps_units_on_samples(tiny_model: DCGAN) -> None:
    image = tiny_model.sample(1, seed=3)[0]
    found = explain_unit(tiny_model, image, (0, 2, 2), layer=2, seed=7)
    samples = tiny_model.sample(COMPARED_SAMPLES, [7, 1])
    less = total = 0
    for sample in samples:
        for value in tiny_model.discriminator.activations(sample[None], 2)[0, 0].flatten():
            less, total = less + bool(value < found.activation), total + 1
    assert found.percentile == pytest.approx(100 * less / total)


@pytest.mark.parametrize(
    ("unit", "sentence"),
    [((99, 0, 0), "there is no map 99"), ((0, 4, 0), r"4x4: there is no row 4, column 0; both count from 0 to 3")],
)
def test_units_that_are_not_there_are_named(tiny_model: DCGAN, unit, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        explain_unit(tiny_model, tiny_model.sample(1)[0], unit, layer=2)
