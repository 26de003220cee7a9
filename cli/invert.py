"""``dcgan-viz invert``."""

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

DEFAULT_OUT = "results/invert"


@click.command(cls=Command, short_help="Find the latents of photographs.")
@click.argument("photographs", metavar="[PHOTO]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--images", type=click.Path(path_type=Path), help="Photographs in a folder, a zip or an .npy array.")
@click.option(
    "--count", type=click.IntRange(1), default=8, show_default=True, help="How many of --images to take, evenly spaced."
)
@click.option(
    "--starts", type=click.IntRange(1, 64), default=4, show_default=True, help="Starting points for each photograph."
)
@click.option("--steps", type=click.IntRange(4), default=120, show_default=True, help="Steps of the optimiser.")
@click.option(
    "--samples",
    type=click.IntRange(64),
    default=2048,
    show_default=True,
    help="Random samples; the nearest ones are the starting points.",
)
@click.option(
    "--own", type=click.IntRange(1), default=8, show_default=True, help="Samples of the model inverted for comparison."
)
@model_option
@seed_option
@device_option
@out_option(DEFAULT_OUT)
@json_option
def invert(
    photographs: tuple[Path, ...],
    images: Path | None,
    count: int,
    starts: int,
    steps: int,
    samples: int,
    own: int,
    model: str,
    seed: int,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Find the latents whose pictures are most like photographs, and say how good they are.

    The model's own samples, whose latents exist, are inverted in the same way: what the search does not find there it
    could not find anywhere, and what it finds only there is beyond the generator. The folder holds latents.npy, which
    walk --points takes.

    \b
    dcgan-viz invert kitchen.jpg bedroom.jpg
    dcgan-viz invert --images photographs/ --count 16 --steps 500 --starts 8
    dcgan-viz walk --points results/invert/latents.npy --closed --film mine.webp
    """
    from dcgan_viz.analysis.latent import inversion
    from dcgan_viz.data.latents import LATENTS_FILE
    from dcgan_viz.data.photographs import load_photographs
    from dcgan_viz.figures.latent.inversion import inversion_figure
    from dcgan_viz.model import load
    from dcgan_viz.progress import show

    sources = [*photographs, *([] if images is None else [images])]
    if not sources:
        raise click.UsageError("name photographs, or give --images")
    check_out(inversion.Inversion, out, overwrite, figures=["inversion"], files=[LATENTS_FILE])
    loaded = load(model, device)
    channels, size, _ = loaded.image_shape
    found = load_photographs(sources, size, channels, limit=count)
    result = inversion.invert(
        loaded,
        found.tensor(slice(None)),
        found.names,
        starts=starts,
        steps=steps,
        samples=samples,
        own=own,
        seed=seed,
        progress=show,
    )
    folder = result.save(out_folder(out, DEFAULT_OUT), {"inversion": inversion_figure(result)}, overwrite=overwrite)
    lines = [
        f"{inverted.name}: {inverted.found.pixels:.1f} grey levels, PSNR {inverted.found.psnr:.1f} dB, "
        f"SSIM {inverted.found.ssim:.2f}, features {inverted.found.features:.2f}"
        for inverted in result.inverted
    ]
    lines += [result.verdict, f"walk --points {folder / LATENTS_FILE} walks between them"]
    finish(result, folder, "\n".join(lines), as_json)
