from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import dcgan_viz
from dcgan_viz.cli.main import main

# What takes the time: more than a hundred modules each.
SLOW = (
    "torch",
    "numpy",
    "scipy",
    "sklearn",
    "skimage",
    "matplotlib",
    "PIL",
    "starlette",
    "lightning_fabric",
    "tensorboard",
)

ALONE = """
import json, sys
from dcgan_viz.cli.main import main
for line in json.loads(sys.argv[1]):
    main(line, standalone_mode=False)
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def test_help_and_the_list_of_models_need_nothing_slow() -> None:
    lines = [["--help"], *([name, "--help"] for name in main.commands), ["models"], ["models", "--json"]]
    command = [sys.executable, "-c", ALONE, json.dumps(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Commands:" in done.stdout
    assert '"latent_dim": ' in done.stdout
    imported = json.loads(done.stderr)
    assert not {name.partition(".")[0] for name in imported} & set(SLOW)
    assert len(imported) < 600


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_explains_itself_with_an_example(name: str, run) -> None:
    help_text = run(name, "--help").stdout
    assert f"dcgan-viz {name}" in help_text.split("Options:")[0].split("\n", 1)[1]
    for option in main.commands[name].params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.name} has no help"


def test_debug_shows_the_traceback(run) -> None:
    outcome = run("sample", "--model", "nothing", "--debug")
    assert "there is no model nothing" in str(outcome.exception)
    assert type(outcome.exception).__name__ == "UserError"
    assert run("sample", "--model", "nothing").exit_code == 2


def test_a_bug_is_one_sentence_and_a_traceback_in_a_file(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan_viz.model.load", lambda *_: 1 / 0)
    before = sorted(Path().iterdir())
    outcome = run("sample")
    assert outcome.exit_code == 1
    (said,) = outcome.stderr.strip().splitlines()
    found = re.fullmatch(r"Error: unexpected ZeroDivisionError: .*; the traceback is in (\S+), please report it", said)
    assert found is not None
    kept = Path(found.group(1))
    assert "Traceback (most recent call last)" in kept.read_text()
    kept.unlink()
    assert sorted(Path().iterdir()) == before


def test_sentences_of_the_library_speak_of_options(refused, tiny_folder) -> None:
    Path("grid.png").write_text("mine")
    assert "with --overwrite what it holds now would be replaced" in refused(
        "sample", "--model", tiny_folder, "--out", "grid.png"
    )
    assert "choose --device cpu" in refused("sample", "--model", tiny_folder, "--device", "mps")


@pytest.mark.slow
def test_the_library_speaks_of_parameters() -> None:
    """Sentences of the library name no option; a command that is to be typed has its own."""
    package = Path(dcgan_viz.__file__).parent
    wrong = []
    for file in package.rglob("*.py"):
        if file.relative_to(package).parts[0] in ("cli", "trained"):
            continue
        tree = ast.parse(file.read_text())
        skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
            text = " ".join(texts)
            if (
                id(node) not in skipped
                and re.search(r"(?<![\w-])--[a-z]", text)
                and not re.fullmatch(r"--[\w-]+", text)  # a word of a command line
                and not re.search("dcgan-viz|<!", text)
            ):
                wrong.append((file.name, text))
            skipped |= {id(part) for part in parts if part is not node}
    assert not wrong


def test_sample_draws_a_grid(run, tiny_folder) -> None:
    from PIL import Image

    outcome = run("sample", "--model", tiny_folder, "--count", 9, "--scale", 2, "--out", "grid.png")
    assert outcome.exit_code == 0, outcome.output
    with Image.open("grid.png") as grid:
        assert grid.size == ((3 * 18 + 2) * 2,) * 2
    first = Path("grid.png").read_bytes()
    run("sample", "--model", tiny_folder, "--count", 9, "--scale", 2, "--out", "again.png")
    assert Path("again.png").read_bytes() == first


def test_info_numbers_the_layers(run, tiny_folder) -> None:
    import json

    text = run("info", tiny_folder).stdout
    assert "- 1: project z(8), 8 maps of 4x4, ReLU" in text
    assert "- 3: conv 3x3 /1, 8 maps of 4x4, LeakyReLU 0.2" in text
    data = json.loads(run("info", tiny_folder, "--json").stdout)
    assert [layer["number"] for layer in data["layers"]] == [1, 2, 3, 1, 2, 3]
    assert len(data["generator_digest"]) == 64


def test_names_that_the_command_line_repeats_are_the_librarys() -> None:
    """They are written out there so that --help needs no torch."""
    from dcgan_viz.analysis.attribution.methods import METHODS
    from dcgan_viz.cli.guided_backprop import METHOD_NAMES
    from dcgan_viz.cli.train import PRESET_NAMES
    from dcgan_viz.networks import PRESETS

    assert tuple(METHODS) == METHOD_NAMES
    assert tuple(PRESETS) == PRESET_NAMES


def test_what_a_terminal_would_obey_is_made_visible(run, refused, tiny_folder: Path) -> None:
    """A card's text could otherwise clear the screen, set the window's title, or make a name read backwards."""
    card = json.loads((tiny_folder / "card.json").read_text())
    card["name"], card["summary"] = "\x1b[2Jtiny", "\x1b]0;title\x07\u202eylno"
    (tiny_folder / "card.json").write_text(json.dumps(card))
    shown = run("info", tiny_folder).output
    assert "\\x1b[2Jtiny" in shown
    assert "\\u202eylno" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    shown = refused("forget", "--model", tiny_folder, "--object", "door")
    assert "\\x1b[2Jtiny" in shown
    assert "\x1b" not in shown


def test_commands_print_through_what_makes_control_characters_visible() -> None:
    files = sorted((Path(__file__).parents[2] / "cli").glob("*.py"))
    direct = [file.name for file in files if "click.echo(" in file.read_text() and file.name != "command.py"]
    assert not direct, f"{direct}: use dcgan_viz.cli.command.echo"
