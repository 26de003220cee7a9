"""A small residual network whose last maps say what a picture shows: the space in which samples are measured."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (64, 128, 256)
"""Maps at a half, a quarter and an eighth of the picture: 2.0 million weights, 76 MMAC at 32x32."""


class EncoderNetwork(nn.Module):
    """Scores classes, and on the way to them computes the features that samples are measured in.

    A picture is folded to half its side without loss (four pixels become one of four times the channels), since most
    of the time would go into the first two layers at full size. Each scale has a convolution and a residual block
    (He et al. 2016); the features are the last maps averaged over positions.

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
    >>> network = EncoderNetwork(3, 10)
    >>> network(torch.zeros(5, 3, 32, 32)).shape, network.features(torch.zeros(5, 3, 32, 32)).shape
    (torch.Size([5, 10]), torch.Size([5, 256]))
    """

    def __init__(self, channels: int, classes: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.fold = nn.PixelUnshuffle(2)
        inputs = (4 * channels, *widths[:-1])
        self.widen = nn.ModuleList(_convolution(a, b) for a, b in zip(inputs, widths, strict=True))
        self.blocks = nn.ModuleList(nn.Sequential(_convolution(b, b), _convolution(b, b)) for b in widths)
        self.head = nn.Linear(widths[-1], classes)

    def features(self, images: Tensor) -> Tensor:
        """Features (N, widths[-1]), not negative, of images (N, channels, H, W) in [-1, 1]."""
        maps = self.fold(images)
        for scale, (widen, block) in enumerate(zip(self.widen, self.blocks, strict=True)):
            maps = widen(maps)
            if scale:
                maps = functional.max_pool2d(maps, 2)
            maps = maps + block(maps)
        return maps.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, channels, H, W) in [-1, 1]."""
        scores: Tensor = self.head(self.features(images))
        return scores


def _convolution(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU())
