"""What holds on the CPU holds on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.attribution.guided_backprop import guided_backprop
from dcgan_viz.analysis.attribution.unit_gradients import Unit, unit_gradients
from dcgan_viz.analysis.features import svm
from dcgan_viz.analysis.latent.walks import walk
from dcgan_viz.analysis.memorization.memorization import memorization
from dcgan_viz.data.images import ImageSet, TensorImages
from dcgan_viz.model import DCGAN, load
from dcgan_viz.networks import dcgan
from dcgan_viz.training.execution import Precision
from dcgan_viz.training.loop import resume_training, train
from dcgan_viz.training.settings import TrainingSettings

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_analyses_agree_with_the_cpu(tiny_model: DCGAN, tiny_folder: Path) -> None:
    here, there = load(tiny_folder), load(tiny_folder, "cuda")
    images = here.sample(40)
    assert torch.allclose(images, there.sample(40), atol=1e-3)
    units = [Unit(k, k % 8, k % 4, k % 3) for k in range(40)]
    slow, fast = (unit_gradients(m.discriminator, 3, images, units) for m in (here, there))
    scale = slow.abs().amax()
    assert ((slow - fast).abs().amax((1, 2, 3)) < 1e-3 * scale).float().mean() > 0.9
    found = guided_backprop(there, images, layer=2, maps=[0, 1])
    assert [r.image for r in found.responses] == [
        r.image for r in guided_backprop(here, images, layer=2, maps=[0, 1]).responses
    ]
    assert walk(there, rows=2, steps=3).pictures.shape == (2, 3, 16, 16, 3)
    assert memorization(there, TensorImages(here.sample(120, seed=3)), samples=120).verdict


@pytest.mark.parametrize("share", [0.5, 0.0], ids=["kept", "streamed"])
@pytest.mark.parametrize("rows", [120, 600], ids=["few", "many"])
def test_linear_classifiers_agree_with_the_cpu(share: float, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svm, "DEVICE_SHARE", share)
    monkeypatch.setattr(svm, "MOST_ROWS", 300)
    monkeypatch.setattr(svm, "MANY", 300)
    monkeypatch.setattr(svm, "SAMPLED", 200)
    random = np.random.default_rng(0)
    features = random.normal(size=(rows, 400)).astype(np.float16)
    labels = random.integers(0, 4, rows)
    here, there = (
        svm.fit_path(features, labels, (features, labels), (1e-4, 1e-3), tol=1e-6, device=device)
        for device in ("cpu", "cuda")
    )
    for slow, fast in zip(here, there, strict=True):
        np.testing.assert_allclose(fast.svm.objective_, slow.svm.objective_, rtol=1e-5)
        assert (fast.svm.predict(features) == slow.svm.predict(features)).mean() > 0.99


@pytest.mark.parametrize("precision", ["fp32", "bf16", "auto"])
def test_training_runs_and_resumes(precision: Precision, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (70, 16, 16, 3), dtype=np.uint8)
    images = ImageSet(pixels, tuple(map(str, range(70))))
    networks = dcgan(16, width=4, latent_dim=8)
    settings = TrainingSettings(steps=6, batch_size=8, ema=0.9, flip=True, augment=("color", "translation"))
    train(images, networks, settings, tmp_path, device="cuda", precision=precision)
    resume_training(images, tmp_path, steps=12, device="cuda")
    assert load(tmp_path).sample(4).isfinite().all()
