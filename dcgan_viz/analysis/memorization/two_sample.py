"""The 1-nearest-neighbour two-sample test (Lopez-Paz & Oquab 2017), with the null distribution of its two accuracies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dcgan_viz.statistics import Estimate, Interval, bootstrap_estimate, middle

PERMUTATIONS = 2000


@dataclass(frozen=True)
class TwoSampleTest:
    """Leave-one-out 1-nearest-neighbour accuracies of two sets of as many images.

    Parameters
    ----------
    real, generated : Estimate
        Share of each whose nearest neighbour is of its own kind: 0.5 when alike, toward 0 when one copies the other,
        toward 1 when they can be told apart. 95 % bootstrap over images, their neighbours held.
    null : Interval
        95 % of either accuracy when the labels are permuted.
    p_value : float
        Of an average of the two accuracies as far from what permuted labels have: two-sided.
    images : int
        Of each kind.
    """

    real: Estimate
    generated: Estimate
    null: Interval
    p_value: float
    images: int


def two_sample_test(real: Tensor, generated: Tensor, seed: int = 0) -> TwoSampleTest:
    """Test whether two sets of as many vectors (n, d) can be told apart by their nearest neighbours.

    Examples
    --------
    >>> points = torch.rand(50, 2)
    >>> two_sample_test(points, points + 5).generated.value
    1.0
    """
    both = torch.cat([real, generated])
    neighbour = torch.cdist(both, both).fill_diagonal_(torch.inf).argmin(1).numpy()
    is_real = np.arange(len(both)) < len(real)
    own = is_real == is_real[neighbour]
    random = np.random.default_rng(seed)
    permuted = np.empty((PERMUTATIONS, 2))
    for k in range(PERMUTATIONS):
        labels = random.permutation(is_real)
        alike = labels == labels[neighbour]
        permuted[k] = alike[labels].mean(), alike[~labels].mean()
    deviations = np.abs(permuted.mean(1) - permuted.mean())
    # A tolerance: equal averages must count as equal however they were added up.
    as_far = np.sum(deviations >= abs(own.mean() - permuted.mean()) - 1e-9)
    return TwoSampleTest(
        real=bootstrap_estimate(own[is_real], seed=seed, over="images"),
        generated=bootstrap_estimate(own[~is_real], seed=seed, over="images"),
        null=middle(permuted.ravel()),
        p_value=float((1 + as_far) / (1 + PERMUTATIONS)),
        images=len(real),
    )
