"""A run that is killed, stopped or damaged and then resumed ends exactly like one that was not."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dcgan_viz.data.images import ImageSet
from dcgan_viz.errors import UserError
from dcgan_viz.locking import only_process
from dcgan_viz.model import load
from dcgan_viz.networks import dcgan
from dcgan_viz.training.checkpoints import checkpoint_path, list_checkpoints, load_checkpoint
from dcgan_viz.training.execution import Precision
from dcgan_viz.training.loop import resume_training, train
from dcgan_viz.training.run import read_run
from dcgan_viz.training.settings import TrainingSettings

PIXELS = np.random.default_rng(0).integers(0, 256, (70, 16, 16, 3), dtype=np.uint8)
IMAGES = ImageSet(PIXELS, tuple(map(str, range(70))))
NETWORKS, SETTINGS = dcgan(16, width=4, latent_dim=8), TrainingSettings(steps=12, batch_size=8, ema=0.9)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan_viz.training.snapshot.RECALIBRATION_SAMPLES", 64)


def begin(folder: Path, **options: Any) -> None:
    train(
        IMAGES, NETWORKS, SETTINGS, folder, **{"checkpoint_every": 4, "precision": "fp32", "device": "cpu", **options}
    )


def tensors(folder: Path, step: int = 12) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(checkpoint_path(folder / "checkpoints", step)).tensors)


def log_of(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{**json.loads(line), "images_per_second": 0} for line in lines]


def check_alike(one: Path, other: Path, step: int = 12) -> None:
    expected, found = tensors(one, step), tensors(other, step)
    assert expected.keys() == found.keys()
    assert any(name.startswith("discriminator_optimizer") for name in expected)
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name
    for name in ("model/weights.safetensors", f"samples/step-{step:08d}.png"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert log_of(one) == log_of(other)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dcgan_viz.training.snapshot.RECALIBRATION_SAMPLES", 64)
        begin(folder)
    return folder


# --- Real signals to a real process -------------------------------------------------------------------------------


def command(array: Path, out: Path, steps: int) -> list[str]:
    line = f"train {array} --out {out} --size 16 --width 4 --latent 8 --batch-size 8 --steps {steps} --top-layer"
    line += " --checkpoint-every 10 --precision fp32 --device cpu --flip --augment color,translation,cutout --ema 0.9"
    line += " --r1 1 --copying 5"
    return line.split()


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent", [pytest.param(signal.SIGKILL, marks=pytest.mark.long), signal.SIGTERM], ids=["killed", "terminated"]
)
def test_a_run_that_a_signal_ended_resumes_exactly(sent: signal.Signals, tmp_path: Path, run: Any) -> None:
    array, broken = tmp_path / "pictures.npy", tmp_path / "broken"
    np.save(array, PIXELS)
    # With as many threads as here: other numbers of them round sums otherwise.
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    # It would go on for hours: however slowly a busy machine sends the signal, it is not done by then.
    line = [sys.executable, "-m", "dcgan_viz.cli.main", *command(array, broken, 10**6)]
    process = subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True)
    while not list_checkpoints(broken / "checkpoints"):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    time.sleep(float(np.random.default_rng().uniform(0, 0.2)))
    process.send_signal(sent)
    _, said = process.communicate()
    steps = list_checkpoints(broken / "checkpoints")[-1] + 12
    assert process.returncode == (143 if sent == signal.SIGTERM else -signal.SIGKILL)
    assert ("stopped after step" in said) == (sent == signal.SIGTERM)
    assert "Traceback" not in said
    # What is said needs nothing else; the whole run is made here, without another start of Python.
    assert run("train", array, "--out", broken, "--device", "cpu", "--resume", "--steps", steps).exit_code == 0
    assert run(*command(array, tmp_path / "whole", steps)).exit_code == 0
    check_alike(tmp_path / "whole", broken, steps)


# --- Stops, damage and full disks in this process -----------------------------------------------------------------


@pytest.mark.parametrize("after", [1, 4, 6])
def test_a_stop_saves_what_goes_on_exactly(after: int, whole: Path, tmp_path: Path) -> None:
    """Also between two lines of the log, whose losses are summed on."""
    asked = iter(range(1, 100))
    result = train(
        IMAGES, NETWORKS, SETTINGS, tmp_path, checkpoint_every=4, precision="fp32", device="cpu",
        stop=lambda: next(asked) == after,
    )  # fmt: skip
    assert (result.steps, result.finished) == (after, False)
    assert result.checkpoint == checkpoint_path(tmp_path / "checkpoints", after)
    resume_training(IMAGES, tmp_path, device="cpu")
    check_alike(whole, tmp_path)


def test_a_stopped_run_can_end_where_it_is(tmp_path: Path) -> None:
    asked = iter(range(1, 100))
    begin(tmp_path / "stopped", stop=lambda: next(asked) == 6)
    resume_training(IMAGES, tmp_path / "stopped", steps=6, device="cpu")
    settings = TrainingSettings(steps=6, batch_size=8, ema=0.9)
    train(IMAGES, NETWORKS, settings, tmp_path / "short", checkpoint_every=4, precision="fp32", device="cpu")
    check_alike(tmp_path / "short", tmp_path / "stopped", 6)


def test_a_finished_run_gets_what_it_lacks(whole: Path, tmp_path: Path) -> None:
    begin(tmp_path)
    before = (tmp_path / "model" / "README.md").stat().st_mtime_ns
    said: list[str] = []
    assert resume_training(IMAGES, tmp_path, device="cpu", say=said.append).steps == 12
    assert said == ["resuming after step 12"]
    assert (tmp_path / "model" / "README.md").stat().st_mtime_ns == before
    for lost in ("samples/step-00000012.png", "model/README.md", "model/weights.safetensors"):
        (tmp_path / lost).unlink()
        said.clear()
        resume_training(IMAGES, tmp_path, device="cpu", say=said.append)
        assert said == ["resuming after step 12", "writing what step 12 lacks"]
        check_alike(whole, tmp_path)
        assert (tmp_path / lost).exists()
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    (tmp_path / "model" / "card.json").write_text(json.dumps({**card, "training": {"steps": 8}}))
    with pytest.raises(UserError, match=r"card\.json has been changed since it was written"):
        resume_training(IMAGES, tmp_path, device="cpu")
    resume_training(IMAGES, tmp_path, device="cpu", overwrite=True)
    assert load(tmp_path).card.training["steps"] == 12


def test_a_truncated_newest_checkpoint_falls_back_to_the_one_before(whole: Path, tmp_path: Path) -> None:
    begin(tmp_path)
    newest = checkpoint_path(tmp_path / "checkpoints", 12)
    newest.write_bytes(newest.read_bytes()[:1000])
    said: list[str] = []
    resume_training(IMAGES, tmp_path, device="cpu", say=said.append)
    assert said[0] == f"{newest} is damaged and set aside as step-00000012.damaged: going back to step 8"
    check_alike(whole, tmp_path)
    for step in list_checkpoints(tmp_path / "checkpoints"):
        checkpoint_path(tmp_path / "checkpoints", step).write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a whole"):
        resume_training(IMAGES, tmp_path, device="cpu")


@pytest.mark.parametrize("wrong", ["networks", "optimizer", "health"])
def test_a_checkpoint_of_other_networks_is_one_sentence(wrong: str, tmp_path: Path) -> None:
    from dataclasses import replace

    from dcgan_viz.training.checkpoints import save_checkpoint

    begin(tmp_path)
    checkpoint = load_checkpoint(checkpoint_path(tmp_path / "checkpoints", 12))
    changed = dict(checkpoint.tensors)
    if wrong == "networks":
        del changed["generator.layers.0.linear.weight"]
    elif wrong == "optimizer":
        changed["generator_optimizer.0.exp_avg"] = torch.zeros(3, 3)
    run = {**checkpoint.run, **({"health": {"best": "x"}} if wrong == "health" else {})}
    save_checkpoint(tmp_path / "checkpoints", replace(checkpoint, tensors=changed, run=run))
    with pytest.raises(UserError, match="the checkpoint"):
        resume_training(IMAGES, tmp_path, steps=13, device="cpu")


def test_damaged_lines_of_the_log_are_set_aside(whole: Path, tmp_path: Path) -> None:
    begin(tmp_path)
    damaged = b'{"step": 4, "loss\xff\n\x00\x00\n[]\n{"step": "x"}\n'
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_bytes(damaged + metrics.read_bytes() + b'{"step": 13, "loss_d"')
    said: list[str] = []
    resume_training(IMAGES, tmp_path, device="cpu", say=said.append)
    assert any("4 damaged lines of" in sentence and "metrics.damaged.jsonl" in sentence for sentence in said)
    assert (tmp_path / "metrics.damaged.jsonl").read_bytes() == damaged
    assert log_of(tmp_path) == log_of(whole)


@contextmanager
def full_disk(bytes_left: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, which the operating system refuses as it does where the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_at_a_checkpoint_is_a_sentence_and_the_earlier_one_stays(whole: Path, tmp_path: Path) -> None:
    asked = iter(range(1, 100))
    begin(tmp_path, stop=lambda: next(asked) == 4)
    before = tensors(tmp_path, 4)
    with full_disk(60_000), pytest.raises(UserError, match=r"cannot write .*step-00000008") as refused:
        resume_training(IMAGES, tmp_path, device="cpu")
    assert f"the last checkpoint is {checkpoint_path(tmp_path / 'checkpoints', 4)}: go on" in str(refused.value)
    assert list_checkpoints(tmp_path / "checkpoints") == [4]
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors(tmp_path, 4).items())
    resume_training(IMAGES, tmp_path, device="cpu")
    check_alike(whole, tmp_path)


def test_going_back_drops_the_later_checkpoints(whole: Path, tmp_path: Path) -> None:
    begin(tmp_path)
    said: list[str] = []
    with pytest.raises(UserError, match="choose from 4, 8, 12"):
        resume_training(IMAGES, tmp_path, from_step=5)
    resume_training(IMAGES, tmp_path, from_step=4, steps=6, device="cpu", say=said.append)
    assert said[0] == "resuming after step 4"
    assert list_checkpoints(tmp_path / "checkpoints") == [4, 6]
    assert load(tmp_path).card.training["steps"] == 6
    resume_training(IMAGES, tmp_path, from_step=4, steps=12, device="cpu")
    check_alike(whole, tmp_path)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_resuming_is_exact_in_both_memory_layouts(precision: Precision, tmp_path: Path) -> None:
    """Once, moments were restored contiguous beside channels-last weights: fused Adam then mixed them up."""
    begin(tmp_path, precision=precision)
    expected = tensors(tmp_path)
    resume_training(IMAGES, tmp_path, from_step=8, device="cpu")
    for name, tensor in tensors(tmp_path).items():
        assert torch.equal(tensor, expected[name]), name


def test_other_threads_are_said(tmp_path: Path) -> None:
    """They round sums otherwise, so that the weights are not those of an unbroken run."""
    before = torch.get_num_threads()
    said: list[str] = []
    begin(tmp_path)
    assert read_run(tmp_path).run.threads == before
    try:
        torch.set_num_threads(before + 1)
        resume_training(IMAGES, tmp_path, device="cpu", say=said.append)
    finally:
        torch.set_num_threads(before)
    assert said[0].startswith(f"the run goes on with {before + 1} threads after {before}, which rounds sums otherwise")
    assert said[0].endswith(f"set OMP_NUM_THREADS={before}")
    said.clear()
    resume_training(IMAGES, tmp_path, device="cpu", say=said.append)
    assert said == [f"resuming after step {SETTINGS.steps}"]


@pytest.mark.parametrize("begun", [False, True], ids=["before the first checkpoint", "after it"])
def test_a_second_process_is_refused(begun: bool, tmp_path: Path) -> None:
    if begun:
        begin(tmp_path)
    with only_process(tmp_path):
        for second in (begin, lambda folder: resume_training(IMAGES, folder, steps=13, device="cpu")):
            with pytest.raises(UserError, match=f"process {os.getpid()} is at work in"):
                second(tmp_path)


@pytest.mark.parametrize("name", ["metrics.jsonl", "model/card.json", "samples/a.png", "checkpoints/notes.txt"])
def test_a_folder_with_somebody_elses_files_is_no_new_run(name: str, tmp_path: Path) -> None:
    theirs = tmp_path / name
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("mine")
    with pytest.raises(UserError, match="was not written by a run of dcgan-viz"):
        begin(tmp_path)
    assert [f for f in tmp_path.rglob("*") if f.is_file()] == [theirs]
    assert theirs.read_text() == "mine"


def test_a_run_of_an_earlier_version_goes_on(whole: Path, tmp_path: Path) -> None:
    """Its checkpoints lack the card, the interval, the images seen, and settings that came later."""
    from dataclasses import replace

    from dcgan_viz.training.checkpoints import save_checkpoint

    begin(tmp_path)
    newest = load_checkpoint(checkpoint_path(tmp_path / "checkpoints", 8))
    old = {key: newest.run[key] for key in ("networks", "execution", "versions", "device", "devices", "images")}
    old["settings"] = {k: v for k, v in newest.run["settings"].items() if k not in ("r1", "copying")}
    old["health"] = {"last_healthy": 8, "varied": False}
    save_checkpoint(tmp_path / "checkpoints", replace(newest, run=old))
    saved = read_run(tmp_path, 8)
    assert saved.run.settings == SETTINGS
    assert saved.run.card.name == "untitled"
    assert saved.run.checkpoint_every == 100
    resume_training(IMAGES, tmp_path, from_step=8, checkpoint_every=4, device="cpu")
    check_alike(whole, tmp_path)
    assert load(tmp_path).card.training["images seen"] == 96
