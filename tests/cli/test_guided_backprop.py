from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.annotations.boxes import Annotations, Box, save_annotations
from dcgan_viz.model import load


@pytest.mark.slow
def test_guided_backprop_writes_figure_and_numbers(run, tiny_folder) -> None:
    outcome = run("guided-backprop", "--model", tiny_folder, "--layer", 3, "--count", 20)
    assert outcome.exit_code == 0, outcome.output
    folder = Path("results/guided-backprop")
    assert sorted(f.name for f in folder.iterdir()) == [
        "arrays.npz",
        "atlas.html",
        "atlas.png",
        "captions.txt",
        "guided-backprop.png",
        "manifest.json",
        "result.json",
    ]
    numbers = json.loads((folder / "result.json").read_text())
    assert numbers["maps"] == [0, 1, 2, 3, 4, 5]
    assert len(numbers["responses"]) == 6 * 4
    arrays = np.load(folder / "arrays.npz")
    assert arrays["gradients"].shape == (6, 4, 3, 16, 16)
    assert np.abs(arrays["gradients"]).max() > 0
    assert "maps of layer 3, 20 samples of the model (seed 0)" in outcome.stdout


@pytest.mark.slow
def test_photographs_are_read_and_all_maps_fill_pages(run, tiny_folder, photographs) -> None:
    outcome = run(
        "guided-backprop", "--model", tiny_folder, "--images", photographs, "--maps", "all", "--top", 2, "--json"
    )
    assert outcome.exit_code == 0, outcome.output
    numbers = json.loads(outcome.stdout)
    assert numbers["settings"]["image_count"] == 40
    assert numbers["settings"]["images"] == "images in photographs/"
    assert numbers["maps"] == list(range(8))


def test_both_rules_are_offered_and_differ(run, tiny_folder) -> None:
    gradients = []
    for rule in ("keep", "zero"):
        run(
            "guided-backprop",
            "--model",
            tiny_folder,
            "--rule",
            rule,
            "--maps",
            "0",
            "--top",
            1,
            "--count",
            8,
            "--out",
            rule,
        )
        gradients.append(np.load(f"{rule}/arrays.npz")["gradients"])
    assert not np.allclose(*gradients)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--layer", "9"), "1"),
        (("--layer", "top"), "conv"),
        (("--maps", "0-99"), "numbered from 0 to 7: there is no map 8"),
        (("--maps", "first"), "not a list of numbers"),
        (("--images", "nowhere"), "nowhere does not exist"),
        (("--count", "3"), "too few images (3)"),
    ],
)
def test_a_wrong_request_is_one_sentence(refused, tiny_folder, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in refused("guided-backprop", "--model", tiny_folder, *arguments)
    assert not Path("results").exists()


@pytest.fixture
def annotated(tiny_folder: Path) -> Path:
    """The tiny model with a box on each of its first 12 samples."""
    model = load(tiny_folder)
    boxes = tuple(Box(i, "window", i % 8, 2, 6, 6) for i in range(12))
    annotations = Annotations(boxes, ("window",), 20, 5, 16, model.generator_digest(), "somebody", "by hand")
    save_annotations(annotations, tiny_folder / "annotations" / "window.json")
    return tiny_folder


@pytest.mark.slow
def test_everything_at_once(run, annotated: Path) -> None:
    line = f"guided-backprop --model {annotated} --layer 2 --object window --top 1 --count 16"
    outcome = run(*f"{line} --sanity --method all".split())
    assert outcome.exit_code == 0, outcome.output
    folder = Path("results/guided-backprop")
    for name in ("detection", "sanity", "methods"):
        assert sorted(f.name for f in (folder / name).iterdir()) == sorted(
            ["arrays.npz", "captions.txt", f"{name}.png", "manifest.json", "result.json"]
        )
    detection = json.loads((folder / "detection" / "result.json").read_text())
    main = json.loads((folder / "result.json").read_text())
    assert main["maps"] == [found["map"] for found in detection["best"][:6]]
    assert "finds window best" in outcome.stdout
    assert "sanity: Spearman" in outcome.stdout
    outcome = run(*line.split(), "--json")
    assert json.loads(outcome.stdout)["detection"]["object"] == "window"


@pytest.mark.slow
def test_maps_are_ranked_on_photographs_with_coco_boxes(run, tiny_folder: Path, photographs: Path) -> None:
    names = sorted(f.name for f in photographs.iterdir())
    sizes = [Image.open(photographs / name).size for name in names]
    data = {
        "images": [{"id": i, "file_name": n, "width": sizes[i][0], "height": sizes[i][1]} for i, n in enumerate(names)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 12, 12]} for i in range(20)],
    }
    Path("boxes.json").write_text(json.dumps(data))
    line = f"guided-backprop --model {tiny_folder} --object cat --images {photographs} --annotations boxes.json --top 1"
    outcome = run(*line.split())
    assert outcome.exit_code == 0, outcome.output
    assert "finds cat best" in outcome.stdout
    assert "20 boxes of cat (COCO) on 40 of 40 photographs; 0 outside of the centre crop," in outcome.stderr
    settings = json.loads(Path("results/guided-backprop/detection/result.json").read_text())["settings"]
    assert (settings["annotations"], settings["boxes"], settings["boxes_outside_crop"]) == ("COCO", 20, 0)
    assert 0 < settings["boxes_cut_by_crop"] < 20


