from __future__ import annotations

import torch

from dcgan_viz.analysis.attribution.randomisation import randomised, remeasured
from dcgan_viz.model import DCGAN


def test_only_the_weights_of_those_layers_are_drawn_anew(tiny_model: DCGAN) -> None:
    images = tiny_model.sample(32, seed=1)
    found = randomised(tiny_model.discriminator, range(2, 4), images, seed=5)
    for number, (own, drawn) in enumerate(zip(tiny_model.discriminator.layers, found.layers, strict=True), start=1):
        same = [torch.equal(a, b) for a, b in zip(own.parameters(), drawn.parameters(), strict=True) if a.ndim > 1]
        assert same == [number not in (2, 3)] * len(same)
    # Layer 3 is the same whether or not layer 2 is drawn anew.
    alone = randomised(tiny_model.discriminator, range(3, 4), images, seed=5)
    for a, b in zip(alone.layers[2].parameters(), found.layers[2].parameters(), strict=True):
        assert torch.equal(a, b)


def test_statistics_are_those_of_the_images(tiny_model: DCGAN) -> None:
    images = tiny_model.sample(100, seed=1) * 0.5 + 0.3
    found = remeasured(tiny_model.discriminator, images)
    convolution, norm = list(found.layers[1])[:2]
    before = convolution(found.layers[0](images)).transpose(0, 1).flatten(1).double()
    assert torch.allclose(norm.running_mean.double(), before.mean(1), atol=1e-4)
    assert torch.allclose(norm.running_var.double(), before.var(1), rtol=1e-2)
    assert not torch.allclose(norm.running_mean, tiny_model.discriminator.layers[1].norm.running_mean, atol=1e-3)
