from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dcgan_viz.analysis.latent.inversion import (
    FOUND,
    UNRELATED,
    Inversion,
    Loss,
    inversion_verdict,
    invert,
    keep_in_prior,
    nearest_samples,
    optimise,
)
from dcgan_viz.analysis.latent.spaces import feature_space, pixel_space
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks import dcgan
from dcgan_viz.statistics import stream

QUICK = {"starts": 2, "steps": 40, "samples": 128, "own": 4}


def make_loss(model: DCGAN) -> Loss:
    samples = model.sample(64, 1)
    return Loss(pixel_space(samples), feature_space(model.discriminator, samples))


def noise(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (count, 3, 16, 16)).astype(np.float32))


def test_the_loss_is_half_of_each_distance(tiny_model) -> None:
    loss = make_loss(tiny_model)
    a, b = tiny_model.sample(2, 3).split(1)
    expected = sum(0.5 * (space.vectors(a) - space.vectors(b)).square().sum() for space in (loss.pixels, loss.features))
    assert (loss.vectors(a) - loss.vectors(b)).square().sum().item() == pytest.approx(float(expected), rel=1e-5)


def test_the_nearest_samples_are_those_of_a_loop(tiny_model) -> None:
    loss, pool = make_loss(tiny_model), tiny_model.latents(150, 4)
    targets = loss.vectors(noise(3))
    chosen, losses = nearest_samples(tiny_model, loss, targets, pool, 5)
    for k, target in enumerate(targets):
        every = [float((loss.vectors(tiny_model.generate(z[None]))[0] - target).square().sum()) for z in pool]
        assert losses[k].tolist() == pytest.approx(sorted(every)[:5], rel=1e-3)
        assert [every[i] for i in chosen[k]] == pytest.approx(sorted(every)[:5], rel=1e-3)


@pytest.mark.parametrize("prior", ["uniform", "normal"])
def test_improved_latents_are_better_and_stay_in_the_prior(make_model, prior: str) -> None:
    model = make_model(dcgan(16, width=4, latent_dim=8, prior=prior))
    loss, start = make_loss(model), model.latents(5, 4)
    targets = loss.vectors(noise(5))
    latents, losses = optimise(model, loss, targets, start, 30)
    before = (loss.vectors(model.generate(start)) - targets).square().sum(1)
    after = (loss.vectors(model.generate(latents)) - targets).square().sum(1)
    assert (losses < before).all()
    assert torch.allclose(after, losses, rtol=1e-4)
    assert torch.allclose(keep_in_prior(latents, prior), latents, atol=1e-6)


def test_latents_outside_the_prior_are_brought_to_its_edge() -> None:
    z = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
    kept = keep_in_prior(torch.cat([3 * z, 0.1 * z, z]), "normal")
    # 99.8 % of Gaussian latents have a length between these two.
    lengths = torch.from_numpy(np.linalg.norm(np.random.default_rng(0).standard_normal((100_000, 50)), axis=1))
    low, high = lengths.quantile(0.001).item(), lengths.quantile(0.999).item()
    assert torch.allclose(kept[:6].norm(dim=1), torch.full((6,), high), rtol=1e-2)
    assert torch.allclose(kept[6:12].norm(dim=1), torch.full((6,), low), rtol=1e-2)
    assert torch.allclose(kept[12:], z)
    assert torch.equal(keep_in_prior(2 * z, "uniform"), (2 * z).clamp(-1, 1))


def test_no_latent_is_influenced_by_another(tiny_model) -> None:
    loss, start = make_loss(tiny_model), tiny_model.latents(70, 4)
    targets = loss.vectors(noise(70))
    together, _ = optimise(tiny_model, loss, targets, start, 5)
    for k in (0, 66):
        alone, _ = optimise(tiny_model, loss, targets[k : k + 1], start[k : k + 1], 5)
        assert torch.allclose(together[k], alone[0], atol=1e-3)


def test_the_networks_stay_as_they_were(tiny_model) -> None:
    loss = make_loss(tiny_model)
    targets = loss.vectors(noise(1))
    tiny_model.generator.train()
    before = [b.clone() for b in tiny_model.generator.buffers()]
    optimise(tiny_model, loss, targets, tiny_model.latents(1, 0), 2)
    assert tiny_model.generator.training
    assert all(torch.equal(a, b) for a, b in zip(before, tiny_model.generator.buffers(), strict=True))
    assert not any(p.requires_grad or p.grad is not None for p in tiny_model.generator.parameters())


@pytest.fixture
def result(tiny_model) -> Inversion:
    return invert(tiny_model, noise(3), ["a.png", "b.png", "c.png"], **QUICK)


