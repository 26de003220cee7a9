"""How good and how varied samples are: distances and shares in the features of a named encoder, each with its floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_viz.analysis.quality.authenticity import authenticity
from dcgan_viz.analysis.quality.coverage import NEIGHBOURS, Coverage, coverage
from dcgan_viz.analysis.quality.distances import frechet_distance, frechet_estimate, kernel_estimate
from dcgan_viz.analysis.quality.disturbances import BLUR, KEPT, NOISE, Blurred, Noisy, drop_modes
from dcgan_viz.data.images import Images, to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.encoder import ImageEncoder, encode
from dcgan_viz.judges.segmenter import PRESENT_PIXELS, Segmenter, areas, segment
from dcgan_viz.model import DCGAN, Samples
from dcgan_viz.progress import Progress, silent
from dcgan_viz.results import Result, Settings
from dcgan_viz.statistics import Estimate, share_estimate

SAMPLES = 5000
FEWEST = 200
SHOWN = 32


@dataclass(frozen=True)
class Quality:
    """How far one set of images is from another, and how much of it it covers.

    Parameters
    ----------
    frechet : Estimate
        Fréchet distance; 0 when alike, and larger for fewer images.
    kernel : Estimate
        Kernel distance, thousandfold; 0 on average when alike, for any number of images.
    coverage : Coverage
        Precision, recall, density, coverage.
    authenticity : Estimate
        Share that lies as far from the reference images as these lie from one another; a half when alike.
    """

    frechet: Estimate
    kernel: Estimate
    coverage: Coverage
    authenticity: Estimate

    def shares(self) -> dict[str, Estimate]:
        """Those of its numbers that are shares, by name."""
        return {
            "precision": self.coverage.precision,
            "recall": self.coverage.recall,
            "density": self.coverage.density,
            "coverage": self.coverage.coverage,
            "authenticity": self.authenticity,
        }


@dataclass(frozen=True)
class Disturbance:
    """What became of the distances when real images were made worse.

    Parameters
    ----------
    kind : str
        ``noise``, ``blur`` or ``modes dropped``.
    level : float
        Standard deviation of the noise in units of [-1, 1], of the blur in pixels of a 64-pixel image; share of images
        dropped.
    frechet, kernel : float
    """

    kind: str
    level: float
    frechet: float
    kernel: float


@dataclass(frozen=True)
class ObjectShare:
    """In how many images a segmenter sees an object.

    Parameters
    ----------
    object : str
    real, generated : Estimate
        Share of images.
    """

    object: str
    real: Estimate
    generated: Estimate


class EvaluationSettings(Settings):
    """How an `Evaluation` was obtained."""

    encoder: str
    encoder_note: str
    source: str
    real_images: int
    images_of_each: int
    neighbours: int


@dataclass(frozen=True, kw_only=True)
class Evaluation(Result):
    """The quality of a model's samples.

    Parameters
    ----------
    quality : Quality
        Of samples against real images.
    floor : Quality
        Of other real images against the same ones: what a perfect generator would get.
    disturbances : tuple of Disturbance
        Of these other real images, made worse.
    objects : tuple of ObjectShare
        Empty where no segmenter belongs to the model.
    real, generated : ndarray of uint8 (32, H, W, C)
        The first images of each, to look at.
    """

    settings: EvaluationSettings
    quality: Quality
    floor: Quality
    disturbances: tuple[Disturbance, ...]
    objects: tuple[ObjectShare, ...]
    real: NDArray[np.uint8]
    generated: NDArray[np.uint8]

    @property
    def caveat(self) -> str:
        """What to know before the numbers are believed; empty if nothing.

        Where samples lie no farther from real images than other real images do, the encoder sees no difference; a person
        may.
        """
        if self.quality.kernel.low > self.floor.kernel.high:
            return ""
        return (
            f"the encoder {self.settings['encoder']} cannot tell these samples from real images: look at them before you "
            "believe it, since that says as much of the encoder as of the samples"
        )

    def sentences(self) -> str:
        """The distances and shares, beside those of other real images."""
        rows = [
            ("Fréchet distance", self.quality.frechet, self.floor.frechet, 1),
            ("kernel distance (thousandths)", self.quality.kernel, self.floor.kernel, 1),
        ]
        floors = self.floor.shares()
        rows += [(name, estimate, floors[name], 2) for name, estimate in self.quality.shares().items()]
        lines = [f"{self.settings['images_of_each']} samples against as many of {self.settings['source']}:"]
        lines += [
            f"  {name} {estimate:.{digits}f}; other real images {floor:.{digits}f}"
            for name, estimate, floor, digits in rows
        ]
        lines += [
            f"  images with a {entry.object}: samples {entry.generated:.2f}, real {entry.real:.2f}"
            for entry in self.objects
        ]
        if self.caveat:
            lines.append(f"caveat: {self.caveat}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Some:
    """Some of a set of images.

    Parameters
    ----------
    images : Images
    numbers : ndarray of int64
    """

    images: Images
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def tensor(self, indices: slice | NDArray[np.int64]) -> torch.Tensor:
        """The chosen ones of them (n, C, H, W)."""
        return self.images.tensor(self.numbers[indices])


def evaluate(
    model: DCGAN,
    images: Images,
    encoder: ImageEncoder,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    source: str = "the images that were given",
    segmenter: Segmenter | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Measure a model's samples against real images.

    Two random halves of the real images of equal size are taken: samples are measured against the first, and the second
    half against it too, which is the floor. The second half is then made noisy, blurred, and robbed of its modes, to see
    that the distances rise.

    Parameters
    ----------
    model : DCGAN
    images : Images
        Real ones, at least 400; those that it was trained on, or others of the same kind.
    encoder : ImageEncoder
        Trained on neither the model's images nor by any generator.
    samples : int
        At most so many of each; no more than half of the real images, since numbers must be equal to compare.
    seed : int
        Of the samples, the halves, the noise and the clusters.
    source : str
        What the images are called in the settings.
    segmenter : Segmenter, optional
        Counts objects in real and generated images.
    progress : Progress

    Returns
    -------
    Evaluation

    Raises
    ------
    UserError
        If there are too few images or samples.

    References
    ----------
    Heusel et al. 2017 (Fréchet distance), Bińkowski et al. 2018 (kernel distance), Kynkäänniemi et al. 2019 (precision,
    recall), Naeem et al. 2020 (density, coverage), Alaa et al. 2022 (authenticity).
    """
    count = min(samples, len(images) // 2)
    if count < FEWEST:
        raise UserError(
            f"{len(images)} real images and {samples} samples leave sets of {count}, and quality is measured on at least "
            f"{FEWEST}: give at least {2 * FEWEST} real images and {FEWEST} samples"
        )
    order = np.random.default_rng([seed, 1]).permutation(len(images))
    reference, others = Some(images, np.sort(order[:count])), Some(images, np.sort(order[count : 2 * count]))
    drawn = Samples(model, model.latents(count, seed))

    def features(what: str, pictures: Images) -> NDArray[np.float32]:
        return encode(encoder, pictures, progress, f"encoding {what}")

    real, other = features("real images", reference), features("other real images", others)
    generated = features("samples", drawn)
    first = slice(0, SHOWN)
    return Evaluation(
        quality=measure(real, generated, seed),
        floor=measure(real, other, seed),
        disturbances=_disturb(real, other, others, seed, features),
        objects=() if segmenter is None else _count_objects(segmenter, reference, drawn),
        real=to_pixels(reference.tensor(first)),
        generated=to_pixels(drawn.tensor(first)),
        settings=_settings(model, encoder, images, count, seed, source),
    )


def measure(real: NDArray[np.float32], generated: NDArray[np.float32], seed: int) -> Quality:
    """The quality of generated vectors (m, d) against real ones (n, d)."""
    return Quality(
        frechet=frechet_estimate(real, generated),
        kernel=kernel_estimate(real, generated),
        coverage=coverage(torch.from_numpy(real), torch.from_numpy(generated), seed),
        authenticity=authenticity(real, generated),
    )


def _disturb(
    real: NDArray[np.float32],
    other: NDArray[np.float32],
    others: Images,
    seed: int,
    features: Callable[[str, Images], NDArray[np.float32]],
) -> tuple[Disturbance, ...]:
    """The distances of other real images, made worse, to real ones."""
    found = []

    def add(kind: str, level: float, vectors: NDArray[np.float32]) -> None:
        found.append(Disturbance(kind, level, frechet_distance(real, vectors), kernel_estimate(real, vectors).value))

    for deviation in NOISE:
        add("noise", deviation, features(f"noise {deviation}", Noisy(others, deviation, seed)))
    for deviation in BLUR:
        add("blur", deviation, features(f"blur {deviation}", Blurred(others, deviation)))
    for kept in KEPT:
        left = drop_modes(other, kept, seed)
        add("modes dropped", 1 - len(left) / len(other), other[left])
    return tuple(found)


def _count_objects(segmenter: Segmenter, real: Images, generated: Images) -> tuple[ObjectShare, ...]:
    names = segmenter.objects
    present = []
    for images in (real, generated):
        labels = segment(segmenter, images.tensor(slice(0, len(images))))
        present.append(areas(labels, len(names)) >= PRESENT_PIXELS)
    return tuple(
        ObjectShare(name, *(share_estimate(int(seen[:, k].sum()), len(seen), over="images") for seen in present))
        for k, name in enumerate(names)
    )


def _settings(
    model: DCGAN, encoder: ImageEncoder, images: Images, count: int, seed: int, source: str
) -> EvaluationSettings:
    return {
        "model": model.card.name,
        "encoder": encoder.name,
        "encoder_note": encoder.note,
        "source": source,
        "real_images": len(images),
        "images_of_each": count,
        "neighbours": NEIGHBOURS,
        "seed": seed,
    }
