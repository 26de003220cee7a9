"""Options that several commands share, in the same words everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from dcgan_viz.cli.command import echo

if TYPE_CHECKING:
    from dcgan_viz.results import Result

Function = TypeVar("Function", bound=Callable[..., Any])


def complete_models(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """What Tab offers for a model: the bundled ones, and folders."""
    from dcgan_viz.card import bundled_models

    names = [CompletionItem(name) for name in bundled_models() if name.startswith(begun)]
    return [*names, CompletionItem(begun, type="dir")]


def model_option(function: Function) -> Function:
    """``--model NAME``: which trained pair."""
    return click.option(
        "--model",
        default="bedrooms",
        show_default=True,
        metavar="NAME|FOLDER|FILE.py:FUNCTION",
        shell_complete=complete_models,
        help="A bundled model, a model folder, a training run, or a function of your own file, which is run as your code "
        "and returns dcgan_viz.wrap(generator, discriminator, ...).",
    )(function)


def seed_option(function: Function) -> Function:
    """``--seed N``: what is drawn."""
    return click.option(
        "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all random numbers."
    )(function)


def device_option(function: Function) -> Function:
    """``--device NAME``: where to compute."""
    return click.option("--device", default="cpu", show_default=True, help="Where to compute: cpu, cuda or mps.")(
        function
    )


def json_option(function: Function) -> Function:
    """``--json``: numbers for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON on standard output.")(
        function
    )


def quality_options(function: Function) -> Function:
    """``--samples``, ``--encoder`` and ``--inception``: what the quality of samples is measured on, and in what features."""
    for option in (
        click.option(
            "--inception",
            type=click.Path(path_type=Path),
            help="Weights of torch-fidelity's Inception, to use instead of an encoder.",
        ),
        click.option(
            "--encoder", type=click.Path(path_type=Path), help="An encoder's folder.  [default: the bundled one]"
        ),
        click.option(
            "--samples",
            type=click.IntRange(200),
            default=5000,
            show_default=True,
            help="Maximum number of images of each kind.",
        ),
    ):
        function = option(function)
    return function


def shard_option(function: Function) -> Function:
    """``--shard I/N``: which part of the images."""
    return click.option(
        "--shard",
        "part",
        metavar="I/N",
        help="Do only this part, such as 2/8, on one of several machines; merge joins the parts.",
    )(function)


def keep_list_option(function: Function) -> Function:
    """``--keep-list FILE``: which pictures of a source to use."""
    return click.option(
        "--keep-list",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Use only the images named in this file, as written by dedup.",
    )(function)


def port_option(function: Function) -> Function:
    """``--port NUMBER``: where a page is served."""
    return click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=8765,
        show_default=True,
        help="Port of the page; 0 takes any that is free.",
    )(function)


def overwrite_option(function: Function) -> Function:
    """``--overwrite``: whether what is there may be replaced."""
    return click.option(
        "--overwrite",
        is_flag=True,
        help="Replace an earlier result and any files of the same names, whoever wrote them; what is replaced is reported.",
    )(function)


def out_option(default: str) -> Callable[[Function], Function]:
    """``--out FOLDER`` and ``--overwrite``: where the result goes, and whether it may go there."""

    def add(function: Function) -> Function:
        option = click.option(
            "--out",
            type=click.Path(path_type=Path),
            help=f"Where the result is written.  [default: {default}, or {default}-2 and so on where that exists]",
        )
        return option(overwrite_option(_figure_options(function)))

    return add


def _figure_options(function: Function) -> Function:
    """``--format``, ``--plain`` and ``--column``: as what figures are saved, with their captions, and how wide."""
    kind = click.option(
        "--format",
        "formats",
        type=click.Choice(["png", "svg", "pdf"]),
        multiple=True,
        expose_value=False,
        callback=_choose_formats,
        help="File format of the figures; can be repeated.  [default: png]",
    )
    plain = click.option(
        "--plain", is_flag=True, expose_value=False, callback=_leave_out_captions, help="Figures without captions."
    )
    column = click.option(
        "--column",
        is_flag=True,
        expose_value=False,
        callback=_fit_into_column,
        help="Figures for one column of a paper: 3.3 inches wide, without captions.",
    )
    return kind(plain(column(function)))


def _choose_formats(context: click.Context, _: click.Parameter, formats: tuple[str, ...]) -> None:
    if formats:
        from dcgan_viz.results import figure_formats

        token = figure_formats.set(tuple(dict.fromkeys(formats)))
        context.call_on_close(lambda: figure_formats.reset(token))


def _leave_out_captions(context: click.Context, _: click.Parameter, plain: bool) -> None:
    if plain:
        from dcgan_viz.figures.style import captions_apart

        context.with_resource(captions_apart())


def _fit_into_column(context: click.Context, _: click.Parameter, column: bool) -> None:
    if column:
        from dcgan_viz.figures.style import for_column

        context.with_resource(for_column())


def check_out(
    result: type[Result],
    out: Path | None,
    overwrite: bool,
    *parts: tuple[str, type[Result]],
    figures: Sequence[str] = (),
    files: Sequence[str] = (),
) -> None:
    """Refuse a folder where the result, or one of its parts, would find something in its way.

    A part is a folder whose figure has its name.
    """
    from dcgan_viz.results import figure_formats

    if out is None:
        # A new folder is made.
        return

    def drawn(*names: str) -> list[str]:
        return [f"{name}.{kind}" for name in names for kind in figure_formats.get()]

    result.check_folder(out, overwrite, [*drawn(*figures), *files])
    for name, part in parts:
        part.check_folder(out / name, overwrite, drawn(name))


def out_folder(out: Path | None, default: str) -> Path:
    """The folder that was asked for or, without one, a new one: the default, or that with the next free number."""
    from dcgan_viz.folders import new_folder, remove_empty

    if out is not None:
        return out
    folder = new_folder(Path(default))
    # Nothing is left of it should nothing be written after all.
    click.get_current_context().call_on_close(lambda: remove_empty(folder))
    return folder


def parse_numbers(text: str, option: str, instead: str = "all") -> tuple[int, ...] | None:
    """``0-5,9`` as numbers; None for ``all``, or what an option has instead.

    Raises
    ------
    click.BadParameter
        If it is neither.
    """
    if text == instead:
        return None
    numbers: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers.extend(range(int(first), int(last or first) + 1))
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is not a list of numbers like 0-5,9 or {instead}", param_hint=option
        ) from error
    if not numbers:
        raise click.BadParameter(f"{text!r} names no number", param_hint=option)
    return tuple(dict.fromkeys(numbers))


def parse_zeroed(text: str) -> tuple[str, tuple[int, ...]]:
    """``3:5,17`` as a layer, by number or name, and its maps.

    Raises
    ------
    click.BadParameter
        If it is not like that.
    """
    layer, sign, numbers = text.rpartition(":")
    maps = parse_numbers(numbers, "--zero-maps") if sign else None
    if not layer or maps is None:
        raise click.BadParameter(f"{text!r} is not a layer and its maps, like 3:5,17", param_hint="--zero-maps")
    return layer, maps


def finish(
    result: Result, folder: Path, sentence: str, as_json: bool, parts: Mapping[str, Result] | None = None
) -> None:
    """Say on standard output what came out, with its further parts by name, and where it lies."""
    if as_json:
        further = {name: part.numbers() for name, part in (parts or {}).items()}
        echo(json.dumps({**result.numbers(), **further, "folder": str(folder)}, indent=2))
    else:
        echo(f"{sentence}\nwritten to {folder}")
