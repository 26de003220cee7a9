from __future__ import annotations

import numpy as np
import pytest
import torch

from dcgan_viz.networks import dcgan, preset
from dcgan_viz.networks.modules import Discriminator
from dcgan_viz.networks.receptive_field import receptive_field


@pytest.mark.parametrize(
    "spec",
    [dcgan(32, width=2, kernel=k, top_layer=t).discriminator for k, t in ((3, False), (4, True), (5, True))],
)
def test_the_computed_field_is_the_empirical_one(spec) -> None:
    """Pixels whose change moves a unit, found with positive weights so that nothing cancels."""
    network = Discriminator(spec).eval()
    for parameter in network.parameters():
        parameter.data.abs_().add_(0.1)
    for layer in range(1, len(spec.convolutions) + 1):
        field = receptive_field(spec, layer)
        image = torch.rand(1, 3, 32, 32, requires_grad=True)
        maps = image
        for module in network.layers[:layer]:
            maps = module(maps)
        side = maps.shape[-1]
        for row, column in {(0, 0), (0, side - 1), (side // 2, side // 3), (side - 1, side // 2)}:
            (gradient,) = torch.autograd.grad(maps[0, 0, row, column], image, retain_graph=True)
            seen = np.argwhere(gradient[0, 0].numpy() != 0)
            window = field.window(row, column)
            assert (window.top, window.left) == tuple(seen.min(0))
            assert (window.bottom, window.right) == tuple(seen.max(0) + 1)


def test_the_papers_fields() -> None:
    assert [receptive_field(preset("lsun64").discriminator, k).size for k in (1, 2, 3, 4)] == [5, 13, 29, 61]
