"""The networks have the paper's shapes, and every variant draws, scores and learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dcgan_viz.errors import UserError
from dcgan_viz.networks import NetworkSpec, dcgan, preset
from dcgan_viz.networks.layers import discriminator_layers, find_layer, generator_layers
from dcgan_viz.networks.modules import Discriminator, Generator
from dcgan_viz.networks.presets import dcgan_options


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def shapes(network: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for name, p in network.named_parameters() if "norm" not in name]


@pytest.mark.parametrize("name", ["lsun64", "faces64"])
def test_the_64_pixel_pair_is_the_papers(name: str) -> None:
    spec = preset(name)
    assert (spec.generator.latent_dim, spec.generator.prior) == (100, "uniform")
    with torch.device("meta"):
        generator, discriminator = Generator(spec.generator), Discriminator(spec.discriminator)
    # torch keeps a transposed convolution as (in, out, k, k).
    assert shapes(generator) == [
        (16384, 100),
        (1024, 512, 5, 5),
        (512, 256, 5, 5),
        (256, 128, 5, 5),
        (128, 3, 5, 5),
    ]
    assert shapes(discriminator) == [
        (128, 3, 5, 5),
        (256, 128, 5, 5),
        (512, 256, 5, 5),
        (1024, 512, 5, 5),
        (1, 16384),
    ]
    # A gain and a bias for every unit of the projection and every map of the hidden layers; no other bias.
    assert parameters(generator) == 1_638_400 + 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3) + 2 * (
        16384 + 512 + 256 + 128
    )
    assert parameters(generator) == 18_885_760
    assert parameters(discriminator) == 25 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024) + 16384 + 2 * (
        256 + 512 + 1024
    )
    assert parameters(discriminator) == 17_232_768


def test_the_papers_generator_against_a_discriminator_of_half_the_width() -> None:
    spec, paper = dcgan(64, discriminator_width=64, top_layer=True), dcgan(64)
    assert spec.generator == paper.generator
    assert [c.channels for c in spec.discriminator.convolutions] == [64, 128, 256, 512, 512]


def test_the_imagenet_pair_has_28672_pooled_features() -> None:
    spec = preset("imagenet32")
    assert (spec.generator.latent_dim, spec.generator.prior) == (256, "uniform")
    layers = discriminator_layers(spec.discriminator)
    assert [(layer.channels, layer.size) for layer in layers] == [
        (128, 32),
        (128, 16),
        (256, 16),
        (256, 8),
        (512, 8),
        (512, 4),
    ]
    assert all(layer.kind.startswith("conv 3x3") for layer in layers)
    assert sum(16 * layer.channels for layer in layers) == 28_672
    assert [c.stride for c in spec.generator.convolutions] == [2, 1, 2, 1, 2, 1]


def test_the_svhn_pair_has_7168_pooled_features() -> None:
    spec = preset("svhn32")
    assert (spec.generator.latent_dim, spec.generator.prior) == (100, "normal")
    assert sum(16 * layer.channels for layer in discriminator_layers(spec.discriminator)) == 7_168
    assert [layer.channels for layer in generator_layers(spec.generator)] == [256, 128, 64, 3]


@pytest.mark.realdata
def test_the_svhn_pair_has_the_shapes_of_the_authors_weights(realdata: Path) -> None:
    spec = preset("svhn32")
    for network, pattern in ((Generator(spec.generator), "*gen*"), (Discriminator(spec.discriminator), "*disc*")):
        files = sorted(f for f in (realdata / "authors_svhn").rglob("*.npy") if f.match(pattern))
        theirs = sorted(int(np.prod(np.load(f, mmap_mode="r", allow_pickle=False).shape)) for f in files)
        assert theirs, f"no {pattern}.npy in {realdata / 'authors_svhn'}"
        assert theirs == sorted(p.numel() for p in network.parameters())


VARIANTS = [
    *(dcgan(size, width=2, latent_dim=8) for size in (16, 32, 64, 128, 256)),
    *(dcgan(16, width=3, kernel=kernel, latent_dim=8) for kernel in (3, 4, 5)),
    dcgan(16, width=2, channels=1, prior="normal"),
    dcgan(32, width=2, top_layer=True),
    dcgan(32, width=4, discriminator_width=2, top_layer=True),
    preset("svhn32", width=2),
    preset("imagenet32"),
]


@pytest.mark.parametrize("spec", VARIANTS, ids=lambda spec: f"{spec.generator.image_size}")
def test_every_variant_draws_scores_and_learns(spec: NetworkSpec) -> None:
    generator, discriminator = Generator(spec.generator), Discriminator(spec.discriminator)
    images = generator(torch.randn(3, spec.generator.latent_dim))
    assert images.shape == (3, *spec.image_shape)
    assert images.abs().max() <= 1
    scores = discriminator(images)
    assert scores.shape == (3,)
    nn.functional.softplus(-scores).mean().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("spec", VARIANTS, ids=lambda spec: f"{spec.generator.image_size}")
def test_numbered_layers_are_what_the_modules_write(spec: NetworkSpec) -> None:
    generator, discriminator = Generator(spec.generator).eval(), Discriminator(spec.discriminator).eval()
    maps = torch.randn(2, spec.generator.latent_dim)
    for layer, module in zip(generator_layers(spec.generator), generator.layers, strict=True):
        maps = module(maps)
        assert maps.shape == (2, layer.channels, layer.size, layer.size)
        assert dict(generator.named_modules())[layer.name] is module
    for layer, module in zip(discriminator_layers(spec.discriminator), discriminator.layers, strict=True):
        maps = module(maps)
        assert maps.shape == (2, layer.channels, layer.size, layer.size)
        assert discriminator.layer(layer.number) is module
        assert isinstance(module.activation, nn.LeakyReLU)


def test_weights_start_as_the_authors_drew_them() -> None:
    torch.manual_seed(0)
    spec = dcgan(32, width=32)
    for network in (Generator(spec.generator), Discriminator(spec.discriminator)):
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name
                assert abs(parameter.mean()) < 0.005, name
            elif name.endswith("weight"):
                assert parameter.mean().item() == pytest.approx(1, abs=0.02), name
            else:
                assert not parameter.any(), name


def test_a_specification_survives_json() -> None:
    import json

    for spec in VARIANTS:
        assert NetworkSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_a_specification_is_read_by_the_names_of_older_cards() -> None:
    for spec in VARIANTS:
        data = spec.to_dict()
        data["generator"]["latent"] = data["generator"].pop("latent_dim")
        for network in data.values():
            network["slope"] = network.pop("negative_slope")
        assert NetworkSpec.from_dict(data) == spec
        data["generator"]["latent_dim"] = 5
        with pytest.raises(UserError):
            NetworkSpec.from_dict(data)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 48}, "not a power of two from 16 to 256"),
        ({"size": 8}, "not a power of two"),
        ({"size": 512}, "not a power of two"),
        ({"channels": 4}, "1 or 3 channels, not 4"),
        ({"width": 0}, "width must be from 1 to 1024, not 0"),
        ({"width": 10**9}, "width must be from 1 to 1024"),
        ({"discriminator_width": -1}, "the discriminator's width must be from 1"),
        ({"kernel": 6}, "choose 3, 4 or 5"),
        ({"latent_dim": 0}, "z has from 1 to 4096 dimensions, not 0"),
        ({"latent_dim": 10**9}, "z has from 1 to 4096"),
        ({"prior": "cauchy"}, "choose uniform or normal"),
    ],
)
def test_what_cannot_be_built_is_refused(options: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        dcgan(**options)


def test_wrong_presets_and_layers_name_the_right_ones() -> None:
    with pytest.raises(UserError, match="lsun64, faces64, imagenet32, svhn32"):
        preset("celeba")
    with pytest.raises(UserError, match="width cannot be changed"):
        preset("imagenet32", width=4)
    layers = discriminator_layers(dcgan(16, width=4).discriminator)
    assert find_layer(layers, "2") is find_layer(layers, 2) is find_layer(layers, "layers.1")
    with pytest.raises(UserError, match=r"has no layer 3: choose from 1: conv 5x5 /2, 4 maps of 8x8.*; 2: conv"):
        find_layer(layers, 3)


def test_a_damaged_specification_is_refused() -> None:
    data = dcgan(16).to_dict()
    for damaged in ({}, {**data, "generator": {}}, {**data, "discriminator": {**data["discriminator"], "more": 1}}):
        with pytest.raises(UserError, match="not a network specification"):
            NetworkSpec.from_dict(damaged)
    other = dcgan(32).to_dict()["discriminator"]
    with pytest.raises(UserError, match="draws 3x16x16 images but the discriminator reads 3x32x32"):
        NetworkSpec.from_dict({**data, "discriminator": other})


@pytest.mark.parametrize("spec", VARIANTS, ids=lambda spec: f"{spec.generator.image_size}")
def test_the_options_of_networks_are_found_again(spec: NetworkSpec) -> None:
    options = dcgan_options(spec)
    if spec == preset("imagenet32"):
        assert options is None
    else:
        assert options is not None
        assert dcgan(**options) == spec
