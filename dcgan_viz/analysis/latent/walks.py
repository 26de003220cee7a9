"""Walks through the latent space (Radford et al. 2015, section 6.1), and whether the picture jumps on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.latent.path_length import EPSILON, PAIRS, PathLength, blend, path_length
from dcgan_viz.analysis.latent.similarity import root_mean_squares, structural_similarities
from dcgan_viz.analysis.latent.spaces import FEATURES, Space, feature_space
from dcgan_viz.data.images import to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, SAMPLE_BATCH
from dcgan_viz.networks.spec import Prior
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.results import Result, Settings
from dcgan_viz.statistics import probability, stream

MEASURES = ("pixels", "1 − SSIM", "features")
"""How far apart two pictures are: root mean square in grey levels, one minus structural similarity, and the distance in
the discriminator's features."""

UNRELATED_PAIRS = 128
"""Pairs of independent samples that a walk's steps are measured against."""

UNRELATED, COMPARED, PATH_LENGTH = range(1, 4)
"""Streams of random numbers of a seed: the points of the walk have the seed itself."""

FEWEST_WALKS, RANDOM_WALKS = 99, 299
"""The fewest with which a row can be one of a hundred, and the fewest that find a jump which shows in a single measure, see
`jump_p_value`."""

FURTHER_WALKS = 20
"""How many more are drawn at a time where the fewest do not decide."""

FALSE_ALARMS = 0.01
"""The share of ordinary rows that may be called sudden."""

STILL = 1e-3
"""A step shorter than this share of the distance between unrelated samples counts as this long."""


def interpolate(start: Tensor, end: Tensor, steps: int, prior: Prior) -> Tensor:
    """Latents on the way from one to another, both ends included: straight for a uniform prior, arcs for a Gaussian.

    Parameters
    ----------
    start, end : Tensor (latent_dim,)
    steps : int
        At least 2.
    prior : {"uniform", "normal"}
        See `blend`.

    Returns
    -------
    Tensor (steps, latent)

    Examples
    --------
    >>> interpolate(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.5]), 3, "uniform")
    tensor([[0.0000, 0.0000],
            [0.5000, 0.2500],
            [1.0000, 0.5000]])
    """
    return blend(start, end, torch.linspace(0, 1, steps).unsqueeze(1), prior)


def path(points: Tensor, steps: int, prior: Prior, *, closed: bool = False) -> Tensor:
    """The legs between successive points.

    Parameters
    ----------
    points : Tensor (N, latent_dim)
        At least 2.
    steps : int
        Latents a leg, both its ends included.
    prior : {"uniform", "normal"}
        Decides between lines and arcs, see `blend`.
    closed : bool
        Add a leg from the last point back to the first.

    Returns
    -------
    Tensor (legs, steps, latent_dim)

    Examples
    --------
    >>> path(torch.rand(5, 8), 10, "uniform").shape
    torch.Size([4, 10, 8])
    """
    return torch.stack([interpolate(a, b, steps, prior) for a, b in _ends(points, closed)])


def _ends(points: Tensor, closed: bool) -> Iterator[tuple[Tensor, Tensor]]:
    targets = torch.cat([points[1:], points[:1]]) if closed else points[1:]
    return zip(points, targets, strict=False)


@dataclass(frozen=True)
class UsualSteps:
    """One measure of distance: how long the steps of random walks are, and how far apart unrelated samples.

    Parameters
    ----------
    measure : str
        One of `MEASURES`.
    low, median, high : tuple of float (steps - 1,)
        2.5, 50 and 97.5 % of the random walks take a shorter step at this place of the way.
    unrelated : float
        Mean distance of independent samples: what a jump to another picture costs.
    """

    measure: str
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]
    unrelated: float


