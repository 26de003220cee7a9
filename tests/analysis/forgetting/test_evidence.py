from __future__ import annotations

import numpy as np
import pytest

from dcgan_viz.analysis.forgetting.evidence import gather_evidence
from dcgan_viz.annotations.boxes import Annotations, Box
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN


def test_it_holds_the_samples_with_boxes_and_what_the_layer_draws_there(tiny_model: DCGAN) -> None:
    boxes = tuple(Box(image, "window", 2, 4, 6, 8) for image in (1, 4, 5, 9, 10))
    annotations = Annotations(boxes, ("window",), 12, 7, 16, tiny_model.generator_digest(), "a tester", "by hand")
    layer = tiny_model.generator_layers[1]
    evidence = gather_evidence(tiny_model, layer, annotations, "window")
    assert evidence.numbers.tolist() == [1, 4, 5, 9, 10]
    latents = tiny_model.latents(12, 7)[[1, 4, 5, 9, 10]]
    np.testing.assert_allclose(evidence.maps, tiny_model.activations(latents, layer.number), atol=1e-5)
    pixels = np.zeros((5, 16, 16), bool)
    pixels[:, 4:12, 2:8] = True
    assert np.array_equal(evidence.inside_pixels, pixels)
    # Positions of the layer are two pixels a side.
    assert np.array_equal(evidence.inside, pixels[:, ::2, ::2])
    part = evidence.part(np.array([0, 3]), seed=0)
    assert part.numbers.tolist() == [1, 9]
    assert np.array_equal(part.maps, evidence.maps[[0, 3]])
    with pytest.raises(UserError, match="segmenter"):
        evidence.reading_segmenter()
