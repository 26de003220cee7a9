from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan_viz.data.images import ImageSet
from dcgan_viz.errors import UserError
from dcgan_viz.model import load
from dcgan_viz.networks import dcgan
from dcgan_viz.training.loop import train
from dcgan_viz.training.settings import TrainingSettings
from dcgan_viz.training.snapshot import checkpoint_model


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_checkpoint_draws_what_the_model_saved_beside_it_draws(tmp_path: Path, ema: float) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    images = ImageSet(pixels, tuple(map(str, range(40))))
    settings = TrainingSettings(steps=4, batch_size=8, ema=ema)
    train(images, dcgan(16, width=4), settings, tmp_path / "run", precision="fp32", device="cpu", checkpoint_every=2)
    checkpoints = tmp_path / "run" / "checkpoints"
    first, last = (checkpoint_model(checkpoints / f"step-0000000{step}.safetensors") for step in (2, 4))
    assert last.card.name.endswith(", step 4")
    # Saved models have kernels in half precision.
    assert torch.allclose(last.sample(8, seed=1), load(tmp_path / "run").sample(8, seed=1), atol=0.01)
    assert not torch.allclose(first.sample(8, seed=1), last.sample(8, seed=1), atol=0.01)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path, tiny_folder: Path) -> None:
    with pytest.raises(UserError, match="is missing"):
        checkpoint_model(tmp_path / "step-00000001.safetensors")
    with pytest.raises(UserError, match="not a whole checkpoint"):
        checkpoint_model(tiny_folder / "weights.safetensors")