@dataclass(frozen=True)
class Row:
    """The steps of one row, a number for each measure.

    Parameters
    ----------
    steps : tuple of tuple of float (measures, steps - 1)
        Distances of neighbours.
    largest : tuple of float (measures,)
        The longest step, in units of the distance of unrelated samples.
    jumps : tuple of float (measures,)
        The largest ratio of a step to the mean of the steps beside it; 1 if all are alike.
    at : int
        The step with that ratio, counted from 1, in the measure in which it is rarest.
    p_value : float
        The share of random walks with a jump as rare, this row among them.
    sudden : bool
        Whether that is 1 % or less.
    """

    steps: tuple[tuple[float, ...], ...]
    largest: tuple[float, ...]
    jumps: tuple[float, ...]
    at: int
    p_value: float
    sudden: bool


class WalkSettings(Settings):
    """How a `Walk` was obtained."""

    points: str
    outside_prior: float
    steps: int
    closed: bool
    way: str
    unrelated_pairs: int
    random_walks: int
    false_alarms: float
    measures: tuple[str, ...]
    features: str
    path_length_pairs: int
    path_length_epsilon: float


@dataclass(frozen=True, kw_only=True)
class Walk(Result):
    """A walk through a series of points.

    Parameters
    ----------
    latents : ndarray of float32 (rows, steps, latent_dim)
        Each row ends where the next begins.
    pictures : ndarray of uint8 (rows, steps, H, W, C)
    usual : tuple of UsualSteps
        Of random walks of as many steps through the same model, measure by measure.
    rows : tuple of Row
    path_lengths : tuple of PathLength
        Of the model, in pixels and in features.
    """

    settings: WalkSettings
    latents: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    usual: tuple[UsualSteps, ...]
    rows: tuple[Row, ...]
    path_lengths: tuple[PathLength, ...]

    def sentences(self) -> str:
        """What came out, in one sentence: how long the steps are, and which rows jump."""
        grey = self.usual[0].unrelated
        mean = float(np.mean([row.steps[0] for row in self.rows]))
        largest = max(row.largest[0] for row in self.rows)
        sudden = [f"{k} (step {row.at}, {probability(row.p_value)})" for k, row in enumerate(self.rows) if row.sudden]
        said = (
            f"a row is sudden in {', '.join(sudden)}"
            if sudden
            else f"no row is sudden (least {probability(min(row.p_value for row in self.rows))})"
        )
        return (
            f"a step changes {mean:.1f} grey levels on average and {largest * grey:.1f} at most, where unrelated samples "
            f"differ by {grey:.1f} (root mean square); {said}"
        )


