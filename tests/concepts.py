"""Concepts of the tiny model, for the tests of arithmetic and of turning and of their figures."""

from __future__ import annotations

from dcgan_viz.annotations.concepts import Concepts
from dcgan_viz.model import DCGAN

EXPRESSION = "smiling woman - woman + man"


def people(model: DCGAN) -> Concepts:
    """What `EXPRESSION` names, what it is to show, and a concept of too few exemplars."""
    picked = {
        "smiling woman": (7, 2, 5, 30, 31, 32),
        "woman": (1, 3, 4),
        "man": (8, 6, 9, 10),
        "smiling man": (20, 21, 22, 23, 24),
        "hat": (11, 12),
    }
    return Concepts(11, 40, model.generator_digest(), "a tester", "by hand", picked)


def sides(model: DCGAN) -> Concepts:
    """Looking left and right, and a concept of too few exemplars."""
    picked = {"looking left": (7, 2, 5, 9, 10), "looking right": (1, 3, 4, 8), "few": (0, 6, 11)}
    return Concepts(11, 12, model.generator_digest(), "a tester", "by hand", picked)
