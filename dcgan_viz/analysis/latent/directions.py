"""Directions of the latent space that change much, found without labels from the generator's first layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.latent.similarity import root_mean_squares
from dcgan_viz.analysis.latent.spaces import FEATURES, Space, feature_space
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.protocol import GeneratorNetwork
from dcgan_viz.networks.spec import PRIOR_DEVIATION, Prior
from dcgan_viz.results import Result, Settings
from dcgan_viz.statistics import Estimate, Seed, bootstrap_estimate, middle, stream

Method = Literal["principal", "factorised"]

ACTIVATIONS = 4000
"""Latents whose first-layer activations the principal directions are found on."""

RANDOM_DIRECTIONS = 32
MEASURED_SAMPLES = 32
"""Samples that are moved along every direction, to measure how much changes."""

UNRELATED_PAIRS = 128
POSITIONS = 5
DRAWN, UNRELATED, MEASURED, RANDOM, BOOTSTRAP = range(1, 6)
"""Streams of random numbers of a seed: the samples that are shown have the seed itself."""


@dataclass(frozen=True)
class Movement:
    """How far samples move when z moves by the whole reach, averaged over both senses.

    Parameters
    ----------
    space : {"pixels", "features"}
        Root mean square in grey levels; distance in the discriminator's features, 1 between unrelated samples.
    distance : Estimate
        Mean over samples; of random directions the mean of these means, with their middle 95 %.
    """

    space: str
    distance: Estimate


@dataclass(frozen=True)
class Direction:
    """One direction.

    Parameters
    ----------
    method : {"principal", "factorised"}
    number : int
        Counted from 1, the strongest first.
    explained : float
        Share of the variance of the first layer's activations along this principal component; or this eigenvalue's
        share of the sum of all.
    found_again : float, optional
        Absolute cosine of the directions found on the two halves of the activations, each on its own. Factorised
        directions are computed from the weights alone and have none.
    agreement : float
        Largest absolute cosine with a direction of the other method.
    kept : float
        How much of the reach is left when z is kept in the prior, averaged over samples.
    changes : tuple of Movement
        In pixels and in features.
    """

    method: Method
    number: int
    explained: float
    found_again: float | None
    agreement: float
    kept: float
    changes: tuple[Movement, Movement]


class DirectionsSettings(Settings):
    """How a `Directions` was obtained."""

    reach: float
    length: float
    prior: Prior
    activations: int
    measured_samples: int
    random_directions: int
    random_kept: float
    features: str
    kept_in_prior: str


@dataclass(frozen=True, kw_only=True)
class Directions(Result):
    """Directions of a latent space, and what moves along them.

    Parameters
    ----------
    principal, factorised : ndarray of float32 (count, latent)
        Of length 1, in the order of their share of variance or eigenvalues; add a multiple of one to a latent to move it.
    random : ndarray of float32 (32, latent)
        Of length 1, for comparison.
    latents : ndarray of float32 (samples, latent)
        The samples that are shown.
    amounts : ndarray of float64 (positions,)
        How far they are moved.
    pictures : ndarray of uint8 (2 count + 1, samples, positions, H, W, C)
        Along the principal directions, the factorised ones, and the first random one.
    found : tuple of Direction
        The principal ones, then the factorised ones.
    random_changes : tuple of Movement
        Of the random directions.
    """

    settings: DirectionsSettings
    principal: NDArray[np.float32]
    factorised: NDArray[np.float32]
    random: NDArray[np.float32]
    latents: NDArray[np.float32]
    amounts: NDArray[np.float64]
    pictures: NDArray[np.uint8]
    found: tuple[Direction, ...]
    random_changes: tuple[Movement, Movement]

    def sentences(self) -> str:
        """How far each direction moves the picture, beside random ones."""
        lines = [
            f"{method}: " + ", ".join(f"{d.changes[0].distance.value:.1f}" for d in self.found if d.method == method)
            for method in ("principal", "factorised")
        ]
        return "\n".join(
            [
                f"change of the picture in grey levels over {self.settings['reach']:g} standard deviations of z, in the order "
                "of the share of the variance (principal) or of the eigenvalues (factorised):",
                *lines,
                f"random directions: {self.random_changes[0].distance:.1f}",
            ]
        )


def move(latents: Tensor, step: Tensor, prior: Prior) -> Tensor:
    """Latents moved by a step and kept where the prior has its mass.

    In a cube a step can leave at a face: coordinates stop there. On the shell of a Gaussian the length of z is kept and
    only its direction changes.

    Parameters
    ----------
    latents : Tensor (N, latent_dim)
    step : Tensor (latent_dim,)
    prior : {"uniform", "normal"}

    Returns
    -------
    Tensor (N, latent_dim)

    Examples
    --------
    >>> move(torch.tensor([[0.5, 0.0]]), torch.tensor([0.7, 0.1]), "uniform")
    tensor([[1.0000, 0.1000]])
    >>> move(torch.tensor([[3.0, 0.0]]), torch.tensor([0.0, 4.0]), "normal")
    tensor([[1.8000, 2.4000]])
    """
    moved = latents + step
    if prior == "uniform":
        # A point that was outside already is not pulled back.
        bound = latents.abs().clamp(min=1)
        return moved.clamp(-bound, bound)
    return moved * (latents.norm(dim=1, keepdim=True) / moved.norm(dim=1, keepdim=True).clamp(min=1e-12))


@torch.no_grad()
def principal_directions(
    generator: GeneratorNetwork, latents: Tensor, count: int, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The principal directions of the first layer's activations, carried back to z (GANSpace, Härkönen et al. 2020).

    The activations (after the ReLU) of many latents are decomposed into principal components; each component's
    coordinate x is regressed on by z, u = E[z x] / E[x²], which is the least-squares solution because the coordinates
    are uncorrelated.

    Parameters
    ----------
    generator : GeneratorNetwork
    latents : Tensor (N, latent_dim)
    count : int
        At most `latent`.
    seed : int
        Of the randomised decomposition.

    Returns
    -------
    ndarray of float64 (count, latent)
        Of length 1, the entry that is largest in size positive.
    ndarray of float64 (count,)
        Share of the activations' variance.
    """
    from sklearn.decomposition import PCA

    activations = torch.cat([generator.activations(z, 1).flatten(1).float().cpu() for z in latents.split(256)]).numpy()
    decomposition = PCA(count, svd_solver="randomized", n_oversamples=20, random_state=seed)
    coordinates = decomposition.fit_transform(activations).astype(np.float64)
    z = latents.double().numpy()
    directions = coordinates.T @ (z - z.mean(0)) / np.maximum(np.square(coordinates).sum(0)[:, None], 1e-30)
    return _oriented(directions), decomposition.explained_variance_ratio_.astype(np.float64)


