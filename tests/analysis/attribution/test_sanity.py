from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from skimage.feature import hog
from skimage.metrics import structural_similarity

from dcgan_viz.analysis.attribution.randomisation import randomised
from dcgan_viz.analysis.attribution.responses import collect, strongest_responses
from dcgan_viz.analysis.attribution.sanity import MEASURES, check_layer, sanity_check, similarities
from dcgan_viz.analysis.attribution.unit_gradients import Unit, unit_gradients
from dcgan_viz.data.images import TensorImages
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.statistics import recalibrate


@pytest.fixture
def units() -> list[Unit]:
    return [Unit(image, image % 4, 1, 1) for image in range(6)]


def test_the_measures_are_those_of_the_libraries() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
    b = (0.5 * a + b).astype(np.float32)
    grey_a, grey_b = a.astype(float).mean(0), b.astype(float).mean(0)
    scaled_a, scaled_b = grey_a / np.abs(grey_a).max(), grey_b / np.abs(grey_b).max()
    options = {"pixels_per_cell": (4, 4), "cells_per_block": (2, 2)}
    assert similarities(a, b) == pytest.approx(
        [
            spearmanr(grey_a.ravel(), grey_b.ravel()).statistic,
            spearmanr(np.abs(grey_a).ravel(), np.abs(grey_b).ravel()).statistic,
            structural_similarity(scaled_a, scaled_b, data_range=2.0),
            pearsonr(hog(scaled_a, **options), hog(scaled_b, **options)).statistic,
        ]
    )


def test_opposite_attributions_are_told_apart_by_sign_alone() -> None:
    a = np.random.default_rng(0).normal(size=(3, 16, 16)).astype(np.float32)
    signed, absolute, _, _ = similarities(a, -a)
    assert signed == pytest.approx(-1)
    assert absolute == pytest.approx(1)
    assert similarities(a, np.zeros_like(a)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("size", [5, 8, 13])
def test_small_receptive_fields_are_compared_too(size: int) -> None:
    a = np.random.default_rng(0).normal(size=(3, size, size)).astype(np.float32)
    assert similarities(a, a) == pytest.approx([1, 1, 1, 1])


def test_cascading_and_independent_randomisation_are_compared_with_the_trained_network(
    tiny_model: DCGAN, units: list[Unit]
) -> None:
    images = tiny_model.sample(8, seed=1)
    network = tiny_model.discriminator
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    result = sanity_check(network, 3, images, units, seed=4)
    assert result.cascading.shape == result.independent.shape == (3, 4, 6)
    assert [(d.randomisation, d.layer) for d in result.depths] == [
        *(("cascading", n) for n in (3, 2, 1)),
        *(("independent", n) for n in (3, 2, 1)),
    ]
    # What the unit at (1, 1) of layer 3 sees: 21 pixels from -6 on, clipped at the border.
    seen = (slice(None), slice(None), slice(0, 15), slice(0, 15))
    trained = unit_gradients(network, 3, images, units).numpy()[seen]
    for kind, layers, row in (("cascading", range(2, 4), 1), ("independent", range(1, 2), 2)):
        other = unit_gradients(randomised(network, layers, images, 4), 3, images, units).numpy()[seen]
        expected = np.stack([similarities(a, b) for a, b in zip(trained, other, strict=True)], axis=1)
        assert np.allclose(getattr(result, kind)[row], expected)
    neighbours = [
        Unit(u.image, (u.map + 1) % tiny_model.discriminator_layers[2].channels, u.row, u.column) for u in units
    ]
    other = unit_gradients(network, 3, images, neighbours).numpy()[seen]
    expected = np.stack([similarities(a, b) for a, b in zip(trained, other, strict=True)], axis=1)
    assert np.allclose(result.next_map, expected)
    assert result.baselines[0].similarities[1].mean.value == pytest.approx(expected[1].mean())
    # Weights as they are, statistics of these images.
    again = copy.deepcopy(network)
    recalibrate(again, [images])
    expected = np.stack(
        [
            similarities(a, b)
            for a, b in zip(trained, unit_gradients(again, 3, images, units).numpy()[seen], strict=True)
        ],
        axis=1,
    )
    assert np.allclose(result.statistics, expected, atol=1e-5)
    assert ("depends on the unit" in result.warning) == (result.next_map[0].mean() >= 0.5)
    # One layer alone is the same in both orders.
    assert np.allclose(result.cascading[0], result.independent[0])
    mean = result.depths[1].similarities[2]
    assert mean.measure == MEASURES[2]
    assert mean.mean.value == pytest.approx(result.cascading[1, 2].mean())
    assert mean.mean.low <= mean.mean.value <= mean.mean.high
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in before.items())


def test_it_repeats_with_its_seed_and_needs_two_units(tiny_model: DCGAN, units: list[Unit]) -> None:
    images = tiny_model.sample(8, seed=1)
    first, again, other = (
        sanity_check(tiny_model.discriminator, 2, images, units, seed=seed).numbers() for seed in (1, 1, 2)
    )
    assert first == again
    assert first["depths"] != other["depths"]
    with pytest.raises(UserError, match="at least two"):
        sanity_check(tiny_model.discriminator, 2, images, units[:1])


def test_a_layer_is_checked_at_the_strongest_units_of_its_maps(tiny_model: DCGAN) -> None:
    images = TensorImages(tiny_model.sample(8))
    checked = check_layer(tiny_model, images, layer=2, maps=5)
    responses = strongest_responses(tiny_model.discriminator, 2, images, range(5), 1)
    expected = sanity_check(tiny_model.discriminator, 2, *collect(images, responses))
    assert np.array_equal(checked.cascading, expected.cascading)
    assert check_layer(tiny_model, images.images).settings["units"] == 8
