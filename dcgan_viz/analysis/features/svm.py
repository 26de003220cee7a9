"""A linear support vector machine for features that do not fit in memory: LIBLINEAR's objective, read in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from dcgan_viz.errors import UserError

BLOCK_BYTES = 4 * 2**20
"""Of features at a time, as they are computed with: what fits in a processor's cache is read from memory only once."""

CPU = torch.device("cpu")

DEVICE_BLOCK_BYTES = 256 * 2**20
"""The same on an accelerator, where few large products are fast."""

DEVICE_SHARE = 0.5
"""Of an accelerator's free memory that features are kept in; larger ones are sent there again in every pass."""

FORCING = 0.1
"""A Newton step is solved to this share of the gradient, as LIBLINEAR does (Lin, Weng & Keerthi 2008)."""

MOST_CONJUGATE_STEPS = 60
ARMIJO = 0.01
HALVINGS = 30


class LinearSVM(ClassifierMixin, BaseEstimator):
    """Linear classifier with the squared hinge loss and an L2 penalty, one class against the rest.

    Minimises, for every class, ``|w|² / 2 + C Σ max(0, 1 - y (w·x + b))²`` with the bias penalised like a weight: the
    objective of LIBLINEAR's solvers 1 and 2, and of scikit-learn's ``LinearSVC(intercept_scaling=1)``, which the paper
    used. Newton steps with conjugate gradients, all classes in the same pass over the features, which may be float16 and
    memory-mapped: a block of rows at a time is in memory.

    Parameters
    ----------
    C : float
        Weight of the loss.
    tol : float
        Ends after the step that promised to lower the objective of no class by more than this share of it.
    max_iter : int
        Newton steps at most.
    device : str or torch.device
        Where to compute: ``cpu`` or a CUDA device.

    Attributes
    ----------
    classes_ : ndarray (K,)
    coef_ : ndarray (K, d), or (1, d) for two classes
    intercept_ : ndarray (K,), or (1,)
    objective_ : ndarray of float64 (K,), or (1,)
        What was minimised, at its end.
    n_iter_ : int
        Newton steps.
    passes_ : int
        Times that all features were read; of few rows, those of the space that they span.

    Examples
    --------
    >>> features = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> LinearSVM(C=10).fit(features, ["low", "low", "high", "high"]).predict([[0.5], [2.5]])
    array(['low', 'high'], dtype='<U4')
    """

    classes_: NDArray[Any]
    coef_: NDArray[Any]
    intercept_: NDArray[Any]
    objective_: NDArray[np.float64]
    n_iter_: int
    passes_: int

    def __init__(
        self,
        C: float = 1.0,  # noqa: N803
        *,
        tol: float = 1e-5,
        max_iter: int = 50,
        device: str | torch.device = "cpu",
    ) -> None:
        self.C = C
        self.tol = tol
        self.max_iter = max_iter
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike, start: LinearSVM | None = None) -> Self:  # noqa: N803
        """Fit to features (n, d) and classes (n,).

        Parameters
        ----------
        X : array-like (n, d)
            float16 arrays, memory-mapped or not, are read in blocks and never copied whole.
        y : array-like (n,)
            Any labels.
        start : LinearSVM, optional
            Fitted to the same classes with another C: its weights are where this one starts from.

        Raises
        ------
        ValueError
            If there are fewer than two classes, a feature is not finite, or the numbers of rows differ.
        """
        features, labels = self._checked(X, y)
        shorter = _shorter(features, self.device) if start is None else None
        if shorter is None:
            return self._fit(_Blocks(features, self.device), labels, start)
        few = LinearSVM(self.C, tol=self.tol, max_iter=self.max_iter)._fit(_Blocks(shorter.numpy()), labels)
        (found,) = _in_features([few], shorter, features, self.device)
        for name in ("classes_", "coef_", "intercept_", "objective_", "n_iter_", "passes_"):
            setattr(self, name, getattr(found, name))
        return self

    def _fit(self, blocks: _Blocks, labels: NDArray[Any], start: LinearSVM | None = None) -> Self:
        """Fit to features that have been checked."""
        if not np.isfinite(self.C) or self.C <= 0:
            raise ValueError(f"C must be positive and finite, not {self.C}")
        self.n_features_in_ = blocks.shape[1]
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"a classifier needs at least two classes, and there is 1 class: {self.classes_[0]!r}")
        columns = 1 if len(self.classes_) == 2 else len(self.classes_)
        positive = [1] if columns == 1 else range(columns)
        signs = torch.stack([torch.from_numpy(np.where(numbers == k, 1.0, -1.0)) for k in positive])
        weights = torch.zeros(columns, blocks.shape[1] + 1, dtype=blocks.kind)
        if start is not None:
            if not np.array_equal(start.classes_, self.classes_) or start.coef_.shape[1] != blocks.shape[1]:
                raise ValueError("a fit starts from one with the same classes and features")
            weights = torch.from_numpy(np.column_stack([start.coef_, start.intercept_])).to(blocks.kind)
        before = blocks.passes
        signs, weights = signs.to(blocks.device, blocks.kind), weights.to(blocks.device)
        found = _minimise(blocks, signs, float(self.C), self.tol, self.max_iter, weights)
        self.coef_ = found.weights[:, :-1].contiguous().cpu().numpy()
        self.intercept_ = found.weights[:, -1].cpu().numpy()
        self.objective_ = found.objective.cpu().numpy()
        self.n_iter_, self.passes_ = found.steps, blocks.passes - before
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Signed distances ``w·x + b``: (n, K), or (n,) for two classes."""
        check_is_fitted(self)
        features = self._features(X, reset=False)
        blocks = _Blocks(features, self.device, keep=False)
        weights = torch.from_numpy(np.column_stack([self.coef_, self.intercept_])).to(blocks.device, blocks.kind)
        scores = torch.cat([blocks.times(block, weights) for block in blocks.each()], 1).T.cpu().numpy()
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """The class (n,) of the largest distance."""
        scores = self.decision_function(X)
        chosen = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)
        found: NDArray[Any] = self.classes_[chosen]
        return found

    def _checked(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:  # noqa: N803
        if isinstance(X, np.ndarray) and X.dtype == np.float16:
            labels: NDArray[Any] = np.asarray(y)
            if labels.shape != (len(X),):
                raise ValueError(f"there are {len(X)} rows of features and labels of shape {labels.shape}")
            features = self._features(X, reset=True)
        else:
            features, labels = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(labels)
        return features, labels

    def _features(self, X: ArrayLike, *, reset: bool) -> NDArray[Any]:  # noqa: N803
        if not (isinstance(X, np.ndarray) and X.dtype == np.float16):
            checked: NDArray[Any] = validate_data(self, X, dtype=[np.float64, np.float32], reset=reset)
            return checked
        # scikit-learn's checks copy what they look at, and this may be larger than memory.
        if X.ndim != 2 or 0 in X.shape:
            raise ValueError(f"features must be an array (n, d) that is not empty, not of shape {X.shape}")
        validate_data(self, X, reset=reset, skip_check_array=True)
        for rows in _rows(X.shape):
            if not np.isfinite(X[rows]).all():
                first = int(np.flatnonzero(~np.isfinite(X[rows]).all(1))[0]) + rows.start
                raise ValueError(f"the features of row {first} are not finite")
        return X


def _rows(shape: tuple[int, ...], device: torch.device = CPU) -> list[slice]:
    """Slices of rows that come to a block in float32."""
    count = max((BLOCK_BYTES if device == CPU else DEVICE_BLOCK_BYTES) // (4 * shape[1]), 1)
    return [slice(start, min(start + count, shape[0])) for start in range(0, shape[0], count)]


class _Blocks:
    """Features (n, d) with a column of ones, a block of rows at a time.

    On an accelerator they are sent there once, if they fit and `keep`, as they are; otherwise in every pass.
    """

    def __init__(self, features: NDArray[Any], device: str | torch.device = "cpu", *, keep: bool = True) -> None:
        self.features, self.device = features, torch.device(device)
        self.shape = features.shape
        self.kind = torch.float64 if features.dtype == np.float64 else torch.float32
        self.rows = _rows(self.shape, self.device)
        self.passes = 0
        self.kept: list[Tensor] | None = None
        if keep and self.device != CPU:
            free, _ = torch.cuda.mem_get_info(self.device)
            if features.nbytes <= DEVICE_SHARE * free:
                self.kept = [self._tensor(rows).to(self.device) for rows in self.rows]

    def each(self) -> Iterator[Tensor]:
        """The blocks of one pass, as tensors (rows, d), in which everything is computed."""
        self.passes += 1
        blocks = (self._tensor(rows) for rows in self.rows) if self.kept is None else self.kept
        for block in blocks:
            yield block.to(self.device).to(self.kind)

    def _tensor(self, rows: slice) -> Tensor:
        block = self.features[rows]
        # Tensors cannot be made of what is read-only or strided backwards, and nothing here writes to them.
        return torch.from_numpy(np.array(block, copy=None if block.flags.writeable else True, order="C"))

    @staticmethod
    def times(block: Tensor, weights: Tensor) -> Tensor:
        """Scores (K, rows)."""
        # A class's weights lie together: as columns of a few numbers they would take four times as long.
        return torch.addmm(weights[:, -1:], weights[:, :-1], block.T)

    @cached_property
    def squares(self) -> Tensor:
        """The sums over all rows of squared features (d + 1,)."""
        total = torch.zeros(self.shape[1] + 1, dtype=self.kind, device=self.device)
        for block in self.each():
            total[:-1] += block.square().sum(0)
        total[-1] = self.shape[0]
        return total

    @cached_property
    def axes(self) -> _Axes | None:
        """About the principal axes of all rows, from some of them (Nyström); None where there are few rows or features."""
        count, size = self.shape
        if count <= MOST_ROWS or size < MANY:
            return None
        rows = np.linspace(0, count - 1, SAMPLED).round().astype(np.int64)
        sample = torch.from_numpy(np.ascontiguousarray(self.features[rows])).to(self.device).to(self.kind)
        sample = torch.cat([sample, torch.ones_like(sample[:, :1])], 1)
        values, vectors = torch.linalg.eigh((sample @ sample.T).double())
        kept = slice(-AXES, None)
        strong = values[kept] > 1e-6 * values[-1]
        values, vectors = values[kept][strong], vectors[:, kept][:, strong]
        directions = (vectors / values.sqrt()).T.to(self.kind) @ sample
        return _Axes(directions, (values * (count / SAMPLED)).to(self.kind))

    def gather(self, of_rows: Callable[[slice, Tensor], Tensor], like: Tensor) -> Tensor:
        """The sum over all rows of each row's features times its `of_rows` (K, rows): (K, d + 1), in one pass."""
        total = torch.zeros_like(like)
        for rows, block in zip(self.rows, self.each(), strict=True):
            values = of_rows(rows, block)
            total[:, :-1].addmm_(values, block)
            total[:, -1] += values.sum(1)
        return total


