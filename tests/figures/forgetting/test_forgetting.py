from __future__ import annotations

from dcgan_viz.analysis.forgetting.forgetting import Forgetting
from dcgan_viz.figures.forgetting.forgetting import forgetting_figure
from tests.figures.columns import faults


def test_annotated_samples_stand_over_scores_and_effects(forgotten: Forgetting) -> None:
    figure = forgetting_figure(forgotten)
    assert not faults(lambda: forgetting_figure(forgotten))
    # As drawn, then twice pictures and what changed.
    *rows, scores, effects = figure.axes
    labels = [axes.texts[0].get_text().replace("\n", " ") for axes in rows[::2]]
    assert (labels[0], labels[1], labels[3]) == ("as drawn", "2 window maps zeroed", "2 random maps zeroed")
    assert labels[2] == labels[4]
    assert [t.get_text() for t in rows[1].texts] == [f"inside {c:.0f} / 255" for c in forgotten.boxed_changes]
    assert scores.get_ylabel() == forgotten.score_axis
    assert {"window", "bed"} <= {t.get_text() for t in effects.get_xticklabels() + effects.get_yticklabels()}
