"""Positive controls of a search for copies: training images that were altered, as a generator may alter them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.memorization.near_copies import Share

NOISE = 0.1
"""Standard deviation, in units of the range [-1, 1]: 5 % of it."""


@dataclass(frozen=True)
class Planted:
    """How often one kind of copy is recognised.

    Parameters
    ----------
    kind : str
        What was done to training images.
    pixels, features : Share
        Of them that lie near a training image, in either space.
    detectable_share : float, optional
        The smallest share of such copies among the samples that would have been found with 80 % probability, from the
        lower end of the interval of those that are recognised; None if not even copies alone would have been.
    """

    kind: str
    pixels: Share
    features: Share
    detectable_share: float | None


def shift(images: Tensor, pixels: int) -> Tensor:
    """Images (n, C, H, W) moved to the right and down; the border is repeated."""
    return functional.pad(images, (pixels, 0, pixels, 0), mode="replicate")[..., :-pixels, :-pixels]


def blur(images: Tensor, deviation: float) -> Tensor:
    """Images (n, C, H, W) blurred by a Gaussian of a standard deviation in pixels, cut off at three of them.

    Examples
    --------
    >>> blur(torch.ones(1, 1, 8, 8), 1.0).allclose(torch.ones(1, 1, 8, 8))
    True
    """
    radius = int(3 * deviation + 0.5)
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / deviation) ** 2)
    weights = (weights / weights.sum())[None, None]

    def smear(size: int) -> Tensor:
        """To where the light of each of so many pixels in a row goes, (size, size)."""
        single = functional.pad(torch.eye(size)[:, None], (radius, radius), mode="replicate")
        return functional.conv1d(single, weights)[:, 0].to(images)

    # Products with a matrix a side: convolutions of one channel are many times slower.
    rows, columns = map(smear, images.shape[-2:])
    return rows.T @ images @ columns


def noise(images: Tensor) -> Tensor:
    """Gaussian noise of 5 % of the range, the same for the same images in the same order."""
    random = torch.Generator().manual_seed(0)
    return (images + NOISE * torch.randn(images.shape, generator=random)).clamp(-1, 1)


def cast(images: Tensor) -> Tensor:
    """A cast of colour: channels are brightened or darkened, each by another amount."""
    channels = images.shape[1]
    gain, offset = torch.linspace(1.2, 0.7, channels), torch.linspace(0.2, -0.2, channels)
    return (images * gain[:, None, None] + offset[:, None, None]).clamp(-1, 1)


def _placed(images: Tensor, side: float, angle: float) -> Tensor:
    """The middle of images, of a share of their side, turned by an angle in degrees, at full size."""
    turn = torch.tensor(angle).deg2rad()
    rows = [[side * turn.cos(), -side * turn.sin(), 0.0], [side * turn.sin(), side * turn.cos(), 0.0]]
    grid = functional.affine_grid(torch.tensor([rows] * len(images)), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


ALTERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "exact": lambda images: images,
    "mirrored": lambda images: images.flip(-1),
    "with 5 % noise": noise,
    "shifted by 1 pixel": lambda images: shift(images, 1),
    "shifted by 2 pixels": lambda images: shift(images, 2),
    "shifted by 3 pixels": lambda images: shift(images, 3),
    "blurred": lambda images: blur(images, 1.0),
    "in another colour": cast,
    "in grey": lambda images: images.mean(1, keepdim=True).expand_as(images).contiguous(),
    "cropped to 80 %": lambda images: _placed(images, 0.8, 0.0),
    "turned by 10°": lambda images: _placed(images, 1.0, 10.0),
}
