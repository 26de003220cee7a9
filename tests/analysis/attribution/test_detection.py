from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from dcgan_viz.analysis.attribution.detection import HALVES, Detection, balanced_halves, covered_shares, rank_maps
from dcgan_viz.analysis.attribution.detectors import COMBINATION, MAP, RANDOM, TRAINED, average_precisions
from dcgan_viz.analysis.attribution.randomisation import randomised
from dcgan_viz.errors import UserError
from dcgan_viz.figures.attribution.detection import detection_figure
from dcgan_viz.model import DCGAN
from dcgan_viz.statistics import stream


@pytest.fixture
def scenes() -> tuple[Tensor, np.ndarray]:
    """Forty noisy 16x16 images; every second one holds a bright square."""
    random = np.random.default_rng(0)
    images = random.normal(0, 0.1, (40, 3, 16, 16)).astype(np.float32)
    masks = np.zeros((40, 16, 16), bool)
    for index in range(0, 40, 2):
        row, column = random.integers(0, 11, 2)
        masks[index, row : row + 5, column : column + 5] = True
    images += 0.8 * masks[:, None]
    return torch.from_numpy(images.clip(-1, 1)), masks


def rank(model: DCGAN, scenes: tuple[Tensor, np.ndarray], seed: int = 0) -> Detection:
    return rank_maps(model, model.discriminator_layers[0], *scenes, "square", seed=seed)


def activations(model: DCGAN, images: Tensor) -> np.ndarray:
    with torch.no_grad():
        return model.discriminator.layers[0](images).numpy()


