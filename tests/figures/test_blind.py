from __future__ import annotations

import itertools

import numpy as np
import pytest

from dcgan_viz.blind.report import unblind
from dcgan_viz.blind.trials import AnswerKind
from dcgan_viz.figures.blind import blind_figure
from tests.blind.judged import make_trial, place, random_answers
from tests.figures.columns import faults


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["boxes", "yes-no"])
def test_the_figure_shows_answers_numbers_and_what_was_done(kind: AnswerKind) -> None:
    trial = make_trial(kind)
    answers = random_answers(trial, share=0.9)
    result = unblind(trial, answers)
    figure = blind_figure(result)
    assert not faults(lambda: blind_figure(result))
    assert len(figure.axes) == 3 * 10 + (3 if kind == "boxes" else 2)
    text = " ".join(figure.said.split())
    assert f"{result.judged} of 36" in text
    assert "a tester" in text
    assert "Wilson" in text
    assert ("Area" in text) == (kind == "boxes")
    judged = np.bincount(trial.pair, result.answered)
    latents = sorted(range(12), key=lambda p: (-judged[p], p))[:10]
    for axis, (condition, latent) in zip(figure.axes, [(c, p) for c in range(3) for p in latents], strict=False):
        index = place(trial, condition, latent)
        assert np.array_equal(axis.images[0].get_array(), trial.pictures[index])
        answer = answers.given.get(index)
        boxes = answer if isinstance(answer, tuple) else ()
        assert len(axis.patches) == 2 * len(boxes)
        expected = {None: "not judged", "unclear": "unclear", "no": "no", (): "no"}.get(answer, "yes")
        assert axis.get_title() == expected
    presence, differences = figure.axes[30], figure.axes[-1]
    assert [bar.get_width() for bar in presence.patches] == pytest.approx(
        [100 * p.share.value for p in result.presences]
    )
    assert differences.lines[0].get_xdata() == pytest.approx([100 * d.share.value for d in result.differences])


@pytest.mark.slow
def test_labels_of_many_differences_do_not_run_into_one_another() -> None:
    trial = make_trial("yes-no", conditions=4)
    figure = blind_figure(unblind(trial, random_answers(trial)))
    figure.draw_without_rendering()
    labels = figure.axes[-1].get_yticklabels()
    assert len(labels) == 6
    assert all("unclear" in label.get_text() for label in labels)
    boxes = [label.get_window_extent() for label in labels]
    assert not any(above.overlaps(below) for above, below in itertools.pairwise(boxes))
