"""Inversion: the latents whose pictures are nearest to given photographs (Zhu et al. 2016, Creswell & Bharath 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chi
from torch import Tensor

from dcgan_viz.analysis.latent.similarity import peak_signal_to_noise, root_mean_squares, structural_similarities
from dcgan_viz.analysis.latent.spaces import FEATURES, Space, feature_space, pixel_space
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.evaluation import evaluation
from dcgan_viz.networks.spec import Prior
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.results import Result, Settings
from dcgan_viz.statistics import Estimate, share_estimate, stream

UNRELATED_PAIRS = 256
UNRELATED, OWN, POOL = range(1, 4)
"""Streams of random numbers of a seed."""
LEARNING_RATE = 0.1
FIRST_PART = 0.25
"""After this share of the steps only the best start of each picture goes on."""

FOUND = 0.2
"""A sample is found again if what was found lies nearer than this share of the distance between unrelated samples, in
pixels and in features."""

SHELL = 0.001
"""Of a Gaussian prior so much may lie inside and outside the shell that latents are kept on."""


@dataclass(frozen=True)
class Match:
    """How near a picture of the generator is to the one that was looked for.

    Parameters
    ----------
    pixels : float
        Root mean square difference in grey levels.
    psnr : float
        The same in decibels below 255.
    ssim : float
        Structural similarity.
    features : float
        Distance in the discriminator's features; 1 between unrelated samples.
    """

    pixels: float
    psnr: float
    ssim: float
    features: float


@dataclass(frozen=True)
class Inverted:
    """What was found for one picture.

    Parameters
    ----------
    name : str
        The photograph's, or the number of the model's own sample.
    found : Match
        Of the best latent.
    nearest : Match
        Of the nearest of the random samples.
    recovered : bool
        Whether it lies within a fifth of the distance between unrelated samples, in pixels and in features.
    """

    name: str
    found: Match
    nearest: Match
    recovered: bool


class InversionSettings(Settings):
    """How an `Inversion` was obtained."""

    starts: int
    steps: int
    steps_of_all_starts: int
    samples: int
    evaluations: int
    learning_rate: float
    found_within: float
    kept_in_prior: str
    unrelated_pairs: int
    features: str


@dataclass(frozen=True, kw_only=True)
class Inversion(Result):
    """Latents of photographs, and how good they are.

    Parameters
    ----------
    latents : ndarray of float32 (n, latent_dim)
        One a photograph, in their order.
    photographs, pictures, nearest : ndarray of uint8 (n, H, W, C)
        What was looked for, what was found, and the nearest random samples.
    own_samples, own_pictures, own_nearest : ndarray of uint8 (own, H, W, C)
        The same for samples of the model, whose latents exist.
    inverted, own : tuple of Inverted
    unrelated : Match
        Means between pairs of independent samples.
    recovered : Estimate
        Share of the own samples that were found again: what the search can do. Its interval is exact.
    verdict : str
        Whether what is missing is the search's or the generator's fault.
    """

    settings: InversionSettings
    latents: NDArray[np.float32]
    photographs: NDArray[np.uint8]
    pictures: NDArray[np.uint8]
    nearest: NDArray[np.uint8]
    own_samples: NDArray[np.uint8]
    own_pictures: NDArray[np.uint8]
    own_nearest: NDArray[np.uint8]
    inverted: tuple[Inverted, ...]
    own: tuple[Inverted, ...]
    unrelated: Match
    recovered: Estimate
    verdict: str

    def separate_arrays(self) -> dict[str, NDArray[Any]]:
        """``latents.npy``, which ``walk --points`` takes."""
        return {"latents": self.latents}


@dataclass(frozen=True)
class Loss:
    """Half the squared distance in pixels at several scales plus half that in the discriminator's features.

    Both are 1 between unrelated samples on average, so neither outweighs the other.
    """

    pixels: Space
    features: Space

    def vectors(self, images: Tensor) -> Tensor:
        """Vectors (n, d) whose squared Euclidean distance is the loss."""
        pixels, features = self.pixels.vectors(images), self.features.vectors(images)
        return torch.cat([pixels.to(features), features], dim=1) * 0.5**0.5


def keep_in_prior(latents: Tensor, prior: Prior) -> Tensor:
    """The nearest latents (N, latent_dim) that the prior could have drawn.

    Inside the cube for a uniform prior; for a Gaussian on the shell that holds all but 0.2 % of it.

    Examples
    --------
    >>> keep_in_prior(torch.tensor([[0.5, -1.5]]), "uniform")
    tensor([[ 0.5000, -1.0000]])
    """
    if prior == "uniform":
        return latents.clamp(-1, 1)
    low, high = chi.ppf([SHELL, 1 - SHELL], latents.shape[1])
    lengths = latents.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return latents * (lengths.clamp(low, high) / lengths)


@torch.no_grad()
def nearest_samples(
    model: DCGAN, loss: Loss, targets: Tensor, pool: Tensor, count: int, progress: Progress = silent
) -> tuple[Tensor, Tensor]:
    """For each target the latents of a pool whose pictures have the least loss.

    Parameters
    ----------
    model : DCGAN
    loss : Loss
    targets : Tensor (N, d)
        Vectors of `Loss.vectors`.
    pool : Tensor (M, latent_dim)
    count : int
        How many for each target.
    progress : Progress
        Shows how many batches have been drawn.

    Returns
    -------
    Tensor (N, count) of int64
        Numbers in the pool, the least loss first.
    Tensor (N, count)
        Losses.
    """
    starts = range(0, len(pool), SAMPLE_BATCH)
    losses = torch.empty(len(targets), len(pool))
    for start in progress(starts, Stage("random samples", len(starts), "batch")):
        drawn = loss.vectors(model.generate(pool[start : start + SAMPLE_BATCH]))
        losses[:, start : start + len(drawn)] = torch.cdist(targets.to(drawn), drawn).square().cpu()
    best = losses.topk(count, dim=1, largest=False)
    return best.indices, best.values


def optimise(
    model: DCGAN,
    loss: Loss,
    targets: Tensor,
    latents: Tensor,
    steps: int,
    progress: Progress = silent,
    *,
    what: str = "improving latents",
    decay: bool = True,
) -> tuple[Tensor, Tensor]:
    """Improve latents by Adam (Kingma & Ba 2015), each kept in the prior, none influenced by another.

    At 100 evaluations on the bundled model L-BFGS ends between 0 and 13 % lower, but its line search takes one picture at
    a time; Adam takes a whole batch for little more. Clamping to the cube ends lower than tanh of a free variable.

    Parameters
    ----------
    model : DCGAN
    loss : Loss
    targets : Tensor (N, d)
        Vectors of `Loss.vectors`, one a latent.
    latents : Tensor (N, latent_dim)
        Where to start.
    steps : int
    progress : Progress
        Shows how many steps, of all batches, are done.
    what : str
        What these steps do, for `progress`.
    decay : bool
        Lower the step size to 0 along half a cosine.

    Returns
    -------
    Tensor (N, latent_dim)
        The best latents that were met.
    Tensor (N,)
        Their losses.
    """
    prior = model.prior
    batches = [slice(start, start + SAMPLE_BATCH) for start in range(0, len(latents), SAMPLE_BATCH)]
    best, least = latents.clone(), torch.full((len(latents),), torch.inf)
    work = range(len(batches) * (steps + 1))
    for count in progress(work, Stage(what, len(work))):
        batch, step = batches[count // (steps + 1)], count % (steps + 1)
        if step == 0:
            z = latents[batch].to(model.device, copy=True).requires_grad_()
            wanted = targets[batch].to(model.device)
            optimiser = torch.optim.Adam([z], lr=LEARNING_RATE, betas=(0.9, 0.99))
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
        with evaluation(model.generator):
            losses = (loss.vectors(model.generator(z)) - wanted).square().sum(1)
        better = losses.detach().cpu() < least[batch]
        least[batch] = torch.where(better, losses.detach().cpu(), least[batch])
        best[batch] = torch.where(better[:, None], z.detach().cpu(), best[batch])
        if step < steps:
            (z.grad,) = torch.autograd.grad(losses.sum(), z)
            optimiser.step()
            if decay:
                schedule.step()
            with torch.no_grad():
                z.copy_(keep_in_prior(z, prior))
    return best, least


def invert(
    model: DCGAN,
    photographs: Tensor,
    names: Sequence[str] | None = None,
    *,
    starts: int = 4,
    steps: int = 120,
    samples: int = 2048,
    own: int = 8,
    seed: int = 0,
    progress: Progress = silent,
) -> Inversion:
    """Find latents whose pictures are like photographs, and say how good they are.

    The nearest of many random samples are the starts of each photograph; all are improved together for a quarter of the
    steps, and the best of each for the rest. The model's own samples, whose latents exist, are inverted in the same way.

    Parameters
    ----------
    model : DCGAN
    photographs : Tensor (N, C, S, S)
        In [-1, 1], of the model's size.
    names : sequence of str, optional
        Of the photographs.
    starts : int
        Of each.
    steps : int
    samples : int
        Random samples that the starts are chosen from.
    own : int
        Samples of the model to invert, at least 1.
    seed : int
        Of the random samples and the own ones.
    progress : Progress
        Shows how far the search is.

    Returns
    -------
    Inversion

    Raises
    ------
    UserError
        If there are no photographs, they have another size, or a number is too small.
    """
    _check_shape(model.image_shape, photographs)
    if not 1 <= starts <= samples or steps < 4 or own < 1:
        raise UserError(
            f"{starts} starts of {samples} samples, {steps} steps and {own} own samples are too few: give at least 1 start, "
            "as many samples, 4 steps and 1 own sample"
        )
    names = list(names) if names is not None else [str(k) for k in range(len(photographs))]
    strangers = model.sample(2 * UNRELATED_PAIRS, stream(seed, UNRELATED))
    loss = Loss(pixel_space(strangers), feature_space(model.discriminator, strangers))
    own_samples = model.sample(own, stream(seed, OWN))
    wanted = torch.cat([photographs, own_samples])
    with torch.no_grad():
        targets = torch.cat([loss.vectors(batch).cpu() for batch in wanted.split(SAMPLE_BATCH)])
    pool = model.latents(samples, stream(seed, POOL))
    chosen, _ = nearest_samples(model, loss, targets, pool, starts, progress)
    first = max(1, round(steps * FIRST_PART))
    latents = _search(model, loss, targets, pool[chosen], first, steps - first, progress)
    drawn, near = model.generate(latents), model.generate(pool[chosen[:, 0]])
    unrelated = _mean(_matches(loss.features, strangers[::2], strangers[1::2]))
    found = [
        Inverted(name, match, random, _is_found(match, unrelated))
        for name, match, random in zip(
            [*names, *map(str, range(own))],
            _matches(loss.features, wanted, drawn),
            _matches(loss.features, wanted, near),
            strict=True,
        )
    ]
    count = len(photographs)
    again = sum(f.recovered for f in found[count:])
    return Inversion(
        settings={
            "model": model.card.name,
            "seed": seed,
            "starts": starts,
            "steps": steps,
            "steps_of_all_starts": first,
            "samples": samples,
            "evaluations": starts * first + steps - first,
            "learning_rate": LEARNING_RATE,
            "found_within": FOUND,
            "kept_in_prior": "inside the cube" if model.prior == "uniform" else "on the shell",
            "unrelated_pairs": UNRELATED_PAIRS,
            "features": FEATURES,
        },
        latents=latents[:count].numpy(),
        photographs=to_pixels(photographs),
        pictures=to_pixels(drawn[:count]),
        nearest=to_pixels(near[:count]),
        own_samples=to_pixels(own_samples),
        own_pictures=to_pixels(drawn[count:]),
        own_nearest=to_pixels(near[count:]),
        inverted=tuple(found[:count]),
        own=tuple(found[count:]),
        unrelated=unrelated,
        recovered=share_estimate(again, own, method="exact"),
        verdict=inversion_verdict(found[:count], found[count:]),
    )


def _check_shape(shape: tuple[int, int, int], photographs: Tensor) -> None:
    if photographs.ndim != 4 or tuple(photographs.shape[1:]) != shape or len(photographs) == 0:
        raise UserError(
            f"photographs for this model have shape (n, {', '.join(map(str, shape))}), not {tuple(photographs.shape)}"
        )


def _search(
    model: DCGAN, loss: Loss, targets: Tensor, starts: Tensor, first: int, rest: int, progress: Progress
) -> Tensor:
    """Improve all starts (N, starts, latent_dim) for the first steps, and the best of each for the rest: (N, latent_dim)."""
    count = starts.shape[1]
    wanted = targets.repeat_interleave(count, 0)
    tried, losses = optimise(model, loss, wanted, starts.flatten(0, 1), first, progress, what="all starts", decay=False)
    best = losses.unflatten(0, (-1, count)).argmin(1)
    survivors = tried.unflatten(0, (-1, count))[torch.arange(len(targets)), best]
    return optimise(model, loss, targets, survivors, rest, progress, what="best starts")[0]


@torch.no_grad()
def _matches(features: Space, wanted: Tensor, drawn: Tensor) -> list[Match]:
    first, second = to_pixels(wanted), to_pixels(drawn)
    pixels = root_mean_squares(first, second)
    distances = torch.cat(
        [
            (features.vectors(a) - features.vectors(b)).norm(dim=1).cpu()
            for a, b in zip(wanted.split(SAMPLE_BATCH), drawn.split(SAMPLE_BATCH), strict=True)
        ]
    )
    columns = (pixels, peak_signal_to_noise(pixels), structural_similarities(first, second), distances.double().numpy())
    return [Match(*map(float, row)) for row in zip(*columns, strict=True)]


def _mean(matches: Sequence[Match]) -> Match:
    return Match(
        *(float(np.mean([getattr(m, name) for m in matches])) for name in ("pixels", "psnr", "ssim", "features"))
    )


def _is_found(match: Match, unrelated: Match) -> bool:
    return match.pixels <= FOUND * unrelated.pixels and match.features <= FOUND * unrelated.features


def inversion_verdict(photographs: Sequence[Inverted], own: Sequence[Inverted]) -> str:
    """Whose fault it is that photographs are not found: the search's, if it loses the model's own samples too."""
    again = sum(f.recovered for f in own)
    theirs, ours = (_mean([f.found for f in group]) for group in (photographs, own))
    near = _mean([f.nearest for f in photographs])
    said = (
        f"The search finds {again} of {len(own)} of the model's own samples again, {ours.pixels:.0f} grey levels off on "
        f"average, and comes within {theirs.pixels:.0f} of the photographs, where the nearest random samples are "
        f"{near.pixels:.0f} off: "
    )
    if again < len(own) / 2:
        return (
            f"{said}it fails where it could succeed, so nothing can be said of the generator; give it more `starts` and "
            "`steps`."
        )
    if all(f.recovered for f in photographs):
        return f"{said}the generator can draw these photographs."
    return (
        f"{said}what is missing from the photographs is, as far as the search can tell, the generator's failure to draw "
        "them and not its own."
    )
