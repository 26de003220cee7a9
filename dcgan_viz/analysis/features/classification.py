"""How well classes can be told apart from a discriminator's features, beside other ways (the paper's Tables 1 and 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from dcgan_viz.analysis.attribution.randomisation import randomised, remeasured
from dcgan_viz.analysis.features.extraction import (
    Extractor,
    digest_of_pixels,
    digest_of_tensors,
    extract_features,
)
from dcgan_viz.analysis.features.kept_trials import kept_trials
from dcgan_viz.analysis.features.kmeans import kmeans_extractor
from dcgan_viz.analysis.features.looks import Look, looks_of
from dcgan_viz.analysis.features.pooled import chosen_precision, discriminator_extractor
from dcgan_viz.analysis.features.protocols import TRAINING, TUNING, Protocol, Published, Task
from dcgan_viz.analysis.features.supervised import Setting, drawn_settings, train_supervised
from dcgan_viz.analysis.features.trials import Trials, run_trials
from dcgan_viz.data.images import ImageSet, spread_over
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN
from dcgan_viz.networks.protocol import DiscriminatorNetwork
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.results import Result, Settings
from dcgan_viz.statistics import Estimate, crossed_estimate

Baseline = Literal["random", "pixels", "kmeans", "cnn"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)

SUBJECT = "discriminator"
NAMES = {
    SUBJECT: "the discriminator",
    "random": "random weights",
    "pixels": "raw pixels",
    "kmeans": "K-means",
    "cnn": "supervised CNN",
}

CNN_DRAWS = 3
"""Draws of labels that a supervised network is trained on, since each takes as long as all the others together."""

CURVE = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
CURVE_DRAWS, CURVE_TUNING, CURVE_LABELS = 10, 3, 10_000
"""Draws of a point of the learning curve, those that its C is chosen on, and labels over all of its draws, at most."""


@dataclass(frozen=True)
class CurvePoint:
    """Accuracy with some number of labels.

    Parameters
    ----------
    labels : int
        Over all classes.
    accuracy : Estimate
    C : float
    """

    labels: int
    accuracy: Estimate
    C: float


@dataclass(frozen=True)
class Score:
    """One way to tell classes apart.

    Parameters
    ----------
    method : str
        A key of `NAMES`.
    accuracy : Estimate
        Over draws of labels and test images.
    spread : float
        1.96 standard deviations of the accuracies of the draws, as the paper states it; 0 for a single draw.
    gain : Estimate, optional
        By how much the discriminator is more often right, on the same draws and images.
    labels, draws : int
    features : int, optional
        None for a network.
    C : float, optional
    path : tuple of (float, float)
        Each C that was tried, and the accuracy on the validation images.
    curve : tuple of CurvePoint
        Fewer labels and more.
    """

    method: str
    accuracy: Estimate
    spread: float
    gain: Estimate | None
    labels: int
    draws: int
    features: int | None = None
    C: float | None = None
    path: tuple[tuple[float, float], ...] = ()
    curve: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True)
class LayerScore:
    """Accuracy from the maps of one layer alone.

    Parameters
    ----------
    name : str
    features : int
    accuracy, random : Estimate
        Of the discriminator and of the same network with random weights.
    C : float
    """

    name: str
    features: int
    accuracy: Estimate
    random: Estimate | None
    C: float


class ClassificationSettings(Settings):
    """How a `Classification` was obtained."""

    images: str
    pool: int
    validation: int
    tuning_labels: int
    test: int
    precision: str
    centroids: int | None
    supervised_cnn: str | None
    random_weights: str
    grid: str


@dataclass(frozen=True, kw_only=True)
class Classification(Result):
    """How often classifiers on a discriminator's features are right, beside baselines.

    Parameters
    ----------
    protocol : Protocol
    classes : tuple of str
    scores : tuple of Score
        The discriminator's first.
    layers : tuple of LayerScore
        None where they were left out.
    looks : tuple of Look
        For each class the maps with the largest weights.
    confusion : ndarray of int64 (K, K)
        Test images of a class (row) that were called another (column), over all draws.
    truth : ndarray of int64 (n,)
    predictions : ndarray of int64 (draws, n)
        Of the discriminator's classifiers.
    look_pictures : ndarray of uint8 (K, maps, top, S, S, C)
    look_gradients : ndarray of float32 (K, maps, top, C, S, S)
    """

    settings: ClassificationSettings
    protocol: Protocol
    classes: tuple[str, ...]
    scores: tuple[Score, ...]
    layers: tuple[LayerScore, ...]
    looks: tuple[Look, ...]
    confusion: NDArray[np.int64]
    truth: NDArray[np.int64]
    predictions: NDArray[np.int64]
    look_pictures: NDArray[np.uint8]
    look_gradients: NDArray[np.float32]

    @property
    def published(self) -> tuple[Published, ...]:
        """The paper's numbers of this protocol."""
        return self.protocol.published


