"""Tests whether a generator copies its training images.

For every sample the nearest training image is found, in pixels and in the discriminator's features. How near is near is
told by photographs: held-out ones, which cannot have been copied, or, without any, training images among themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import beta, binom, mannwhitneyu
from torch import Tensor
from torch.nn import functional

from dcgan_viz.analysis.guided_gradient import evaluation
from dcgan_viz.analysis.statistics import Interval
from dcgan_viz.data.images import Images, to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.modules import Discriminator
from dcgan_viz.results import Result

Space = Literal["pixels", "features"]

BATCH = 512
PIXEL_SIDE = 32
NEAR_QUANTILE = 0.01
"""A sample is near a training image when only this share of reference photographs lies nearer to one."""

SIGNIFICANCE = 0.01
POWER = 0.8
CELLS = 10
SMALLEST_CELL = 20
TWO_SAMPLE_IMAGES = 2000
NEIGHBOURS = 5
SHOWN = 8


@dataclass(frozen=True)
class NearCopies:
    """How many samples lie unusually near a training image, in one space.

    Parameters
    ----------
    space : {"pixels", "features"}
    threshold : float
        The distance below which 1 % of the reference photographs lie.
    share : float
        Of the samples below it.
    interval : Interval
        95 %, exact (Clopper & Pearson 1934).
    p_value : float
        Of as many or more if samples were like the reference: exact binomial, one-sided.
    """

    space: Space
    threshold: float
    share: float
    interval: Interval
    p_value: float


@dataclass(frozen=True)
class TwoSampleTest:
    """The leave-one-out 1-nearest-neighbour test (Lopez-Paz & Oquab 2017) in features.

    Parameters
    ----------
    real, generated : float
        Share of each whose nearest neighbour is of its own kind: 0.5 when alike, toward 0 when samples are copies,
        toward 1 when they can be told apart.
    images : int
        Of each kind.
    """

    real: float
    generated: float
    images: int


@dataclass(frozen=True)
class Coverage:
    """Fidelity and variety in features (Kynkäänniemi et al. 2019, Naeem et al. 2020), with 5 neighbours."""

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True, kw_only=True)
class Memorization(Result):
    """What was found of copying.

    Parameters
    ----------
    verdict : str
        One sentence, and what cannot be concluded.
    copies : bool
        Whether the verdict is that the generator copies.
    near : tuple of NearCopies
        In pixels and in features.
    detectable_share : float
        The smallest share of exact copies among the samples that the test would have found with 80 % probability.
    copying_statistic : float, optional
        C_T of Meehan et al. 2020 in features, with held-out images only: far below 0 copying, far above 0
        under-fitting.
    two_sample : TwoSampleTest
        Against held-out images, or training images.
    quality : Coverage
        Against the same.
    sample_distances, reference_distances : ndarray of float32 (2, n)
        To the nearest training image, in pixels (root mean square, in units of the range [-1, 1]) and in features.
    pictures, nearest_in_pixels, nearest_in_features : ndarray of uint8 (n, S, S, C)
        The samples nearest to a training image in either space, and those training images.
    """

    verdict: str
    copies: bool
    near: tuple[NearCopies, ...]
    detectable_share: float
    copying_statistic: float | None
    two_sample: TwoSampleTest
    quality: Coverage
    sample_distances: NDArray[np.float32]
    reference_distances: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    nearest_in_pixels: NDArray[np.uint8]
    nearest_in_features: NDArray[np.uint8]


def pixel_vectors(images: Tensor) -> Tensor:
    """Images as vectors (n, 3072 or 1024) whose Euclidean distance is the root mean square difference of a pixel.

    They are averaged down to 32x32 first, so that noise of single pixels hides no copy.
    """
    small = functional.adaptive_avg_pool2d(images, PIXEL_SIDE).flatten(1)
    return small / small.shape[1] ** 0.5


@torch.no_grad()
def feature_vectors(discriminator: Discriminator, images: Tensor) -> Tensor:
    """The last layer's maps, averaged over the four quarters of the picture: (n, 4 C)."""
    with evaluation(discriminator):
        maps = images.to(discriminator.head.weight)
        for module in discriminator.layers:
            maps = module(maps)
        return functional.adaptive_avg_pool2d(maps, 2).flatten(1).float().cpu()


def nearest(queries: Tensor, blocks: Iterable[Tensor], own: NDArray[np.int64] | None = None) -> tuple[Tensor, Tensor]:
    """The nearest reference of every query, by brute force in bounded memory.

    Parameters
    ----------
    queries : Tensor (n, d)
    blocks : iterable of Tensor (m, d)
        The references, in their order; only one block is held at a time.
    own : ndarray of int64 (n,), optional
        The reference that is the query itself and no neighbour of it; -1 for none.

    Returns
    -------
    Tensor (n,)
        Euclidean distances.
    Tensor (n,) of int64
        Numbers of the references.

    Examples
    --------
    >>> nearest(torch.tensor([[0.0], [5.0]]), [torch.tensor([[1.0]]), torch.tensor([[4.5]])])
    (tensor([1.0000, 0.5000]), tensor([0, 1]))
    """
    best = torch.full((len(queries),), float("inf"))
    index = torch.zeros(len(queries), dtype=torch.int64)
    done = 0
    for block in blocks:
        distances = torch.cdist(queries, block)
        if own is not None:
            itself = np.flatnonzero((own >= done) & (own < done + len(block)))
            distances[itself, own[itself] - done] = float("inf")
        values, places = distances.min(1)
        nearer = values < best
        best, index = torch.where(nearer, values, best), torch.where(nearer, places + done, index)
        done += len(block)
    return best, index


