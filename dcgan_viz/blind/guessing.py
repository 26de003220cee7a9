"""Whether a blind judge can be blind: how often the colours of a picture alone tell under which condition it was drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.statistics import Estimate, share_estimate

STATISTICS = ("mean", "standard deviation", "brightest tenth")
"""Of each channel: nine numbers of a colour picture."""

FOLDS = 5


@dataclass(frozen=True)
class Guesser:
    """A logistic regression on statistics of colour, which guesses the condition of pictures that it has not seen.

    Parameters
    ----------
    accuracy : Estimate
        Share of pictures whose condition it guesses, cross-validated: all pictures of one latent are in one fold.
    chance : float
        What guessing without looking gives.
    statistics : tuple of str
        Of each channel.
    """

    accuracy: Estimate
    chance: float
    statistics: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What follows for the judge, in plain words."""
        follows = (
            "so that whoever knows what to look for need not be blind"
            if self.accuracy.low > self.chance
            else "which is not shown to be more than chance"
        )
        return (
            f"statistics of colour alone guess the condition of {self.accuracy:.0%} of the pictures, chance is "
            f"{100 * self.chance:.0f} %, {follows}"
        )


def colour_statistics(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean, standard deviation and mean of the brightest tenth of each channel (N, 3 C) of pictures (N, H, W, C).

    Examples
    --------
    >>> colour_statistics(np.arange(20, dtype=np.uint8).reshape(1, 4, 5, 1)).round(2).tolist()
    [[9.5, 5.77, 18.5]]
    """
    flat = np.sort(pictures.reshape(len(pictures), -1, pictures.shape[-1]).astype(np.float64), axis=1)
    brightest = flat[:, -max(flat.shape[1] // 10, 1) :]
    return np.concatenate([flat.mean(1), flat.std(1), brightest.mean(1)], axis=1)


def guess_conditions(
    pictures: NDArray[np.uint8], condition: NDArray[np.int64], pair: NDArray[np.int64], conditions: int
) -> Guesser:
    """Guess under which condition each picture was drawn, from its colours alone.

    Parameters
    ----------
    pictures : ndarray of uint8 (N, H, W, C)
    condition, pair : ndarray of int64 (N,)
        As in `BlindTrial`.
    conditions : int

    Returns
    -------
    Guesser
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = GroupKFold(min(FOLDS, len(np.unique(pair))))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    guessed = cross_val_predict(model, colour_statistics(pictures), condition, groups=pair, cv=folds)
    right = int((guessed == condition).sum())
    return Guesser(share_estimate(right, len(condition), over="pictures"), 1 / conditions, STATISTICS)
