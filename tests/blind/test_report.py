from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from dcgan_viz.blind.answers import Answer, Answers, add_answers, load_answers, open_answers, read_answer, save_answers
from dcgan_viz.blind.guessing import colour_statistics
from dcgan_viz.blind.report import covered_area, unblind
from dcgan_viz.blind.trials import AnswerKind, load_sheet, load_trial, prepare_trial, save_trial
from dcgan_viz.errors import UserError
from dcgan_viz.figures.blind import blind_figure
from dcgan_viz.statistics import paired_difference, share_estimate
from tests.blind.judged import NAMES, make_trial, place, random_answers

# The shuffle.


def test_every_latent_is_shown_once_under_every_condition_and_never_next_to_itself() -> None:
    pictures = {name: np.full((20, 4, 4, 1), 20 * c, np.uint8) for c, name in enumerate(NAMES)}
    for array in pictures.values():
        array += np.arange(20, dtype=np.uint8)[:, None, None, None]
    trial = prepare_trial(pictures, "?", "yes-no", seed=5)
    assert sorted(zip(trial.condition.tolist(), trial.pair.tolist(), strict=True)) == [
        (c, p) for c in range(3) for p in range(20)
    ]
    assert (trial.pair[1:] != trial.pair[:-1]).all()
    for picture, condition, pair in zip(trial.pictures, trial.condition, trial.pair, strict=True):
        assert (picture == 20 * condition + pair).all()


def test_the_order_is_drawn_without_looking_at_the_pictures_or_the_conditions() -> None:
    """Whatever the pictures are, the order is the same: it can tell nothing about them."""
    first, other = make_trial(seed=4), make_trial(channels=1, seed=4)
    assert np.array_equal(first.condition, other.condition)
    assert np.array_equal(first.pair, other.pair)
    assert not np.array_equal(first.condition, make_trial(seed=5).condition)


def test_over_many_seeds_every_condition_and_latent_comes_at_every_place_equally_often() -> None:
    trials = [make_trial(latents=5, seed=seed) for seed in range(1500)]
    for values, kinds in (("condition", 3), ("pair", 5)):
        orders = np.stack([getattr(trial, values) for trial in trials])
        counts = np.stack([np.bincount(column, minlength=kinds) for column in orders.T])
        expected = 1500 / kinds
        spread = math.sqrt(expected * (1 - 1 / kinds))
        assert np.abs(counts - expected).max() < 4.5 * spread
    # Nor does a picture say of which condition the next one is.
    following = sum(np.histogram2d(t.condition[:-1], t.condition[1:], bins=3)[0] for t in trials)
    shares = following / following.sum(1, keepdims=True)
    # Of the 12 pictures of other latents, 4 are of each condition.
    assert np.abs(shares - 1 / 3).max() < 0.03


@pytest.mark.parametrize(("latents", "conditions"), [(2, 2), (2, 12), (3, 12), (200, 6)])
def test_the_shuffle_ends_whatever_the_numbers(latents: int, conditions: int) -> None:
    trial = make_trial(latents=latents, conditions=conditions)
    assert len(trial.pictures) == latents * conditions
    assert (trial.pair[1:] != trial.pair[:-1]).all()


@pytest.mark.parametrize(
    ("shapes", "kind", "sentence"),
    [
        ([(4, 8, 8, 3)], "boxes", "at least two conditions"),
        ([(4, 8, 8, 3), (5, 8, 8, 3)], "boxes", "once under every condition"),
        ([(4, 8, 8, 3), (4, 9, 9, 3)], "boxes", "alike in size"),
        ([(1, 8, 8, 3), (1, 8, 8, 3)], "boxes", "at least 2"),
        ([(4, 8, 8, 3), (4, 8, 8, 3)], "stars", "choose from boxes, yes-no"),
    ],
)
def test_what_cannot_be_a_blind_trial_is_refused(shapes: list[tuple[int, ...]], kind: str, sentence: str) -> None:
    pictures = {str(c): np.zeros(shape, np.uint8) for c, shape in enumerate(shapes)}
    with pytest.raises(UserError, match=sentence):
        prepare_trial(pictures, "?", kind)  # type: ignore[arg-type]


# The folder.


@pytest.mark.parametrize("channels", [1, 3])
def test_a_trial_is_read_as_it_was_written(tmp_path: Path, channels: int) -> None:
    trial = make_trial(channels=channels)
    folder = save_trial(trial, tmp_path / "trial")
    again = load_trial(folder)
    for name in ("pictures", "condition", "pair"):
        assert np.array_equal(getattr(again, name), getattr(trial, name))
    for name in ("question", "answer_kind", "conditions", "seed", "settings", "digest"):
        assert getattr(again, name) == getattr(trial, name)
    assert load_sheet(folder).digest == trial.digest


