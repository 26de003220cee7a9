"""A small residual network whose maps say what a picture shows: the space in which samples are measured."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (32, 64, 128, 256)
"""Maps at the picture's side, a half, a quarter and an eighth of it: 2.0 million weights, 133 MMAC at 32x32."""


class EncoderNetwork(nn.Module):
    """Scores classes, by the features that samples are measured in.

    Each scale has a convolution and a residual block (He et al. 2016). The features are the maps of every scale,
    averaged over positions: the first ones tell blurred and noisy pictures from sharp ones, the last ones what is
    shown. Each is standardised over the training pictures, so that none outweighs the others in a distance.

    Parameters
    ----------
    channels : int
        Of the pictures.
    classes : int
    widths : sequence of int
        Maps at each scale.

    Examples
    --------
    >>> import torch
    >>> network = EncoderNetwork(3, 10).eval()
    >>> network(torch.zeros(5, 3, 32, 32)).shape, network.features(torch.zeros(5, 3, 32, 32)).shape
    (torch.Size([5, 10]), torch.Size([5, 480]))
    """

    def __init__(self, channels: int, classes: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        inputs = (channels, *widths[:-1])
        self.widen = nn.ModuleList(_convolution(a, b) for a, b in zip(inputs, widths, strict=True))
        self.blocks = nn.ModuleList(nn.Sequential(_convolution(b, b), _convolution(b, b)) for b in widths)
        self.standardize = nn.BatchNorm1d(sum(widths), affine=False)
        self.head = nn.Linear(sum(widths), classes)

    def features(self, images: Tensor) -> Tensor:
        """Features (N, sum of widths), standardised, of images (N, channels, H, W) in [-1, 1]."""
        maps, means = images, []
        for scale, (widen, block) in enumerate(zip(self.widen, self.blocks, strict=True)):
            maps = widen(maps)
            if scale:
                maps = functional.max_pool2d(maps, 2)
            maps = maps + block(maps)
            means.append(maps.mean((2, 3)))
        features: Tensor = self.standardize(torch.cat(means, 1))
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, channels, H, W) in [-1, 1]."""
        scores: Tensor = self.head(self.features(images))
        return scores


def _convolution(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU())