def near_copies(space: Space, samples: NDArray[np.float32], references: NDArray[np.float32]) -> NearCopies:
    """The share of samples that lie as near to a training image as only 1 % of the reference photographs do."""
    threshold = float(np.quantile(references, NEAR_QUANTILE))
    count, total = int((samples < threshold).sum()), len(samples)
    low = 0.0 if count == 0 else float(beta.ppf(0.025, count, total - count + 1))
    high = 1.0 if count == total else float(beta.ppf(0.975, count + 1, total - count))
    p_value = float(binom.sf(count - 1, total, NEAR_QUANTILE))
    return NearCopies(space, threshold, count / total, Interval(low, high), p_value)


def detectable_share(samples: int) -> float:
    """The smallest share of exact copies that `near_copies` finds significant with 80 % probability.

    Examples
    --------
    >>> detectable_share(1000) < detectable_share(100)
    True
    """
    critical = int(binom.isf(SIGNIFICANCE / 2, samples, NEAR_QUANTILE)) + 1
    shares = np.linspace(0, 1, 2001)
    # A copy is always near; the other samples are near as often as photographs are.
    found = binom.sf(critical - 1, samples, shares + (1 - shares) * NEAR_QUANTILE)
    return float(shares[np.argmax(found >= POWER)])


def copying_statistic(
    training: Tensor, held_out: Tensor, samples: Tensor, held_out_distances: Tensor, sample_distances: Tensor, seed: int
) -> float:
    """C_T of Meehan et al. 2020: whether samples lie nearer to training images than held-out ones do, cell by cell.

    Per cell the Mann-Whitney U of the two sets of distances is z-scored; the cells are averaged by held-out mass. Cells
    with fewer than 20 images of a kind are left out.

    Parameters
    ----------
    training : Tensor (n, d)
        Feature vectors that the cells are found on by k-means.
    held_out, samples : Tensor (m, d), (k, d)
    held_out_distances, sample_distances : Tensor (m,), (k,)
        To the nearest training image.
    seed : int
        Of k-means.

    Returns
    -------
    float
        NaN if no cell holds enough images.
    """
    from sklearn.cluster import KMeans

    cells = KMeans(CELLS, n_init=3, random_state=seed).fit(training.numpy())
    real_cells, sample_cells = cells.predict(held_out.numpy()), cells.predict(samples.numpy())
    total, mass = 0.0, 0
    for cell in range(CELLS):
        real, drawn = held_out_distances[real_cells == cell].numpy(), sample_distances[sample_cells == cell].numpy()
        m, n = len(real), len(drawn)
        if min(m, n) < SMALLEST_CELL:
            continue
        u = float(mannwhitneyu(drawn, real).statistic)
        total += m * (u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12)
        mass += m
    return total / mass if mass else float("nan")


def two_sample_test(real: Tensor, generated: Tensor) -> TwoSampleTest:
    """The leave-one-out 1-nearest-neighbour accuracies of two sets of as many vectors (n, d)."""
    both = torch.cat([real, generated])
    distances = torch.cdist(both, both).fill_diagonal_(float("inf"))
    own = (distances.argmin(1) < len(real)) == (torch.arange(len(both)) < len(real))
    return TwoSampleTest(float(own[: len(real)].float().mean()), float(own[len(real) :].float().mean()), len(real))


def coverage(real: Tensor, generated: Tensor) -> Coverage:
    """Precision, recall, density and coverage of two sets of vectors (n, d), with balls to the fifth neighbour."""
    real_radius = torch.cdist(real, real).kthvalue(NEIGHBOURS + 1, dim=1).values
    generated_radius = torch.cdist(generated, generated).kthvalue(NEIGHBOURS + 1, dim=1).values
    between = torch.cdist(real, generated)
    inside = between < real_radius[:, None]
    return Coverage(
        precision=float(inside.any(0).float().mean()),
        recall=float((between < generated_radius[None]).any(1).float().mean()),
        density=float(inside.float().sum(0).mean() / NEIGHBOURS),
        coverage=float((between.min(1).values < real_radius).float().mean()),
    )