def test_what_the_judge_is_shown_says_nothing_of_conditions(tmp_path: Path) -> None:
    folder = save_trial(make_trial(), tmp_path / "trial")
    assert set(json.loads((folder / "trial.json").read_text())) == {
        "question",
        "answer_kind",
        "count",
        "digest",
    }
    names = sorted(file.name for file in (folder / "pictures").iterdir())
    assert names == [f"{index:05}.png" for index in range(36)]
    for name in names:
        with Image.open(folder / "pictures" / name) as image:
            assert image.info == {}
    (folder / "key.json").unlink()
    assert len(load_sheet(folder).pictures) == 36


def test_a_trial_that_was_judged_is_not_replaced(tmp_path: Path) -> None:
    trial = make_trial()
    folder = save_trial(trial, tmp_path / "trial")
    with pytest.raises(UserError, match="holds an earlier result"):
        save_trial(make_trial(seed=1), folder)
    save_trial(make_trial(seed=1), folder, overwrite=True)
    assert load_trial(folder).seed == 1
    save_answers(random_answers(load_trial(folder)), folder / "answers.json")
    with pytest.raises(UserError, match="would be lost"):
        save_trial(trial, folder)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "key.json").touch()
    with pytest.raises(UserError, match=r"key\.json was not written by this command"):
        save_trial(trial, tmp_path / "thesis")


def change_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def swap_pictures(folder: Path) -> None:
    first, second = ((folder / "pictures" / f"0000{i}.png") for i in range(2))
    a, b = first.read_bytes(), second.read_bytes()
    first.write_bytes(b)
    second.write_bytes(a)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / "trial.json").unlink(), "cannot be read.*name a folder that holds a blind trial"),
        (lambda f: (f / "trial.json").write_text("{"), "damaged"),
        (lambda f: (f / "trial.json").write_text("[]"), "damaged"),
        (lambda f: (f / "trial.json").write_text("{}"), "damaged"),
        (lambda f: change_json(f / "trial.json", count="many"), "damaged"),
        (lambda f: change_json(f / "trial.json", count=0), "damaged"),
        (lambda f: change_json(f / "trial.json", count=5), "not those that were written"),
        (lambda f: change_json(f / "trial.json", answer_kind="stars"), "damaged"),
        (lambda f: change_json(f / "trial.json", question="Is it nice?"), "not those that were written"),
        (lambda f: (f / "pictures" / "00003.png").unlink(), "00003.png is missing or damaged"),
        (lambda f: (f / "pictures" / "00003.png").write_bytes(b"\x89PNG no"), "00003.png is missing or damaged"),
        (swap_pictures, "not those that were written"),
        (lambda f: (f / "key.json").unlink(), "key.json cannot be read"),
        (lambda f: (f / "key.json").write_text("{}"), "key.json is damaged"),
        (lambda f: change_json(f / "key.json", trial="0" * 64), "key of another trial"),
        (lambda f: change_json(f / "key.json", condition=[0, 1]), "every latent once"),
        (lambda f: change_json(f / "key.json", condition=[0] * 36), "every latent once"),
        (lambda f: change_json(f / "key.json", pair=[99] * 36), "every latent once"),
        (lambda f: change_json(f / "key.json", conditions=[]), "damaged"),
        (lambda f: change_json(f / "key.json", pair=["a"] * 36), "damaged"),
        (lambda f: change_json(f / "key.json", settings=3), "damaged"),
    ],
)
def test_a_damaged_or_foreign_trial_is_refused(tmp_path: Path, damage: Callable[[Path], object], sentence: str) -> None:
    folder = save_trial(make_trial(), tmp_path / "trial")
    damage(folder)
    with pytest.raises(UserError, match=sentence):
        load_trial(folder)


# The answers.


@pytest.mark.parametrize("kind", ["boxes", "yes-no"])
def test_answers_are_read_as_they_were_written(tmp_path: Path, kind: AnswerKind) -> None:
    trial = make_trial(kind)
    answers = random_answers(trial, share=0.7)
    path = save_answers(answers, tmp_path / "answers.json")
    assert load_answers(path, trial) == answers
    assert [f.name for f in tmp_path.iterdir()] == ["answers.json"]
    assert load_answers(path, trial).but(0, None).given.keys() == answers.given.keys() - {0}


