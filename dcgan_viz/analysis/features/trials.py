"""Linear classifiers fitted to draws of labels: C from a validation set, and what each draw says of the test images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_viz.analysis.features.protocols import GRID, TRAINING, TUNING, Protocol, Task
from dcgan_viz.analysis.features.svm import MOST_ROWS, LinearSVM, fit_path, predict_many
from dcgan_viz.progress import Progress, Stage, silent

BEYOND = 3
"""Values that the grid is continued by at a time: a decade."""

SMALLEST, LARGEST = 1e-7, 1e2


@dataclass(frozen=True)
class Trials:
    """Fits to several draws of labels.

    Parameters
    ----------
    predictions : ndarray of int64 (draws, n)
        Of the test images.
    C : float
    path : tuple of (float, float)
        The values of C that were tried, with the mean accuracy on the validation images.
    labels : int
        Labels of a draw.
    svm : LinearSVM
        Of the first draw.
    """

    predictions: NDArray[np.int64] = field(repr=False)
    C: float
    path: tuple[tuple[float, float], ...]
    labels: int
    svm: LinearSVM = field(repr=False)


def run_trials(
    features: NDArray[np.float16],
    task: Task,
    protocol: Protocol,
    seed: int = 0,
    *,
    exact: bool | None = None,
    tol: float = 1e-4,
    device: str | torch.device = "cpu",
    what: str = "features",
    progress: Progress = silent,
) -> Trials:
    """Choose C on draws of labels of their own, fit to each draw, and predict the test images.

    Where all labels are taken, the last fit is to the pool and the validation images together.

    Parameters
    ----------
    features : ndarray of float16 (N, d)
        In the order of the task; may be memory-mapped.
    task : Task
    protocol : Protocol
    seed : int
    exact : bool, optional
        Overrides the protocol's: a baseline may always have the C that suits it.
    tol : float
    device : str or torch.device
        Of the fits, as in `LinearSVM`.
    what : str
        The features, for the progress.
    progress : Progress

    Returns
    -------
    Trials
    """
    validation = features[task.validation], task.numbers[task.validation]
    everything = protocol.per_class is None
    of_each = protocol.tuning_per_class or protocol.per_class
    draws = [task.draw(of_each, (seed, TUNING, k)) for k in range(1 if everything else protocol.tuning_draws)]

    def accuracy(grid: tuple[float, ...]) -> list[float]:
        found = []
        for rows in progress(draws, Stage(f"choosing C for {what}", len(draws), "draw")):
            points = fit_path(_rows(features, rows), task.numbers[rows], validation, grid, tol=tol, device=device)
            found.append([point.accuracy for point in points])
        return np.mean(found, axis=0).tolist()

    # Of few rows a path shares most of its work; of many it is the large values of C that take long.
    at_once = len(GRID) if len(draws[0]) <= MOST_ROWS else BEYOND
    path = choose_c(accuracy, GRID, protocol.exact if exact is None else exact, at_once)
    best = max(path, key=lambda point: (point[1], -point[0]))[0]
    if everything:
        rows = np.arange(task.training)
        chosen = [rows]
    else:
        chosen = [task.draw(protocol.per_class, (seed, TRAINING, k)) for k in range(protocol.draws)]
    svms = [
        LinearSVM(best, tol=tol, device=device).fit(_rows(features, rows), task.numbers[rows])
        for rows in progress(chosen, Stage(f"fitting to {what}", len(chosen), "draw"))
    ]
    predictions = predict_many(svms, features[task.test]).astype(np.int64)
    return Trials(predictions, best, path, len(chosen[0]), svms[0])


def choose_c(
    accuracy: Callable[[tuple[float, ...]], list[float]],
    grid: tuple[float, ...],
    exact: bool,
    at_once: int | None = None,
) -> tuple[tuple[float, float], ...]:
    """The values of C that were tried, ascending, with their accuracy; continued past the better end unless `exact`.

    Then, too, only the first `at_once` values of the grid are tried, and as many more as long as that is better.

    Examples
    --------
    >>> found = choose_c(lambda grid: [-abs(np.log10(c)) for c in grid], (1e-3, 1e-2), exact=False)
    >>> max(found, key=lambda point: point[1])[0]
    1.0
    """
    first = grid if exact or at_once is None else grid[:at_once]
    found = dict(zip(first, accuracy(first), strict=True))
    while not exact:
        best = max(found, key=lambda c: (found[c], -c))
        if best == max(found) < LARGEST:
            further = tuple(c for c in grid if c > best)[:at_once] or _decade(best, up=True)
        elif best == min(found) > SMALLEST:
            further = _decade(best, up=False)
        else:
            break
        found.update(zip(further, accuracy(further), strict=True))
    return tuple(sorted(found.items()))


def _decade(start: float, up: bool) -> tuple[float, ...]:
    """The next values of the series 1, 2, 5 above or below a value, ascending."""
    series = sorted(float(f"{m}e{e}") for m in (1, 2, 5) for e in range(-9, 4))
    place = int(np.argmin(np.abs(np.log(np.array(series) / start))))
    return tuple(series[place + 1 : place + 1 + BEYOND] if up else series[place - BEYOND : place])


def _rows(features: NDArray[np.float16], rows: NDArray[np.int64]) -> NDArray[np.float16]:
    """Chosen rows; without a copy where they lie together."""
    if len(rows) == rows[-1] - rows[0] + 1:
        return features[rows[0] : rows[-1] + 1]
    return features[rows]