def factorised_directions(generator: GeneratorNetwork, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The directions of z that the first layer stretches most, from its weights alone (SeFa, Shen & Zhou 2021).

    They are the eigenvectors of AᵀA with the largest eigenvalues. A is the layer's weight with each unit's row multiplied
    by the gain of the batch normalisation that follows, γ / √(variance + ε): without it units that the normalisation
    shrinks would count.

    Returns
    -------
    ndarray of float64 (count, latent)
        Of length 1, the entry that is largest in size positive.
    ndarray of float64 (count,)
        Each eigenvalue's share of the sum of all.
    """
    stretched = generator.folded_weight(1).detach().cpu().double().numpy()
    values, vectors = np.linalg.eigh(stretched.T @ stretched)
    return _oriented(vectors[:, ::-1].T[:count]), values[::-1][:count] / values.sum()


def _oriented(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of length 1, and of the two senses the one in which the largest entry is positive."""
    largest = np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], axis=1)
    lengths = np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-30)
    return directions * np.where(largest < 0, -1, 1) / lengths


@torch.no_grad()
def directions(
    model: DCGAN,
    *,
    count: int = 5,
    samples: int = 2,
    reach: float = 4.0,
    measured_samples: int = MEASURED_SAMPLES,
    seed: int = 0,
) -> Directions:
    """Find directions without labels, and move samples along them.

    Parameters
    ----------
    model : DCGAN
    count : int
        Directions of each method, at most as many as z has dimensions.
    samples : int
        How many are shown.
    reach : float
        How far to either side, in standard deviations of z along a direction: 0.58 for U(-1, 1), 1 for N(0, 1).
    measured_samples : int
        Samples on which the changes are measured.
    seed : int
        Of the activations, the samples and the random directions.

    Returns
    -------
    Directions

    Raises
    ------
    UserError
        If there are more directions than dimensions, or nothing to show.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> found = directions(load("faces"), count=1, samples=1, measured_samples=2)
    >>> found.principal.shape, found.pictures.shape
    ((1, 100), (3, 1, 5, 64, 64, 3))
    """
    _check(model, count, samples, reach, measured_samples)
    latent, prior = model.latent_dim, model.prior
    drawn = model.latents(ACTIVATIONS, stream(seed, DRAWN))
    principal, variance = principal_directions(model.generator, drawn, count, seed)
    halves = [principal_directions(model.generator, half, count, seed)[0] for half in (drawn[::2], drawn[1::2])]
    factorised, share = factorised_directions(model.generator, count)
    random = _random_directions(latent, stream(seed, RANDOM))

    length = reach * PRIOR_DEVIATION[prior]
    space = feature_space(model.discriminator, model.sample(2 * UNRELATED_PAIRS, stream(seed, UNRELATED)))
    measured = model.latents(measured_samples, stream(seed, MEASURED))
    shown = model.latents(samples, seed)
    amounts = np.linspace(-length, length, POSITIONS)
    everything = torch.from_numpy(np.concatenate([principal, factorised, random])).float()
    changes, kept = _changes(model, space, measured, everything, length)
    own = 2 * count
    found_again = [float(abs(a @ b)) for a, b in zip(*halves, strict=True)]
    overlap = np.abs(principal @ factorised.T)
    return Directions(
        settings={
            "model": model.card.name,
            "seed": seed,
            "reach": reach,
            "length": length,
            "prior": prior,
            "activations": ACTIVATIONS,
            "measured_samples": measured_samples,
            "random_directions": RANDOM_DIRECTIONS,
            "random_kept": float(kept[own:].mean() / length),
            "features": FEATURES,
            "kept_in_prior": "coordinates stop at the cube's faces"
            if prior == "uniform"
            else "the length of z is kept",
        },
        principal=principal.astype(np.float32),
        factorised=factorised.astype(np.float32),
        random=random.astype(np.float32),
        latents=shown.numpy(),
        amounts=amounts,
        pictures=_pictures(model, shown, everything[: own + 1], amounts),
        found=(
            *_describe(
                "principal", variance, found_again, overlap.max(1), changes[:, :count], kept[:count] / length, seed
            ),
            *_describe(
                "factorised", share, None, overlap.max(0), changes[:, count:own], kept[count:own] / length, seed
            ),
        ),
        random_changes=_movements(changes[:, own:].mean(2), _of_random),
    )


