"""Single-layer K-means features (Coates, Lee & Ng 2011; Coates & Ng 2011), the baseline of the paper's Table 1."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.features.extraction import Extractor, digest_of_tensors
from dcgan_viz.data.images import Images
from dcgan_viz.errors import UserError

PATCH = 6
GRID = 4
PATCHES = 100_000
"""Random patches that the centroids are fitted to."""

CONTRAST, WHITENING, STANDARDISING = 10.0, 0.1, 0.01
"""What is added to variances, as published: of a patch on a scale of 255, of its whitened directions, of a feature."""

STANDARDISED_ON = 2048
"""Images that the mean and variance of each feature are measured on."""

AT_ONCE = 32


def kmeans_extractor(
    images: Images, centroids: int = 800, seed: int = 0, device: str | torch.device = "cpu"
) -> Extractor:
    """Features of the distances to the centroids of small patches, without labels.

    Patches of 6x6 pixels are normalised in brightness and contrast, whitened (ZCA) and clustered. An image's every patch
    is then encoded by how much nearer than on average each centroid is, ``max(0, mean(z) - z_k)`` ("triangle"), averaged
    over a 4x4 grid, and standardised.

    Parameters
    ----------
    images : Images
        That centroids, whitening and standardising are fitted to: those for training.
    centroids : int
        The paper's comparison has 4,800.
    seed : int
    device : str or torch.device
        Where images are encoded; the centroids are fitted on the CPU.

    Returns
    -------
    Extractor
        Of ``16 * centroids`` features.

    Raises
    ------
    UserError
        If the images are smaller than 9 pixels, so that there is no 4x4 grid of patches.

    Examples
    --------
    >>> from dcgan_viz.data.images import TensorImages
    >>> pictures = torch.rand(20, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1
    >>> kmeans_extractor(TensorImages(pictures), centroids=5).compute(pictures[:2]).shape
    torch.Size([2, 80])
    """
    random = np.random.default_rng(seed)
    patches = random_patches(images, random)
    mean, whiten = whitening(patches)
    prepared = (patches - mean) @ whiten
    fitted = MiniBatchKMeans(centroids, batch_size=4096, n_init=1, max_iter=10, random_state=seed).fit(prepared.numpy())
    centres = torch.from_numpy(np.asarray(fitted.cluster_centers_, np.float32))
    there = [tensor.to(device) for tensor in (mean, whiten, centres)]

    def encode(batch: Tensor) -> Tensor:
        return torch.cat([triangle_features(part, *there) for part in batch.to(device).float().split(AT_ONCE)]).cpu()

    chosen = np.sort(random.permutation(len(images))[:STANDARDISED_ON])
    features = torch.cat([encode(images.tensor(part)) for part in np.array_split(chosen, -(-len(chosen) // AT_ONCE))])
    centre, scale = features.mean(0), torch.sqrt(features.var(0, unbiased=False) + STANDARDISING)
    tensors = {"mean": mean, "whiten": whiten, "centres": centres, "centre": centre, "scale": scale}
    return Extractor(
        "K-means features",
        {"K-means": GRID * GRID * centroids},
        digest_of_tensors(tensors, f"triangle, {GRID}x{GRID}"),
        lambda batch: (encode(batch) - centre) / scale,
    )


def _normalised(patches: Tensor) -> Tensor:
    """Patches (N, d) on a scale of 255 with mean 0 and variance about 1."""
    centred = patches - patches.mean(1, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(1, keepdim=True) + CONTRAST)


def _patches(images: Tensor) -> Tensor:
    """All patches (N, positions, d) of images in [-1, 1], normalised."""
    found = functional.unfold(127.5 * (images + 1), PATCH).transpose(1, 2)
    return _normalised(found.flatten(0, 1)).unflatten(0, (len(images), -1))


def random_patches(images: Images, random: np.random.Generator) -> Tensor:
    """At most `PATCHES` normalised patches (n, d), some of each of as many images.

    Raises
    ------
    UserError
        If there is no 4x4 grid of patches in an image.
    """
    side = images.tensor(slice(0, 1)).shape[-1]
    positions = (side - PATCH + 1) ** 2
    if side - PATCH + 1 < GRID:
        raise UserError(
            f"K-means features have a grid of {GRID}x{GRID} cells, and images of {side} pixels are too small"
        )
    chosen = np.sort(random.permutation(len(images))[: PATCHES // 8])
    each = min(positions, -(-PATCHES // len(chosen)))
    found = []
    for part in np.array_split(chosen, -(-len(chosen) // 256)):
        patches = _patches(images.tensor(part))
        places = torch.from_numpy(random.integers(0, positions, (len(part), each)))
        found.append(patches.gather(1, places[..., None].expand(-1, -1, patches.shape[2])).flatten(0, 1))
    return torch.cat(found)[:PATCHES]


def whitening(patches: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (d,) of patches and the matrix (d, d) that whitens them (ZCA).

    Examples
    --------
    >>> mean, whiten = whitening(torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 20.0], [2.0, 20.0]]))
    >>> mean, whiten.diag() * torch.tensor([2.0, 20.0]).div(3**0.5)
    (tensor([ 1., 10.]), tensor([0.9645, 0.9996]))
    """
    mean = patches.mean(0)
    covariance: NDArray[np.float64] = np.cov((patches - mean).double().numpy(), rowvar=False)
    values, vectors = np.linalg.eigh(covariance)
    whiten = (vectors / np.sqrt(values.clip(0) + WHITENING)) @ vectors.T
    return mean, torch.from_numpy(whiten).float()


def triangle_features(images: Tensor, mean: Tensor, whiten: Tensor, centres: Tensor) -> Tensor:
    """Features (N, 16 k) before they are standardised: how much nearer than on average each centroid is.

    Parameters
    ----------
    images : Tensor (N, C, S, S)
        In [-1, 1].
    mean, whiten : Tensor (d,), (d, d)
        Of `whitening`.
    centres : Tensor (k, d)
        Of whitened patches.
    """
    side = images.shape[-1] - PATCH + 1
    whitened = (_patches(images) - mean) @ whiten
    # cdist's own way for many rows is the same matrix product, but keeps all squares too.
    squares = whitened.square().sum(2, keepdim=True) + centres.square().sum(1) - 2 * whitened @ centres.T
    distances = squares.clamp_min_(0).sqrt_()
    nearer = (distances.mean(2, keepdim=True) - distances).clamp_min_(0)
    maps = nearer.transpose(1, 2).unflatten(2, (side, side))
    return functional.adaptive_avg_pool2d(maps, GRID).flatten(1)
