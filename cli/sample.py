"""``dcgan-viz sample``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import (
    device_option,
    json_option,
    model_option,
    out_folder,
    overwrite_option,
    parse_zeroed,
    seed_option,
)
from dcgan_viz.words import counted

if TYPE_CHECKING:
    from dcgan_viz.model import DCGAN

DEFAULT_PICTURE, DEFAULT_FOLDER = Path("samples.png"), "samples"


@click.command(cls=Command)
@model_option
@click.option("--count", type=click.IntRange(1, 10_000), default=64, show_default=True, help="How many samples.")
@click.option("--scale", type=click.IntRange(1, 16), default=2, show_default=True, help="Enlarge each pixel.")
@click.option("--each", is_flag=True, help="Write each sample as a PNG of its own, instead of one picture of all.")
@click.option(
    "--zero-maps",
    "zeroed",
    multiple=True,
    metavar="LAYER:MAPS",
    help="Draw without these maps of a generator layer, such as 3:5,17 or 4:0-7; can be repeated.",
)
@seed_option
@device_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The picture to write (.png, .jpg or .webp), or with --each the folder.  [default: samples.png or samples, "
    "with a number where that exists]",
)
@overwrite_option
@json_option
def sample(
    model: str,
    count: int,
    scale: int,
    each: bool,
    zeroed: tuple[str, ...],
    seed: int,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Draw samples, as one picture or each on its own.

    \b
    dcgan-viz sample
    dcgan-viz sample --model runs/mine --count 100 --seed 7 --out mine.png
    dcgan-viz sample --count 10000 --scale 1 --each --out drawn
    dcgan-viz sample --model rooms --zero-maps 3:5,17
    """
    from dcgan_viz.analysis.forgetting.ablation import Ablation, choose_layer, edited
    from dcgan_viz.annotations.sample_files import save_samples
    from dcgan_viz.model import load

    loaded, ablations = load(model, device), []
    for layer, maps in map(parse_zeroed, zeroed):
        ablations.append(Ablation(choose_layer(loaded, layer), maps))
        loaded = edited(loaded, ablations[-1])
    if each:
        place = out_folder(out, DEFAULT_FOLDER)
        save_samples(loaded, place, count=count, seed=seed, scale=scale, overwrite=overwrite)
    else:
        place = _draw_page(loaded, count, scale, seed, out, overwrite)
    if as_json:
        zero = [{"layer": a.layer.number, "maps": a.maps} for a in ablations]
        echo(json.dumps({"path": str(place), "model": model, "samples": count, "seed": seed, "zeroed": zero}, indent=2))
    else:
        done = "".join(f", {ablation}" for ablation in ablations)
        echo(f"{counted(count, 'sample')} of {model} (seed {seed}){done} written to {place}")


def _draw_page(model: DCGAN, count: int, scale: int, seed: int, out: Path | None, overwrite: bool) -> Path:
    import numpy as np

    from dcgan_viz.data.images import to_pixels
    from dcgan_viz.files import free_path
    from dcgan_viz.media.pictures import check_picture, page_shape, save_picture, tile
    from dcgan_viz.model import SAMPLE_BATCH

    channels, height, width = model.image_shape
    check_picture(out or DEFAULT_PICTURE, page_shape((count, height, width, channels)), scale, overwrite or out is None)
    batches = model.latents(count, seed).split(SAMPLE_BATCH)
    page = tile(np.concatenate([to_pixels(model.generate(z)) for z in batches]))
    return save_picture(page, out or free_path(DEFAULT_PICTURE), scale, overwrite)
