"""``dcgan-viz guided-backprop``."""

from __future__ import annotations

from pathlib import Path

import click

from dcgan_viz.cli.command import Command
from dcgan_viz.cli.options import (
    device_option,
    finish,
    json_option,
    model_option,
    out_option,
    parse_numbers,
    seed_option,
)


@click.command("guided-backprop", cls=Command)
@click.option("--layer", help="Discriminator layer by number or name.  [default: the last]")
@click.option("--maps", default="0-5", show_default=True, help="Feature maps: a list like 0-5,9 or all.")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="A folder or zip of images, or an .npy array.  [default: samples of the model]",
)
@click.option("--count", type=click.IntRange(2), default=512, show_default=True, help="How many images to look at.")
@click.option("--top", type=click.IntRange(1, 16), default=4, show_default=True, help="Images a map to show.")
@click.option(
    "--rule",
    type=click.Choice(["keep", "zero"]),
    default="keep",
    show_default=True,
    help="Below zero, LeakyReLU keeps its slope or passes nothing.",
)
@model_option
@seed_option
@device_option
@out_option("results/guided-backprop")
@json_option
def guided_backprop(
    layer: str | None,
    maps: str,
    images: Path | None,
    count: int,
    top: int,
    rule: str,
    model: str,
    seed: int,
    device: str,
    out: Path,
    as_json: bool,
) -> None:
    """See what excites the discriminator's feature maps.

    For each map: the images that excite it most and the guided gradient of that response (Springenberg et al. 2014),
    beside the same for random filters, as in Figure 5 of the DCGAN paper.

    \b
    dcgan-viz guided-backprop --layer 5
    dcgan-viz guided-backprop --layer 3 --maps 0-7,40 --rule zero
    dcgan-viz guided-backprop --images photographs.zip --maps all --out results/atlas
    """
    from dcgan_viz.analysis import guided_backprop as analysis
    from dcgan_viz.data.images import load_images
    from dcgan_viz.figures.guided_backprop import guided_backprop_figures
    from dcgan_viz.model import load

    loaded = load(model, device)
    if images is None:
        pictures, source = loaded.sample(count, seed), f"samples of the model (seed {seed})"
    else:
        channels, size, _ = loaded.networks.image_shape
        pictures = load_images(images, size, channels, limit=count).tensor(slice(None))
        source = f"images of {images.name}"
    result = analysis.guided_backprop(
        loaded,
        pictures,
        layer=layer,
        maps=parse_numbers(maps, "--maps"),
        top=top,
        rule=rule,  # type: ignore[arg-type]
        seed=seed,
        source=source,
    )
    folder = result.save(out, guided_backprop_figures(result))
    strongest = max(result.responses, key=lambda response: response.value)
    sentence = (
        f"{len(result.maps)} of {result.layer.channels} maps of layer {result.layer.number}, {len(pictures)} {source}; "
        f"map {strongest.map} responds most strongly ({strongest.value:.2f})"
    )
    finish(result, folder, sentence, as_json)
