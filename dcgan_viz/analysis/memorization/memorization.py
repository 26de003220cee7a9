"""Tests whether a generator copies its training images.

For every sample the nearest training image is found, in pixels and in the discriminator's features. Whether that is
near is judged by the picture's own typical distance, and how often it happens by chance by photographs that cannot be
copies: held-out ones or, without any, training images among themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_viz.analysis.memorization.copy_search import (
    OtherSet,
    Query,
    TrainingSet,
    facing,
    query,
    search,
    walk_query,
)
from dcgan_viz.analysis.memorization.data_copying import DataCopying, data_copying
from dcgan_viz.analysis.memorization.duplicates import Repeats, count_duplicates
from dcgan_viz.analysis.memorization.dwelling import Dwelling, closed_walks, dwelling
from dcgan_viz.analysis.memorization.image_vectors import FEATURE_BATCH, QuarterSpace, quarter_features
from dcgan_viz.analysis.memorization.near_copies import (
    FEW,
    NEAR,
    POWER,
    SIGNIFICANCE,
    SPACES,
    NearCopies,
    detectable_share,
    near_copies,
    near_share,
)
from dcgan_viz.analysis.memorization.nearest import Nearest
from dcgan_viz.analysis.memorization.planted import ALTERATIONS, Planted, blur
from dcgan_viz.analysis.memorization.two_sample import TwoSampleTest, two_sample_test
from dcgan_viz.analysis.quality.coverage import Coverage, coverage
from dcgan_viz.analysis.quality.evaluation import Some
from dcgan_viz.data.images import Images, evenly_spaced, to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.encoder import ImageEncoder, encode
from dcgan_viz.model import DCGAN, Samples
from dcgan_viz.progress import Progress, Stage, silent
from dcgan_viz.results import Result, Settings
from dcgan_viz.statistics import probability

__all__ = ["Memorization", "Shown", "memorization", "quarter_features"]

FEWEST_IMAGES, FEWEST_SAMPLES = 32, 100
REFERENCES = 2000
PLANTED = 200
REFERENCE_BLUR = 2.0
"""In pixels of a 64-pixel image: smoother than any sample."""

ELSEWHERE = 8
"""At most so many sets of held-out images stand for few training images."""

TWO_SAMPLE_IMAGES = 2000
WALKS, WALK_STEPS = 32, 48
SHOWN = 8

OWN_FEATURES = (
    "the model's own discriminator, which was trained against its generator: it may see less difference, or more, than there "
    "is"
)

RULE = (
    "Training images that are nearly the same count as one. A picture is near one when it lies, in pixels mirrored, moved, "
    f"cropped, turned, in grey or as it is, at less than {NEAR} of its typical distance (the median over sixteenths of the "
    "training set of the nearest in each, at least a sixth). Copying is declared when more "
    "samples than reference images, sharp or blurred, are near, in pixels or in features: Fisher's exact test, one-sided, "
    f"p < {SIGNIFICANCE / len(SPACES):g} in either ({SIGNIFICANCE:g} over both). Near one of fewer than {FEW} training "
    "images many pictures lie by chance: more samples must then also be near than near one of as many held-out images, in "
    f"whichever of up to {ELSEWHERE} sets of them they are most; without such sets, than the intervals of the references allow. "
    "The other tests do not decide."
)


@dataclass(frozen=True)
class Shown:
    """One sample of the figure of nearest training images.

    Parameters
    ----------
    sample : int
        Its number among the samples.
    training_in_pixels, training_in_features : int
        Numbers of its nearest training images.
    pixels, features : float
        Its relative distances to them.
    """

    sample: int
    training_in_pixels: int
    training_in_features: int
    pixels: float
    features: float


class MemorizationSettings(Settings):
    """How a `Memorization` was obtained."""

    training_images: int
    source: str
    held_out_images: int | None
    reference_images: int
    samples: int
    near: float
    significance: float
    power: float
    reference_blur_pixels: float


@dataclass(frozen=True, kw_only=True)
class Memorization(Result):
    """What was found of copying.

    Parameters
    ----------
    verdict : str
        One sentence, and what cannot be concluded.
    rule : str
        How the verdict is decided.
    copies : bool
        Whether the verdict is that the generator copies.
    duplicates : Duplicates
        Among the training images.
    near : tuple of NearCopies
        In pixels and in features: what decides.
    planted : tuple of Planted
        How often altered copies of training images are recognised, and from what share on they would have been found.
    data_copying : DataCopying, optional
        In features; with held-out images only.
    measured_in : str
        The features of the next four: an encoder's, or the discriminator's with the caveat that belongs to it.
    two_sample, quality : TwoSampleTest, Coverage
        Samples against training images.
    two_sample_reference, quality_reference : TwoSampleTest, Coverage
        The same of held-out images, or other training images, in place of the samples.
    dwelling : Dwelling
        Whether walks through the latent space dwell at training images.
    shown : tuple of Shown
        The samples in `pictures`: the 8 relatively nearest to a training image, then 8 random ones.
    sample_distances, reference_distances : ndarray of float32 (2, n)
        Relative distances to the nearest training image, in pixels and in features.
    pictures, nearest_in_pixels, nearest_in_features : ndarray of uint8 (16, S, S, C)
        Samples and their nearest training images, those in pixels mirrored where their mirror image is nearer.
    """

    settings: MemorizationSettings
    verdict: str
    rule: str
    copies: bool
    duplicates: Repeats
    near: tuple[NearCopies, ...]
    planted: tuple[Planted, ...]
    data_copying: DataCopying | None
    measured_in: str
    two_sample: TwoSampleTest
    two_sample_reference: TwoSampleTest
    quality: Coverage
    quality_reference: Coverage
    dwelling: Dwelling
    shown: tuple[Shown, ...]
    sample_distances: NDArray[np.float32]
    reference_distances: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    nearest_in_pixels: NDArray[np.uint8]
    nearest_in_features: NDArray[np.uint8]

    def sentences(self) -> str:
        """The verdict, the rule behind it, and what each of the tests says."""
        test, usual, walks, copying, repeated = (
            self.two_sample,
            self.two_sample_reference,
            self.dwelling,
            self.data_copying,
            self.duplicates,
        )
        others = "held-out images" if self.settings["held_out_images"] else "other training images"
        lines = [
            self.verdict,
            f"rule: {self.rule}",
            f"near-duplicates among the training images: {repeated.repeated}, at most {repeated.largest} of one",
            "planted copies that are near (in pixels, in features), and from what share of the samples on they are found:",
            *(
                f"  {p.kind}: {100 * p.pixels.share.value:.0f} %, {100 * p.features.share.value:.0f} %; "
                + ("never" if p.detectable_share is None else f"from {rounded_up(p.detectable_share)} % on")
                for p in self.planted
            ),
            f"in the features of {self.measured_in}:",
            f"a training image's nearest neighbour is a sample for {100 * (1 - test.real.value):.0f} % (permuted labels "
            f"{test.null:.0%}); by the same statistic it is one of as many {others} for {100 * (1 - usual.real.value):.0f} %",
        ]
        for name, quality in (("samples", self.quality), (others, self.quality_reference)):
            lines.append(
                f"{name}: precision {quality.precision:.2f}, recall {quality.recall:.2f}, density "
                f"{quality.density:.2f}, coverage {quality.coverage:.2f}"
            )
        lines.append(
            f"walks, relative distance where they are fast minus where they are slow: {walks.contrast:.3f}; shifted "
            f"{walks.null:.3f} ({probability(walks.p_value)}); far above 0 they dwell at training images, but a little above "
            "it honest generators lie too"
        )
        if copying is not None:
            lines.append(
                f"C_T {copying.statistic:.1f}; permuted {copying.null:.1f}; far below 0 samples are copies, or "
                "smoother than photographs"
            )
        return "\n".join(lines)


def memorization(
    model: DCGAN,
    training: Images,
    held_out: Images | None = None,
    *,
    encoder: ImageEncoder | None = None,
    samples: int = 2000,
    seed: int = 0,
    source: str = "training images",
    progress: Progress = silent,
) -> Memorization:
    """Test whether a generator copies its training images.

    Parameters
    ----------
    model : DCGAN
    training : Images
        What it was trained on, at least 32; read in blocks, any number.
    held_out : Images, optional
        Photographs of the same kind that it was not trained on, at least 32; of many, as many as samples are taken, and
        2,000 at most.
    encoder : ImageEncoder, optional
        In whose features samples and training images are told apart and cover one another. Without one it is the model's
        own discriminator, which was trained against its generator: the result says so.
    samples : int
        Samples to draw, at least 100.
    seed : int
        Of the samples, the walks, k-means, permutations and bootstraps.
    source : str
        What the training images are, for the caption.
    progress : Progress
        Shows how far each part is.

    Returns
    -------
    Memorization

    Raises
    ------
    UserError
        If there are too few training images, held-out images or samples, or too few training images that differ.
    """
    known = _known(model, training, held_out, samples, progress)
    drawn = Samples(model, model.latents(samples, seed))
    # Without held-out images, training images stand in for them, each compared with all others.
    references, alone = (training, True) if held_out is None else (held_out, False)
    reference_numbers = np.array(evenly_spaced(len(references), min(samples, REFERENCES)))
    deviation = REFERENCE_BLUR * model.image_shape[1] / 64
    reference = _Part(references, reference_numbers, firsts=known.firsts if alone else None)
    parts = _parts(drawn, reference, training, deviation)
    stage = Stage("drawing samples and controls", len(parts), "part")
    queries = [query(known.space, p.images, p.numbers, p.alter, firsts=p.firsts) for p in progress(parts, stage)]
    of_samples, of_references = queries[:2]
    of_walks, changes = walk_query(
        known.space, model, closed_walks(WALKS, WALK_STEPS, model.latent_dim, model.prior, seed)
    )
    walks, sample, usual, blurred, *altered = search(known, [of_walks, *queries], progress)
    elsewhere = _elsewhere(known, of_samples, held_out) if len(known.different) < FEW else None
    near = tuple(
        near_copies(
            space,
            sample[k].relative,
            usual[k].relative,
            blurred[k].relative,
            None if elsewhere is None else [found[k].relative for found in elsewhere],
        )
        for k, space in enumerate(SPACES)
    )
    planted = tuple(_planted(kind, result, near) for kind, result in zip(ALTERATIONS, altered, strict=True))
    real, others, generated = _told_apart(known, drawn, training, reference, alone, encoder, progress)
    chosen = _chosen(sample, seed)
    pictures = drawn.tensor(chosen)
    nearest_in_pixels, nearest_in_features = (training.tensor(found.number[chosen]) for found in sample)
    copies = any(n.copies for n in near)
    return Memorization(
        settings={
            "model": model.card.name,
            "training_images": len(training),
            "source": source,
            "held_out_images": None if held_out is None else len(held_out),
            "reference_images": len(reference_numbers),
            "samples": samples,
            "seed": seed,
            "near": NEAR,
            "significance": SIGNIFICANCE,
            "power": POWER,
            "reference_blur_pixels": deviation,
        },
        verdict=_verdict(copies, near, planted[0].detectable_share, alone),
        duplicates=count_duplicates(known.firsts),
        rule=RULE,
        copies=copies,
        near=near,
        planted=planted,
        data_copying=None if alone else _copying(known, of_references, of_samples, usual[1], sample[1], seed),
        measured_in=f"the encoder {encoder.name}, {encoder.note}" if encoder is not None else OWN_FEATURES,
        two_sample=two_sample_test(real, generated, seed),
        two_sample_reference=two_sample_test(real, others, seed),
        quality=coverage(real, generated, seed),
        quality_reference=coverage(real, others, seed),
        dwelling=_dwelling(walks[0], changes, seed),
        shown=_shown(sample, chosen),
        sample_distances=np.stack([s.relative for s in sample]),
        reference_distances=np.stack([r.relative for r in usual]),
        pictures=to_pixels(pictures),
        nearest_in_pixels=to_pixels(facing(pictures, nearest_in_pixels)),
        nearest_in_features=to_pixels(nearest_in_features),
    )


def _known(model: DCGAN, training: Images, held_out: Images | None, samples: int, progress: Progress) -> TrainingSet:
    """The training images, if there are enough of everything."""
    given = {"training images": len(training)} | ({} if held_out is None else {"held-out images": len(held_out)})
    fewest = {**dict.fromkeys(given, FEWEST_IMAGES), "samples": FEWEST_SAMPLES}
    for what, number in {**given, "samples": samples}.items():
        if number < fewest[what]:
            raise UserError(f"{number} {what} are too few to test for copies: give at least {fewest[what]}")
    known = TrainingSet(model.discriminator, training, progress)
    if len(known.different) < FEWEST_IMAGES:
        raise UserError(
            f"of {len(training)} training images only {len(known.different)} differ, too few to test for copies: give at "
            f"least {FEWEST_IMAGES} different ones"
        )
    return known


def _elsewhere(known: TrainingSet, samples: Query, held_out: Images | None) -> list[tuple[Nearest, Nearest]]:
    """The samples among held-out images instead: among each of several sets of as many as training images differ."""
    count = len(known.different)
    sets = min(ELSEWHERE, 0 if held_out is None else len(held_out) // count)
    if held_out is None or not sets:
        return []
    numbers = np.array(evenly_spaced(len(held_out), sets * count))
    return [search(OtherSet(held_out, numbers[k::sets], known.space), [samples])[0] for k in range(sets)]


@dataclass(frozen=True)
class _Part:
    """Images that are compared with the training images, by number and altered, as in `query`."""

    images: Images
    numbers: NDArray[np.int64]
    alter: Callable[[Tensor], Tensor] | None = None
    firsts: NDArray[np.int64] | None = None


def _parts(drawn: Samples, reference: _Part, training: Images, deviation: float) -> list[_Part]:
    """What is compared with the training images: samples, other images, these blurred, and planted copies."""
    planted_numbers = np.array(evenly_spaced(len(training), PLANTED))
    return [
        _Part(drawn, np.arange(len(drawn))),
        reference,
        replace(reference, alter=lambda images: blur(images, deviation)),
        *(_Part(training, planted_numbers, alter) for alter in ALTERATIONS.values()),
    ]


def _told_apart(
    known: TrainingSet,
    drawn: Samples,
    training: Images,
    reference: _Part,
    alone: bool,
    encoder: ImageEncoder | None,
    progress: Progress,
) -> list[Tensor]:
    """Vectors of equally many training images, other images and samples, to be told apart and to cover one another."""
    # Without held-out images, half of the training images stand in for them here.
    real_numbers, other_numbers = (
        (known.different[::2], known.different[1::2]) if alone else (known.different, reference.numbers)
    )
    sets = ((training, real_numbers), (reference.images, other_numbers), (drawn, np.arange(len(drawn))))
    return _equally_many(sets, encoder, known.space, progress)


def _equally_many(
    sets: Sequence[tuple[Images, NDArray[np.int64]]],
    encoder: ImageEncoder | None,
    space: QuarterSpace,
    progress: Progress,
) -> list[Tensor]:
    """What the two-sample test and coverage compare: vectors of as many images of each set as all of them have."""
    count = min(*(len(numbers) for _, numbers in sets), TWO_SAMPLE_IMAGES)
    chosen = [Some(images, numbers[np.array(evenly_spaced(len(numbers), count))]) for images, numbers in sets]
    return [_vectors(some, encoder, space, progress) for some in chosen]


def _copying(
    known: TrainingSet, references: Query, samples: Query, of_references: Nearest, of_samples: Nearest, seed: int
) -> DataCopying | None:
    """The published statistic, in features."""
    distances = (of_references.distance, of_samples.distance)
    return data_copying(known.kept, references.features[0], samples.features[0], *distances, seed)


def _dwelling(walks: Nearest, changes: NDArray[np.float32], seed: int) -> Dwelling:
    shape = (WALKS, WALK_STEPS)
    return dwelling(walks.relative.reshape(shape), walks.number.reshape(shape), changes, NEAR, seed)


def _shown(sample: tuple[Nearest, Nearest], chosen: NDArray[np.int64]) -> tuple[Shown, ...]:
    pixels, features = sample
    return tuple(
        Shown(k, int(pixels.number[k]), int(features.number[k]), float(pixels.relative[k]), float(features.relative[k]))
        for k in chosen.tolist()
    )


def _vectors(images: Images, encoder: ImageEncoder | None, space: QuarterSpace, progress: Progress) -> Tensor:
    """What images (n) are measured by (n, d)."""
    if encoder is not None:
        return torch.from_numpy(encode(encoder, images, progress))
    starts = range(0, len(images), FEATURE_BATCH)
    return torch.cat([space.vectors(images.tensor(slice(start, start + FEATURE_BATCH))) for start in starts])


def _planted(kind: str, found: tuple[Nearest, Nearest], near: tuple[NearCopies, ...]) -> Planted:
    pixels, features = (near_share(f.relative) for f in found)
    needed = [
        detectable_share(n.samples.images, n.usual.images, n.usual.near, recognised.share.low)
        for n, recognised in zip(near, (pixels, features), strict=True)
    ]
    return Planted(kind, pixels, features, min((share for share in needed if share is not None), default=None))


def _chosen(sample: tuple[Nearest, Nearest], seed: int) -> NDArray[np.int64]:
    """The samples that are relatively nearest to a training image in either space, then random ones of all."""
    nearness = np.minimum(sample[0].relative, sample[1].relative)
    random = np.random.default_rng(seed).choice(len(nearness), SHOWN, replace=False)
    return np.concatenate([nearness.argsort(kind="stable")[:SHOWN], np.sort(random)])


def rounded_up(share: float) -> str:
    """A share in percent, with a decimal, never less than it is: what is claimed to be found is not to be exaggerated.

    Examples
    --------
    >>> rounded_up(0.01201), rounded_up(0.012)
    ('1.3', '1.2')
    """
    return f"{np.ceil(round(1000 * share, 6)) / 10:.1f}"


def _verdict(copies: bool, near: tuple[NearCopies, ...], detectable: float | None, alone: bool) -> str:
    whose = "training images among themselves" if alone else "held-out images"
    shares = " and ".join(f"{100 * n.samples.share.value:.1f} % in {n.space}" for n in near)
    usual = " and ".join(f"{100 * n.references.share.value:.1f} %" for n in near)
    facts = (
        f"{shares} of {near[0].samples.images} samples are near a training image, of {near[0].references.images} "
        f"{whose} {usual}"
    )
    if copies:
        said = f"The generator copies: {facts} ({probability(min(n.p_value for n in near))})."
    elif detectable is None:
        said = f"Nothing can be concluded: {facts}; with so few images not even copies alone would show."
    else:
        said = (
            f"No sign of copying: {facts}; exact copies would have been found with {100 * POWER:.0f} % probability if "
            f"they were {rounded_up(detectable)} % of the samples or more."
        )
    by_chance = [n.by_chance for n in near if n.by_chance is not None]
    if by_chance:
        chance = " and ".join(f"{100 * share.share.value:.1f} %" for share in by_chance)
        said += f" So few training images may have up to {chance} of the samples near them by chance."
    if not alone:
        return said
    return (
        f"{said} Without held-out images it cannot be concluded whether samples lie nearer to training images than new "
        "images do."
    )