def test_coverage_counts_pixels() -> None:
    masks = np.random.default_rng(0).random((3, 8, 8)) < 0.3
    share = covered_shares(masks, 2)
    for image in range(3):
        for row in range(2):
            for column in range(2):
                square = masks[image, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
                assert share[image, row, column] == sum(square.ravel()) / 16


def test_average_precision_and_iou_are_those_of_all_pixels(tiny_model: DCGAN, scenes) -> None:
    images, masks = scenes
    result = rank(tiny_model, scenes)
    maps = activations(tiny_model, images).repeat(2, axis=2).repeat(2, axis=3)
    best = result.best[0]
    random = np.random.default_rng(stream(0, HALVES))
    first, second = [], []
    for group in (np.flatnonzero(masks.any((1, 2))), np.flatnonzero(~masks.any((1, 2)))):
        mixed = random.permutation(group)
        first += list(mixed[:10])
        second += list(mixed[10:])
    for half, expected in ((first, result.ranked_by), (second, result.tested)):
        for number in range(4):
            pixels = average_precision_score(masks[half].ravel(), maps[half, number].ravel())
            assert expected[number] == pytest.approx(pixels, abs=1e-6)
    above, truth = maps[second, best.map] > best.threshold, masks[second]
    assert best.iou.value == pytest.approx((above & truth).sum() / (above | truth).sum())
    assert best.average_precision.value == pytest.approx(result.tested[best.map])
    assert result.prevalence == pytest.approx(truth.mean())
    thresholds = np.quantile(activations(tiny_model, images)[first, best.map], np.linspace(0, 1, 101)[1:-1])
    ious = [
        ((maps[first, best.map] > t) & masks[first]).sum() / ((maps[first, best.map] > t) | masks[first]).sum()
        for t in thresholds
    ]
    assert best.threshold == pytest.approx(thresholds[int(np.argmax(ious))])


def test_a_map_that_sees_the_object_comes_first(tiny_model: DCGAN, scenes) -> None:
    with torch.no_grad():
        weight = tiny_model.discriminator.layer(1).convolution.weight
        weight[2] = 0.1
    result = rank(tiny_model, scenes)
    assert result.ranking[0] == 2
    best = result.best[0]
    assert best.average_precision.value > 0.7
    assert best.iou.value > 0.4
    assert best.average_precision.low < best.average_precision.value < best.average_precision.high
    assert best.average_precision.low > result.prevalence
    assert result.masks.any((1, 2)).tolist() == [True] * 4 + [False] * 2
    assert result.activations.shape == (6, 4, 8, 8)


def test_it_repeats_with_its_seed(tiny_model: DCGAN, scenes) -> None:
    assert rank(tiny_model, scenes).numbers() == rank(tiny_model, scenes).numbers()
    assert not np.array_equal(rank(tiny_model, scenes, 1).tested, rank(tiny_model, scenes, 2).tested)


def test_too_few_objects_are_refused(tiny_model: DCGAN, scenes) -> None:
    images, masks = scenes
    masks[6:] = False
    with pytest.raises(UserError, match="3 images show 'square', and at least 4"):
        rank(tiny_model, (images, masks))
    with pytest.raises(UserError, match="the masks are"):
        rank(tiny_model, (images[:5], masks))


def test_the_figure_shows_object_and_maps(tiny_model: DCGAN, scenes) -> None:
    figure = detection_figure(rank(tiny_model, scenes))
    assert figure.get_suptitle() == "Which maps of discriminator layer 1 see “square”?"
    assert "by chance" in figure.said.replace("\n", " ")


def test_weighted_average_precision_is_that_of_repeated_images() -> None:
    random = np.random.default_rng(0)
    scores, share = random.integers(0, 6, (7, 3, 3)).astype(float), random.random((7, 3, 3))
    counts = random.integers(0, 3, (4, 7))
    for count, found in zip(counts, average_precisions(scores, share, counts), strict=True):
        chosen = np.repeat(np.arange(7), count)
        labels, covered = np.repeat([1, 0], 9 * len(chosen)), share[chosen].ravel()
        expected = average_precision_score(
            labels, np.tile(scores[chosen].ravel(), 2), sample_weight=np.concatenate([covered, 1 - covered])
        )
        assert found == pytest.approx(expected)


def test_baselines_and_combinations_are_those_of_a_loop(tiny_model: DCGAN, scenes) -> None:
    images, masks = scenes
    result = rank(tiny_model, scenes)
    halves = balanced_halves(masks.any((1, 2)), 0)
    grey = images.mean(1).double().numpy()
    covered = masks.astype(float)
    maps = activations(tiny_model, images).astype(float)
    features = {
        ("luminance", "", 0): (np.stack([grey, grey**2], -1), covered),
        (COMBINATION, TRAINED, 1): (maps.transpose(0, 2, 3, 1), covered_shares(masks, 8)),
    }
    for key, (x, y) in features.items():
        best: tuple[float, Ridge | None] = (-1.0, None)
        fold = np.arange(len(halves[0])) % 4
        for penalty in (0.001, 0.01, 0.1, 1.0):

            def fit(chosen: np.ndarray, penalty: float = penalty, x: np.ndarray = x, y: np.ndarray = y):
                flat = x[chosen].reshape(-1, x.shape[-1])
                model = make_pipeline(StandardScaler(), Ridge(penalty * len(flat)))
                return model.fit(flat, y[chosen].ravel())

            scores = np.empty(y[halves[0]].shape)
            for k in range(4):
                model = fit(halves[0][fold != k])
                inside = x[halves[0][fold == k]]
                scores[fold == k] = model.predict(inside.reshape(-1, x.shape[-1])).reshape(inside.shape[:3])
                # What is added to all scores of a fold is no part of the ranking of the others.
                scores[fold == k] -= model.predict(np.zeros((1, x.shape[-1])))
            value = average_precisions(scores, y[halves[0]], np.ones((1, len(fold))))[0]
            best = max(best, (float(value), fit(halves[0])), key=lambda found: found[0])
        inside = x[halves[1]]
        scores = best[1].predict(inside.reshape(-1, x.shape[-1])).reshape(inside.shape[:3])
        expected = average_precisions(scores, y[halves[1]], np.ones((1, len(halves[1]))))[0]
        row = result.detectors.of(*key)
        assert row.chosen_by == pytest.approx(best[0], abs=1e-4)
        assert row.average_precision.value == pytest.approx(expected, abs=1e-4)
    place = np.broadcast_to(covered_shares(masks, 8)[halves[0]].mean(0), (len(halves[1]), 8, 8))
    expected = average_precisions(place, covered_shares(masks, 8)[halves[1]], np.ones((1, len(halves[1]))))[0]
    assert result.detectors.of("position").average_precision.value == pytest.approx(expected)
    random = randomised(tiny_model.discriminator, range(1, 4), images, 0)
    with torch.no_grad():
        drawn = random.layers[0](images).numpy()
    row = result.detectors.of(MAP, RANDOM, 1)
    expected = average_precisions(drawn[halves[1]][:, row.map], covered_shares(masks, 8)[halves[1]], np.ones((1, 20)))[
        0
    ]
    assert row.average_precision.value == pytest.approx(expected, abs=1e-6)


def test_it_is_said_that_brightness_does_as_well(tiny_model: DCGAN, scenes) -> None:
    found = rank(tiny_model, scenes).detectors
    # The squares are bright, and nothing else is.
    assert found.of("luminance").average_precision.value > 0.9
    assert "is not shown to beat" in found.sentences()
    assert found.map_gain.value == pytest.approx(
        found.best_map.average_precision.value - found.best_baseline.average_precision.value
    )
