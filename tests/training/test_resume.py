"""A run that is killed and resumed ends exactly like one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan_viz.data.images import ImageSet
from dcgan_viz.networks import dcgan
from dcgan_viz.training.checkpoints import checkpoint_path, list_checkpoints, load_checkpoint
from dcgan_viz.training.execution import Precision
from dcgan_viz.training.loop import train
from dcgan_viz.training.settings import TrainingSettings

STEPS = 240


@pytest.fixture
def array(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (70, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "pictures.npy", pixels)
    return tmp_path / "pictures.npy"


def command(array: Path, out: Path, *more: str) -> list[str]:
    line = f"train {array} --out {out} --size 16 --width 4 --latent 8 --batch-size 8 --steps {STEPS} --top-layer"
    line += " --checkpoint-every 10 --precision fp32 --device cpu --flip --augment color,translation,cutout --ema 0.9"
    line += " --r1 1 --copying 5"
    return [sys.executable, "-m", "dcgan_viz.cli.main", *line.split(), *more]


def one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def test_a_killed_run_resumes_exactly(array: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(array, whole), check=True, env=one_thread(), capture_output=True)

    process = subprocess.Popen(command(array, broken), env=one_thread(), stderr=subprocess.DEVNULL)
    while not list_checkpoints(broken / "checkpoints"):
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    time.sleep(float(np.random.default_rng().uniform(0, 0.5)))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list_checkpoints(broken / "checkpoints")[-1] < STEPS
    subprocess.run(command(array, broken, "--resume"), check=True, env=one_thread(), capture_output=True)

    expected = load_checkpoint(checkpoint_path(whole / "checkpoints", STEPS))
    resumed = load_checkpoint(checkpoint_path(broken / "checkpoints", STEPS))
    assert expected.tensors.keys() == resumed.tensors.keys()
    assert any(name.startswith("discriminator_optimizer") for name in expected.tensors)
    for name, tensor in expected.tensors.items():
        assert torch.equal(tensor, resumed.tensors[name]), name
    weights = "model/weights.safetensors"
    assert (whole / weights).read_bytes() == (broken / weights).read_bytes()
    logs = [
        [{**json.loads(line), "images_per_second": 0} for line in (run / "metrics.jsonl").read_text().splitlines()]
        for run in (whole, broken)
    ]
    assert logs[0] == logs[1]


def test_going_back_drops_the_later_checkpoints(array: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    base = command(array, out, "--keep", "30")
    subprocess.run([*base, "--steps", "30"], check=True, env=one_thread(), capture_output=True)
    first = load_checkpoint(checkpoint_path(out / "checkpoints", 30))
    done = subprocess.run(
        [*base, "--steps", "30", "--resume", "--from-step", "10"],
        check=True,
        env=one_thread(),
        capture_output=True,
        text=True,
    )
    assert "resuming after step 10" in done.stderr
    again = load_checkpoint(checkpoint_path(out / "checkpoints", 30))
    assert list_checkpoints(out / "checkpoints") == [10, 20, 30]
    for name, tensor in first.tensors.items():
        assert torch.equal(tensor, again.tensors[name]), name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_resuming_is_exact_in_both_memory_layouts(precision: Precision, tmp_path: Path) -> None:
    """Once, moments were restored contiguous beside channels-last weights: fused Adam then mixed them up."""
    pixels = np.random.default_rng(0).integers(0, 256, (70, 16, 16, 3), dtype=np.uint8)
    images = ImageSet(pixels, tuple(map(str, range(70))))
    networks = dcgan(16, width=4, latent=8)
    settings = TrainingSettings(steps=12, batch_size=8, ema=0.9)

    def run(**options: bool) -> dict[str, torch.Tensor]:
        train(images, networks, settings, tmp_path / "run", checkpoint_every=8, precision=precision, **options)
        return dict(load_checkpoint(checkpoint_path(tmp_path / "run" / "checkpoints", 12)).tensors)

    expected = run()
    checkpoint_path(tmp_path / "run" / "checkpoints", 12).unlink()
    resumed = run(resume=True)
    for name, tensor in expected.items():
        assert torch.equal(tensor, resumed[name]), name
