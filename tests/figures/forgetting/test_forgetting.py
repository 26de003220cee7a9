from __future__ import annotations

from dcgan_viz.analysis.forgetting.forgetting import Forgetting
from dcgan_viz.figures.forgetting.forgetting import forgetting_figure


def test_annotated_samples_stand_over_scores_and_effects(forgotten: Forgetting) -> None:
    figure = forgetting_figure(forgotten)
    count = len(forgotten.boxed)
    assert len(figure.axes) == 5 * count + 2
    assert [axes.get_title() for axes in figure.axes[:count]] == [f"inside {c:.0f}" for c in forgotten.boxed_changes]
    labels = [figure.axes[row * count].texts[0].get_text().replace("\n", " ") for row in (0, 1, 3)]
    assert labels == ["as drawn", "2 window maps zeroed", "2 random maps zeroed"]
    scores = figure.axes[-2]
    assert scores.get_ylabel() == forgotten.score_axis
