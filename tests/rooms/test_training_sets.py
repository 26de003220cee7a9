from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks import dcgan
from dcgan_viz.progress import Stage
from dcgan_viz.rooms.drawing import draw_rooms
from dcgan_viz.rooms.training_sets import ROOMS, held_out_rooms, is_procedural, training_rooms


def rooms_model(make_model, channels: int = 3, **rooms: object) -> DCGAN:
    model = make_model(dcgan(32, width=4, latent=8, channels=channels))
    return replace(model, card=replace(model.card, training={ROOMS: rooms}))


def test_the_training_rooms_are_drawn_again(make_model) -> None:
    card = rooms_model(make_model, seed=3, first=5, count=300).card
    assert is_procedural(card)
    calls: list[Stage] = []

    def progress(items, stage):
        calls.append(stage)
        return items

    rooms = training_rooms(card, progress)
    assert [(stage.what, stage.total) for stage in calls] == [("drawing the training rooms", 2)]
    assert np.array_equal(rooms.pixels, draw_rooms(300, 32, seed=3, first=5).pixels)
    assert rooms.names[0] == "room 5"


def test_held_out_rooms_are_no_training_rooms(make_model) -> None:
    few = held_out_rooms(rooms_model(make_model, seed=3, first=0, count=64).card, 4)
    assert np.array_equal(few.pixels, draw_rooms(4, 32, seed=3, first=1_000_000).pixels)
    many = held_out_rooms(rooms_model(make_model, seed=3, first=0, count=2_000_000).card, 4)
    assert many.names == tuple(f"room {2_000_000 + k}" for k in range(4))


def test_cards_without_rooms_are_refused(make_model, tiny_model: DCGAN) -> None:
    assert not is_procedural(tiny_model.card)
    with pytest.raises(UserError, match="does not say which procedural rooms"):
        training_rooms(tiny_model.card)
    with pytest.raises(UserError, match="seed, first and count"):
        training_rooms(rooms_model(make_model, seed=0).card)
    with pytest.raises(UserError, match="colours"):
        training_rooms(rooms_model(make_model, channels=1, seed=0, first=0, count=4).card)
