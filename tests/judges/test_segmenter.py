from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import label as connected

from dcgan_viz.analysis.forgetting.automatic_boxes import automatic_boxes
from dcgan_viz.data.images import to_tensor
from dcgan_viz.errors import UserError
from dcgan_viz.judges.patches import ALLOWED, KINDS
from dcgan_viz.judges.segmenter import (
    CARD_FILE,
    Segmenter,
    areas,
    find_segmenter,
    intersection_over_union,
    load_segmenter,
    segment,
)
from dcgan_viz.judges.segmenter_network import SegmentationNetwork, fused
from dcgan_viz.judges.segmenter_training import train_segmenter
from dcgan_viz.model import DCGAN, load
from dcgan_viz.rooms.drawing import OBJECTS, draw_rooms


def test_folding_batch_norm_changes_nothing() -> None:
    torch.manual_seed(0)
    network = SegmentationNetwork(3, 4, (4, 6, 8))
    images = torch.rand(5, 3, 16, 16) * 2 - 1
    for _ in range(3):
        network(images)
    network.eval()
    with torch.no_grad():
        assert torch.allclose(fused(network)(images), network(images), atol=1e-5)
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


@pytest.mark.slow
def test_training_learns_what_is_bright() -> None:
    random = np.random.default_rng(0)
    masks = np.zeros((96, 16, 16), np.uint8)
    for mask in masks:
        top, left = random.integers(0, 9, 2)
        mask[top : top + 7, left : left + 7] = 1
    pixels = np.repeat((40 + 170 * masks + random.integers(0, 20, masks.shape))[..., None], 3, -1).astype(np.uint8)
    segmenter = train_segmenter(pixels, masks, ("square",), held_out=32, steps=60, batch_size=16)
    assert segmenter.card.held_out_iou["square"] > 0.8
    again = train_segmenter(pixels, masks, ("square",), held_out=32, steps=60, batch_size=16)
    assert again.card.held_out_iou == segmenter.card.held_out_iou
    found = segment(segmenter, to_tensor(pixels[64:]))
    hits = [int(f and m) for f, m in zip(found.ravel() == 1, masks[64:].ravel() == 1, strict=True)]
    either = [int(f or m) for f, m in zip(found.ravel() == 1, masks[64:].ravel() == 1, strict=True)]
    assert segmenter.card.held_out_iou["square"] == pytest.approx(sum(hits) / sum(either))


def test_labels_do_not_depend_on_the_batch(tiny_segmenter: Segmenter) -> None:
    images = torch.rand(70, 3, 16, 16) * 2 - 1
    whole = segment(tiny_segmenter, images)
    assert whole.dtype == np.uint8
    assert whole.shape == (70, 16, 16)
    alone = np.concatenate([segment(tiny_segmenter, image[None]) for image in images])
    assert (whole != alone).mean() < 1e-3


def test_areas_and_iou_agree_with_loops() -> None:
    random = np.random.default_rng(0)
    found, truth = random.integers(0, 4, (2, 5, 6, 6)).astype(np.uint8)
    expected = [[sum(v == k for v in picture.ravel()) / 36 for k in (1, 2, 3)] for picture in found]
    assert np.allclose(areas(found, 3), expected)
    both = sum(f == t == 2 for f, t in zip(found.ravel(), truth.ravel(), strict=True))
    either = sum(2 in (f, t) for f, t in zip(found.ravel(), truth.ravel(), strict=True))
    assert intersection_over_union(found, truth, ("a", "b", "c"))["b"] == pytest.approx(both / either)
    assert np.isnan(intersection_over_union(found, truth, ("a", "b", "c", "never"))["never"])


def test_a_saved_segmenter_is_the_same(tiny_segmenter: Segmenter, tmp_path: Path, tiny_folder: Path) -> None:
    loaded = load_segmenter(tiny_segmenter.save(tmp_path / "segmenter"))
    images = torch.rand(8, 3, 16, 16) * 2 - 1
    # fp16 weights may turn a pixel that was undecided.
    assert (segment(loaded, images) != segment(tiny_segmenter, images)).mean() < 0.02
    assert loaded.card == tiny_segmenter.card
    assert find_segmenter(load(tiny_folder)) is None
    tiny_segmenter.save(tiny_folder / "segmenter")
    found = find_segmenter(load(tiny_folder))
    assert found is not None
    assert found.objects == ("window", "bed")


