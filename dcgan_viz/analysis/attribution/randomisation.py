"""Discriminators with random weights, as controls, and with statistics of other images."""

from __future__ import annotations

import copy

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
    return _measured(discriminator.redrawn(layers, seed), images)


def remeasured(discriminator: DiscriminatorNetwork, images: Tensor) -> DiscriminatorNetwork:
    """A copy of a discriminator whose batch-norm statistics are those of other images.

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
    images : Tensor (N, C, H, W)
        At least two.

    Returns
    -------
    DiscriminatorNetwork
        In evaluation mode, on the same device.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> model = load("faces")
    >>> remeasured(model.discriminator, load("rooms").sample(4)).training
    False
    """
    return _measured(copy.deepcopy(discriminator), images)


def _measured(network: DiscriminatorNetwork, images: Tensor) -> DiscriminatorNetwork:
    recalibrate(network, [batch.to(network.device) for batch in images.split(CALIBRATION_BATCH)])
    network.requires_grad_(False)
    return network
