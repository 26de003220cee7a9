from __future__ import annotations

from pathlib import Path

import numpy as np

from dcgan_viz.analysis.features.classification import NAMES, classify
from dcgan_viz.analysis.features.protocols import Protocol, Published, make_task
from dcgan_viz.data.images import ImageSet
from dcgan_viz.data.labelled import LabelledImages, LabelledSplit
from dcgan_viz.figures.features.classification import classification_figure, looks_figure
from dcgan_viz.model import DCGAN
from tests.figures.columns import faults


def test_every_method_has_its_place_and_every_class_a_row(tiny_model: DCGAN, tmp_path: Path) -> None:
    numbers = np.arange(120) % 2
    pixels = np.random.default_rng(0).integers(0, 128, (120, 16, 16, 3)) + 100 * numbers[:, None, None, None]
    images = ImageSet(pixels.astype(np.uint8), tuple(map(str, range(120))))
    protocol = Protocol("general", per_class=10, validation=0.2, draws=2, tuning_draws=1)
    task = make_task(LabelledSplit(LabelledImages(images, ("dark", "bright"), numbers), None), protocol)
    result = classify(tiny_model, task, protocol, tmp_path, baselines=("pixels",), curve=(), source="shades")
    labels = {
        t.get_text().split("\n")[0] for axes in classification_figure(result).axes for t in axes.get_yticklabels()
    }
    assert {NAMES["discriminator"], NAMES["pixels"]} <= labels
    assert not faults(lambda: classification_figure(result)) + faults(lambda: looks_figure(result))
    words = " ".join(t.get_text() for axes in looks_figure(result).axes for t in axes.texts)
    assert "dark" in words
    assert "bright" in words


def test_labels_of_published_numbers_do_not_meet(tiny_model: DCGAN, tmp_path: Path) -> None:
    numbers = np.arange(120) % 2
    pixels = np.random.default_rng(0).integers(0, 256, (120, 16, 16, 3), dtype=np.uint8)
    images = ImageSet(pixels, tuple(map(str, range(120))))
    near = (Published("one", 0.806, "somehow"), Published("another", 0.828, "otherwise"))
    protocol = Protocol("general", per_class=10, validation=0.2, draws=1, tuning_draws=1, published=near)
    task = make_task(LabelledSplit(LabelledImages(images, ("dark", "bright"), numbers), None), protocol)
    figure = classification_figure(
        classify(tiny_model, task, protocol, tmp_path, baselines=("pixels",), curve=(), source="noise")
    )
    figure.canvas.draw()
    boxes = [t.get_window_extent() for t in figure.axes[0].texts if "in the paper" in t.get_text()]
    assert len(boxes) == 2
    assert not boxes[0].overlaps(boxes[1])