def _check(model: DCGAN, count: int, samples: int, reach: float, measured_samples: int) -> None:
    """Refuse what cannot be found, shown or measured."""
    if not 1 <= count <= model.latent_dim:
        raise UserError(
            f"z of this model has {model.latent_dim} dimensions, so there are no {count} directions: give 1 to "
            f"{model.latent_dim}"
        )
    if samples < 1 or reach <= 0:
        raise UserError(f"{samples} samples moved by {reach} show nothing: give at least 1 and more than 0")
    if measured_samples < 2:
        raise UserError(f"{measured_samples} measured_samples have no interval: give at least 2")


def _describe(
    method: Method,
    explained: NDArray[np.float64],
    found_again: list[float] | None,
    agreement: NDArray[np.float64],
    changes: NDArray[np.float64],
    kept: NDArray[np.float64],
    seed: int,
) -> list[Direction]:
    """What the directions of one method come to, from their changes (2, n, samples) and shares of the reach (n, samples)."""
    return [
        Direction(
            method=method,
            number=k + 1,
            explained=float(explained[k]),
            found_again=None if found_again is None else found_again[k],
            agreement=float(agreement[k]),
            kept=float(kept[k].mean()),
            changes=_movements(changes[:, k], lambda values: bootstrap_estimate(values, seed=stream(seed, BOOTSTRAP))),
        )
        for k in range(len(explained))
    ]


def _random_directions(latent: int, seed: Seed) -> NDArray[np.float64]:
    random = np.random.default_rng(seed).standard_normal((RANDOM_DIRECTIONS, latent))
    return np.asarray(random / np.linalg.norm(random, axis=1, keepdims=True))


def _pictures(model: DCGAN, latents: Tensor, directions: Tensor, amounts: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Samples moved along directions, by each of the amounts: (directions, samples, amounts, H, W, C)."""
    moved = [torch.stack([move(latents, d * a, model.prior) for a in amounts.tolist()], dim=1) for d in directions]
    rows = torch.stack(moved)
    channels, height, width = model.image_shape
    return to_pixels(model.generate(rows.flatten(0, 2))).reshape(*rows.shape[:3], height, width, channels)


def _movements(
    values: NDArray[np.float64], estimate: Callable[[NDArray[np.float64]], Estimate]
) -> tuple[Movement, Movement]:
    """What changes (2, n) come to, in pixels and in features."""
    pixels, features = values
    return Movement("pixels", estimate(pixels)), Movement("features", estimate(features))


def _of_random(means: NDArray[np.float64]) -> Estimate:
    """The mean of random directions' means, with where the means of single ones lie."""
    between = middle(means)
    return Estimate(float(means.mean()), between.low, between.high, len(means), "the middle 95 % of single directions")


def _changes(
    model: DCGAN, space: Space, latents: Tensor, directions: Tensor, length: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each direction and sample (directions, samples), the change (space first) and the distance moved in z."""
    prior = model.prior
    start = model.generate(latents)
    features, pictures = _vectors(space, start), to_pixels(start)
    changes, moved = [], []
    for direction in directions:
        both = [move(latents, sense * length * direction, prior) for sense in (-1, 1)]
        ends = [model.generate(z) for z in both]
        changes.append(
            [
                np.mean([root_mean_squares(pictures, to_pixels(end)) for end in ends], axis=0),
                np.mean([(_vectors(space, end) - features).norm(dim=1).double().numpy() for end in ends], axis=0),
            ]
        )
        moved.append(np.mean([(z - latents).norm(dim=1).numpy() for z in both], axis=0))
    return np.array(changes).transpose(1, 0, 2), np.array(moved)


def _vectors(space: Space, images: Tensor) -> Tensor:
    return torch.cat([space.vectors(batch).cpu() for batch in images.split(SAMPLE_BATCH)])
