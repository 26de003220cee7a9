"""What a blind trial found: how often each condition's pictures show what was asked for, and how they differ.

A command that makes a trial needs ``save_trial(prepare_trial(...), folder)``; the report is `judge`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from dcgan_viz.blind.answers import Answers, Rectangle, is_present
from dcgan_viz.blind.guessing import Guesser, guess_conditions
from dcgan_viz.blind.trials import AnswerKind, BlindTrial, load_sheet, load_trial, prepare_trial, save_trial
from dcgan_viz.errors import UserError
from dcgan_viz.results import Result
from dcgan_viz.statistics import Estimate, bootstrap_estimate, paired_difference, share_estimate, stream

__all__ = [
    "BlindResult",
    "BlindTrial",
    "Difference",
    "Presence",
    "covered_area",
    "load_sheet",
    "load_trial",
    "prepare_trial",
    "save_trial",
    "unblind",
]

BOOTSTRAP = 1
"""A stream of random numbers of a trial's seed."""


@dataclass(frozen=True)
class Presence:
    """How often one condition's pictures show what was asked for.

    Parameters
    ----------
    condition : str
    pictures, judged, unclear, present : int
        All, those that were judged, those judged unclear, and those that show it.
    share : Estimate
        ``present / (judged - unclear)``, with its Wilson interval; NaN if there is none.
    area : Estimate, optional
        Share of a picture that boxes cover, averaged over the clear pictures; None where no boxes were asked for.
    """

    condition: str
    pictures: int
    judged: int
    unclear: int
    present: int
    share: Estimate
    area: Estimate | None


@dataclass(frozen=True)
class Difference:
    """What one condition changes against another, on the same latents.

    Parameters
    ----------
    condition, reference : str
        The difference is of the first minus the second.
    pairs : int
        Latents that were judged, and clear, under both.
    share : Estimate
        Difference of the shares that show what was asked for, over these pairs, with its paired score interval (Tango
        1998); NaN if there is none.
    gained, lost : int
        Pairs that show it under `condition` alone, and under `reference` alone.
    p_value : float
        McNemar's exact test of `gained` against `lost`, two-sided.
    unclear : int
        Pairs that were judged under both, and unclear under one at least: those that are left out above.
    with_unclear : Estimate
        The same difference where what is unclear counts as not showing it, over all pairs that were judged under both.
    p_with_unclear : float
        McNemar's exact test of that.
    area : Estimate, optional
        Difference of the shares of a picture that boxes cover; None where no boxes were asked for.
    """

    condition: str
    reference: str
    pairs: int
    share: Estimate
    gained: int
    lost: int
    p_value: float
    unclear: int
    with_unclear: Estimate
    p_with_unclear: float
    area: Estimate | None


@dataclass(frozen=True, kw_only=True)
class BlindResult(Result):
    """What a blind trial found.

    Parameters
    ----------
    question : str
    answer_kind : {"boxes", "yes-no"}
    contributor : str
        Who judged.
    judged, missing : int
        Pictures with an answer and without.
    guesser : Guesser
        How often colours alone tell the conditions apart: a judge who knows what to look for could do as well.
    presences : tuple of Presence
        One a condition.
    differences : tuple of Difference
        Each condition against each before it.
    pictures : ndarray of uint8 (N, H, W, C)
    condition, pair : ndarray of int64 (N,)
        As in `BlindTrial`.
    answered : ndarray of bool (N,)
        Whether there is an answer.
    present : ndarray of float64 (N,)
        1 if a picture shows what was asked for, 0 if not; NaN if that is unclear or not judged.
    boxes : ndarray of float64 (M, 5)
        Picture, left, top, width, height.
    """

    question: str
    answer_kind: AnswerKind
    contributor: str
    judged: int
    missing: int
    guesser: Guesser
    presences: tuple[Presence, ...]
    differences: tuple[Difference, ...]
    pictures: NDArray[np.uint8]
    condition: NDArray[np.int64]
    pair: NDArray[np.int64]
    answered: NDArray[np.bool_]
    present: NDArray[np.float64]
    boxes: NDArray[np.float64]