def classify(
    model: DCGAN,
    task: Task,
    protocol: Protocol,
    work: str | Path,
    *,
    baselines: Sequence[Baseline] = BASELINES,
    curve: Sequence[int] | None = None,
    by_layer: bool = True,
    centroids: int = 800,
    cnn_settings: int = 1,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    seed: int = 0,
    source: str = "images",
    progress: Progress = silent,
) -> Classification:
    """Fit linear classifiers to a discriminator's features and to those of baselines, and measure them alike.

    All use the same draws of labels and the same test images. The random discriminator has the shape of the trained one
    and batch-norm statistics of the training images.

    Parameters
    ----------
    model : DCGAN
    task : Task
        Of `make_task` with the same protocol and seed.
    protocol : Protocol
    work : path
        A folder for the features, two bytes each, and for the fits; those that are there already are taken.
    baselines : sequence of {"random", "pixels", "kmeans", "cnn"}
    curve : sequence of int, optional
        Labels of each class for the learning curve; by default 1, 2, 5, … as far as there are; none for ``()``.
    by_layer : bool
        Whether to fit to each layer alone too, which takes as long as to all of them.
    centroids : int
        Of K-means.
    cnn_settings : int
        Settings of the supervised network that are tried, the usual one and random others; the best on the validation
        images is taken. The paper's control is the best of 64.
    precision : {"auto", "fp32", "bf16"}
        Of the discriminator.
    seed : int
    source : str
        What the images are, for the caption.
    progress : Progress

    Returns
    -------
    Classification

    Raises
    ------
    UserError
        If features are not finite or the disk is full.
    """
    folder = Path(work)
    training = ImageSet(task.images.pixels[: task.training], task.images.names[: task.training])
    calibration = spread_over(training)
    network = remeasured(model.discriminator, calibration) if protocol.remeasure else model.discriminator
    counts = _curve_counts(task, curve)
    extractors = _extractors(network, training, calibration, baselines, centroids, precision, seed)
    features = _extract_all(extractors, task, folder, progress)

    # Fits are in float64 in parts, which Apple's devices do not have.
    device = network.device if network.device.type == "cuda" else torch.device("cpu")
    trials, curves = _fit_all(features, task, protocol, counts, folder, seed, device, progress)
    truth, svms = task.numbers[task.test], trials[SUBJECT].predictions
    subject = svms == truth
    scores = [
        replace(
            _score(
                method,
                found.predictions == truth,
                subject,
                seed,
                found.labels,
                features.values[method].shape[1],
                found,
            ),
            curve=curves[method],
        )
        for method, found in trials.items()
    ]
    setting = None
    if "cnn" in baselines:
        setting, score = _supervised(network, task, protocol, subject, cnn_settings, seed, progress)
        scores.append(score)
    layers = _by_layer(features, task, protocol, seed, device, progress) if by_layer else ()
    looks, pictures, gradients = looks_of(
        network, task, features.values[SUBJECT], features.columns, trials[SUBJECT].svm
    )
    return Classification(
        settings={
            "model": model.card.name,
            "images": source,
            "pool": task.pool,
            "validation": task.training - task.pool,
            "tuning_labels": _tuning_labels(task, protocol),
            "test": len(truth),
            "seed": seed,
            "precision": chosen_precision(network, precision),
            "centroids": centroids if "kmeans" in baselines else None,
            "supervised_cnn": None if setting is None else f"best of {cnn_settings}: {setting}",
            "random_weights": "one network, statistics of the training images",
            "grid": "the authors' grid alone" if protocol.exact else "the authors' grid, continued past its better end",
        },
        protocol=protocol,
        classes=task.classes,
        scores=tuple(scores),
        layers=layers,
        looks=looks,
        confusion=confusion_matrix(np.tile(truth, len(svms)), svms.ravel(), labels=range(len(task.classes))),
        truth=truth,
        predictions=svms,
        look_pictures=pictures,
        look_gradients=gradients,
    )


