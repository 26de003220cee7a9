from __future__ import annotations

import pytest
import torch

from dcgan_viz.analysis.forgetting import draws
from dcgan_viz.analysis.forgetting.draws import draw_choices
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
        maps = generator.activations(torch.randn(1, generator.latent_dim), layer)[0]
        factors = torch.rand(70, len(maps)).round()
        place = torch.rand(maps.shape[1:]) < 0.5 if somewhere else None
        found = torch.cat([images for _, images in draw_choices(generator, maps, layer, factors, place)])
        for row, image in zip(factors, found, strict=True):
            scaled = maps * row[:, None, None]
            if place is not None:
                scaled = torch.where(place, scaled, maps)
            assert torch.allclose(image, generator.draw_from(scaled[None], layer)[0], atol=1e-5)
    assert found.std() > 0.01
