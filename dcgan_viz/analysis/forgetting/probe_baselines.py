"""What a regression on no feature map at all finds: brightness and position alone, and boxes that show nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.analysis.forgetting.probe import (
    Positions,
    Probe,
    auc,
    gather_positions,
    held_out_scores,
    resampled_aucs,
)
from dcgan_viz.statistics import Estimate, Seed, estimate_of, stream

SHUFFLES = 5


@dataclass(frozen=True, kw_only=True)
class ProbeBaselines:
    """How well windows are found without looking at the feature maps, or in boxes that are not around windows.

    Parameters
    ----------
    brightness_auc : Estimate
        Of the same regression on luminance, row and column and their products instead of the maps, at the same positions.
    gain : Estimate
        What the maps add: their AUC less this one, both on the same resampled images.
    shuffled_auc : float
        Of the regression on the maps when every image has another image's boxes, the mean of five shufflings.
    highest_shuffled_auc : float
        The highest of them.
    """

    brightness_auc: Estimate
    gain: Estimate
    shuffled_auc: float
    highest_shuffled_auc: float

    def finds_nothing(self, probe: Probe) -> bool:
        """Whether the boxes are found no better than boxes that were moved to other images."""
        return probe.auc.low <= self.highest_shuffled_auc


def fit_baselines(
    maps: NDArray[np.float32],
    inside: NDArray[np.bool_],
    luminance: NDArray[np.float32],
    *,
    match: bool = False,
    regularization: float = 1.0,
    seed: Seed = 0,
    probe: Probe | None = None,
) -> ProbeBaselines:
    """Fit the baselines of a probe.

    Parameters
    ----------
    maps : ndarray of float32 (N, C, h, w)
    inside : ndarray of bool (N, h, w)
        Where the boxes are.
    luminance : ndarray of float32 (N, h, w)
        Of the image above each position.
    match : bool
        Whether the probe's negatives are matched for luminance and height.
    regularization : float
    seed : int
        As the probe's.
    probe : Probe, optional
        The probe itself; fitted anew by default.

    Returns
    -------
    ProbeBaselines

    Raises
    ------
    UserError
        If fewer images are annotated than there are folds.
    """
    matched = luminance if match else None
    probed = gather_positions(maps, inside, seed, matched)
    plain = gather_positions(brightness_and_position(luminance), inside, seed, matched)
    of_maps = held_out_scores(probed, regularization, seed) if probe is None else probe.scores
    of_brightness = held_out_scores(plain, regularization, seed)
    replicates = resampled_aucs(of_brightness, plain, seed)
    differences = resampled_aucs(of_maps, probed, seed) - replicates
    shuffled = [
        _shuffled_auc(maps, inside, matched, regularization, np.random.default_rng(stream(stream(seed, 2), k)))
        for k in range(SHUFFLES)
    ]
    found, images = auc(of_brightness, plain.positive), len(np.unique(plain.image))
    return ProbeBaselines(
        brightness_auc=estimate_of(found, replicates, images, "images"),
        gain=estimate_of(auc(of_maps, probed.positive) - found, differences, images, "images"),
        shuffled_auc=float(np.mean(shuffled)),
        highest_shuffled_auc=max(shuffled),
    )


def brightness_and_position(luminance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Luminance, row and column of every position, their squares and products, as nine maps (N, 9, h, w).

    Squares let a regression say that windows are bright but not white, and neither at the top nor at the bottom.

    Examples
    --------
    >>> brightness_and_position(np.zeros((2, 4, 4), np.float32)).shape
    (2, 9, 4, 4)
    """
    count, height, width = luminance.shape
    rows = np.broadcast_to(np.linspace(-1, 1, height, dtype=np.float32)[:, None], (count, height, width))
    columns = np.broadcast_to(np.linspace(-1, 1, width, dtype=np.float32), (count, height, width))
    first = (luminance, rows, columns)
    products = [a * b for k, a in enumerate(first) for b in first[k:]]
    return np.stack([*first, *products], axis=1).astype(np.float32)


def _shuffled_auc(
    maps: NDArray[np.float32],
    inside: NDArray[np.bool_],
    luminance: NDArray[np.float32] | None,
    regularization: float,
    random: np.random.Generator,
) -> float:
    """The probe's AUC with the boxes of each annotated image on the next one, in a random order."""
    annotated = random.permutation(np.flatnonzero(inside.any((1, 2))))
    moved = np.zeros_like(inside)
    moved[annotated] = inside[np.roll(annotated, 1)]
    positions: Positions = gather_positions(maps, moved, int(random.integers(2**31)), luminance)
    return auc(held_out_scores(positions, regularization, int(random.integers(2**31))), positions.positive)
