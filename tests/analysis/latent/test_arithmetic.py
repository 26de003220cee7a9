from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from dcgan_viz.analysis.latent.arithmetic import (
    BASELINES,
    NOISE_AND_TRIALS,
    ORDINARY,
    RESAMPLED,
    Arithmetic,
    add_pictures,
    arithmetic,
    blind_trial,
)
from dcgan_viz.annotations.concepts import Concepts
from dcgan_viz.data.images import to_pixels, to_tensor
from dcgan_viz.errors import UserError
from dcgan_viz.figures.latent.arithmetic import arithmetic_figure
from dcgan_viz.judges.classifier import Classifier, ClassifierCard, classify, measure_accuracy
from dcgan_viz.judges.classifier_network import ClassifierNetwork
from dcgan_viz.model import DCGAN
from dcgan_viz.networks import dcgan
from dcgan_viz.statistics import share_estimate, stream
from tests.concepts import EXPRESSION, people


@pytest.fixture
def concepts(tiny_model: DCGAN) -> Concepts:
    return people(tiny_model)


@pytest.fixture
def classifier(tiny_model: DCGAN) -> Classifier:
    """Untrained, but of two minds about the model's samples."""
    torch.manual_seed(1)
    network = ClassifierNetwork(3, 2, (4, 4, 4, 4)).eval()
    with torch.no_grad():
        network.head.weight.mul_(1000)
        scores = network(tiny_model.sample(100, seed=77))
        network.head.bias[0] -= (scores[:, 0] - scores[:, 1]).median()
    truth = np.array([0, 1, 1, 0])
    accuracies = (measure_accuracy(np.eye(2, dtype=np.float32)[truth], truth, "all"),)
    return Classifier(network, ClassifierCard(("man", "woman"), 16, 3, accuracies=accuracies))


@pytest.fixture
def result(tiny_model: DCGAN, concepts: Concepts) -> Arithmetic:
    return arithmetic(tiny_model, concepts, EXPRESSION, trials=4, wanted="smiling man", seed=3)


def draw(model: DCGAN, latent: list[float]) -> np.ndarray:
    """One picture, alone in its batch."""
    with torch.no_grad():
        return to_pixels(model.generator(torch.tensor([latent], dtype=torch.float32)))[0]


