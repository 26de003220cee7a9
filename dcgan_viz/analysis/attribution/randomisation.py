"""Discriminators with random weights, as controls."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from dcgan_viz.networks.modules import Discriminator, initialise
from dcgan_viz.networks.statistics import recalibrate

CALIBRATION_BATCH = 64


@torch.no_grad()
def randomised(discriminator: Discriminator, layers: range, images: Tensor, seed: int) -> Discriminator:
    """A copy of a discriminator with some layers' weights drawn anew, as before training.

    Its batch-norm statistics are measured again on the images, since those of the trained weights would make
    nonsense of random ones.

    Parameters
    ----------
    discriminator : Discriminator
    layers : range
        Numbers of the layers, counted from 1.
    images : Tensor (N, C, H, W)
        At least two.
    seed : int
        Layer k is drawn from (seed, k), whichever others are.

    Returns
    -------
    Discriminator
        In evaluation mode, on the same device.
    """
    network = copy.deepcopy(discriminator)
    with torch.random.fork_rng(devices=[]):
        for number in layers:
            torch.manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
            # Drawn on the CPU: the same weights on every device.
            network.layers[number - 1].cpu().apply(initialise)
    device = next(discriminator.parameters()).device
    network.to(device)
    recalibrate(network, (b.to(device) for b in images.split(CALIBRATION_BATCH) if len(b) > 1))
    return network.requires_grad_(False).eval()