def jump_ratios(distances: NDArray[np.float64], unrelated: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each step over the mean of the steps beside it, one at the ends of a row.

    A picture changes faster on some walks than on others and faster in the middle of a way than at its ends, so that
    a long step means little. A sudden transition is a step that is long beside its neighbours.

    Parameters
    ----------
    distances : ndarray (measures, rows, steps - 1)
        At least two steps a row.
    unrelated : ndarray (measures,)
        Neighbours shorter than a thousandth of it count as a thousandth, so that stillness divides by nothing.

    Returns
    -------
    ndarray (measures, rows, steps - 1)

    Examples
    --------
    >>> jump_ratios(np.array([[[1.0, 1.0, 4.0, 1.0]]]), np.array([10.0])).tolist()
    [[[1.0, 0.4, 4.0, 0.25]]]
    """
    beside = np.empty_like(distances)
    beside[..., 0], beside[..., -1] = distances[..., 1], distances[..., -2]
    beside[..., 1:-1] = (distances[..., :-2] + distances[..., 2:]) / 2
    return distances / np.maximum(beside, STILL * unrelated[:, None, None])


def jump_p_value(jumps: NDArray[np.float64], random_jumps: NDArray[np.float64]) -> tuple[float, int]:
    """How rare a row's jumps are among those of random walks, over all measures at once.

    The row joins the random walks; in each measure they are ranked, and each keeps the best of its ranks (Westfall &
    Young 1993). The p-value is the share with a best rank as good as the row's. If the row is one more random walk all
    are exchangeable, so that the p-value is at most α with probability at most α, however few the walks and whatever
    their distribution. In each measure some walk ranks first: among 99 a row is one of a hundred if it ranks first in all
    three, among 299 if it does in one.

    Parameters
    ----------
    jumps : ndarray (measures,)
    random_jumps : ndarray (measures, walks)

    Returns
    -------
    float
        From 1 / (walks + 1) to 1.
    int
        The measure in which the row ranks best.

    Examples
    --------
    >>> jump_p_value(np.array([9.0, 1.0]), np.arange(8.0).reshape(2, 4))
    (0.4, 0)
    """
    together = np.concatenate([jumps[:, None], random_jumps], axis=1)
    ranks = (together[:, None, :] >= together[:, :, None]).sum(2)
    best = ranks.min(0)
    return float((best <= best[0]).mean()), int(ranks[:, 0].argmin())


def compare_while_undecided(
    jumps: NDArray[np.float64],
    draw: Callable[[slice], NDArray[np.float64]],
    unrelated: NDArray[np.float64],
    random_walks: int,
) -> NDArray[np.float64]:
    """Distances on as many random walks as it takes: the fewest, and more while a row may be one of a hundred.

    That is a row that leads all that were drawn in some measure, or whose p-value is 1 % or less. Only a row that stays so
    among all of them is called sudden: to stop before can only lower the share of ordinary rows that are. Of four ordinary
    rows none leads the first 99 in nearly nine walks of ten, and most that do are overtaken soon.

    Parameters
    ----------
    jumps : ndarray (measures, rows)
    draw : callable
        Takes a slice of the random walks and returns their distances (measures, walks, steps - 1).
    unrelated : ndarray (measures,)
    random_walks : int
        All of them.

    Returns
    -------
    ndarray (measures, walks, steps - 1)

    Examples
    --------
    >>> flat = lambda part: np.ones((1, part.stop - part.start, 3))
    >>> compare_while_undecided(np.array([[0.5, 0.9]]), flat, np.ones(1), 299).shape
    (1, 99, 3)
    >>> compare_while_undecided(np.array([[0.5, 1.0]]), flat, np.ones(1), 299).shape
    (1, 299, 3)
    """
    drawn = draw(slice(0, FEWEST_WALKS))
    while (count := drawn.shape[1]) < random_walks and _undecided(jumps, jump_ratios(drawn, unrelated).max(2)):
        drawn = np.concatenate([drawn, draw(slice(count, min(count + FURTHER_WALKS, random_walks)))], axis=1)
    return drawn


def _undecided(jumps: NDArray[np.float64], random_jumps: NDArray[np.float64]) -> bool:
    """Whether a row's jumps (measures, rows) may be one of a hundred, by those of random walks (measures, walks)."""
    leading = jumps >= random_jumps.max(1, keepdims=True)
    return bool(leading.any()) or any(jump_p_value(row, random_jumps)[0] <= FALSE_ALARMS for row in jumps.T)


def walk(
    model: DCGAN,
    points: Tensor | None = None,
    *,
    rows: int = 8,
    steps: int = 10,
    closed: bool = False,
    seed: int = 0,
    random_walks: int = RANDOM_WALKS,
    source: str = "given points",
    progress: Progress = silent,
) -> Walk:
    """Walk between points of the latent space, as in the paper's Figure 4, and say whether a row jumps.

    Row r leads from point r to point r + 1.

    Parameters
    ----------
    model : DCGAN
    points : Tensor (N, latent_dim), optional
        Random ones by default.
    rows : int
        Of a walk between random points.
    steps : int
        Pictures a row, both ends included; at least 3.
    closed : bool
        Let the last row lead back to the first point.
    seed : int
        Of the points, the random walks that the rows are compared with (never these rows), and the bootstrap.
    random_walks : int
        At least 99, and at most so many are drawn, see `compare_while_undecided`.
    progress : Progress
        Shows how many batches of random walks have been drawn.

    Returns
    -------
    Walk

    Raises
    ------
    UserError
        If there are too few points, rows, steps or random walks, or the points have other dimensions.

    Examples
    --------
    >>> from dcgan_viz import load, walk
    >>> walk(load("faces"), rows=2, steps=3, random_walks=99).pictures.shape
    (2, 3, 64, 64, 3)
    """
    places = _points(model, points, rows, closed, seed)
    if steps < 3:
        raise UserError(f"a walk of {steps} pictures a row is too short: give at least 3")
    if random_walks < FEWEST_WALKS:
        raise UserError(
            f"{random_walks} random walks cannot tell what happens on one of a hundred: give at least {FEWEST_WALKS}"
        )
    prior = model.prior
    strangers = model.sample(2 * UNRELATED_PAIRS, stream(seed, UNRELATED))
    space = feature_space(model.discriminator, strangers)
    looks = _looks(to_pixels(strangers[::2]), to_pixels(strangers[1::2])).mean(axis=1)
    unrelated = np.append(looks, space.unrelated)
    latents = path(places, steps, prior, closed=closed)
    images = model.generate(latents.flatten(0, 1)).unflatten(0, latents.shape[:2])
    own = np.concatenate([leg_distances(space, leg[None]) for leg in images], axis=1)
    ends = model.latents(2 * random_walks, stream(seed, COMPARED)).unflatten(0, (random_walks, 2))
    ordinary = compare_while_undecided(
        jump_ratios(own, unrelated).max(2),
        lambda part: random_distances(model, space, ends[part], steps, progress),
        unrelated,
        random_walks,
    )
    random_jumps = jump_ratios(ordinary, unrelated).max(2)
    pixel_square = (strangers[::2] - strangers[1::2]).square().mean().item()
    return Walk(
        settings={
            "model": model.card.name,
            "seed": seed,
            "points": f"{len(places)} random points" if points is None else f"{len(places)} {source}",
            "outside_prior": float((places.abs() > 1).float().mean()) if prior == "uniform" else 0.0,
            "steps": steps,
            "closed": closed,
            "way": "arcs on the sphere" if prior == "normal" else "straight lines",
            "unrelated_pairs": UNRELATED_PAIRS,
            "random_walks": ordinary.shape[1],
            "false_alarms": FALSE_ALARMS,
            "measures": MEASURES,
            "features": FEATURES,
            "path_length_pairs": PAIRS,
            "path_length_epsilon": EPSILON,
        },
        latents=latents.numpy(),
        pictures=np.stack([to_pixels(leg) for leg in images]),
        usual=tuple(
            _usual_steps(name, of_walks, float(apart))
            for name, of_walks, apart in zip(MEASURES, ordinary, unrelated, strict=True)
        ),
        rows=tuple(compare_row(own[:, row], unrelated, random_jumps) for row in range(own.shape[1])),
        path_lengths=path_length(model, space, pixel_square, seed=stream(seed, PATH_LENGTH)),
    )


def _usual_steps(measure: str, distances: NDArray[np.float64], unrelated: float) -> UsualSteps:
    """Of the steps of random walks (walks, steps - 1)."""
    low, median, high = (tuple(q.tolist()) for q in np.quantile(distances, [0.025, 0.5, 0.975], axis=0))
    return UsualSteps(measure, low, median, high, unrelated)


def compare_row(
    distances: NDArray[np.float64], unrelated: NDArray[np.float64], random_jumps: NDArray[np.float64]
) -> Row:
    """A row's jumps, beside those of random walks.

    Parameters
    ----------
    distances : ndarray of float64 (measures, steps - 1)
        Of neighbours, as in `leg_distances`.
    unrelated : ndarray of float64 (measures,)
        Of unrelated pictures.
    random_jumps : ndarray of float64 (measures, walks)
        The largest jump of each random walk.
    """
    ratios = jump_ratios(distances[:, None], unrelated)[:, 0]
    p_value, rarest = jump_p_value(ratios.max(1), random_jumps)
    return Row(
        steps=tuple(tuple(measure.tolist()) for measure in distances),
        largest=tuple((distances.max(1) / np.maximum(unrelated, np.finfo(float).tiny)).tolist()),
        jumps=tuple(ratios.max(1).tolist()),
        at=int(ratios[rarest].argmax()) + 1,
        p_value=p_value,
        sudden=p_value <= FALSE_ALARMS,
    )


def walk_frames(
    model: DCGAN,
    points: Tensor | None = None,
    *,
    rows: int = 8,
    frames: int = 24,
    closed: bool = False,
    seed: int = 0,
) -> Iterator[NDArray[np.uint8]]:
    """The pictures of a film through the same points as `walk`, drawn a batch at a time.

    Parameters
    ----------
    model : DCGAN
    points, rows, closed, seed
        As in `walk`.
    frames : int
        Pictures from one point to the next.

    Yields
    ------
    ndarray of uint8 (H, W, C)
        `frames` a row; an open walk has one more, its last point.
    """
    places = _points(model, points, rows, closed, seed)
    for start, end in _ends(places, closed):
        # Each leg ends where the next begins, and that point is to be seen once.
        leg = interpolate(start, end, frames + 1, model.prior)[:-1]
        for batch in leg.split(SAMPLE_BATCH):
            yield from to_pixels(model.generate(batch))
    if not closed:
        yield from to_pixels(model.generate(places[-1:]))


def _points(model: DCGAN, points: Tensor | None, rows: int, closed: bool, seed: int) -> Tensor:
    if points is None:
        if rows < (2 if closed else 1):
            raise UserError(f"a walk of {rows} rows is too short: give at least {2 if closed else 1}")
        return model.latents(rows if closed else rows + 1, seed)
    latent = model.latent_dim
    if points.ndim != 2 or points.shape[1] != latent:
        raise UserError(f"points of this model have shape (n, {latent}), but these have {tuple(points.shape)}")
    if len(points) < 2:
        raise UserError(f"a walk through {len(points)} points is too short: give at least 2")
    return points.float()


@torch.no_grad()
def leg_distances(space: Space, legs: Tensor) -> NDArray[np.float64]:
    """The three distances of neighbours (measures, legs, steps - 1) on legs of images (legs, steps, C, S, S)."""
    count, steps = legs.shape[:2]
    found = []
    for part in legs.split(max(1, SAMPLE_BATCH // steps)):
        vectors = space.vectors(part.flatten(0, 1)).unflatten(0, part.shape[:2])
        pictures = to_pixels(part.flatten(0, 1)).reshape(*part.shape[:2], *part.shape[3:], part.shape[2])
        first, second = (p.reshape(-1, *p.shape[2:]) for p in (pictures[:, :-1], pictures[:, 1:]))
        features = (vectors[:, 1:] - vectors[:, :-1]).norm(dim=2).cpu().double().numpy().ravel()
        found.append(np.vstack([_looks(first, second), features]))
    return np.concatenate(found, axis=1).reshape(len(MEASURES), count, steps - 1)


def _looks(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The first two distances of pairs of pictures (2, pairs): those that need no features."""
    return np.stack([root_mean_squares(first, second), 1 - structural_similarities(first, second)])


def random_distances(
    model: DCGAN, space: Space, ends: Tensor, steps: int, progress: Progress = silent
) -> NDArray[np.float64]:
    """The distances on legs between pairs of points (walks, 2, latent_dim): (measures, walks, steps - 1)."""
    batches = ends.split(max(1, SAMPLE_BATCH // steps))
    found = []
    for batch in progress(batches, Stage("random walks", len(batches), "batch")):
        legs = torch.cat([path(pair, steps, model.prior) for pair in batch])
        images = model.generate(legs.flatten(0, 1)).unflatten(0, legs.shape[:2])
        found.append(leg_distances(space, images))
    return np.concatenate(found, axis=1)
