"""``dcgan-viz concepts``."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import json_option, model_option, overwrite_option, port_option

if TYPE_CHECKING:
    from dcgan_viz.annotations.concepts import Concepts
    from dcgan_viz.model import DCGAN


@click.command(cls=Command, short_help="Pick samples that show a concept, in the browser.")
@model_option
@click.option(
    "--out", type=click.Path(path_type=Path), help="The file to write.  [default: concepts.json in the model's folder]"
)
@click.option("--count", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Samples to look at.")
@click.option(
    "--seed", type=click.IntRange(0), default=2015, show_default=True, help="Seed of the samples, in a new file."
)
@click.option("--contributor", default="not stated", show_default=True, help="Who picks; written into a new file.")
@click.option(
    "--set", "given", multiple=True, metavar="NAME=NUMBERS", help="Name samples by number, instead of opening the page."
)
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    help="Draw the samples with their numbers to a PNG, instead of the page.",
)
@port_option
@overwrite_option
@json_option
def concepts(
    model: str,
    out: Path | None,
    count: int,
    seed: int,
    contributor: str,
    given: tuple[str, ...],
    sheet: Path | None,
    port: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Pick the samples of a model that show a concept, such as "smiling woman".

    Opens a page on this machine with many samples; a click puts one into a concept, and every click is saved at once.
    arithmetic and turn take these concepts. Without a browser: --sheet draws the samples with their numbers, a hundred
    a page, and --set names some of them.

    \b
    dcgan-viz concepts --model runs/mine
    dcgan-viz concepts --model runs/mine --count 400 --sheet samples.png
    dcgan-viz concepts --model runs/mine --set "smiling woman=3,17,42" --set "woman=5,8,13"
    """
    from dcgan_viz.annotations.concepts import CONCEPTS_FILE, open_concepts
    from dcgan_viz.locking import one_at_a_time
    from dcgan_viz.model import load
    from dcgan_viz.studio.concepts import METHOD

    loaded = load(model)
    if out is None and loaded.folder is None:
        raise click.UsageError("live modules have no folder in which concepts could lie: give --out FILE.json")
    path = out or cast(Path, loaded.folder) / CONCEPTS_FILE
    method = "named by number, from a sheet of enlarged samples" if given else METHOD

    def current() -> Concepts:
        return open_concepts(loaded, path, count=count, seed=seed, contributor=contributor, method=method)

    sheets = [] if sheet is None else _draw_sheets(loaded, current(), sheet, overwrite)
    if not as_json:
        for file in sheets:
            echo(f"samples of {model} (seed {current().seed}) with their numbers written to {file}")
    if given:
        named = _parse(given)
        # A page of the same file may be open.
        with one_at_a_time(path):
            _name(current(), named, path)
    elif sheet is None:
        _serve(loaded, current(), path, port)
    if as_json:
        found = {name: list(numbers) for name, numbers in current().exemplars.items()}
        echo(json.dumps({"path": str(path), "concepts": found, "sheets": [str(file) for file in sheets]}))
    elif given:
        listing = ", ".join(f"{name} ({len(numbers)})" for name, numbers in current().exemplars.items())
        echo(f"{listing}\nwritten to {path}")
    elif sheet is None:
        echo(f"concepts in {path}")


def _serve(model: DCGAN, current: Concepts, path: Path, port: int) -> None:
    from dcgan_viz.studio.concepts import serve_concepts

    def ready(address: str) -> None:
        echo(f"{len(current.exemplars)} concepts so far; open {address} (Ctrl-C ends)", err=True)

    # Ctrl-C is how the page is closed.
    with suppress(KeyboardInterrupt):
        serve_concepts(model, current, path, port=port, ready=ready)


def _parse(given: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """What --set names."""
    from dcgan_viz.annotations.concepts import check_name
    from dcgan_viz.cli.options import parse_numbers

    named: dict[str, tuple[int, ...]] = {}
    for text in given:
        name, sign, numbers = text.rpartition("=")
        found = parse_numbers(numbers, "--set") if sign else None
        if found is None:
            raise click.BadParameter(f"{text!r} is not like 'smiling woman=3,17,42'", param_hint="--set")
        named[check_name(name)] = found
    return named


def _name(current: Concepts, named: dict[str, tuple[int, ...]], path: Path) -> None:
    from dataclasses import replace

    from dcgan_viz.annotations.concepts import check_exemplars, save_concepts

    changed = replace(current, exemplars=check_exemplars({**current.exemplars, **named}, current.count))
    save_concepts(changed, path)


def _draw_sheets(model: DCGAN, current: Concepts, path: Path, overwrite: bool) -> list[Path]:
    from dcgan_viz.data.images import to_pixels
    from dcgan_viz.media.pictures import SHEET_PICTURES, check_picture, numbered_sheets, save_picture

    sheets = -(-current.count // SHEET_PICTURES)
    files = [path] if sheets == 1 else [path.with_stem(f"{path.stem}-{n}") for n in range(1, sheets + 1)]
    for file in files:
        check_picture(file, overwrite=overwrite)
    pages = numbered_sheets(to_pixels(model.sample(current.count, current.seed)))
    return [save_picture(page, file, overwrite=overwrite) for page, file in zip(pages, files, strict=True)]
