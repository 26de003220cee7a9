"""``dcgan-viz turn``."""

from __future__ import annotations

import math
from functools import partial
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
from dcgan_viz.cli.planning import Planned, announce, dry_run_option, rehearse
from dcgan_viz.words import counted

DEFAULT_OUT = "results/turn"


@click.command(cls=Command, short_help="Add a turn vector to new samples.")
@model_option
@click.option(
    "--concepts", type=click.Path(path_type=Path), help="Named exemplars, from concepts.  [default: the model's own]"
)
@click.option("--from", "left", default="looking left", show_default=True, help="The concept at the left end.")
@click.option("--to", "right", default="looking right", show_default=True, help="The concept at the right end.")
@click.option("--rows", type=click.IntRange(1, 100), default=6, show_default=True, help="New samples.")
@click.option(
    "--positions", type=click.IntRange(3, 51), default=9, show_default=True, help="Pictures in each row; an odd number."
)
@click.option(
    "--strength",
    type=float,
    default=1.0,
    show_default=True,
    help="Turn vectors between a sample and either end of its row.",
)
@click.option(
    "--directions",
    type=click.IntRange(39),
    default=999,
    show_default=True,
    help="Random directions to compare the turn with.",
)
@click.option(
    "--blind", type=click.Path(path_type=Path), help="Write a blind trial for dcgan-viz blind to this folder."
)
@dry_run_option
@seed_option
@device_option
@out_option(DEFAULT_OUT)
@json_option
def turn(
    model: str,
    concepts: Path | None,
    left: str,
    right: str,
    rows: int,
    positions: int,
    strength: float,
    directions: int,
    blind: Path | None,
    dry_run: bool,
    seed: int,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Turn new samples from one side to the other.

    Averages four exemplars that look left and four that look right, and adds interpolations of the difference to new
    samples, as in Figure 8 of the DCGAN paper. Any two concepts will do.

    \b
    dcgan-viz turn --model faces
    dcgan-viz turn --model faces --rows 10 --positions 7 --strength 1.5
    dcgan-viz turn --model faces --from "neutral woman" --to "smiling woman" --out results/smile
    """
    from dcgan_viz.analysis.latent import turn as analysis
    from dcgan_viz.annotations.concepts import find_concepts
    from dcgan_viz.blind.trials import check_trial_folder, save_trial
    from dcgan_viz.figures.latent.turn import turn_figure
    from dcgan_viz.model import load
    from dcgan_viz.progress import show

    check_out(analysis.Turn, out, overwrite, figures=["turn"])
    if blind is not None:
        check_trial_folder(blind, overwrite)
    loaded = load(model, device)
    run = partial(
        analysis.turn,
        loaded,
        find_concepts(loaded, concepts),
        left=left,
        right=right,
        rows=rows,
        positions=positions,
        strength=strength,
        directions=directions,
        seed=seed,
    )
    if dry_run:
        _, seconds = rehearse(lambda progress: run(progress=progress), "random directions")
        steps = directions + analysis.RESAMPLES
        announce(
            Planned(
                does=f"turn {counted(rows, 'sample')}, and new samples along {directions} random directions and by "
                f"{analysis.RESAMPLES} other choices of exemplars",
                seconds=steps * seconds,
                measured="some of these directions",
                size=1_000_000 + rows * positions * math.prod(loaded.image_shape),
                place=out or Path(DEFAULT_OUT),
            ),
            as_json,
        )
        return
    result = run(progress=show)
    folder = result.save(out_folder(out, DEFAULT_OUT), {"turn": turn_figure(result)}, overwrite=overwrite)
    sentence = f"{counted(rows, 'sample')} from {left} to {right}\n{result.sentences()}"
    if blind is not None:
        trial = analysis.blind_trial(loaded, result, seed=seed)
        save_trial(trial, blind, overwrite)
        sentence += f"\nblind trial of {len(trial.pictures)} pictures in {blind}: dcgan-viz blind {blind}"
    finish(result, folder, sentence, as_json)
