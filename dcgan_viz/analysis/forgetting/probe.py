"""The paper's logistic regression: telling activations inside boxes from others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.analysis.forgetting.logistic import Logistic, fit_logistic
from dcgan_viz.errors import UserError
from dcgan_viz.statistics import Estimate, Seed, estimate_of, stream

FOLDS = 5
RESAMPLES = 1000

Negatives = Literal["random", "matched"]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How well a logistic regression on the feature maps of one layer tells positions inside boxes from others.

    Parameters
    ----------
    auc : Estimate
        Area under the ROC curve over positions of images that the regression did not see (5-fold, split by
        image); the bootstrap is over images.
    positives, negatives : int
        Positions that it was fitted on.
    scores : ndarray of float64 (n,)
        The log-odds that it gave to the positions unseen.
    """

    auc: Estimate
    positives: int
    negatives: int
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Positions:
    """Activations at single positions of feature maps, as examples for a regression.

    Parameters
    ----------
    activations : ndarray of float32 (n, C)
    positive : ndarray of bool (n,)
        Whether the position lies inside a box.
    image : ndarray of int64 (n,)
        Which image it is from: splits go by image.
    """

    activations: NDArray[np.float32]
    positive: NDArray[np.bool_]
    image: NDArray[np.int64]


def gather_positions(
    maps: NDArray[np.float32], inside: NDArray[np.bool_], seed: Seed, luminance: NDArray[np.float32] | None = None
) -> Positions:
    """Positives inside the boxes, and as many negatives from other positions of the same images.

    A regression on random negatives may find what is bright or high up rather than the object. Matched ones take that
    way out: of all pairings within an image the one with the smallest differences in luminance and height is used.

    Parameters
    ----------
    maps : ndarray of float32 (N, C, h, w)
    inside : ndarray of bool (N, h, w)
        From `inside_boxes`.
    seed : int
        Of the choice of negatives.
    luminance : ndarray of float32 (N, h, w), optional
        Of the image above each position: match the negatives; by default they are random.

    Returns
    -------
    Positions
        Of the images with a box; fewer negatives than positives where an image has no more room.
    """
    random = np.random.default_rng(seed)
    activations, positive, image = [], [], []
    for index in np.flatnonzero(inside.any((1, 2))):
        flat = inside[index].ravel()
        within, without = np.flatnonzero(flat), np.flatnonzero(~flat)
        if luminance is None:
            others = random.permutation(without)[: len(within)]
        else:
            others = without[_matched(within, without, luminance[index])]
        chosen = np.concatenate([within, others])
        activations.append(maps[index].reshape(len(maps[index]), -1)[:, chosen].T)
        positive.append(flat[chosen])
        image.append(np.full(len(chosen), index, np.int64))
    return Positions(np.concatenate(activations), np.concatenate(positive), np.concatenate(image))


