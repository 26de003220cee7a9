"""``dcgan-viz arithmetic``."""

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

DEFAULT_OUT = "results/arithmetic"


@click.command(cls=Command, short_help="Add and subtract concepts in the latent space.")
@click.argument("expression")
@model_option
@click.option(
    "--concepts", type=click.Path(path_type=Path), help="Named exemplars, from concepts.  [default: the model's own]"
)
@click.option(
    "--trials", type=click.IntRange(2, 10_000), default=100, show_default=True, help="Repeat with exemplars drawn anew."
)
@click.option(
    "--expect",
    metavar="CLASS",
    multiple=True,
    help="What the result should show, to be measured by a classifier; can be repeated.",
)
@click.option(
    "--classifier", type=click.Path(path_type=Path), help="From train-classifier.  [default: the model's own]"
)
@click.option("--wanted", metavar="CONCEPT", help="The concept that the result should show: the positive control.")
@click.option(
    "--blind", type=click.Path(path_type=Path), help="Write a blind trial for dcgan-viz blind to this folder."
)
@seed_option
@device_option
@out_option(DEFAULT_OUT)
@json_option
def arithmetic(
    expression: str,
    model: str,
    concepts: Path | None,
    trials: int,
    expect: tuple[str, ...],
    classifier: Path | None,
    wanted: str | None,
    blind: Path | None,
    seed: int,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Add and subtract concepts in the latent space, and draw the result.

    Averages three exemplars of each concept and draws the sum amid eight neighbours, as in Figure 7 of the DCGAN paper,
    beside the same arithmetic on pixels and on single exemplars. Names may hold spaces.

    \b
    dcgan-viz arithmetic "smiling woman - neutral woman + neutral man" --model faces
    dcgan-viz arithmetic "smiling woman - neutral woman + neutral man" --model faces --expect man --expect smiling
    dcgan-viz arithmetic "man with glasses - man + woman" --model faces --wanted "woman with glasses" --blind trial
    """
    from dcgan_viz.analysis.latent import arithmetic as analysis
    from dcgan_viz.annotations.concepts import find_concepts
    from dcgan_viz.blind.trials import check_trial_folder, save_trial
    from dcgan_viz.errors import UserError
    from dcgan_viz.figures.latent.arithmetic import arithmetic_figure
    from dcgan_viz.judges.classifier import find_classifier, load_classifier
    from dcgan_viz.model import load
    from dcgan_viz.progress import show

    if classifier is not None and not expect:
        raise UserError("name the class that the result should show with --expect, or leave out --classifier")
    if blind is not None and wanted is None:
        raise UserError(
            "a blind trial needs a positive control: name the concept that the result should show, --wanted"
        )
    check_out(analysis.Arithmetic, out, overwrite, figures=["arithmetic"])
    if blind is not None:
        check_trial_folder(blind, overwrite)
    loaded = load(model, device)
    named = find_concepts(loaded, concepts)
    given = None if classifier is None else load_classifier(classifier, device)
    result = analysis.arithmetic(
        loaded,
        named,
        expression,
        trials=trials,
        wanted=wanted,
        expected={name: given or find_classifier(loaded, name) for name in expect},
        seed=seed,
        progress=show,
    )
    trial = None if blind is None else analysis.blind_trial(result, seed=seed)
    folder = result.save(out_folder(out, DEFAULT_OUT), {"arithmetic": arithmetic_figure(result)}, overwrite=overwrite)
    sentence = result.sentences()
    if trial is not None and blind is not None:
        save_trial(trial, blind, overwrite)
        sentence += f"\nblind trial of {len(trial.pictures)} pictures in {blind}: dcgan-viz blind {blind}"
    finish(result, folder, sentence, as_json)