@dataclass(frozen=True)
class _Minimum:
    weights: Tensor
    objective: Tensor
    steps: int


def _minimise(blocks: _Blocks, signs: Tensor, C: float, tol: float, most: int, weights: Tensor) -> _Minimum:  # noqa: N803
    """Newton's method on all classes at once; those that have converged stay where they are."""
    scores = torch.zeros_like(signs)

    def residual(rows: slice, block: Tensor) -> Tensor:
        scores[:, rows] = blocks.times(block, weights)
        return -2 * C * signs[:, rows] * (1 - signs[:, rows] * scores[:, rows]).clamp_min(0)

    squares, axes = blocks.squares, blocks.axes
    gradient = blocks.gather(residual, weights) + weights
    active = torch.ones(len(signs), dtype=torch.bool, device=signs.device)
    steps = 0
    while steps < most and active.any():
        steps += 1
        curved = (signs * scores < 1).to(signs.dtype)
        share = 2 * C * curved.mean(1, keepdim=True)
        # The curvature's diagonal, about: features of very different scales would take hundreds of steps without it.
        scale = _Diagonal(1 + share * squares) if axes is None else _LowRank(axes, squares, share)
        direction, change = _conjugate_gradients(blocks, gradient, curved, scale, C, active)
        length = _step_lengths(weights, direction, scores, change, signs, gradient, C, active)
        # Half of Newton's decrement: what the quadratic about here could still be lowered by.
        promised = -(gradient * direction).sum(1).double() / 2
        active &= promised > tol * _objective(weights.square().sum(1), scores, signs, C)
        active &= length > 0
        weights = weights + direction * length[:, None]
        gradient = blocks.gather(residual, weights) + weights
    return _Minimum(weights, _objective(weights.square().sum(1), scores, signs, C), steps)


