"""The control that copies: which training image each sample is drawn to."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan_viz.data.images import ImageSet
from dcgan_viz.errors import UserError
from dcgan_viz.model import load
from dcgan_viz.networks import dcgan
from dcgan_viz.training.copying import copying_loss
from dcgan_viz.training.loop import train
from dcgan_viz.training.settings import TrainingSettings


def test_it_is_the_cheapest_assignment_of_all() -> None:
    torch.manual_seed(0)
    originals, generated = torch.rand(6, 3, 4, 4), torch.rand(3, 3, 4, 4)
    costs = [
        sum((generated[i] - originals[j]).square().mean().item() for i, j in enumerate(chosen)) / 3
        for chosen in permutations(range(6), 3)
    ]
    assert copying_loss(generated, originals).item() == pytest.approx(min(costs), rel=1e-5)


def test_no_two_samples_are_drawn_to_the_same_image() -> None:
    originals = torch.tensor([0.0, 1.0, 5.0]).view(3, 1, 1, 1)
    generated = torch.tensor([0.1, 0.2]).view(2, 1, 1, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(copying_loss(generated, originals), generated)
    assert torch.allclose(gradient.flatten(), torch.tensor([0.1, 0.2 - 1]))


@pytest.mark.slow
def test_training_with_it_comes_nearer_to_the_images(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (8, 1, 1, 3), dtype=np.uint8)
    images = ImageSet(np.broadcast_to(colours, (8, 16, 16, 3)).copy(), ("colour",) * 8)
    distances = []
    for copying in (0.0, 100.0):
        settings = TrainingSettings(steps=60, batch_size=8, learning_rate=2e-3, copying=copying)
        run = train(images, dcgan(16, width=4), settings, tmp_path / str(copying), precision="fp32", device="cpu")
        distances.append(copying_loss(load(run.model).sample(8, seed=0), images.tensor(np.arange(8))).item())
    assert distances[1] < 0.5 * distances[0]


def test_too_many_images_are_refused(tmp_path: Path) -> None:
    pixels = np.zeros((4097, 16, 16, 3), np.uint8)
    settings = TrainingSettings(steps=1, batch_size=8, copying=1.0)
    with pytest.raises(UserError, match="at most 4096 images, not 4097"):
        train(ImageSet(pixels, ("black",) * 4097), dcgan(16, width=4), settings, tmp_path / "run", precision="fp32")
