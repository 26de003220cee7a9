"""``dcgan-viz features``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcgan_viz.cli.command import Command, command_line, echo
from dcgan_viz.cli.options import (
    complete_models,
    device_option,
    json_option,
    overwrite_option,
    shard_option,
)
from dcgan_viz.cli.planning import TRIED_PICTURES, Planned, announce, dry_run_option, seconds_a_picture
from dcgan_viz.untrusted import as_text
from dcgan_viz.words import counted

if TYPE_CHECKING:
    from dcgan_viz.model import DCGAN


@click.command(
    cls=Command,
    runs="extract_features",
    goes_on=True,
    short_help="Write the discriminator's features of images to an array.",
)
@click.argument("model", metavar="MODEL", shell_complete=complete_models)
@click.argument("data", type=click.Path(path_type=Path), metavar="DATA")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="F.npy", help="The array to write.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="Precision of the convolutions; auto uses bf16 where the device supports it natively.",
)
@click.option("--remeasure", is_flag=True, help="Re-estimate batch-norm statistics on DATA.")
@shard_option
@click.option("--skip-broken", is_flag=True, help="Leave out images that do not decode.")
@dry_run_option
@device_option
@overwrite_option
@json_option
def features(
    model: str,
    data: Path,
    out: Path,
    precision: str,
    remeasure: bool,
    part: str | None,
    skip_broken: bool,
    dry_run: bool,
    device: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write the discriminator's features of every image of DATA to one array (the paper's section 5.1).

    The maps of every layer after their rectifier, max-pooled to 4x4, flattened and concatenated: 28,672 numbers an image
    for the paper's 32x32 networks. F.npy is float16 (images, features), in the order of DATA, and written a batch at a
    time; F.json beside it says which columns are of which layer. The same command continues a run that was killed.

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
    if dry_run:
        announce(_plan(loaded, data, out, precision, part), as_json)
        return
    images = load_images(data, size, channels, skip_broken=skip_broken, progress=show)
    network = remeasured(loaded.discriminator, spread_over(images)) if remeasure else loaded.discriminator
    chosen = chosen_precision(network, precision)  # type: ignore[arg-type]
    extractor = discriminator_extractor(network, chosen)
    written = extract_features(
        extractor,
        images,
        out,
        digest=digest_of_pixels(images.pixels),
        about={"model": loaded.card.name, "images": as_text(str(data)), "precision": chosen, "command": command_line()},
        part=None if part is None else Part.parse(part),
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
    echo(f"{counted(columns, 'feature')} of {counted(rows, 'image')}{again}, {chosen}, written to {written.path}")


def _plan(model: DCGAN, data: Path, out: Path, precision: str, shard: str | None) -> Planned:
    from dcgan_viz.analysis.features.pooled import discriminator_extractor
    from dcgan_viz.data.parts import Part
    from dcgan_viz.data.sources.opening import open_images

    found = open_images(data)
    pictures = len(found) if shard is None else len(Part.parse(shard).rows(len(found)))
    channels, size, _ = model.image_shape
    extractor = discriminator_extractor(model.discriminator, precision)  # type: ignore[arg-type]
    batch = model.sample(TRIED_PICTURES)
    # The first batch pays for what is made once.
    extractor.compute(batch)
    start = time.perf_counter()
    extractor.compute(batch)
    a_picture = (time.perf_counter() - start) / len(batch)
    columns = sum(extractor.parts.values())
    return Planned(
        does=f"write {columns:,} features of each of {pictures:,} images of {data}",
        seconds=len(found) * seconds_a_picture(found, size, channels) + pictures * a_picture,
        measured=f"reading some of the images and by the features of {len(batch)} samples",
        size=2 * columns * pictures,
        place=out.parent,
        memory=len(found) * size * size * channels,
    )
