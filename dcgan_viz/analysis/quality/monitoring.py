"""How good samples are while a generator is being trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from dcgan_viz.analysis.quality.distances import kernel_estimate
from dcgan_viz.data.images import Images, TensorImages
from dcgan_viz.judges.encoder import ImageEncoder, encode

REAL_IMAGES = 2048


def kernel_quality(encoder: ImageEncoder, images: Images) -> Callable[[Tensor], float]:
    """What `dcgan_viz.train` takes as its quality: the kernel distance of samples to real images, thousandfold.

    It is unbiased, so that 2,048 of each are enough to compare checkpoints. A generator that copies its training images
    comes near them too: `memorization` tells.

    Parameters
    ----------
    encoder : ImageEncoder
    images : Images
        Real ones, of which 2,048 at even distances count; at least 40.

    Returns
    -------
    callable
        Of samples (N, C, H, W) in [-1, 1], N at least 40: the lower the better.

    Examples
    --------
    >>> import torch
    >>> class Brightness:
    ...     name, note, dimensions = "brightness", "", 1
    ...     def features(self, images):
    ...         return images.mean((1, 2, 3))[:, None]
    >>> quality = kernel_quality(Brightness(), TensorImages(torch.zeros(40, 1, 2, 2)))
    >>> quality(torch.zeros(40, 1, 2, 2)), quality(torch.ones(40, 1, 2, 2)) > 0
    (0.0, True)
    """
    chosen = np.unique(np.linspace(0, len(images) - 1, REAL_IMAGES).round().astype(np.int64))
    real = encode(encoder, TensorImages(images.tensor(chosen)))
    return lambda samples: kernel_estimate(real, encode(encoder, TensorImages(samples))).value
