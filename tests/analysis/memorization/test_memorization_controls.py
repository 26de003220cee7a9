"""Both bundled controls: the verdict is "copies" on the one that was made to, and "no sign of copying" on the other."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from torch import Tensor

from dcgan_viz.analysis.memorization.memorization import Memorization, memorization
from dcgan_viz.card import bundled_models
from dcgan_viz.data.images import ImageSet
from dcgan_viz.model import DCGAN, load
from dcgan_viz.rooms.training_sets import held_out_images, training_images

SAMPLES = 200
PLANTED = 20

pytestmark = pytest.mark.usefixtures("few_controls")
FEWER = 300
"""Of the training rooms of ``rooms``, so that the test takes seconds: one in 40 copies would be of these."""


@cache
def remembering(name: str) -> DCGAN:
    """A bundled model that draws each batch of samples once for all tests of this file."""
    if name not in bundled_models():
        pytest.skip(f"the model {name} is not bundled")
    model = load(name)
    draw, drawn = model.generator.forward, {}

    def draw_once(z: Tensor) -> Tensor:
        key = z.numpy().tobytes()
        if key not in drawn:
            drawn[key] = draw(z)
        return drawn[key].clone()

    model.generator.forward = draw_once
    return model


@cache
def held_out_rooms(name: str) -> ImageSet:
    return held_out_images(remembering(name), SAMPLES)


def judged(name: str, held_out: bool = True) -> Memorization:
    model = remembering(name)
    rooms = training_images(model) if name == "rooms-memorized" else _first_rooms(name)
    return memorization(model, rooms, held_out_rooms(name) if held_out else None, samples=SAMPLES)


@cache
def _first_rooms(name: str, count: int = FEWER) -> ImageSet:
    model = remembering(name)
    rooms = {**model.card.training["procedural rooms"], "count": count}
    card = replace(model.card, training={**model.card.training, "procedural rooms": rooms})
    return training_images(replace(model, card=card))


def test_a_generator_of_many_rooms_shows_no_sign_of_copying() -> None:
    found = judged("rooms")
    assert not found.copies
    assert found.verdict.startswith("No sign of copying: ")
    assert found.planted[0].detectable_share < 0.12


@pytest.mark.parametrize("held_out", [True, False])
def test_few_of_its_many_rooms_are_no_false_alarm(held_out: bool) -> None:
    """9 % of the samples lie near one of 64 rooms, of other rooms 3 %: both lie near two or three rooms of the 64."""
    others = held_out_rooms("rooms") if held_out else None
    found = memorization(remembering("rooms"), _first_rooms("rooms", 64), others, samples=SAMPLES)
    assert not found.copies
    assert "So few training images may have up to " in found.verdict
    assert found.near[1].samples.share.value > 2 * found.near[1].references.share.value


def test_a_generator_that_has_memorised_its_rooms_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in (("WALKS", 16), ("WALK_STEPS", 24)):
        monkeypatch.setattr(f"dcgan_viz.analysis.memorization.memorization.{name}", number)
    found = judged("rooms-memorized")
    check_copies(found)
    assert found.dwelling.contrast.value > found.dwelling.null.high


def test_it_copies_without_held_out_rooms_too() -> None:
    check_copies(judged("rooms-memorized", held_out=False))


def check_copies(found: Memorization) -> None:
    assert found.copies
    assert found.verdict.startswith("The generator copies: ")
    assert found.near[0].samples.share.value > 0.5