def test_bad_segmenters_and_pictures_are_refused(tiny_segmenter: Segmenter, tmp_path: Path) -> None:
    folder = tiny_segmenter.save(tmp_path / "segmenter")
    with pytest.raises(UserError, match="holds no whole segmenter"):
        load_segmenter(tmp_path / "missing")
    weights = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(UserError, match="holds no whole segmenter"):
        load_segmenter(folder)
    (folder / "weights.safetensors").write_bytes(weights)
    (folder / CARD_FILE).write_text("[]")
    with pytest.raises(UserError, match="holds no whole segmenter"):
        load_segmenter(folder)
    with pytest.raises(UserError, match="3x16x16 pictures, not 3x32x32"):
        segment(tiny_segmenter, torch.zeros(1, 3, 32, 32))
    with pytest.raises(UserError, match="knows no 'door': choose from window, bed"):
        tiny_segmenter.label("door")
    pixels, masks = np.zeros((10, 16, 16, 3), np.uint8), np.zeros((10, 16, 16), np.uint8)
    with pytest.raises(UserError, match="do not fit"):
        train_segmenter(pixels, masks[:9], ("a",), held_out=1)
    with pytest.raises(UserError, match="label 3, but only 1 objects"):
        train_segmenter(pixels, masks + 3, ("a",), held_out=1)
    with pytest.raises(UserError, match="leave 9 to train on"):
        train_segmenter(pixels, masks, ("a",), held_out=1)


def test_automatic_boxes_are_the_connected_regions(tiny_model: DCGAN, tiny_segmenter: Segmenter) -> None:
    annotations = automatic_boxes(tiny_model, tiny_segmenter, ("window",), count=12, seed=4)
    annotations.check_belongs_to(tiny_model)
    found = segment(tiny_segmenter, tiny_model.sample(12, 4)) == 1
    expected = set()
    for image in range(12):
        regions, number = connected(found[image], np.ones((3, 3)))
        for k in range(1, number + 1):
            rows, columns = np.nonzero(regions == k)
            if len(rows) >= 0.004 * 256:
                expected.add((image, columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1))
    assert {(b.image, b.left, b.top, b.width, b.height) for b in annotations.boxes} == expected
    assert len(expected) > 3
    assert annotations.looked_for == ("window",)
    assert automatic_boxes(tiny_model, tiny_segmenter, count=3).looked_for == ("window", "bed")


@pytest.mark.slow
def test_the_command_trains_on_rooms(run: Callable, refused: Callable) -> None:
    assert run("rooms", 80, "--size", 32, "--out", "rooms").exit_code == 0
    outcome = run("train-segmenter", "rooms", "--held-out", 10, "--steps", 10, "--out", "segmenter", "--json")
    assert outcome.exit_code == 0, outcome.output
    loaded = load_segmenter("segmenter")
    assert loaded.objects == OBJECTS
    assert "/rooms --held-out 10 --steps 10 --seed 0 --device cpu --out /" in loaded.card.training["command"]
    printed = json.loads(outcome.stdout)
    assert printed["patches"] == loaded.card.patches
    assert set(loaded.card.patches) == set(KINDS)
    assert set(loaded.card.patches["white"]) == set(OBJECTS)
    told = {name for name in OBJECTS if max(of.get(name, 0) for of in loaded.card.patches.values()) > ALLOWED}
    assert all((f"is taken for {name}: areas" in outcome.stderr) == (name in told) for name in OBJECTS)
    rooms = draw_rooms(3, 32)
    assert segment(loaded, to_tensor(rooms.pixels)).shape == (3, 32, 32)
    assert "does not hold images/" in refused("train-segmenter", "segmenter", "--out", "other")
