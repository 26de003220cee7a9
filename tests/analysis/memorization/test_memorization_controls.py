"""Both bundled controls: the verdict is "copies" on the one that was made to, and "no sign of copying" on the other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dcgan_viz.analysis.memorization.memorization import Memorization, memorization
from dcgan_viz.card import bundled_models
from dcgan_viz.data.images import ImageSet
from dcgan_viz.model import load
from dcgan_viz.rooms.training_sets import held_out_images, training_images

SAMPLES = 300
FEWER = 600
"""Of the training rooms of ``rooms``, so that the test takes seconds: one in 20 copies would be of these."""


@pytest.fixture
def few_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer planted copies of each kind, and hardly any walks."""
    for name, number in (("PLANTED", 60), ("WALKS", 2), ("WALK_STEPS", 8)):
        monkeypatch.setattr(f"dcgan_viz.analysis.memorization.memorization.{name}", number)


def judged(name: str, held_out: bool = True) -> Memorization:
    if name not in bundled_models():
        pytest.skip(f"the model {name} is not bundled")
    model = load(name)
    rooms = training_images(model) if name == "rooms-memorized" else _first_rooms(name)
    others = held_out_images(model, SAMPLES) if held_out else None
    return memorization(model, rooms, others, samples=SAMPLES)


def _first_rooms(name: str, count: int = FEWER) -> ImageSet:
    model = load(name)
    rooms = {**model.card.training["procedural rooms"], "count": count}
    card = replace(model.card, training={**model.card.training, "procedural rooms": rooms})
    return training_images(replace(model, card=card))


@pytest.mark.usefixtures("few_controls")
def test_a_generator_of_many_rooms_shows_no_sign_of_copying() -> None:
    found = judged("rooms")
    assert not found.copies
    assert found.verdict.startswith("No sign of copying: ")
    assert found.planted[0].detectable_share < 0.05


@pytest.mark.usefixtures("few_controls")
@pytest.mark.parametrize("held_out", [True, False])
def test_few_of_its_many_rooms_are_no_false_alarm(held_out: bool) -> None:
    """9 % of the samples lie near one of 64 rooms, of other rooms 3 %: both lie near two or three rooms of the 64."""
    model = load("rooms")
    others = held_out_images(model, SAMPLES) if held_out else None
    found = memorization(model, _first_rooms("rooms", 64), others, samples=SAMPLES)
    assert not found.copies
    assert "So few training images may have up to " in found.verdict
    assert found.near[1].samples.share.value > 2 * found.near[1].references.share.value


def test_a_generator_that_has_memorised_its_rooms_copies() -> None:
    found = judged("rooms-memorized")
    check_copies(found)
    assert found.dwelling.contrast.value > found.dwelling.null.high


@pytest.mark.usefixtures("few_controls")
def test_it_copies_without_held_out_rooms_too() -> None:
    check_copies(judged("rooms-memorized", held_out=False))


def check_copies(found: Memorization) -> None:
    assert found.copies
    assert found.verdict.startswith("The generator copies: ")
    assert found.near[0].samples.share.value > 0.5