def unblind(trial: BlindTrial, answers: Answers) -> BlindResult:
    """Open the key: presence in every condition, and the paired differences between them.

    Unclear pictures are counted, and left out of shares and areas; a difference is over the latents whose pictures
    are clear under both conditions.

    Parameters
    ----------
    trial : BlindTrial
        From `load_trial` or `prepare_trial`.
    answers : Answers
        To this very trial; not all pictures need one.

    Returns
    -------
    BlindResult

    Raises
    ------
    UserError
        If the answers belong to another trial, or there are none.

    Examples
    --------
    >>> drawn = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8, 1)
    >>> trial = prepare_trial({"as drawn": drawn, "edited": drawn[::-1]}, "Is there a window?", "yes-no")
    >>> said = {i: "yes" if trial.condition[i] == 0 else "no" for i in range(6)}
    >>> result = unblind(trial, Answers(trial.digest, "me", said))
    >>> [presence.share.value for presence in result.presences], result.differences[0].share.value
    ([1.0, 0.0], -1.0)
    """
    if answers.trial != trial.digest:
        raise UserError("these answers belong to another trial: judge this one")
    if not answers.given:
        raise UserError("nothing has been judged, so there is nothing to report: judge some pictures first")
    count, conditions = len(trial.pictures), len(trial.conditions)
    answered, present, area, boxes = _read(trial, answers)
    # One row a latent, one column a condition.
    shown, covered = np.full((2, count // conditions, conditions), np.nan)
    shown[trial.pair, trial.condition] = present
    covered[trial.pair, trial.condition] = area
    seen = np.zeros(shown.shape, bool)
    seen[trial.pair, trial.condition] = answered
    with_area = trial.answer_kind == "boxes"
    presences = tuple(
        _presence(
            name,
            answered[trial.condition == number],
            shown[:, number],
            covered[:, number] if with_area else None,
            trial.seed,
        )
        for number, name in enumerate(trial.conditions)
    )
    differences = tuple(
        _difference(
            (trial.conditions[later], trial.conditions[earlier]),
            shown[:, [later, earlier]],
            seen[:, [later, earlier]],
            covered[:, [later, earlier]] if with_area else None,
            trial.seed,
        )
        for earlier, later in combinations(range(conditions), 2)
    )
    return BlindResult(
        settings={
            **trial.settings,
            "trial": trial.digest,
            "shuffle_seed": trial.seed,
            "sets": count // conditions,
            "conditions": list(trial.conditions),
            "share_intervals": "95 % Wilson",
            "difference_intervals": "95 % score (Tango) over the sets that are clear under both conditions",
        },
        question=trial.question,
        answer_kind=trial.answer_kind,
        contributor=answers.contributor,
        judged=int(answered.sum()),
        missing=int((~answered).sum()),
        guesser=guess_conditions(trial.pictures, trial.condition, trial.pair, len(trial.conditions)),
        presences=presences,
        differences=differences,
        pictures=trial.pictures,
        condition=trial.condition,
        pair=trial.pair,
        answered=answered,
        present=present,
        boxes=boxes,
    )


def _read(
    trial: BlindTrial, answers: Answers
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of each picture, whether there is an answer, presence and area, NaN where it is unclear; and all boxes."""
    count = len(trial.pictures)
    answered, present, area = np.zeros(count, bool), np.full(count, np.nan), np.full(count, np.nan)
    boxes: list[tuple[float, ...]] = []
    for index, answer in answers.given.items():
        answered[index] = True
        verdict = is_present(answer)
        if verdict is not None:
            rectangles = () if isinstance(answer, str) else answer
            present[index] = verdict
            area[index] = covered_area(rectangles) / (trial.width * trial.height)
            boxes += [(index, *rectangle) for rectangle in rectangles]
    return answered, present, area, np.array(boxes, np.float64).reshape(-1, 5)


def covered_area(rectangles: Sequence[Rectangle]) -> float:
    """The area that boxes cover together, overlaps counted once.

    Parameters
    ----------
    rectangles : sequence of (left, top, width, height)

    Examples
    --------
    >>> covered_area([(0, 0, 2, 2), (1, 1, 2, 2)])
    7.0
    """
    left, top, width, height = np.array(rectangles, float).reshape(-1, 4).T
    xs, ys = np.unique([left, left + width]), np.unique([top, top + height])
    inside = np.zeros((max(len(ys) - 1, 0), max(len(xs) - 1, 0)), bool)
    for x0, y0, x1, y1 in zip(left, top, left + width, top + height, strict=True):
        inside |= ((y0 <= ys[:-1]) & (ys[1:] <= y1))[:, None] & (x0 <= xs[:-1]) & (xs[1:] <= x1)
    return float((np.outer(np.diff(ys), np.diff(xs)) * inside).sum())


def _presence(
    name: str,
    answered: NDArray[np.bool_],
    shown: NDArray[np.float64],
    covered: NDArray[np.float64] | None,
    seed: int,
) -> Presence:
    clear = shown[~np.isnan(shown)]
    judged, present = int(answered.sum()), int(clear.sum())
    return Presence(
        condition=name,
        pictures=len(answered),
        judged=judged,
        unclear=judged - len(clear),
        present=present,
        share=share_estimate(present, len(clear), over="clear pictures"),
        area=None if covered is None else _mean(covered, seed),
    )


def _difference(
    names: tuple[str, str],
    shown: NDArray[np.float64],
    seen: NDArray[np.bool_],
    covered: NDArray[np.float64] | None,
    seed: int,
) -> Difference:
    """Of the first column minus the second."""
    both = seen.all(1)
    counted = np.nan_to_num(shown[both])
    gained_in_all, lost_in_all = (int((counted[:, a] > counted[:, b]).sum()) for a, b in ((0, 1), (1, 0)))
    change = shown[:, 0] - shown[:, 1]
    gained, lost = int((change > 0).sum()), int((change < 0).sum())
    pairs = int((~np.isnan(change)).sum())
    return Difference(
        condition=names[0],
        reference=names[1],
        pairs=pairs,
        share=paired_difference(gained, lost, pairs, over="sets that are clear under both conditions"),
        gained=gained,
        lost=lost,
        p_value=_mcnemar(gained, lost),
        unclear=int(both.sum()) - pairs,
        with_unclear=paired_difference(
            gained_in_all, lost_in_all, int(both.sum()), over="sets that were judged under both"
        ),
        p_with_unclear=_mcnemar(gained_in_all, lost_in_all),
        area=None if covered is None else _mean(covered[:, 0] - covered[:, 1], seed),
    )


def _mcnemar(gained: int, lost: int) -> float:
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def _mean(values: NDArray[np.float64], seed: int) -> Estimate:
    """The mean of the values that are known."""
    return bootstrap_estimate(values[~np.isnan(values)], seed=stream(seed, BOOTSTRAP), over="sets")
