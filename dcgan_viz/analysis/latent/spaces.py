"""Spaces in which pictures have distances that can be differentiated: the discriminator's features, pixels at scales."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dcgan_viz.networks.evaluation import evaluation
from dcgan_viz.networks.protocol import DiscriminatorNetwork

FEATURES = (
    "all layers of the discriminator, their maps after the LeakyReLU, each layer scaled so that independent samples lie "
    "1 apart (root mean square), averaged over layers"
)
"""What a distance in features is, for captions and settings."""

SMALLEST_SIDE = 4
"""Pixels are averaged down to pictures of this side and no smaller."""


@dataclass(frozen=True)
class Space:
    """Several kinds of maps of an image, each scaled so that independent samples lie 1 apart.

    The squared distance of two images is the mean over kinds of the mean squared difference of their maps, in units of
    that between independent samples.

    Parameters
    ----------
    maps : callable
        Takes images (n, C, S, S) in [-1, 1] and returns tensors (n, …), with gradients where the images have them.
    scales : tuple of float
        Root mean square difference between independent samples, kind by kind.
    unrelated : float
        Mean distance of these samples.
    """

    maps: Callable[[Tensor], list[Tensor]]
    scales: tuple[float, ...]
    unrelated: float

    def vectors(self, images: Tensor) -> Tensor:
        """Vectors (n, d), on the device of the maps, whose Euclidean distance is the distance in this space."""
        kinds = [m.flatten(1) for m in self.maps(images)]
        weighted = [k / (s * (len(kinds) * k.shape[1]) ** 0.5) for k, s in zip(kinds, self.scales, strict=True)]
        return torch.cat(weighted, dim=1)


@torch.no_grad()
def _calibrated(maps: Callable[[Tensor], list[Tensor]], samples: Tensor) -> Space:
    """The space in which neighbours of a list of independent samples (2 n, C, S, S) lie 1 apart."""
    batches = samples[: len(samples) // 2 * 2].split(64)
    # Mean squared differences (pairs, kinds).
    squares = torch.cat(
        [torch.stack([(m[::2] - m[1::2]).square().flatten(1).mean(1) for m in maps(batch)], dim=1) for batch in batches]
    ).double()
    means = squares.mean(0)
    # Maps that never differ, as those of a dead layer, add nothing.
    means[means == 0] = 1.0
    return Space(maps, tuple(means.sqrt().tolist()), float((squares / means).mean(1).sqrt().mean()))


def discriminator_maps(discriminator: DiscriminatorNetwork) -> Callable[[Tensor], list[Tensor]]:
    """A function from images to the maps of every layer after its LeakyReLU, in evaluation mode."""

    def maps(images: Tensor) -> list[Tensor]:
        with evaluation(discriminator):
            return discriminator.all_activations(images)

    return maps


def feature_space(discriminator: DiscriminatorNetwork, samples: Tensor) -> Space:
    """The discriminator's features: all its layers' maps (compare Zhang et al. 2018, who take a classifier's).

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
    samples : Tensor (2 n, C, S, S)
        Independent samples in [-1, 1]; successive ones are the pairs that lie 1 apart on average.

    Returns
    -------
    Space

    Examples
    --------
    >>> from dcgan_viz import load
    >>> model = load("bedrooms")
    >>> samples = model.sample(8)
    >>> vectors = feature_space(model.discriminator, samples).vectors(samples)
    >>> round((vectors[::2] - vectors[1::2]).square().sum(1).mean().item(), 4)
    1.0
    """
    return _calibrated(discriminator_maps(discriminator), samples)


def pixel_space(samples: Tensor) -> Space:
    """Pixels, and averages over 2x2, 4x4, … of them down to a picture of 4x4.

    Parameters
    ----------
    samples : Tensor (2 n, C, S, S)
        As in `feature_space`.

    Returns
    -------
    Space
    """
    return _calibrated(_pyramid, samples)


def _pyramid(images: Tensor) -> list[Tensor]:
    levels = [images]
    while levels[-1].shape[-1] >= 2 * SMALLEST_SIDE:
        levels.append(functional.avg_pool2d(levels[-1], 2))
    return levels