def _objective(square: Tensor, scores: Tensor, signs: Tensor, C: float) -> Tensor:  # noqa: N803
    loss = (1 - signs * scores).clamp_min(0).double().square().sum(1)
    return 0.5 * square.double() + C * loss


AXES, SAMPLED = 400, 1500
"""Axes along which the curvature of many rows is known about, and the rows that they are taken from."""

MANY = 1000
"""Features, from which on their axes are worth their price."""


@dataclass(frozen=True)
class _Axes:
    """The directions (k, d + 1) in which the features reach farthest, and the sums of their squares along each (k,)."""

    directions: Tensor
    squares: Tensor


class _Scale(Protocol):
    """About the curvature, in a form that can be divided by."""

    def divide(self, gradient: Tensor) -> Tensor:
        """The curvature's inverse times vectors (K, d + 1), each row with that of its class."""


@dataclass(frozen=True)
class _Diagonal:
    diagonal: Tensor

    def divide(self, gradient: Tensor) -> Tensor:
        return gradient / self.diagonal


class _LowRank:
    """The curvature along some axes, and the mean of the rest in all other directions."""

    def __init__(self, axes: _Axes, squares: Tensor, share: Tensor) -> None:
        rest = (squares.sum() - axes.squares.sum()).clamp_min(0) / (len(squares) - len(axes.squares))
        self.directions, self.rest = axes.directions, 1 + rest * share
        along = 1 + share * axes.squares
        self.change = (1 - self.rest / along).clamp_min(0)

    def divide(self, gradient: Tensor) -> Tensor:
        along = gradient @ self.directions.T
        return torch.addmm(gradient, self.change * along, self.directions, alpha=-1) / self.rest


