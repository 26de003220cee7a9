from __future__ import annotations

import itertools

import pytest
import torch

from dcgan_viz.analysis.forgetting import draws
from dcgan_viz.analysis.forgetting.draws import draw_choices, draw_scaled_maps
from dcgan_viz.networks.modules import Generator
from dcgan_viz.networks.presets import dcgan
from dcgan_viz.networks.spec import GeneratorSpec


def _generator(kernel: int, **changes: object) -> Generator:
    torch.manual_seed(kernel)
    spec = dcgan(16, width=4, kernel=kernel).generator
    generator = Generator(GeneratorSpec(**{**vars(spec), **changes}))
    for module in generator.modules():
        if isinstance(module, torch.nn.ConvTranspose2d):
            torch.nn.init.normal_(module.weight, 0, 0.3)
        elif isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return generator.eval()


@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("somewhere", [False, True])
@pytest.mark.parametrize("fast", [True, False])
def test_every_choice_is_drawn_as_on_its_own(
    kernel: int, norm_first: bool, layer: int, somewhere: bool, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = _generator(kernel, norm_first=norm_first)
    if not fast:
        monkeypatch.setattr(draws, "MOST_CONTRIBUTIONS", 0)
    with torch.no_grad():
        maps = generator.activations(torch.randn(3, generator.latent_dim), layer)
        factors = torch.rand(140, maps.shape[1]).round()
        places = torch.rand(3, *maps.shape[2:]) < 0.5 if somewhere else None
        found = torch.full((3, 140, *generator.image_shape), torch.nan)
        for index, part, images in draw_choices(generator, maps, layer, factors, places):
            found[index, part] = images
        for index, row in itertools.product(range(3), range(140)):
            scaled = maps[index] * factors[row, :, None, None]
            if places is not None:
                scaled = torch.where(places[index], scaled, maps[index])
            assert torch.allclose(found[index, row], generator.draw_from(scaled[None], layer)[0], atol=1e-5)
    assert found.std() > 0.01


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("chosen", [[], [1], [0, 1, 2], [0, 1, 2, 3]])
@pytest.mark.parametrize("somewhere", [False, True])
@pytest.mark.parametrize("already", [None, [1, 2]])
def test_what_is_lost_is_taken_from_what_was_written(
    norm_first: bool, kernel: int, layer: int, chosen: list[int], somewhere: bool, already: list[int] | None
) -> None:
    generator = _generator(kernel, norm_first=norm_first)
    with torch.no_grad():
        maps = generator.activations(torch.randn(3, generator.latent_dim), layer)
        factors = torch.ones(maps.shape[1])
        factors[chosen] = 0.25
        places = torch.rand(3, *maps.shape[2:]) < 0.5 if somewhere else None
        before = torch.ones_like(factors)
        before[already or []] = 0.5
        there = maps * before[:, None, None]
        if places is not None:
            there = torch.where(places[:, None], there, maps)
        written = generator.write_sum(there, layer)
        found = draw_scaled_maps(generator, maps, written, layer, factors, places, None if already is None else before)
        scaled = maps * factors[:, None, None]
        if places is not None:
            scaled = torch.where(places[:, None], scaled, maps)
        assert torch.allclose(found, generator.draw_from(scaled, layer), atol=1e-5)
        assert bool(chosen) == (not torch.allclose(found, generator.draw_from(maps, layer), atol=1e-5))


@pytest.mark.parametrize("base", [6, 48])
def test_few_channels_are_drawn_by_a_product(base: int) -> None:
    """A last layer of three channels whose kernels have fewer, and more, numbers than there are maps below."""
    spec = dcgan(16, width=base, kernel=4).generator
    generator = Generator(spec).eval()
    assert (3 * 4**2 <= generator.numbered_layers[-2].channels) == (base == 48)
    with torch.no_grad():
        maps = generator.activations(torch.randn(2, spec.latent_dim), 1)
        found = generator.draw_from_sum(generator.write_sum(maps, 1), 1)
        assert torch.allclose(found, generator.draw_from(maps, 1), atol=1e-6)
