"""Discriminators with random weights, as controls."""

from __future__ import annotations

from torch import Tensor

from dcgan_viz.networks.protocol import DiscriminatorNetwork
from dcgan_viz.networks.statistics import recalibrate

CALIBRATION_BATCH = 64


def randomised(discriminator: DiscriminatorNetwork, layers: range, images: Tensor, seed: int) -> DiscriminatorNetwork:
    """A copy of a discriminator with some layers' weights drawn anew, as before training.

    Its batch-norm statistics are measured again on the images, since those of the trained weights would make
    nonsense of random ones.

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
    layers : range
        Numbers of the layers, counted from 1.
    images : Tensor (N, C, H, W)
        At least two.
    seed : int
        Layer k is drawn from (seed, k), whichever others are.

    Returns
    -------
    DiscriminatorNetwork
        In evaluation mode, on the same device.
    """
    network = discriminator.redrawn(layers, seed)
    recalibrate(network, [batch.to(network.device) for batch in images.split(CALIBRATION_BATCH)])
    network.requires_grad_(False)
    return network
