"""``dcgan-viz features``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dcgan_viz.cli.command import Command, command_line, echo
from dcgan_viz.cli.options import device_option, json_option, overwrite_option, shard_option


@click.command(cls=Command, short_help="Write the discriminator's features of images to an array.")
@click.argument("model", metavar="MODEL")
@click.argument("data", type=click.Path(path_type=Path), metavar="DATA")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="F.npy", help="The array to write.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="Precision of the convolutions; auto is bf16 where the device has instructions for it.",
)
@click.option("--remeasure", is_flag=True, help="Measure batch-norm's statistics anew, on DATA.")
@shard_option
@click.option("--skip-broken", is_flag=True, help="Leave out images that do not decode.")
@device_option
@overwrite_option
@json_option
def features(
    model: str,
    data: Path,
    out: Path,
    precision: str,
    remeasure: bool,
    shard: str | None,
    skip_broken: bool,
    device: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write the discriminator's features of every image of DATA to one array (the paper's section 5.1).

    The maps of every layer after their rectifier, max-pooled to 4x4, flattened and concatenated: 28,672 numbers an image
    for the paper's 32x32 networks. F.npy is float16 (images, features), in the order of DATA, and written a batch at a
    time; F.json beside it says which columns are of which layer. A run that was killed is gone on with by the same command.

    \b
    dcgan-viz features bedrooms lsun_bedrooms_10k.zip --out bedrooms.npy
    dcgan-viz features runs/mine photographs/ --out mine.npy --precision fp32 --device cuda
    """
    from dcgan_viz.analysis.attribution.randomisation import remeasured
    from dcgan_viz.analysis.features.extraction import digest_of_pixels, extract_features
    from dcgan_viz.analysis.features.pooled import chosen_precision, discriminator_extractor
    from dcgan_viz.data.images import load_images, spread_over
    from dcgan_viz.data.parts import Part
    from dcgan_viz.model import load
    from dcgan_viz.progress import show

    loaded = load(model, device)
    channels, size, _ = loaded.image_shape
    images = load_images(data, size, channels, skip_broken=skip_broken, progress=show)
    network = remeasured(loaded.discriminator, spread_over(images)) if remeasure else loaded.discriminator
    chosen = chosen_precision(network, precision)  # type: ignore[arg-type]
    extractor = discriminator_extractor(network, chosen)
    written = extract_features(
        extractor,
        images,
        out,
        digest=digest_of_pixels(images.pixels),
        about={"model": loaded.card.name, "images": str(data), "precision": chosen, "command": command_line()},
        part=None if shard is None else Part.parse(shard),
        overwrite=overwrite,
        progress=show,
    )
    rows, columns = written.values.shape
    if as_json:
        echo(
            json.dumps(
                {
                    "path": str(written.path),
                    "shape": [rows, columns],
                    "parts": dict(extractor.parts),
                    "resumed": written.first,
                }
            )
        )
        return
    if written.first == rows:
        echo(f"{written.path} already holds these features, and stays as it is")
        return
    again = f", {written.first:,} of them by an earlier run" if written.first else ""
    echo(f"{columns:,} features of {rows:,} images{again}, {chosen}, written to {written.path}")
