"""Vector arithmetic on concepts in the latent space (Radford et al. 2015, section 6.3.2, Figure 7).

The mean z of three exemplars of each concept are added and subtracted, and the generator draws the sum. The paper does
not keep it in the cube of the uniform prior, and neither does this module: three means of three independent exemplars
each have, together, just the variance of one z of the prior, so the sum is as long as a z is, but its coordinates are
nearly normal and about 8 % of them lie outside. How many do, how far, and what keeping them inside would change is
reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from torch import Tensor

from dcgan_viz.analysis.latent.expressions import Term, parse_expression, write_expression
from dcgan_viz.annotations.concepts import Concepts
from dcgan_viz.blind.trials import BlindTrial, prepare_trial
from dcgan_viz.data.images import to_pixels, to_tensor
from dcgan_viz.errors import UserError
from dcgan_viz.judges.classifier import Accuracy, Classifier, classify
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.spec import PRIOR_DEVIATION, Prior
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.results import Result, Settings
from dcgan_viz.statistics import Estimate, Seed, estimate_of, probability, share_estimate, stream

ON_Z, ALONE, RANDOM_MEANS = "arithmetic on z", "{} alone", "random means + {}"
"""The result, and what it would be if the concepts that are added to the last one meant nothing."""

EXEMPLARS = 3
"""Of each concept, as in the paper."""

NOISE = 0.25
"""Uniform, to either side, as in the paper."""

NEIGHBOURS = 8
NOISE_AND_TRIALS, ORDINARY, BASELINES, RESAMPLED = range(1, 5)
"""Streams of random numbers of a seed."""

RESAMPLED_TRIALS = 20
"""Sums of each set of exemplars drawn anew that the classifier is asked of."""

BASE_SAMPLES = 500
"""Ordinary samples on which the classifier is asked too, for the rate that chance gives."""


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
        With its Wilson interval, over pictures, given the exemplars that were picked.
    over_exemplars : Estimate, optional
        With its interval over which exemplars were picked: they are drawn anew with replacement. It is what a claim about
        the arithmetic, and not about these exemplars, needs.
    """

    condition: str
    pictures: int
    present: int
    share: Estimate
    over_exemplars: Estimate | None = None


@dataclass(frozen=True)
class Ahead:
    """How much more often the arithmetic shows the attribute than a baseline does.

    Parameters
    ----------
    baseline : str
    difference : Estimate
        Of the shares, with its interval over exemplars drawn anew, the same ones for both.
    gained, lost : int
        Trials, paired by their exemplars, that show it by the arithmetic alone, and by the baseline alone.
    p_value : float
        McNemar's exact test of these, two-sided: given the exemplars that were picked.
    """

    baseline: str
    difference: Estimate
    gained: int
    lost: int
    p_value: float


