from __future__ import annotations

import pytest

from dcgan_viz.analysis.forgetting.dose_response import dose_response
from dcgan_viz.analysis.forgetting.forgetting import Forgetting
from dcgan_viz.figures.forgetting.dose_response import dose_response_figure
from tests.figures.columns import faults


@pytest.mark.slow
def test_every_ranking_has_its_best_dose(forgotten: Forgetting) -> None:
    scores = {"regression": forgotten.scores[0]}
    result = dose_response(forgotten.evidence[0], scores, spared="bed", doses=3, samples=64)
    gone, spared, best = dose_response_figure(result).axes
    assert not faults(lambda: dose_response_figure(result))
    assert (gone.get_title(), spared.get_title()) == ("window pixels gone", "bed pixels gone")
    labels = [label.get_text().splitlines()[0] for label in best.get_yticklabels()]
    assert labels == [dose.ranking for dose in result.best]
    rings = [float(line.get_xdata()[0]) for line in best.lines if line.get_fillstyle() == "none"]
    assert rings[: len(labels)] == pytest.approx([100 * dose.removed.value for dose in result.best])
