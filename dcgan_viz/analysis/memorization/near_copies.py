"""Whether more samples than photographs lie near a training image, and how few copies would have been noticed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import betabinom, binom, hypergeom

from dcgan_viz.statistics import Estimate, share_estimate

Space = Literal["pixels", "features"]
SPACES: tuple[Space, Space] = ("pixels", "features")

NEAR = 0.6
"""A picture is near a training image when it lies at less than this share of its typical distance.

Of 500 LSUN bedrooms 0.4 % lie so near to one of 3,000 others, in 8x8 pixels, and as many when they are blurred.
"""

FEW = 256
"""Fewer training images have hubs, near which many pictures lie by chance.

Of 400 new samples of `rooms`, 7 % lie near one of 64 rooms that it never saw, 1 % near one of 256, and none near one of 3,000.
References alone would call 6 of 48 such sets of 64 copied, one of 24 sets of 128, and none of 12 sets of 256.
"""

SIGNIFICANCE = 0.01
"""Of the verdict; each of the two spaces gets half (Bonferroni)."""

POWER = 0.8


@dataclass(frozen=True)
class Share:
    """How many pictures of a kind lie near a training image.

    Parameters
    ----------
    near, images : int
    share : Estimate
        With its exact interval (Clopper & Pearson 1934).
    """

    near: int
    images: int
    share: Estimate


@dataclass(frozen=True)
class NearCopies:
    """How many samples lie near a training image, in one space.

    Parameters
    ----------
    space : {"pixels", "features"}
    samples : Share
    references : Share
        Photographs that are no copies.
    blurred : Share
        The same, blurred: a generator whose samples are smoother than photographs is not to be called a copier.
    by_chance : Share or None
        Where there are few training images: how many pictures may be near one without being copies. Of the samples, those
        near one of as many held-out images, in the set of these where they are most; without such sets, the upper end
        of the intervals of the references.
    p_value : float
        Of so many near samples, given how many pictures are near, if samples were like the references, like the
        blurred ones or as `by_chance`, whichever is larger: Fisher's exact test, one-sided.
    """

    space: Space
    samples: Share
    references: Share
    blurred: Share
    by_chance: Share | None
    p_value: float

    @property
    def copies(self) -> bool:
        """Whether significantly more samples are near than references, sharp or blurred."""
        return self.p_value < SIGNIFICANCE / len(SPACES)

    @property
    def usual(self) -> Share:
        """What the samples are hardest to tell from: references, sharp or blurred, or what is near by chance."""
        return max(_controls(self.references, self.blurred, self.by_chance), key=lambda c: (c.share.value, -c.images))


def _controls(*shares: Share | None) -> list[Share]:
    return [share for share in shares if share is not None]


def near_copies(
    space: Space,
    samples: NDArray[np.float32],
    references: NDArray[np.float32],
    blurred: NDArray[np.float32],
    elsewhere: Sequence[NDArray[np.float32]] | None = None,
) -> NearCopies:
    """Compare how many samples and how many reference photographs lie near a training image.

    Parameters
    ----------
    space : {"pixels", "features"}
    samples, references, blurred : ndarray of float32 (n,), (m,), (m,)
        Relative distances, see `Nearest`.
    elsewhere : sequence of ndarray of float32 (n,), optional
        Given where there are few training images: the samples' relative distances to each of several sets of as many
        images that nobody was trained on; may be empty.

    Returns
    -------
    NearCopies
    """
    drawn, sharp, smooth = near_share(samples), near_share(references), near_share(blurred)
    by_chance = None
    if elsewhere is not None:
        by_chance = max(map(near_share, elsewhere), key=lambda share: share.near, default=_at_most(sharp, smooth))
    p_value = max(
        float(hypergeom.sf(drawn.near - 1, drawn.images + other.images, drawn.near + other.near, drawn.images))
        for other in _controls(sharp, smooth, by_chance)
    )
    return NearCopies(space, drawn, sharp, smooth, by_chance, p_value)


def _at_most(*shares: Share) -> Share:
    """The upper end of the intervals of several shares of as many images."""
    images = shares[0].images
    return _share(math.ceil(max(share.share.high for share in shares) * images), images)


def near_share(relative: NDArray[np.float32]) -> Share:
    """How many relative distances (n,) are near.

    Examples
    --------
    >>> near_share(np.array([0.1, 0.9, 0.8, 1.0], np.float32)).share.value
    0.25
    """
    return _share(int((relative < NEAR).sum()), len(relative))


def _share(near: int, images: int) -> Share:
    return Share(near, images, share_estimate(near, images, method="exact", over="images"))


def detectable_share(samples: int, references: int, near_references: int, recognised: float = 1.0) -> float | None:
    """The smallest share of copies among the samples that `near_copies` finds with 80 % probability.

    None of the other samples is near a training image. How many references are near is a matter of chance too: the
    probability is averaged over how many there would be in another set like it (beta-binomial, Jeffreys' prior).

    Parameters
    ----------
    samples, references, near_references : int
    recognised : float
        Which share of such copies lie near their original: 1 for exact ones.

    Returns
    -------
    float or None
        None where not even all samples being copies would be found so often.

    Examples
    --------
    >>> detectable_share(2000, 2000, 0) < detectable_share(2000, 2000, 20) < detectable_share(200, 2000, 20)
    True
    """
    counts = np.arange(references + 1)
    chance = betabinom.pmf(counts, references, near_references + 0.5, references - near_references + 0.5)
    kept = chance > 1e-5
    chance, critical = chance[kept] / chance[kept].sum(), _critical(samples, references, counts[kept])

    def lack(share: float) -> float:
        return float(chance @ binom.sf(critical - 1, samples, share * recognised)) - POWER

    return float(brentq(lack, 0.0, 1.0)) if lack(1.0) > 0 else None


def _critical(samples: int, references: int, near_references: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many near samples are the fewest that are significant, for each number of near references."""
    fewest, most = np.zeros(len(near_references), np.int64), np.full(len(near_references), samples + 1)
    while (fewest < most).any():
        middle = (fewest + most) // 2
        p_values = hypergeom.sf(middle - 1, samples + references, middle + near_references, samples)
        significant = (p_values < SIGNIFICANCE / len(SPACES)) | (middle > samples)
        most, fewest = np.where(significant, middle, most), np.where(significant, fewest, middle + 1)
        fewest = np.minimum(fewest, most)
    return most
