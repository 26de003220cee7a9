from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dcgan_viz.card import Card
from dcgan_viz.data.images import ImageSet, load_images
from dcgan_viz.errors import UserError
from dcgan_viz.model import load
from dcgan_viz.networks import dcgan
from dcgan_viz.training.checkpoints import (
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from dcgan_viz.training.execution import choose_execution
from dcgan_viz.training.loop import resume_training, train
from dcgan_viz.training.settings import TrainingSettings
from dcgan_viz.training.step import Adversaries

NETWORKS = dcgan(16, width=4, latent_dim=8)


@pytest.fixture
def images() -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    return ImageSet(pixels, tuple(map(str, range(40))))


def test_a_run_leaves_model_samples_log_and_checkpoints(images: ImageSet, tmp_path: Path) -> None:
    card = Card("mine", "a trial", NETWORKS, "noise", "free")
    result = train(
        images, NETWORKS, TrainingSettings(steps=5, batch_size=8), tmp_path, card=card, checkpoint_every=2, keep=1,
        keep_every=2, precision="fp32", device="cpu",
    )  # fmt: skip
    assert result.steps == 5
    assert list_checkpoints(tmp_path / "checkpoints") == [2, 4, 5]
    assert len(list((tmp_path / "samples").iterdir())) == 3
    assert list((tmp_path / "tensorboard").iterdir())
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 5]
    assert set(lines[0]) == {"step", "loss_d", "loss_g", "d_real", "d_generated", "images_per_second"}
    model = load(tmp_path)
    assert model.card.name == "mine"
    assert model.card.training["images seen"] == 40
    assert model.card.training["settings"]["learning_rate"] == 2e-4
    assert model.card.training["versions"]["torch"] == torch.__version__


def test_the_moving_average_is_what_is_saved(images: ImageSet, tmp_path: Path) -> None:
    train(
        images, NETWORKS, TrainingSettings(steps=6, batch_size=8, ema=0.9, learning_rate=0.01), tmp_path,
        precision="fp32", device="cpu",
    )  # fmt: skip
    tensors = load_checkpoint(tmp_path / "checkpoints" / "step-00000006.safetensors").tensors
    saved = load(tmp_path).generator.layers[1].convolution.weight
    name = "layers.1.convolution.weight"
    assert torch.allclose(saved, tensors[f"average.{name}"], atol=1e-3)
    assert not torch.allclose(saved, tensors[f"generator.{name}"], atol=1e-3)


@pytest.mark.parametrize(
    ("device", "ability", "expected"),
    [
        ("cuda", (8, 0), "bf16 channels-last"),
        ("cuda", (7, 5), "fp32"),
        ("cpu", {"avx512_bf16": True}, "bf16 channels-last"),
        ("cpu", {"amx_bf16": False, "avx512_bf16": False}, "fp32"),
        ("mps", None, "fp32"),
    ],
)
def test_the_device_and_nothing_else_decides_the_precision(
    device: str, ability: Any, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: ability)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: ability, raising=False)
    assert {str(choose_execution(device)) for _ in range(5)} == {expected}
    assert str(choose_execution(device, "fp32")) == "fp32"
    assert str(choose_execution(device, "bf16")) == "bf16 channels-last"