def slow_sum(latents: list[list[list[float]]], signs: list[int]) -> list[float]:
    """Mean of each list of latents, times its sign, added up, number by number."""
    total = [0.0] * len(latents[0][0])
    for sign, group in zip(signs, latents, strict=True):
        for place in range(len(total)):
            total[place] += sign * sum(latent[place] for latent in group) / len(group)
    return total


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Other batches and orders of addition round differently by one grey level."""
    return a.shape == b.shape and bool(np.abs(a.astype(int) - b.astype(int)).max() <= 1)


def test_the_result_is_the_slow_sum_of_mean_latents(tiny_model: DCGAN, result: Arithmetic) -> None:
    everything = tiny_model.latents(40, 11).tolist()
    groups = [[everything[i] for i in numbers] for numbers in ((7, 2, 5), (1, 3, 4), (8, 6, 9))]
    total = slow_sum(groups, [1, -1, 1])
    assert result.latent.tolist() == pytest.approx(total, abs=1e-6)
    assert result.expression == "smiling woman − woman + man"
    assert [(o.sign, o.concept, o.exemplars) for o in result.operands] == [
        (1, "smiling woman", (7, 2, 5)),
        (-1, "woman", (1, 3, 4)),
        (1, "man", (8, 6, 9)),
    ]
    assert close(result.picture, draw(tiny_model, total))
    for column, group in enumerate(groups):
        assert close(result.averages[column], draw(tiny_model, slow_sum([group], [1])))
        for row, latent in enumerate(group):
            assert close(result.exemplars[column, row], draw(tiny_model, latent))
    assert result.reach.farthest == pytest.approx(max(abs(x) for x in total), abs=1e-6)
    assert result.reach.outside == sum(abs(x) > 1 for x in total) / len(total)
    assert result.reach.length == pytest.approx((sum(x * x for x in total) / len(total) * 3) ** 0.5, abs=1e-5)
    clamped = draw(tiny_model, [min(max(x, -1), 1) for x in total])
    assert result.clamping == pytest.approx(np.abs(result.picture.astype(float) - clamped).mean(), abs=0.5)


def test_the_arithmetic_on_pixels_is_that_of_mean_pictures(result: Arithmetic) -> None:
    picture = np.zeros(result.picture.shape)
    for (row, column, channel), _ in np.ndenumerate(picture):
        total = 0.0
        for sign, group in zip((1, -1, 1), result.exemplars, strict=True):
            total += sign * sum(int(shown[row, column, channel]) for shown in group) / 3
        picture[row, column, channel] = min(max(total, 0), 255)
    assert np.abs(result.pixel_picture - picture).max() <= 0.5
    assert np.abs(result.pixel_averages - result.exemplars.astype(float).mean(1)).max() <= 0.5


def test_pictures_are_added_over_black_and_clipped() -> None:
    exemplars = np.array([[[200], [100]], [[40], [60]], [[150], [250]]], np.uint8).reshape(3, 2, 1, 1, 1)
    assert add_pictures(exemplars, [1, -1, 0]).item() == 100
    assert add_pictures(exemplars, [1, 0, 1]).item() == 255
    assert add_pictures(exemplars, [-1, 0, 0]).item() == 0


def test_neighbours_differ_by_the_papers_noise(tiny_model: DCGAN, result: Arithmetic) -> None:
    noise = np.random.default_rng(stream(3, NOISE_AND_TRIALS)).uniform(-0.25, 0.25, (8, 8))
    for shown, offset in zip(result.neighbours, noise, strict=True):
        assert close(shown, draw(tiny_model, (result.latent + offset).tolist()))


def test_a_trial_draws_three_of_each_concept_anew(tiny_model: DCGAN, concepts: Concepts, result: Arithmetic) -> None:
    random = np.random.default_rng(stream(3, NOISE_AND_TRIALS))
    random.uniform(-0.25, 0.25, (8, 8))
    everything = tiny_model.latents(40, 11).numpy()
    for trial in range(4):
        moved = {}
        for name in ("smiling woman", "woman", "man", "smiling man"):
            pool = concepts.exemplars[name]
            chosen = random.choice(len(pool), 3, replace=False)
            assert len(set(chosen.tolist())) == 3
            moved[name] = [
                everything[pool[i]] + e for i, e in zip(chosen, random.uniform(-0.25, 0.25, (3, 8)), strict=True)
            ]
        groups = [[z.tolist() for z in moved[name]] for name in ("smiling woman", "woman", "man")]
        assert close(result.trials[trial], draw(tiny_model, slow_sum(groups, [1, -1, 1])))
        single = slow_sum([group[:1] for group in groups], [1, -1, 1])
        assert close(result.single_trials[trial], draw(tiny_model, single))
        shown = np.stack([np.stack([draw(tiny_model, z) for z in group]) for group in groups])
        assert close(result.pixel_trials[trial], add_pictures(shown, [1, -1, 1]))
        assert close(result.alone_trials[trial], draw(tiny_model, slow_sum(groups[2:], [1])))
        # The others replaced by random latents, six for each trial.
        other = tiny_model.latents(4 * 6, stream(3, BASELINES)).numpy()[6 * trial : 6 * trial + 6]
        replaced = [[z.tolist() for z in other[:3]], [z.tolist() for z in other[3:]], groups[2]]
        assert close(result.random_trials[trial], draw(tiny_model, slow_sum(replaced, [1, -1, 1])))
        assert close(result.controls[0, trial], draw(tiny_model, moved["smiling man"][1].tolist()))
        assert close(result.controls[1, trial], draw(tiny_model, moved["smiling woman"][1].tolist()))


def test_the_instability_is_the_change_from_trial_to_trial(result: Arithmetic) -> None:
    for pictures, found in ((result.trials, result.instability), (result.single_trials, result.single_instability)):
        pairs = [(0, 1), (1, 2), (2, 3), (3, 0)]
        expected = np.mean([np.abs(pictures[a].astype(int) - pictures[b].astype(int)).mean() for a, b in pairs])
        assert found == pytest.approx(expected)


def test_seeds_reproduce_and_trials_do_not_depend_on_how_many_there_are(
    tiny_model: DCGAN, concepts: Concepts, result: Arithmetic
) -> None:
    again = arithmetic(tiny_model, concepts, EXPRESSION, trials=4, wanted="smiling man", seed=3)
    assert again.numbers() == result.numbers()
    for name, array in result.arrays().items():
        assert np.array_equal(array, again.arrays()[name])
    more = arithmetic(tiny_model, concepts, EXPRESSION, trials=7, wanted="smiling man", seed=3)
    assert np.array_equal(more.trials[:4], result.trials)
    assert np.array_equal(more.picture, result.picture)
    other = arithmetic(tiny_model, concepts, EXPRESSION, trials=4, seed=4)
    assert np.array_equal(other.picture, result.picture)
    assert not np.array_equal(other.trials, result.trials)


def test_three_means_of_three_are_as_long_as_one_z_and_partly_outside(make_model: Callable[..., DCGAN]) -> None:
    """The paper's recipe has the prior's variance: 3 terms times 1/3, and the rest follows from the normal law."""
    model = make_model(dcgan(16, width=4, latent_dim=4000))
    picked = {"a": (0, 1, 2), "b": (3, 4, 5), "c": (6, 7, 8)}
    result = arithmetic(model, Concepts(0, 9, model.generator_digest(), exemplars=picked), "a - b + c", trials=2)
    assert result.reach.length == pytest.approx(1, abs=0.05)
    assert result.reach.outside == pytest.approx(0.083, abs=0.02)
    assert result.single_reach.length == pytest.approx(3**0.5, abs=0.05)


def test_a_concept_less_itself_leaves_the_other(tiny_model: DCGAN, concepts: Concepts) -> None:
    alone = arithmetic(tiny_model, concepts, "man", trials=2)
    cancelled = arithmetic(tiny_model, concepts, "woman - woman + man", trials=2)
    assert np.allclose(alone.latent, cancelled.latent, atol=1e-6)
    assert close(alone.pixel_picture, cancelled.pixel_picture)


def test_a_gaussian_prior_has_no_cube(make_model: Callable[..., DCGAN]) -> None:
    model = make_model(dcgan(16, width=4, latent_dim=400, prior="normal"))
    concepts = Concepts(0, 3, model.generator_digest(), exemplars={"a": (0, 1, 2)})
    result = arithmetic(model, concepts, "a", trials=2)
    assert result.clamping == 0
    assert result.reach.length == pytest.approx(3**-0.5, abs=0.1)
    assert "not kept in the prior" not in arithmetic_figure(result).said


@pytest.mark.slow
def test_the_classifier_counts_every_condition(tiny_model: DCGAN, concepts: Concepts, classifier: Classifier) -> None:
    result = arithmetic(tiny_model, concepts, EXPRESSION, trials=9, wanted="smiling man", expected={"man": classifier})
    (measurement,) = result.measurements
    rates = {rate.condition: rate for rate in measurement.rates}
    assert list(rates) == [
        "arithmetic on z",
        "man alone",
        "random means + man",
        "on single exemplars",
        "on pixels",
        "exemplars of smiling woman",
        "exemplars of woman",
        "exemplars of man",
        "exemplars of smiling man",
        "ordinary samples",
    ]
    by_hand = classify(classifier, to_tensor(result.trials))
    rate = rates["arithmetic on z"]
    assert (rate.pictures, rate.present) == (9, sum(p[0] >= p[1] for p in by_hand.tolist()))
    assert rate.share == share_estimate(rate.present, 9, over="pictures")
    assert rates["exemplars of smiling man"].pictures == 5
    assert rates["on pixels"].over_exemplars is None
    shown = [classify(classifier, to_tensor(p)).argmax(1) == 0 for p in (result.trials, result.alone_trials)]
    ahead = measurement.ahead[0]
    assert ahead.baseline == "man alone"
    assert (ahead.gained, ahead.lost) == ((shown[0] & ~shown[1]).sum(), (shown[1] & ~shown[0]).sum())
    assert ahead.difference.value == pytest.approx(shown[0].mean() - shown[1].mean())
    ordinary = classify(classifier, tiny_model.sample(500, stream(0, ORDINARY)))
    assert rates["ordinary samples"].share.value == pytest.approx((ordinary[:, 0] >= ordinary[:, 1]).mean(), abs=0.02)
    assert 0 < rates["ordinary samples"].share.value < 1
    figure = arithmetic_figure(result)
    assert "100.0 %" in figure.said
    labels = [t.get_text() for axis in figure.axes for t in axis.get_yticklabels()]
    assert "exemplars of smiling man" in labels


@pytest.mark.slow
def test_several_classes_are_also_asked_for_at_once(
    tiny_model: DCGAN, concepts: Concepts, classifier: Classifier
) -> None:
    # What smiles is told by a classifier of its own: here of the opposite class, with which "both" can never be.
    other = Classifier(classifier.network, replace(classifier.card, classes=("neutral", "smiling"), accuracies=()))
    both = {"man": classifier, "smiling": other}
    result = arithmetic(tiny_model, concepts, EXPRESSION, trials=9, resamples=4, expected=both)
    alone = arithmetic(tiny_model, concepts, EXPRESSION, trials=9, resamples=4, expected={"man": classifier})
    man, smiling, at_once = result.measurements
    assert man == alone.measurements[0]
    assert [m.expected for m in result.measurements] == ["man", "smiling", "man and smiling"]
    assert [a.present + b.present for a, b in zip(man.rates, smiling.rates, strict=True)] == [
        rate.pictures for rate in man.rates
    ]
    assert all(rate.present == 0 for rate in at_once.rates)
    assert at_once.accuracies == ()
    same = {
        "man": classifier,
        "also man": Classifier(classifier.network, replace(classifier.card, classes=("also man", "?"))),
    }
    again = arithmetic(tiny_model, concepts, EXPRESSION, trials=9, resamples=4, expected=same)
    assert again.measurements[2].rates == again.measurements[0].rates == man.rates
    panels = [axis.get_xlabel() for axis in arithmetic_figure(result).axes if "called" in axis.get_xlabel()]
    assert panels == [
        "share that is called “man”",
        "share that is called “smiling”",
        "share that is called “man and smiling”",
    ]


def test_exemplars_are_drawn_anew_for_an_interval_of_their_own(
    tiny_model: DCGAN, concepts: Concepts, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcgan_viz.analysis.latent.arithmetic.RESAMPLED_TRIALS", 5)
    options = {"expected": {"man": classifier}}
    result = arithmetic(tiny_model, concepts, "woman + man", trials=3, resamples=8, seed=3, **options)
    random, everything = np.random.default_rng(stream(stream(3, RESAMPLED), 0)), tiny_model.latents(40, 11).numpy()
    shares = []
    for _ in range(8):
        again = {}
        for name in ("woman", "man"):
            pool = np.array(concepts.exemplars[name])
            again[name] = pool[random.integers(0, len(pool), len(pool))]
        seen = []
        for _ in range(5):
            total = np.zeros(8)
            for pool in again.values():
                chosen = random.choice(len(pool), 3, replace=False)
                total += (everything[pool[chosen]] + random.uniform(-0.25, 0.25, (3, 8))).mean(0)
            with torch.no_grad():
                picture = tiny_model.generator(torch.from_numpy(total.astype(np.float32))[None])
            seen.append(classify(classifier, to_tensor(to_pixels(picture))).argmax() == 0)
        shares.append(np.mean(seen))
    low, high = np.quantile(shares, [0.025, 0.975])
    found = result.measurements[0].rates[0].over_exemplars
    assert (found.low, found.high) == pytest.approx((low, high))
    # Without a last term that is added to, there is nothing to be ahead of.
    less = arithmetic(tiny_model, concepts, "woman - man", trials=2, resamples=2, **options)
    assert less.measurements[0].ahead == ()
    assert len(less.alone_trials) == 0


def test_a_blind_trial_holds_one_picture_of_every_condition_a_trial(result: Arithmetic) -> None:
    trial = blind_trial(result, seed=5)
    assert trial.conditions == (
        "arithmetic on z",
        "arithmetic on pixels",
        "exemplars of smiling man",
        "exemplars of smiling woman",
    )
    assert trial.question == "Does this picture show: smiling man?"
    expected = [result.trials, result.pixel_trials, result.controls[0], result.controls[1]]
    for picture, condition, pair in zip(trial.pictures, trial.condition, trial.pair, strict=True):
        assert np.array_equal(picture, expected[condition][pair])
    assert blind_trial(result, question="Is it he?").question == "Is it he?"


@pytest.mark.parametrize(
    ("expression", "options", "message"),
    [
        ("smiling person", {}, "no concept 'smiling person': choose from"),
        ("man + hat", {}, "'hat' has 2 exemplars and needs at least 3"),
        ("man", {"wanted": "dog"}, "no concept 'dog'"),
        ("man", {"trials": 1}, "at least 2"),
    ],
)
def test_wrong_requests_are_refused(
    tiny_model: DCGAN, concepts: Concepts, expression: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        arithmetic(tiny_model, concepts, expression, **options)


def test_other_weights_classes_and_missing_controls_are_refused(
    tiny_model: DCGAN, concepts: Concepts, classifier: Classifier
) -> None:
    with pytest.raises(UserError, match="other weights"):
        arithmetic(tiny_model, replace(concepts, generator_digest="0" * 64), "man")
    with pytest.raises(UserError, match="knows no 'dog': choose from man, woman"):
        arithmetic(tiny_model, concepts, "man", expected={"dog": classifier})
    with pytest.raises(UserError, match="needs a positive control"):
        blind_trial(arithmetic(tiny_model, concepts, "man", trials=2))
