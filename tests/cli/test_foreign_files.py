"""Every command that writes, in a folder with files of somebody else's: whatever it does, these stay as they are."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from skimage.data import astronaut

from dcgan_viz.annotations.boxes import Annotations, Box, save_annotations
from dcgan_viz.annotations.concepts import Concepts, save_concepts
from dcgan_viz.blind.answers import Answers, save_answers
from dcgan_viz.blind.trials import prepare_trial, save_trial
from dcgan_viz.cli.main import main
from dcgan_viz.data.images import to_pixels
from dcgan_viz.data.parts import Part
from dcgan_viz.data.prepare import prepare
from dcgan_viz.folders import MANIFEST_FILE
from dcgan_viz.judges.encoder import Encoder, EncoderCard
from dcgan_viz.judges.encoder_network import EncoderNetwork
from dcgan_viz.judges.encoder_training import train_encoder
from dcgan_viz.judges.segmenter import Segmenter
from dcgan_viz.model import DCGAN, load
from dcgan_viz.networks import dcgan
from dcgan_viz.rooms.drawing import save_rooms

RESULT = ("result.json", "arrays.npz", MANIFEST_FILE)
MODEL = ("model/card.json", "model/README.md", "model/weights.safetensors")

TRAIN = "train {w}/pictures --size 16 --width 4 --batch-size 8 --precision fp32 --device cpu --out {p}"

# What is typed, with {w} for what is read and {p} for the folder that is written into; and some of what is written.
COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "sample": ("sample --count 4 --model {w}/model --out {p}/holiday.png", ("holiday.png",)),
    "sample --each": ("sample --each --count 4 --model {w}/model --out {p}", ("sample-0003.png", "samples.json")),
    "forget": (
        "forget --model {w}/model --samples 4 --maps --out {p} --blind {p}/trial --save-as {p}/model",
        (
            *RESULT,
            "forget.png",
            "maps/maps.png",
            "trial/pictures/00000.png",
            "trial/trial.json",
            "trial/answers.json",
            *MODEL,
        ),
    ),
    "annotate --auto": (
        "annotate --auto --object window --count 4 --model {w}/model --out {p}/boxes.json",
        ("boxes.json",),
    ),
    "annotate --export-samples": (
        "annotate --object window --count 4 --model {w}/model --export-samples {p}/samples",
        ("samples/labels.txt",),
    ),
    "blind --answers": ("blind {p}/kept/trial --answers {w}/answers.json", ("kept/trial/answers.json",)),
    "blind --report": ("blind {w}/trial --report --out {p}", RESULT),
    "guided-backprop": (
        "guided-backprop --model {w}/model --layer 1 --maps 0 --count 4 --top 1 --object window --sanity "
        "--method gradient --out {p}",
        (*RESULT, "atlas.html", "detection/result.json", "sanity/sanity.png", "methods/manifest.json"),
    ),
    "walk": (
        "walk --model {w}/model --rows 1 --steps 3 --random-walks 99 --frames 2 --film {p}/walk.gif --out {p}",
        (*RESULT, "walk.gif", "walk.png"),
    ),
    "concepts --set": ("concepts --model {w}/model --set new=1,2 --out {p}/concepts.json", ("concepts.json",)),
    "concepts --sheet": (
        "concepts --model {w}/model --count 101 --sheet {p}/sheet.png --out {p}/none.json",
        ("sheet-1.png", "sheet-2.png"),
    ),
    "arithmetic": (
        "arithmetic left-right --model {w}/model --trials 2 --wanted left --blind {p}/trial --out {p}",
        (*RESULT, "trial/key.json"),
    ),
    "turn": ("turn --model {w}/model --from left --to right --rows 1 --positions 3 --directions 39 --out {p}", RESULT),
    "directions": ("directions --model {w}/model --count 1 --samples 1 --out {p}", RESULT),
    "invert": (
        "invert {w}/pictures/a/0.png --model {w}/model --starts 1 --steps 4 --samples 64 --own 1 --out {p}",
        (*RESULT, "latents.npy"),
    ),
    "memorization": ("memorization --model {w}/model --data {w}/pictures.npy --samples 100 --out {p}", RESULT),
    "evaluate": (
        "evaluate --model {w}/model --data {w}/pictures.npy --encoder {w}/encoder --samples 200 --out {p}",
        RESULT,
    ),
    "compare": (
        "compare {w}/model {w}/model --data {w}/pictures.npy --encoder {w}/encoder --samples 200 --out {p}",
        RESULT,
    ),
    "classify": (
        "classify {w}/model {w}/labelled --baseline pixels --curve none --out {p}",
        (*RESULT, "classify.png", "looks.png"),
    ),
    "features": ("features {w}/model {w}/pictures --out {p}/features.npy", ("features.npy", "features.json")),
    "prepare": (
        "prepare {w}/pictures {p}/all.npy --size 16 --workers 1",
        ("all.npy", "all.json", "all.names.jsonl"),
    ),
    "dedup": ("dedup {w}/pictures --radius 0 --workers 1 --out {p}", (*RESULT, "keep.jsonl", "crops.npy")),
    "merge": ("merge {p}/kept/joined.npy", ("kept/joined.npy", "kept/joined.json", "kept/joined.names.jsonl")),
    "faces": ("faces {w}/people {p} --least 48 --without-eyes", ("annotations.json", "skipped.jsonl", MANIFEST_FILE)),
    "rooms": ("rooms 2 --size 32 --out {p}", ("annotations.json", "images/room-000001.png", "masks/room-000000.png")),
    "train": (f"{TRAIN} --steps 1", (*MODEL, "metrics.jsonl", "samples/step-00000001.png")),
    "train-segmenter": (
        "train-segmenter {w}/rooms --held-out 1 --steps 10 --out {p}",
        ("segmenter.json", "weights.safetensors"),
    ),
    "train-classifier": (
        "train-classifier {w}/pictures --size 16 --epochs 1 --out {p}",
        ("classifier.json", "weights.safetensors"),
    ),
    "train-encoder": ("train-encoder {w}/labelled --epochs 1 --out {p}", ("encoder.json", "weights.safetensors")),
    "report": ("report {w}/model --fast --out {p}", (*RESULT, "report.html")),
    "export --pytorch": ("export {w}/model --pytorch {p}", ("netG.pth", "networks.py", MANIFEST_FILE)),
    "export --onnx": ("export {w}/model --onnx {p}", ("generator.onnx", MANIFEST_FILE)),
    "export --program": ("export {w}/model --program {p}", ("generator.pt2", MANIFEST_FILE)),
    "import": (
        "import {w}/G.pth {w}/D.pth --prior normal --activation relu --out {p}",
        ("card.json", "README.md", "weights.safetensors", MANIFEST_FILE),
    ),
}
NEIGHBOURS = (
    "notes.txt",
    "thesis.tex",
    ".hidden",
    "images/a.jpg",
    "masks/a.png",
    "annotations/window.json",
    "segmenter/weights.safetensors",
    "classifiers/mine/classifier.json",
    "detection/notes.txt",
    "runs/notes.txt",
    "samples.zip",
    "kept/notes.txt",
)


@pytest.fixture(scope="module")
def workspace(
    tmp_path_factory: pytest.TempPathFactory, tiny_segmenter: Segmenter, make_model: Callable[..., DCGAN]
) -> Path:
    """All that the commands read."""
    place = tmp_path_factory.mktemp("workspace")
    model = make_model(dcgan(16, width=4, latent_dim=8, top_layer=True))
    model.save(place / "model")
    np.save(place / "pictures.npy", to_pixels(model.sample(400, seed=1)))
    tiny_segmenter.save(place / "model" / "segmenter")
    digest = load(place / "model").generator_digest()
    boxes = tuple(Box(i, "window", 1, 1 + i % 3, 6, 5) for i in range(0, 20, 2))
    save_annotations(
        Annotations(boxes, ("window",), 20, 11, 16, digest, "a tester", "by hand"),
        place / "model" / "annotations" / "window.json",
    )
    named = {"left": (1, 2, 3, 4), "right": (5, 6, 7, 8)}
    save_concepts(Concepts(1, 20, digest, "a tester", "by hand", named), place / "model" / "concepts.json")
    random = np.random.default_rng(0)
    for index in range(216):
        label, part = "ab"[index % 2], "test" if index % 24 < 2 else "train"
        pixels = random.integers(0, 128, (16, 16, 3), dtype=np.uint8) + np.uint8(128 * (index % 2))
        for folder in (f"pictures/{label}", f"labelled/{part}/{label}"):
            (place / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / folder / f"{index}.png")
    for number in (1, 2):
        prepare(place / "pictures", place / "parts" / "joined.npy", 16, part=Part(number, 2), workers=1)
    (place / "people").mkdir()
    Image.fromarray(astronaut()).save(place / "people" / "astronaut.png")
    save_rooms(66, place / "rooms", 32)
    drawn = {name: random.integers(0, 255, (2, 8, 8, 3), dtype=np.uint8) for name in ("as drawn", "edited")}
    trial = prepare_trial(drawn, "Is it there?", "yes-no")
    save_trial(trial, place / "trial")
    answers = Answers(trial.digest, "a tester", {0: "yes", 1: "no", 2: "yes", 3: "no"})
    save_answers(answers, place / "answers.json")
    save_answers(answers, place / "trial" / "answers.json")
    torch.manual_seed(0)
    Encoder(EncoderNetwork(3, 2, (4, 6, 8)), EncoderCard("tiny", ("a", "b"), widths=(4, 6, 8))).save(place / "encoder")
    save_theirs(place)
    return place


def save_theirs(place: Path) -> None:
    """State dicts of PyTorch's tutorial, for 16x16 images."""
    from torch import nn

    generator = nn.Sequential(
        nn.ConvTranspose2d(8, 8, 4, 1, 0, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.ConvTranspose2d(8, 4, 4, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.ConvTranspose2d(4, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Conv2d(3, 4, 4, 2, 1, bias=False), nn.LeakyReLU(0.2),
        nn.Conv2d(4, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.LeakyReLU(0.2),
        nn.Conv2d(8, 1, 4, 1, 0, bias=False),
    )  # fmt: skip
    # Their statistics are what they drew and saw, as after training.
    with torch.no_grad():
        for _ in range(60):
            discriminator(generator(torch.randn(64, 8, 1, 1)))
    torch.save(generator.state_dict(), place / "G.pth")
    torch.save(discriminator.state_dict(), place / "D.pth")


def put(place: Path, names: tuple[str, ...]) -> None:
    """Files of somebody else's, of last year."""
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"precious {name}")
        os.utime(place / name, (1.7e9, 1.7e9))


def snapshot(place: Path, names: tuple[str, ...]) -> dict[str, tuple[bytes, int]]:
    return {name: ((place / name).read_bytes(), (place / name).stat().st_mtime_ns) for name in names}


@pytest.fixture
def typed(workspace: Path, little: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Runs one of the commands in an empty folder, of which it writes into `place`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(train_encoder.__kwdefaults__, "widths", (4, 6, 8))
    shutil.copytree(workspace / "trial", tmp_path / "place" / "kept" / "trial")
    (tmp_path / "place" / "kept" / "trial" / "answers.json").unlink()
    for part in (workspace / "parts").iterdir():
        shutil.copy(part, tmp_path / "place" / "kept")

    def invoke(command: str, *further: str) -> object:
        return CliRunner().invoke(main, [*command.format(w=workspace, p="place").split(), *further])

    return invoke


def test_every_command_is_here() -> None:
    assert {line.split()[0] for line, _ in COMMANDS.values()} == main.commands.keys() - {"models", "info", "studio"} | {
        "blind"
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_what_lies_beside_the_outputs_stays(name: str, typed) -> None:
    command, written = COMMANDS[name]
    place = Path("place")
    put(place, NEIGHBOURS)
    before = snapshot(place, NEIGHBOURS)
    outcome = typed(command, "--json", "-v")
    assert outcome.exit_code == 0, outcome.output
    json.loads(outcome.stdout)
    assert "of processor time" in outcome.stderr
    assert snapshot(place, NEIGHBOURS) == before
    missing = [path for path in written if not (place / path).exists()]
    assert set(missing) <= {"trial/answers.json", "samples/labels.txt"} & set(written), missing
    assert not list(place.rglob(".dcgan-viz-*"))


@pytest.mark.parametrize(
    ("name", "victim"), [(name, victim) for name, (_, written) in COMMANDS.items() for victim in written]
)
def test_what_lies_in_the_place_of_an_output_is_refused_by_name(name: str, victim: str, typed) -> None:
    command, _ = COMMANDS[name]
    place = Path("place")
    put(place, (*NEIGHBOURS, victim))
    before = snapshot(place, (*NEIGHBOURS, victim))
    outcome = typed(command)
    assert outcome.exit_code == 2, outcome.output
    assert "unexpected" not in outcome.output
    assert str((place / victim).parent) in outcome.stderr.splitlines()[-1]
    assert snapshot(place, (*NEIGHBOURS, victim)) == before
    assert not Path("results").exists()


def test_a_resumed_run_keeps_what_was_put_into_its_folders(typed) -> None:
    place = Path("place")
    assert typed(f"{TRAIN} --steps 1").exit_code == 0
    notes = (
        "notes.txt", "checkpoints/notes.txt", "samples/mine.png", "model/annotations/window.json",
        "model/concepts.json", "model/segmenter/weights.safetensors", "tensorboard/notes.txt",
    )  # fmt: skip
    put(place, notes)
    before = snapshot(place, notes)
    outcome = typed(f"{TRAIN} --steps 2 --resume")
    assert outcome.exit_code == 0, outcome.output
    assert json.loads((place / "model" / "card.json").read_text())["training"]["steps"] == 2
    assert snapshot(place, notes) == before
    put(place, ("model/card.json",))
    outcome = typed(f"{TRAIN} --steps 3 --resume")
    assert outcome.exit_code == 2
    assert "place/model/card.json has been changed since it was written" in outcome.stderr
    assert typed(f"{TRAIN} --steps 3 --resume --overwrite").exit_code == 0
    assert json.loads((place / "model" / "card.json").read_text())["training"]["steps"] == 3
    assert snapshot(place, notes) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sample", "sample --each", "blind --report", "rooms", "import", "annotate --auto"])
def test_overwrite_replaces_the_outputs_and_nothing_else(name: str, typed) -> None:
    command, written = COMMANDS[name]
    place = Path("place")
    put(place, (*NEIGHBOURS, *written))
    before = snapshot(place, NEIGHBOURS)
    outcome = typed(command, "--overwrite")
    assert outcome.exit_code == 0, outcome.output
    assert snapshot(place, NEIGHBOURS) == before
    assert not [path for path in written if (place / path).read_bytes().startswith(b"precious")]
    assert "note: " in outcome.stderr
    # Its own, too, it replaces only when told to, and says so.
    own = snapshot(place, written)
    again = typed(command)
    assert again.exit_code == 2, again.output
    assert "--overwrite" in again.stderr
    assert snapshot(place, written) == own
    again = typed(command, "--overwrite")
    assert again.exit_code == 0, again.output
    assert "replaced" in again.stderr


@pytest.mark.slow
def test_default_places_are_numbered_and_said(typed) -> None:
    said = [typed("blind {w}/trial --report").stdout.splitlines()[-1] for _ in range(2)]
    assert said == ["written to results/blind", "written to results/blind-2"]
    said = [typed("sample --count 2 --model {w}/model").stdout for _ in range(2)]
    assert [line.split()[-1] for line in said] == ["samples.png", "samples-2.png"]
    said = [typed("sample --each --count 2 --model {w}/model").stdout for _ in range(2)]
    assert [line.split()[-1] for line in said] == ["samples", "samples-2"]


def test_a_manifest_says_what_was_written_and_by_which_command(typed, workspace: Path) -> None:
    typed("sample --each --count 2 --model {w}/model --out", "place/two words")
    manifest = json.loads(Path("place/two words/manifest.json").read_text())
    assert manifest["kind"] == "Samples"
    assert manifest["files"].keys() == {"sample-0000.png", "sample-0001.png", "samples.json"}
    # It can be typed from anywhere.
    assert manifest["command"] == (
        f"dcgan-viz sample --model {workspace}/model --count 2 --each --seed 0 --device cpu --out "
        f"'{Path.cwd()}/place/two words'"
    )