def test_losses_that_are_not_finite_stop_the_run(images: ImageSet, tmp_path: Path) -> None:
    settings = TrainingSettings(steps=60, batch_size=8)
    # No user can ask for it.
    object.__setattr__(settings, "learning_rate", 1e30)
    with pytest.raises(UserError, match=r"no longer finite at step 25; there is no checkpoint yet"):
        train(images, NETWORKS, settings, tmp_path, precision="fp32", device="cpu", checkpoint_every=50)
    assert not list_checkpoints(tmp_path / "checkpoints")
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_a_folder_whose_name_is_no_text_is_refused_before_anything_is_written(images: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run\\udcfe is not UTF-8, as TensorBoard wants it: choose another folder"):
        train(images, NETWORKS, TrainingSettings(steps=1, batch_size=8), tmp_path / os.fsdecode(b"run\xfe"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("every", "stop_at"), [(5, None), (50, 6)])
def test_weights_that_are_not_finite_stop_the_run_before_they_are_saved(
    images: ImageSet, tmp_path: Path, every: int, stop_at: int | None
) -> None:
    settings, asked = TrainingSettings(steps=60, batch_size=8, r1=1e30), iter(range(1, 60))
    with pytest.raises(
        UserError,
        match=r"no longer finite at step [56]; there is no checkpoint yet: start again with a lower .* or `r1`",
    ):
        train(
            images, NETWORKS, settings, tmp_path, precision="fp32", device="cpu", checkpoint_every=every,
            stop=lambda: next(asked) == stop_at,
        )  # fmt: skip
    assert not list_checkpoints(tmp_path / "checkpoints")


def test_losses_that_are_not_finite_name_the_last_good_checkpoint(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TrainingSettings(steps=60, batch_size=8)
    step = Adversaries.step

    def explodes(self: Adversaries, real: torch.Tensor, number: int, random: np.random.Generator) -> Any:
        losses = step(self, real, number, random)
        return replace(losses, generator=losses.generator * float("nan")) if number == 12 else losses

    monkeypatch.setattr(Adversaries, "step", explodes)
    with pytest.raises(UserError, match=r"at step 20; the last checkpoint is .*step-00000010.* go on .* `resume=True`"):
        train(images, NETWORKS, settings, tmp_path, precision="fp32", device="cpu", checkpoint_every=10)
    assert load(tmp_path).card.training["steps"] == 10


def spread(monkeypatch: pytest.MonkeyPatch, collapsed: str) -> None:
    """Samples of a run are alike at the checkpoints that are 1."""
    spreads = iter([value for flag in collapsed for value in ((0.01, 0.5)[flag == "0"], 0.5)])
    monkeypatch.setattr("dcgan_viz.training.loop.diversity", lambda _: next(spreads))


def test_a_warning_is_said_once_and_names_a_checkpoint_that_was_healthy_and_stays(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    spread(monkeypatch, "00011011")
    result = train(
        images, NETWORKS, TrainingSettings(steps=8, batch_size=8), tmp_path, checkpoint_every=1, keep=1,
        precision="fp32", device="cpu", say=said.append,
    )  # fmt: skip
    way_back = "the last healthy checkpoint is step 2: `resume=True` with `from_step=2`"
    (warning,) = said
    assert warning.startswith("step 4: the samples have collapsed")
    assert warning.endswith(way_back)
    (standing,) = result.warnings
    assert standing.startswith("step 8: the samples have collapsed")
    assert standing.endswith(way_back)
    # The healthy one stays although only the newest is to be kept, and the one after it was without a warning too.
    assert list_checkpoints(tmp_path / "checkpoints") == [2, 8]
    # A process that goes on says what stands, for its user may not have seen it.
    said.clear()
    assert resume_training(images, tmp_path, keep=1, device="cpu", say=said.append).warnings == (standing,)
    assert said == ["resuming after step 8", standing]
    # Gone back to, it is still what is healthy, although the one that was known then is gone.
    spread(monkeypatch, "1")
    said.clear()
    again = resume_training(images, tmp_path, from_step=2, steps=3, keep=1, device="cpu", say=said.append)
    assert said[-1].endswith(way_back)
    assert again.warnings == (said[-1],)
    assert list_checkpoints(tmp_path / "checkpoints") == [2, 3]


def test_what_may_turn_out_to_be_healthy_stays_where_a_run_is_stopped(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread(monkeypatch, "0001")
    answers = iter([False] * 4 + [True])
    train(
        images, NETWORKS, TrainingSettings(steps=8, batch_size=8), tmp_path, checkpoint_every=2, keep=1,
        precision="fp32", device="cpu", stop=lambda: next(answers),
    )  # fmt: skip
    # 5 is where it was stopped, 4 the newest that was judged, 2 the last healthy one.
    assert list_checkpoints(tmp_path / "checkpoints") == [2, 4, 5]
    result = resume_training(images, tmp_path, keep=1, device="cpu")
    assert result.warnings[0].endswith("the last healthy checkpoint is step 4: `resume=True` with `from_step=4`")
    assert list_checkpoints(tmp_path / "checkpoints") == [4, 8]


@pytest.mark.slow
def test_the_best_checkpoint_stays_and_is_named(images: ImageSet, tmp_path: Path) -> None:
    values = iter([0.5, 0.1, *[0.3] * 6])
    seen: list[torch.Size] = []
    said: list[str] = []

    def quality(samples: torch.Tensor) -> float:
        seen.append(samples.shape)
        return next(values)

    train(
        images, NETWORKS, TrainingSettings(steps=8, batch_size=8), tmp_path, checkpoint_every=1, keep=1,
        precision="fp32", device="cpu", quality=quality, say=said.append,
    )  # fmt: skip
    assert seen == [(2048, 3, 16, 16)] * 8
    assert {2, 8} <= set(list_checkpoints(tmp_path / "checkpoints"))
    assert 3 not in list_checkpoints(tmp_path / "checkpoints")
    assert load(tmp_path / "best").card.training["steps"] == 2
    assert load(tmp_path).card.training["best checkpoint"] == {"step": 2, "quality": 0.1}
    assert any(
        "step 7: the quality has stopped falling" in sentence and "step 2 (0.1)" in sentence for sentence in said
    )
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["quality"] for line in lines[:3]] == [0.5, 0.1, 0.3]
    # It stays known when the run goes on without being measured.
    resume_training(images, tmp_path, steps=9, keep=1, device="cpu")
    assert load(tmp_path).card.training["best checkpoint"] == {"step": 2, "quality": 0.1}
    assert 2 in list_checkpoints(tmp_path / "checkpoints")


def test_pruning_keeps_the_newest_every_nth_and_the_protected(tmp_path: Path) -> None:
    for step in range(1, 11):
        save_checkpoint(tmp_path, Checkpoint(step, {"x": torch.zeros(1)}, {}))
    (tmp_path / "notes.txt").touch()
    prune_checkpoints(tmp_path, 2, 4, (3, None))
    assert list_checkpoints(tmp_path) == [3, 4, 8, 9, 10]
    assert (tmp_path / "notes.txt").exists()


@pytest.mark.realdata
def test_real_bedrooms_train(realdata: Path, tmp_path: Path) -> None:
    bedrooms = load_images(realdata / "lsun_bedrooms_10k.zip", 32, limit=64)
    networks = dcgan(32, width=8, kernel=4, top_layer=True)
    said: list[str] = []
    result = train(
        bedrooms, networks, TrainingSettings(steps=20, batch_size=16, flip=True, augment=("translation",)), tmp_path,
        precision="bf16", device="cpu", say=said.append,
    )  # fmt: skip
    assert not said
    assert load(result.folder).sample(4).std() > 0.01


def test_a_run_goes_on_from_a_trained_model(tmp_path: Path) -> None:
    images = ImageSet(np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), dtype=np.uint8), ("noise",) * 16)
    spec = dcgan(16, width=4)
    first = train(images, spec, TrainingSettings(steps=3, batch_size=8), tmp_path / "first", precision="fp32")
    trained = load(first.model)
    # With a learning rate of next to nothing the weights stay where they began.
    still = TrainingSettings(steps=1, batch_size=8, learning_rate=1e-12, ema=0.5, seed=5)
    second = train(images, spec, still, tmp_path / "second", precision="fp32", start_from=trained)
    tuned = load(second.model)
    for side in ("generator", "discriminator"):
        for (name, a), b in zip(
            getattr(tuned, side).named_parameters(), getattr(trained, side).parameters(), strict=True
        ):
            assert torch.allclose(a, b, atol=1e-6), name
    assert tuned.card.training["started from"] == trained.card.name
    longer = resume_training(images, tmp_path / "second", steps=2)
    assert load(longer.model).card.training["started from"] == trained.card.name
    with pytest.raises(UserError, match="has other networks than this run"):
        train(images, dcgan(16, width=8), still, tmp_path / "third", precision="fp32", start_from=trained)
