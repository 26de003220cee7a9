"""How well stored statistics agree with what a layer produces, as a likelihood.

Running statistics are moving averages over the last batches of training. How far such an average strays from what it
estimates is known: by the deviation of one example's share in it, over the root of how many examples it has seen lately. What
is left is how far weights have moved in the meantime, which is fitted, and must be little where a reading is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dcgan_viz.foreign.chains import Norm

MOMENTUM = 0.1
"""By which PyTorch's running statistics move to each batch's, unless told otherwise."""

SEEN = (150, 300, 600, 1200, 2400, 20_000)
"""Examples that a moving average may have seen lately: batches of 8 to 128, and any number."""

LATELY = 2 / MOMENTUM - 1
"""Batches that a moving average is worth."""

DRIFTS = (0.003, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
"""By how many of a map's deviations its statistics may have moved while they were taken."""

ROUGHLY = 300, 0.03
"""Of these what is supposed in a search, so that no right reading is lost early."""

FREEDOM = 5.0
"""Degrees of freedom of Student's distribution: a few maps may be far off."""

OUTLYING = 25.0
"""Square of a misfit beyond which a map counts no more."""

LEAST = 1e-3
"""Part of a layer's median variance that every map is taken to have at least: of dead ones, all ratios are chance."""

COMPARED, MOST = 96, 512
"""Directions in which maps vary together, and examples on which these are found."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """One layer's stored statistics beside what a reading produces.

    Parameters
    ----------
    stored, computed : Tensor (2, maps)
        Means and deviations.
    misfit : Tensor (2, maps)
        Differences of means in stored deviations, and of deviations' logarithms.
    axes : (Tensor (k, maps), Tensor (k, maps))
        Directions in which these vary together from example to example, orthonormal.
    noise : (Tensor (k,), Tensor (k,))
        Variance along these that a single example contributes.
    share : Tensor (maps,)
        Part of the variance that lies between examples, not within their maps.
    positions : int
        Values of a map in one example.
    examples : int
        On which it was computed.
    """

    stored: Tensor
    computed: Tensor
    misfit: Tensor
    axes: tuple[Tensor, Tensor]
    noise: tuple[Tensor, Tensor]
    share: Tensor
    positions: int
    examples: int

    def likelihood(self, seen: float, drifts: Sequence[float]) -> Tensor:
        """Logarithm of the stored statistics' likelihood for each of some drifts, but for a constant of the file."""
        moved = torch.tensor(drifts, dtype=torch.float64).square()
        total = torch.zeros_like(moved)
        for along, noise, beyond, others in self._parts(seen):
            total += _student(along, noise + moved[:, None]).sum(1)
            if others:
                # These maps are not independent either. As many numbers count whatever a reading makes of them: densities of
                # more numbers are no more likely.
                total += min(others, 2 * COMPARED - len(along)) * _student(beyond.sqrt(), moved)
        return total

    @property
    def rough_likelihood(self) -> float:
        """The same as it is supposed in a search."""
        seen, drift = ROUGHLY
        return self.likelihood(seen, [drift]).item()

    def strain(self) -> float:
        """Squares of misfits over what they should be for small batches, mean over maps, of means or of deviations."""
        seen, drift = ROUGHLY
        found = []
        for along, noise, beyond, others in self._parts(seen):
            squares = (along.square() / (noise + drift**2)).clamp(max=OUTLYING).sum() + others * beyond / drift**2
            found.append(squares.item() / (len(along) + others))
        return max(found)

    def _parts(self, seen: float) -> Iterator[tuple[Tensor, Tensor, Tensor, int]]:
        """Misfits along their axes, their variances but for drift, the mean square beyond, and over how many numbers."""
        batch = max(seen / LATELY, 4)
        # A batch's variance lacks that of its mean, which Bessel's correction makes up for only where positions do not agree.
        short = (1 - self.share / batch) * (batch * self.positions / (batch * self.positions - 1))
        misfits = self.misfit[0], self.misfit[1] + 0.5 * short.log()
        for misfit, axes, noise in zip(misfits, self.axes, self.noise, strict=True):
            along = axes @ misfit
            others = len(misfit) - len(along)
            # Where examples do not vary, only drift does.
            beyond = (misfit.square().sum() - along.square().sum()).clamp(min=0) / max(others, 1)
            yield along, noise * (1 / seen + 1 / self.examples), beyond, others


