"""``dcgan-viz evaluate``."""

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
    quality_options,
    seed_option,
)
from dcgan_viz.words import images_in

DEFAULT_OUT = "results/evaluate"


@click.command(cls=Command, short_help="Measure how good and how varied samples are.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Real images: any source that train takes. Not needed for models of procedural rooms.",
)
@quality_options
@model_option
@seed_option
@device_option
@out_option(DEFAULT_OUT)
@json_option
def evaluate(
    data: Path | None,
    samples: int,
    encoder: Path | None,
    inception: Path | None,
    model: str,
    seed: int,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Measure how far a model's samples are from real images, and how much of them they cover.

    Fréchet and kernel distance, precision, recall, density, coverage and authenticity, in the features of an encoder
    that no generator was trained with; each beside its floor, what other real images get, and beside real images with
    noise, blur and modes dropped. Where the model has a segmenter, objects are counted in real and generated images.
    About two minutes for 5,000 samples.

    \b
    dcgan-viz evaluate --model rooms
    dcgan-viz evaluate --model bedrooms --data lsun_bedrooms_10k.zip
    dcgan-viz evaluate --model runs/mine --data photographs/ --inception weights-inception-2015-12-05-6726825d.pth
    """
    from dcgan_viz.analysis.quality.evaluation import Evaluation
    from dcgan_viz.analysis.quality.evaluation import evaluate as run
    from dcgan_viz.data.images import load_images
    from dcgan_viz.errors import UserError
    from dcgan_viz.figures.quality.evaluation import evaluation_figure
    from dcgan_viz.judges.encoder import load_encoder
    from dcgan_viz.judges.inception import load_inception
    from dcgan_viz.judges.segmenter import find_segmenter
    from dcgan_viz.model import load
    from dcgan_viz.progress import show
    from dcgan_viz.rooms.training_sets import has_training_images, held_out_images

    check_out(Evaluation, out, overwrite, figures=["evaluate"])
    loaded = load(model, device)
    if encoder is not None and inception is not None:
        raise UserError("give --encoder or --inception, not both: samples are measured in one of them")
    if data is not None:
        channels, size, _ = loaded.image_shape
        images = load_images(data, size, channels, progress=show)
        source = f"the {images_in(data)}"
    elif has_training_images(loaded):
        images = held_out_images(loaded, 2 * samples, show)
        source = "procedural rooms that it was not trained on"
    else:
        raise UserError(f"{loaded.card.name} is measured against real images, which do not come with it: give --data")
    result = run(
        loaded,
        images,
        load_encoder(encoder, device) if inception is None else load_inception(inception, device),
        samples=samples,
        seed=seed,
        source=source,
        segmenter=find_segmenter(loaded),
        progress=show,
    )
    folder = result.save(out_folder(out, DEFAULT_OUT), {"evaluate": evaluation_figure(result)}, overwrite=overwrite)
    finish(result, folder, result.sentences(), as_json)