def _conjugate_gradients(
    blocks: _Blocks,
    gradient: Tensor,
    curved: Tensor,
    scale: _Scale,
    C: float,  # noqa: N803
    active: Tensor,
) -> tuple[Tensor, Tensor]:
    """The Newton direction (K, d + 1) of each class, preconditioned, and the scores' change along it (K, n)."""
    direction, change = torch.zeros_like(gradient), torch.zeros_like(curved)
    residual = -gradient * active[:, None]
    search = scale.divide(residual)
    square = (residual * search).sum(1)
    goal = FORCING**2 * square
    moved = torch.empty_like(curved)
    tiny = torch.finfo(gradient.dtype).tiny

    def curvature(rows: slice, block: Tensor) -> Tensor:
        moved[:, rows] = blocks.times(block, search)
        return 2 * C * curved[:, rows] * moved[:, rows]

    for _ in range(MOST_CONJUGATE_STEPS):
        going = square > goal
        if not going.any():
            break
        product = blocks.gather(curvature, search) + search
        along = (search * product).sum(1)
        rate = torch.where(going & (along > 0), square / along.clamp_min(tiny), 0)[:, None]
        direction += rate * search
        change += rate * moved
        residual -= rate * product
        conditioned = scale.divide(residual)
        new = (residual * conditioned).sum(1)
        share = (new / square.clamp_min(tiny))[:, None]
        search = torch.where(going[:, None], conditioned + share * search, 0)
        square = torch.where(going, new, square)
    return direction, change


def _step_lengths(
    weights: Tensor,
    direction: Tensor,
    scores: Tensor,
    change: Tensor,
    signs: Tensor,
    gradient: Tensor,
    C: float,  # noqa: N803
    active: Tensor,
) -> Tensor:
    """How far each class goes: halved until the objective falls enough. Reads no features, as the scores are linear."""
    before = _objective(weights.square().sum(1), scores, signs, C)
    slope = (gradient * direction).sum(1).double()
    length = active.to(weights.dtype)
    for _ in range(HALVINGS):
        square = (weights + length[:, None] * direction).square().sum(1)
        after = _objective(square, scores + length[:, None] * change, signs, C)
        short = (after > before + ARMIJO * length.double() * slope) & (length > 0)
        if not short.any():
            return length
        length = torch.where(short, length / 2, length)
    # What cannot be lowered any more in this precision is where it was.
    return torch.where(short, 0, length)


def predict_many(svms: Sequence[LinearSVM], features: NDArray[Any]) -> NDArray[Any]:
    """What several fits to the same classes and features predict (len(svms), n), in one pass over the features.

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> svms = [LinearSVM(C).fit(x, [0, 0, 1, 1]) for C in (1.0, 10.0)]
    >>> predict_many(svms, x)
    array([[0, 0, 1, 1],
           [0, 0, 1, 1]])
    """
    classes = svms[0].classes_
    if any(not np.array_equal(svm.classes_, classes) for svm in svms):
        raise ValueError("fits that predict together have the same classes")
    stacked = [np.column_stack([svm.coef_, svm.intercept_]) for svm in svms]
    blocks = _Blocks(features, svms[0].device, keep=False)
    weights = torch.from_numpy(np.concatenate(stacked)).to(blocks.device, blocks.kind)
    columns = len(svms[0].intercept_)
    chosen = []
    for block in blocks.each():
        scores = blocks.times(block, weights).unflatten(0, (len(svms), columns))
        chosen.append((scores[:, 0] > 0).long() if columns == 1 else scores.argmax(1))
    found: NDArray[Any] = classes[torch.cat(chosen, 1).cpu().numpy()]
    return found


