"""``dcgan-viz blind``."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcgan_viz.cli.command import Command, echo
from dcgan_viz.cli.options import check_out, finish, json_option, out_folder, out_option, port_option

if TYPE_CHECKING:
    from dcgan_viz.blind.report import BlindResult, Difference


DEFAULT_OUT = "results/blind"


@click.command(cls=Command, short_help="Judge pictures without knowing how they were drawn.")
@click.argument("trial", type=click.Path(path_type=Path))
@click.option("--report", is_flag=True, help="Say what was found, instead of going on judging.")
@click.option(
    "--answers", type=click.Path(path_type=Path), help="Add the answers in this JSON file, instead of asking for them."
)
@click.option("--contributor", help="Who judges; written into the answers.  [default: not stated]")
@port_option
@out_option(DEFAULT_OUT)
@json_option
def blind(
    trial: Path,
    report: bool,
    answers: Path | None,
    contributor: str | None,
    port: int,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Judge pictures in the browser without knowing how they were drawn, then compare.

    TRIAL is a folder that forget --blind or arithmetic --blind made: shuffled pictures of several conditions, and a
    key that stays closed. The page on this machine shows them one by one, saves every answer at once and goes on where
    it stopped. The report opens the key and says how often each condition shows what was asked for.

    \b
    dcgan-viz blind trials/window
    dcgan-viz blind trials/window --report --out results/window-blind
    dcgan-viz blind trials/window --answers answers.json
    """
    from dcgan_viz.blind.answers import add_answers, open_answers
    from dcgan_viz.blind.trials import ANSWERS_FILE, load_sheet, load_trial
    from dcgan_viz.errors import UserError

    if as_json and not report and answers is None:
        raise UserError("there are no numbers to print before the report: add --report, or leave out --json")
    if contributor is not None and (report or answers is not None):
        raise UserError("--contributor is for judging on the page: the answers' file names who judged, leave it out")
    path = trial / ANSWERS_FILE
    if answers is not None:
        sheet = load_sheet(trial)
        judged = len(add_answers(answers, path, sheet).given)
        echo(f"{judged} of {len(sheet.pictures)} pictures judged", err=True)
        if as_json and not report:
            echo(json.dumps({"answers": str(path), "judged": judged, "pictures": len(sheet.pictures)}))
    if report:
        from dcgan_viz.blind.report import BlindResult, unblind
        from dcgan_viz.figures.blind import blind_figure

        check_out(BlindResult, out, overwrite, figures=["blind"])
        loaded = load_trial(trial)
        result = unblind(loaded, open_answers(path, loaded))
        if result.missing:
            echo(
                f"{result.missing} of {len(loaded.pictures)} pictures are not judged yet; the report shows how some "
                "were drawn, so whoever has seen it judges no longer blind",
                err=True,
            )
        folder = result.save(out_folder(out, DEFAULT_OUT), {"blind": blind_figure(result)}, overwrite=overwrite)
        finish(result, folder, _sentence(result), as_json)
    elif answers is None:
        _ask(trial, contributor, port)


def _ask(trial: Path, contributor: str | None, port: int) -> None:
    from dcgan_viz.studio.blind import serve_blind

    def ready(address: str, judged: int, count: int) -> None:
        echo(f"{judged} of {count} pictures judged; open {address} (Ctrl-C ends)", err=True)

    # Ctrl-C is how the page is closed.
    with suppress(KeyboardInterrupt):
        serve_blind(trial, contributor=contributor, port=port, ready=ready)
    echo(f"answers in {trial}: dcgan-viz blind {trial} --report")


def _sentence(result: BlindResult) -> str:
    from dcgan_viz.statistics import probability

    lines = [
        f"{result.question}: {result.judged} of {len(result.pictures)} pictures judged (contributor: {result.contributor})",
        "it is there (95 % Wilson intervals):",
    ]
    for presence in result.presences:
        clear = presence.judged - presence.unclear
        found = f"{presence.share:.1%} of {clear}" if clear else "not judged yet"
        unclear = f", {presence.unclear} unclear" if presence.unclear else ""
        area = (
            f", boxes cover {100 * presence.area.value:.1f} % of a picture"
            if clear and presence.area is not None
            else ""
        )
        lines.append(f"  {presence.condition}: {found}{unclear}{area}")
    lines.append("difference between matched pictures (95 % score intervals, McNemar's exact test):")
    for change in result.differences:
        found = (
            f"{change.share:+.1%} on {change.pairs}, {probability(change.p_value)}{_with_unclear(change)}"
            if change.pairs
            else "no set judged under both yet"
        )
        lines.append(f"  {change.condition} minus {change.reference}: {found}")
    lines.append(result.guesser.sentence)
    return "\n".join(lines)


def _with_unclear(change: Difference) -> str:
    if not change.unclear:
        return ""
    from dcgan_viz.statistics import probability

    return (
        f"; {change.unclear} unclear, counted as not there {change.with_unclear:+.1%} on {change.with_unclear.n}, "
        f"{probability(change.p_with_unclear)}"
    )
