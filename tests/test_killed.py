"""Killed twenty times at any moment, each long command ends with what it would have written at once."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.long

TIMES = 20

COMMON = """
from pathlib import Path
import numpy as np
"""
PREPARE = """
import dcgan_viz.data.prepare as module
module.SHARD = 8
module.prepare(source, f"{out}/a.npy", 16, workers=1, reuse=True)
"""
FEATURES = """
import torch
import dcgan_viz.analysis.features.extraction as module
from dcgan_viz.data.images import load_images
module.BATCH, module.ROWS_A_SAVE = 8, 8
weights = torch.randn(768, 4000, generator=torch.Generator().manual_seed(0))
extractor = module.Extractor("products", {"all": 4000}, "x", lambda images: images.flatten(1) @ weights)
module.extract_features(extractor, load_images(source, 16), f"{out}/f.npy", digest="x")
"""
DEDUP = """
import dcgan_viz.data.prepare as prepare
from dcgan_viz.data.duplicates import duplicates as module
from dcgan_viz.report.duplicates import duplicates_page
prepare.SHARD, module.CONTROLS = 8, 20
result = module.find_duplicates(source, out, steps=20, workers=1)
result.save(out, {}, {"duplicates": duplicates_page(result)})
"""
TRAIN = """
from dcgan_viz.data.images import load_images
from dcgan_viz.networks import dcgan
from dcgan_viz.training.checkpoints import list_checkpoints
from dcgan_viz.training.loop import resume_training, train
from dcgan_viz.training.settings import TrainingSettings
images = load_images(source, 16)
if list_checkpoints(Path(out) / "checkpoints"):
    resume_training(images, out, device="cpu")
else:
    settings = TrainingSettings(steps=40, batch_size=8)
    train(images, dcgan(16, width=4), settings, out, checkpoint_every=5, precision="fp32", device="cpu")
"""
SAME: dict[str, tuple[str, tuple[str, ...]]] = {
    "prepare": (PREPARE, ("a.npy", "a.names.jsonl", "a.json")),
    "features": (FEATURES, ("f.npy",)),
    "dedup": (DEDUP, ("keep.jsonl", "groups.jsonl", "crops.npy", "duplicates.html")),
    "train": (TRAIN, ("model/weights.safetensors", "samples/step-00000040.png")),
}


@pytest.fixture(scope="module")
def start() -> Callable[..., multiprocessing.process.BaseProcess]:
    """Starts a program in a process that has imported what is slow to import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["torch", "dcgan_viz.data.duplicates", "dcgan_viz.training.loop", "dcgan_viz.analysis.features.extraction"]
    )

    def begin(code: str, source: Path, out: Path) -> multiprocessing.process.BaseProcess:
        # As text: a test's own functions cannot be imported over there.
        process = context.Process(target=exec, args=(COMMON + code, {"source": str(source), "out": str(out)}))
        process.start()
        return process

    return begin


@pytest.mark.parametrize("name", SAME)
def test_a_command_that_was_killed_ends_the_same(
    name: str, start: Callable[..., multiprocessing.process.BaseProcess], tmp_path: Path
) -> None:
    code, files = SAME[name]
    random = np.random.default_rng()
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (150, 64, 64, 3), dtype=np.uint8))
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    # The server of processes starts with the first.
    start("", tmp_path, tmp_path).join()
    began = time.monotonic()
    whole = start(code, tmp_path / "a.npy", tmp_path / "whole")
    whole.join()
    assert whole.exitcode == 0
    seconds = time.monotonic() - began
    killed = 0
    for _ in range(TIMES):
        process = start(code, tmp_path / "a.npy", tmp_path / "killed")
        process.join(float(random.uniform(0, seconds)))
        done = not process.is_alive()
        killed += not done
        process.kill()
        process.join()
        # Killed, or ended before; never refused because of what an earlier one left.
        assert process.exitcode in (-9, 0)
        if done:
            shutil.rmtree(tmp_path / "killed")
            (tmp_path / "killed").mkdir()
    last = start(code, tmp_path / "a.npy", tmp_path / "killed")
    last.join()
    assert last.exitcode == 0
    assert killed
    for file in files:
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
    assert not [f for f in (tmp_path / "killed").rglob(".dcgan-viz-*") if "lock" not in f.name]
