from __future__ import annotations

import numpy as np

from dcgan_viz.analysis.forgetting.map_pictures import picture_maps
from dcgan_viz.data.images import to_pixels
from dcgan_viz.figures.forgetting.map_pictures import map_pictures_figure
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import find_layer


def test_maps_are_pictured_where_they_are_strongest(tiny_model: DCGAN) -> None:
    layer = find_layer(tiny_model.generator_layers, 2)
    result = picture_maps(
        tiny_model, layer, np.array([0.0, 3, 1, 2]), "window", "iou", count=3, top=2, samples=30, seed=4
    )
    assert result.maps == (1, 3, 2)
    z = tiny_model.latents(30, 4)
    activations = tiny_model.generator.layers[1](tiny_model.generator.layers[0](z))[:, 1].mean((1, 2))
    strongest = int(activations.argmax())
    assert np.abs(result.before[0, 0].astype(int) - to_pixels(tiny_model.generate(z))[strongest]).max() <= 1
    assert result.after.shape == (3, 2, 16, 16, 3)
    map_pictures_figure(result)
