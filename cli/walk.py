"""``dcgan-viz walk``."""

from __future__ import annotations

from pathlib import Path

import click

from dcgan_viz.cli.command import Command
from dcgan_viz.cli.options import device_option, finish, json_option, model_option, out_option, seed_option


@click.command(cls=Command, short_help="Walk through the latent space.")
@click.option(
    "--rows", type=click.IntRange(1, 100), default=8, show_default=True, help="Ways from a point to the next."
)
@click.option("--steps", type=click.IntRange(3, 50), default=10, show_default=True, help="Pictures a row.")
@click.option("--closed", is_flag=True, help="Let the last row lead back to the first point.")
@click.option(
    "--film",
    type=click.Path(path_type=Path),
    help="Also write the walk as a film: a .webp, .gif or .mp4 (needs the extra film).",
)
@click.option("--frames", type=click.IntRange(1, 10_000), default=24, show_default=True, help="Of the film, a row.")
@model_option
@seed_option
@device_option
@out_option("results/walk")
@json_option
def walk(
    rows: int,
    steps: int,
    closed: bool,
    film: Path | None,
    frames: int,
    model: str,
    seed: int,
    device: str,
    out: Path,
    as_json: bool,
) -> None:
    """Walk through the latent space from one random point to the next.

    Rows of pictures as in Figure 4 of the DCGAN paper, straight lines for uniform z and arcs for Gaussian z, and the
    change at every step beside the change between unrelated samples.

    \b
    dcgan-viz walk
    dcgan-viz walk --rows 5 --steps 12 --seed 3 --out results/another-walk
    dcgan-viz walk --closed --film walk.webp
    """
    from tqdm import tqdm

    from dcgan_viz.analysis import walks
    from dcgan_viz.figures.walks import walk_figure
    from dcgan_viz.film import check_film, save_film
    from dcgan_viz.model import load

    if film is not None:
        check_film(film)
    loaded = load(model, device)
    result = walks.walk(loaded, rows=rows, steps=steps, closed=closed, seed=seed)
    folder = result.save(out, {"walk": walk_figure(result)})
    interval = result.largest_step_interval
    sentence = (
        f"{rows} rows of {steps} pictures: a step changes {result.changes.mean():.1f} grey levels on average, "
        f"unrelated samples differ by {result.unrelated:.1f}\nthe largest step of a row is {result.largest_step:.2f} "
        f"[{interval.low:.2f}, {interval.high:.2f}] times its mean step"
    )
    if film is not None:
        pictures = walks.walk_frames(loaded, rows=rows, frames=frames, closed=closed, seed=seed)
        total = rows * frames + (not closed)
        save_film(tqdm(pictures, "drawing the film", total, unit="frame"), film)
        sentence += f"\nfilm of {total} frames written to {film}"
    finish(result, folder, sentence, as_json)