@pytest.mark.slow
def test_boxes_drawn_on_samples_are_taken_from_a_file(run, refused, annotated: Path, photographs: Path) -> None:
    boxes = (annotated / "annotations" / "window.json").rename("boxes.json")
    line = f"guided-backprop --model {annotated} --object window --annotations {boxes} --top 1 --count 8"
    outcome = run(*line.split())
    assert outcome.exit_code == 0, outcome.output
    assert "finds window best" in outcome.stdout
    assert "on a model's samples and not on photographs" in refused(*line.split(), "--images", photographs)


def test_boxes_without_their_images_or_object_are_refused(refused, tiny_folder: Path) -> None:
    assert "give both" in refused("guided-backprop", "--model", tiny_folder, "--annotations", "boxes.json")
    assert "has no boxes of 'window'" in refused("guided-backprop", "--model", tiny_folder, "--object", "window")


def test_one_unit_is_explained_by_hand(run, tiny_folder, photographs) -> None:
    line = (
        "guided-backprop",
        "--model",
        tiny_folder,
        "--layer",
        2,
        "--unit",
        "5,1,2",
        "--image",
        photographs / "00.png",
    )
    outcome = run(*line, "--json")
    assert outcome.exit_code == 0, outcome.output
    numbers = json.loads(outcome.stdout)
    assert (numbers["map"], numbers["row"], numbers["column"], numbers["layer"]["number"]) == (5, 1, 2, 2)
    assert numbers["settings"]["image"] == "00.png"
    assert sorted(f.name for f in Path("results/unit").iterdir()) == [
        "arrays.npz",
        "captions.txt",
        "manifest.json",
        "result.json",
        "unit.png",
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--unit", "1,2,3"), "--unit is explained on --image: give both"),
        (("--image", "00.png"), "give both"),
        (("--unit", "1,2", "--image", "00.png"), "is not a map, a row and a column, like 7,2,3"),
        (("--unit", "1,2,3", "--image", "00.png", "--sanity", "--maps", "1"), "leave out --maps, --sanity"),
        (("--unit", "0,0,0", "--image", "missing.png"), "missing.png"),
        (("--unit", "0,0,0", "--image", "photographs"), "photographs holds several pictures"),
    ],
)
def test_a_unit_by_hand_takes_what_it_needs_and_no_more(
    refused, tiny_folder, photographs: Path, monkeypatch, arguments, sentence
) -> None:
    monkeypatch.chdir(photographs.parent)
    assert photographs.name == "photographs"
    assert sentence in refused("guided-backprop", "--model", tiny_folder, *arguments)