@pytest.mark.parametrize(
    ("kind", "data", "sentence"),
    [
        ("yes-no", "maybe", "must be yes, no or unclear"),
        ("yes-no", [[1, 1, 2, 2]], "must be yes, no or unclear"),
        ("boxes", "yes", r"as a list of \[left"),
        ("boxes", {"a": 1}, "at most 200"),
        ("boxes", [[1, 1, 2, 2]] * 201, "at most 200"),
        ("boxes", [[1, 1, 2]], r"a box is \[left, top, width, height\]"),
        ("boxes", [[1, 1, None, 2]], "a box is"),
        ("boxes", [3], "a box is"),
        ("boxes", [[10, 10, 9, 2]], "does not lie in the 16x16"),
        ("boxes", [[-1, 1, 2, 2]], "does not lie in"),
        ("boxes", [[1, 1, 0, 2]], "does not lie in"),
        ("boxes", [[1, 1, float("nan"), 2]], "does not lie in"),
        ("boxes", [[1, 1, float("inf"), 2]], "does not lie in"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(kind: AnswerKind, data: object, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_answer(data, make_trial(kind))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "does not hold the answers"),
        ("[1]", "does not hold the answers"),
        ('{"trial": "TRIAL", "answers": {}}', "contributor"),
        ('{"trial": "TRIAL", "contributor": "me", "answers": {"first": []}}', "does not hold the answers"),
        ('{"trial": "TRIAL", "contributor": "me", "answers": 5}', "does not hold the answers"),
        ('{"trial": "TRIAL", "contributor": "me", "answers": {"36": []}}', "answers picture 36, and there are 36"),
        ('{"trial": "TRIAL", "contributor": "me", "answers": {"-1": []}}', "answers picture -1"),
        ('{"trial": "TRIAL", "contributor": "me", "answers": {"3": "yes"}}', "picture 3: at most 200"),
        ('{"trial": "other", "contributor": "me", "answers": {}}', "answers another trial"),
        ("[" * 100_000, "does not hold the answers"),
    ],
)
def test_damaged_foreign_and_incomplete_answers_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    trial = make_trial()
    path = tmp_path / "answers.json"
    path.write_text(text.replace("TRIAL", trial.digest))
    with pytest.raises(UserError, match=sentence):
        load_answers(path, trial)


def test_answers_are_added_to_those_of_the_same_judge_alone(tmp_path: Path) -> None:
    trial, own, file = make_trial("yes-no"), tmp_path / "own.json", tmp_path / "file.json"
    save_answers(Answers(trial.digest, "me", {4: "no", 2: "yes"}), file)
    assert add_answers(file, own, trial).given == {2: "yes", 4: "no"}
    save_answers(Answers(trial.digest, "me", {4: "unclear", 0: "no"}), file)
    assert list(add_answers(file, own, trial).given.items()) == [(0, "no"), (2, "yes"), (4, "unclear")]
    assert load_answers(own, trial).contributor == "me"
    before = own.read_bytes()
    save_answers(Answers(trial.digest, "another", {1: "yes"}), file)
    with pytest.raises(UserError, match="holds the answers of me, and another would mix in others"):
        add_answers(file, own, trial)
    assert own.read_bytes() == before
    assert open_answers(own, trial).contributor == "me"


# The numbers.


def slow_area(boxes: Answer, size: int = 16, fine: int = 2) -> float:
    """Counts the half pixels that lie in a box."""
    found = 0
    for y in range(size * fine):
        for x in range(size * fine):
            cx, cy = (x + 0.5) / fine, (y + 0.5) / fine
            found += any(left < cx < left + w and top < cy < top + h for left, top, w, h in boxes)
    return found / fine**2


def test_overlapping_boxes_cover_their_area_once() -> None:
    assert covered_area(()) == 0
    assert covered_area([(1, 1, 2, 3)]) == 6
    assert covered_area([(1, 1, 2, 3), (1, 1, 2, 3)]) == 6
    random = np.random.default_rng(0)
    for _ in range(20):
        corners, sides = random.integers(0, 16, (6, 2)) / 2, random.integers(1, 16, (6, 2)) / 2
        boxes = tuple(tuple(row) for row in np.concatenate([corners, sides], 1).tolist())
        assert covered_area(boxes) == pytest.approx(slow_area(boxes))


def slow_mcnemar(gained: int, lost: int) -> float:
    """Both tails of a fair coin, by counting."""
    total, fewer = gained + lost, min(gained, lost)
    return min(1.0, 2 * sum(math.comb(total, k) for k in range(fewer + 1)) / 2**total)


@pytest.mark.parametrize(("kind", "share"), [("boxes", 1.0), ("boxes", 0.6), ("yes-no", 1.0), ("yes-no", 0.6)])
def test_the_report_counts_as_one_would_by_hand(kind: AnswerKind, share: float) -> None:
    trial = make_trial(kind, latents=30)
    answers = random_answers(trial, share=share)
    result = unblind(trial, answers)
    assert (result.judged, result.missing) == (len(answers.given), 90 - len(answers.given))
    assert [presence.condition for presence in result.presences] == list(NAMES)

    def shows(condition: int, pair: int) -> bool | None:
        answer = answers.given.get(place(trial, condition, pair), "unclear")
        return None if answer == "unclear" else answer not in ("no", ())

    def area(condition: int, pair: int) -> float:
        answer = answers.given[place(trial, condition, pair)]
        return slow_area(answer) / 256

    for number, presence in enumerate(result.presences):
        seen = [p for p in range(30) if shows(number, p) is not None]
        yes = [p for p in seen if shows(number, p)]
        judged = [p for p in range(30) if place(trial, number, p) in answers.given]
        assert (presence.pictures, presence.judged) == (30, len(judged))
        assert (presence.present, presence.unclear) == (len(yes), len(judged) - len(seen))
        assert presence.share == share_estimate(len(yes), len(seen), over="clear pictures")
        if kind == "boxes":
            assert presence.area is not None
            assert presence.area.value == pytest.approx(sum(area(number, p) for p in seen) / len(seen))
            assert presence.area.low < presence.area.value < presence.area.high
        else:
            assert presence.area is None

    assert [(d.condition, d.reference) for d in result.differences] == [
        (NAMES[1], NAMES[0]),
        (NAMES[2], NAMES[0]),
        (NAMES[2], NAMES[1]),
    ]
    for (later, earlier), difference in zip([(1, 0), (2, 0), (2, 1)], result.differences, strict=True):
        both = [p for p in range(30) if shows(later, p) is not None and shows(earlier, p) is not None]
        changes = [int(bool(shows(later, p))) - int(bool(shows(earlier, p))) for p in both]
        assert difference.pairs == len(both)
        assert difference.share.value == pytest.approx(sum(changes) / len(both))
        assert (difference.gained, difference.lost) == (changes.count(1), changes.count(-1))
        assert difference.p_value == pytest.approx(slow_mcnemar(difference.gained, difference.lost))
        if kind == "boxes":
            areas = [area(later, p) - area(earlier, p) for p in both]
            assert difference.area.value == pytest.approx(sum(areas) / len(areas))
        else:
            assert difference.area is None


def test_the_paired_interval_resamples_latents_with_all_their_pictures() -> None:
    trial = make_trial(latents=40)
    answers = random_answers(trial, unclear=0)
    result = unblind(trial, answers)
    random = np.random.default_rng(99)
    shares, areas = [], []
    verdicts = [[len(answers.given[place(trial, c, p)]) > 0 for c in range(3)] for p in range(40)]
    covered = [[slow_area(answers.given[place(trial, c, p)]) / 256 for c in range(3)] for p in range(40)]
    for _ in range(4000):
        drawn = random.integers(0, 40, 40)
        shares.append(sum(verdicts[p][1] for p in drawn) / 40 - sum(verdicts[p][0] for p in drawn) / 40)
        areas.append(sum(covered[p][1] - covered[p][0] for p in drawn) / 40)
    difference = result.differences[0]
    # The score interval is not the bootstrap's, but near it where there are many pairs.
    assert difference.share.low == pytest.approx(np.quantile(shares, 0.025), abs=0.06)
    assert difference.share.high == pytest.approx(np.quantile(shares, 0.975), abs=0.06)
    assert difference.area is not None
    assert difference.area.low == pytest.approx(np.quantile(areas, 0.025), abs=0.01)
    assert difference.area.high == pytest.approx(np.quantile(areas, 0.975), abs=0.01)
    # With everything judged, the differences of the shares are the share of the differences.
    assert difference.share.value == pytest.approx(result.presences[1].share.value - result.presences[0].share.value)


def test_the_report_does_not_depend_on_the_order_in_which_pictures_were_shown() -> None:
    results = []
    for seed in (0, 1):
        trial = make_trial(seed=seed)
        given = {
            place(trial, c, p): (((1.0, 1.0, 2.0, 2.0),) if (c + p) % 3 else ()) for c in range(3) for p in range(12)
        }
        results.append(unblind(trial, Answers(trial.digest, "me", given)))
    assert [p.share for p in results[0].presences] == [p.share for p in results[1].presences]
    assert [d.share for d in results[0].differences] == [d.share for d in results[1].differences]


@pytest.mark.slow
def test_a_report_without_pairs_says_that_nothing_is_known(tmp_path: Path) -> None:
    trial = make_trial()
    result = unblind(trial, Answers(trial.digest, "me", {place(trial, 0, 3): (), place(trial, 1, 4): "unclear"}))
    first, second, third = result.presences
    assert first.share == share_estimate(0, 1, over="clear pictures")
    assert math.isnan(second.share.value)
    assert (second.judged, second.unclear, third.judged) == (1, 1, 0)
    assert all(difference.pairs == 0 and difference.p_value == 1 for difference in result.differences)
    result.save(tmp_path / "result", {"blind": blind_figure(result)})
    text = (tmp_path / "result" / "result.json").read_text()
    saved = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert [saved["differences"][0]["share"][name] for name in ("value", "low", "n")] == [None, None, 0]
    assert saved["presences"][1]["share"]["high"] is None


def test_no_answers_and_answers_of_another_trial_make_no_report() -> None:
    trial = make_trial()
    with pytest.raises(UserError, match="nothing has been judged"):
        unblind(trial, Answers(trial.digest))
    with pytest.raises(UserError, match="belong to another trial"):
        unblind(trial, random_answers(make_trial(latents=5)))


def test_a_report_keeps_what_it_was_made_of() -> None:
    trial = make_trial()
    answers = random_answers(trial, share=0.8)
    result = unblind(trial, answers)
    assert np.flatnonzero(result.answered).tolist() == list(answers.given)
    for index, answer in answers.given.items():
        rows = result.boxes[result.boxes[:, 0] == index, 1:]
        assert rows.tolist() == ([] if answer == "unclear" else [list(box) for box in answer])
    assert result.settings["model"] == "tiny"
    assert result.settings["trial"] == trial.digest
    assert unblind(trial, answers).numbers() == result.numbers()


# The figure.


def test_unclear_counts_as_not_there_in_a_test_of_its_own() -> None:
    trial = make_trial("yes-no", latents=40)
    answers = random_answers(trial, unclear=0.3, share=0.9)
    result = unblind(trial, answers)
    for change in result.differences:
        later, earlier = (trial.conditions.index(name) for name in (change.condition, change.reference))
        gained = lost = both = left_out = 0
        for pair in range(40):
            said = [answers.given.get(place(trial, c, pair)) for c in (later, earlier)]
            if None in said:
                continue
            both += 1
            left_out += "unclear" in said
            gained += said[0] == "yes" and said[1] != "yes"
            lost += said[1] == "yes" and said[0] != "yes"
        assert change.unclear == left_out > 0
        assert change.with_unclear == paired_difference(gained, lost, both, over="sets that were judged under both")
        assert change.p_with_unclear == pytest.approx(binomtest(gained, gained + lost).pvalue)


def test_colours_give_conditions_away_only_where_they_differ() -> None:
    alike = unblind(make_trial(latents=60), random_answers(make_trial(latents=60))).guesser
    assert alike.chance == pytest.approx(1 / 3)
    assert alike.accuracy.low < 1 / 3
    assert "not shown to be more than chance" in alike.sentence
    random = np.random.default_rng(0)
    drawn = random.integers(0, 200, (30, 8, 8, 3), dtype=np.uint8)
    trial = prepare_trial({"as drawn": drawn, "brighter": drawn + np.uint8(40)}, "?", "yes-no")
    found = unblind(trial, Answers(trial.digest, "me", {0: "yes"})).guesser
    assert found.accuracy.value > 0.95
    # Every picture of a latent is in one fold: what is learned of one says nothing of the same seen brighter.
    slow = 0
    statistics = colour_statistics(trial.pictures)
    for train, test in GroupKFold(5).split(statistics, groups=trial.pair):
        scale = statistics[train].mean(0), statistics[train].std(0)
        model = LogisticRegression(max_iter=1000).fit((statistics[train] - scale[0]) / scale[1], trial.condition[train])
        slow += (model.predict((statistics[test] - scale[0]) / scale[1]) == trial.condition[test]).sum()
    assert found.accuracy.value == pytest.approx(slow / 60)