@dataclass(frozen=True)
class Measurement:
    """How often the result shows an attribute, beside its controls.

    Parameters
    ----------
    expected : str
        The class; of several that are expected at once, their names joined by "and".
    rates : tuple of Rate
        Of the results; of the last term alone, and of that term plus random means with the signs of the others, which is
        what the sum would give if the other concepts meant nothing; of the same with single exemplars and in pixels, of
        the exemplars of each concept as they were picked, and of ordinary samples.
    ahead : tuple of Ahead
        Of the results over the two baselines; empty where there is no last term to add to.
    accuracies : tuple of Accuracy
        Of the classifier, on held-out photographs; none are known of several at once.
    split : str
        How these were kept apart from those that it was trained on.
    """

    expected: str
    rates: tuple[Rate, ...]
    ahead: tuple[Ahead, ...]
    accuracies: tuple[Accuracy, ...]
    split: str

    def sentences(self) -> list[str]:
        """Whether the arithmetic is ahead of each baseline, in plain words."""
        said = []
        for found in self.ahead:
            verdict = (
                "ahead of"
                if found.difference.low > 0
                else "behind"
                if found.difference.high < 0
                else "not shown to beat"
            )
            said.append(
                f"{self.expected}: the arithmetic is {verdict} {found.baseline}, {found.difference:+.0%} over exemplars; "
                f"{found.gained} trials gained and {found.lost} lost with those that were picked ({probability(found.p_value)})"
            )
        return said

    def lines(self) -> list[str]:
        """The rate of each condition, the verdicts, and how often the classifier is right."""
        lines = []
        for rate in self.rates:
            share = f"{rate.share:.0%} of {rate.pictures}"
            if rate.over_exemplars is not None:
                share += f"; over exemplars [{100 * rate.over_exemplars.low:.0f}, {100 * rate.over_exemplars.high:.0f}]"
            lines.append(f"  {self.expected}, {rate.condition}: {share}")
        lines += self.sentences()
        if self.accuracies:
            accuracies = "; ".join(f"{a.subset} {a.estimate:.1%}" for a in self.accuracies)
            lines.append(
                f"the classifier of “{self.expected}” is right on held-out photographs: {accuracies} (split: {self.split})"
            )
        return lines


