from __future__ import annotations

import numpy as np
import pytest

from dcgan_viz.analysis.forgetting.automatic_boxes import automatic_boxes
from dcgan_viz.analysis.forgetting.evidence import gather_evidence
from dcgan_viz.analysis.forgetting.ranking_registry import RANKINGS, find_ranking
from dcgan_viz.errors import UserError
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import DCGAN


@pytest.mark.parametrize("name", list(RANKINGS))
def test_every_ranking_scores_every_map(name: str, tiny_model: DCGAN, tiny_segmenter: Segmenter, little: None) -> None:
    boxes = automatic_boxes(tiny_model, tiny_segmenter, ["window"], count=12)
    layer = tiny_model.generator_layers[1]
    evidence = gather_evidence(tiny_model, layer, boxes, "window", segmenter=tiny_segmenter)
    ranking = find_ranking(name)
    scores = ranking.scores(evidence)
    assert ranking.name == name
    assert scores.shape == (layer.channels,)
    assert np.isfinite(scores).all()
    assert ranking.axis_for(evidence)


def test_figures_can_tell_rankings_apart() -> None:
    colors = [ranking.color for ranking in RANKINGS.values()]
    assert len(set(colors)) == len(colors)


def test_a_ranking_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(UserError, match="there is no ranking 'luck': choose from regression, "):
        find_ranking("luck")
