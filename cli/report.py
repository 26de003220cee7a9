"""``dcgan-viz report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcgan_viz.cli.command import Command, command_line
from dcgan_viz.cli.options import (
    check_out,
    complete_models,
    device_option,
    finish,
    json_option,
    out_folder,
    out_option,
    seed_option,
)

if TYPE_CHECKING:
    from dcgan_viz.report.analyses import Subject

DEFAULT_OUT = "results/report"


@click.command(cls=Command, short_help="Every analysis that fits a model, as one HTML file.")
@click.argument("model", metavar="NAME|FOLDER|FILE.py:FUNCTION", shell_complete=complete_models)
@click.option(
    "--against",
    metavar="NAME|FOLDER|FILE.py:FUNCTION",
    shell_complete=complete_models,
    help="Another model, shown side by side.",
)
@click.option("--images", type=click.Path(path_type=Path), help="Real images to measure the samples against.")
@click.option("--training", type=click.Path(path_type=Path), help="The images that it was trained on.")
@click.option("--author", default="", help="Author, printed under the title.")
@click.option("--fast", is_flag=True, help="Use fewer samples and leave out what takes minutes.")
@seed_option
@device_option
@out_option(DEFAULT_OUT)
@json_option
def report(
    model: str,
    against: str | None,
    images: Path | None,
    training: Path | None,
    author: str,
    fast: bool,
    seed: int,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write up what a model has learned.

    Runs every analysis that fits the model, and writes one self-contained, printable HTML file: figures,
    numbers with intervals, controls, what each analysis does not show, and the commands to repeat it. The numbers
    are also in result.json.

    \b
    dcgan-viz report rooms --fast
    dcgan-viz report runs/mine --images photographs/ --author "A. Student"
    dcgan-viz report rooms --against rooms-memorized --out results/both
    """
    from dcgan_viz.progress import say
    from dcgan_viz.report.model_report import ModelReport, model_report
    from dcgan_viz.words import counted

    check_out(ModelReport, out, overwrite, files=["report.html"])
    names = [model, *([] if against is None else [against])]
    subjects = [_subject(name, images, training, fast, seed, device) for name in names]
    result = model_report(subjects, author=author, command=command_line(), say=say)
    folder = result.save(out_folder(out, DEFAULT_OUT), {}, {"report": result.page}, overwrite)
    parts = [part for both in result.chapters.values() for part in both]
    missing = sum("left out" in part for part in parts)
    made = counted(len(parts) - missing, "analysis")
    less = f"; {missing} left out, and the page says why" if missing else ""
    finish(result, folder, f"{made} of {' and '.join(names)}: open {folder / 'report.html'}{less}", as_json)


def _subject(name: str, images: Path | None, training: Path | None, fast: bool, seed: int, device: str) -> Subject:
    from dcgan_viz.data.images import Images, load_images
    from dcgan_viz.model import load
    from dcgan_viz.progress import show
    from dcgan_viz.report.analyses import Subject

    loaded = load(name, device)
    channels, size, _ = loaded.image_shape

    def read(path: Path | None) -> Images | None:
        return None if path is None else load_images(path, size, channels, progress=show)

    return Subject(
        loaded,
        name,
        images=read(images),
        images_named=str(images or ""),
        training=None if fast else read(training),
        training_named=str(training or ""),
        fast=fast,
        seed=seed,
        progress=show,
    )