def memorization(
    model: DCGAN,
    training: Images,
    held_out: Images | None = None,
    *,
    samples: int = 2000,
    seed: int = 0,
    source: str = "training images",
) -> Memorization:
    """Test whether a generator copies its training images.

    Parameters
    ----------
    model : DCGAN
    training : Images
        What it was trained on; read in batches, any number. If its card says that half were mirrored, mirrored copies
        count too.
    held_out : Images, optional
        Photographs of the same kind that it was not trained on.
    samples : int
        Samples to draw, at least 100.
    seed : int
        Of the samples, of which training images stand in for held-out ones, and of k-means.
    source : str
        What the training images are, for the caption.

    Returns
    -------
    Memorization

    Raises
    ------
    UserError
        If there are fewer than 100 training images, held-out images or samples.
    """
    for what, count in (("training images", len(training)), ("samples", samples)):
        if count < 100:
            raise UserError(f"{count} {what} are too few to test for copies: give at least 100")
    if held_out is not None and len(held_out) < 100:
        raise UserError(f"{len(held_out)} held-out images are too few: give at least 100, or none")
    mirrored = bool(model.card.training.get("settings", {}).get("flip", False))
    drawn = model.sample(samples, seed)
    if held_out is None:
        # Training images in a random order: the first of them are compared with all others.
        order = np.random.default_rng(seed).permutation(len(training))
        reference = training.tensor(order[: min(len(training), samples)])
    else:
        order = np.arange(len(training))
        reference = held_out.tensor(np.unique(np.linspace(0, len(held_out) - 1, samples).round().astype(np.int64)))
    scale = feature_vectors(model.discriminator, training.tensor(order[:BATCH])).std(0).clamp(min=1e-6)

    def vectors(space: Space, images: Tensor) -> Tensor:
        if space == "pixels":
            return pixel_vectors(images)
        return torch.cat([feature_vectors(model.discriminator, batch) / scale for batch in images.split(BATCH)])

    def training_blocks(space: Space) -> Iterator[Tensor]:
        for start in range(0, len(order), BATCH):
            yield vectors(space, training.tensor(order[start : start + BATCH]))

    spaces: tuple[Space, Space] = ("pixels", "features")
    views = [drawn, drawn.flip(-1), reference, reference.flip(-1)] if mirrored else [drawn, reference]
    own = np.concatenate(
        [
            np.arange(len(v)) if held_out is None and k >= len(views) // 2 else np.full(len(v), -1)
            for k, v in enumerate(views)
        ]
    )
    distances, numbers, references = [], [], []
    for space in spaces:
        # One pass over the training images serves all queries.
        found, places = nearest(torch.cat([vectors(space, view) for view in views]), training_blocks(space), own)
        count = samples * len(views) // 2
        of_samples, of_references = found[:count], found[count:]
        either, which = of_samples.reshape(-1, samples).min(0)
        distances.append(either)
        numbers.append(places[:count].reshape(-1, samples).gather(0, which[None])[0])
        references.append(of_references.reshape(-1, len(reference)).min(0).values)
    near = tuple(
        near_copies(space, d.numpy(), r.numpy()) for space, d, r in zip(spaces, distances, references, strict=True)
    )
    drawn_features, real_features = vectors("features", drawn), vectors("features", reference)
    statistic = None
    if held_out is not None:
        base = vectors("features", training.tensor(order[: 20 * BATCH]))
        statistic = copying_statistic(base, real_features, drawn_features, references[1], distances[1], seed)
    count = min(len(real_features), len(drawn_features), TWO_SAMPLE_IMAGES)
    power = detectable_share(samples)
    # Each space has its own scale; those nearest relative to the reference are shown.
    relative = torch.stack([d / max(n.threshold, 1e-12) for d, n in zip(distances, near, strict=True)])
    shown = relative.min(0).values.argsort()[:SHOWN]
    copies = any(n.p_value < SIGNIFICANCE / 2 for n in near)
    return Memorization(
        settings={
            "model": model.card.name,
            "training_images": len(training),
            "source": source,
            "held_out_images": None if held_out is None else len(held_out),
            "reference_images": len(reference),
            "samples": samples,
            "mirrored": mirrored,
            "seed": seed,
        },
        verdict=_verdict(copies, near, power, held_out is not None),
        copies=copies,
        near=near,
        detectable_share=power,
        copying_statistic=statistic,
        two_sample=two_sample_test(real_features[:count], drawn_features[:count]),
        quality=coverage(real_features[:count], drawn_features[:count]),
        sample_distances=torch.stack(distances).numpy(),
        reference_distances=torch.stack(references).numpy(),
        pictures=to_pixels(drawn[shown]),
        nearest_in_pixels=to_pixels(training.tensor(order[numbers[0][shown].numpy()])),
        nearest_in_features=to_pixels(training.tensor(order[numbers[1][shown].numpy()])),
    )


def _verdict(copies: bool, near: tuple[NearCopies, ...], power: float, has_held_out: bool) -> str:
    shares = ", ".join(f"{100 * n.share:.1f} % in {n.space}" for n in near)
    reference = "held-out photographs" if has_held_out else "other training images"
    if copies:
        said = (
            f"The generator copies: {shares} of its samples lie as near to a training image as 1 % of {reference} do."
        )
    else:
        said = (
            f"No sign of copying: {shares} of the samples lie as near to a training image as 1 % of {reference} do; "
            f"copies would have been found if they were {100 * power:.1f} % of the samples or more."
        )
    if has_held_out:
        return said
    return (
        f"{said} Without held-out photographs it cannot be concluded that samples are as far from the training images "
        "as new photographs would be."
    )
