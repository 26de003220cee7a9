"""The logistic regression of the probe: a hundred features and thousands of positions, fitted fifty times a command.

scikit-learn's ``newton-cholesky`` finds the same weights, and is the oracle of the tests; importing it takes longer than
all the fits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE, MOST_STEPS = 1e-8, 50

SLOW = 0.1
"""A step that leaves more of the gradient than this is followed by second derivatives of the new place."""

NEVER_SINGULAR = 1e-12
"""What is added to the curvature in every direction."""


@dataclass(frozen=True)
class Logistic:
    """A logistic regression that was fitted.

    Parameters
    ----------
    scale : ndarray of float64 (C,)
        Standard deviations by which the features were divided; 1 for those that are constant.
    weights : ndarray of float64 (C,)
        For features that were divided by it.
    intercept : float
    """

    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    intercept: float

    def log_odds(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of rows of features (n, C)."""
        odds: NDArray[np.float64] = features @ (self.weights / self.scale) + self.intercept
        return odds


def fit_logistic(
    features: NDArray[np.float64],
    positive: NDArray[np.bool_],
    inverse_penalty: float = 1.0,
    start: Logistic | None = None,
) -> Logistic:
    """Minimise ½ |w|² + C Σ log(1 + exp(∓(w·x + b))) by Newton's method, the features divided by their deviations.

    Parameters
    ----------
    features : ndarray of float64 (n, C)
    positive : ndarray of bool (n,)
    inverse_penalty : float
        C of scikit-learn and of the formula above.
    start : Logistic, optional
        A fit to similar data, from which fewer steps are needed.

    Returns
    -------
    Logistic

    Examples
    --------
    >>> fitted = fit_logistic(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([False, False, True, True]))
    >>> fitted.weights.round(3), round(fitted.intercept, 3)
    (array([0.944]), -1.267)
    """
    deviation = features.std(0)
    scale = np.where(deviation > 10 * np.finfo(np.float64).eps * np.abs(features).max(0, initial=0), deviation, 1.0)
    # The intercept is a last feature, of ones, that the penalty spares.
    rows = np.concatenate([features / scale, np.ones((len(features), 1))], axis=1)
    penalty = np.append(np.full(features.shape[1], 1 / (inverse_penalty * len(rows))), 0.0)

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        odds = rows @ at
        return float((np.logaddexp(0, odds) - positive * odds).mean() + (penalty * at**2).sum() / 2), odds

    solution = np.zeros(rows.shape[1])
    current, odds = loss(solution)
    if start is not None:
        begun = np.append(start.weights, start.intercept)
        there, odds_there = loss(begun)
        if there < current:
            solution, current, odds = begun, there, odds_there
    single, curvature, largest = rows.astype(np.float32), None, np.inf
    for _ in range(MOST_STEPS):
        likely = 1 / (1 + np.exp(-odds.clip(-500, 500)))
        gradient = rows.T @ (likely - positive) / len(rows) + penalty * solution
        before, largest = largest, float(np.abs(gradient).max())
        if largest <= TOLERANCE:
            break
        if curvature is None or largest > SLOW * before:
            curvature = _curvature(single, likely, penalty)
        step, length = np.linalg.solve(curvature, gradient), 1.0
        # Halved until the loss sinks by a part of what the gradient promises (Armijo).
        while (further := loss(solution - length * step))[0] > current - 1e-4 * length * (
            gradient @ step
        ) and length > 1e-9:
            length /= 2
        if length <= 1e-9:
            # Rounding is all that is left.
            break
        solution, (current, odds) = solution - length * step, further
    return Logistic(scale, solution[:-1], float(solution[-1]))


def _curvature(
    rows: NDArray[np.float32], likely: NDArray[np.float64], penalty: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The second derivatives of the loss, of float32 rows: an approximate one leads to the same solution.

    A product with its own transpose is computed in half the time.
    """
    weighted = rows * np.sqrt(likely * (1 - likely) / len(rows)).astype(np.float32)[:, None]
    curvature: NDArray[np.float64] = (weighted.T @ weighted).astype(np.float64)
    # As good as nothing, and never singular, where all is told apart.
    curvature[np.diag_indices_from(curvature)] += penalty + NEVER_SINGULAR
    return curvature
