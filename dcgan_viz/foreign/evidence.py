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

GROWN = 0.1, 0.0
"""By what share all means of a layer, and all deviations, may have grown meanwhile beside that.

Early in training weights are small and all move one way, so that means grow in proportion. A leakier activation moves them alike.
"""

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
        """Logarithm of the likelihood of stored means and of deviations (2, drifts), but for a constant of the file."""
        moved = torch.tensor(drifts, dtype=torch.float64).square()
        totals = []
        for part in self._parts(seen):
            variance = part.noise + moved[:, None]
            left, cost = part.without_growth(variance, moved)
            total = _student(left, variance).sum(1) - cost
            if part.others:
                # These maps are not independent either. As many numbers count whatever a reading makes of them: densities of
                # more numbers are no more likely.
                total += min(part.others, 2 * COMPARED - len(part.along)) * _student(part.beyond.sqrt(), moved)
            totals.append(total)
        return torch.stack(totals)

    @property
    def rough_likelihood(self) -> float:
        """The same as it is supposed in a search."""
        seen, drift = ROUGHLY
        return self.likelihood(seen, [drift]).sum().item()

    def strain(self) -> float:
        """Squares of misfits over what they should be for small batches, mean over maps, of means or of deviations."""
        seen, drift = ROUGHLY
        moved = torch.tensor([drift**2], dtype=torch.float64)
        found = []
        for part in self._parts(seen):
            variance = part.noise + moved[:, None]
            left, _ = part.without_growth(variance, moved)
            squares = (left.square() / variance).clamp(max=OUTLYING).sum() + part.others * part.beyond / drift**2
            found.append(squares.item() / (len(part.along) + part.others))
        return max(found)

    def _parts(self, seen: float) -> Iterator[_Part]:
        """Of means, and of deviations."""
        batch = max(seen / LATELY, 4)
        # A batch's variance lacks that of its mean, which Bessel's correction makes up for only where positions do not agree.
        short = (1 - self.share / batch) * (batch * self.positions / (batch * self.positions - 1))
        misfits = self.misfit[0], self.misfit[1] + 0.5 * short.log()
        proportional = self.stored[0] / self.stored[1].clamp(min=1e-12), torch.ones_like(self.misfit[1])
        for k, (misfit, axes) in enumerate(zip(misfits, self.axes, strict=True)):
            along = axes @ misfit
            others = len(misfit) - len(along)
            # Where examples do not vary, only drift does.
            beyond = (misfit.square().sum() - along.square().sum()).clamp(min=0) / max(others, 1)
            noise = self.noise[k] * (1 / seen + 1 / self.examples)
            yield _Part(along, axes @ proportional[k], noise, beyond, others, GROWN[k])


@dataclass(frozen=True, eq=False)
class _Part:
    """Misfits of a layer's means, or of its deviations.

    Parameters
    ----------
    along, together : Tensor (k,)
        Misfits along the axes, and what these are where all maps grow by a share.
    noise : Tensor (k,)
        Variance, but for drift.
    beyond : Tensor
        Mean square of what lies along no axis.
    others : int
        Over how many numbers.
    grown : float
        By how much all may have grown.
    """

    along: Tensor
    together: Tensor
    noise: Tensor
    beyond: Tensor
    others: int
    grown: float

    def without_growth(self, variance: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
        """What is left of the misfits for variances (drifts, k) if all maps have grown as is most likely, and what that costs."""
        usual = moved.clamp(min=self.grown**2)
        told = (self.together.square() / variance).sum(1)
        growth = (self.together * self.along / variance).sum(1) / (told + 1 / usual)
        cost = 0.5 * (growth.square() / usual + torch.log1p(usual * told))
        return self.along - growth[:, None] * self.together, cost


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
    """Logarithm of the likelihood of all layers together, and the largest drift of any at which it is largest.

    Means and deviations of each layer drift on their own: a layer reads what has drifted, but the first one reads latents.
    """
    slow = 0.2 * torch.arange(len(DRIFTS))
    found = []
    for seen in SEEN:
        best, places = torch.cat([layer.likelihood(seen, DRIFTS) - slow for layer in layers]).max(1)
        found.append((best.sum().item(), DRIFTS[int(places.max())]))
    return max(found)


def hellinger(layer: Evidence) -> float:
    """Hellinger distance of normal distributions, root mean square over maps: 0 alike, 1 apart."""
    (mean, deviation), (expected, computed) = layer.stored, layer.computed.clamp(min=-math.inf)
    total = (deviation.square() + computed.square()).clamp(min=1e-20)
    overlap = (2 * deviation * computed / total).sqrt() * torch.exp(-((mean - expected) ** 2) / (4 * total))
    return (1 - overlap).clamp(min=0).mean().sqrt().item()
