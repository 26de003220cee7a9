from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from dcgan_viz.analysis.latent.directions import (
    MEASURED,
    POSITIONS,
    RANDOM_DIRECTIONS,
    directions,
    factorised_directions,
    move,
    principal_directions,
)
from dcgan_viz.errors import UserError
from dcgan_viz.networks import dcgan
from dcgan_viz.statistics import stream


def slow_activations(generator, latents: torch.Tensor) -> np.ndarray:
    """The projection, its normalisation by running statistics and the ReLU, unit by unit."""
    linear, norm = generator.layers[0].linear, generator.layers[0].norm
    values = latents.double() @ linear.weight.double().T
    normed = (values - norm.running_mean) / (norm.running_var.double() + norm.eps).sqrt() * norm.weight + norm.bias
    return functional.relu(normed).numpy()


def test_principal_directions_are_those_of_a_full_decomposition(tiny_model) -> None:
    latents = tiny_model.latents(500, 1)
    found, shares = principal_directions(tiny_model.generator, latents, 3)
    activations = slow_activations(tiny_model.generator, latents)
    centred = activations - activations.mean(0)
    _, values, components = np.linalg.svd(centred, full_matrices=False)
    coordinates = centred @ components[:3].T
    # Least squares by the normal equations of z = x U, all coordinates at once.
    regressed = np.linalg.lstsq(coordinates, latents.double().numpy() - latents.double().numpy().mean(0), rcond=None)[0]
    for direction, expected in zip(found, regressed, strict=True):
        cosine = direction @ expected / np.linalg.norm(expected)
        assert abs(cosine) == pytest.approx(1, abs=1e-3)
    assert np.allclose(shares, np.square(values[:3]) / np.square(values).sum(), rtol=1e-2)


def test_factorised_directions_stretch_most(tiny_model) -> None:
    generator = tiny_model.generator
    found, shares = factorised_directions(generator, 8)
    assert shares.sum() == pytest.approx(1)
    norm = generator.layers[0].norm
    with torch.no_grad():
        norm.bias.zero_()
        before = list(generator.layers[0])[:2]
        zero = before[1](before[0](torch.zeros(1, 8)))
        lengths = [(before[1](before[0](torch.from_numpy(d).float()[None])) - zero).norm().item() for d in found]
        random = functional.normalize(torch.randn(200, 8, generator=torch.Generator().manual_seed(0)))
        others = (before[1](before[0](random)) - zero).norm(dim=1)
    assert lengths == sorted(lengths, reverse=True)
    assert others.max() <= lengths[0] * (1 + 1e-5)
    assert others.min() >= lengths[-1] * (1 - 1e-5)
    assert np.allclose(np.square(lengths) / np.square(lengths).sum(), shares, atol=1e-5)
    assert np.allclose(found @ found.T, np.eye(8), atol=1e-10)


def test_the_gain_of_the_normalisation_counts(tiny_model) -> None:
    """A unit that the normalisation amplifies decides the first direction, whatever its raw weight."""
    layer = tiny_model.generator.layers[0]
    with torch.no_grad():
        layer.norm.weight[5] = 1e4
    found, _ = factorised_directions(tiny_model.generator, 1)
    row = layer.linear.weight[5].double().numpy()
    assert abs(found[0] @ row) / np.linalg.norm(row) == pytest.approx(1, abs=1e-4)


def test_signs_and_order_are_the_same_every_time(tiny_model) -> None:
    first, again = (directions(tiny_model, count=3, measured_samples=2, seed=2) for _ in range(2))
    assert first.numbers() == again.numbers()
    for name in ("principal", "factorised", "random", "pictures"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    for vectors in (first.principal, first.factorised):
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        assert all(v[np.abs(v).argmax()] > 0 for v in vectors)
        assert [d.explained for d in first.found[:3]] == sorted((d.explained for d in first.found[:3]), reverse=True)
    assert not np.array_equal(first.random, directions(tiny_model, count=1, measured_samples=2, seed=3).random)


@pytest.mark.parametrize("prior", ["uniform", "normal"])
def test_moved_latents_stay_in_the_prior(make_model, prior: str) -> None:
    model = make_model(dcgan(16, width=4, latent_dim=8, prior=prior))
    latents, step = model.latents(50, 0), 1.5 * functional.normalize(torch.ones(1, 8))[0]
    moved = move(latents, step, prior)
    for z, m in zip(latents, moved, strict=True):
        if prior == "uniform":
            expected = [min(max(float(a + b), -1), 1) for a, b in zip(z, step, strict=True)]
        else:
            raw = [float(a + b) for a, b in zip(z, step, strict=True)]
            expected = [r * float(z.norm()) / math.sqrt(sum(q * q for q in raw)) for r in raw]
        assert m.tolist() == pytest.approx(expected, abs=1e-5)


def test_the_changes_are_those_between_the_pictures(tiny_model) -> None:
    result = directions(tiny_model, count=2, samples=1, reach=3, measured_samples=6, seed=4)
    length = 3 / math.sqrt(3)
    assert result.settings["length"] == pytest.approx(length)
    samples = tiny_model.latents(6, stream(4, MEASURED))
    for k, direction in enumerate(np.concatenate([result.principal, result.factorised])):
        changes, kept = [], []
        for z in samples:
            for sense in (-1, 1):
                end = (z + sense * length * torch.from_numpy(direction)).clamp(-1, 1)
                a, b = tiny_model.generate(torch.stack([z, end])).add(1).mul(127.5).round()
                changes.append(float((a - b).square().mean().sqrt()))
                kept.append(float((end - z).norm()) / length)
        assert result.found[k].changes[0].distance.value == pytest.approx(np.mean(changes), rel=1e-2)
        assert result.found[k].kept == pytest.approx(np.mean(kept), rel=1e-4)
    assert result.pictures.shape == (5, 1, POSITIONS, 16, 16, 3)
    assert len(result.random) == RANDOM_DIRECTIONS
    middle = tiny_model.generate(torch.from_numpy(result.latents)).add(1).mul(127.5).round()[0].permute(1, 2, 0)
    for row in result.pictures:
        assert np.abs(row[0, POSITIONS // 2].astype(int) - middle.numpy()).max() <= 1


def test_directions_that_cannot_be_found_are_refused(tiny_model) -> None:
    with pytest.raises(UserError, match="give 1 to 8"):
        directions(tiny_model, count=9)
    with pytest.raises(UserError, match="show nothing"):
        directions(tiny_model, samples=0)
    with pytest.raises(UserError, match="have no interval"):
        directions(tiny_model, measured_samples=1)
