from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan_viz.errors import UserError
from dcgan_viz.judges.classifier import (
    Classifier,
    ClassifierCard,
    classify,
    find_classifier,
    load_classifier,
    measure_accuracy,
)
from dcgan_viz.judges.classifier_network import ClassifierNetwork
from dcgan_viz.model import load
from dcgan_viz.statistics import share_estimate


@pytest.fixture
def classifier() -> Classifier:
    torch.manual_seed(0)
    network = ClassifierNetwork(3, 3, (4, 6, 8, 8)).eval().requires_grad_(False)
    accuracies = (measure_accuracy(np.eye(3, dtype=np.float32), np.array([0, 1, 1]), "all"),)
    card = ClassifierCard(("cat", "dog", "owl"), 16, 3, "drawings", "none", accuracies, {"epochs": 3}, (4, 6, 8, 8))
    return Classifier(network, card)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(130, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_probabilities_are_those_of_a_picture_and_its_mirror_image(
    classifier: Classifier, images: torch.Tensor
) -> None:
    found = classify(classifier, images)
    assert found.shape == (130, 3)
    assert found.dtype == np.float32
    assert np.allclose(found.sum(1), 1, atol=1e-5)
    for index in (0, 64, 129):
        alone = images[index : index + 1]
        scores = [classifier.network(alone), classifier.network(torch.flip(alone, [3]))]
        expected = sum(np.exp(s[0].numpy()) / np.exp(s[0].numpy()).sum() for s in scores) / 2
        assert np.allclose(found[index], expected, atol=1e-5)
    assert np.allclose(classify(classifier, images.flip(3)), found, atol=1e-5)
    assert np.allclose(classify(classifier, images[:70]), found[:70], atol=1e-5)


def test_pictures_of_another_size_are_refused(classifier: Classifier) -> None:
    with pytest.raises(UserError, match="trained on 16x16 pictures of 3 channels, and these are 8x16 of 1"):
        classify(classifier, torch.zeros(1, 1, 16, 8))


def test_accuracy_and_calibration_agree_with_a_loop() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet((1, 1, 1), 400).astype(np.float32)
    truth = random.integers(0, 3, 400)
    bins: dict[int, list[tuple[bool, float]]] = {}
    for row, label in zip(probabilities.tolist(), truth.tolist(), strict=True):
        bins.setdefault(min(int(max(row) * 10), 9), []).append((row.index(max(row)) == label, max(row)))
    error = sum(abs(sum(r for r, _ in entries) - sum(c for _, c in entries)) for entries in bins.values()) / 400
    accuracy = measure_accuracy(probabilities, truth, "some")
    right = sum(r for entries in bins.values() for r, _ in entries)
    assert accuracy.share == right / 400
    assert accuracy.calibration_error == pytest.approx(error, abs=1e-5)
    assert accuracy.estimate == share_estimate(right, 400, over="pictures")
    assert (accuracy.subset, accuracy.pictures) == ("some", 400)
    certain = measure_accuracy(np.eye(3, dtype=np.float32)[truth], truth, "all")
    assert (certain.share, certain.calibration_error) == (1.0, 0.0)


def test_a_classifier_survives_saving_and_loading(classifier: Classifier, images: torch.Tensor, tmp_path: Path) -> None:
    loaded = load_classifier(classifier.save(tmp_path / "animals"))
    assert loaded.card == classifier.card
    # Saved as fp16.
    assert np.allclose(classify(loaded, images), classify(classifier, images), atol=2e-3)
    assert not loaded.network.training


def test_the_classifier_beside_a_model_is_found_by_its_classes(classifier: Classifier, tiny_folder: Path) -> None:
    with pytest.raises(UserError, match="comes with no classifier of 'dog': make one"):
        find_classifier(load(tiny_folder), "dog")
    other = replace(classifier, card=replace(classifier.card, classes=("day", "dusk", "night")))
    other.save(tiny_folder / "classifiers" / "a-time")
    classifier.save(tiny_folder / "classifiers" / "b-animal")
    found = find_classifier(load(tiny_folder), "dog")
    assert found.card.classes == ("cat", "dog", "owl")
    assert found.number("owl") == 2
    with pytest.raises(UserError, match=r"of 'man' \(its classifiers know day, dusk, night, cat, dog, owl\)"):
        find_classifier(load(tiny_folder), "man")
    with pytest.raises(UserError, match="knows no 'man': choose from cat, dog, owl"):
        found.number("man")


def test_damaged_classifiers_are_refused(classifier: Classifier, tmp_path: Path) -> None:
    def refused(path: Path) -> None:
        with pytest.raises(UserError, match="holds no whole classifier"):
            load_classifier(path)

    refused(tmp_path / "missing")
    path = classifier.save(tmp_path / "animals")
    card, weights = (path / "classifier.json").read_text(), (path / "weights.safetensors").read_bytes()
    for text in ("{", "[]", "{}", json.dumps({**json.loads(card), "classes": ["cat", "dog"]}), "3"):
        (path / "classifier.json").write_text(text)
        refused(path)
    (path / "classifier.json").write_text(json.dumps({**json.loads(card), "surprise": 1}))
    refused(path)
    (path / "classifier.json").write_text(card)
    (path / "weights.safetensors").write_bytes(weights[: len(weights) // 2])
    refused(path)