@dataclass(frozen=True)
class _Features:
    """What every method extracted.

    Parameters
    ----------
    values : dict of ndarray of float16 (N, F)
        By method, the discriminator's first.
    digests : dict of str
        Of their extractors.
    columns : dict of slice
        The discriminator's layers.
    images : str
        Digest of the pictures.
    """

    values: dict[str, NDArray[np.float16]]
    digests: dict[str, str]
    columns: dict[str, slice]
    images: str


def _extract_all(
    extractors: Iterable[tuple[str, Extractor]], task: Task, folder: Path, progress: Progress
) -> _Features:
    """Write the features of every method, or take those that are there."""
    pixels = digest_of_pixels(task.images.pixels)
    features = _Features({}, {}, {}, pixels)
    for method, extractor in extractors:
        path = folder / f"{method}-{extractor.digest[:12]}-{pixels[:12]}.npy"
        written = extract_features(extractor, task.images, path, digest=pixels, progress=progress)
        features.values[method], features.digests[method] = written.values, extractor.digest
        if method == SUBJECT:
            features.columns.update(extractor.columns)
    return features


def _fit_all(
    features: _Features,
    task: Task,
    protocol: Protocol,
    counts: Sequence[int],
    folder: Path,
    seed: int,
    device: torch.device,
    progress: Progress,
) -> tuple[dict[str, Trials], dict[str, tuple[CurvePoint, ...]]]:
    """Fit to the features of every method, or take the fits that are there, and its learning curve."""
    trials, curves = {}, {}
    stage = Stage("fitting to features", len(features.values), "method")
    for method, values in progress(features.values.items(), stage):
        identity = _identity(task, protocol, seed, features=features.digests[method], images=features.images)
        fit = partial(_trials, method, values, task, protocol, seed, device, progress)
        trials[method] = kept_trials(folder, method, identity, fit)
        curves[method] = tuple(_curve(values, task, protocol, counts, seed, device))
    return trials, curves


def pixels_extractor(images: ImageSet) -> Extractor:
    """Raw pixels in [-1, 1] as features."""
    size = int(np.prod(images.pixels.shape[1:]))
    return Extractor(
        "raw pixels", {"pixels": size}, digest_of_tensors({}, "raw pixels"), lambda batch: batch.flatten(1)
    )


def _extractors(
    network: DiscriminatorNetwork,
    training: ImageSet,
    calibration: Any,
    baselines: Sequence[Baseline],
    centroids: int,
    precision: Literal["auto", "fp32", "bf16"],
    seed: int,
) -> Iterator[tuple[str, Extractor]]:
    """One after the other, so that only one is in memory."""
    yield SUBJECT, discriminator_extractor(network, precision)
    if "random" in baselines:
        every = range(1, len(network.numbered_layers) + 1)
        drawn = randomised(network, every, calibration, seed)
        yield "random", discriminator_extractor(drawn, precision, "features of random weights")
    if "pixels" in baselines:
        yield "pixels", pixels_extractor(training)
    if "kmeans" in baselines:
        yield "kmeans", kmeans_extractor(training, centroids, seed, network.device)


def _identity(task: Task, protocol: Protocol, seed: int, **digests: str) -> dict[str, Any]:
    """All that trials depend on."""
    order = hashlib.sha256(task.numbers.tobytes()).hexdigest()
    return {
        **digests,
        "classes": order,
        "parts": [task.pool, task.training],
        "protocol": asdict(protocol),
        "seed": seed,
    }


def _trials(
    method: str,
    values: NDArray[np.float16],
    task: Task,
    protocol: Protocol,
    seed: int,
    device: torch.device,
    progress: Progress,
) -> Trials:
    exact = protocol.exact and method == SUBJECT
    return run_trials(values, task, protocol, seed, exact=exact, device=device, what=method, progress=progress)


def _tuning_labels(task: Task, protocol: Protocol) -> int:
    of_each = protocol.tuning_per_class or protocol.per_class
    return task.pool if of_each is None else of_each * len(task.classes)


