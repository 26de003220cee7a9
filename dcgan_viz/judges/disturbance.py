"""What a generator's pictures have that the pictures it was trained on have not, for judges to be trained on both."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from dcgan_viz.data.images import to_pixels, to_tensor

BLURS = (0.0, 0.0, 0.0, 0.7, 1.2)
"""Standard deviations in pixels: what a generator draws is softer than what it was trained on."""

NOISE, BRIGHTNESS, CONTRAST, CAST = 0.06, 0.15, 0.25, 0.12
BENT, BEND = 0.25, 0.02
"""Share of the pictures whose lines are bent, and by how much of the side."""

JPEG, JPEG_QUALITY = 0.15, (35, 90)


def disturb(images: Tensor, labels: NDArray[np.uint8], random: np.random.Generator) -> tuple[Tensor, NDArray[np.uint8]]:
    """Pictures as a generator might have drawn them: bent, blurred, in other colours, noisy, pressed into JPEG.

    Parameters
    ----------
    images : Tensor (N, C, S, S)
        In [-1, 1].
    labels : ndarray of uint8 (N, S, S)
        Bent with them.
    random : numpy Generator

    Returns
    -------
    Tensor (N, C, S, S)
        In [-1, 1].
    ndarray of uint8 (N, S, S)
    """
    images, labels = _bend(images, labels, random)
    images = blur_each(images, random)
    one, channels = (len(images), 1, 1, 1), (len(images), images.shape[1], 1, 1)
    contrast = torch.from_numpy(random.uniform(1 - CONTRAST, 1 + CONTRAST, one).astype(np.float32))
    shift = random.uniform(-BRIGHTNESS, BRIGHTNESS, one) + random.uniform(-CAST, CAST, channels)
    noise = random.standard_normal(tuple(images.shape), dtype=np.float32) * NOISE
    noise *= random.random(one, dtype=np.float32)
    images = (images * contrast + torch.from_numpy(shift.astype(np.float32)) + torch.from_numpy(noise)).clamp(-1, 1)
    return _press(images, random), labels


def _bend(images: Tensor, labels: NDArray[np.uint8], random: np.random.Generator) -> tuple[Tensor, NDArray[np.uint8]]:
    """Straight lines waver, in some of the pictures; the labels with them."""
    bent = np.flatnonzero(random.random(len(images)) < BENT)
    if not len(bent):
        return images, labels
    size = images.shape[-1]
    waves = torch.from_numpy(random.normal(0, 2 * BEND, (len(bent), 2, 5, 5)).astype(np.float32))
    shift = functional.interpolate(waves, (size, size), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    identity = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(len(bent), 2, 3)
    grid = functional.affine_grid(identity, [len(bent), 1, size, size], align_corners=False) + shift
    images, labels = images.clone(), labels.copy()
    images[bent] = functional.grid_sample(images[bent], grid, padding_mode="reflection", align_corners=False)
    masks = torch.from_numpy(labels[bent]).float()[:, None]
    masks = functional.grid_sample(masks, grid, mode="nearest", padding_mode="reflection", align_corners=False)
    labels[bent] = masks[:, 0].byte().numpy()
    return images, labels


def blur_each(images: Tensor, random: np.random.Generator) -> Tensor:
    """Each picture by an amount of its own, of `BLURS`."""
    chosen = random.integers(0, len(BLURS), len(images))
    result = images.clone()
    for k in range(len(BLURS)):
        here = np.flatnonzero(chosen == k)
        if not BLURS[k] or not len(here):
            continue
        offsets = torch.arange(-3, 4, dtype=torch.float32)
        kernel = torch.exp(-(offsets**2) / (2 * BLURS[k] ** 2))
        kernel = kernel / kernel.sum()
        channels = images.shape[1]
        soft = functional.pad(images[here], (3, 3, 3, 3), mode="reflect")
        soft = functional.conv2d(soft, kernel.expand(channels, 1, 1, 7), groups=channels)
        result[here] = functional.conv2d(soft, kernel[:, None].expand(channels, 1, 7, 1), groups=channels)
    return result


def _press(images: Tensor, random: np.random.Generator) -> Tensor:
    """Some of the pictures as JPEG of a random quality gives them back."""
    for index in np.flatnonzero(random.random(len(images)) < JPEG):
        pixels = to_pixels(images[index : index + 1])[0]
        file = io.BytesIO()
        Image.fromarray(pixels.squeeze()).save(file, "JPEG", quality=int(random.integers(*JPEG_QUALITY)))
        with Image.open(file) as pressed:
            back = np.array(pressed).reshape(pixels.shape)
        images[index] = to_tensor(back[None])[0]
    return images
