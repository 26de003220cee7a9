"""Who gets which labels: the paper's protocols by name, and one for any labelled pictures."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.data.images import ImageSet
from dcgan_viz.data.labelled import LabelledImages, LabelledSplit
from dcgan_viz.errors import Notice, UserError
from dcgan_viz.words import counted

GRID = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2)
"""Of C, as in the authors' code for SVHN."""

TRAINING, TUNING, VALIDATION = 0, 1, 2
"""Streams of a seed: draws of labels that are measured, those that C is chosen on, and the validation images."""

ENOUGH = 100
"""Validation images from which on the C that they choose costs less than a point of accuracy (docs/features.md)."""


@dataclass(frozen=True)
class Published:
    """A number of the paper, and how it was obtained.

    Parameters
    ----------
    what : str
    accuracy : float
    how : str
    """

    what: str
    accuracy: float
    how: str


@dataclass(frozen=True)
class Protocol:
    """How labels are drawn, and how C is chosen.

    Parameters
    ----------
    name : str
    per_class : int, optional
        Labels of each class in a draw; None for all that there are.
    validation : int or float
        Images that C is chosen on, or their share of the training images.
    draws : int
    tuning_draws : int
        Further draws, on which C is chosen.
    tuning_per_class : int, optional
        Labels of each class in these; by default as many as in the others.
    exact : bool
        Whether C comes from `GRID` alone and validation and test must be as large as published; otherwise the grid is
        continued past its end as long as that is better.
    remeasure : bool
        Whether the discriminator's batch-norm statistics are measured anew, on the training images.
    published : tuple of Published
    """

    name: str
    per_class: int | None
    validation: float
    draws: int = 20
    tuning_draws: int = 10
    exact: bool = False
    remeasure: bool = False
    published: tuple[Published, ...] = ()
    tuning_per_class: int | None = None


PROTOCOLS: Mapping[str, Protocol] = {
    "cifar10": Protocol(
        "cifar10",
        per_class=None,
        validation=5000,
        draws=1,
        tuning_draws=1,
        published=(
            Published("DCGAN", 0.828, "networks trained on ImageNet-1k; how C was chosen is not stated"),
            Published("K-means", 0.806, "Coates & Ng, one layer of 4,800 centroids"),
        ),
    ),
    "svhn-1000": Protocol(
        "svhn-1000",
        per_class=100,
        validation=10_000,
        draws=100,
        exact=True,
        remeasure=True,
        published=(
            Published("DCGAN", 1 - 0.2248, "the official test images, 100 draws"),
            Published("supervised CNN", 1 - 0.2887, "validation error of the best of 64 random hyper-parameters"),
        ),
    ),
}
"""The paper's, by name."""


@dataclass(frozen=True)
class Task:
    """Pictures in the order pool, validation, test, with their classes.

    Parameters
    ----------
    images : ImageSet
    classes : tuple of str
    numbers : ndarray of int64 (N,)
    pool : int
        Pictures whose labels are drawn: the first ones.
    training : int
        Pictures of the pool and for validation.
    """

    images: ImageSet = field(repr=False)
    classes: tuple[str, ...]
    numbers: NDArray[np.int64] = field(repr=False)
    pool: int
    training: int

    @property
    def test(self) -> slice:
        """Rows of the test."""
        return slice(self.training, len(self.numbers))

    @property
    def validation(self) -> slice:
        """Rows that C is chosen on."""
        return slice(self.pool, self.training)

    @property
    def most_per_class(self) -> int:
        """Labels of each class that the pool has."""
        return int(np.bincount(self.numbers[: self.pool], minlength=len(self.classes)).min())

    def draw(self, per_class: int | None, seed: Sequence[int]) -> NDArray[np.int64]:
        """Rows of the pool, as many of each class; all of it for None. Ascending.

        Raises
        ------
        UserError
            If a class has fewer.
        """
        if per_class is None:
            return np.arange(self.pool)
        random = np.random.default_rng(list(seed))
        rows = []
        for number, name in enumerate(self.classes):
            members = np.flatnonzero(self.numbers[: self.pool] == number)
            if len(members) < per_class:
                raise UserError(
                    f"{per_class} labels of each class are drawn, and {name} has only {counted(len(members), 'image')}: give "
                    "more of it or ask for fewer with `per_class`"
                )
            rows.append(random.choice(members, per_class, replace=False))
        return np.sort(np.concatenate(rows))


def make_task(split: LabelledSplit, protocol: Protocol, held_out: float = 0.3, seed: int = 0) -> Task:
    """Put pictures in the order in which a protocol uses them.

    Where there is no test set the last pictures of each class, in the order of the source, are kept for it: neighbours are
    often alike (the digits of one house number, a burst of photographs), and drawn at random some of them would be in the
    training set. With fewer than `ENOUGH` validation images there is a `Notice`.

    Parameters
    ----------
    split : LabelledSplit
    protocol : Protocol
    held_out : float
        Share of each class that is kept for the test where there is no test set.
    seed : int
        Of the validation images.

    Raises
    ------
    UserError
        If there are too few pictures, or the protocol is exact and the set is not the published one.
    """
    training, test = split.training, split.test
    if test is None:
        if protocol.exact:
            raise UserError(
                f"{protocol.name} needs the official training and test images: give a folder with both, or the training "
                "images and `test`; without them leave out `protocol` and give `per_class`"
            )
        training, test = _last_of_each_class(training, held_out)
    count = int(protocol.validation if protocol.validation >= 1 else round(protocol.validation * len(training)))
    if not 0 < count < len(training):
        raise UserError(
            f"{count:,} of the training images are for validation, and there are {len(training):,}: give more, or leave out "
            "`protocol`"
        )
    if count < ENOUGH:
        warnings.warn(
            f"C is chosen on {count} validation images, and on fewer than {ENOUGH} that can cost points of accuracy",
            Notice,
            stacklevel=2,
        )
    order = np.random.default_rng([seed, VALIDATION]).permutation(len(training))
    pool, validation = training.chosen(np.sort(order[count:])), training.chosen(np.sort(order[:count]))
    parts = (pool, validation, test)
    images = ImageSet(
        np.concatenate([part.images.pixels for part in parts]),
        tuple(name for part in parts for name in part.images.names),
    )
    task = Task(images, training.classes, np.concatenate([p.numbers for p in parts]), len(pool), len(training))
    for what, rows in (("draw labels from", slice(0, task.pool)), ("be tested on", task.test)):
        missing = sorted(set(range(len(task.classes))) - set(task.numbers[rows].tolist()))
        if missing:
            raise UserError(f"there is no image of {task.classes[missing[0]]} to {what}: give more images of it")
    task.draw(protocol.per_class, (seed, TRAINING, 0))
    return task


def _last_of_each_class(data: LabelledImages, share: float) -> tuple[LabelledImages, LabelledImages]:
    aside = np.zeros(len(data), bool)
    for number, name in enumerate(data.classes):
        members = np.flatnonzero(data.numbers == number)
        count = round(share * len(members))
        if not 0 < count < len(members):
            raise UserError(
                f"{name} has {len(members)} images, too few to train and to test on: give more images of it"
            )
        aside[members[-count:]] = True
    return data.chosen(np.flatnonzero(~aside)), data.chosen(np.flatnonzero(aside))
