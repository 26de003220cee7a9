"""``dcgan-viz memorization``."""

from __future__ import annotations

from pathlib import Path

import click

from dcgan_viz.cli.command import Command
from dcgan_viz.cli.options import device_option, finish, json_option, model_option, out_option, seed_option


@click.command(cls=Command, short_help="Test whether a generator copies its training images.")
@click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="What it was trained on: a folder, zip or array."
)
@click.option("--held-out", type=click.Path(path_type=Path), help="Photographs of the same kind it was not trained on.")
@click.option("--samples", type=click.IntRange(100), default=2000, show_default=True, help="How many to draw.")
@model_option
@seed_option
@device_option
@out_option("results/memorization")
@json_option
def memorization(
    data: Path, held_out: Path | None, samples: int, model: str, seed: int, device: str, out: Path, as_json: bool
) -> None:
    """Test whether a generator copies its training images.

    Finds the training image nearest to every sample, in pixels and in the discriminator's features, and asks whether
    more samples lie near one than photographs do. Ends in a verdict, with the share of copies that would have been found.

    \b
    dcgan-viz memorization --data lsun_bedrooms_10k.zip
    dcgan-viz memorization --model runs/mine --data photographs/ --held-out others/
    """
    from tqdm import tqdm

    from dcgan_viz.analysis import memorization as analysis
    from dcgan_viz.data.images import ImageSet, load_images
    from dcgan_viz.figures.memorization import memorization_figure
    from dcgan_viz.model import load

    loaded = load(model, device)
    channels, size, _ = loaded.networks.image_shape

    def read(path: Path) -> ImageSet:
        return load_images(
            path,
            size,
            channels,
            progress=lambda indices, total: tqdm(indices, f"reading {path.name}", total, unit="img"),
        )

    result = analysis.memorization(
        loaded,
        read(data),
        None if held_out is None else read(held_out),
        samples=samples,
        seed=seed,
        source=f"images of {data.name}",
    )
    folder = result.save(out, {"memorization": memorization_figure(result)})
    test = result.two_sample
    sentence = f"{result.verdict}\n1-nearest-neighbour accuracies: real {test.real:.2f}, generated {test.generated:.2f}"
    if result.copying_statistic is not None:
        sentence += f"; C_T {result.copying_statistic:.1f}"
    finish(result, folder, sentence, as_json)
