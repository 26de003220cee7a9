from __future__ import annotations

import os
import shlex
import signal
import time
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from dcgan_viz.cli.command import Command, command_line
from dcgan_viz.cli.main import main
from dcgan_viz.cli.options import device_option, json_option, model_option, overwrite_option, seed_option


@click.command("draw", cls=Command)
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("others", nargs=-1, type=click.Path(path_type=Path))
@click.option("--set", "sets", multiple=True)
@click.option("--flip", is_flag=True)
@click.option("--count", type=int, default=3)
@click.option("--labels", metavar="FILE|utkface")
@click.option("--precision", default="auto")
@click.option("--resume", is_flag=True)
@model_option
@seed_option
@device_option
@overwrite_option
@json_option
def draw(**_: object) -> None:
    click.echo(command_line(leave_out=("resume",), precision="bf16"))


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def invoke(*words: str) -> list[str]:
        outcome = CliRunner().invoke(draw, words)
        assert outcome.exit_code == 0, outcome.output
        assert outcome.stdout.count("\n") == 1
        # As a shell would read it, and run again it is the same.
        found = shlex.split(outcome.stdout)
        assert CliRunner().invoke(draw, found[2:]).stdout == outcome.stdout
        return found

    return invoke


def test_it_names_device_seed_and_what_was_decided_and_full_paths(recorded, tmp_path: Path) -> None:
    assert recorded("my photographs.zip", "--resume", "--json", "--overwrite") == [
        "dcgan-viz", "draw", f"{tmp_path}/my photographs.zip", "--precision", "bf16", "--model", "bedrooms", "--seed",
        "0", "--device", "cpu",
    ]  # fmt: skip


def test_everything_that_was_given_is_there_and_quoted(recorded, tmp_path: Path) -> None:
    words = recorded("a", "b's", "--set", "smiling woman=3", "--set", "$HOME=1", "--flip", "--count", "5")
    assert words[2:4] == [f"{tmp_path}/a", f"{tmp_path}/b's"]
    assert words[4:11] == ["--set", "smiling woman=3", "--set", "$HOME=1", "--flip", "--count", "5"]


def test_names_stay_names_and_what_lies_on_disk_gets_its_full_path(recorded, tmp_path: Path) -> None:
    (tmp_path / "rooms").mkdir()
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "card.json").touch()
    (tmp_path / "labels.csv").touch()
    found = recorded("a", "--model", "rooms", "--labels", "utkface")
    assert {"rooms", "utkface"} < set(found)
    found = recorded("a", "--model", "mine", "--labels", "labels.csv")
    assert {f"{tmp_path}/mine", f"{tmp_path}/labels.csv"} < set(found)


@pytest.mark.slow
def test_figures_are_saved_as_asked_and_without_captions(run, tiny_folder) -> None:
    line = ("directions", "--model", tiny_folder, "--count", 1, "--samples", 1)
    assert run(*line, "--format", "svg", "--format", "pdf", "--out", "asked").exit_code == 0
    assert run(*line, "--out", "usual").exit_code == 0
    assert run(*line, "--plain", "--format", "svg", "--out", "plain").exit_code == 0
    kinds = {name: sorted(f.suffix for f in Path(name).glob("directions.*")) for name in ("asked", "usual")}
    assert kinds == {"asked": [".pdf", ".svg"], "usual": [".png"]}
    # What the figure does not say is written beside it.
    said = Path("plain/captions.txt").read_text()
    assert said.startswith("directions\nModel ")
    assert said == Path("usual/captions.txt").read_text()
    assert run(*line, "--column", "--format", "svg", "--format", "pdf", "--out", "column").exit_code == 0
    assert 'width="237.6pt"' in Path("column/directions.svg").read_text()
    assert b"/Type3" not in Path("column/directions.pdf").read_bytes()
    assert Path("column/captions.txt").exists()
    # Letters are paths in SVG: there are fewer where there is no caption.
    assert len(Path("plain/directions.svg").read_text()) < len(Path("asked/directions.svg").read_text())


