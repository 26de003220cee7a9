from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.latent.path_length import blend, path_length
from dcgan_viz.analysis.latent.spaces import feature_space
from dcgan_viz.model import DCGAN
from dcgan_viz.networks import dcgan
from dcgan_viz.statistics import stream


def slow_speeds(model: DCGAN, samples: torch.Tensor, pairs: int, seed: int) -> tuple[list[float], list[float]]:
    """The limit ε → 0 by forward-mode differentiation in float64, one pair at a time."""
    generator, discriminator = deepcopy(model.generator).double(), deepcopy(model.discriminator).double()
    scales, maps = [], samples
    for layer in model.discriminator.layers:
        maps = layer(maps)
        scales.append(float((maps[::2] - maps[1::2]).square().mean()))
    ends = model.latents(2 * pairs, seed).double()
    fractions = np.random.default_rng(stream(seed, 1)).random((pairs, 1))
    pixels, features = [], []
    for k in range(pairs):
        start, end = ends[2 * k], ends[2 * k + 1]

        def draw(t: torch.Tensor, start=start, end=end) -> tuple[torch.Tensor, ...]:
            maps = generator(blend(start, end, t, model.networks.generator.prior)[None])
            found = [maps]
            for layer in discriminator.layers:
                maps = layer(maps)
                found.append(maps)
            return tuple(found)

        _, speed = torch.func.jvp(draw, (torch.tensor(fractions[k]),), (torch.ones(1, dtype=torch.float64),))
        pixels.append(float(speed[0].square().mean()))
        features.append(float(np.mean([float(s.square().mean()) / c for s, c in zip(speed[1:], scales, strict=True)])))
    return pixels, features


@pytest.mark.parametrize("prior", ["uniform", "normal"])
def test_the_path_length_is_the_mean_squared_derivative(make_model, prior: str) -> None:
    model = make_model(dcgan(16, width=4, latent_dim=8, prior=prior))
    samples = model.sample(64, 1)
    space = feature_space(model.discriminator, samples)
    pixels, features = path_length(model, space, 0.5, pairs=20, seed=3)
    slow_pixels, slow_features = slow_speeds(model, samples, 20, 3)
    assert pixels.mean.value == pytest.approx(np.mean(slow_pixels), rel=1e-2)
    assert features.mean.value == pytest.approx(np.mean(slow_features), rel=1e-2)
    assert pixels.relative == pytest.approx(2 * pixels.mean.value)
    assert features.relative == features.mean.value
    assert pixels.mean.low < pixels.mean.value < pixels.mean.high
    assert (pixels.space, features.space) == ("pixels", "features")


def test_it_hardly_depends_on_epsilon(tiny_model) -> None:
    space = feature_space(tiny_model.discriminator, tiny_model.sample(64, 1))
    found = [path_length(tiny_model, space, 1.0, pairs=16, epsilon=e) for e in (1e-3, 1e-4)]
    for a, b in zip(*found, strict=True):
        assert a.mean.value == pytest.approx(b.mean.value, rel=1e-2)
