from __future__ import annotations

import io
import warnings

import pytest

from dcgan_viz.analysis.attribution.guided_backprop import guided_backprop
from dcgan_viz.figures.attribution.guided_backprop import guided_backprop_figure
from dcgan_viz.model import DCGAN
from tests.figures.columns import faults


@pytest.mark.slow
@pytest.mark.parametrize("top", [1, 4])
def test_a_single_map_has_room_beside_its_caption(tiny_model: DCGAN, top: int) -> None:
    result = guided_backprop(tiny_model, tiny_model.sample(8), layer=2, maps=(0,), top=top)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        guided_backprop_figure(result).savefig(io.BytesIO())
        assert not faults(lambda: guided_backprop_figure(result))
