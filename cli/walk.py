"""``dcgan-viz walk``."""

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
from dcgan_viz.words import counted

DEFAULT_OUT = "results/walk"


@click.command(cls=Command, short_help="Walk through the latent space.")
@click.option(
    "--points", type=click.Path(path_type=Path), help="An .npy file of latents to walk through, as invert writes."
)
@click.option("--rows", type=click.IntRange(1, 100), help="Rows, each between two random points.  [default: 8]")
@click.option("--steps", type=click.IntRange(3, 50), default=10, show_default=True, help="Pictures in each row.")
@click.option("--closed", is_flag=True, help="Let the last row lead back to the first point.")
@click.option(
    "--random-walks",
    type=click.IntRange(99),
    default=299,
    show_default=True,
    help="Random walks that the rows are compared with, at most: 99, and more while a row leads these.",
)
@click.option(
    "--film",
    type=click.Path(path_type=Path),
    help="Also write the walk as a film: a .webp, .gif or .mp4 (needs the extra film).",
)
@click.option(
    "--frames", type=click.IntRange(1, 10_000), default=24, show_default=True, help="Frames of the film, per row."
)
@model_option
@seed_option
@device_option
@out_option(DEFAULT_OUT)
@json_option
def walk(
    points: Path | None,
    rows: int | None,
    steps: int,
    closed: bool,
    random_walks: int,
    film: Path | None,
    frames: int,
    model: str,
    seed: int,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Walk through the latent space from one point to the next.

    Rows of pictures as in Figure 4 of the DCGAN paper, straight lines for uniform z and arcs for Gaussian z. Beneath
    each row is the length of every step in three measures, within the range of random walks; a row that jumps more
    than 99 in 100 of them is flagged. The model's perceptual path length is measured too.

    \b
    dcgan-viz walk
    dcgan-viz walk --rows 5 --steps 12 --seed 3 --out results/another-walk
    dcgan-viz walk --closed --film walk.webp
    dcgan-viz invert a.jpg b.jpg && dcgan-viz walk --points results/invert/latents.npy
    """
    from dcgan_viz.analysis.latent import walks
    from dcgan_viz.data.latents import load_latents
    from dcgan_viz.figures.latent.walks import walk_figure
    from dcgan_viz.media.film import check_film, save_film
    from dcgan_viz.model import load
    from dcgan_viz.progress import Stage, show

    if points is not None and rows is not None:
        raise click.UsageError("--points decides how many rows there are: leave out --rows")
    if film is not None:
        check_film(film, overwrite)
    check_out(walks.Walk, out, overwrite, figures=["walk"])
    loaded = load(model, device)
    places = None if points is None else load_latents(points, loaded.latent_dim)
    rows = rows or 8
    result = walks.walk(
        loaded,
        places,
        rows=rows,
        steps=steps,
        closed=closed,
        seed=seed,
        random_walks=random_walks,
        source="given points" if points is None else f"points of {points.name}",
        progress=show,
    )
    folder = result.save(out_folder(out, DEFAULT_OUT), {"walk": walk_figure(result)}, overwrite=overwrite)
    sentence = f"{counted(len(result.rows), 'row')} of {steps} pictures; {result.sentences()}"
    if film is not None:
        pictures = walks.walk_frames(loaded, places, rows=rows, frames=frames, closed=closed, seed=seed)
        total = len(result.rows) * frames + (not closed)
        save_film(show(pictures, Stage("drawing the film", total, "frame")), film, overwrite=overwrite)
        sentence += f"\nfilm of {counted(total, 'frame')} written to {film}"
    finish(result, folder, sentence, as_json)
