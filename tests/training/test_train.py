from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan_viz.data.images import ImageSet, load_images
from dcgan_viz.errors import UserError
from dcgan_viz.model import Card, load
from dcgan_viz.networks import dcgan
from dcgan_viz.training.checkpoints import (
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from dcgan_viz.training.execution import choose_execution
from dcgan_viz.training.loop import train
from dcgan_viz.training.settings import TrainingSettings

NETWORKS = dcgan(16, width=4, latent=8)


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


def test_probing_measures_every_way_and_takes_one(images: ImageSet, tmp_path: Path) -> None:
    settings = TrainingSettings(steps=1, batch_size=4)
    said: list[str] = []
    chosen = choose_execution(NETWORKS, settings, "cpu", "auto", said.append)
    rates = {way: float(rate) for way, rate in re.findall(r"((?:fp32|bf16)(?: channels-last)?) (\d+) img/s", said[-1])}
    assert set(rates) == {"fp32", "fp32 channels-last", "bf16", "bf16 channels-last"}
    assert rates[str(chosen)] == max(rates.values())
    assert said[-1].endswith(f"taking {chosen}")
    assert choose_execution(NETWORKS, settings, "cpu", "fp32").channels_last is False
    assert choose_execution(NETWORKS, settings, "cpu", "bf16").channels_last is True


def test_losses_that_are_not_finite_stop_the_run(images: ImageSet, tmp_path: Path) -> None:
    settings = TrainingSettings(steps=60, batch_size=8, learning_rate=1e30)
    with pytest.raises(UserError, match="no longer finite at step"):
        train(images, NETWORKS, settings, tmp_path, precision="fp32", device="cpu", checkpoint_every=50)
    assert not list_checkpoints(tmp_path / "checkpoints")


def test_a_warning_names_the_checkpoint_to_go_back_to(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    spreads = iter([0.5, 0.5, 0.01, 0.5, 0.01, 0.5])
    monkeypatch.setattr("dcgan_viz.training.loop.spread", lambda _: next(spreads))
    result = train(
        images, NETWORKS, TrainingSettings(steps=6, batch_size=8), tmp_path, checkpoint_every=2, keep=1,
        precision="fp32", device="cpu", say=said.append,
    )  # fmt: skip
    assert len(said) == 2
    assert said[0].startswith("step 4: the samples have collapsed")
    assert said[1].endswith("the last healthy checkpoint is step 2: --resume --from-step 2")
    assert result.warnings == (said[1],)
    # The healthy one stays although only the newest is to be kept.
    assert list_checkpoints(tmp_path / "checkpoints") == [2, 6]


def test_pruning_keeps_the_newest_every_nth_and_the_protected(tmp_path: Path) -> None:
    for step in range(1, 11):
        save_checkpoint(tmp_path, Checkpoint(step, {"x": torch.zeros(1)}, {}))
    (tmp_path / "notes.txt").touch()
    prune_checkpoints(tmp_path, 2, 4, 3)
    assert list_checkpoints(tmp_path) == [3, 4, 8, 9, 10]
    assert (tmp_path / "notes.txt").exists()


def test_photographs_of_any_size_and_mode_train(run, photographs: Path) -> None:
    outcome = run(
        *f"train {photographs} --size 16 --width 4 --batch-size 8 --epochs 1 --precision fp32 --out run --json".split()
    )
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["steps"] == 5
    assert load("run").card.commands == (
        f"dcgan-viz train {photographs} --out run --size 16 --width 4 --epochs 1.0 --batch-size 8 --precision fp32",
    )
    assert run("sample", "--model", "run", "--count", 4).exit_code == 0


def test_grey_pictures_train_a_grey_model(run, photographs: Path) -> None:
    line = f"train {photographs} --size 16 --width 4 --channels 1 --prior normal --kernel 4 --batch-size 8 --steps 2"
    assert run(*line.split(), "--precision", "bf16", "--out", "run").exit_code == 0
    assert load("run").sample(2).shape == (2, 1, 16, 16)


def test_a_wrong_request_is_one_sentence(run, refused, photographs: Path, tmp_path: Path) -> None:
    def sentence(line: str) -> str:
        return refused(*f"train {line} --size 16 --width 4 --precision fp32 --device cpu".split())

    assert "nowhere does not exist" in sentence("nowhere --out run")
    assert "holds no images" in sentence(f"{empty(tmp_path)} --out run")
    assert "there is no preset 'celeba'" in sentence(f"{photographs} --preset celeba --out run")
    assert "not both" in sentence(f"{photographs} --steps 3 --epochs 2 --out run")
    assert "at least 1 step" in sentence(f"{photographs} --steps 0 --out run")
    assert "batches of 2 or more" in sentence(f"{photographs} --steps 1 --batch-size 1 --out run")
    assert "do not fill one batch of 128" in sentence(f"{photographs} --steps 1 --out run")
    assert "learning rate must be positive" in sentence(f"{photographs} --learning-rate 0 --out run")
    assert "ema must be" in sentence(f"{photographs} --ema 1 --out run")
    assert "augmentation 'blur' is not known" in sentence(f"{photographs} --augment blur --out run")
    assert "add --resume" in sentence(f"{photographs} --from-step 3 --out run")
    assert "no checkpoint to resume from" in sentence(f"{photographs} --batch-size 8 --resume --out run")
    assert not Path("run").exists()


def test_there_is_no_cuda_device_here(refused, photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    line = f"train {photographs} --size 16 --width 4 --batch-size 8 --steps 1 --precision fp32 --device cuda --out run"
    assert "there is no device cuda here" in refused(*line.split())


def test_resuming_another_run_or_a_damaged_one_is_refused(run, refused, photographs: Path) -> None:
    line = f"train {photographs} --size 16 --width 4 --batch-size 8 --precision fp32 --device cpu --out run"
    assert run(*line.split(), "--steps", 3).exit_code == 0
    assert "already holds a run (3 steps): add --resume" in refused(*line.split(), "--steps", 3)
    assert "already done 3 steps" in refused(*line.split(), "--steps", 3, "--resume")
    assert "other settings (flip)" in refused(*line.split(), "--steps", 9, "--resume", "--flip")
    assert "other networks" in refused(*line.split(), "--steps", 9, "--resume", "--kernel", 3)
    assert "choose from 3" in refused(*line.split(), "--steps", 9, "--resume", "--from-step", 2)
    (photographs / "00.png").unlink()
    assert "other images" in refused(*line.split(), "--steps", 9, "--resume")
    checkpoint = Path("run/checkpoints/step-00000003.safetensors")
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    assert "not a whole checkpoint" in refused(*line.split(), "--steps", 9, "--resume")


def test_a_truncated_photograph_is_named_before_training(run, refused, photographs: Path) -> None:
    (photographs / "07.png").write_bytes((photographs / "07.png").read_bytes()[:100])
    line = f"train {photographs} --size 16 --width 4 --batch-size 8 --steps 1 --precision fp32 --out run"
    assert "(07.png)" in refused(*line.split())
    assert not Path("run").exists()
    outcome = run(*line.split(), "--skip-broken")
    assert outcome.exit_code == 0
    assert load("run").card.training["images in the set"] == 39


def empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


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
    longer = train(
        images, spec, replace(still, steps=2), tmp_path / "second", precision="fp32", start_from=trained, resume=True
    )
    assert load(longer.model).card.training["started from"] == trained.card.name
    with pytest.raises(UserError, match="has other networks than this run"):
        train(images, dcgan(16, width=8), still, tmp_path / "third", precision="fp32", start_from=trained)