def _student(misfit: Tensor, variance: Tensor) -> Tensor:
    return -0.5 * (FREEDOM + 1) * torch.log1p(misfit.square() / (FREEDOM * variance)) - 0.5 * variance.log()


def examine(maps: Tensor, norm: Norm) -> Evidence:
    """What a normalisation meets, (N, maps, …), beside what is stored.

    Parameters
    ----------
    maps : Tensor
    norm : Norm
    """
    maps = maps.flatten(2) if maps.ndim > 2 else maps[:, :, None]
    means = maps.mean(2).double()
    mean = means.mean(0)
    squares = (maps - mean.float()[:, None]).square().mean(2).double()
    variance = squares.mean(0)
    between = means.var(0)
    # Running statistics start at 0 and 1, and have moved to the batches' only so far.
    moved = 1 - (1 - MOMENTUM) ** norm.batches if norm.batches else 1.0
    stored_mean, stored_variance = norm.mean.double(), norm.variance.double()
    floor = LEAST * stored_variance.median().clamp(min=1e-12)
    expected_mean, expected_variance = moved * mean, moved * variance + (1 - moved)
    scale = stored_variance + floor
    misfit = torch.stack(
        [
            (stored_mean - expected_mean) / scale.sqrt(),
            0.5 * (scale.log() - (expected_variance + floor).log()),
        ]
    )
    axes, noise = zip(
        _principal((means - mean) / scale.sqrt()),
        _principal(0.5 * (squares - variance) / (variance + floor)),
        strict=True,
    )
    return Evidence(
        torch.stack([stored_mean, stored_variance.sqrt()]),
        torch.stack([expected_mean, expected_variance.sqrt()]),
        misfit,
        axes,
        noise,
        (between / (variance + floor)).clamp(max=1),
        maps.shape[2],
        len(maps),
    )


def roughly(mean: Tensor, norm: Norm) -> float:
    """Likelihood of stored means alone, for a first look: of many readings the mean is computed at once.

    Parameters
    ----------
    mean : Tensor (maps,)
    norm : Norm
    """
    variance = norm.variance.double()
    misfit = (norm.mean.double() - mean.double()) / (variance + LEAST * variance.median().clamp(min=1e-12)).sqrt()
    each = -0.5 * (FREEDOM + 1) * torch.log1p(misfit.square() / (FREEDOM * 0.1**2))
    return float(each.sum()) * min(1.0, 32 / len(each))


def _principal(centred: Tensor) -> tuple[Tensor, Tensor]:
    """Directions (k, maps) in which examples (N, maps) vary, at most 96, and variances along these."""
    rows = centred[:MOST]
    _, sizes, axes = torch.linalg.svd(rows, full_matrices=False) if rows.shape[1] <= MOST else _thin(rows)
    return axes[:COMPARED], sizes[:COMPARED].square() / len(rows)


def _thin(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same of many maps, by products of examples."""
    squares, left = torch.linalg.eigh(rows @ rows.T)
    sizes, left = squares.flip(0).clamp(min=0).sqrt()[:COMPARED], left.flip(1)[:, :COMPARED]
    kept = sizes > 1e-6 * sizes[0].clamp(min=1e-12)
    return left[:, kept], sizes[kept], (left.T @ rows)[kept] / sizes[kept, None]


def weigh(layers: Sequence[Evidence]) -> tuple[float, float]:
    """Logarithm of the likelihood of all layers together, and the drift at which it is largest."""
    totals = [torch.stack([layer.likelihood(seen, DRIFTS) for layer in layers]).sum(0).tolist() for seen in SEEN]
    return max((total - 0.2 * k, DRIFTS[k]) for row in totals for k, total in enumerate(row))


def hellinger(layer: Evidence) -> float:
    """Hellinger distance of normal distributions, root mean square over maps: 0 alike, 1 apart."""
    (mean, deviation), (expected, computed) = layer.stored, layer.computed.clamp(min=-math.inf)
    total = (deviation.square() + computed.square()).clamp(min=1e-20)
    overlap = (2 * deviation * computed / total).sqrt() * torch.exp(-((mean - expected) ** 2) / (4 * total))
    return (1 - overlap).clamp(min=0).mean().sqrt().item()