class ArithmeticSettings(Settings):
    """How an `Arithmetic` was obtained."""

    trials: int
    exemplars_averaged: int
    pools: dict[str, int]
    samples_seed: int
    picked_by: str
    picked_how: str
    wanted: str | None
    noise: str
    prior: Prior
    kept_in_prior: str
    pixel_arithmetic: str
    rate_intervals: str


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
    measurements : tuple of Measurement
        Of each expected class, and of all of them at once where there are several.
    exemplars : ndarray of uint8 (operands, 3, H, W, C)
    averages, pixel_averages : ndarray of uint8 (operands, H, W, C)
        Drawn from the mean z of the exemplars; and the mean of their pictures.
    latent : ndarray of float32 (latent_dim,)
        The sum.
    picture, pixel_picture : ndarray of uint8 (H, W, C)
        Drawn from the sum; and the same sum of the mean pictures, clipped.
    neighbours : ndarray of uint8 (8, H, W, C)
        Drawn from the sum with uniform noise of ±0.25.
    trials, single_trials, pixel_trials : ndarray of uint8 (T, H, W, C)
        The same sums of exemplars drawn anew: by mean z, by one z a concept, and in pixels.
    alone_trials, random_trials : ndarray of uint8 (T, H, W, C) or (0, H, W, C)
        The last term's exemplars of each trial alone; and they plus means of three random latents with the signs of the
        other terms. None where the last term is subtracted, or there is no other.
    controls : ndarray of uint8 (2, T, H, W, C)
        An exemplar of the wanted concept and one of the first term's, drawn anew for each trial; no concept is wanted
        where the first axis has length 1.
    """

    settings: ArithmeticSettings
    expression: str
    operands: tuple[Operand, ...]
    reach: Reach
    single_reach: Reach
    clamping: float
    instability: float
    single_instability: float
    measurements: tuple[Measurement, ...]
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
    alone_trials: NDArray[np.uint8]
    random_trials: NDArray[np.uint8]
    controls: NDArray[np.uint8]

    def sentences(self) -> str:
        """How far out the sum lies, how much it depends on the exemplars, and what a classifier says of it."""
        lines = [
            f"{self.expression}: the sum is {self.reach.length:.2f} times as long as an ordinary z, "
            f"{100 * self.reach.outside:.0f} % of its coordinates beyond ±1",
            f"with exemplars drawn anew two results differ by {self.instability:.1f} grey levels, with single exemplars by "
            f"{self.single_instability:.1f}",
        ]
        return "\n".join([*lines, *(line for measured in self.measurements for line in measured.lines())])


def arithmetic(
    model: DCGAN,
    concepts: Concepts,
    expression: str,
    *,
    trials: int = 100,
    wanted: str | None = None,
    expected: Mapping[str, Classifier] | None = None,
    resamples: int = 100,
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
    expected : mapping of str to Classifier, optional
        The classes that the result should show, each with the classifier that measures how often it does.
    resamples : int
        Sets of exemplars drawn anew, with replacement, for the intervals over exemplars; at least 2.
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
        to other weights, a classifier does not know its class, or there are too few trials.

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
    for number, what in ((trials, "trials"), (resamples, "sets of exemplars")):
        if number < 2:
            raise UserError(f"{number} {what} cannot be compared: draw at least 2")
    jury = _jury(expected or {})
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
    alone, at_random = _draw_baselines(model, terms, drawn.last_means, stream(seed, BASELINES))
    measurements: tuple[Measurement, ...] = ()
    if jury is not None:
        conditions = _conditions(model, pools, terms[-1].concept, drawn, alone, at_random, stream(seed, ORDINARY))
        again = _resampled_shares(model, pools, terms, jury, resamples, stream(seed, RESAMPLED), progress)
        measurements = _measure(jury, conditions, again)
    return Arithmetic(
        settings=_settings(
            model, concepts, {name: len(pool) for name, pool in pools.items()}, trials, wanted, resamples, seed
        ),
        expression=write_expression(terms),
        operands=tuple(Operand(t.sign, t.concept, concepts.of(t.concept)[:EXEMPLARS]) for t in terms),
        reach=_reach(total[None], prior),
        single_reach=_reach(drawn.single_latents, prior),
        clamping=0.0 if prior == "normal" else float(np.abs(picture.astype(float) - clamped).mean()),
        instability=_instability(drawn.results),
        single_instability=_instability(drawn.singles),
        measurements=measurements,
        exemplars=exemplars,
        averages=to_pixels(model.generate(means)),
        pixel_averages=exemplars.mean(1).round().astype(np.uint8),
        latent=total.numpy(),
        picture=picture,
        pixel_picture=add_pictures(exemplars, [term.sign for term in terms]),
        neighbours=to_pixels(model.generate(total + torch.from_numpy(noise))),
        trials=drawn.results,
        single_trials=drawn.singles,
        pixel_trials=drawn.in_pixels,
        alone_trials=alone,
        random_trials=at_random,
        controls=drawn.controls,
    )


def _settings(
    model: DCGAN,
    concepts: Concepts,
    pools: dict[str, int],
    trials: int,
    wanted: str | None,
    resamples: int,
    seed: int,
) -> ArithmeticSettings:
    """How it was obtained, from pools of so many exemplars."""
    return {
        "model": model.card.name,
        "seed": seed,
        "trials": trials,
        "exemplars_averaged": EXEMPLARS,
        "pools": pools,
        "samples_seed": concepts.seed,
        "picked_by": concepts.contributor,
        "picked_how": concepts.method,
        "wanted": wanted,
        "noise": f"uniform, ±{NOISE}",
        "prior": model.prior,
        "kept_in_prior": "no: as in the paper the sum is drawn where it lies",
        "pixel_arithmetic": "the same expression of the mean pictures, grey levels 0 to 255, clipped",
        "rate_intervals": "95 % Wilson over pictures, given the exemplars that were picked; over exemplars: 95 % bootstrap "
        f"over {resamples} sets drawn anew with replacement, {RESAMPLED_TRIALS} sums of each",
    }


@dataclass(frozen=True)
class _Jury:
    """Who is asked for what; of several classes, also whether a picture shows all of them."""

    classifiers: Mapping[str, Classifier]

    @property
    def verdicts(self) -> tuple[str, ...]:
        """What is asked of a picture."""
        names = tuple(self.classifiers)
        return names if len(names) == 1 else (*names, " and ".join(names))

    def sees(self, images: Tensor) -> NDArray[np.bool_]:
        """Each verdict on each picture, (verdicts, N): whether the class is the most probable one."""
        found = [classify(c, images).argmax(1) == c.number(name) for name, c in self.classifiers.items()]
        return np.stack(found if len(found) == 1 else [*found, np.logical_and.reduce(found)])


def _jury(expected: Mapping[str, Classifier]) -> _Jury | None:
    for name, classifier in expected.items():
        classifier.number(name)
    return _Jury(expected) if expected else None


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


@dataclass(frozen=True)
class _Trials:
    """What was drawn for each trial: sums of means, of single exemplars and in pixels, and the controls."""

    results: NDArray[np.uint8]
    singles: NDArray[np.uint8]
    in_pixels: NDArray[np.uint8]
    controls: NDArray[np.uint8]
    single_latents: Tensor
    last_means: Tensor


def _draw_trials(
    model: DCGAN,
    pools: Mapping[str, Tensor],
    terms: Sequence[Term],
    wanted: str | None,
    trials: int,
    random: np.random.Generator,
    progress: Progress,
) -> _Trials:
    signs = [term.sign for term in terms]
    weights = torch.tensor(signs, dtype=torch.float32)
    names = [term.concept for term in terms]
    single_latents, last_means = [], []
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
        last_means.append(operands[-1].mean(0))
    results, singles, in_pixels, controls_drawn = (np.stack(part) for part in zip(*drawn, strict=True))
    return _Trials(
        results, singles, in_pixels, controls_drawn.swapaxes(0, 1), torch.stack(single_latents), torch.stack(last_means)
    )


def _has_baselines(terms: Sequence[Term]) -> bool:
    """Whether there is a last term that the others are added to."""
    return len(terms) > 1 and terms[-1].sign > 0


def _draw_baselines(
    model: DCGAN, terms: Sequence[Term], last_means: Tensor, seed: Seed
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The last term's means (T, latent_dim) alone, and plus random means with the signs of the other terms."""
    if not _has_baselines(terms):
        nothing = np.zeros((0, *_shape(model)), np.uint8)
        return nothing, nothing
    others = _random_differences(model, terms, len(last_means), seed)
    return to_pixels(model.generate(last_means)), to_pixels(model.generate(others + last_means))