MOST_ROWS = 3000
"""Up to so many rows, a path is fitted to their coordinates in the space that they span, where that is smaller."""


def _shorter(features: NDArray[Any], device: str | torch.device) -> Tensor | None:
    """Rows (n, r) on the CPU with the same inner products as those of features (n, d), along their principal axes.

    None where that saves nothing.
    """
    count, size = features.shape
    if count > MOST_ROWS or count >= size:
        return None
    products = torch.zeros(count, count, dtype=torch.float64, device=device)
    kind = torch.float64 if features.dtype == np.float64 else torch.float32
    for start in range(0, size, 4096):
        part = torch.from_numpy(np.array(features[:, start : start + 4096], order="C")).to(device).to(kind)
        products += (part @ part.T).double()
    values, vectors = torch.linalg.eigh(products)
    # Along these axes the products of columns vanish, so that the diagonal of the curvature is nearly all of it.
    spanned = values > 1e-7 * values[-1]
    return (vectors[:, spanned] * values[spanned].sqrt()).cpu()


def _in_features(
    svms: Sequence[LinearSVM], shorter: Tensor, features: NDArray[Any], device: str | torch.device
) -> list[LinearSVM]:
    """Fits to `_shorter` rows as fits to the features: their weights are sums of the features' rows."""
    columns = len(svms[0].intercept_)
    weights = torch.from_numpy(np.concatenate([svm.coef_ for svm in svms])).double()
    blocks = _Blocks(features, device, keep=False)
    shares = ((weights / shorter.square().sum(0)) @ shorter.T).to(blocks.device, blocks.kind)
    coefficients = torch.zeros(len(weights), features.shape[1], dtype=blocks.kind, device=blocks.device)
    for rows, block in zip(blocks.rows, blocks.each(), strict=True):
        coefficients += shares[:, rows] @ block
    coefficients = coefficients.cpu()
    for number, svm in enumerate(svms):
        svm.coef_ = coefficients[number * columns : (number + 1) * columns].numpy()
        svm.intercept_ = svm.intercept_.astype(svm.coef_.dtype)
        svm.n_features_in_, svm.device = features.shape[1], device
    return list(svms)


@dataclass(frozen=True)
class PathPoint:
    """A fit with one C, and how often it is right.

    Parameters
    ----------
    C : float
    accuracy : float
        On the validation rows.
    svm : LinearSVM
    """

    C: float
    accuracy: float
    svm: LinearSVM


def fit_path(
    features: NDArray[Any],
    labels: NDArray[Any],
    validation: tuple[NDArray[Any], NDArray[Any]],
    grid: tuple[float, ...],
    **options: Any,
) -> tuple[PathPoint, ...]:
    """Fits with every C of a grid, ascending, each from the last one's weights, and their accuracy on other rows.

    Parameters
    ----------
    features, labels : ndarray (n, d), (n,)
    validation : tuple of ndarray (m, d), (m,)
    grid : tuple of float
    **options
        Of `LinearSVM`.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> x = random.normal(size=(60, 3)); y = x[:, 0] > 0
    >>> [point.C for point in fit_path(x[:40], y[:40], (x[40:], y[40:]), (0.1, 0.01))]
    [0.01, 0.1]
    """
    if not grid:
        raise UserError("a path needs at least one C")
    first = LinearSVM(**options)
    checked, labels = first._checked(features, labels)
    shorter = _shorter(checked, first.device)
    blocks = _Blocks(checked, first.device) if shorter is None else _Blocks(shorter.numpy())
    svms: list[LinearSVM] = []
    for value in sorted(grid):
        svms.append(LinearSVM(value, **options)._fit(blocks, labels, svms[-1] if svms else None))
    if shorter is not None:
        svms = _in_features(svms, shorter, checked, first.device)
    shares = (predict_many(svms, validation[0]) == validation[1]).mean(1)
    points = [PathPoint(svm.C, float(share), svm) for svm, share in zip(svms, shares, strict=True)]
    return tuple(points)
