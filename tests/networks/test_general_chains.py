"""Chains beyond the paper's: what their specifications say of sizes and layers is what the modules compute."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dcgan_viz.errors import UserError
from dcgan_viz.networks.modules import Discriminator, Generator
from dcgan_viz.networks.spec import Convolution, DiscriminatorSpec, GeneratorSpec, NetworkSpec, dcgan

COURSERA = GeneratorSpec(
    10,
    "normal",
    8,
    (
        Convolution(6, 4, 1, padding=0, output_padding=0),
        Convolution(4, 3, 2, padding=0, output_padding=0),
        Convolution(1, 4, 2, norm=False, padding=0),
    ),
    base_size=3,
)
UPSAMPLED = GeneratorSpec(
    10,
    "normal",
    8,
    (
        Convolution(6, 3, 1, upsample=2),
        Convolution(4, 3, 1, upsample=2, activated=False),
        Convolution(3, 1, 1, norm=False, bias=True),
    ),
    base_size=5,
    base_activated=False,
    negative_slope=0.2,
    norm_first=False,
    output="sigmoid",
)
UNIT_NORMS = GeneratorSpec(
    10, "uniform", 32, (Convolution(4, 7, 1, padding=0, unit_norm=True), Convolution(1, 2, 2, norm=False)), base_size=1
)


@pytest.mark.parametrize(
    ("spec", "sizes"), [(COURSERA, (3, 6, 13, 28)), (UPSAMPLED, (5, 10, 20, 20)), (UNIT_NORMS, (1, 7, 14))]
)
def test_a_generator_draws_what_its_specification_says(spec: GeneratorSpec, sizes: tuple[int, ...]) -> None:
    assert spec.sizes == sizes
    generator = Generator(spec).eval()
    maps = torch.randn(3, 10)
    for layer, size in zip(generator.layers, sizes, strict=True):
        maps = layer(maps)
        assert maps.shape[2:] == (size, size)
    assert maps.abs().max() <= 1
    assert torch.equal(generator(torch.zeros(1, 10)), generator(torch.zeros(2, 10))[:1])


def test_the_order_of_normalisation_and_activation_is_the_specifications() -> None:
    names = [name for name, _ in Generator(UPSAMPLED).layers[1].named_children()]
    assert names == ["upsample", "convolution", "activation", "norm"]
    assert [n for n, _ in Generator(UPSAMPLED).layers[2].named_children()] == ["upsample", "convolution", "norm"]
    assert [n for n, _ in Generator(COURSERA).layers[1].named_children()] == ["convolution", "norm", "activation"]


def test_a_discriminators_sides_are_floored() -> None:
    spec = DiscriminatorSpec(
        1,
        28,
        (Convolution(4, 4, 2, norm=False), Convolution(4, 4, 2), Convolution(4, 3, 2, padding=0)),
        unit_pixels=True,
    )
    assert spec.sizes == (28, 14, 7, 3)
    discriminator = Discriminator(spec).eval()
    images = torch.rand(2, 1, 28, 28) * 2 - 1
    plain = nn.Sequential(*(m for layer in discriminator.layers for n, m in layer.named_children() if n != "pixels"))
    assert torch.allclose(discriminator(images), discriminator.head(plain((images + 1) / 2).flatten(1)).squeeze(1))
    assert not spec.plain
    assert dcgan(64).discriminator.plain


def test_cards_without_the_newer_fields_are_read() -> None:
    spec = dcgan(32, width=4)
    data = spec.to_dict()
    for side in ("generator", "discriminator"):
        for convolution in data[side]["convolutions"]:
            for name in ("padding", "output_padding", "upsample", "activated", "unit_norm"):
                del convolution[name]
        for name in ("activation", "norm_first", "output", "unit_pixels", "base_norm", "base_bias", "base_activated"):
            data[side].pop(name, None)
    del data["generator"]["negative_slope"]
    assert NetworkSpec.from_dict(data) == spec


@pytest.mark.parametrize(
    "wrong",
    [
        {"kernel": 65},
        {"stride": 9},
        {"padding": 65},
        {"output_padding": 2},
        {"upsample": 0},
        {"kernel": 4, "stride": 1},
        {"kernel": 4, "stride": 4},
    ],
)
def test_values_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UserError):
        Convolution(**{"channels": 4, "kernel": 5, "stride": 2, **wrong})


def test_maps_of_no_size_are_refused() -> None:
    with pytest.raises(UserError, match="sides 4 → 0"):
        DiscriminatorSpec(1, 4, (Convolution(4, 7, 1, padding=1),))
    with pytest.raises(UserError, match="activation 'swish' is not known"):
        GeneratorSpec(4, "normal", 4, (Convolution(3, 4, 2, norm=False),), activation="swish")  # type: ignore[arg-type]