@pytest.mark.parametrize("comes_out", [KeyboardInterrupt, SystemError, ImportError, click.Abort])
@pytest.mark.parametrize("goes_on", [True, False])
def test_ctrl_c_is_a_sentence_whatever_comes_out_of_it(comes_out: type[BaseException], goes_on: bool) -> None:
    """C code that is interrupted in the middle of an import raises errors of its own."""

    @click.command("slow", cls=Command, goes_on=goes_on)
    def slow() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            raise comes_out from None

    # Where the tests run in the background of a shell, it is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        outcome = CliRunner().invoke(slow)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert outcome.exit_code == 130
    way_on = ": the same command goes on where it was" if goes_on else ""
    assert outcome.stderr == f"\nstopped by Ctrl-C{way_on}\n"


def test_every_command_takes_json_and_whatever_takes_a_model_knows_it_by_one_option() -> None:
    for name, command in main.commands.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in options, name
        if name not in {"import", "models", "blind", "prepare", "dedup", "faces", "merge", "rooms"} | {
            kind for kind in main.commands if kind.startswith("train")
        }:
            assert "--model" in options, name


@pytest.mark.parametrize("words", [("--model", "MODEL", "--json"), ("--json", "--model=MODEL"), ("MODEL", "--json")])
def test_a_model_is_named_by_place_or_by_option(words: tuple[str, ...], run, tiny_folder) -> None:
    outcome = run("info", *(word.replace("MODEL", str(tiny_folder)) for word in words))
    assert outcome.exit_code == 0, outcome.output
    assert '"name": "tiny"' in outcome.stdout or '"layers"' in outcome.stdout


def test_a_model_that_is_named_twice_or_not_at_all_is_refused(run, tiny_folder) -> None:
    assert "unexpected extra argument" in run("info", tiny_folder, "--model", tiny_folder).output
    assert "requires an argument" in run("info", "--model").output


def test_what_another_command_runs_is_named_as_it_is_typed() -> None:
    said = CliRunner().invoke(main, ["merge", "nowhere/features.npy"]).stderr
    for words in ("prepare SRC OUT.npy", "dedup SRC", "features MODEL DATA"):
        assert f"dcgan-viz {words} --shard 1/8" in said
    assert "`" not in said
    said = CliRunner().invoke(main, ["forget", "--annotations", "nofile.json"]).stderr
    assert said.rstrip().endswith("write them with dcgan-viz annotate")


def test_no_option_is_named_that_a_command_does_not_have(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    said = CliRunner().invoke(main, ["features", str(tiny_folder), str(tmp_path), "--out", "f.npy"]).stderr
    assert said.rstrip().endswith("repair or remove them, or leave them out with --skip-broken")
    said = CliRunner().invoke(main, ["guided-backprop", "--model", str(tiny_folder), "--images", str(tmp_path)]).stderr
    assert said.rstrip().endswith("repair or remove them")


def test_tab_completes_commands_and_their_options() -> None:
    def offered(*words: str) -> set[str]:
        complete = ShellComplete(main, {}, "dcgan-viz", "_DCGAN_VIZ_COMPLETE")
        return {item.value for item in complete.get_completions(list(words[:-1]), words[-1])}

    assert offered("") == main.commands.keys()
    assert offered("tra") == {"train", "train-segmenter", "train-classifier", "train-encoder"}
    for name, command in main.commands.items():
        options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        assert offered(name, "--") == options | {"--help"}
    assert offered("classify", "--protocol", "") == {"cifar10", "svhn-1000"}
    # Of models the bundled ones by name; the shell adds folders.
    for words in (
        ("walk", "--model"),
        ("info",),
        ("report",),
        ("compare",),
        ("train", "--start-from"),
        ("studio", "--model"),
    ):
        assert offered(*words, "ro") == {"rooms", "rooms-memorized", "ro"}
