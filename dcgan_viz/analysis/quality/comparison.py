"""Models side by side: what each draws from the same latents, and how far its samples are from real images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from dcgan_viz.analysis.quality.distances import kernel_difference, kernel_estimate
from dcgan_viz.analysis.quality.evaluation import FEWEST, SAMPLES, Some
from dcgan_viz.data.images import Images, to_pixels
from dcgan_viz.errors import UserError
from dcgan_viz.judges.encoder import ImageEncoder, encode
from dcgan_viz.model import DCGAN, Samples
from dcgan_viz.progress import Progress, silent
from dcgan_viz.results import Result
from dcgan_viz.statistics import Estimate

SHOWN = 12
MOST = 12
"""Models that one figure has room for."""


@dataclass(frozen=True)
class Compared:
    """How far one model's samples are from real images.

    Parameters
    ----------
    model : str
    kernel : Estimate
        Kernel distance, thousandfold: 0 on average for other real images, whatever their number.
    farther : Estimate or None
        How much farther than the first model's, over the same real images; None of the first model itself.
    """

    model: str
    kernel: Estimate
    farther: Estimate | None


class ComparisonSettings(TypedDict):
    """How a `Comparison` was obtained."""

    models: list[str]
    encoder: str
    encoder_note: str
    source: str
    real_images: int
    images_of_each: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Comparison(Result):
    """Models side by side.

    Parameters
    ----------
    models : tuple of Compared
        In the order in which they were given.
    floor : Estimate
        Kernel distance of other real images: what a perfect generator would get.
    same_latents : bool
        Whether a column of `pictures` is one latent: of models whose latents differ in size or prior it is not.
    pictures : ndarray of uint8 (models, 12, H, W, C)
        What each draws first.
    """

    settings: ComparisonSettings
    models: tuple[Compared, ...]
    floor: Estimate
    same_latents: bool
    pictures: NDArray[np.uint8]


def compare(
    models: Sequence[DCGAN],
    images: Images,
    encoder: ImageEncoder,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    source: str = "the images that were given",
    names: Sequence[str] | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Draw from several models with the same latents, and measure each against the same real images.

    Parameters
    ----------
    models : sequence of DCGAN
        2 to 12, or checkpoints of a run as `dcgan_viz.training.snapshot.checkpoint_model` reads them.
    images : Images
        Real ones, at least 400: half of them are compared with samples, the others are the floor.
    encoder : ImageEncoder
    samples : int
        At most so many of each; no more than half of the real images.
    seed : int
        Of the latents and the halves.
    source : str
        What the images are called in the settings.
    names : sequence of str, optional
        What the models are called; by default as their cards say.
    progress : Progress

    Returns
    -------
    Comparison

    Raises
    ------
    UserError
        If there are too few or too many models, too few images or samples, or the models draw pictures of different
        shapes.
    """
    called = [model.card.name for model in models] if names is None else list(names)
    if not 2 <= len(models) <= MOST:
        raise UserError(f"2 to {MOST} models stand side by side, not {len(models)}")
    shapes = {model.image_shape for model in models}
    if len(shapes) > 1:
        said = ", ".join(
            f"{name} draws {'x'.join(map(str, m.image_shape))}" for name, m in zip(called, models, strict=True)
        )
        raise UserError(f"models are compared on pictures of one shape, channels by height by width, and {said}")
    count = min(samples, len(images) // 2)
    if count < FEWEST:
        raise UserError(
            f"{len(images)} real images and {samples} samples leave sets of {count}, and models are compared on at least "
            f"{FEWEST}: give at least {2 * FEWEST} real images and {FEWEST} samples"
        )
    order = np.random.default_rng([seed, 1]).permutation(len(images))
    real, other = (
        encode(encoder, Some(images, np.sort(part)), progress, f"encoding {what}")
        for part, what in ((order[:count], "real images"), (order[count : 2 * count], "other real images"))
    )
    drawn = [Samples(model, model.latents(count, seed)) for model in models]
    features = [
        encode(encoder, pictures, progress, f"encoding samples of {name}")
        for name, pictures in zip(called, drawn, strict=True)
    ]
    return Comparison(
        models=tuple(
            Compared(
                name,
                kernel_estimate(real, vectors),
                None if k == 0 else kernel_difference(real, vectors, features[0]),
            )
            for k, (name, vectors) in enumerate(zip(called, features, strict=True))
        ),
        floor=kernel_estimate(real, other),
        same_latents=len({(model.latent_dim, model.prior) for model in models}) == 1,
        pictures=np.stack([to_pixels(pictures.tensor(slice(0, SHOWN))) for pictures in drawn]),
        settings={
            "models": called,
            "encoder": encoder.name,
            "encoder_note": encoder.note,
            "source": source,
            "real_images": len(images),
            "images_of_each": count,
            "seed": seed,
        },
    )
