from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.blind.answers import Answer, Answers, load_answers, save_answers
from dcgan_viz.blind.report import prepare_trial, save_trial, unblind
from dcgan_viz.blind.trials import load_trial

NAMES = ("as drawn", "window maps zeroed", "random maps zeroed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    pictures = {name: random.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8) for name in NAMES}
    trial = prepare_trial(pictures, "Draw a box around every window", "boxes", settings={"model": "tiny", "seed": 3})
    return save_trial(trial, tmp_path / "trial")


def write_answers(folder: Path, path: Path, pictures: range, contributor: str = "me") -> None:
    """Windows everywhere but where their maps are zeroed."""
    trial = load_trial(folder)
    given: dict[int, Answer] = {i: (((1.0, 1.0, 4.0, 4.0),) if trial.condition[i] != 1 else ()) for i in pictures}
    save_answers(Answers(trial.digest, contributor, given), path)


@pytest.mark.slow
def test_the_report_says_what_was_found(run, folder: Path) -> None:
    write_answers(folder, folder / "answers.json", range(24))
    outcome = run("blind", folder, "--report")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stderr == ""
    assert "Draw a box around every window: 24 of 24 pictures judged (contributor: me)" in outcome.stdout
    assert "as drawn: 100.0 % [67.6, 100.0] of 8, boxes cover 6.2 % of a picture" in outcome.stdout
    assert "window maps zeroed: 0.0 % [0.0, 32.4] of 8, boxes cover 0.0 % of a picture" in outcome.stdout
    assert "window maps zeroed minus as drawn: -100.0 % [-100.0, -35.1] on 8, p = 0.0078" in outcome.stdout
    assert "random maps zeroed minus as drawn: +0.0 % [-32.4, +32.4] on 8, p = 1.0" in outcome.stdout
    assert sorted(file.name for file in Path("results/blind").iterdir()) == [
        "arrays.npz",
        "blind.png",
        "captions.txt",
        "manifest.json",
        "result.json",
    ]
    with Image.open("results/blind/blind.png") as picture:
        assert min(picture.size) > 200


@pytest.mark.slow
def test_json_is_alone_on_standard_output_and_is_the_librarys(run, folder: Path) -> None:
    write_answers(folder, folder / "answers.json", range(10))
    outcome = run("blind", folder, "--report", "--json", "--out", "here")
    numbers = json.loads(outcome.stdout)
    assert numbers.pop("folder") == "here"
    assert numbers == json.loads(Path("here/result.json").read_text())
    trial = load_trial(folder)
    expected = unblind(trial, load_answers(folder / "answers.json", trial)).numbers()
    assert numbers["presences"] == expected["presences"]
    assert "14 of 24 pictures are not judged yet" in outcome.stderr


@pytest.mark.slow
def test_what_is_not_known_yet_is_said(run, folder: Path) -> None:
    write_answers(folder, folder / "answers.json", range(1))
    outcome = run("blind", folder, "--report")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.count("not judged yet") == 2
    assert outcome.stdout.count("no set judged under both yet") == 3
    assert "nan" not in outcome.stdout


@pytest.mark.slow
def test_answers_of_another_program_are_taken(run, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "program.json"
    write_answers(folder, file, range(5), "a program")
    outcome = run("blind", folder, "--answers", file)
    assert outcome.exit_code == 0, outcome.output
    assert "5 of 24 pictures judged" in outcome.stderr
    assert json.loads((folder / "answers.json").read_text()) == json.loads(file.read_text())
    write_answers(folder, file, range(5, 24), "a program")
    outcome = run("blind", folder, "--answers", file, "--report")
    assert "24 of 24 pictures judged (contributor: a program)" in outcome.stdout
    assert sorted(json.loads((folder / "answers.json").read_text())["answers"], key=int) == [str(i) for i in range(24)]


def test_wrong_answers_are_refused_and_change_nothing(refused, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "program.json"
    write_answers(folder, file, range(5))
    data = json.loads(file.read_text())
    for change, sentence in (
        ({"trial": "another"}, "answers another trial"),
        ({"answers": {"2": [[10, 10, 9, 9]]}}, "picture 2: the box [10, 10, 9, 9] does not lie in the 16x16"),
        ({"answers": {"24": []}}, "there are 24 from 0"),
    ):
        file.write_text(json.dumps({**data, **change}))
        assert sentence in refused("blind", folder, "--answers", file)
    assert "names who judged" in refused("blind", folder, "--answers", file, "--contributor", "me")
    assert "cannot be read: No such file" in refused("blind", folder, "--answers", tmp_path / "nothing.json")
    assert not (folder / "answers.json").exists()


def test_the_form_that_a_refusal_shows_is_taken(run, refused, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "plain.json"
    file.write_text('{"0": "unclear"}')
    file.write_text(refused("blind", folder, "--answers", file).split("such as ")[1].strip())
    outcome = run("blind", folder, "--answers", file)
    assert outcome.exit_code == 0, outcome.output
    assert "2 of 24 pictures judged" in outcome.stderr


def test_requests_that_make_no_sense_are_refused(refused, folder: Path, tmp_path: Path) -> None:
    assert "nothing has been judged" in refused("blind", folder, "--report")
    assert "name a folder that holds a blind trial" in refused("blind", tmp_path / "nowhere")
    assert "name a folder that holds a blind trial" in refused("blind", tmp_path, "--report")
    assert "add --report" in refused("blind", folder, "--json")
    write_answers(folder, folder / "answers.json", range(5))
    assert "holds the answers of me" in refused("blind", folder, "--contributor", "somebody else")
    assert not Path("results").exists()