def test_the_errors_are_those_of_the_pictures(tiny_model, result: Inversion) -> None:
    drawn = to_pixels(tiny_model.generate(torch.from_numpy(result.latents)))
    samples = tiny_model.sample(512, stream(0, UNRELATED))
    features = feature_space(tiny_model.discriminator, samples)
    for k, inverted in enumerate(result.inverted):
        wanted, found = result.photographs[k], result.pictures[k]
        assert np.abs(found.astype(int) - drawn[k]).max() <= 1
        assert inverted.found.pixels == pytest.approx(np.sqrt(np.square(wanted.astype(float) - found).mean()))
        assert inverted.found.psnr == pytest.approx(peak_signal_noise_ratio(wanted, found))
        assert inverted.found.ssim == pytest.approx(
            structural_similarity(wanted, found, channel_axis=-1, data_range=255)
        )
        image = tiny_model.generate(torch.from_numpy(result.latents[k : k + 1]))
        distance = (features.vectors(noise(3)[k : k + 1]) - features.vectors(image)).norm().item()
        assert inverted.found.features == pytest.approx(distance, rel=1e-3)
        near = np.square(wanted.astype(float) - result.nearest[k]).mean() ** 0.5
        assert inverted.nearest.pixels == pytest.approx(near)


@pytest.mark.slow
def test_own_samples_are_found_again_where_the_search_is_long_enough(tiny_model) -> None:
    own = invert(tiny_model, tiny_model.sample(2, 99), starts=4, steps=300, samples=512, own=6)
    assert own.recovered.value >= 5 / 6
    assert all(i.recovered for i in own.inverted)
    assert "the generator can draw these photographs" in own.verdict
    exact = binomtest(round(6 * own.recovered.value), 6).proportion_ci(method="exact")
    assert (own.recovered.low, own.recovered.high) == pytest.approx((exact.low, exact.high))
    for found in own.own:
        limits = FOUND * own.unrelated.pixels, FOUND * own.unrelated.features
        assert found.recovered == (found.found.pixels <= limits[0] and found.found.features <= limits[1])


def test_the_verdict_blames_the_search_where_it_fails_on_what_exists(result: Inversion) -> None:
    lost, again = (replace(result.own[0], recovered=a) for a in (False, True))
    assert "it fails where it could succeed" in inversion_verdict([lost], [lost, lost, again])
    assert "the generator's failure" in inversion_verdict([lost], [lost, again, again])
    assert "the generator can draw" in inversion_verdict([again], [again])


def test_an_inversion_follows_its_seed(tiny_model, result: Inversion) -> None:
    again = invert(tiny_model, noise(3), ["a.png", "b.png", "c.png"], **QUICK)
    assert np.array_equal(result.latents, again.latents)
    assert result.numbers() == again.numbers()
    assert not np.array_equal(result.latents, invert(tiny_model, noise(3), **QUICK, seed=1).latents)


def test_progress_tells_every_stage(tiny_model) -> None:
    told: list[tuple[str, int, int]] = []

    def progress(items, stage):
        items = list(items)
        told.append((stage.what, stage.total, len(items)))
        return items

    invert(tiny_model, noise(1), **QUICK, progress=progress)
    assert [name for name, _, _ in told] == ["random samples", "all starts", "best starts"]
    assert all(total == count for _, total, count in told)


@pytest.mark.parametrize("shape", [(0, 3, 16, 16), (1, 3, 32, 32), (3, 16, 16)])
def test_photographs_of_another_size_are_refused(tiny_model, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"have shape \(n, 3, 16, 16\)"):
        invert(tiny_model, torch.zeros(shape))


@pytest.mark.parametrize("settings", [{"starts": 0}, {"starts": 200}, {"steps": 1}, {"own": 0}])
def test_too_little_of_anything_is_refused(tiny_model, settings: dict[str, int]) -> None:
    with pytest.raises(UserError, match="too few"):
        invert(tiny_model, noise(1), **{**QUICK, **settings})


@pytest.mark.slow
@pytest.mark.realdata
def test_photographs_of_faces_come_nearer_than_random_samples(realdata) -> None:
    from dcgan_viz import load, load_images

    photographs = load_images(realdata / "utkface_9780.zip", 64, limit=1).tensor(slice(None))
    found = invert(load("faces"), photographs, starts=1, steps=60, samples=64, own=1)
    for inverted in found.inverted:
        assert inverted.found.features < inverted.nearest.features
        assert inverted.found.pixels < inverted.nearest.pixels
    assert found.recovered.value == 1
