from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dcgan_viz.analysis.forgetting.evidence import Evidence
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.layers import Layer


def _evidence_of(model: DCGAN, layer: Layer, segmenter: Segmenter, label: str = "window") -> Evidence:
    """Evidence of two samples, for what asks it for a model, a layer and a segmenter."""
    return Evidence(
        model=model,
        layer=layer,
        label=label,
        numbers=np.arange(2),
        latents=model.latents(2, 0),
        maps=np.ones((2, layer.channels, layer.size, layer.size), np.float32),
        pictures=np.zeros((2, 16, 16, 3), np.uint8),
        inside=np.ones((2, layer.size, layer.size), bool),
        inside_pixels=np.ones((2, 16, 16), bool),
        luminance=np.zeros((2, layer.size, layer.size), np.float32),
        segmenter=segmenter,
    )


@pytest.fixture
def evidence_of() -> Callable[..., Evidence]:
    """Makes evidence of two samples."""
    return _evidence_of
