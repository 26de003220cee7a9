from __future__ import annotations

from collections.abc import Callable

import pytest

from dcgan_viz.analysis.forgetting.automatic_boxes import automatic_boxes
from dcgan_viz.analysis.forgetting.forgetting import Forgetting, forget
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import DCGAN
from dcgan_viz.networks import dcgan


@pytest.fixture(scope="package")
def forgotten(make_model: Callable[..., DCGAN], tiny_segmenter: Segmenter) -> Forgetting:
    """Windows of the tiny model, measured by its segmenter."""
    model = make_model(dcgan(16, width=4, latent_dim=8, top_layer=True))
    boxes = automatic_boxes(model, tiny_segmenter, ["window"], count=16)
    return forget(
        model, annotations=boxes, layer=2, top=2, samples=4, segmenter=tiny_segmenter, measured_samples=64, seed=1
    )
