from __future__ import annotations

from dcgan_viz.analysis.attribution.guided_backprop import guided_backprop
from dcgan_viz.figures.attribution.atlas import atlas_figure
from dcgan_viz.model import DCGAN
from tests.figures.columns import faults


def test_every_map_has_its_tile_with_number_and_activation(tiny_model: DCGAN) -> None:
    result = guided_backprop(tiny_model, tiny_model.sample(8), layer=1, maps=range(4), top=1)
    figure = atlas_figure(result)
    assert not faults(lambda: atlas_figure(result))
    (axes,) = figure.axes
    assert [text.get_text().split() for text in axes.texts] == [
        [str(m), f"{response.value:.1f}"] for m, response in zip(result.maps, result.responses, strict=True)
    ]
    assert f"4 of {result.layer.channels} maps" in figure.get_suptitle()
