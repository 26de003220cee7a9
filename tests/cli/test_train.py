"""``dcgan-viz train``: begins, resumes, refuses and stops in plain words."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result

from dcgan_viz.data.images import ImageSet, load_images
from dcgan_viz.locking import only_process
from dcgan_viz.model import load
from dcgan_viz.networks import dcgan
from dcgan_viz.training.checkpoints import checkpoint_path, load_checkpoint, read_state
from dcgan_viz.training.execution import choose_execution
from dcgan_viz.training.step import Adversaries

Run = Callable[..., Result]
TINY = "--size 16 --width 4 --batch-size 8 --precision fp32 --device cpu"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan_viz.training.snapshot.RECALIBRATION_SAMPLES", 16)


@pytest.fixture
def array(tmp_path: Path) -> Path:
    """40 pictures in a file whose path has a space in it."""
    folder = tmp_path / "my pictures"
    folder.mkdir()
    np.save(folder / "noise.npy", np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8))
    return folder / "noise.npy"


def start(run: Run, array: Path, more: str = "--steps 3", out: str = "run") -> Result:
    result = run("train", array, "--out", out, *TINY.split(), *shlex.split(more))
    assert result.exit_code == 0, result.output
    return result


def test_what_auto_decided_is_in_the_run_the_card_and_its_command(run, photographs: Path) -> None:
    line = f"train {photographs} --size 16 --width 4 --batch-size 8 --steps 1 --out run"
    assert run(*line.split()).exit_code == 0
    decided = choose_execution("cpu")
    state = read_state(Path("run/checkpoints/step-00000001.safetensors"))
    assert state.run["execution"] == asdict(decided)
    card = load("run").card
    assert card.training["execution"] == asdict(decided)
    assert f" --device cpu --precision {decided.precision}" in card.commands[0]


def test_images_whose_name_is_no_text_train_a_model_with_features(run: Run, array: Path, tmp_path: Path) -> None:
    odd = array.rename(tmp_path / os.fsdecode(b"noise\xfe.npy"))
    start(run, odd, "--steps 1")
    assert r"noise\udcfe.npy" in load("run").card.commands[0]
    for number in (1, 2):
        assert run("features", "run", odd, "--out", "features.npy", "--shard", f"{number}/2").exit_code == 0
    joined = run("merge", "features.npy")
    assert joined.exit_code == 0, joined.output


def test_photographs_of_any_size_and_mode_train(run, photographs: Path) -> None:
    outcome = run(
        *f"train {photographs} --size 16 --width 4 --batch-size 8 --epochs 1 --precision fp32 --out run --json".split()
    )
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["steps"] == 5
    assert load("run").card.commands == (
        f"dcgan-viz train {photographs} --out {Path('run').absolute()} --size 16 --width 4 --steps 5 --batch-size 8 "
        "--device cpu --precision fp32",
    )
    assert run("sample", "--model", "run", "--count", 4).exit_code == 0


def test_grey_pictures_train_a_grey_model(run, photographs: Path) -> None:
    line = f"train {photographs} --size 16 --width 4 --channels 1 --prior normal --kernel 4 --batch-size 8 --steps 2"
    assert run(*line.split(), "--precision", "bf16", "--out", "run").exit_code == 0
    assert load("run").sample(2).shape == (2, 1, 16, 16)


def test_a_wrong_request_is_one_sentence(run, refused, photographs: Path, tmp_path: Path) -> None:
    def sentence(line: str) -> str:
        return refused(*f"train {line} --size 16 --width 4 --precision fp32 --device cpu".split())

    assert "nowhere does not exist" in sentence("nowhere --out run")
    assert "holds no images" in sentence(f"{empty(tmp_path)} --out run")
    assert "there is no preset 'celeba'" in sentence(f"{photographs} --preset celeba --out run")
    assert "not both" in sentence(f"{photographs} --steps 3 --epochs 2 --out run")
    assert "the number of steps must be a whole number from 1" in sentence(f"{photographs} --steps 0 --out run")
    assert "the batch size must be a whole number from 2" in sentence(
        f"{photographs} --steps 1 --batch-size 1 --out run"
    )
    assert "smaller batches with --batch-size" in sentence(f"{photographs} --steps 1 --out run")
    for rate in ("1e9", "0", "nan"):
        rates = f"{photographs} --steps 1 --out run --learning-rate {rate}"
        assert "the learning rate must be above 0 and at most 1" in sentence(rates)
    assert "cannot fill one batch of 128" in sentence(f"{photographs} --steps 1 --out run")
    assert "ema must be" in sentence(f"{photographs} --ema 1 --out run")
    assert "augmentation 'blur' is not known" in sentence(f"{photographs} --augment blur --out run")
    assert "add --resume" in sentence(f"{photographs} --from-step 3 --out run")
    assert "no checkpoint to resume from" in sentence(f"{photographs} --batch-size 8 --resume --out run")
    assert not Path("run").exists()


def test_there_is_no_cuda_device_here(refused, photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    line = f"train {photographs} --size 16 --width 4 --batch-size 8 --steps 1 --precision fp32 --device cuda --out run"
    assert "there is no device cuda here" in refused(*line.split())


def test_a_truncated_photograph_is_named_before_training(run, refused, photographs: Path) -> None:
    (photographs / "07.png").write_bytes((photographs / "07.png").read_bytes()[:100])
    line = f"train {photographs} --size 16 --width 4 --batch-size 8 --steps 1 --precision fp32 --out run"
    assert "07.png" in refused(*line.split())
    assert not Path("run").exists()
    outcome = run(*line.split(), "--skip-broken")
    assert outcome.exit_code == 0
    assert load("run").card.training["images in the set"] == 39


def empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


# --- The same command gives the same weights ----------------------------------------------------------------------


def test_the_cards_command_can_be_pasted_and_gives_the_same_weights(run: Run, array: Path) -> None:
    start(run, array, "--epochs 1 --flip --name 'my own' --augment color,cutout")
    (line,) = load("run").card.commands
    assert line == (
        f"dcgan-viz train '{array}' --out {Path('run').absolute()} --size 16 --width 4 --steps 5 --batch-size 8 --flip "
        "--augment color,cutout --device cpu --precision fp32 --name 'my own'"
    )
    Path("run").rename("first")
    assert run(*shlex.split(line)[1:]).exit_code == 0
    assert Path("run/model/weights.safetensors").read_bytes() == Path("first/model/weights.safetensors").read_bytes()


def test_under_torchrun_the_command_starts_as_many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    from dcgan_viz.cli.train import launcher

    assert launcher() == ["dcgan-viz", "train"]
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert " ".join(launcher()) == "torchrun --nnodes 2 --nproc-per-node 2 -m dcgan_viz.cli.main train"


# --- A resumed run is the one that was begun ----------------------------------------------------------------------


def test_resume_takes_everything_from_the_run(run: Run, array: Path) -> None:
    more = "--steps 3 --kernel 3 --latent 8 --top-layer --flip --ema 0.9 --name mine --data-note noise --terms free"
    start(run, array, more)
    card = load("run").card
    again = run("train", array, "--out", "run", "--resume", "--epochs", 1)
    assert again.exit_code == 0, again.output
    resumed = load("run").card
    assert (resumed.name, resumed.data, resumed.terms, resumed.networks) == ("mine", "noise", "free", card.networks)
    assert resumed.training["settings"] == {**card.training["settings"], "steps": 5}
    assert resumed.commands == (card.commands[0].replace("--steps 3", "--steps 5"),)
    # What was said at the beginning may be said again.
    assert start(run, array, f"{more} --resume".replace("--steps 3", "--steps 6")).exit_code == 0


def test_resuming_a_finished_run_is_no_error(run: Run, array: Path) -> None:
    start(run, array)
    (checkpoint,) = Path("run/checkpoints").iterdir()
    before = checkpoint.stat().st_mtime_ns
    assert "3 steps done; the model is in" in run("train", array, "--out", "run", "--resume").stdout
    assert checkpoint.stat().st_mtime_ns == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--width 8", "--width 8"),
        ("--kernel 4 --top-layer", "--kernel 4 and --top-layer"),
        ("--discriminator-width 2", "--discriminator-width 2"),
        ("--preset imagenet32", "--preset imagenet32"),
        ("--flip", "--flip"),
        ("--seed 1 --ema 0.5", "--ema 0.5 and --seed 1"),
        ("--augment color,cutout", "--augment color,cutout"),
        ("--batch-size 4", "--batch-size 4"),
        ("--precision bf16", "--precision bf16"),
        ("--start-from bedrooms", "--start-from bedrooms"),
        ("--name 'other one'", "--name 'other one'"),
    ],
)
def test_resume_refuses_by_name_what_contradicts_the_run(
    options: str, named: str, run: Run, refused: Callable[..., str], array: Path
) -> None:
    start(run, array, "--steps 1")
    # Before images are decoded: there are none where this points to.
    sentence = refused("train", "nowhere", "--out", "run", "--resume", *shlex.split(options))
    assert f"leave out {named}, which contradict" in sentence
    assert "the run in run as it was begun" in sentence


def test_other_images_and_fewer_steps_are_refused(run: Run, refused: Callable[..., str], array: Path) -> None:
    start(run, array)
    assert "already holds a run (3 steps): add --resume" in refused("train", array, "--out", "run")
    assert "already done 3 steps" in refused("train", "nowhere", "--out", "run", "--resume", "--steps", 2)
    np.save(array, np.load(array)[:39])
    assert "other images" in refused("train", array, "--out", "run", "--resume", "--steps", 9)


# --- Starting from a trained model --------------------------------------------------------------------------------


@pytest.mark.slow
def test_start_from_takes_the_models_networks(run: Run, refused: Callable[..., str], array: Path) -> None:
    start(run, array, "--kernel 3 --top-layer --latent 8 --name first")
    result = run("train", array, "--start-from", "run", "--steps", 1, "--batch-size", 8, "--out", "tuned")
    assert result.exit_code == 0, result.output
    assert load("tuned").networks == load("run").networks == dcgan(16, width=4, kernel=3, latent_dim=8, top_layer=True)
    assert load("tuned").card.training["started from"] == "first"
    assert f"--start-from {Path('run').absolute()}" in load("tuned").card.commands[0]
    same = run("train", array, "--start-from", "run", "--kernel", 3, "--steps", 1, "--batch-size", 8, "--out", "same")
    assert same.exit_code == 0
    sentence = refused("train", "nowhere", "--start-from", "run", "--kernel", 5, "--width", 8, "--out", "other")
    assert "leave out --width 8 and --kernel 5, which contradict the networks of first" in sentence


# --- Keeping the best ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_monitor_keeps_the_best_and_names_it(run: Run, refused: Callable[..., str], array: Path) -> None:
    from dcgan_viz.judges.encoder import Encoder, EncoderCard
    from dcgan_viz.judges.encoder_network import EncoderNetwork

    torch.manual_seed(0)
    widths = (4, 6, 8)
    Encoder(EncoderNetwork(3, 2, widths).eval(), EncoderCard("tiny", ("a", "b"), widths=widths)).save("encoder")
    done = start(run, array, "--steps 4 --checkpoint-every 1 --monitor encoder --json")
    measured = [json.loads(line)["quality"] for line in Path("run/metrics.jsonl").read_text().splitlines()]
    best = 1 + measured.index(min(measured))
    assert json.loads(done.stdout)["best"] == best
    assert load("run/best").card.training["steps"] == best
    again = run("train", array, "--out", "run", "--resume", "--monitor", "encoder")
    assert f"the best was that of step {best}, in run/best" in again.stdout
    words = f"{TINY} --steps 1 --monitor nowhere".split()
    assert "nowhere holds no whole encoder" in refused("train", "no-images", "--out", "other", *words)


def test_warnings_that_are_not_over_are_told_at_the_end(run: Run, array: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spreads = iter([0.5] * 6 + [0.01, 0.5])
    monkeypatch.setattr("dcgan_viz.training.loop.diversity", lambda _: next(spreads))
    done = start(run, array, "--steps 4 --checkpoint-every 1 --keep 1")
    assert "4 steps done (1 warning not over); the model is in run/model" in done.stdout
    assert sorted(file.name for file in Path("run/checkpoints").iterdir()) == [
        "step-00000002.safetensors", "step-00000004.safetensors",
    ]  # fmt: skip
    (warning,) = json.loads(run("train", array, "--out", "run", "--resume", "--json").stdout)["warnings"]
    assert warning.startswith("step 4: the samples have collapsed")
    assert warning.endswith("the last healthy checkpoint is step 2: --resume with --from-step 2")


# --- Numbers that are none ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option",
    [
        *(f"--{name} {value}" for name in ("r1", "l2", "copying", "learning-rate") for value in ("nan", "inf", "-1")),
        *(f"--{name} {value}" for name in ("beta1", "ema") for value in ("nan", "inf", "-0.1", "1", "1e300")),
        *(f"--epochs {value}" for value in ("nan", "inf", "0", "-1", "1e-9", "1e300")),
        *(f"--steps {value}" for value in ("0", "-1", str(10**30))),
        *(f"--batch-size {value}" for value in ("0", "1", "-8", str(10**30))),
        *(
            f"--{name} {value}"
            for name in ("width", "latent", "discriminator-width")
            for value in ("0", "-1", str(10**9))
        ),
        *(f"--size {value}" for value in ("0", "-16", "17", str(2**70))),
        *(f"--{name} {value}" for name in ("kernel", "channels") for value in ("0", "-3", str(10**30))),
        f"--seed {10**30}",
        "--seed -1",
        "--keep 0",
        "--keep-every -1",
        "--checkpoint-every 0",
        "--from-step 3",
    ],
)
def test_numbers_that_are_none_are_one_sentence(option: str, refused: Callable[..., str], array: Path) -> None:
    defaults = "" if option.startswith("--epochs") or "--steps" in option else "--steps 1"
    words = f"{TINY} {defaults} {option}".split()
    sentence = refused("train", array, "--out", "run", *words)
    assert len(sentence) < 500
    assert not Path("run").exists()


# --- Stopping -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("at", [1, 7], ids=["before the first checkpoint", "after it"])
def test_a_signal_saves_a_checkpoint_and_says_how_to_go_on(
    sent: signal.Signals, code: int, at: int, run: Run, array: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Adversaries.step

    def interrupted(self: Adversaries, real: torch.Tensor, number: int, random: np.random.Generator) -> Any:
        if number == at:
            os.kill(os.getpid(), sent)
        return step(self, real, number, random)

    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    words = ["train", array, "--out", "run", *TINY.split(), "--steps", 9, "--checkpoint-every", 5]
    monkeypatch.setattr(Adversaries, "step", interrupted)
    stopped = run(*words)
    monkeypatch.undo()
    monkeypatch.setattr("dcgan_viz.training.snapshot.RECALIBRATION_SAMPLES", 16)
    monkeypatch.chdir(array.parents[1])
    assert stopped.exit_code == code
    place = checkpoint_path(Path("run/checkpoints"), at + 1)
    assert f"stopped after step {at + 1}; all of it is in {place}; go on with" in stopped.stderr
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before
    (line,) = [line for line in stopped.stderr.splitlines() if line.endswith("--resume")]
    assert run(*shlex.split(line)[1:]).exit_code == 0
    assert run(*words[:3], "whole", *words[4:]).exit_code == 0
    whole, resumed = (load_checkpoint(checkpoint_path(Path(f"{f}/checkpoints"), 9)).tensors for f in ("whole", "run"))
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_ctrl_c_while_images_are_read_says_that_nothing_was_saved(
    run: Run, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dcgan_viz.data.images.load_images", interrupted)
    stopped = run("train", photographs, "--out", "run", *TINY.split())
    assert stopped.exit_code == 130
    assert "no checkpoint was saved yet: start again with the same command" in stopped.stderr
    assert not Path("run").exists()


@pytest.mark.parametrize("more", ["", "--resume", "--dry-run", "--overwrite", "--resume --from-step 2"])
@pytest.mark.parametrize("checkpoint", [False, True], ids=["before the first checkpoint", "after it"])
def test_a_second_process_is_refused_by_its_number_before_images_are_read(
    checkpoint: bool, more: str, run: Run, refused: Callable[..., str], array: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if checkpoint:
        (checkpoint_path(Path("run/checkpoints"), 3)).parent.mkdir(parents=True)
        checkpoint_path(Path("run/checkpoints"), 3).touch()
    monkeypatch.setattr("dcgan_viz.data.images.load_images", lambda *_, **__: pytest.fail("images were read"))
    with only_process(Path("run")):
        sentence = refused("train", array, "--out", "run", *TINY.split(), "--steps", 5, *more.split())
    assert f"process {os.getpid()} is at work in run: wait for it to end, stop it, or choose another folder" in sentence


@pytest.mark.slow
@pytest.mark.parametrize("more", ["", "--resume"])
def test_the_first_process_is_at_work_in_the_folder_while_it_reads_images(
    more: str, run: Run, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if more:
        assert run("train", photographs, "--out", "run", *TINY.split(), "--steps", 2).exit_code == 0
    refusals = []

    def reading(*given: Any, **options: Any) -> ImageSet:
        command = [sys.executable, "-m", "dcgan_viz.cli.main", "train", str(photographs), "--out", "run", *TINY.split()]
        refusals.append(subprocess.run([*command, *more.split()], capture_output=True, text=True))
        return load_images(*given, **options)

    monkeypatch.setattr("dcgan_viz.data.images.load_images", reading)
    assert run("train", photographs, "--out", "run", *TINY.split(), "--steps", 3, *more.split()).exit_code == 0
    (refusal,) = refusals
    assert refusal.returncode == 2
    assert f"process {os.getpid()} is at work in run" in refusal.stderr


def test_a_log_file_gets_no_bar(run: Run, photographs: Path) -> None:
    outcome = run("train", photographs, "--out", "run", *TINY.split(), "--steps", 3)
    assert outcome.exit_code == 0
    assert outcome.stderr == ""
    assert "\r" not in outcome.output
