from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dcgan_viz.analysis.features import classification as module
from dcgan_viz.analysis.features.classification import BASELINES, Classification, classify
from dcgan_viz.analysis.features.pooled import pooled_features
from dcgan_viz.analysis.features.protocols import Protocol, Task, make_task
from dcgan_viz.analysis.features.svm import fit_path
from dcgan_viz.data.images import ImageSet
from dcgan_viz.data.labelled import LabelledImages, LabelledSplit
from dcgan_viz.errors import UserError
from dcgan_viz.figures.features.classification import classification_figure, looks_figure
from dcgan_viz.model import DCGAN
from dcgan_viz.networks import dcgan

PROTOCOL = Protocol("general", per_class=10, validation=0.2, draws=4, tuning_draws=2)


def pictures(each: int = 60) -> LabelledImages:
    """Left half bright, right half bright, or a chequerboard; in noise."""
    random = np.random.default_rng(0)
    patterns = np.zeros((3, 16, 16, 1))
    patterns[0, :, :8], patterns[1, :, 8:], patterns[2, ::2, ::2] = 60, 60, 60
    numbers = np.repeat(np.arange(3), each)
    pixels = np.clip(90 + patterns[numbers] + random.normal(0, 40, (3 * each, 16, 16, 3)), 0, 255).astype(np.uint8)
    return LabelledImages(ImageSet(pixels, tuple(map(str, range(3 * each)))), ("left", "right", "board"), numbers)


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task(LabelledSplit(pictures(), None), PROTOCOL)


@pytest.fixture(scope="module")
def model(make_model: Callable[..., DCGAN]) -> DCGAN:
    return make_model(dcgan(16, width=4, latent_dim=8, top_layer=True))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def result(model: DCGAN, task: Task, work: Path) -> Classification:
    return classify(model, task, PROTOCOL, work, curve=(2, 10), centroids=10, precision="fp32", source="patterns")


@pytest.mark.slow
def test_every_number_is_that_of_its_predictions(result: Classification, task: Task) -> None:
    truth = task.numbers[task.test]
    assert np.array_equal(result.truth, truth)
    assert [score.method for score in result.scores] == ["discriminator", *BASELINES]
    first = result.scores[0]
    right = result.predictions == truth
    assert first.accuracy.value == pytest.approx(right.mean())
    assert first.spread == pytest.approx(1.96 * right.mean(1).std())
    assert first.gain is None
    assert all(s.gain is not None for s in result.scores[1:])
    for score in result.scores[1:4]:
        assert score.gain is not None
        assert score.gain.value == pytest.approx(first.accuracy.value - score.accuracy.value, abs=1e-6)
    assert result.confusion.sum() == right.size
    assert np.trace(result.confusion) == right.sum()
    for k in range(3):
        assert result.confusion[k].sum() == 4 * (truth == k).sum()


def test_the_first_draw_by_hand(result: Classification, model: DCGAN, task: Task) -> None:
    images = task.images.tensor(slice(None))
    features = pooled_features(model.discriminator, images).numpy().astype(np.float16)
    rows = task.draw(10, (0, 0, 0))
    validation = features[task.validation], task.numbers[task.validation]
    (point,) = fit_path(features[rows], task.numbers[rows], validation, (result.scores[0].C or 0,), tol=1e-4)
    assert np.mean(point.svm.predict(features[task.test]) == result.predictions[0]) > 0.98


def test_layers_and_looks_cover_all(result: Classification) -> None:
    assert [layer.name for layer in result.layers] == ["layer 1", "layer 2", "layer 3"]
    assert [layer.features for layer in result.layers] == [64, 128, 128]
    assert [look.name for look in result.looks] == ["left", "right", "board"]
    assert result.look_pictures.shape == (3, 3, 2, 16, 16, 3)
    assert result.look_gradients.shape == (3, 3, 2, 3, 16, 16)
    for look in result.looks:
        assert list(look.weights) == sorted(look.weights, reverse=True)
        assert 0 <= look.others <= 1
    # Patterns of brightness are seen in any features.
    assert result.scores[0].accuracy.low > 0.5
    assert {point.labels for point in result.scores[0].curve} == {6, 30}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers_and_reads_the_features_again(
    result: Classification, model: DCGAN, task: Task, work: Path
) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in work.iterdir()}
    assert len(before) == 4 + 4 + 4
    again = classify(model, task, PROTOCOL, work, curve=(2, 10), centroids=10, precision="fp32", source="patterns")
    assert again.numbers() == result.numbers()
    assert {path.name: path.stat().st_mtime_ns for path in work.iterdir()} == before


