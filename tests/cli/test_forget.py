from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.analysis.forgetting.ranking_registry import RANKINGS
from dcgan_viz.annotations.boxes import Annotations, Box, save_annotations
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import load


@pytest.fixture
def annotated(tiny_folder: Path) -> Path:
    boxes = tuple(Box(i, "window", 1, 1 + i % 3, 6, 5) for i in range(0, 20, 2))
    digest = load(tiny_folder).generator_digest()
    annotations = Annotations(boxes, ("window",), 20, 11, 16, digest, "a tester", "by hand")
    save_annotations(annotations, tiny_folder / "annotations" / "window.json")
    return tiny_folder


@pytest.mark.slow
def test_forget_writes_a_whole_result(run, annotated: Path) -> None:
    outcome = run("forget", "--model", annotated, "--samples", 6, "--seed", 3, "--out", "result", "--json")
    assert outcome.exit_code == 0, outcome.output
    printed = json.loads(outcome.stdout)
    saved = json.loads(Path("result/result.json").read_text())
    assert printed.pop("folder") == "result"
    assert printed == saved
    assert saved["settings"]["seed"] == 3
    assert "torch" in saved["versions"]
    with np.load("result/arrays.npz") as arrays:
        assert arrays["before"].shape == arrays["after"].shape == (6, 16, 16, 3)
        assert np.array_equal(np.flatnonzero(arrays["weights"][0] > 0), sorted(saved["ablation"]["maps"]))
    with Image.open("result/forget.png") as picture:
        assert min(picture.size) > 200
    first = Path("result/arrays.npz").read_bytes()
    again = run("forget", "--model", annotated, "--samples", 6, "--seed", 3, "--out", "result", "--overwrite")
    assert again.exit_code == 0
    assert "an earlier result was replaced" in again.stderr
    assert Path("result/arrays.npz").read_bytes() == first


def test_wrong_requests_are_one_sentence(refused, annotated: Path) -> None:
    assert "has no boxes of 'door' (it has window)" in refused("forget", "--model", annotated, "--object", "door")
    assert "choose from 1: project" in refused("forget", "--model", annotated, "--layer", 7)
    assert "missing.json cannot be read" in refused("forget", "--model", annotated, "--annotations", "missing.json")
    Path("precious").mkdir()
    Path("precious/result.json").write_text("x")
    assert "precious/result.json was not written by this command" in refused(
        "forget", "--model", annotated, "--out", "precious"
    )
    Path("file").write_text("x")
    assert "is a file" in refused("forget", "--model", annotated, "--out", "file")
    assert "cannot write" in refused("forget", "--model", annotated, "--out", "/proc/nowhere/result")
    assert sorted(p.name for p in Path("precious").iterdir()) == ["result.json"]


def test_a_full_disk_leaves_nothing_behind(refused, annotated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    assert "No space left on device" in refused("forget", "--model", annotated, "--out", "result")
    assert not Path("result").exists()
    assert not [p for p in Path().iterdir() if p.name.startswith(".result")]


@pytest.mark.slow
def test_the_model_that_has_forgotten_is_a_model(run, annotated: Path) -> None:
    line = f"forget --model {annotated} --samples 70 --seed 3 --negatives matched --rank-by causal --save-as edited"
    outcome = run(*line.split())
    assert outcome.exit_code == 0, outcome.output
    assert "the model that has forgotten is in edited" in outcome.stdout
    after = np.load("results/forget/arrays.npz")["after"]
    drawn = load("edited").sample(70, seed=3)
    # Saved as fp16.
    assert np.abs((drawn + 1).mul(127.5).permute(0, 2, 3, 1).numpy() - after).mean() < 1
    assert run("walk", "--model", "edited", "--rows", 1, "--steps", 3).exit_code == 0


@pytest.mark.slow
def test_with_a_segmenter_everything_is_measured(run, annotated: Path, tiny_segmenter: Segmenter) -> None:
    tiny_segmenter.save(annotated / "segmenter")
    outcome = run(
        *f"forget --model {annotated} --layer 1 --samples 6 --dose-response --insertion --maps --blind trial --json".split()
    )
    assert outcome.exit_code == 0, outcome.output
    printed = json.loads(outcome.stdout)
    assert [effect["choice"] for effect in printed["effects"]][:2] == ["chosen maps", "random maps"]
    assert {"dose-response", "insertion", "maps"} <= set(printed)
    best = {dose["ranking"]: dose for dose in printed["dose-response"]["best"]}
    assert set(best) == {*RANKINGS, "random"}
    for name in ("dose-response/dose-response.png", "insertion/insertion.png", "maps/maps.png"):
        assert (Path("results/forget") / name).is_file(), name
    assert json.loads(Path("trial/trial.json").read_text())["count"] == 18
    plain = run("forget", "--model", annotated, "--layer", 1, "--samples", 6, "--where", "object")
    assert plain.exit_code == 0, plain.output
    assert "pixels that are gone, by " in plain.stdout


@pytest.mark.slow
def test_without_boxes_the_segmenter_draws_them(run, refused, tiny_folder: Path, tiny_segmenter: Segmenter) -> None:
    words = f"forget --model {tiny_folder} --layer 1 --samples 2 --object window --object bed"
    assert "has no boxes of 'window'" in refused(*words.split())
    tiny_segmenter.save(tiny_folder / "segmenter")
    outcome = run(*words.split(), "--json")
    assert outcome.exit_code == 0, outcome.output
    printed = json.loads(outcome.stdout)
    assert [found["object"] for found in printed["objects"]] == ["window", "bed"]
    assert printed["settings"]["boxes_by"] == "a segmenter"
    assert "knows no 'door'" in refused("forget", "--model", tiny_folder, "--object", "door")


def test_requests_that_do_not_go_together(refused, annotated: Path) -> None:
    assert "need a segmenter" in refused("forget", "--model", annotated, "--insertion")
    assert "draw without the maps everywhere" in refused(
        "forget", "--model", annotated, "--where", "object", "--save-as", "edited"
    )
    assert "holds no whole segmenter" in refused("forget", "--model", annotated, "--segmenter", annotated)


def test_the_command_offers_every_ranking_that_is_registered() -> None:
    from dcgan_viz.cli.forget import forget

    (option,) = (parameter for parameter in forget.params if parameter.name == "ranking")
    assert list(option.type.choices) == list(RANKINGS)


def test_boxes_around_nothing_are_warned_of(run, annotated: Path) -> None:
    """All boxes lie at one place of every picture, so that those of other images do as well."""
    outcome = run("forget", "--model", annotated, "--samples", 2, "--out", "result")
    assert outcome.exit_code == 0, outcome.output
    assert "warning: the window boxes are found no better" in outcome.stdout
    saved = json.loads(Path("result/result.json").read_text())
    assert {"brightness_auc", "gain", "shuffled_auc"} <= set(saved["objects"][0]["baselines"])
    assert "cross_fitted" in saved["objects"][0]
    assert [control["ratio"]["n"] for control in saved["controls"]] == [200] * len(saved["controls"])
    assert "evidence" not in saved
