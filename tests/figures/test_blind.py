from __future__ import annotations

import numpy as np
import pytest

from dcgan_viz.blind.answers import Answer, Answers
from dcgan_viz.blind.report import unblind
from dcgan_viz.blind.trials import AnswerKind, BlindTrial, prepare_trial
from dcgan_viz.figures.blind import blind_figure

NAMES = ("as drawn", "window maps zeroed", "random maps zeroed")


def make_trial(
    kind: AnswerKind = "boxes", latents: int = 12, conditions: int = 3, channels: int = 3, seed: int = 0
) -> BlindTrial:
    random = np.random.default_rng(7)
    pictures = {
        NAMES[c] if c < 3 else f"condition {c}": random.integers(0, 256, (latents, 16, 16, channels), dtype=np.uint8)
        for c in range(conditions)
    }
    return prepare_trial(pictures, "Draw a box around every window", kind, settings={"model": "tiny"}, seed=seed)


def place(trial: BlindTrial, condition: int, pair: int) -> int:
    return int(np.flatnonzero((trial.condition == condition) & (trial.pair == pair))[0])


def random_answers(trial: BlindTrial, *, share: float = 1.0, unclear: float = 0.15, seed: int = 3) -> Answers:
    """A judge who finds fewer windows in the second condition."""
    random = np.random.default_rng(seed)
    given: dict[int, Answer] = {}
    for index in range(len(trial.pictures)):
        if random.random() >= share:
            continue
        found = random.random() < (0.8, 0.3, 0.7)[trial.condition[index]]
        if random.random() < unclear:
            given[index] = "unclear"
        elif trial.answer_kind == "yes-no":
            given[index] = "yes" if found else "no"
        else:
            corners = random.integers(0, 12, (random.integers(1, 4), 2)) / 2
            sides = random.integers(1, 20, corners.shape) / 2
            boxes = np.concatenate([corners, sides], 1).tolist()
            given[index] = tuple((a, b, c, d) for a, b, c, d in boxes) if found else ()
    return Answers(trial.digest, "a tester", given)


@pytest.mark.parametrize("kind", ["boxes", "yes-no"])
def test_the_figure_shows_answers_numbers_and_what_was_done(kind: AnswerKind) -> None:
    trial = make_trial(kind)
    answers = random_answers(trial, share=0.9)
    result = unblind(trial, answers)
    figure = blind_figure(result)
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
