from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from dcgan_viz.annotations.boxes import load_annotations
from dcgan_viz.model import load

# What labelImg writes.
VOC = """<annotation>
	<folder>samples</folder>
	<filename>{name}</filename>
	<source><database>Unknown</database></source>
	<size><width>128</width><height>128</height><depth>3</depth></size>
	<segmented>0</segmented>{objects}
</annotation>"""
OBJECT = """
	<object>
		<name>{label}</name>
		<pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
		<bndbox><xmin>16</xmin><ymin>8</ymin><xmax>80</xmax><ymax>40</ymax></bndbox>
	</object>"""


@pytest.fixture
def exported(run, tiny_folder: Path) -> Path:
    """Samples of the tiny model as files, enlarged, with one window drawn in labelImg."""
    line = ("annotate", "--object", "window", "--model", tiny_folder, "--export-samples", "samples")
    outcome = run(*line, "--count", 4, "--seed", 5, "--scale", 8)
    assert outcome.exit_code == 0, outcome.output
    assert "4 samples of 128x128 pixels (seed 5) written to samples" in outcome.stdout
    assert f"annotate --object window --model {tiny_folder} --from samples" in outcome.stdout
    folder = Path("samples")
    objects = OBJECT.format(label="window") + OBJECT.format(label="lamp")
    (folder / "sample-0001.xml").write_text(VOC.format(name="sample-0001.png", objects=objects))
    (folder / "sample-0003.xml").write_text(VOC.format(name="sample-0003.png", objects=""))
    return folder


def test_samples_go_out_and_boxes_come_back(run, exported: Path, tiny_folder: Path) -> None:
    assert sorted(f.name for f in exported.glob("*.png")) == [f"sample-000{k}.png" for k in range(4)]
    assert Image.open(exported / "sample-0000.png").size == (128, 128)
    described = json.loads((exported / "samples.json").read_text())
    assert described["generator_digest"] == load(tiny_folder).generator_digest()
    assert (described["seed"], described["count"], described["scale"]) == (5, 4, 8)
    line = ("annotate", "--object", "window", "--model", tiny_folder, "--from", exported, "--contributor", "me")
    outcome = run(*line, "--out", "boxes.json")
    assert outcome.exit_code == 0, outcome.output
    assert "1 box of window on 1 of 2 samples that were looked at (of 4); imported from Pascal VOC" in outcome.stdout
    assert f"forget --object window --model {tiny_folder} --annotations boxes.json" in outcome.stdout
    annotations = load_annotations("boxes.json")
    annotations.check_belongs_to(load(tiny_folder))
    (box,) = annotations.boxes
    assert (box.image, box.label, box.left, box.top, box.width, box.height) == (1, "window", 2, 1, 8, 4)
    assert annotations.reviewed == (1, 3)
    assert annotations.contributor == "me"


def test_existing_boxes_and_samples_are_not_overwritten(refused, exported: Path, tiny_folder: Path) -> None:
    Path("window-boxes.json").write_text("drawn by hand")
    line = ("annotate", "--object", "window", "--model", tiny_folder)
    assert "window-boxes.json already exists" in refused(*line, "--from", exported)
    assert Path("window-boxes.json").read_text() == "drawn by hand"
    assert "already holds files" in refused(*line, "--export-samples", exported)
    assert (exported / "sample-0001.xml").exists()


def test_what_is_wrong_is_said_in_one_sentence(refused, exported: Path, tiny_folder: Path) -> None:
    line = ("annotate", "--object", "window", "--model", tiny_folder)
    assert "give one of them" in refused(*line, "--from", exported, "--export-samples", "more")
    assert "on 16-pixel samples, but bedrooms draws 64" in refused(*line[:3], "--from", exported)
    assert "has no 'bed': it has 'lamp', 'window'" in refused(*line[:2], "bed", *line[3:], "--from", exported)
    assert "'nowhere' does not exist" in refused(*line, "--from", "nowhere")
    (exported / "sample-0001.xml").write_text(VOC.format(name="cat.png", objects=""))
    assert "'cat.png', which is none of the 4 samples" in refused(*line, "--from", exported)
    assert not Path("window-boxes.json").exists()


def test_a_segmenter_draws_the_boxes(run, refused, tiny_folder: Path, tiny_segmenter) -> None:
    words = ("annotate", "--object", "window", "--model", tiny_folder, "--auto", "--count", 12)
    assert "has no segmenter beside it" in refused(*words)
    tiny_segmenter.save(tiny_folder / "segmenter")
    outcome = run(*words)
    assert outcome.exit_code == 0, outcome.output
    assert "of 12 samples, by a segmenter" in outcome.stdout
    annotations = load_annotations("window-boxes.json")
    annotations.check_belongs_to(load(tiny_folder))
    assert annotations.boxes
    assert "already exists" in refused(*words)
    assert "give one of them" in refused(*words, "--from", tiny_folder)


def test_options_of_samples_are_refused_with_photographs(refused, photographs: Path) -> None:
    line = ("annotate", "--object", "cat", "--images", photographs)
    assert "--model and --auto mean nothing on photographs (--images): leave them out" in refused(
        *line, "--auto", "--model", "rooms"
    )
    assert "nowhere does not exist" in refused(*line[:4], "nowhere")
    Path("cat-boxes.json").write_text("{}")
    assert "is not readable COCO JSON of boxes on photographs" in refused(*line)
    assert Path("cat-boxes.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("way", "useless"),
    [
        (("--export-samples", "s"), ("--overwrite",)),
        (("--export-samples", "s"), ("--contributor", "me")),
        (("--from", "."), ("--scale", 2)),
        (("--auto",), ("--port", 9000)),
        ((), ("--scale", 2)),
        ((), ("--overwrite",)),
        (("--images", "."), ("--overwrite",)),
        (("--images", "."), ("--scale", 2)),
    ],
)
def test_options_that_would_do_nothing_are_refused(run, tiny_folder: Path, way: tuple, useless: tuple) -> None:
    model = () if "--images" in way else ("--model", tiny_folder)
    outcome = run("annotate", "--object", "lamp", *model, *way, *useless)
    assert outcome.exit_code == 2
    assert f"{useless[0]} means nothing" in outcome.output
