from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, load
from dcgan_viz.networks import dcgan
from dcgan_viz.progress import Stage
from dcgan_viz.rooms.drawing import draw_rooms
from dcgan_viz.rooms.training_sets import (
    HELD_OUT_FILE,
    ROOMS,
    TRAINING_FILE,
    count_training_images,
    has_training_images,
    held_out_images,
    training_images,
)


def rooms_model(make_model, channels: int = 3, **rooms: object) -> DCGAN:
    model = make_model(dcgan(32, width=4, latent_dim=8, channels=channels))
    return replace(model, card=replace(model.card, training={ROOMS: rooms}))


@pytest.mark.slow
def test_the_training_rooms_are_drawn_again(make_model) -> None:
    model = rooms_model(make_model, seed=3, first=5, count=300)
    assert has_training_images(model)
    calls: list[Stage] = []

    def progress(items, stage):
        calls.append(stage)
        return items

    rooms = training_images(model, progress)
    assert [(stage.what, stage.total) for stage in calls] == [("drawing the training rooms", 2)]
    assert np.array_equal(rooms.pixels, draw_rooms(300, 32, seed=3, first=5).pixels)
    assert rooms.names[0] == "room 5"
    assert np.array_equal(training_images(model, most=7).pixels, rooms.pixels[:7])
    assert count_training_images(model) == 300


def test_held_out_rooms_are_no_training_rooms(make_model) -> None:
    few = held_out_images(rooms_model(make_model, seed=3, first=0, count=64), 4)
    assert np.array_equal(few.pixels, draw_rooms(4, 32, seed=3, first=1_000_000).pixels)
    many = held_out_images(rooms_model(make_model, seed=3, first=0, count=2_000_000), 4)
    assert many.names == tuple(f"room {2_000_000 + k}" for k in range(4))


def test_images_that_are_kept_beside_a_model_are_taken(make_model, tmp_path: Path) -> None:
    model = load(rooms_model(make_model, seed=3, first=0, count=4).save(tmp_path / "copier"))
    pictures = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    for name, chosen in ((TRAINING_FILE, range(4)), (HELD_OUT_FILE, range(6))):
        with zipfile.ZipFile(tmp_path / "copier" / name, "w") as archive:
            for k in chosen:
                file = io.BytesIO()
                Image.fromarray(pictures[k]).save(file, "PNG")
                archive.writestr(f"{k}.png", file.getvalue())
    assert has_training_images(model)
    assert np.array_equal(training_images(model).pixels, pictures[:4])
    assert np.array_equal(held_out_images(model, 5).pixels, pictures[:5])
    assert len(held_out_images(model, 100)) == 6


def test_the_control_comes_with_its_images() -> None:
    model = load("rooms-memorized")
    rooms = training_images(model)
    # As the card has it: the trainer's sum over the pixels.
    assert hashlib.sha256(rooms.pixels.tobytes()).hexdigest() == model.card.training["images sha256"]
    others = held_out_images(model, 400)
    assert len(others) == 400
    known = {picture.tobytes() for picture in rooms.pixels}
    assert not any(picture.tobytes() in known for picture in others.pixels)


def test_models_without_rooms_are_refused(make_model, tiny_model: DCGAN) -> None:
    assert not has_training_images(tiny_model)
    with pytest.raises(UserError, match="does not say which procedural rooms"):
        training_images(tiny_model)
    with pytest.raises(UserError, match="seed, first and count"):
        training_images(rooms_model(make_model, seed=0))
    with pytest.raises(UserError, match="colours"):
        training_images(rooms_model(make_model, channels=1, seed=0, first=0, count=4))