def _random_differences(model: DCGAN, terms: Sequence[Term], count: int, seed: Seed) -> Tensor:
    """Sums (count, latent) of means of three random latents with the signs of all terms but the last."""
    random = model.latents(count * (len(terms) - 1) * EXEMPLARS, seed)
    means = random.reshape(count, len(terms) - 1, EXEMPLARS, -1).mean(2)
    return torch.einsum("k,nkd->nd", torch.tensor([term.sign for term in terms[:-1]], dtype=torch.float32), means)


def _conditions(
    model: DCGAN,
    pools: Mapping[str, Tensor],
    last: str,
    drawn: _Trials,
    alone: NDArray[np.uint8],
    at_random: NDArray[np.uint8],
    seed: Seed,
) -> dict[str, NDArray[np.uint8]]:
    """The pictures that the classifier is asked of, by how they were drawn: the result and its baselines first."""
    baselines = {ALONE.format(last): alone, RANDOM_MEANS.format(last): at_random}
    return {
        ON_Z: drawn.results,
        **{name: pictures for name, pictures in baselines.items() if len(pictures)},
        "on single exemplars": drawn.singles,
        "on pixels": drawn.in_pixels,
        **{f"exemplars of {name}": to_pixels(model.generate(pool)) for name, pool in pools.items()},
        "ordinary samples": to_pixels(model.sample(BASE_SAMPLES, seed)),
    }


