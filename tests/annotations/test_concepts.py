from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dcgan_viz.annotations.concepts import (
    Concepts,
    check_exemplars,
    check_name,
    find_concepts,
    load_concepts,
    open_concepts,
    save_concepts,
)
from dcgan_viz.errors import UserError
from dcgan_viz.model import DCGAN, load


@pytest.fixture
def concepts(tiny_model: DCGAN) -> Concepts:
    picked = {"smiling woman": (7, 2, 5), "mañana": (1,), "red-haired man": (0, 3, 4, 9)}
    return Concepts(11, 10, tiny_model.generator_digest(), "a tester", "by hand", picked)


def test_concepts_survive_saving_and_loading_in_their_order(concepts: Concepts, tmp_path: Path) -> None:
    path = save_concepts(concepts, tmp_path / "concepts.json")
    assert load_concepts(path) == concepts
    assert list(load_concepts(path).exemplars) == ["smiling woman", "mañana", "red-haired man"]
    assert '"smiling woman": [7, 2, 5]' in path.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["concepts.json"]
    assert load_concepts(save_concepts(replace(concepts, exemplars={}), path)).exemplars == {}


def test_latents_are_those_of_the_numbered_samples(concepts: Concepts, tiny_model: DCGAN) -> None:
    latents = concepts.latents(tiny_model, "smiling woman")
    everything = tiny_model.latents(10, seed=11)
    assert torch.equal(latents, torch.stack([everything[7], everything[2], everything[5]]))


def test_unknown_concepts_list_those_that_are_known(concepts: Concepts) -> None:
    with pytest.raises(UserError, match=r"no concept 'man': choose from smiling woman \(3\), mañana \(1\), red-h"):
        concepts.of("man")
    with pytest.raises(UserError, match="'mañana' has 1 exemplars and needs at least 3"):
        concepts.of("mañana")
    with pytest.raises(UserError, match="needs at least 4"):
        concepts.of("smiling woman", 4)
    with pytest.raises(UserError, match="none is named yet"):
        replace(concepts, exemplars={}).of("man")


def test_concepts_of_other_weights_are_refused(concepts: Concepts, tiny_model: DCGAN) -> None:
    concepts.check_belongs_to(tiny_model)
    with pytest.raises(UserError, match="other weights"):
        replace(concepts, generator_digest="0" * 64).check_belongs_to(tiny_model)


def test_concepts_lie_beside_the_model(concepts: Concepts, tiny_folder: Path, tmp_path: Path) -> None:
    model = load(tiny_folder)
    with pytest.raises(UserError, match="comes without concepts"):
        find_concepts(model)
    mine = replace(concepts, generator_digest=model.generator_digest())
    save_concepts(mine, tiny_folder / "concepts.json")
    assert find_concepts(model) == mine
    other = save_concepts(replace(mine, generator_digest="0" * 64), tmp_path / "other.json")
    with pytest.raises(UserError, match="other weights"):
        find_concepts(model, other)


def test_a_file_is_gone_on_with(concepts: Concepts, tiny_model: DCGAN, tmp_path: Path) -> None:
    path = tmp_path / "concepts.json"
    new = open_concepts(tiny_model, path, count=30, seed=4, contributor="me", method="by eye")
    assert (new.count, new.seed, new.contributor, new.method, dict(new.exemplars)) == (30, 4, "me", "by eye", {})
    save_concepts(concepts, path)
    same = open_concepts(tiny_model, path, count=5, seed=4, contributor="me", method="by eye")
    assert same == concepts
    assert open_concepts(tiny_model, path, count=50, method="by eye") == replace(concepts, count=50)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "woman + man",
        "a - b",
        "-man",
        "man-",
        "a−b",
        "a–b",
        'the "man"',
        "'man'",
        "a=b",
        "---",
        "x" * 61,
        "a\x00b",
    ],
)
def test_names_that_expressions_cannot_hold_are_refused(name: str) -> None:
    with pytest.raises(UserError):
        check_name(name)


@pytest.mark.parametrize("name", ["woman", "red-haired woman", "man's hat", "l'homme", "3 windows", "眼鏡"])
def test_names_may_be_words_of_any_language(name: str) -> None:
    assert check_name(f"  {name} ") == name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "named lists"),
        ({"a": 3}, "must be a list of sample numbers"),
        ({"a": [1.0]}, "must be a list of sample numbers"),
        ({"a": [True]}, "must be a list of sample numbers"),
        ({"a": [10]}, "names sample 10, and there are 10"),
        ({"a": [-1]}, "names sample -1"),
        ({"a": [1, 2, 1]}, "names a sample twice"),
        ({"a b": [1], "a  b": [2]}, "two concepts 'a b'"),
        ({"a + b": [1]}, "holds a sign"),
    ],
)
def test_wrong_exemplars_are_refused(data: object, message: str, concepts: Concepts, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        check_exemplars(data, 10)
    path = save_concepts(concepts, tmp_path / "concepts.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "concepts": data}))
    with pytest.raises(UserError, match=rf"concepts.json: .*{message}"):
        load_concepts(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3", '{"seed": 1, "count": 5}', "[" * 100_000])
def test_files_that_hold_no_concepts_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "concepts.json"
    path.write_text(text)
    with pytest.raises(UserError, match="holds no concepts"):
        load_concepts(path)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        load_concepts(tmp_path / "missing.json")


@pytest.mark.parametrize("change", [{"seed": -1}, {"seed": "1"}, {"count": 0}, {"count": 10**9}, {"count": 1.5}])
def test_numbers_that_are_no_samples_are_refused(change: dict[str, object], concepts: Concepts, tmp_path: Path) -> None:
    path = save_concepts(concepts, tmp_path / "concepts.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=r"are not numbers of samples|expected a whole number"):
        load_concepts(path)
