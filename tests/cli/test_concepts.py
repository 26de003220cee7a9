from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_viz.annotations.concepts import load_concepts
from dcgan_viz.data.images import to_pixels
from dcgan_viz.model import load


def test_concepts_are_named_by_number(run, tiny_folder: Path) -> None:
    line = ["concepts", "--model", tiny_folder, "--contributor", "me"]
    outcome = run(*line, "--set", "smiling woman=3,17,42", "--set", "man=1-4", "--seed", 6)
    assert outcome.exit_code == 0, outcome.output
    assert "smiling woman (3), man (4)" in outcome.stdout
    concepts = load_concepts(tiny_folder / "concepts.json")
    assert concepts.exemplars == {"smiling woman": (3, 17, 42), "man": (1, 2, 3, 4)}
    assert (concepts.seed, concepts.count, concepts.contributor) == (6, 200, "me")
    assert run(*line, "--set", "man=9,8,7", "--set", "hat=299", "--count", 300).exit_code == 0
    changed = load_concepts(tiny_folder / "concepts.json")
    assert changed.exemplars == {"smiling woman": (3, 17, 42), "man": (9, 8, 7), "hat": (299,)}
    assert changed.seed == 6


@pytest.mark.slow
def test_the_sheets_show_all_samples_with_numbers(run, tiny_folder: Path) -> None:
    outcome = run("concepts", "--model", tiny_folder, "--count", 130, "--seed", 4, "--sheet", "sheets/all.png")
    assert outcome.exit_code == 0, outcome.output
    assert sorted(p.name for p in Path("sheets").iterdir()) == ["all-1.png", "all-2.png"]
    pixels = to_pixels(load(tiny_folder).sample(130, 4))
    with Image.open("sheets/all-2.png") as page:
        assert page.size == (10 * 136 + 8, 3 * 156 + 8)
        # Sample 112 is the third of the second row of the second page.
        left, top = 8 + 2 * 136, 8 + 156
        shown = page.crop((left, top, left + 128, top + 128))
        expected = Image.fromarray(pixels[112]).resize((128, 128), Image.Resampling.BICUBIC)
        assert np.array_equal(np.asarray(shown), np.asarray(expected))
        number = np.asarray(page.crop((left, top + 128, left + 128, top + 148)))
        assert (number < 100).any()
    assert not (tiny_folder / "concepts.json").exists()
    run("concepts", "--model", tiny_folder, "--count", 9, "--sheet", "one.png")
    assert Path("one.png").exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("woman", "is not like 'smiling woman=3,17,42'"),
        ("woman=", "is not a list of numbers"),
        ("woman=all", "is not like"),
        ("woman=1,x", "is not a list of numbers"),
        ("woman=1,2,200", "names sample 200, and there are 200"),
        ("a + b=1", "holds a sign or a quote"),
        ("=1", "not a name of a concept"),
    ],
)
def test_wrong_names_and_numbers_are_one_sentence(refused, tiny_folder: Path, given: str, sentence: str) -> None:
    assert sentence in refused("concepts", "--model", tiny_folder, "--set", given).replace("\n", " ")
    assert not (tiny_folder / "concepts.json").exists()


def test_a_place_that_cannot_be_written_is_one_sentence(refused, tiny_folder: Path) -> None:
    line = ["concepts", "--model", tiny_folder, "--out", "/proc/nowhere/concepts.json"]
    assert "cannot write" in refused(*line, "--set", "woman=1,2,3")
    assert "cannot write" in refused(*line)
