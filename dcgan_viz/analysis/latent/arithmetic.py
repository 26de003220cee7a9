"""Vector arithmetic on concepts in the latent space (Radford et al. 2015, section 6.3.2, Figure 7).

The mean z of three exemplars of each concept are added and subtracted, and the generator draws the sum. The paper does
not keep it in the cube of the uniform prior, and neither does this module: three means of three independent exemplars
each have, together, just the variance of one z of the prior, so the sum is as long as a z is, but its coordinates are
nearly normal and about 8 % of them lie outside. How many do, how far, and what keeping them inside would change is
reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.latent.expressions import Term, parse_expression, write_expression
from dcgan_viz.annotations.concepts import Concepts
from dcgan_viz.blind.trials import BlindTrial, prepare_trial
from dcgan_viz.data.images import to_pixels, to_tensor
from dcgan_viz.errors import UserError
from dcgan_viz.judges.classifier import Accuracy, Classifier, classify
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.spec import Prior
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.results import Result
from dcgan_viz.statistics import Estimate, share_estimate, stream

EXEMPLARS = 3
"""Of each concept, as in the paper."""

NOISE = 0.25
"""Uniform, to either side, as in the paper."""

NEIGHBOURS = 8
NOISE_AND_TRIALS, ORDINARY = 1, 2
"""Streams of random numbers of a seed."""

BASE_SAMPLES = 500
"""Ordinary samples on which the classifier is asked too, for the rate that chance gives."""

SPREAD: Mapping[Prior, float] = {"uniform": 3**-0.5, "normal": 1.0}
"""Standard deviation of a coordinate of z."""


@dataclass(frozen=True)
class Operand:
    """A term with the exemplars that stand for it.

    Parameters
    ----------
    sign : {1, -1}
    concept : str
    exemplars : tuple of int
        Numbers of the samples that are averaged.
    """

    sign: int
    concept: str
    exemplars: tuple[int, ...]


@dataclass(frozen=True)
class Reach:
    """Where a sum of latents lies.

    Parameters
    ----------
    length : float
        Root mean square of its coordinates over that of the prior: 1 is as long as an ordinary z.
    outside : float
        Share of the coordinates beyond ±1; every z of a uniform prior has 0.
    farthest : float
        Largest absolute coordinate.
    """

    length: float
    outside: float
    farthest: float


@dataclass(frozen=True)
class Rate:
    """How often pictures show an attribute, by a classifier.

    Parameters
    ----------
    condition : str
        How they were drawn.
    pictures, present : int
        All, and those whose most probable class is the expected one.
    share : Estimate
        With its Wilson interval, over pictures.
    """

    condition: str
    pictures: int
    present: int
    share: Estimate


@dataclass(frozen=True)
class Measurement:
    """How often the result shows an attribute, beside its controls.

    Parameters
    ----------
    expected : str
        The class.
    rates : tuple of Rate
        Of the results, of the same with single exemplars and in pixels, of the exemplars of each concept as they
        were picked, and of ordinary samples.
    accuracies : tuple of Accuracy
        Of the classifier, on held-out photographs.
    """

    expected: str
    rates: tuple[Rate, ...]
    accuracies: tuple[Accuracy, ...]


@dataclass(frozen=True, kw_only=True)
class Arithmetic(Result):
    """A sum of concepts, drawn.

    Parameters
    ----------
    expression : str
    operands : tuple of Operand
    reach : Reach
        Of the sum.
    single_reach : Reach
        Of the trials' sums of single exemplars, averaged.
    clamping : float
        Mean absolute difference between the result and what is drawn from the sum kept in [-1, 1], in grey levels; 0
        for a Gaussian prior, which has no cube.
    instability, single_instability : float
        Mean absolute difference of two trials' results in grey levels, of three exemplars a concept and of one. It
        says how much the picture depends on who was picked.
    measurement : Measurement, optional
    exemplars : ndarray of uint8 (operands, 3, H, W, C)
    averages, pixel_averages : ndarray of uint8 (operands, H, W, C)
        Drawn from the mean z of the exemplars; and the mean of their pictures.
    latent : ndarray of float32 (latent,)
        The sum.
    picture, pixel_picture : ndarray of uint8 (H, W, C)
        Drawn from the sum; and the same sum of the mean pictures, clipped.
    neighbours : ndarray of uint8 (8, H, W, C)
        Drawn from the sum with uniform noise of ±0.25.
    trials, single_trials, pixel_trials : ndarray of uint8 (T, H, W, C)
        The same sums of exemplars drawn anew: by mean z, by one z a concept, and in pixels.
    controls : ndarray of uint8 (2, T, H, W, C)
        An exemplar of the wanted concept and one of the first term's, drawn anew for each trial; no concept is wanted
        where the first axis has length 1.
    """

    expression: str
    operands: tuple[Operand, ...]
    reach: Reach
    single_reach: Reach
    clamping: float
    instability: float
    single_instability: float
    measurement: Measurement | None
    exemplars: NDArray[np.uint8]
    averages: NDArray[np.uint8]
    pixel_averages: NDArray[np.uint8]
    latent: NDArray[np.float32]
    picture: NDArray[np.uint8]
    pixel_picture: NDArray[np.uint8]
    neighbours: NDArray[np.uint8]
    trials: NDArray[np.uint8]
    single_trials: NDArray[np.uint8]
    pixel_trials: NDArray[np.uint8]
    controls: NDArray[np.uint8]


def arithmetic(
    model: DCGAN,
    concepts: Concepts,
    expression: str,
    *,
    trials: int = 100,
    wanted: str | None = None,
    expected: str | None = None,
    classifier: Classifier | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Arithmetic:
    """Add and subtract concepts, as in the paper's Figure 7, and ask how far the outcome depends on the exemplars.

    The figure's result averages the first three exemplars of each concept. Each trial draws three of each anew and
    moves every one by uniform noise of ±0.25; the noise of the sum then has the variance of the paper's noise, and no
    trial repeats another even where a concept has just three.

    Parameters
    ----------
    model : DCGAN
    concepts : Concepts
        Three or more exemplars of each concept; more make the trials worth more.
    expression : str
        Such as ``"smiling woman - neutral woman + neutral man"``.
    trials : int
        At least 2.
    wanted : str, optional
        The concept that the result should show, if it is named too: its exemplars are the positive control.
    expected : str, optional
        The class that the result should show, for `classifier`.
    classifier : Classifier, optional
        Measures how often it does.
    seed : int
        Of the noise and the trials' exemplars.
    progress : Progress
        Shows how many trials have been drawn.

    Returns
    -------
    Arithmetic

    Raises
    ------
    UserError
        If the expression is not readable, a concept is unknown or has fewer than three exemplars, the concepts belong
        to other weights, the classifier does not know the class, or there are too few trials.

    Examples
    --------
    >>> from dcgan_viz import load
    >>> model = load("bedrooms")
    >>> pick = {"green room": (0, 1, 2), "window": (3, 4, 5)}
    >>> concepts = Concepts(0, 6, model.generator_digest(), exemplars=pick)
    >>> arithmetic(model, concepts, "green room + window", trials=2).neighbours.shape
    (8, 64, 64, 3)
    """
    concepts.check_belongs_to(model)
    terms = parse_expression(expression, concepts.exemplars)
    if trials < 2:
        raise UserError(f"{trials} trials cannot be compared: draw at least 2")
    if (expected is None) != (classifier is None):
        raise UserError("a class is measured by a classifier: give both or neither")
    expected_number = 0 if classifier is None or expected is None else classifier.number(expected)
    names = list(dict.fromkeys([*(term.concept for term in terms), *([] if wanted is None else [wanted])]))
    pools = {name: concepts.latents(model, name, EXEMPLARS) for name in names}
    random = np.random.default_rng(stream(seed, NOISE_AND_TRIALS))
    prior = model.prior
    signs = torch.tensor([term.sign for term in terms], dtype=torch.float32)

    chosen = torch.stack([pools[term.concept][:EXEMPLARS] for term in terms])
    exemplars = to_pixels(model.generate(chosen.flatten(0, 1))).reshape(*chosen.shape[:2], *_shape(model))
    means = chosen.mean(1)
    total = signs @ means
    noise = random.uniform(-NOISE, NOISE, (NEIGHBOURS, len(total))).astype(np.float32)
    picture, clamped = to_pixels(model.generate(torch.stack([total, total.clamp(-1, 1)])))

    drawn = _draw_trials(model, pools, terms, wanted, trials, random, progress)
    results, singles, in_pixels, single_latents, controls = drawn
    return Arithmetic(
        settings={
            "model": model.card.name,
            "seed": seed,
            "trials": trials,
            "exemplars_averaged": EXEMPLARS,
            "pools": {name: len(pool) for name, pool in pools.items()},
            "samples_seed": concepts.seed,
            "picked_by": concepts.contributor,
            "picked_how": concepts.method,
            "wanted": wanted,
            "noise": f"uniform, ±{NOISE}",
            "prior": prior,
            "kept_in_prior": "no: as in the paper the sum is drawn where it lies",
            "pixel_arithmetic": "the same expression of the mean pictures, grey levels 0 to 255, clipped",
            "rate_intervals": "95 % Wilson over pictures, given the exemplars that were picked",
        },
        expression=write_expression(terms),
        operands=tuple(Operand(t.sign, t.concept, concepts.of(t.concept)[:EXEMPLARS]) for t in terms),
        reach=_reach(total[None], prior),
        single_reach=_reach(single_latents, prior),
        clamping=0.0 if prior == "normal" else float(np.abs(picture.astype(float) - clamped).mean()),
        instability=_instability(results),
        single_instability=_instability(singles),
        measurement=None
        if classifier is None or expected is None
        else Measurement(
            expected,
            tuple(
                _rate(name, classify(classifier, to_tensor(pixels)), expected_number)
                for name, pixels in {
                    "arithmetic on z": results,
                    "on single exemplars": singles,
                    "on pixels": in_pixels,
                    **{f"exemplars of {name}": to_pixels(model.generate(pool)) for name, pool in pools.items()},
                    "ordinary samples": to_pixels(model.sample(BASE_SAMPLES, stream(seed, ORDINARY))),
                }.items()
            ),
            classifier.card.accuracies,
        ),
        exemplars=exemplars,
        averages=to_pixels(model.generate(means)),
        pixel_averages=exemplars.mean(1).round().astype(np.uint8),
        latent=total.numpy(),
        picture=picture,
        pixel_picture=add_pictures(exemplars, [term.sign for term in terms]),
        neighbours=to_pixels(model.generate(total + torch.from_numpy(noise))),
        trials=results,
        single_trials=singles,
        pixel_trials=in_pixels,
        controls=controls,
    )


def add_pictures(exemplars: NDArray[np.uint8], signs: Sequence[int]) -> NDArray[np.uint8]:
    """The arithmetic in pixels: mean pictures added and subtracted, black being 0, and clipped.

    Parameters
    ----------
    exemplars : ndarray of uint8 (operands, n, H, W, C)
    signs : sequence of {1, -1}

    Returns
    -------
    ndarray of uint8 (H, W, C)

    Examples
    --------
    >>> add_pictures(np.full((2, 3, 1, 1, 1), 100, np.uint8), [1, -1]).item()
    0
    """
    means = exemplars.astype(np.float64).mean(1)
    return np.tensordot(np.asarray(signs, np.float64), means, 1).round().clip(0, 255).astype(np.uint8)


def blind_trial(result: Arithmetic, *, question: str | None = None, seed: int = 0) -> BlindTrial:
    """Pictures for a blind page: the results beside those of pixels and both controls, one of each a trial.

    The controls are exemplars moved by the same noise, so that whoever picked the exemplars has not seen them.

    Parameters
    ----------
    result : Arithmetic
        With a wanted concept.
    question : str, optional
        By default, whether a picture shows the wanted concept.
    seed : int
        Of the shuffle.

    Returns
    -------
    BlindTrial

    Raises
    ------
    UserError
        If the result has no wanted concept.
    """
    wanted = result.settings["wanted"]
    if wanted is None:
        raise UserError(
            "a blind trial needs a positive control: name the concept that the result should show (`wanted`)"
        )
    first = result.operands[0].concept
    pictures = {
        "arithmetic on z": result.trials,
        "arithmetic on pixels": result.pixel_trials,
        f"exemplars of {wanted}": result.controls[0],
        f"exemplars of {first}": result.controls[1],
    }
    settings = {
        **result.settings,
        "expression": result.expression,
        "controls": f"exemplars, {result.settings['noise']}",
    }
    return prepare_trial(
        pictures, question or f"Does this picture show: {wanted}?", "yes-no", settings=settings, seed=seed
    )


def _draw_trials(
    model: DCGAN,
    pools: Mapping[str, Tensor],
    terms: Sequence[Term],
    wanted: str | None,
    trials: int,
    random: np.random.Generator,
    progress: Progress,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], Tensor, NDArray[np.uint8]]:
    """Results, results of single exemplars, results in pixels, latents of the single ones, controls."""
    signs = [term.sign for term in terms]
    weights = torch.tensor(signs, dtype=torch.float32)
    names = [term.concept for term in terms]
    single_latents = []
    drawn: list[tuple[NDArray[np.uint8], ...]] = []
    for _ in progress(range(trials), Stage("drawing trials", trials, "trial")):
        # Concept by concept, so that the first n trials do not depend on how many there are.
        moved = {name: _exemplars(pool, random) for name, pool in pools.items()}
        operands = torch.stack([moved[name] for name in names])
        single = weights @ operands[:, 0]
        controls = [moved[name][1] for name in ([] if wanted is None else [wanted]) + names[:1]]
        latents = [weights @ operands.mean(1), single, *controls, *operands.flatten(0, 1)]
        pictures = to_pixels(model.generate(torch.stack(latents)))
        shown = pictures[2 + len(controls) :].reshape(len(terms), EXEMPLARS, *_shape(model))
        drawn.append((pictures[0], pictures[1], add_pictures(shown, signs), pictures[2 : 2 + len(controls)]))
        single_latents.append(single)
    results, singles, in_pixels, controls_drawn = (np.stack(part) for part in zip(*drawn, strict=True))
    return results, singles, in_pixels, torch.stack(single_latents), controls_drawn.swapaxes(0, 1)


def _exemplars(pool: Tensor, random: np.random.Generator) -> Tensor:
    """Three latents of a pool, drawn without replacement and moved by noise."""
    numbers = random.choice(len(pool), EXEMPLARS, replace=False)
    noise = random.uniform(-NOISE, NOISE, (EXEMPLARS, pool.shape[1])).astype(np.float32)
    return pool[torch.from_numpy(numbers)] + torch.from_numpy(noise)


def _shape(model: DCGAN) -> tuple[int, int, int]:
    channels, height, width = model.image_shape
    return height, width, channels


def _reach(latents: Tensor, prior: Prior) -> Reach:
    size = latents.abs()
    return Reach(
        length=float(latents.square().mean(1).sqrt().mean()) / SPREAD[prior],
        outside=float((size > 1).float().mean()),
        farthest=float(size.max()),
    )


def _instability(pictures: NDArray[np.uint8]) -> float:
    """Mean absolute difference of the pictures (n, H, W, C) of neighbouring trials, the last and the first too."""
    return float(np.abs(pictures.astype(np.float64) - np.roll(pictures, 1, 0)).mean())


def _rate(condition: str, probabilities: NDArray[np.float32], number: int) -> Rate:
    present = int((probabilities.argmax(1) == number).sum())
    count = len(probabilities)
    return Rate(condition, count, present, share_estimate(present, count, over="pictures"))