def _score(
    method: str,
    right: NDArray[np.bool_],
    subject: NDArray[np.bool_],
    seed: int,
    labels: int,
    features: int | None = None,
    trials: Trials | None = None,
) -> Score:
    draws = len(right)
    over = "draws of labels and test images" if draws > 1 else "test images"
    gain = subject[:draws].astype(np.int8) - right
    return Score(
        method,
        crossed_estimate(right, seed=seed, over=over),
        1.96 * float(right.mean(1).std()),
        None if method == SUBJECT else crossed_estimate(gain, seed=seed, over=over),
        labels,
        draws,
        features,
        None if trials is None else trials.C,
        () if trials is None else trials.path,
    )


def _supervised(
    network: DiscriminatorNetwork,
    task: Task,
    protocol: Protocol,
    subject: NDArray[np.bool_],
    count: int,
    seed: int,
    progress: Progress,
) -> tuple[Setting, Score]:
    validation, test = np.arange(task.pool, task.training), np.arange(task.training, len(task.numbers))
    settings = drawn_settings(count, seed)
    rows = task.draw(protocol.per_class, (seed, TUNING, 0))
    found = []
    if count > 1:
        for setting in progress(settings, Stage("choosing how to train supervised networks", count, "network")):
            tried = train_supervised(
                network, task.images, task.numbers, rows, validation, test[:0], setting, (seed, TUNING)
            )
            found.append(tried.validation)
    best = settings[int(np.argmax(found))] if found else settings[0]
    draws = range(min(protocol.draws, CNN_DRAWS))
    predictions = []
    for k in progress(draws, Stage("training supervised networks", len(draws), "network")):
        rows = task.draw(protocol.per_class, (seed, TRAINING, k))
        trained = train_supervised(network, task.images, task.numbers, rows, validation, test, best, (seed, k))
        predictions.append(trained.predictions)
    right = np.array(predictions) == task.numbers[task.test]
    return best, _score("cnn", right, subject, seed, len(rows))


def _curve_counts(task: Task, wanted: Sequence[int] | None) -> tuple[int, ...]:
    most = task.most_per_class
    if wanted is None:
        return tuple(n for n in CURVE if n <= most)
    for count in wanted:
        if not 0 < count <= most:
            raise UserError(
                f"the learning curve cannot have {count} labels a class: the smallest class has {most} in the pool"
            )
    return tuple(sorted(set(wanted)))


def _curve(
    features: NDArray[np.float16],
    task: Task,
    protocol: Protocol,
    counts: Sequence[int],
    seed: int,
    device: torch.device,
) -> Iterator[CurvePoint]:
    for count in counts:
        labels = count * len(task.classes)
        draws = int(np.clip(CURVE_LABELS // labels, 1, CURVE_DRAWS))
        tuning = min(CURVE_TUNING, draws)
        part = replace(protocol, per_class=count, draws=draws, tuning_draws=tuning, tuning_per_class=None)
        found = run_trials(features, task, part, seed, exact=False, device=device)
        right = found.predictions == task.numbers[task.test]
        over = "draws of labels and test images" if draws > 1 else "test images"
        yield CurvePoint(labels, crossed_estimate(right, seed=seed, over=over), found.C)


def _by_layer(
    features: _Features,
    task: Task,
    protocol: Protocol,
    seed: int,
    device: torch.device,
    progress: Progress,
) -> tuple[LayerScore, ...]:
    draws, tuning = min(protocol.draws, CURVE_DRAWS), min(protocol.tuning_draws, CURVE_TUNING)
    part = replace(protocol, draws=draws, tuning_draws=tuning)
    found = []
    truth = task.numbers[task.test]
    over = "draws of labels and test images" if draws > 1 else "test images"
    for name, where in progress(
        features.columns.items(), Stage("fitting to single layers", len(features.columns), "layer")
    ):
        accuracies, values = [], []
        for method in (SUBJECT, "random"):
            if method in features.values:
                trials = run_trials(features.values[method][:, where], task, part, seed, exact=False, device=device)
                accuracies.append(crossed_estimate(trials.predictions == truth, seed=seed, over=over))
                values.append(trials.C)
        found.append(LayerScore(name, where.stop - where.start, accuracies[0], (*accuracies, None)[1], values[0]))
    return tuple(found)
