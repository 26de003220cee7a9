"""``dcgan-viz memorization``."""

from __future__ import annotations

from pathlib import Path

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
from dcgan_viz.words import images_in

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
