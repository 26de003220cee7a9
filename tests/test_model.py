from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dcgan_viz.card import CARD_FILE, Card, bundled_models, load_card
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, WEIGHTS_FILE, load


def test_a_saved_model_loads_and_draws_the_same(tiny_model: DCGAN, tmp_path: Path) -> None:
    first = load(tiny_model.save(tmp_path / "once"))
    second = load(first.save(tmp_path / "twice"))
    # Weights are stored as fp16: the first saving rounds, the second changes nothing.
    assert torch.equal(first.sample(5), second.sample(5))
    assert torch.allclose(first.sample(5), tiny_model.sample(5), atol=0.02)
    assert first.generator_digest() == second.generator_digest()
    assert first.card == tiny_model.card


def test_the_card_survives_json(tiny_model: DCGAN) -> None:
    assert Card.from_dict(json.loads(json.dumps(tiny_model.card.to_dict()))) == tiny_model.card


def test_samples_follow_the_seed_and_not_the_count(tiny_model: DCGAN) -> None:
    assert torch.equal(tiny_model.sample(3, seed=1), tiny_model.sample(3, seed=1))
    assert not torch.equal(tiny_model.sample(3, seed=1), tiny_model.sample(3, seed=2))
    assert torch.equal(tiny_model.latents(100, 1)[:7], tiny_model.latents(7, 1))
    assert torch.allclose(tiny_model.sample(70, seed=1)[:3], tiny_model.sample(3, seed=1), atol=1e-5)


def test_a_sample_does_not_depend_on_its_batch_mates(tiny_model: DCGAN) -> None:
    z = tiny_model.latents(6, 0)
    together = tiny_model.generate(z)
    alone = torch.cat([tiny_model.generate(one) for one in z.split(1)])
    assert torch.allclose(together, alone, atol=1e-5)
    assert together.dtype == torch.float32
    assert together.abs().max() <= 1


def test_the_digest_follows_the_generator_alone(tiny_model: DCGAN) -> None:
    digest = tiny_model.generator_digest()
    next(tiny_model.discriminator.parameters()).data.add_(1)
    assert tiny_model.generator_digest() == digest
    next(tiny_model.generator.parameters()).data[0, 0] += 1e-3
    assert tiny_model.generator_digest() != digest


def test_an_unknown_model_names_the_bundled_ones() -> None:
    with pytest.raises(UserError, match=r"there is no model nothing.*card\.json"):
        load("nothing")


@pytest.mark.parametrize("name", ["mine.py", "mine.py:"])
def test_a_file_of_code_is_asked_for_its_function(name: str) -> None:
    with pytest.raises(UserError, match=f"^{name} names no function: give mine.py:FUNCTION"):
        load(name)


def test_a_run_that_has_not_ended_is_said_to_have_no_model_yet(tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match=r"has not written its model yet: .* train DATA --out .*run --resume"):
        load(tmp_path / "run")


def test_a_device_that_is_not_here_is_refused(tiny_folder: Path, refused) -> None:
    assert "tpu is not a device: choose cpu, cuda or mps" in refused(
        "sample", "--model", tiny_folder, "--device", "tpu"
    )
    assert "there is no device cuda:99 here" in refused("sample", "--model", tiny_folder, "--device", "cuda:99")


def test_damaged_files_are_refused_by_name(tiny_folder: Path, refused) -> None:
    weights = tiny_folder / WEIGHTS_FILE
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "not a whole safetensors file" in refused("sample", "--model", tiny_folder)
    weights.unlink()
    assert f"{WEIGHTS_FILE} is missing" in refused("sample", "--model", tiny_folder)
    weights.write_bytes(whole)
    (tiny_folder / CARD_FILE).write_text("{")
    assert "not a model card" in refused("info", tiny_folder)
    (tiny_folder / CARD_FILE).write_text('{"name": "x"}')
    assert "not a model card" in refused("info", tiny_folder)
    assert not Path("samples.png").exists()


def test_weights_of_another_shape_are_refused_with_both_shapes(tiny_folder: Path, refused) -> None:
    tensors = load_file(tiny_folder / WEIGHTS_FILE)
    name = "generator.layers.0.linear.weight"
    save_file({**tensors, name: torch.zeros(3, 5)}, tiny_folder / WEIGHTS_FILE)
    sentence = refused("sample", "--model", tiny_folder)
    assert name in sentence
    assert "(3, 5)" in sentence
    assert "(128, 8)" in sentence
    del tensors[name]
    save_file(tensors, tiny_folder / WEIGHTS_FILE)
    assert f"has no tensor {name}" in refused("sample", "--model", tiny_folder)


class _Bomb:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("exploded"),)


def test_a_pickle_bomb_does_not_go_off(tiny_folder: Path, refused) -> None:
    (tiny_folder / WEIGHTS_FILE).write_bytes(pickle.dumps(_Bomb()))
    assert "pickled weights are never loaded" in refused("sample", "--model", tiny_folder)
    torch.save({"generator": _Bomb()}, tiny_folder / WEIGHTS_FILE)
    assert "never loaded" in refused("forget", "--model", tiny_folder)
    assert not Path("exploded").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", bundled_models())
def test_every_bundled_model_is_whole(name: str) -> None:
    model = load(name)
    assert model.card.name == name
    assert model.card.weaknesses
    assert model.card.commands
    assert "not stated" not in (model.card.data, model.card.terms)
    samples = model.sample(64)
    assert samples.isfinite().all()
    distances = torch.pdist(samples.flatten(1)) / samples[0].numel() ** 0.5
    assert distances.min() > 0.05, "two of 64 samples are alike"
    folder = model.folder
    assert folder is not None
    assert (folder / "README.md").read_text() == model.card.page()
    assert (folder / WEIGHTS_FILE).stat().st_size < 60 * 2**20


def test_a_card_lists_things_in_words(tiny_model: DCGAN) -> None:
    training = {"settings": {"augment": ["color", "cutout"]}, "imported": {"given": []}}
    page = replace(tiny_model.card, training=training).page()
    assert "| settings.augment | color, cutout |" in page
    assert "| imported.given | none |" in page


def test_cards_are_read_without_weights(tiny_model: DCGAN, tiny_folder: Path) -> None:
    (tiny_folder / "weights.safetensors").unlink()
    assert load_card(tiny_folder).networks == tiny_model.networks
    with pytest.raises(UserError, match="there is no model nowhere"):
        load_card("nowhere")