def _matched(
    within: NDArray[np.int64], without: NDArray[np.int64], luminance: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Which of the positions outside resemble those inside most, each used once."""
    from scipy.optimize import linear_sum_assignment

    rows = np.arange(luminance.size) // luminance.shape[1] / luminance.shape[0]
    values = luminance.ravel() / max(float(luminance.std()), 1e-6)
    # A standard deviation of luminance counts as much as half the height of the picture.
    cost = np.abs(values[within, None] - values[None, without]) + 2 * np.abs(rows[within, None] - rows[None, without])
    return linear_sum_assignment(cost)[1]


def fit_probe(positions: Positions, regularization: float = 1.0, seed: Seed = 0) -> Probe:
    """Test the logistic regression that tells positions inside boxes from others on images that it has not seen.

    Features are divided by their standard deviation; the penalty is L2 with scikit-learn's
    ``C = regularization``. Which of its weights (`fit_all`) are positive depends on both.

    Parameters
    ----------
    positions : Positions
    regularization : float
        Inverse strength of the penalty.
    seed : int
        Of the folds and of the interval.

    Raises
    ------
    UserError
        If fewer images are annotated than there are folds.
    """
    scores = held_out_scores(positions, regularization, seed)
    return Probe(
        auc=estimate_of(
            auc(scores, positions.positive),
            resampled_aucs(scores, positions, seed),
            len(np.unique(positions.image)),
            "images",
        ),
        positives=int(positions.positive.sum()),
        negatives=int((~positions.positive).sum()),
        scores=scores,
    )


def fit_all(positions: Positions, regularization: float = 1.0, start: Logistic | None = None) -> Logistic:
    """The regression on all positions, for features scaled to unit standard deviation; from a fit to similar ones."""
    return fit_logistic(positions.activations.astype(np.float64), positions.positive, regularization, start)


def held_out_scores(positions: Positions, regularization: float = 1.0, seed: Seed = 0) -> NDArray[np.float64]:
    """The log-odds (n,) that regressions give to the positions of images that they did not see.

    Raises
    ------
    UserError
        If fewer images are annotated than there are folds.
    """
    images = np.unique(positions.image)
    if len(images) < FOLDS:
        raise UserError(
            f"only {len(images)} images hold a box, and {FOLDS} are needed to test the regression on images that "
            "it has not seen: annotate more"
        )
    # Newton's line search gives up on the rounding of float32.
    activations = positions.activations.astype(np.float64)
    scores = np.empty(len(positions.positive))
    fitted: Logistic | None = None
    # The folds of scikit-learn's GroupKFold.
    for held_out in np.array_split(np.random.RandomState(_state(seed)).permutation(images), FOLDS):
        test = np.isin(positions.image, held_out)
        # Each fold begins at the solution of the one before, which is near its own: half of the steps.
        fitted = fit_logistic(activations[~test], positions.positive[~test], regularization, fitted)
        scores[test] = fitted.log_odds(activations[test])
    return scores


def auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """The area under the ROC curve: the share of pairs in which the positive has the higher score, ties as halves.

    Examples
    --------
    >>> auc(np.array([1.0, 2.0, 2.0]), np.array([False, True, False]))
    0.75
    """
    wins = _wins(scores, positive, np.zeros(len(scores), np.int64), 1)
    return float(wins[0, 0] / (positive.sum() * (~positive).sum()))


def resampled_aucs(scores: NDArray[np.float64], positions: Positions, seed: Seed) -> NDArray[np.float64]:
    """Areas under the ROC curve (1000,) with the images drawn anew, all from one count of pairs of positions.

    The same seed and images give the same draws whatever the scores, so that differences between two sets of scores are
    paired.
    """
    images, image = np.unique(positions.image, return_inverse=True)
    random = np.random.default_rng(stream(seed, 1))
    counts = random.multinomial(len(images), np.full(len(images), 1 / len(images)), size=RESAMPLES).astype(np.float64)
    # A positive and a negative are a pair as often as the two images were drawn together.
    won = ((counts @ _wins(scores, positions.positive, image, len(images))) * counts).sum(1)
    positives, negatives = (
        counts @ np.bincount(image[side], minlength=len(images)) for side in (positions.positive, ~positions.positive)
    )
    with np.errstate(invalid="ignore"):
        areas: NDArray[np.float64] = won / (positives * negatives)
    return areas


def _wins(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], image: NDArray[np.int64], images: int
) -> NDArray[np.float64]:
    """How many positives of each image score above how many negatives of each (images, images), ties as halves."""
    wins = np.empty((images, images))
    for column in range(images):
        lost = np.sort(scores[~positive & (image == column)])
        above = sum(np.searchsorted(lost, scores[positive], side) for side in ("left", "right"))
        wins[:, column] = np.bincount(image[positive], above / 2, images)
    return wins


def _state(seed: Seed) -> int:
    """A seed, or stream of one, as the single number that `numpy.random.RandomState` takes."""
    return seed if isinstance(seed, int) else int(np.random.SeedSequence(list(seed)).generate_state(1)[0])