@pytest.mark.slow
def test_it_is_saved_with_its_figures(result: Classification, tmp_path: Path) -> None:
    figures = {"classify": classification_figure(result), "looks": looks_figure(result)}
    folder = result.save(tmp_path / "out", figures)
    assert {"classify.png", "looks.png", "result.json", "arrays.npz"} <= {path.name for path in folder.iterdir()}
    assert len(figures["looks"].axes) == 3 * 12
    # At the border of an image, too, the gradients of a layer's units have one shape.
    gradients = [[axes.get_images()[0].get_array().shape for axes in figures["looks"].axes[1::2] if axes.get_images()]]
    for look, shapes in zip(result.looks, np.array(gradients[0]).reshape(3, -1, 2, 3), strict=True):
        for layer, of_map in zip(look.layers, shapes, strict=True):
            assert {(layer, *shape[:2]) for shape in of_map} == {(layer, of_map[0][0], of_map[0][0])}


def test_a_curve_beyond_the_pool_is_refused(tiny_model: DCGAN, task: Task, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot have 500 labels a class: the smallest class has"):
        classify(tiny_model, task, PROTOCOL, tmp_path, curve=(500,))


@pytest.mark.slow
def test_the_supervised_network_is_the_best_of_several_settings(tiny_model: DCGAN, task: Task, tmp_path: Path) -> None:
    result = classify(
        tiny_model, task, PROTOCOL, tmp_path, baselines=("cnn",), curve=(), cnn_settings=2, precision="fp32"
    )
    assert str(result.settings["supervised_cnn"]).startswith("best of 2: rate ")
    first, cnn = result.scores
    assert (first.method, cnn.method, cnn.draws) == ("discriminator", "cnn", 3)
    # Without a curve the search for C is drawn.
    titles = [axes.get_title() for axes in classification_figure(result).axes]
    assert "the search for C" in titles
    assert "by the number of labels" not in titles


def test_what_was_left_out_has_no_panel(tiny_model: DCGAN, task: Task, tmp_path: Path) -> None:
    result = classify(
        tiny_model, task, PROTOCOL, tmp_path, baselines=("pixels",), curve=(), by_layer=False, precision="fp32"
    )
    assert result.layers == ()
    figure = classification_figure(result)
    assert [axes.has_data() for axes in figure.axes] == [True] * 3
    assert "from one layer alone" not in [axes.get_title() for axes in figure.axes]


def test_a_killed_run_goes_on_after_the_last_method_that_was_done(
    tiny_model: DCGAN, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"baselines": ("pixels",), "curve": (), "by_layer": False, "precision": "fp32"}
    fits: list[str] = []
    real = module.run_trials

    def until_killed(*arguments: Any, what: str, **rest: Any) -> Any:
        if what == "pixels" and not fits.count("pixels"):
            fits.append(what)
            raise KeyboardInterrupt
        fits.append(what)
        return real(*arguments, what=what, **rest)

    monkeypatch.setattr(module, "run_trials", until_killed)
    with pytest.raises(KeyboardInterrupt):
        classify(tiny_model, task, PROTOCOL, tmp_path / "killed", **options)
    resumed = classify(tiny_model, task, PROTOCOL, tmp_path / "killed", **options)
    assert fits == ["discriminator", "pixels", "pixels"]
    whole = classify(tiny_model, task, PROTOCOL, tmp_path / "whole", **options)
    assert resumed.numbers() == whole.numbers()
    assert np.array_equal(resumed.predictions, whole.predictions)
    # Other choices have fits of their own.
    classify(tiny_model, task, replace(PROTOCOL, tuning_draws=1), tmp_path / "killed", **options)
    assert fits[-2:] == ["discriminator", "pixels"]
    for path in (tmp_path / "killed").glob("*.fits.npz"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"fits\.npz"):
        classify(tiny_model, task, PROTOCOL, tmp_path / "killed", **options)