def _resampled_shares(
    model: DCGAN,
    pools: Mapping[str, Tensor],
    terms: Sequence[Term],
    jury: _Jury,
    resamples: int,
    seed: Seed,
    progress: Progress,
) -> NDArray[np.float64]:
    """How often the sum, the last term alone, and that plus random means show each class, (resamples, verdicts, sums)."""
    random = np.random.default_rng(stream(seed, 0))
    names = [term.concept for term in terms]
    signs = torch.tensor([term.sign for term in terms], dtype=torch.float32)
    rows = []
    for k in progress(range(resamples), Stage("other exemplars", resamples, "set")):
        # The same exemplars stand for a concept wherever it is named.
        again = {name: pool[torch.from_numpy(random.integers(0, len(pool), len(pool)))] for name, pool in pools.items()}
        means = []
        for _ in range(RESAMPLED_TRIALS):
            moved = {name: _exemplars(pool, random).mean(0) for name, pool in again.items()}
            means.append(torch.stack([moved[name] for name in names]))
        operands = torch.stack(means)
        sums = [torch.einsum("k,nkd->nd", signs, operands)]
        if _has_baselines(terms):
            others = _random_differences(model, terms, RESAMPLED_TRIALS, stream(seed, 1 + k))
            sums += [operands[:, -1], operands[:, -1] + others]
        seen = jury.sees(to_tensor(to_pixels(model.generate(torch.cat(sums)))))
        rows.append(seen.reshape(len(seen), len(sums), RESAMPLED_TRIALS).mean(2))
    return np.stack(rows)


def _measure(
    jury: _Jury, pictures: Mapping[str, NDArray[np.uint8]], resampled: NDArray[np.float64]
) -> tuple[Measurement, ...]:
    """Ask the jury of every condition; the first ones are those that exemplars were drawn anew for."""
    seen = {condition: jury.sees(to_tensor(drawn)) for condition, drawn in pictures.items()}
    measured = []
    for k, verdict in enumerate(jury.verdicts):
        classifier = jury.classifiers.get(verdict)
        rates, ahead = _compare({condition: found[k] for condition, found in seen.items()}, resampled[:, k])
        measured.append(
            Measurement(
                verdict,
                rates,
                ahead,
                () if classifier is None else classifier.card.accuracies,
                "" if classifier is None else str(classifier.card.training.get("split", "not stated")),
            )
        )
    return tuple(measured)


def _compare(
    shown: Mapping[str, NDArray[np.bool_]], resampled: NDArray[np.float64]
) -> tuple[tuple[Rate, ...], tuple[Ahead, ...]]:
    """The rate of each condition, and how far the first is ahead of the others that exemplars were drawn anew for."""
    resamples, baselines = len(resampled), list(shown)[1 : resampled.shape[1]]
    rates = [_rate(condition, present) for condition, present in shown.items()]
    for k in range(resampled.shape[1]):
        over = estimate_of(rates[k].share.value, resampled[:, k], resamples, "exemplars")
        rates[k] = replace(rates[k], over_exemplars=over)
    ahead = []
    for k, name in enumerate(baselines, start=1):
        gained, lost = (int((a & ~b).sum()) for a, b in ((shown[ON_Z], shown[name]), (shown[name], shown[ON_Z])))
        difference = rates[0].share.value - rates[k].share.value
        over = estimate_of(difference, resampled[:, 0] - resampled[:, k], resamples, "exemplars")
        p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
        ahead.append(Ahead(name, over, gained, lost, p_value))
    return tuple(rates), tuple(ahead)


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
        length=float(latents.square().mean(1).sqrt().mean()) / PRIOR_DEVIATION[prior],
        outside=float((size > 1).float().mean()),
        farthest=float(size.max()),
    )


def _instability(pictures: NDArray[np.uint8]) -> float:
    """Mean absolute difference of the pictures (n, H, W, C) of neighbouring trials, the last and the first too."""
    return float(np.abs(pictures.astype(np.float64) - np.roll(pictures, 1, 0)).mean())


def _rate(condition: str, shown: NDArray[np.bool_]) -> Rate:
    present, count = int(shown.sum()), len(shown)
    return Rate(condition, count, present, share_estimate(present, count, over="pictures"))
