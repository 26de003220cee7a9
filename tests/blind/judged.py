"""Blind trials of noise, and judges who answer at random, for the tests of reports and of their figure."""

from __future__ import annotations

import numpy as np

from dcgan_viz.blind.answers import Answer, Answers
from dcgan_viz.blind.trials import AnswerKind, BlindTrial, prepare_trial

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
        found = random.random() < (0.8, 0.3, 0.7, 0.5)[trial.condition[index]]
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
