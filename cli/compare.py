"""``dcgan-viz compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcgan_viz.cli.command import Command
from dcgan_viz.cli.options import (
    check_out,
    complete_models,
    device_option,
    finish,
    json_option,
    out_folder,
    out_option,
    quality_options,
    seed_option,
)
from dcgan_viz.words import images_in

if TYPE_CHECKING:
    from dcgan_viz.analysis.quality.comparison import Comparison
    from dcgan_viz.model import DCGAN

DEFAULT_OUT = "results/compare"


@click.command(cls=Command, short_help="Show models or checkpoints side by side.")
@click.argument("models", nargs=-1, required=True, metavar="MODEL MODEL ...", shell_complete=complete_models)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Real images: any source that train takes. Not needed where one is a model of procedural rooms.",
)
@quality_options
@seed_option
@device_option
@out_option(DEFAULT_OUT)
@json_option
def compare(
    models: tuple[str, ...],
    data: Path | None,
    samples: int,
    encoder: Path | None,
    inception: Path | None,
    seed: int,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Show models or checkpoints side by side: what each draws from the same latents, and its kernel distance.

    A MODEL is a bundled model, a model folder, a training run, a function FILE.py:FUNCTION, or a checkpoint of a run.
    All are measured against the same real images, and the difference from the first has its own, paired interval.

    \b
    dcgan-viz compare rooms rooms-memorized
    dcgan-viz compare runs/a runs/b --data photographs/
    dcgan-viz compare runs/a/checkpoints/step-0000{1,2}000.safetensors --data photographs/
    """
    from dcgan_viz.analysis.quality.comparison import Comparison
    from dcgan_viz.analysis.quality.comparison import compare as run
    from dcgan_viz.data.images import load_images
    from dcgan_viz.errors import UserError
    from dcgan_viz.figures.quality.comparison import comparison_figure
    from dcgan_viz.judges.encoder import load_encoder
    from dcgan_viz.judges.inception import load_inception
    from dcgan_viz.progress import show
    from dcgan_viz.rooms.training_sets import has_training_images, held_out_images

    if len(models) < 2:
        raise UserError(f"{models[0]} alone cannot be compared: name two models or more")
    if encoder is not None and inception is not None:
        raise UserError("give --encoder or --inception, not both: samples are measured in one of them")
    check_out(Comparison, out, overwrite, figures=["compare"])
    loaded = [_load(name, device) for name in models]
    channels, size, _ = loaded[0].image_shape
    of_rooms = next((model for model in loaded if has_training_images(model)), None)
    if data is not None:
        images = load_images(data, size, channels, progress=show)
        source = f"the {images_in(data)}"
    elif of_rooms is not None:
        images = held_out_images(of_rooms, 2 * samples, show)
        source = f"procedural rooms that {of_rooms.card.name} was not trained on"
    else:
        raise UserError("samples are measured against real images, and none come with these models: give --data")
    names = [model.card.name for model in loaded]
    result = run(
        loaded,
        images,
        load_encoder(encoder, device) if inception is None else load_inception(inception, device),
        samples=samples,
        seed=seed,
        source=source,
        # Two of one name are told apart by what was typed.
        names=[typed if names.count(name) > 1 else name for name, typed in zip(names, models, strict=True)],
        progress=show,
    )
    folder = result.save(out_folder(out, DEFAULT_OUT), {"compare": comparison_figure(result)}, overwrite=overwrite)
    finish(result, folder, _sentences(result), as_json)


def _load(name: str, device: str) -> DCGAN:
    from dcgan_viz.model import load
    from dcgan_viz.training.snapshot import checkpoint_model

    return checkpoint_model(Path(name), device) if name.endswith(".safetensors") else load(name, device)


def _sentences(result: Comparison) -> str:
    lines = [
        f"kernel distances (thousandths) of {result.settings['images_of_each']} samples from as many of "
        f"{result.settings['source']}; other real images {result.floor:.2f}:"
    ]
    for entry in result.models:
        than = "" if entry.farther is None else f"; {entry.farther:+.2f} against {result.models[0].model}"
        lines.append(f"{entry.model} {entry.kernel:.2f}{than}")
    return "\n".join(lines)
