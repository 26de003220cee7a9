"""Images as vectors of length 1 whose distance says how alike they are: in pixels and in the discriminator's features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dcgan_viz.networks.evaluation import evaluation
from dcgan_viz.networks.protocol import DiscriminatorNetwork

PIXEL_SIDE = 8
COMPONENTS = 256
FEATURE_BATCH = 256


def pixel_vectors(images: Tensor) -> Tensor:
    """Images (n, C, H, W) averaged down to 8x8, each channel without its mean, scaled to length 1: (n, 64 C).

    So small, a copy stays near its original when it is noisy, shifted by a pixel or two or blurred; without means and
    length, brightness, contrast and casts of colour do not count. An image of one colour becomes 0 and is near to none.

    Examples
    --------
    >>> images = torch.rand(2, 3, 64, 64)
    >>> torch.allclose(pixel_vectors(0.5 * images + 0.2), pixel_vectors(images), atol=1e-5)
    True
    """
    small = functional.adaptive_avg_pool2d(images, PIXEL_SIDE)
    return _unit((small - small.mean((2, 3), keepdim=True)).flatten(1))


@torch.no_grad()
def quarter_features(discriminator: DiscriminatorNetwork, images: Tensor) -> Tensor:
    """The last layer's maps, averaged over the four quarters of the picture: (n, 4 C), on the CPU."""
    with evaluation(discriminator):
        # Channels last is half as fast again on a CPU.
        maps = discriminator.activations(
            images.contiguous(memory_format=torch.channels_last), len(discriminator.numbered_layers)
        )
        return functional.adaptive_avg_pool2d(maps, 2).flatten(1).float().cpu()


@dataclass(frozen=True)
class QuarterSpace:
    """The `quarter_features` of a discriminator, standardised and reduced to their principal components.

    Parameters
    ----------
    discriminator : DiscriminatorNetwork
    mean, scale : Tensor (d,)
        Of `quarter_features` on training images.
    components : Tensor (d, k)
        Orthonormal.
    """

    discriminator: DiscriminatorNetwork
    mean: Tensor
    scale: Tensor
    components: Tensor

    def project(self, features: Tensor) -> Tensor:
        """`quarter_features` (n, d) as vectors (n, k) of length 1."""
        return _unit(((features - self.mean) / self.scale) @ self.components)

    def vectors(self, images: Tensor) -> Tensor:
        """Images (n, C, H, W) as vectors (n, k) of length 1, a batch at a time."""
        batches = images.split(FEATURE_BATCH)
        return torch.cat([self.project(quarter_features(self.discriminator, batch)) for batch in batches])


def fit_features(discriminator: DiscriminatorNetwork, features: Tensor) -> QuarterSpace:
    """Standardise training images' `quarter_features` (n, d) and find their first 256 principal components.

    All 2,048 numbers of a wide network make the search eight times slower and find hardly more copies.
    """
    mean, scale = features.mean(0), features.std(0).clamp(min=1e-6)
    standard = (features - mean) / scale
    _, vectors = torch.linalg.eigh(standard.T @ standard)
    return QuarterSpace(discriminator, mean, scale, vectors[:, -COMPONENTS:])


def _unit(vectors: Tensor) -> Tensor:
    # What is shorter is rounding, not content.
    return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-3)
