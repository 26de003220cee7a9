"""``dcgan-viz memorization``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcgan_viz.cli.command import Command
from dcgan_viz.cli.options import (
    check_out,
    device_option,
    finish,
    json_option,
    model_option,
    out_folder,
    out_option,
    seed_option,
)
from dcgan_viz.cli.planning import TRIED_PICTURES, Planned, announce, dry_run_option, seconds_a_picture, seconds_of
from dcgan_viz.words import images_in

if TYPE_CHECKING:
    from dcgan_viz.model import DCGAN

DEFAULT_OUT = "results/memorization"


@click.command(cls=Command, short_help="Test whether a generator copies its training images.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="What it was trained on: any source that train takes. Not needed for models of procedural rooms.",
)
@click.option(
    "--held-out", type=click.Path(path_type=Path), help="Photographs of the same kind that it was not trained on."
)
@click.option(
    "--encoder",
    type=click.Path(path_type=Path),
    help="An encoder's folder, for precision, coverage and the two-sample test.  [default: the bundled one]",
)
@click.option("--samples", type=click.IntRange(100), default=2000, show_default=True, help="How many to draw.")
@dry_run_option
@model_option
@seed_option
@device_option
@out_option(DEFAULT_OUT)
@json_option
def memorization(
    data: Path | None,
    held_out: Path | None,
    encoder: Path | None,
    samples: int,
    dry_run: bool,
    model: str,
    seed: int,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Test whether a generator copies its training images.

    Finds the training image nearest to every sample, in pixels and in the discriminator's features, and asks whether
    more samples lie near one than photographs do. Ends in a verdict, with the share of copies that would have been
    found; planted copies, the data-copying test, the two-sample test, coverage and walks stand beside it.

    \b
    dcgan-viz memorization --data lsun_bedrooms_10k.zip
    dcgan-viz memorization --model runs/mine --data photographs/ --held-out others/
    dcgan-viz memorization --model rooms
    dcgan-viz memorization --model rooms-memorized
    """
    from dcgan_viz.analysis.memorization import memorization as analysis
    from dcgan_viz.data.images import ImageSet, load_images
    from dcgan_viz.errors import UserError
    from dcgan_viz.figures.memorization.memorization import memorization_figure, nearest_figure
    from dcgan_viz.judges.encoder import load_encoder
    from dcgan_viz.model import load
    from dcgan_viz.progress import show
    from dcgan_viz.rooms.training_sets import has_training_images, held_out_images, training_images

    check_out(analysis.Memorization, out, overwrite, figures=["memorization", "nearest"])
    loaded = load(model, device)
    if data is None and not has_training_images(loaded):
        raise UserError(f"{loaded.card.name} was trained on images that do not come with it: give them with --data")
    channels, size, _ = loaded.image_shape
    if dry_run:
        announce(_plan(loaded, data, held_out, samples, out or Path(DEFAULT_OUT)), as_json)
        return

    def read(path: Path) -> ImageSet:
        return load_images(path, size, channels, progress=show)

    others = None if held_out is None else read(held_out)
    if data is not None:
        training, source = read(data), images_in(data)
    else:
        training, source = training_images(loaded, show), "procedural rooms"
        if others is None:
            others = held_out_images(loaded, min(samples, analysis.REFERENCES), show)
    result = analysis.memorization(
        loaded,
        training,
        others,
        encoder=load_encoder(encoder, device),
        samples=samples,
        seed=seed,
        source=source,
        progress=show,
    )
    figures = {"memorization": memorization_figure(result), "nearest": nearest_figure(result)}
    folder = result.save(out_folder(out, DEFAULT_OUT), figures, overwrite=overwrite)
    finish(result, folder, result.sentences(), as_json)


def _plan(model: DCGAN, data: Path | None, held_out: Path | None, samples: int, out: Path) -> Planned:
    """How many pictures are compared, and how long each step takes for some of them."""
    import torch

    from dcgan_viz.analysis.memorization import memorization as analysis
    from dcgan_viz.analysis.memorization.copy_search import BLOCK
    from dcgan_viz.analysis.memorization.image_vectors import pixel_vectors, quarter_features
    from dcgan_viz.analysis.memorization.nearest import FOLDS, NearestSearch
    from dcgan_viz.analysis.memorization.planted import ALTERATIONS
    from dcgan_viz.analysis.memorization.views import image_views
    from dcgan_viz.data.sources.opening import open_images
    from dcgan_viz.rooms.drawing import draw_rooms
    from dcgan_viz.rooms.training_sets import count_training_images, training_images

    channels, size, _ = model.image_shape
    reading = 0.0
    references = min(samples, analysis.REFERENCES)
    drawn = count_training_images(model) if data is None else None
    if data is not None:
        count = len(found := open_images(data))
        reading = count * seconds_a_picture(found, size, channels)
    elif drawn is not None:
        count = drawn
        a_room = seconds_of(lambda: draw_rooms(TRIED_PICTURES, size)) / TRIED_PICTURES
        reading = (count + (0 if held_out else references)) * a_room
    else:
        count = len(training_images(model))
    if held_out is not None:
        others = open_images(held_out)
        reading += len(others) * seconds_a_picture(others, size, channels)

    walks = analysis.WALKS * analysis.WALK_STEPS
    looked_for = samples + 2 * references + len(ALTERATIONS) * analysis.PLANTED
    batch = model.sample(TRIED_PICTURES)
    a_sample = seconds_of(lambda: model.sample(TRIED_PICTURES)) / TRIED_PICTURES
    features = seconds_of(lambda: quarter_features(model.discriminator, batch)) / TRIED_PICTURES
    views = seconds_of(lambda: image_views(batch)) / TRIED_PICTURES
    numbers = torch.arange(BLOCK).numpy()
    vectors = pixel_vectors(batch).repeat(BLOCK // TRIED_PICTURES, 1)
    search = NearestSearch(vectors[None])
    a_pair = seconds_of(lambda: search.add(vectors, numbers)) / BLOCK**2
    return Planned(
        does=f"compare {samples:,} samples, {references:,} other images, planted copies and {walks:,} steps of walks with "
        f"{count:,} training images",
        seconds=reading
        + (samples + walks) * a_sample
        + (count + looked_for) * features
        + min(count, FOLDS * looked_for) * views
        # In pixels as they are and mirrored, in features as they are.
        + count * (3 * looked_for + 2 * walks) * a_pair,
        measured=f"each step for {TRIED_PICTURES} pictures; the other tests come on top",
        size=2_000_000 + 6 * analysis.SHOWN * channels * size**2,
        place=out,
        memory=count * size**2 * channels,
    )
